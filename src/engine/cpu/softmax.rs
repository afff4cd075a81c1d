//! The softmax of a chunk of the vocabulary: exponentials while the largest logit so far is known, and the gradient of the
//! logits when all of them are.

use std::ops::Range;

use super::activations::Activations;
use super::functions::{exp, ln};
use super::lanes::{InstructionSet, Job, LANES, Lanes};
use super::network::Layout;
use super::vector::Vector;

/// What is known of the softmax of some examples after the chunks so far.
pub(super) struct Softmax<'a> {
    /// The largest logit.
    pub(super) largest: &'a mut [f32],
    /// The sum of exp(logit - largest), lane by lane.
    pub(super) sums: &'a mut [Lanes],
    /// The logit of the target, once its chunk was there.
    pub(super) at_target: &'a mut [f32],
    /// What was summed of the hidden gradient so far, [examples, hidden stride]; or nothing.
    pub(super) d_hidden: &'a mut [f32],
}

/// Takes the exponentials of a chunk's logits.
pub(super) struct Exponentials<'a> {
    /// [examples, stride], of which the first `rows` numbers and those that fill up their block count.
    pub(super) logits: &'a mut [f32],
    pub(super) stride: usize,
    pub(super) rows: Range<usize>,
    pub(super) targets: &'a [u32],
    pub(super) softmax: Softmax<'a>,
    pub(super) hidden_stride: usize,
    /// What the logits of each example were lessened by.
    pub(super) references: &'a mut [f32],
    /// Whether nothing was summed yet.
    pub(super) first: bool,
    /// Where else the exponentials go, as the logits stand; or nothing.
    pub(super) kept: &'a mut [f32],
}

impl Job for Exponentials<'_> {
    type Output = ();

    #[inline(always)]
    #[allow(unsafe_code)]
    fn run<I: InstructionSet>(self) {
        let Exponentials { logits, stride, rows, targets, softmax, hidden_stride, references, first, kept } = self;
        let Softmax { largest, sums, at_target, d_hidden } = softmax;
        let width = rows.len().next_multiple_of(LANES);
        for (example, logits) in logits.chunks_exact_mut(stride).enumerate() {
            let target = (targets[example] as usize).wrapping_sub(rows.start);
            if target < rows.len() {
                at_target[example] = logits[target];
            }
            let logits = &mut logits[..width];
            let place = logits.as_mut_ptr();
            // SAFETY: blocks below the width lie within the logits.
            unsafe {
                let mut lanes = I::Full::load(place);
                for block in (LANES..width).step_by(LANES) {
                    lanes = I::Full::load(place.add(block)).at_least(lanes);
                }
                let most = lanes.largest();
                let mut sum = I::Full::load(sums[example].0.as_ptr());
                if first {
                    largest[example] = most;
                    sum = I::Full::splat(0.0);
                } else if most > largest[example] {
                    let factor = exp_of_one::<I>(largest[example] - most);
                    largest[example] = most;
                    sum = sum.mul(I::Full::splat(factor));
                    if !d_hidden.is_empty() {
                        d_hidden[example * hidden_stride..][..hidden_stride].iter_mut().for_each(
                            #[inline(always)]
                            |value| *value *= factor,
                        );
                    }
                }
                let reference = I::Full::splat(largest[example]);
                let kept = if kept.is_empty() { None } else { Some(kept[example * stride..][..width].as_mut_ptr()) };
                for block in (0..width).step_by(LANES) {
                    let e = exp(I::Full::load(place.add(block)).sub(reference));
                    e.store(place.add(block));
                    if let Some(kept) = kept {
                        e.stream(kept.add(block));
                    }
                    sum = sum.add(e);
                }
                sum.store(sums[example].0.as_mut_ptr());
            }
            references[example] = largest[example];
        }
    }
}

/// `e^x` of one number, with the same arithmetic as that of a vector.
#[inline(always)]
pub(super) fn exp_of_one<I: InstructionSet>(x: f32) -> f32 {
    exp(I::Half::splat(x)).largest()
}

