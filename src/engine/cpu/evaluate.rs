//! The forward pass over a whole corpus, and one pass forward and backward for checks.

use bytemuck::cast_slice_mut;

use super::activations::{Activations, Scratch};
use super::clock::Timer;
use super::draw::Drawn;
use super::gradients::{Batch, gradients_of_batch};
use super::hidden::{embedding_gather, hidden_forward, hidden_terms, hidden_units};
use super::home::{Columns, Home, Whole};
use super::lanes::{InstructionSet, Job, LANES, Lanes, dispatch};
use super::network::{Layout, Network, Read, numbers};
use super::output::logits_forward;
use super::share::Share;
use super::softmax::{Exponentials, Softmax, exp_of_one, ln_of_one};
use super::step::Turn;
use super::threads::{Barrier, Shared, aligned, part};
use super::vector::Vector;
use super::{Cpu, mean_of_batch};
use crate::Result;
use crate::engine::Recipe;
use crate::text::Corpus;

/// Examples that a thread works on at a time, at most: the output weights are read once for all of them.
const BLOCK: usize = 256;

/// What is asked of each example.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Wanted {
    /// The logarithm of the probability of its target: one number.
    LogProbability,
    /// All probabilities: V numbers.
    Distribution,
}

impl Cpu {
    /// Runs the forward pass over a corpus that fits the network, each thread on a part of it.
    pub(super) fn evaluate(&self, corpus: &Corpus, wanted: Wanted) -> Result<Vec<f32>> {
        let network = self.network()?;
        if corpus.is_empty() {
            return Ok(Vec::new());
        }
        let width = match wanted {
            Wanted::LogProbability => 1,
            Wanted::Distribution => network.layout.shape.vocabulary,
        };
        let mut result = vec![0.0; corpus.len() * width];
        let (level, threads) = (self.level, self.crew.threads().min(corpus.len()));
        let mut rest = &mut *result;
        let parts = (0..threads).map(|index| {
            let examples = part(corpus.len(), index, threads);
            let (own, others) = std::mem::take(&mut rest).split_at_mut(examples.len() * width);
            rest = others;
            Forward { network, corpus, first: examples.start, width, result: own, wanted }
        });
        self.crew.share(parts.collect(), |forward| dispatch(level, forward));
        Ok(result)
    }
}

struct Forward<'a> {
    network: &'a Network,
    corpus: &'a Corpus,
    first: usize,
    width: usize,
    result: &'a mut [f32],
    wanted: Wanted,
}

impl Job for Forward<'_> {
    type Output = ();

    #[inline(always)]
    #[allow(unsafe_code)]
    fn run<I: InstructionSet>(self) {
        let Forward { network, corpus, first, width, result, wanted } = self;
        let layout = network.layout.by_position();
        let Layout { shape, hidden_stride, chunk: stride, chunks, .. } = layout;
        let columns = 0..hidden_stride;
        let examples = result.len() / width;
        let block = BLOCK.min(examples);
        // Where each token comes often, what it adds to the hidden units is known for all of them from the start.
        let all = shape.vocabulary <= examples;
        let pairs = shape.context * if all { shape.vocabulary } else { block };
        let mut scratch = Scratch::new(layout, block, pairs, hidden_stride);
        // SAFETY: nobody writes parameters while the engine is borrowed.
        let read = Read { layout, ..unsafe { Read::new(network) } };
        if all {
            scratch.drawn.pairs.set_all();
            embedding_gather(layout, read.embedding, &mut scratch, &[]);
            let weights = Columns::new(&network.hidden, hidden_stride, &columns);
            // SAFETY: as above.
            unsafe { hidden_terms::<I>(layout, weights, &mut scratch, 0) };
        }
        let mut hidden = aligned(block * hidden_stride);
        let ones: &mut [f32] = cast_slice_mut(hidden.get_mut());
        ones.chunks_exact_mut(hidden_stride).for_each(|example| example[shape.hidden] = 1.0);
        let nothing = Shared::new(Lanes::ZERO, 0);
        let kept = if wanted == Wanted::Distribution { chunks } else { 1 };
        let mut logits = vec![Lanes::ZERO; kept * block * stride / LANES];
        let mut references = vec![0.0; kept * block];
        let (mut largest, mut at_target) = (vec![0.0; block], vec![0.0; block]);
        let mut sums = vec![Lanes::ZERO; block];
        for (number, out) in result.chunks_mut(block * width).enumerate() {
            let count = out.len() / width;
            let begin = first + number * block;
            scratch.drawn.set_examples(corpus, begin..begin + count);
            let Drawn { contexts, pairs, .. } = &mut scratch.drawn;
            let units = [&hidden, &nothing].map(|buffer| Columns::new(buffer, hidden_stride, &columns));
            let home = Home::with_units(network, units, &columns);
            // SAFETY: the hidden units are this thread's own.
            unsafe {
                if all {
                    pairs.find(contexts);
                    if shape.hidden > 0 {
                        hidden_units::<I>(layout, &home, &scratch, 0);
                    }
                } else {
                    pairs.set(contexts, false);
                    embedding_gather(layout, read.embedding, &mut scratch, &[]);
                    if shape.hidden > 0 {
                        hidden_forward::<I>(layout, &home, &mut scratch, 0);
                    }
                }
            }
            let hidden = &numbers(hidden.get_mut())[..count * hidden_stride];
            for chunk in 0..chunks {
                let place = if kept > 1 { chunk } else { 0 };
                let logits: &mut [f32] = cast_slice_mut(&mut logits);
                let logits = &mut logits[place * block * stride..][..count * stride];
                logits_forward::<I>(read, &mut scratch, chunk, hidden, 0..count, logits);
                I::call(Exponentials {
                    logits,
                    stride,
                    rows: layout.rows_of(chunk),
                    targets: &scratch.drawn.targets,
                    softmax: Softmax {
                        largest: &mut largest,
                        sums: &mut sums,
                        at_target: &mut at_target,
                        d_hidden: &mut [],
                    },
                    hidden_stride,
                    references: &mut references[place * block..],
                    first: chunk == 0,
                    kept: &mut [],
                });
            }
            for (example, out) in out.chunks_exact_mut(width).enumerate() {
                // SAFETY: a line has that many numbers.
                let sum = unsafe { I::Full::load(sums[example].0.as_ptr()).sum() };
                match wanted {
                    Wanted::LogProbability => out[0] = (at_target[example] - largest[example]) - ln_of_one::<I>(sum),
                    Wanted::Distribution => {
                        for (chunk, out) in out.chunks_mut(stride).enumerate() {
                            let place = chunk * block + example;
                            let factor = exp_of_one::<I>(references[place] - largest[example]) / sum;
                            let logits = &numbers(&logits)[place * stride..];
                            out.iter_mut().zip(logits).for_each(
                                #[inline(always)]
                                |(out, e)| *out = e * factor,
                            );
                        }
                    }
                }
            }
        }
    }
}

