//! The output layer: logits, their softmax and the gradient of the hidden units, a chunk of the vocabulary at a time, so
//! that logits are worked on while they are in the cache.
//!
//! Exponentials are taken before the largest of all logits is known: of the difference to the largest one so far. What was
//! summed before a larger one came is rescaled, as in online softmax (Milakov and Gimelshein, arXiv:1805.02867); the rest
//! of the correction is one factor for each example and chunk.

use std::ops::Range;

use bytemuck::{cast_slice, cast_slice_mut};

use super::activations::{Activations, Scratch};
use super::by_word::SumOfParts;
use super::clock::{Pass, Timer};
use super::draw::Drawn;
use super::functions::{ln, tanh_slope};
use super::lanes::{InstructionSet, Job, LANES, Lanes};
use super::network::{Layout, MOST_PARTS, Read};
use super::panel::Panel;
use super::product::{Change, Left, Product};
use super::softmax::{Exponentials, Softmax, exp_of_one};
use super::threads::part;
use super::vector::{Vector, all_streamed, lanes};

/// The parts of the vocabulary, each with the examples, that thread `index` of `threads` has: all parts with all examples
/// in a row, cut evenly.
pub(super) fn segments(
    layout: Layout,
    batch: usize,
    (index, threads): (usize, usize),
) -> impl Iterator<Item = (usize, Range<usize>)> {
    let own = part(layout.parts * batch, index, threads);
    let numbers = own.start / batch..own.end.div_ceil(batch);
    let segment = move |number: usize| {
        let first = number * batch;
        (number, own.start.max(first) - first..own.end.min(first + batch) - first)
    };
    numbers.map(segment).filter(|(_, examples)| !examples.is_empty())
}

/// logits = W2 hidden + b2 (+ W_direct x) of a chunk: `hidden` is [examples, hidden stride], `logits` [examples, chunk], and
/// `places` the pairs of the examples, [examples, n].
#[inline(always)]
pub(super) fn logits_forward<I: InstructionSet>(
    read: Read,
    scratch: &mut Scratch,
    chunk: usize,
    hidden: &[f32],
    examples: Range<usize>,
    logits: &mut [f32],
) {
    let Layout { shape, hidden_stride, position_stride, chunk: stride, .. } = read.layout;
    let Scratch { drawn: Drawn { pairs, .. }, input, panel, pair_logits, .. } = scratch;
    let (input, panel): (&[f32], &mut [f32]) = (cast_slice(input), cast_slice_mut(panel));
    let pair_logits: &mut [f32] = cast_slice_mut(pair_logits);
    let rows = read.layout.rows_of(chunk);
    // Whole blocks: the rows beyond the vocabulary have logits of minus infinity.
    let count = rows.len().next_multiple_of(LANES);
    let output = read.output[rows.start * hidden_stride..].into();
    I::call(Panel { from: output, row_stride: hidden_stride, rows: count, columns: hidden_stride, panel, stride });
    I::call(Product {
        left: Left::Rows { values: hidden.into(), stride: hidden_stride },
        rows: examples.len(),
        inner: shape.hidden + 1,
        right: (&*panel).into(),
        right_stride: stride,
        columns: count,
        out: (&mut *logits).into(),
        out_stride: stride,
        change: Change::Write,
    });
    if !shape.direct {
        return;
    }
    let direct_stride = read.layout.direct_stride();
    let direct = read.direct[rows.start * direct_stride..].into();
    I::call(Panel { from: direct, row_stride: direct_stride, rows: count, columns: direct_stride, panel, stride });
    for position in 0..shape.context {
        let here = pairs.starts[position]..pairs.starts[position + 1];
        I::call(Product {
            left: Left::Rows { values: input[here.start * position_stride..].into(), stride: position_stride },
            rows: here.len(),
            inner: shape.embedding,
            right: panel[position * position_stride * stride..].into(),
            right_stride: stride,
            columns: count,
            out: (&mut pair_logits[here.start * stride..]).into(),
            out_stride: stride,
            change: Change::Write,
        });
    }
    let places = &pairs.of_example[examples.start * shape.context..examples.end * shape.context];
    I::call(AddPairs { places, context: shape.context, pair_logits, logits, stride });
}

/// Adds to the logits of each example those of its pairs.
struct AddPairs<'a> {
    places: &'a [u32],
    context: usize,
    pair_logits: &'a [f32],
    logits: &'a mut [f32],
    stride: usize,
}

impl Job for AddPairs<'_> {
    type Output = ();

    #[inline(always)]
    #[allow(unsafe_code)]
    fn run<I: InstructionSet>(self) {
        let AddPairs { places, context, pair_logits, logits, stride } = self;
        for (places, logits) in places.chunks_exact(context).zip(logits.chunks_exact_mut(stride)) {
            for (block, logits) in logits.chunks_exact_mut(LANES).enumerate() {
                // SAFETY: a block has that many numbers, and so has each slice.
                unsafe {
                    let mut sum = I::Full::load(logits.as_ptr());
                    for &pair in places {
                        let terms = &pair_logits[pair as usize * stride + block * LANES..][..LANES];
                        sum = sum.add(I::Full::load(terms.as_ptr()));
                    }
                    sum.store(logits.as_mut_ptr());
                }
            }
        }
    }
}

