//! The passes between the tokens and the hidden layer.

use std::ops::Range;

use bytemuck::{cast_slice, cast_slice_mut};

use super::activations::{Activations, Scratch};
use super::draw::Drawn;
use super::functions::tanh;
use super::home::{Columns, Home};
use super::lanes::{InstructionSet, Job, LANES};
use super::network::{Layout, Read};
use super::pairs::Pairs;
use super::panel::Panel;
use super::product::{Change, Left, Product};
use super::threads::Numbers;
use super::vector::Vector;

/// The input of each pair of the batch, its embedding or all of its context's; with a mask, [B, n*d], every place is a pair
/// of its own and is multiplied by it.
#[inline(always)]
pub(super) fn embedding_gather(layout: Layout, embedding: &[f32], scratch: &mut Scratch, mask: &[f32]) {
    let Layout { shape, embedding_stride, positions, position_inputs, position_stride, .. } = layout;
    let Scratch { drawn: Drawn { contexts, pairs, .. }, input, .. } = scratch;
    let input: &mut [f32] = cast_slice_mut(input);
    if layout.is_whole() {
        let batch = pairs.len();
        for (position, tokens) in contexts.chunks_exact(batch).enumerate() {
            let inputs = input.chunks_exact_mut(position_stride);
            for (&token, input) in tokens.iter().zip(inputs) {
                let row = &embedding[token as usize * embedding_stride..][..shape.embedding];
                copy_few(row, &mut input[position * shape.embedding..][..shape.embedding]);
            }
        }
    } else {
        for (&token, input) in pairs.tokens.iter().zip(input.chunks_exact_mut(position_stride)) {
            let row = &embedding[token as usize * embedding_stride..][..shape.embedding];
            copy_few(row, &mut input[..shape.embedding]);
        }
    }
    if mask.is_empty() {
        return;
    }
    for position in 0..positions {
        for pair in pairs.starts[position]..pairs.starts[position + 1] {
            let example = pair - pairs.starts[position];
            let mask = &mask[example * shape.input() + position * position_inputs..][..position_inputs];
            input[pair * position_stride..][..position_inputs].iter_mut().zip(mask).for_each(
                #[inline(always)]
                |(value, mask)| *value *= mask,
            );
        }
    }
}

/// Copies a row of few numbers: a call to copy them costs more.
#[inline(always)]
fn copy_few(from: &[f32], to: &mut [f32]) {
    let ((from, rest), (to, last)) = (from.as_chunks::<8>(), to.as_chunks_mut::<8>());
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
}

/// hidden = tanh(W1 x + b1), for the columns of a share, of which `first` is the first, and all examples: first what each
/// pair adds, then the sums of the examples.
///
/// # Safety
/// These columns, and the mask's, are this thread's own until a barrier.
#[inline(always)]
#[allow(unsafe_code)]
pub(super) unsafe fn hidden_forward<I: InstructionSet>(
    layout: Layout,
    home: &Home,
    scratch: &mut Scratch,
    first: usize,
) {
    // SAFETY: the caller's promise.
    unsafe {
        hidden_terms::<I>(layout, home.hidden, scratch, first);
        hidden_units::<I>(layout, home, scratch, first);
    }
}

/// What each pair adds to some of the hidden units, of which `first` is the first.
///
/// # Safety
/// Nobody writes these columns of the weights meanwhile.
#[inline(always)]
#[allow(unsafe_code)]
pub(super) unsafe fn hidden_terms<I: InstructionSet>(
    layout: Layout,
    weights: Columns,
    scratch: &mut Scratch,
    first: usize,
) {
    let Layout { positions, position_inputs, position_stride, .. } = layout;
    let Scratch { drawn: Drawn { pairs, .. }, input, terms, .. } = scratch;
    let (input, terms): (&[f32], &mut [f32]) = (cast_slice(input), cast_slice_mut(terms));
    let Columns { width, stride, .. } = weights;
    for position in 0..positions {
        let own = pairs.starts[position]..pairs.starts[position + 1];
        let rows = position * position_inputs..(position + 1) * position_inputs;
        I::call(Product {
            left: Left::Rows { values: input[own.start * position_stride..].into(), stride: position_stride },
            rows: own.len(),
            inner: position_inputs,
            // SAFETY: the caller's promise.
            right: unsafe { weights.read(rows) },
            right_stride: stride,
            columns: layout.counted(first, width),
            out: (&mut terms[own.start * width..]).into(),
            out_stride: width,
            change: Change::Write,
        });
    }
}