/// One pass over all of a corpus as one batch; the gradients go to a network of zeros.
pub(super) struct Examine<'a> {
    pub(super) network: &'a Network,
    pub(super) corpus: &'a Corpus,
    pub(super) activations: &'a Activations,
    pub(super) gradients: &'a Network,
}

impl Job for Examine<'_> {
    /// Hidden activations [B, h], logits [B, V], mean loss.
    type Output = (Vec<f32>, Vec<f32>, f64);

    #[inline(always)]
    #[allow(unsafe_code)]
    fn run<I: InstructionSet>(self) -> Self::Output {
        let Examine { network, corpus, activations, gradients } = self;
        let (layout, batch) = (network.layout, corpus.len());
        let Layout { shape, hidden_stride, chunk: stride, .. } = layout;
        let mut scratch = Scratch::new(layout, batch, activations.pairs, hidden_stride);
        scratch.drawn.set_examples(corpus, 0..batch);
        scratch.drawn.find_pairs(layout, false);
        let scale = 1.0 / batch as f32;
        let mut logits = vec![0.0; batch * shape.vocabulary];
        // SAFETY: this is the only thread.
        unsafe {
            let read = Read::new(network);
            let share = Share::new(layout, (0, 1));
            let home = Home::common(network, activations, &share.columns);
            embedding_gather(layout, read.embedding, &mut scratch, &[]);
            if shape.hidden > 0 {
                hidden_forward::<I>(layout, &home, &mut scratch, 0);
            }
            let hidden = activations.hidden.read_numbers(0..batch * hidden_stride);
            let mut of_chunk = vec![0.0; batch * stride];
            for chunk in 0..layout.chunks {
                let rows = layout.rows_of(chunk);
                logits_forward::<I>(read, &mut scratch, chunk, hidden, 0..batch, &mut of_chunk);
                for (to, from) in logits.chunks_exact_mut(shape.vocabulary).zip(of_chunk.chunks_exact(stride)) {
                    to[rows.clone()].copy_from_slice(&from[..rows.len()]);
                }
            }
            let barrier = Barrier::new(1);
            let nothing = Recipe::default();
            let masks = [nothing.input_mask(0), nothing.hidden_mask(0)];
            let whole = Whole::common(network, activations);
            let turn = Turn { network, barrier: &barrier, masks, whose: (0, 1) };
            let mut examined = Batch { activations, scratch: &mut scratch, home, whole, share: &share, scale };
            turn.examples::<I>(&mut examined, 0, &mut Timer::new(None), || ());
            gradients_of_batch::<I>(network, gradients, &mut examined, &barrier, (0, 1));
            let units = hidden.chunks_exact(hidden_stride).flat_map(|example| &example[..shape.hidden]);
            let loss = mean_of_batch(numbers(activations.losses.read()), batch);
            (units.copied().collect(), logits, loss)
        }
    }
}
