//! The batches of steps that follow each other, drawn two steps ahead: where a text is larger than the cache, its examples
//! lie all over it, and memory has a step's time to bring them (`notebook` on one Zen 4 core beside other work: 1.7 µs of the
//! 13.1 of a step for the draw without that, 0.9 with it).

use super::activations::Scratch;
use super::lanes::{InstructionSet, Job};
use super::vector::ask_for;
use crate::text::{BatchPlan, Corpus};

/// The batches from some step on.
pub(super) struct Batches<'a> {
    plan: &'a BatchPlan,
    corpus: &'a Corpus,
    /// The step whose examples are drawn next.
    next: u64,
    /// The examples of the step before that.
    examples: Vec<u32>,
    /// Places of the targets of the step before that among the tokens.
    places: Vec<u32>,
}

impl<'a> Batches<'a> {
    pub(super) fn new<I: InstructionSet>(plan: &'a BatchPlan, corpus: &'a Corpus, first_step: u64) -> Self {
        let empty = || vec![0; plan.batch as usize];
        let mut batches = Batches { plan, corpus, next: first_step, examples: empty(), places: empty() };
        batches.draw::<I>();
        batches.find();
        batches.draw::<I>();
        batches
    }

    /// Takes the examples of the next step into the scratch.
    #[inline(always)]
    pub(super) fn take<I: InstructionSet>(&mut self, scratch: &mut Scratch) {
        scratch.set_places(self.corpus, self.places.iter().copied());
        self.find();
        self.draw::<I>();
    }

    #[inline(always)]
    fn draw<I: InstructionSet>(&mut self) {
        I::call(Draw { plan: self.plan, step: self.next, examples: &mut self.examples });
        self.next += 1;
        if let Some(targets) = self.corpus.listed_targets() {
            self.examples.iter().for_each(
                #[inline(always)]
                |&example| ask_for((&raw const targets[example as usize]).cast()),
            );
        }
    }

    #[inline(always)]
    fn find(&mut self) {
        let (tokens, context) = (self.corpus.tokens(), self.corpus.context());
        for (place, &example) in self.places.iter_mut().zip(&self.examples) {
            let target = self.corpus.position(example as usize);
            // A context of usual length has one cache line, or the target's as well.
            ask_for((&raw const tokens[target - context]).cast());
            ask_for((&raw const tokens[target]).cast());
            *place = target as u32;
        }
    }
}

/// The examples of a step, drawn several at a time.
struct Draw<'a> {
    plan: &'a BatchPlan,
    step: u64,
    examples: &'a mut [u32],
}

impl Job for Draw<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: InstructionSet>(self) {
        self.plan.fill(self.step, 0, self.examples);
    }
}
