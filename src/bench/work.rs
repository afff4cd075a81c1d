//! What is timed: each task as work on an engine, through the code that its command runs.

use std::io::{BufReader, Cursor};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::BenchShape;
use super::floor::Demand;
use super::shapes::BenchText;
use crate::Result;
use crate::engine::{Engine, PassTime, PerhapsProfiler, Recipe};
use crate::language_model::evaluate::evaluate;
use crate::language_model::sample::AT_ONCE;
use crate::language_model::{Network, Sampler, Scorer};
use crate::model::Parameters;
use crate::text::{BatchPlan, Corpus, Counts, Order, Texts, TokenReader};

/// The learning rate; it is small, so that no timed run leaves the range of ordinary numbers.
const RATE: f32 = 0.01;
/// Tokens of a piece of running text that is drawn.
const PIECE: usize = 30;
/// What messages call a text that is only in memory.
const TEXT_NAME: &str = "the text of the benchmark";

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// Whole training steps: draw the batch, forward, backward, update, loss kept
    Train,
    /// The loss of a text, as `eval` computes it
    Eval,
    /// Log-probability and rank of each token, as `score` computes them while a text comes in
    Score,
    /// New items or running text, as `sample` draws them
    Sample,
    /// Reading a text: UTF-8, tokens, digest, ids; no engine takes part
    Read,
}

/// What the speed of a task is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Training steps.
    Steps,
    /// Predicted tokens, end marks among them.
    Tokens,
    /// Bytes of text.
    Bytes,
}

impl Task {
    /// What its speed is counted in.
    pub fn unit(self) -> Unit {
        match self {
            Task::Train => Unit::Steps,
            Task::Read => Unit::Bytes,
            Task::Eval | Task::Score | Task::Sample => Unit::Tokens,
        }
    }

    /// What a unit asks for, where that is counted.
    pub fn demand(self, shape: &BenchShape) -> Option<Demand> {
        match self {
            Task::Train => Some(Demand::of_step(shape.shape, shape.batch)),
            Task::Read => None,
            Task::Eval | Task::Score | Task::Sample => Some(Demand::of_prediction(shape.shape)),
        }
    }

    /// Units that are little work on any device.
    pub(super) fn few(self) -> usize {
        match self {
            Task::Train => 1,
            Task::Eval | Task::Score | Task::Sample => 64,
            Task::Read => 1 << 12,
        }
    }
}

/// Work that can be repeated.
pub(super) trait Work {
    /// Gets ready for about so many units; this is not timed.
    fn prepare(&mut self, units: usize) -> Result<()>;

    /// Does them; returns how many they were.
    fn run(&mut self) -> Result<usize>;

    /// Mean times of the passes of a unit since the last call, where they are known.
    fn pass_times(&mut self) -> Vec<PassTime> {
        Vec::new()
    }

    /// What times them by units that are done for it alone, or why nothing can; `None` where a unit has no passes.
    fn profiler(&mut self) -> Result<Option<PerhapsProfiler>> {
        Ok(None)
    }
}

/// Training steps.
pub(super) struct Train<'a> {
    engine: &'a mut dyn Engine,
    step: u64,
    rates: Vec<f32>,
}

impl<'a> Train<'a> {
    pub(super) fn new(
        engine: &'a mut dyn Engine,
        shape: &BenchShape,
        parameters: &Parameters,
        corpus: &Arc<Corpus>,
    ) -> Result<Self> {
        engine.load(parameters)?;
        let plan =
            BatchPlan { order: Order::Sampled, seed: 1, batch: shape.batch as u32, examples: corpus.len() as u32 };
        engine.prepare(Arc::clone(corpus), plan, Recipe::default())?;
        Ok(Train { engine, step: 0, rates: Vec::new() })
    }
}

impl Work for Train<'_> {
    fn prepare(&mut self, units: usize) -> Result<()> {
        self.rates = vec![RATE; units];
        Ok(())
    }

    fn run(&mut self) -> Result<usize> {
        self.engine.train(self.step, &self.rates)?;
        self.step += self.rates.len() as u64;
        Ok(self.rates.len())
    }

    fn pass_times(&mut self) -> Vec<PassTime> {
        self.engine.pass_times()
    }

    fn profiler(&mut self) -> Result<Option<PerhapsProfiler>> {
        self.engine.profiler().map(Some)
    }
}

