//! The batches of steps that follow each other, drawn ahead: where a text is larger than the cache, its examples lie all over
//! it, and memory has a step's time to bring them (`notebook` on one Zen 4 core beside other work: 1.7 µs of the 13.1 of a step
//! for the draw without that, 0.9 with it).

use std::ops::Range;

use super::lanes::{InstructionSet, Job};
use super::network::Layout;
use super::pairs::Pairs;
use super::vector::ask_for;
use crate::model::Shape;
use crate::text::{BatchPlan, Corpus};

/// The examples of a step.
pub(super) struct Drawn {
    /// Token ids of the contexts by position, [n, B].
    pub(super) contexts: Vec<u32>,
    /// [B].
    pub(super) targets: Vec<u32>,
    pub(super) pairs: Pairs,
}

impl Drawn {
    /// Room for so many examples.
    pub(super) fn new(layout: Layout, batch: usize) -> Self {
        let Shape { context, vocabulary, .. } = layout.shape;
        Drawn {
            contexts: Vec::with_capacity(batch * context),
            targets: Vec::with_capacity(batch),
            pairs: Pairs::new(layout.positions, vocabulary),
        }
    }

    /// Finds the pairs of the contexts; where `separate` is set, every place is one.
    #[inline(always)]
    pub(super) fn find_pairs(&mut self, layout: Layout, separate: bool) {
        if layout.is_whole() {
            self.pairs.set_whole(self.targets.len());
        } else {
            self.pairs.set(&self.contexts, separate);
        }
    }

    /// Contexts and targets of some examples of a corpus.
    pub(super) fn set_examples(&mut self, corpus: &Corpus, examples: Range<usize>) {
        self.set_places(corpus, examples.map(|example| corpus.position(example) as u32));
    }

    /// The same by the places of the targets among the tokens.
    #[inline(always)]
    pub(super) fn set_places(&mut self, corpus: &Corpus, places: impl Iterator<Item = u32>) {
        self.targets.clear();
        self.targets.extend(places);
        // Token by token, because a call to copy three numbers costs more.
        let (tokens, context, batch) = (corpus.tokens(), corpus.context(), self.targets.len());
        self.contexts.resize(context * batch, 0);
        for (lane, target) in self.targets.iter_mut().enumerate() {
            let place = *target as usize;
            for (position, &token) in tokens[place - context..place].iter().enumerate() {
                self.contexts[position * batch + lane] = token;
            }
            *target = tokens[place];
        }
    }
}

/// The batches from some step on.
pub(super) struct Batches<'a> {
    plan: &'a BatchPlan,
    corpus: &'a Corpus,
    layout: Layout,
    /// Whether every place is a pair of its own.
    separate: bool,
    /// What is taken next.
    ready: &'a mut Drawn,
    /// The step whose examples are drawn next.
    next: u64,
    /// The examples of the step before that.
    examples: Vec<u32>,
    /// Places of the targets of the step before that among the tokens.
    places: Vec<u32>,
}

impl<'a> Batches<'a> {
    pub(super) fn new<I: InstructionSet>(
        plan: &'a BatchPlan,
        corpus: &'a Corpus,
        layout: Layout,
        separate: bool,
        ready: &'a mut Drawn,
        first_step: u64,
    ) -> Self {
        let batch = plan.batch as usize;
        let (examples, places) = (vec![0; batch], vec![0; batch]);
        let mut batches = Batches { plan, corpus, layout, separate, ready, next: first_step, examples, places };
        batches.draw::<I>();
        batches.find();
        batches.draw::<I>();
        batches.prepare::<I>();
        batches
    }

    /// Takes the examples of the next step; those of the step after it have to be prepared then.
    #[inline(always)]
    pub(super) fn take(&mut self, drawn: &mut Drawn) {
        std::mem::swap(self.ready, drawn);
    }

    /// Gets ready what is taken next.
    #[inline(always)]
    pub(super) fn prepare<I: InstructionSet>(&mut self) {
        self.ready.set_places(self.corpus, self.places.iter().copied());
        self.ready.find_pairs(self.layout, self.separate);
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