/// `ln x` of one number, so too.
#[inline(always)]
pub(super) fn ln_of_one<I: InstructionSet>(x: f32) -> f32 {
    ln(I::Half::splat(x)).largest()
}

/// What the exponentials of an example in a chunk are to be multiplied with: its logits were lessened by `reference` there,
/// `largest` is the largest of all, and `inverse` the scale over the sum of all exponentials.
#[inline(always)]
pub(super) fn factor<I: InstructionSet>(reference: f32, largest: f32, inverse: f32) -> f32 {
    // Where the largest logit came before this chunk, the exponential is that of zero.
    let difference = reference - largest;
    if difference == 0.0 { inverse } else { exp_of_one::<I>(difference) * inverse }
}

/// Turns the exponentials of a chunk into the gradient of the logits, `scale` times (p - 1 at the target, p elsewhere).
pub(super) struct LogitsGradient<'a> {
    /// The exponentials, [examples, stride]; or nothing where the gradient takes their place.
    pub(super) exponentials: &'a [f32],
    /// [examples, stride].
    pub(super) logits: &'a mut [f32],
    pub(super) stride: usize,
    pub(super) rows: Range<usize>,
    pub(super) targets: &'a [u32],
    /// What the logits were lessened by.
    pub(super) references: &'a [f32],
    /// The largest logit of all, and the scale over the sum of the exponentials.
    pub(super) largest: &'a [f32],
    pub(super) inverse: &'a [f32],
    pub(super) scale: f32,
}

impl Job for LogitsGradient<'_> {
    type Output = ();

    #[inline(always)]
    #[allow(unsafe_code)]
    fn run<I: InstructionSet>(self) {
        let LogitsGradient { exponentials, logits, stride, rows, targets, references, largest, inverse, scale } = self;
        let width = rows.len().next_multiple_of(LANES);
        for (example, logits) in logits.chunks_exact_mut(stride).enumerate() {
            let factor = I::Full::splat(factor::<I>(references[example], largest[example], inverse[example]));
            let logits = &mut logits[..width];
            let from = match exponentials {
                [] => logits.as_ptr(),
                all => all[example * stride..][..width].as_ptr(),
            };
            for block in (0..width).step_by(LANES) {
                // SAFETY: blocks below the width lie within both.
                unsafe { I::Full::load(from.add(block)).mul(factor).store(logits.as_mut_ptr().add(block)) };
            }
            let target = (targets[example] as usize).wrapping_sub(rows.start);
            if target < rows.len() {
                logits[target] -= scale;
            }
        }
    }
}

/// Makes the gradient of the logits of some examples in a chunk: in a buffer apart, or where their exponentials stand.
///
/// # Safety
/// They are this thread's own, and what [`super::output::Finish`] leaves of these examples was written before a barrier or
/// by this thread.
#[inline(always)]
#[allow(unsafe_code)]
pub(super) unsafe fn gradient_of_logits<I: InstructionSet>(
    layout: Layout,
    activations: &Activations,
    targets: &[u32],
    chunk: usize,
    examples: Range<usize>,
    scale: f32,
    apart: Option<&mut [f32]>,
) {
    let (batch, stride) = (activations.batch, layout.chunk);
    let of = |first: usize, width: usize| (first + examples.start) * width..(first + examples.end) * width;
    // SAFETY: the caller's promise.
    unsafe {
        let own = of(chunk * batch, stride);
        let (exponentials, logits): (&[f32], _) = match apart {
            Some(apart) => (activations.logits.read_numbers(own), apart),
            None => (&[], activations.logits.write_numbers(own)),
        };
        I::call(LogitsGradient {
            exponentials,
            logits,
            stride,
            rows: layout.rows_of(chunk),
            targets: &targets[examples.clone()],
            references: activations.references.read_numbers(of(chunk * batch, 1)),
            largest: activations.normalizers.read_numbers(of(0, 1)),
            inverse: activations.normalizers.read_numbers(of(batch, 1)),
            scale,
        });
    }
}