/// The loss of a text.
pub(super) struct Eval<'a> {
    pub(super) network: Network<'a>,
    pub(super) text: &'a BenchText,
    pub(super) context: usize,
    pub(super) corpus: Option<(Corpus, Counts)>,
}

impl Work for Eval<'_> {
    fn prepare(&mut self, units: usize) -> Result<()> {
        self.corpus = Some(read(self.text.of_tokens(units).into_bytes().into(), self.text, self.context)?);
        Ok(())
    }

    fn run(&mut self) -> Result<usize> {
        let (corpus, counts) = self.corpus.as_ref().expect("prepared");
        Ok(evaluate(&mut self.network, "text", corpus, counts, &self.text.vocabulary)?.tokens)
    }
}

/// The log-probability and rank of each token of a text that comes in.
pub(super) struct Score<'a> {
    pub(super) network: Network<'a>,
    pub(super) text: &'a BenchText,
    pub(super) written: String,
}

impl Work for Score<'_> {
    fn prepare(&mut self, units: usize) -> Result<()> {
        self.written = self.text.of_tokens(units);
        Ok(())
    }

    fn run(&mut self) -> Result<usize> {
        Ok(score(&mut self.network, self.text, &self.written)?.len())
    }
}

/// Log-probabilities of the tokens of a text as `score` finds them.
pub(super) fn score(network: &mut Network, text: &BenchText, written: &str) -> Result<Vec<f64>> {
    let mut scorer = Scorer::new(network, text.vocabulary.end(), true);
    let source = BufReader::with_capacity(1 << 16, written.as_bytes());
    let mut reader = TokenReader::new(source, text.vocabulary.clone());
    let mut scores = Vec::new();
    loop {
        let tokens = reader.read().map_err(|failure| failure.of(Path::new(TEXT_NAME)))?;
        if tokens.is_empty() {
            return Ok(scores);
        }
        let ids: Vec<u32> = tokens.iter().map(|token| token.id).collect();
        scores.extend(scorer.score(&ids)?.iter().map(|score| score.log_probability));
    }
}

/// New items.
pub(super) struct Sample<'a> {
    pub(super) network: Network<'a>,
    pub(super) sampler: Sampler,
    pub(super) items: usize,
}

/// How `sample` draws: at temperature 1, from all tokens.
pub(super) fn sampler(text: &BenchText) -> Sampler {
    let end = text.vocabulary.end();
    let length = if end.is_some() { 100 } else { PIECE };
    Sampler { temperature: 1.0, top_k: 0, top_p: 1.0, end, length, seed: 1 }
}

impl Work for Sample<'_> {
    fn prepare(&mut self, units: usize) -> Result<()> {
        // How long an item becomes shows when it is drawn; names have seven letters.
        self.items = units.div_ceil(if self.sampler.end.is_some() { 8 } else { PIECE });
        Ok(())
    }

    fn run(&mut self) -> Result<usize> {
        let mut tokens = 0;
        for first in (0..self.items).step_by(AT_ONCE) {
            let items = first..self.items.min(first + AT_ONCE);
            for sample in self.sampler.draw(&mut self.network, &[], items)? {
                let has_ended = sample.tokens.len() < self.sampler.length;
                tokens += sample.tokens.len() + usize::from(has_ended);
            }
        }
        Ok(tokens)
    }
}

/// Reading a text.
pub(super) struct Read<'a> {
    pub(super) text: &'a BenchText,
    pub(super) context: usize,
    pub(super) written: Arc<[u8]>,
}

impl Work for Read<'_> {
    fn prepare(&mut self, units: usize) -> Result<()> {
        self.written = self.text.of_bytes(units).into_bytes().into();
        Ok(())
    }

    fn run(&mut self) -> Result<usize> {
        read(Arc::clone(&self.written), self.text, self.context)?;
        Ok(self.written.len())
    }
}

/// A text as the corpus that it is.
pub(super) fn read(written: Arc<[u8]>, text: &BenchText, context: usize) -> Result<(Corpus, Counts)> {
    let texts = Texts::from_reader(Cursor::new(written), text.vocabulary.kind(), Path::new(TEXT_NAME))?;
    texts.encoded(&text.vocabulary, context)
}
