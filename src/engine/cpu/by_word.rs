//! The output layer of a large vocabulary with the logits by word, the examples across: [words, examples].
//!
//! Its three products read every operand as it stands but the hidden units, so that no weights are turned; the softmax
//! of sixteen examples runs down the words in one register; and what the exponentials are to be multiplied with is
//! multiplied with the hidden units, so that the weights' gradient is one product over the exponentials.

use std::ops::Range;

use bytemuck::cast_slice_mut;

use super::activations::{Activations, Scratch};
use super::clock::{Pass, Timer};
use super::draw::Drawn;
use super::functions::exp;
use super::gradients::{Batch, Purpose};
use super::lanes::{InstructionSet, Job, LANES};
use super::network::{Layout, Network, Read};
use super::output::segments;
use super::panel::Panel;
use super::product::{Change, Left, Product, ProductAhead};
use super::softmax::factor;
use super::threads::NumbersMut;
use super::vector::{Vector, all_streamed};

/// The fewest examples for which logits stand by word: fewer would leave lanes empty. With 7,205 words, steps of 16 examples
/// were 14 % faster so, of 48 examples 6 %.
const FEWEST_EXAMPLES: usize = LANES;

/// Numbers from one word's logits to the next where they stand by word: an odd number of cache lines, so that the words
/// of a column do not meet in few sets of the cache.
pub(super) fn across(layout: Layout, batch: usize) -> Option<usize> {
    let fits = layout.parts > 1 && layout.shape.hidden > 0 && !layout.shape.direct && batch >= FEWEST_EXAMPLES;
    fits.then(|| (batch.div_ceil(LANES) | 1) * LANES)
}

/// What `output::output_layer` does, by word.
///
/// # Safety
/// All threads call it between two barriers.
#[inline(always)]
#[allow(unsafe_code)]
pub(super) unsafe fn output_layer<I: InstructionSet>(
    read: Read,
    scratch: &mut Scratch,
    activations: &Activations,
    across: usize,
    timer: &mut Timer,
    (index, threads): (usize, usize),
) {
    let layout = read.layout;
    let Layout { shape, hidden_stride, .. } = layout;
    let (batch, blocks) = (activations.batch, activations.batch.div_ceil(LANES));
    let Scratch { drawn: Drawn { targets, .. }, panel, logits, softmax, .. } = scratch;
    let (hidden, logits): (&mut [f32], &mut [f32]) = (cast_slice_mut(panel), cast_slice_mut(logits));
    let (largest, sums) = cast_slice_mut::<_, f32>(softmax).split_at_mut(across);
    let rows = batch.next_multiple_of(8);
    // What fills up the last vectors: examples of zeros. Nothing of them is used.
    hidden.fill(0.0);
    // SAFETY: hidden units were written before a barrier; columns of examples are this thread's own.
    unsafe {
        let from = activations.hidden.read_numbers(0..rows * hidden_stride).into();
        I::call(Panel { from, row_stride: hidden_stride, rows, columns: hidden_stride, panel: hidden, stride: across });
        for (number, lines) in segments(layout, blocks, (index, threads)) {
            let examples = lines.start * LANES..lines.end * LANES;
            let of = |rows: Range<usize>| rows.start * across + examples.start..(rows.end - 1) * across + examples.end;
            let hidden_rows = number * hidden_stride..number * hidden_stride + shape.hidden;
            let d_hidden = || activations.d_hidden_parts.columns_mut(of(hidden_rows.clone()));
            let chunks = layout.chunks_of(number);
            for chunk in chunks.clone() {
                let own = layout.rows_of(chunk);
                let first = chunk == chunks.start;
                let output = &read.output[own.start * hidden_stride..];
                let product = Product {
                    left: Left::Rows { values: output.into(), stride: hidden_stride },
                    rows: own.len(),
                    inner: shape.hidden + 1,
                    right: hidden[examples.start..].into(),
                    right_stride: across,
                    columns: examples.len(),
                    out: (&mut logits[examples.start..]).into(),
                    out_stride: across,
                    change: Change::Write,
                };
                let following = layout.rows_of((chunk + 1).min(layout.chunks - 1));
                let weights = &read.output[following.start * hidden_stride..following.end * hidden_stride];
                let (first_half, second_half) = weights.split_at(weights.len() / 2);
                I::call(ProductAhead { product, next: [first_half.into(), second_half.into()] });
                timer.end(Pass::LogitsForward);
                for example in examples.start..examples.end.min(batch) {
                    let target = targets[example] as usize;
                    if own.contains(&target) {
                        activations.at_target.write_numbers(number * batch + example..number * batch + example + 1)
                            [0] = logits[(target - own.start) * across + example];
                    }
                }
                I::call(Exponentials {
                    logits: &mut *logits,
                    kept: activations.logits.columns_mut(of(own.clone())),
                    stride: across,
                    rows: own.len(),
                    examples: examples.clone(),
                    largest: &mut *largest,
                    sums: &mut *sums,
                    references: activations.references.columns_mut(of(chunk..chunk + 1)),
                    d_hidden: d_hidden(),
                    hidden: shape.hidden,
                    first,
                });
                timer.end(Pass::SoftmaxCrossEntropy);
                I::call(Product {
                    left: Left::Columns { values: output.into(), stride: hidden_stride },
                    rows: shape.hidden,
                    inner: own.len(),
                    right: logits[examples.start..].into(),
                    right_stride: across,
                    columns: examples.len(),
                    out: d_hidden(),
                    out_stride: across,
                    change: if first { Change::Write } else { Change::Add },
                });
                timer.end(Pass::HiddenBackward);
            }
            for example in examples.start..examples.end.min(batch) {
                let place = number * batch + example;
                activations.largest.write_numbers(place..place + 1)[0] = largest[example];
                let lanes = &mut activations.sums.write(place..place + 1)[0].0;
                *lanes = [0.0; LANES];
                lanes[0] = sums[example];
            }
        }
    }
    all_streamed();
}