/// The forward pass over the output layer and the gradient of the hidden units, for the segments of one thread.
///
/// # Safety
/// All threads call it between two barriers.
#[inline(always)]
#[allow(unsafe_code)]
pub(super) unsafe fn output_layer<I: InstructionSet>(
    read: Read,
    scratch: &mut Scratch,
    activations: &Activations,
    timer: &mut Timer,
    (index, threads): (usize, usize),
) {
    let layout = read.layout;
    let Layout { hidden_stride, chunk: stride, .. } = layout;
    let batch = activations.batch;
    for (number, examples) in segments(layout, batch, (index, threads)) {
        let of_part = number * batch + examples.start..number * batch + examples.end;
        let rows = |first: usize, width: usize| (first + examples.start) * width..(first + examples.end) * width;
        // SAFETY: these examples of this part are this thread's own.
        let (hidden, largest, sums, at_target, d_hidden) = unsafe {
            (
                activations.hidden.read_numbers(rows(0, hidden_stride)),
                activations.largest.write_numbers(of_part.clone()),
                activations.sums.write(of_part.clone()),
                activations.at_target.write_numbers(of_part),
                activations.d_hidden_parts.write_numbers(rows(number * batch, hidden_stride)),
            )
        };
        let chunks = layout.chunks_of(number);
        for chunk in chunks.clone() {
            let own = layout.rows_of(chunk);
            // SAFETY: as above.
            let (kept, references) = unsafe {
                (
                    activations.logits.write_numbers(rows(chunk * batch, stride)),
                    activations.references.write_numbers(rows(chunk * batch, 1)),
                )
            };
            // In several parts, each chunk is worked on in one buffer that stays in the cache, and its exponentials go past
            // the cache to where the weights' gradient finds them: 3.5 % of a step with 16,383 words. (To multiply their
            // factor with the hidden units instead, which spares the pass over them, was 3 % slower, even with the next
            // chunk asked for ahead: the pass reads memory in order, the product does not.)
            let mut apart = std::mem::take(&mut scratch.logits);
            let (logits, kept): (&mut [f32], &mut [f32]) = if layout.parts > 1 {
                (&mut cast_slice_mut(&mut apart)[..examples.len() * stride], kept)
            } else {
                (kept, &mut [])
            };
            logits_forward::<I>(read, scratch, chunk, hidden, examples.clone(), logits);
            timer.end(Pass::LogitsForward);
            let first = chunk == chunks.start;
            I::call(Exponentials {
                logits: &mut *logits,
                stride,
                rows: own.clone(),
                targets: &scratch.drawn.targets[examples.clone()],
                softmax: Softmax { largest, sums, at_target, d_hidden },
                hidden_stride,
                references,
                first,
                kept,
            });
            timer.end(Pass::SoftmaxCrossEntropy);
            if layout.shape.hidden > 0 {
                I::call(Product {
                    left: Left::Rows { values: (&*logits).into(), stride },
                    rows: examples.len(),
                    inner: own.len(),
                    right: read.output[own.start * hidden_stride..].into(),
                    right_stride: hidden_stride,
                    columns: hidden_stride,
                    out: (&mut *d_hidden).into(),
                    out_stride: hidden_stride,
                    change: if first { Change::Write } else { Change::Add },
                });
            }
            scratch.logits = apart;
            timer.end(Pass::HiddenBackward);
        }
    }
    all_streamed();
}

/// What the parts of the vocabulary say together of some examples: their loss, what their exponentials are to be
/// multiplied with, and the gradient before tanh, (W2' d_logits) (1 - tanh^2) times what dropout multiplied with.
pub(super) struct Finish<'a> {
    pub(super) read: Read<'a>,
    pub(super) activations: &'a Activations,
    pub(super) targets: &'a [u32],
    pub(super) examples: Range<usize>,
    /// The gradient is that of `scale` times the loss.
    pub(super) scale: f32,
    /// What the dropout of hidden units keeps; nothing where there are none.
    pub(super) hidden: Option<f32>,
}

