//! The passes of a step. Phase 1, `examples`: from token ids to the gradients at the input, parallel over groups of
//! examples, parameters only read. Phase 2, `parameters`: every parameter sums its gradient and is updated at once,
//! parallel over rows, each row with one owner.

use bytemuck::cast_slice_mut;

use super::dropout::DrawMask;
use super::lanes::{InstructionSet, LANES, Lanes, exp};
use super::network::{Activations, Layout, Network, numbers};
use super::product::{ExamplesProduct, Finish, Weights};
use crate::engine::Mask;
use crate::text::Corpus;

/// The parameters while nobody writes them.
#[derive(Clone, Copy)]
pub(super) struct Read<'a> {
    pub(super) layout: Layout,
    embedding: &'a [f32],
    hidden: &'a [f32],
    output: &'a [f32],
    direct: &'a [f32],
}

impl<'a> Read<'a> {
    /// # Safety
    /// No thread may write parameters until a barrier after the last use.
    #[allow(unsafe_code)]
    pub(super) unsafe fn new(network: &'a Network) -> Self {
        // SAFETY: the caller's promise.
        unsafe {
            Read {
                layout: network.layout,
                embedding: numbers(network.embedding.read()),
                hidden: numbers(network.hidden.read()),
                output: numbers(if network.layout.shape.tied { &network.embedding } else { &network.output }.read()),
                direct: numbers(network.direct.read()),
            }
        }
    }
}

/// The activations of some consecutive groups, for the thread that owns them.
pub(super) struct Groups<'a> {
    pub(super) contexts: &'a mut [u32],
    pub(super) targets: &'a mut [u32],
    pub(super) input: &'a mut [Lanes],
    input_by_example: &'a mut [f32],
    pub(super) hidden: &'a mut [Lanes],
    hidden_by_example: &'a mut [f32],
    pub(super) logits: &'a mut [Lanes],
    d_hidden: &'a mut [Lanes],
    d_input: &'a mut [Lanes],
    pub(super) input_mask: &'a mut [Lanes],
    pub(super) hidden_mask: &'a mut [Lanes],
    pub(super) losses: &'a mut [Lanes],
}

impl<'a> Groups<'a> {
    /// # Safety
    /// No other thread may use these groups until a barrier after the last use.
    #[allow(unsafe_code)]
    pub(super) unsafe fn new(all: &'a Activations, layout: Layout, groups: std::ops::Range<usize>) -> Self {
        let Layout { shape, input_rows, input_stride, hidden_rows, hidden_stride, .. } = layout;
        let of = |rows: usize| groups.start * rows..groups.end * rows;
        // SAFETY: the caller's promise; each range is these groups' own part of its buffer.
        unsafe {
            Groups {
                contexts: all.contexts.write(of(LANES * shape.context)),
                targets: all.targets.write(of(LANES)),
                input: all.input.write(of(input_rows)),
                input_by_example: cast_slice_mut(all.input_by_example.write(of(input_stride))),
                hidden: all.hidden.write(of(hidden_rows)),
                hidden_by_example: cast_slice_mut(all.hidden_by_example.write(of(hidden_stride))),
                logits: all.logits.write(of(shape.vocabulary)),
                d_hidden: all.d_hidden.write(of(shape.hidden)),
                d_input: all.d_input.write(of(shape.input())),
                input_mask: all.input_mask.write(of(all.input_mask_rows)),
                hidden_mask: all.hidden_mask.write(of(all.hidden_mask_rows)),
                losses: all.losses.write(of(1)),
            }
        }
    }

    /// Token ids of some examples of a corpus; the lanes after the last example get example 0's.
    #[inline(always)]
    pub(super) fn set_examples(&mut self, corpus: &Corpus, examples: &[u32]) {
        let context = corpus.context();
        for lane in 0..self.targets.len() {
            let example = examples.get(lane).copied().unwrap_or(0) as usize;
            self.contexts[lane * context..][..context].copy_from_slice(corpus.context_of(example));
            self.targets[lane] = corpus.target_of(example);
        }
    }