/// Takes the exponentials of a chunk's logits, and keeps a copy of them.
struct Exponentials<'a> {
    /// [rows, stride].
    logits: &'a mut [f32],
    /// From the first of the examples on.
    kept: NumbersMut<'a>,
    stride: usize,
    rows: usize,
    /// Multiples of [`LANES`].
    examples: Range<usize>,
    /// [stride].
    largest: &'a mut [f32],
    sums: &'a mut [f32],
    /// From the first of the examples on; what the logits were lessened by.
    references: NumbersMut<'a>,
    /// What was summed of the hidden gradient so far, [hidden, stride], from the first of the examples on.
    d_hidden: NumbersMut<'a>,
    hidden: usize,
    /// Whether nothing was summed yet.
    first: bool,
}

impl Job for Exponentials<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: InstructionSet>(mut self) {
        let (mut column, end) = (self.examples.start, self.examples.end);
        while column + 2 * LANES <= end {
            self.columns::<[I::Full; 2]>(column);
            column += 2 * LANES;
        }
        if column < end {
            self.columns::<I::Full>(column);
        }
    }
}

impl Exponentials<'_> {
    #[inline(always)]
    #[allow(unsafe_code)]
    fn columns<V: Vector>(&mut self, column: usize) {
        let Exponentials { stride, rows, hidden, first, .. } = *self;
        let from_first = column - self.examples.start;
        assert!(column + V::LANES <= self.examples.end && self.examples.end <= stride && rows > 0);
        assert!((rows - 1) * stride + column + V::LANES <= self.logits.len());
        assert!((rows - 1) * stride + from_first + V::LANES <= self.kept.length);
        assert!(from_first + V::LANES <= self.references.length);
        assert!(hidden > 0 && (hidden - 1) * stride + from_first + V::LANES <= self.d_hidden.length);
        let largest = &mut self.largest[column..][..V::LANES];
        let sums = &mut self.sums[column..][..V::LANES];
        // SAFETY: the places were compared with the lengths.
        unsafe {
            let logits = self.logits.as_mut_ptr().add(column);
            let kept = self.kept.start.add(from_first);
            let mut most = V::load(logits);
            for row in 1..rows {
                most = V::load(logits.add(row * stride)).at_least(most);
            }
            let mut sum = V::splat(0.0);
            if !first {
                let before = V::load(largest.as_ptr());
                most = most.at_least(before);
                sum = V::load(sums.as_ptr());
                if most.sub(before).largest() > 0.0 {
                    let factor = exp(before.sub(most));
                    sum = sum.mul(factor);
                    for unit in 0..hidden {
                        let place = self.d_hidden.start.add(unit * stride + from_first);
                        V::load(place).mul(factor).store(place);
                    }
                }
            }
            for row in 0..rows {
                let e = exp(V::load(logits.add(row * stride)).sub(most));
                e.store(logits.add(row * stride));
                e.stream(kept.add(row * stride));
                sum = sum.add(e);
            }
            most.store(largest.as_mut_ptr());
            most.store(self.references.start.add(from_first));
            sum.store(sums.as_mut_ptr());
        }
    }
}

