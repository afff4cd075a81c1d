//! What a step reads that is not the network: the corpus, the plan of the batches, the cursor, and the rings of the
//! updates' factors and of losses. Nothing of it comes from the host for each step.

use super::device::{Buffer, Device};
use super::uniforms::{Cursor, Factors, Plan};
use crate::Result;
use crate::engine::demands::check_training;
use crate::model::Shape;
use crate::text::{BatchPlan, Corpus};

/// Entries in the rings: steps that the host prepares at once.
pub(super) const RING: usize = 4096;

/// A corpus and a plan on the device.
pub(super) struct Feed {
    /// In which order examples come.
    pub(super) batches: BatchPlan,
    context: usize,
    /// [`Plan`].
    pub(super) plan: Buffer,
    /// Token ids of the corpus.
    pub(super) tokens: Buffer,
    /// Places of the targets among them.
    pub(super) places: Buffer,
    /// [`Cursor`].
    pub(super) cursor: Buffer,
    /// [`Factors`] of each slot.
    pub(super) factors: Buffer,
    /// Mean loss of each slot.
    pub(super) losses: Buffer,
}

impl Feed {
    /// Checks that a network of some shape can train on the corpus so, and uploads it: kernels index by its ids without looking.
    pub(super) fn new(device: &Device, corpus: &Corpus, batches: BatchPlan, shape: Shape) -> Result<Self> {
        check_training(shape, corpus, &batches)?;
        let context = shape.context;
        Ok(Feed {
            batches,
            context,
            plan: device.uniform("plan", &Plan::new(&batches, context))?,
            tokens: device.tensor_of("the corpus's tokens", corpus.tokens())?,
            places: device.tensor_of("the corpus's targets", &corpus.targets())?,
            cursor: device.tensor("cursor", size_of::<Cursor>() / 4)?,
            factors: device.tensor("factors", RING * size_of::<Factors>() / 4)?,
            losses: device.tensor("losses", RING)?,
        })
    }

    /// Whether there is room for a corpus in place of the one that is there.
    pub(super) fn has_room_for(&self, corpus: &Corpus) -> bool {
        corpus.tokens().len() <= self.tokens.words && corpus.len() <= self.places.words
    }

    /// Takes a corpus for which there is room in place of the one that is there, in batches of the same size.
    pub(super) fn replace(&mut self, device: &Device, corpus: &Corpus, shape: Shape) -> Result<()> {
        let batches = BatchPlan { examples: corpus.len() as u32, ..self.batches };
        check_training(shape, corpus, &batches)?;
        self.batches = batches;
        device.write(&self.plan, &[Plan::new(&batches, self.context)]);
        device.write(&self.tokens, corpus.tokens());
        device.write(&self.places, &corpus.targets());
        Ok(())
    }

    /// Examples in a batch (B).
    pub(super) fn batch(&self) -> usize {
        self.batches.batch as usize
    }

    /// The order of examples, as a constant of the pipelines of passes that draw.
    pub(super) fn order(&self) -> (&'static str, f64) {
        ("ORDER", f64::from(self.batches.order as u32))
    }

    /// The run's seed.
    pub(super) fn seed(&self) -> u32 {
        self.batches.seed
    }

    /// Tokens of context (n).
    pub(super) fn context(&self) -> usize {
        self.context
    }

    /// The next step is number `step` and has the first of these factors.
    pub(super) fn seek(&self, device: &Device, step: u64, factors: &[Factors]) {
        device.write(&self.cursor, &[Cursor::at(self.batches.cursor(step))]);
        device.write(&self.factors, factors);
    }
}
