//! The passes of a step. Phase 1, `examples`: from token ids to the gradients at the input, parallel over groups of
//! examples, parameters only read. Phase 2, `parameters`: every parameter sums its gradient and is updated at once,
//! parallel over rows, each row with one owner.

use bytemuck::cast_slice_mut;

use super::lanes::{InstructionSet, LANES, Lanes, exp};
use super::network::{Activations, Layout, Network, numbers};
use super::product::{Deltas, ExamplesProduct, Finish, ParametersProduct, Weights};
use super::threads::part;
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
                output: numbers(network.output.read()),
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
    pub(super) losses: &'a mut [Lanes],
}

impl<'a> Groups<'a> {
    /// # Safety
    /// No other thread may use these groups until a barrier after the last use.
    #[allow(unsafe_code)]
    pub(super) unsafe fn new(all: &'a Activations, layout: Layout, groups: std::ops::Range<usize>) -> Self {
        let Layout { shape, input_rows, input_stride, hidden_rows, hidden_stride } = layout;
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
        let Layout { shape, input_rows, input_stride, .. } = read.layout;
        let (context, embedding) = (shape.context, shape.embedding);
        for (example, tokens) in self.contexts.chunks_exact(context).enumerate() {
            let (group, lane) = (example / LANES, example % LANES);
            let by_example = &mut self.input_by_example[example * input_stride..][..input_stride];
            let input = &mut self.input[group * input_rows..][..input_rows];
            for (place, &token) in tokens.iter().enumerate() {
                let row = &read.embedding[token as usize * embedding..][..embedding];
                by_example[place * embedding..][..embedding].copy_from_slice(row);
                for (to, &value) in input[place * embedding..][..embedding].iter_mut().zip(row) {
                    to.0[lane] = value;
                }
            }
        }
    }

    /// hidden = tanh(W1 x + b1).
    #[inline(always)]
    pub(super) fn hidden_forward<I: InstructionSet>(&mut self, read: Read) {
        let Layout { shape, input_rows, input_stride, hidden_rows, hidden_stride } = read.layout;
        I::call(ExamplesProduct {
            weights: Weights { values: read.hidden, stride: input_stride, transposed: false },
            inner: input_rows,
            input: self.input,
            input_rows,
            result: self.hidden,
            result_rows: hidden_rows,
            rows: shape.hidden,
            accumulate: false,
            finish: Finish::Tanh { by_example: self.hidden_by_example, stride: hidden_stride },
        });
    }

    /// logits = W2 hidden + b2 (+ W_direct x).
    #[inline(always)]
    pub(super) fn logits_forward<I: InstructionSet>(&mut self, read: Read) {
        let Layout { shape, input_rows, input_stride, hidden_rows, hidden_stride } = read.layout;
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

    /// Gradient before tanh: (W2' d_logits) (1 - hidden^2).
    #[inline(always)]
    pub(super) fn hidden_backward<I: InstructionSet>(&mut self, read: Read) {
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
            finish: Finish::TanhBackward { hidden: self.hidden, hidden_rows },
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
                accumulate: true,
                finish: Finish::Keep,
            });
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

/// Phase 2 for the rows of thread `index` of `threads`, with the gradients of `from` on the parameters of `to`.
///
/// # Safety
/// All threads call it with the same buffers between two barriers, and nobody else uses `to` meanwhile.
#[inline(always)]
#[allow(unsafe_code)]
pub(super) unsafe fn parameters_update<I: InstructionSet>(
    to: &Network,
    from: &Activations,
    batch: usize,
    rate: f32,
    index: usize,
    threads: usize,
) {
    let Layout { shape, input_stride, hidden_stride, .. } = to.layout;
    let (vocabulary, units) = (shape.vocabulary, shape.hidden);
    // SAFETY: activations are only read in this phase, and each thread writes the rows that `part` gives to it alone.
    // Rows are multiples of half a cache line, so the buffers are cut as numbers, not as lines.
    unsafe {
        let (logits, d_hidden) = (from.logits.read(), from.d_hidden.read());
        let input = numbers(from.input_by_example.read());
        let hidden = numbers(from.hidden_by_example.read());
        let own = part(vocabulary, index, threads);
        let weights = to.output.write_numbers(own.start * hidden_stride..own.end * hidden_stride);
        let deltas = Deltas { values: logits, rows: vocabulary, first: own.start };
        I::call(ParametersProduct { weights, stride: hidden_stride, deltas, input: hidden, batch, rate });
        if shape.direct {
            let weights = to.direct.write_numbers(own.start * input_stride..own.end * input_stride);
            I::call(ParametersProduct { weights, stride: input_stride, deltas, input, batch, rate });
        }
        let own_units = part(units, index, threads);
        let weights = to.hidden.write_numbers(own_units.start * input_stride..own_units.end * input_stride);
        let deltas = Deltas { values: d_hidden, rows: units, first: own_units.start };
        I::call(ParametersProduct { weights, stride: input_stride, deltas, input, batch, rate });

        let range = own.start * shape.embedding..own.end * shape.embedding;
        embedding_scatter::<I>(
            to.embedding.write_numbers(range.clone()),
            to.embedding_gradient.write_numbers(range),
            own,
            shape.embedding,
            (from.contexts.read(), shape.context),
            from.d_input.read(),
            batch,
            rate,
        );
    }
}

/// Sums the gradient of each owned token over its occurrences, in order, then updates the rows that occurred. A second
/// visit of a row subtracts zero.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn embedding_scatter<I: InstructionSet>(
    rows: &mut [f32],
    gradient: &mut [f32],
    own: std::ops::Range<usize>,
    embedding: usize,
    (contexts, context): (&[u32], usize),
    d_input: &[Lanes],
    batch: usize,
    rate: f32,
) {
    let inputs = context * embedding;
    let owned = |token: u32| own.contains(&(token as usize)).then(|| (token as usize - own.start) * embedding);
    for (example, tokens) in contexts.chunks_exact(context).take(batch).enumerate() {
        let d_input = &d_input[example / LANES * inputs..][..inputs];
        for (place, &token) in tokens.iter().enumerate() {
            let Some(start) = owned(token) else { continue };
            let d_row = &d_input[place * embedding..][..embedding];
            for (sum, d) in gradient[start..][..embedding].iter_mut().zip(d_row) {
                *sum += d.0[example % LANES];
            }
        }
    }
    for &token in &contexts[..batch * context] {
        let Some(start) = owned(token) else { continue };
        for (value, sum) in rows[start..][..embedding].iter_mut().zip(&mut gradient[start..][..embedding]) {
            *value = I::mul_add(-rate, *sum, *value);
            *sum = 0.0;
        }
    }
}