/// The output rows of a chunk: `scale` times the sum over the examples of (p - 1 at the target, p elsewhere) times the
/// hidden units.
///
/// # Safety
/// The chunk is this thread's own.
#[inline(always)]
#[allow(unsafe_code)]
pub(super) unsafe fn output_rows<I: InstructionSet>(
    to: &Network,
    batch: &mut Batch,
    chunk: usize,
    across: usize,
    purpose: Purpose,
) {
    let layout = to.layout;
    let Layout { hidden_stride, .. } = layout;
    let Batch { activations, scratch, scale, .. } = batch;
    let (count, own) = (activations.batch, layout.rows_of(chunk));
    let Scratch { drawn: Drawn { targets, .. }, panel, .. } = &mut **scratch;
    let factored: &mut [f32] = cast_slice_mut(panel);
    let change = purpose.change(
        #[inline(always)]
        |decay| &decay.output,
    );
    // SAFETY: the caller's promise; what else is read was written before a barrier.
    unsafe {
        let hidden = activations.hidden.read_numbers(0..count * hidden_stride);
        I::call(Factored {
            hidden,
            stride: hidden_stride,
            references: activations.references.read_numbers(chunk * across..chunk * across + count),
            largest: activations.normalizers.read_numbers(0..count),
            inverse: activations.normalizers.read_numbers(count..2 * count),
            factored: &mut *factored,
        });
        let weights = to.output_weights().write_numbers(own.start * hidden_stride..own.end * hidden_stride);
        let product = Product {
            left: Left::Rows {
                values: activations.logits.read_numbers(own.start * across..own.end * across).into(),
                stride: across,
            },
            rows: own.len(),
            inner: count,
            right: (&*factored).into(),
            right_stride: hidden_stride,
            columns: hidden_stride,
            out: (&mut *weights).into(),
            out_stride: hidden_stride,
            change,
        };
        let following = layout.rows_of((chunk + 1).min(layout.chunks - 1));
        let exponentials = activations.logits.read_numbers(following.start * across..following.end * across);
        let output = to.output_weights().columns(following.start * hidden_stride..following.end * hidden_stride);
        I::call(ProductAhead { product, next: [exponentials.into(), output] });
        // One less at the target.
        let less = match purpose {
            Purpose::Gradient => -*scale,
            Purpose::Step { rate, .. } => rate * *scale,
        };
        for (example, &target) in targets.iter().enumerate() {
            if own.contains(&(target as usize)) {
                let row = &mut weights[(target as usize - own.start) * hidden_stride..][..hidden_stride];
                for (weight, &hidden) in row.iter_mut().zip(&hidden[example * hidden_stride..]) {
                    *weight += less * hidden;
                }
            }
        }
    }
}