    /// The input of each example: its context's embeddings, oldest token first.
    #[inline(always)]
    pub(super) fn embedding_gather(&mut self, read: Read) {
        let Layout { shape, input_rows, input_stride, embedding_stride, .. } = read.layout;
        let (context, embedding) = (shape.context, shape.embedding);
        for (example, tokens) in self.contexts.chunks_exact(context).enumerate() {
            let (group, lane) = (example / LANES, example % LANES);
            let by_example = &mut self.input_by_example[example * input_stride..][..input_stride];
            let input = &mut self.input[group * input_rows..][..input_rows];
            for (place, &token) in tokens.iter().enumerate() {
                let row = &read.embedding[token as usize * embedding_stride..][..embedding];
                by_example[place * embedding..][..embedding].copy_from_slice(row);
                for (to, &value) in input[place * embedding..][..embedding].iter_mut().zip(row) {
                    to.0[lane] = value;
                }
            }
        }
        if self.input_mask.is_empty() {
            return;
        }
        let inputs = shape.input();
        for (example, row) in self.input_by_example.chunks_exact_mut(input_stride).enumerate() {
            let (group, lane) = (example / LANES, example % LANES);
            let mask = &self.input_mask[group * inputs..][..inputs];
            let input = &mut self.input[group * input_rows..][..inputs];
            for ((value, to), mask) in row.iter_mut().zip(input).zip(mask) {
                *value *= mask.0[lane];
                to.0[lane] = *value;
            }
        }
    }

    /// Draws what dropout multiplies the activations with; `first_lane` is the place in the batch of the first example.
    #[inline(always)]
    pub(super) fn draw_masks<I: InstructionSet>(
        &mut self,
        layout: Layout,
        masks: [Mask; 2],
        step: u64,
        first_lane: usize,
    ) {
        let results = [(&mut *self.input_mask, layout.shape.input()), (&mut *self.hidden_mask, layout.shape.hidden)];
        for ((result, width), mask) in results.into_iter().zip(masks) {
            if !result.is_empty() {
                I::call(DrawMask { mask, step, first_lane, result, width });
            }
        }
    }

    /// hidden = tanh(W1 x + b1).
    #[inline(always)]
    pub(super) fn hidden_forward<I: InstructionSet>(&mut self, read: Read) {
        let Layout { shape, input_rows, input_stride, hidden_rows, hidden_stride, .. } = read.layout;
        I::call(ExamplesProduct {
            weights: Weights { values: read.hidden, stride: input_stride, transposed: false },
            inner: input_rows,
            input: self.input,
            input_rows,
            result: self.hidden,
            result_rows: hidden_rows,
            rows: shape.hidden,
            accumulate: false,
            finish: Finish::Tanh { by_example: self.hidden_by_example, stride: hidden_stride, mask: self.hidden_mask },
        });
    }

    /// logits = W2 hidden + b2 (+ W_direct x).
    #[inline(always)]
    pub(super) fn logits_forward<I: InstructionSet>(&mut self, read: Read) {
        let Layout { shape, input_rows, input_stride, hidden_rows, hidden_stride, .. } = read.layout;
        let vocabulary = shape.vocabulary;
        I::call(ExamplesProduct {
            weights: Weights { values: read.output, stride: hidden_stride, transposed: false },
            inner: hidden_rows,
            input: self.hidden,
            input_rows: hidden_rows,
            result: self.logits,
            result_rows: vocabulary,
            rows: vocabulary,
            accumulate: false,
            finish: Finish::Keep,
        });
        if shape.direct {
            I::call(ExamplesProduct {
                weights: Weights { values: read.direct, stride: input_stride, transposed: false },
                inner: shape.input(),
                input: self.input,
                input_rows,
                result: self.logits,
                result_rows: vocabulary,
                rows: vocabulary,
                accumulate: true,
                finish: Finish::Keep,
            });
        }
    }

    /// Loss of each example, and the logits overwritten by the gradient of `scale` times the loss: p - 1 at the target,
    /// p elsewhere. The largest logit is subtracted first, so nothing overflows.
    #[inline(always)]
    pub(super) fn softmax_cross_entropy<I: InstructionSet>(&mut self, read: Read, scale: f32) {
        let vocabulary = read.layout.shape.vocabulary;
        for (group, logits) in self.logits.chunks_exact_mut(vocabulary).enumerate() {
            let targets = &self.targets[group * LANES..][..LANES];
            let (loss, sum) = exponentials::<I>(logits, targets);
            self.losses[group] = loss;
            let factor = sum.map(
                #[inline(always)]
                |sum| scale / sum,
            );
            for logit in logits.iter_mut() {
                *logit = logit.zip(
                    factor,
                    #[inline(always)]
                    |e, factor| e * factor,
                );
            }
            for (lane, &target) in targets.iter().enumerate() {
                logits[target as usize].0[lane] -= scale;
            }
        }
    }

