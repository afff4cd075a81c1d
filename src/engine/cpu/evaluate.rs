//! The forward pass over a whole corpus, and one pass forward and backward for checks.

use super::lanes::{InstructionSet, Job, LANES, dispatch};
use super::network::{Activations, Network};
use super::passes::{Groups, Read};
use super::threads::part;
use super::update::gradients_of_batch;
use super::{Cpu, mean_of_batch};
use crate::text::Corpus;

/// Most bytes of logits that a thread works on at a time. With words the output weights are read once for all of them: four
/// megabytes instead of one were measured at 20 % less time for 17,907 words, eight at no less than four.
const LOGITS_BLOCK: usize = 4 << 20;
/// Most groups that a thread works on at a time.
const MOST_GROUPS: usize = 16;

impl Cpu {
    /// Runs the forward pass over a corpus, each thread on a part of it, and lets `take` read the results: it is given
    /// the groups, with probabilities in place of the logits, an example's place in them, and that example's `width`
    /// numbers of `result`.
    pub(super) fn evaluate(
        &self,
        corpus: &Corpus,
        width: usize,
        result: &mut [f32],
        take: impl Fn(&Groups, usize, &mut [f32]) + Copy + Send,
    ) {
        let network = self.network();
        std::thread::scope(|scope| {
            let mut rest = result;
            for index in 0..self.threads {
                let examples = part(corpus.len(), index, self.threads);
                let (own, others) = rest.split_at_mut(examples.len() * width);
                rest = others;
                let forward = Forward { network, corpus, first: examples.start, width, result: own, take };
                let level = self.level;
                scope.spawn(move || dispatch(level, forward));
            }
        });
    }
}

struct Forward<'a, F> {
    network: &'a Network,
    corpus: &'a Corpus,
    first: usize,
    width: usize,
    result: &'a mut [f32],
    take: F,
}

impl<F: Fn(&Groups, usize, &mut [f32])> Job for Forward<'_, F> {
    type Output = ();

    #[inline(always)]
    #[allow(unsafe_code)]
    fn run<I: InstructionSet>(self) {
        let layout = self.network.layout;
        let group_bytes = layout.shape.vocabulary * LANES * size_of::<f32>();
        let block = (LOGITS_BLOCK / group_bytes).clamp(1, MOST_GROUPS) * LANES;
        let activations = Activations::new(layout, block, [false; 2]);
        for (number, out) in self.result.chunks_mut(block * self.width).enumerate() {
            let count = out.len() / self.width;
            let first = (self.first + number * block) as u32;
            let examples: Vec<u32> = (first..first + count as u32).collect();
            // SAFETY: nobody writes parameters while the engine is borrowed, and the activations are this thread's.
            let (read, mut groups) = unsafe {
                let groups = 0..count.div_ceil(LANES);
                (Read::new(self.network), Groups::new(&activations, layout, groups))
            };
            groups.set_examples(self.corpus, &examples);
            groups.embedding_gather(read);
            groups.hidden_forward::<I>(read);
            groups.logits_forward::<I>(read);
            groups.softmax::<I>(read);
            for (example, out) in out.chunks_exact_mut(self.width).enumerate() {
                (self.take)(&groups, example, out);
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
        let shape = layout.shape;
        let examples: Vec<u32> = (0..batch as u32).collect();
        // SAFETY: this is the only thread.
        let (read, mut groups) =
            unsafe { (Read::new(network), Groups::new(activations, layout, 0..activations.groups)) };
        groups.set_examples(corpus, &examples);
        groups.embedding_gather(read);
        groups.hidden_forward::<I>(read);
        groups.logits_forward::<I>(read);
        let hidden = Activations::by_example(groups.hidden, layout.hidden_rows, shape.hidden, batch);
        let logits = Activations::by_example(groups.logits, shape.vocabulary, shape.vocabulary, batch);
        groups.softmax_cross_entropy::<I>(read, 1.0 / batch as f32);
        let loss = mean_of_batch(groups.losses, batch);
        groups.hidden_backward::<I>(read, 1.0);
        groups.input_backward::<I>(read);
        // SAFETY: as above.
        unsafe { gradients_of_batch::<I>(gradients, activations, batch, (0, 1)) };
        (hidden, logits, loss)
    }
}
