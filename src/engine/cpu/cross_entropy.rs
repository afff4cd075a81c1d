//! Softmax, loss and the gradient of the logits where threads share out the hidden units: an example's logits are all there
//! at once.

use std::ops::Range;

use super::activations::{Activations, Scratch};
use super::functions::{exp, ln};
use super::home::Whole;
use super::lanes::{InstructionSet, Job, LANES, Lanes};
use super::network::Layout;
use super::share::sum_of_blocks;
use super::threads::Shared;
use super::vector::{Vector, lanes};

/// Logits, loss and the logits' gradient of some examples.
///
/// # Safety
/// These examples are this thread's own, or the logits and losses are; what the blocks add was written before a barrier.
#[inline(always)]
#[allow(unsafe_code)]
pub(super) unsafe fn softmax_cross_entropy<I: InstructionSet>(
    layout: Layout,
    whole: &Whole,
    scratch: &Scratch,
    activations: &Activations,
    examples: Range<usize>,
    in_pairs: bool,
    scale: f32,
) {
    let Layout { chunk: stride, chunks, blocks, .. } = layout;
    let batch = activations.batch;
    // SAFETY: the caller's promise.
    let (terms, losses) = unsafe {
        let terms = activations.logits_blocks.read_numbers(0..blocks * chunks * batch * stride);
        (terms, whole.losses.write_numbers(examples.clone()))
    };
    I::call(SoftmaxCrossEntropy {
        layout,
        batch,
        logits: whole.logits,
        terms,
        in_pairs,
        targets: &scratch.drawn.targets,
        examples,
        scale,
        losses,
    });
}

/// The sum of what the blocks add to the logits of some examples, its softmax, the loss and the gradient of the logits.
struct SoftmaxCrossEntropy<'a> {
    layout: Layout,
    batch: usize,
    /// [chunks, B, chunk].
    logits: &'a Shared<Lanes>,
    /// [blocks, chunks, B, chunk].
    terms: &'a [f32],
    in_pairs: bool,
    /// [B].
    targets: &'a [u32],
    examples: Range<usize>,
    /// The gradient is that of `scale` times the loss.
    scale: f32,
    /// Of these examples.
    losses: &'a mut [f32],
}

impl Job for SoftmaxCrossEntropy<'_> {
    type Output = ();

    #[inline(always)]
    #[allow(unsafe_code)]
    fn run<I: InstructionSet>(self) {
        let SoftmaxCrossEntropy { layout, batch, logits: all, terms, in_pairs, targets, examples, scale, losses } =
            self;
        let Layout { chunk: stride, chunks, blocks, .. } = layout;
        let block_stride = chunks * batch * stride;
        assert!(examples.end <= batch && examples.end <= targets.len() && blocks * block_stride <= terms.len());
        // Sixteen examples at a time, each step for all of them before the next: one example's largest logit, exponentials and
        // sum wait for each other (`notebook`: 3 % more steps a second than example by example).
        for (first, losses) in examples.step_by(LANES).zip(losses.chunks_mut(LANES)) {
            let count = losses.len();
            let targets = &targets[first..first + count];
            let mut of_each = [Lanes([f32::NEG_INFINITY; LANES]); LANES];
            let mut at_target = Lanes::ZERO;
            // SAFETY: the logits of these examples are this thread's own, and every block has as many terms. Those of a chunk
            // are whole vectors: what stands beyond the vocabulary is minus infinity.
            unsafe {
                let of_chunk = |chunk: usize| {
                    let (rows, place) = (layout.rows_of(chunk), (chunk * batch + first) * stride);
                    let logits = all.write_numbers(place..place + count * stride).as_mut_ptr();
                    (place, logits, rows.start, rows.len(), rows.len().next_multiple_of(LANES))
                };
                for chunk in 0..chunks {
                    let (place, logits, start, rows, width) = of_chunk(chunk);
                    for (lane, &target) in targets.iter().enumerate() {
                        let own = lane * stride;
                        let mut most = I::Full::load(of_each[lane].0.as_ptr());
                        for column in (own..own + width).step_by(LANES) {
                            let sum = sum_of_blocks::<I::Full>(terms, block_stride, place + column, blocks, in_pairs);
                            sum.store(logits.add(column));
                            most = sum.at_least(most);
                        }
                        most.store(of_each[lane].0.as_mut_ptr());
                        let target = (target as usize).wrapping_sub(start);
                        if target < rows {
                            at_target.0[lane] = *logits.add(own + target);
                        }
                    }
                }
                let largest = across::<I>(
                    &of_each,
                    #[inline(always)]
                    |a, b| a.at_least(b),
                );
                let references = lanes(largest);
                of_each = [Lanes::ZERO; LANES];
                for chunk in 0..chunks {
                    let (_, logits, _, _, width) = of_chunk(chunk);
                    for lane in 0..count {
                        let own = lane * stride;
                        let reference = I::Full::splat(references.0[lane]);
                        let mut sum = I::Full::load(of_each[lane].0.as_ptr());
                        for column in (own..own + width).step_by(LANES) {
                            let e = exp(I::Full::load(logits.add(column)).sub(reference));
                            e.store(logits.add(column));
                            sum = sum.add(e);
                        }
                        sum.store(of_each[lane].0.as_mut_ptr());
                    }
                }
                let sums = across::<I>(
                    &of_each,
                    #[inline(always)]
                    |a, b| a.add(b),
                );
                let factors = lanes(I::Full::splat(scale).div(sums));
                for chunk in 0..chunks {
                    let (_, logits, start, rows, width) = of_chunk(chunk);
                    for (lane, &target) in targets.iter().enumerate() {
                        let own = lane * stride;
                        let factor = I::Full::splat(factors.0[lane]);
                        for column in (own..own + width).step_by(LANES) {
                            I::Full::load(logits.add(column)).mul(factor).store(logits.add(column));
                        }
                        let target = (target as usize).wrapping_sub(start);
                        if target < rows {
                            *logits.add(own + target) -= scale;
                        }
                    }
                }
                let of_all = lanes(ln(sums).add(largest.sub(I::Full::load(at_target.0.as_ptr()))));
                losses.copy_from_slice(&of_all.0[..count]);
            }
        }
    }
}

/// What a function of two makes of all numbers of each row, with one row's result beside the other's.
#[inline(always)]
#[allow(unsafe_code)]
fn across<I: InstructionSet>(rows: &[Lanes; LANES], both: impl Fn(I::Full, I::Full) -> I::Full) -> I::Full {
    const HALF: usize = LANES / 2;
    let mut columns = [Lanes::ZERO; LANES];
    // SAFETY: four blocks of 8 x 8 are all rows and columns.
    unsafe {
        let (from, to): (*const f32, *mut f32) = (rows.as_ptr().cast(), columns.as_mut_ptr().cast());
        for (row, column) in [(0, 0), (0, HALF), (HALF, 0), (HALF, HALF)] {
            I::transpose(from.add(row * LANES + column), LANES, to.add(column * LANES + row), LANES);
        }
        let mut result = I::Full::load(to);
        for column in 1..LANES {
            result = both(result, I::Full::load(to.add(column * LANES)));
        }
        result
    }
}