    /// Loss of each example and the logits overwritten by the probabilities.
    #[inline(always)]
    pub(super) fn softmax<I: InstructionSet>(&mut self, read: Read) {
        for (group, logits) in self.logits.chunks_exact_mut(read.layout.shape.vocabulary).enumerate() {
            let (loss, sum) = exponentials::<I>(logits, &self.targets[group * LANES..][..LANES]);
            self.losses[group] = loss;
            for logit in logits.iter_mut() {
                *logit = logit.zip(
                    sum,
                    #[inline(always)]
                    |e, sum| e / sum,
                );
            }
        }
    }

    /// Gradient before tanh: (W2' d_logits) (1 - tanh^2), times what dropout multiplied with; `share_kept` is what it keeps.
    #[inline(always)]
    pub(super) fn hidden_backward<I: InstructionSet>(&mut self, read: Read, share_kept: f32) {
        let Layout { shape, hidden_rows, hidden_stride, .. } = read.layout;
        I::call(ExamplesProduct {
            weights: Weights { values: read.output, stride: hidden_stride, transposed: true },
            inner: shape.vocabulary,
            input: self.logits,
            input_rows: shape.vocabulary,
            result: self.d_hidden,
            result_rows: shape.hidden,
            rows: shape.hidden,
            accumulate: false,
            finish: Finish::TanhBackward { hidden: self.hidden, hidden_rows, mask: self.hidden_mask, share_kept },
        });
    }

    /// Gradient of the input: W1' d_hidden (+ W_direct' d_logits).
    #[inline(always)]
    pub(super) fn input_backward<I: InstructionSet>(&mut self, read: Read) {
        let Layout { shape, input_stride, .. } = read.layout;
        I::call(ExamplesProduct {
            weights: Weights { values: read.hidden, stride: input_stride, transposed: true },
            inner: shape.hidden,
            input: self.d_hidden,
            input_rows: shape.hidden,
            result: self.d_input,
            result_rows: shape.input(),
            rows: shape.input(),
            accumulate: false,
            finish: Finish::Keep,
        });
        if shape.direct {
            I::call(ExamplesProduct {
                weights: Weights { values: read.direct, stride: input_stride, transposed: true },
                inner: shape.vocabulary,
                input: self.logits,
                input_rows: shape.vocabulary,
                result: self.d_input,
                result_rows: shape.input(),
                rows: shape.input(),
                accumulate: shape.hidden > 0,
                finish: Finish::Keep,
            });
        }
        for (d, mask) in self.d_input.iter_mut().zip(&*self.input_mask) {
            *d = d.zip(
                *mask,
                #[inline(always)]
                |d, mask| d * mask,
            );
        }
    }
}

/// Overwrites logits by exp(logit - largest); returns the loss of each example and the sum of the exponentials.
#[inline(always)]
fn exponentials<I: InstructionSet>(logits: &mut [Lanes], targets: &[u32]) -> (Lanes, Lanes) {
    let mut largest = logits[0];
    for logit in &logits[1..] {
        largest = largest.zip(
            *logit,
            #[inline(always)]
            |a, b| if b > a { b } else { a },
        );
    }
    let mut at_target = Lanes::ZERO;
    for (lane, &target) in targets.iter().enumerate() {
        at_target.0[lane] = logits[target as usize].0[lane];
    }
    let mut sum = Lanes::ZERO;
    for logit in logits.iter_mut() {
        *logit = logit.zip(
            largest,
            #[inline(always)]
            |logit, largest| exp::<I>(logit - largest),
        );
        sum = sum.zip(
            *logit,
            #[inline(always)]
            |sum, e| sum + e,
        );
    }
    let loss = sum.map(f32::ln).zip(largest.zip(at_target, |a, b| a - b), |log, rest| log + rest);
    (loss, sum)
}