/// The hidden units from the terms of their pairs; `first` is the share's first column.
///
/// # Safety
/// As for [`hidden_forward`].
#[inline(always)]
#[allow(unsafe_code)]
pub(super) unsafe fn hidden_units<I: InstructionSet>(layout: Layout, home: &Home, scratch: &Scratch, first: usize) {
    I::call(HiddenUnits {
        pairs: &scratch.drawn.pairs,
        positions: layout.positions,
        terms: cast_slice(&scratch.terms),
        // SAFETY: the caller's promise.
        bias: unsafe { home.hidden_bias.read_row(0) },
        units: home.units,
        columns: layout.counted(first, home.units.width),
        one: layout.shape.hidden.checked_sub(first),
        mask: home.mask,
    });
}

/// tanh of the bias and the terms of each example's pairs.
struct HiddenUnits<'a> {
    pairs: &'a Pairs,
    positions: usize,
    /// [pairs, columns].
    terms: &'a [f32],
    /// [columns].
    bias: &'a [f32],
    /// [B, columns].
    units: Columns<'a>,
    /// How many of them to work on, a multiple of 8.
    columns: usize,
    /// The column of the constant one, counted from the first, if it does not come before.
    one: Option<usize>,
    /// [B, columns].
    mask: Option<Columns<'a>>,
}

impl Job for HiddenUnits<'_> {
    type Output = ();

    #[inline(always)]
    #[allow(unsafe_code)]
    fn run<I: InstructionSet>(self) {
        let HiddenUnits { pairs, positions, terms, bias, units: home, columns, one, mask } = self;
        let width = home.width;
        assert!(bias.len() == width && pairs.len() * width <= terms.len());
        for (example, places) in pairs.of_example.chunks_exact(positions).enumerate() {
            // SAFETY: these columns are this thread's own.
            let out = unsafe { home.write_row(example) };
            let mut column = 0;
            while column + LANES <= columns {
                units::<I::Full>(places, terms, bias, column, out);
                column += LANES;
            }
            if column < columns {
                units::<I::Half>(places, terms, bias, column, out);
            }
            if let Some(mask) = mask {
                // SAFETY: these columns are this thread's own.
                let mask = unsafe { mask.read_row(example) };
                out[..columns].iter_mut().zip(mask).for_each(
                    #[inline(always)]
                    |(unit, mask)| *unit *= mask,
                );
            }
            if let Some(one) = one.filter(
                #[inline(always)]
                |&one| one < width,
            ) {
                out[one] = 1.0;
            }
        }
    }
}

#[inline(always)]
#[allow(unsafe_code)]
fn units<V: Vector>(places: &[u32], terms: &[f32], bias: &[f32], column: usize, out: &mut [f32]) {
    let width = out.len();
    assert!(column + V::LANES <= width && bias.len() == width);
    // SAFETY: the column was compared with the width above, and every pair has a row of the terms.
    unsafe {
        let mut sum = V::load(bias.as_ptr().add(column));
        for &pair in places {
            debug_assert!((pair as usize + 1) * width <= terms.len());
            sum = sum.add(V::load(terms.as_ptr().add(pair as usize * width + column)));
        }
        tanh(sum).store(out.as_mut_ptr().add(column));
    }
}

