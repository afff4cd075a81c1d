//! A corpus forward, in chunks. What is made for that stays for the next corpus: who draws a text asks for a few
//! distributions at a time, again and again.

use super::device::{Buffer, Device, Dispatch};
use super::feed::Feed;
use super::general::{General, Pairs};
use super::kernels::SoftmaxResult;
use super::{Gpu, choice};
use crate::Result;
use crate::engine::Recipe;
use crate::text::{BatchPlan, Corpus, Order};
use choice::Products;

/// Logits of a chunk, at most: 16 MiB.
const LOGITS: usize = 4 << 20;
/// Examples that cost so little that chunks of up to so many serve for fewer as well.
const FEW: usize = 64;

/// The passes over a chunk, with their buffers.
pub(super) struct Evaluation {
    result: SoftmaxResult,
    products: Products,
    /// Examples of a chunk.
    chunk: usize,
    feed: Feed,
    /// Whether it takes pairs of place and token: for other chunks it might not, and come to other bits.
    pub(super) by_pairs: bool,
    /// To be recorded once for all chunks, then the others for each.
    ahead: Vec<Dispatch>,
    dispatches: Vec<Dispatch>,
    /// Or probabilities, [chunk, V], rows padded.
    pub(super) logits: Buffer,
    /// [chunk].
    pub(super) example_losses: Buffer,
}

impl Gpu {
    /// Runs a corpus forward in chunks. `take` gets the first example of a chunk and the number of its examples.
    pub(super) fn evaluate(
        &mut self,
        corpus: &Corpus,
        result: SoftmaxResult,
        mut take: impl FnMut(&mut Device, &Evaluation, usize, usize) -> Result<()>,
    ) -> Result<()> {
        // It is put back only when all went well.
        let evaluation = self.evaluation(corpus, result)?;
        let chunk = evaluation.chunk;
        for (step, first) in (0..).zip((0..corpus.len()).step_by(chunk)) {
            evaluation.feed.seek(&self.device, step, &[]);
            let mut recording = self.device.record();
            recording.pass("evaluation", &evaluation.ahead, usize::from(step == 0));
            recording.pass("evaluation", &evaluation.dispatches, 1);
            self.device.submit(recording, 0)?;
            take(&mut self.device, &evaluation, first, chunk.min(corpus.len() - first))?;
        }
        self.evaluation = Some(evaluation);
        Ok(())
    }

    /// The last evaluation, with another corpus, if it serves for that one; else a new one.
    fn evaluation(&mut self, corpus: &Corpus, result: SoftmaxResult) -> Result<Evaluation> {
        let shape = self.model()?.shape;
        let chunk = (LOGITS / shape.vocabulary).max(1).min(corpus.len());
        let chunk = self.cut.chunks(&self.device, shape, chunk)[0].len();
        let products = choice::for_evaluation(self.general.products, shape, corpus.len());
        let by_pairs = Pairs::are_taken(&self.device, self.model()?, self.cut, chunk)?;
        if let Some(mut kept) = self.evaluation.take()
            && (kept.result, kept.products, kept.by_pairs) == (result, products, by_pairs)
            && (chunk..=FEW.max(2 * chunk)).contains(&kept.chunk)
            && kept.feed.has_room_for(corpus)
        {
            kept.feed.replace(&self.device, corpus, shape)?;
            return Ok(kept);
        }
        let plan = BatchPlan { order: Order::Sequential, seed: 0, batch: chunk as u32, examples: corpus.len() as u32 };
        let feed = self.feed(corpus, plan)?;
        let without_dropout = [Recipe::default().input_mask(0), Recipe::default().hidden_mask(0)];
        let general = General::new(&self.device, self.model()?, &feed, self.cut, without_dropout, products)?;
        let (ahead, dispatches) = (general.ahead()?, general.evaluation(result)?);
        let (logits, example_losses) = (general.logits.clone(), general.example_losses.clone());
        Ok(Evaluation { result, products, chunk, feed, by_pairs, ahead, dispatches, logits, example_losses })
    }
}