impl Job for Finish<'_> {
    type Output = ();

    #[inline(always)]
    #[allow(unsafe_code)]
    fn run<I: InstructionSet>(self) {
        let Finish { read, activations, targets, examples, scale, hidden } = self;
        let Layout { hidden_stride, parts, .. } = read.layout;
        let batch = activations.batch;
        let mut weights = [[0.0; LANES]; MOST_PARTS];
        let weights = &mut weights[..parts];
        for first in examples.clone().step_by(LANES) {
            let block = first..(first + LANES).min(examples.end);
            let (mut sums, mut below) = (Lanes([1.0; LANES]), Lanes::ZERO);
            for (lane, example) in block.clone().enumerate() {
                // SAFETY: these examples are this thread's own, and their parts were written before a barrier.
                unsafe {
                    let of = |number: usize| number * batch + example..number * batch + example + 1;
                    let mut most = f32::NEG_INFINITY;
                    for number in 0..parts {
                        most = most.max(activations.largest.read_numbers(of(number))[0]);
                    }
                    let mut sum = 0.0;
                    for (number, weight) in weights.iter_mut().enumerate() {
                        let largest = activations.largest.read_numbers(of(number))[0];
                        // One part has the largest of all logits: exp(0).
                        weight[lane] = if parts == 1 { 1.0 } else { exp_of_one::<I>(largest - most) };
                        let lanes = activations.sums.read_part(of(number));
                        sum += weight[lane] * I::Full::load(lanes[0].0.as_ptr()).sum();
                    }
                    let target = targets[example] as usize;
                    let at_target = activations.at_target.read_numbers(of(read.layout.part_of(target)))[0];
                    (sums.0[lane], below.0[lane]) = (sum, most - at_target);
                    activations.normalizers.write_numbers(of(0))[0] = most;
                    activations.normalizers.write_numbers(of(1))[0] = scale / sum;
                    weights.iter_mut().for_each(
                        #[inline(always)]
                        |weight| weight[lane] *= scale / sum,
                    );
                }
            }
            // SAFETY: as above; both have all lanes.
            unsafe {
                let of_all = lanes(ln(I::Full::load(sums.0.as_ptr())).add(I::Full::load(below.0.as_ptr())));
                activations.losses.write_numbers(block.clone()).copy_from_slice(&of_all.0[..block.len()]);
            }
            let Some(share_kept) = hidden else { continue };
            let rows = block.start * hidden_stride..block.end * hidden_stride;
            // SAFETY: as above.
            let (d_hidden, d_hidden_parts) = unsafe {
                let parts = activations.d_hidden_parts.read_numbers(0..activations.d_hidden_parts.len() * LANES);
                (activations.d_hidden.write_numbers(rows.clone()), parts)
            };
            if let Some(across) = activations.across {
                let layout = read.layout;
                I::call(SumOfParts {
                    parts: d_hidden_parts,
                    layout,
                    across,
                    examples: block.clone(),
                    weights,
                    d_hidden,
                });
            }
            for (lane, (example, d_hidden)) in block.zip(d_hidden.chunks_exact_mut(hidden_stride)).enumerate() {
                let own = example * hidden_stride..(example + 1) * hidden_stride;
                let target = targets[example] as usize;
                // SAFETY: as above.
                let (hidden, mask) = unsafe {
                    let mask = if activations.hidden_mask.is_empty() {
                        &[]
                    } else {
                        activations.hidden_mask.read_numbers(own.clone())
                    };
                    (activations.hidden.read_numbers(own), mask)
                };
                let row = RowBeforeTanh {
                    parts: if activations.across.is_some() { &[] } else { d_hidden_parts },
                    part_stride: batch * hidden_stride,
                    first: example * hidden_stride,
                    weights,
                    lane,
                    target: &read.output[target * hidden_stride..][..hidden_stride],
                    scale,
                    hidden,
                    mask,
                    share_kept,
                };
                let mut column = 0;
                while column + LANES <= hidden_stride {
                    row.columns::<I::Full>(column, d_hidden);
                    column += LANES;
                }
                if column < hidden_stride {
                    row.columns::<I::Half>(column, d_hidden);
                }
            }
        }
    }
}

/// The gradient before tanh of one example.
struct RowBeforeTanh<'a> {
    /// Nothing where their sum stands already where the gradient goes.
    parts: &'a [f32],
    part_stride: usize,
    first: usize,
    /// What each part is multiplied with, and in which lane this example's stands.
    weights: &'a [[f32; LANES]],
    lane: usize,
    /// The target's row of output weights.
    target: &'a [f32],
    scale: f32,
    /// tanh, times the mask where there is one.
    hidden: &'a [f32],
    mask: &'a [f32],
    share_kept: f32,
}

impl RowBeforeTanh<'_> {
    #[inline(always)]
    #[allow(unsafe_code)]
    fn columns<V: Vector>(&self, column: usize, d_hidden: &mut [f32]) {
        let mut sum = V::splat(0.0);
        if self.parts.is_empty() {
            sum = load::<V>(d_hidden, column);
        } else {
            for (number, weights) in self.weights.iter().enumerate() {
                let part = load::<V>(self.parts, number * self.part_stride + self.first + column);
                sum = V::mul_add(V::splat(weights[self.lane]), part, sum);
            }
        }
        sum = V::mul_add(V::splat(-self.scale), load::<V>(self.target, column), sum);
        let mut slope = tanh_slope(load::<V>(self.hidden, column), V::splat(self.share_kept));
        if !self.mask.is_empty() {
            slope = slope.mul(load::<V>(self.mask, column));
        }
        let out = &mut d_hidden[column..][..V::LANES];
        // SAFETY: as above.
        unsafe { sum.mul(slope).store(out.as_mut_ptr()) };
    }
}

#[inline(always)]
#[allow(unsafe_code)]
fn load<V: Vector>(values: &[f32], first: usize) -> V {
    let values = &values[first..][..V::LANES];
    // SAFETY: the slice has that many numbers.
    unsafe { V::load(values.as_ptr()) }
}