/// Gradient of the input of some pairs, W1' d_hidden, from the sum of d_hidden over each pair's examples.
///
/// # Safety
/// The rows of these pairs are this thread's own until a barrier; nobody writes d_hidden.
#[inline(always)]
#[allow(unsafe_code)]
pub(super) unsafe fn input_backward<I: InstructionSet>(
    read: Read,
    scratch: &mut Scratch,
    activations: &Activations,
    own: Range<usize>,
) {
    let Layout { shape, hidden_stride, position_stride, .. } = read.layout;
    let Scratch { drawn: Drawn { pairs, .. }, panel, .. } = scratch;
    let panel: &mut [f32] = cast_slice_mut(panel);
    let rows = |stride: usize| own.start * stride..own.end * stride;
    // SAFETY: the caller's promise.
    let (d_hidden, d_pairs, d_input) = unsafe {
        (
            activations.d_hidden.read_numbers(0..activations.batch * hidden_stride),
            activations.d_hidden_pairs.write_numbers(rows(hidden_stride)),
            activations.d_input.write_numbers(rows(position_stride)),
        )
    };
    I::call(PairSums {
        pairs,
        own: own.clone(),
        from: d_hidden.into(),
        from_stride: hidden_stride,
        to: d_pairs,
        width: hidden_stride,
    });
    for position in 0..shape.context {
        let here = pairs.starts[position].max(own.start)..pairs.starts[position + 1].min(own.end);
        if here.is_empty() {
            continue;
        }
        // Columns from d on hold other positions' weights; what they give is not read.
        I::call(Panel {
            from: read.hidden[position * shape.embedding * hidden_stride..].into(),
            row_stride: hidden_stride,
            rows: position_stride,
            columns: hidden_stride,
            panel,
            stride: position_stride,
        });
        let first = here.start - own.start;
        I::call(Product {
            left: Left::Rows { values: d_pairs[first * hidden_stride..].into(), stride: hidden_stride },
            rows: here.len(),
            inner: shape.hidden,
            right: (&*panel).into(),
            right_stride: position_stride,
            columns: position_stride,
            out: (&mut d_input[first * position_stride..]).into(),
            out_stride: position_stride,
            change: Change::Write,
        });
    }
}

/// The sum of a row over the examples of each pair, in their order.
pub(super) struct PairSums<'a> {
    pub(super) pairs: &'a Pairs,
    pub(super) own: Range<usize>,
    /// [B, from stride].
    pub(super) from: Numbers<'a>,
    pub(super) from_stride: usize,
    /// [own pairs, width].
    pub(super) to: &'a mut [f32],
    /// A multiple of 8.
    pub(super) width: usize,
}

impl Job for PairSums<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: InstructionSet>(self) {
        let PairSums { pairs, own, from, from_stride, to, width } = self;
        for (pair, out) in own.zip(to.chunks_exact_mut(width)) {
            let examples = pairs.examples_of(pair);
            let mut column = 0;
            while column < width {
                // As much of a row as registers hold: a pair's examples are few, and the end of each loop over them is guessed
                // wrong (makemore: 0.2 of 25 µs more with two at a time).
                column += match (width - column) / LANES {
                    0 => pair_sum::<I::Half>(examples, from, from_stride, out, column),
                    1 => pair_sum::<I::Full>(examples, from, from_stride, out, column),
                    2 => pair_sum::<[I::Full; 2]>(examples, from, from_stride, out, column),
                    3 => pair_sum::<[I::Full; 3]>(examples, from, from_stride, out, column),
                    4 | 5 => pair_sum::<[I::Full; 4]>(examples, from, from_stride, out, column),
                    6 => pair_sum::<[I::Full; 6]>(examples, from, from_stride, out, column),
                    _ => pair_sum::<[I::Full; 7]>(examples, from, from_stride, out, column),
                };
            }
        }
    }
}

#[inline(always)]
#[allow(unsafe_code)]
fn pair_sum<V: Vector>(examples: &[u32], from: Numbers, stride: usize, out: &mut [f32], column: usize) -> usize {
    let mut sum = V::splat(0.0);
    for &example in examples {
        let place = example as usize * stride + column;
        assert!(place + V::LANES <= from.length);
        // SAFETY: the place was compared with the length.
        sum = sum.add(unsafe { V::load(from.start.add(place)) });
    }
    let out = &mut out[column..][..V::LANES];
    // SAFETY: as above.
    unsafe { sum.store(out.as_mut_ptr()) };
    V::LANES
}