/// The hidden units, [B, stride], each example's times what its exponentials are to be multiplied with.
struct Factored<'a> {
    hidden: &'a [f32],
    stride: usize,
    /// What the logits were lessened by.
    references: &'a [f32],
    /// The largest logit of all, and the scale over the sum of the exponentials.
    largest: &'a [f32],
    inverse: &'a [f32],
    factored: &'a mut [f32],
}

impl Job for Factored<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: InstructionSet>(self) {
        let Factored { hidden, stride, references, largest, inverse, factored } = self;
        for (example, (hidden, factored)) in
            hidden.chunks_exact(stride).zip(factored.chunks_exact_mut(stride)).enumerate()
        {
            let factor = factor::<I>(references[example], largest[example], inverse[example]);
            for (factored, hidden) in factored.iter_mut().zip(hidden) {
                *factored = factor * hidden;
            }
        }
    }
}

/// The parts' sums for the hidden units of sixteen examples, each times its weight and the example's, as rows.
pub(super) struct SumOfParts<'a> {
    /// [parts, hidden stride, across].
    pub(super) parts: &'a [f32],
    pub(super) layout: Layout,
    pub(super) across: usize,
    /// Not more than [`LANES`].
    pub(super) examples: Range<usize>,
    /// Of each part, for each example.
    pub(super) weights: &'a [[f32; LANES]],
    /// [examples, hidden stride].
    pub(super) d_hidden: &'a mut [f32],
}

impl Job for SumOfParts<'_> {
    type Output = ();

    #[inline(always)]
    #[allow(unsafe_code)]
    fn run<I: InstructionSet>(self) {
        let SumOfParts { parts, layout, across, examples, weights, d_hidden } = self;
        let Layout { shape, hidden_stride, .. } = layout;
        for unit in (0..shape.hidden).step_by(8) {
            // What fills up the last eight units stays zero.
            let mut sums = [[0.0; LANES]; 8];
            for (row, sums) in sums.iter_mut().enumerate().take(shape.hidden - unit) {
                let mut sum = I::Full::splat(0.0);
                for (number, weights) in weights.iter().enumerate() {
                    let part = &parts[(number * hidden_stride + unit + row) * across + examples.start..][..LANES];
                    // SAFETY: the slices have that many numbers.
                    unsafe {
                        sum = I::Full::mul_add(I::Full::load(weights.as_ptr()), I::Full::load(part.as_ptr()), sum);
                    }
                }
                // SAFETY: as above.
                unsafe { sum.store(sums.as_mut_ptr()) };
            }
            for example in 0..examples.len() {
                let row = &mut d_hidden[example * hidden_stride + unit..][..8];
                for (value, sums) in row.iter_mut().zip(&sums) {
                    *value = sums[example];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::cpu::lanes::{Level, dispatch};
    use crate::model::Shape;

    #[test]
    fn the_sums_of_parts_leave_zeros_beyond_the_hidden_units() {
        let shape = Shape { vocabulary: 2048, context: 1, embedding: 1, hidden: 13, direct: false, tied: false };
        let layout = Layout::new(shape);
        let (stride, across) = (layout.hidden_stride, across(layout, LANES).expect("a large vocabulary"));
        assert!(layout.parts == 2 && stride == 16);
        let parts: Vec<f32> = (0..layout.parts * stride * across).map(|place| (place / across + 1) as f32).collect();
        let weights = [[1.0; LANES], [2.0; LANES]];
        for level in Level::available() {
            let mut d_hidden = [-1.0; 3 * 16];
            let sum = SumOfParts {
                parts: &parts,
                layout,
                across,
                examples: 5..8,
                weights: &weights,
                d_hidden: &mut d_hidden,
            };
            dispatch(level, sum);
            for (place, &value) in d_hidden.iter().enumerate() {
                let unit = place % stride;
                let expected = if unit < 13 { (unit + 1) as f32 + 2.0 * (stride + unit + 1) as f32 } else { 0.0 };
                assert_eq!(value, expected, "{level:?}, unit {unit}");
            }
        }
    }
}
