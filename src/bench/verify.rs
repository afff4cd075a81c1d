//! Nothing is timed before it is checked: each task on a few examples against the reference.

use std::sync::Arc;

use super::BenchShape;
use super::shapes::BenchText;
use super::work::{Task, read, sampler, score};
use crate::check::compare::largest_error;
use crate::engine::Engine;
use crate::language_model::evaluate::evaluate;
use crate::language_model::{LanguageModel, Network};
use crate::model::Parameters;
use crate::reference::Reference;
use crate::text::Corpus;
use crate::{Error, Result};

/// Examples of which logits and gradients are checked.
const TRAINED: usize = 16;
/// Tokens of which the loss is checked.
const EVALUATED: usize = 256;
/// Tokens whose log-probabilities are checked.
const SCORED: usize = 64;
/// Drawn items whose log-probabilities are checked.
const DRAWN: usize = 4;
/// Bytes of which the tokens are checked.
const READ: usize = 10_000;
/// Largest relative error of logits and gradients (the design's figures, the larger for all).
const TENSORS: f64 = 5e-6;
/// Largest error of a loss or a log-probability, over its size or over 1.
const LOSSES: f64 = 1e-5;

/// What is checked, and what must come out.
pub(super) struct Check<'a> {
    pub(super) shape: &'a BenchShape,
    pub(super) parameters: &'a Parameters,
    pub(super) corpus: &'a Corpus,
    pub(super) text: &'a BenchText,
}

impl Check<'_> {
    /// An error if an engine is wrong at a task.
    pub(super) fn engine(&self, task: Task, engine: &mut dyn Engine) -> Result<()> {
        self.against(self.parameters, task, engine)
    }

    fn against(&self, parameters: &Parameters, task: Task, engine: &mut dyn Engine) -> Result<()> {
        let mut reference = Reference::default();
        reference.load(parameters)?;
        match task {
            Task::Train => self.training(engine, &mut reference),
            Task::Read => self.reading(),
            _ => {
                let mut network = Network::new(engine, self.parameters)?;
                let mut right = Network::new(&mut reference, parameters)?;
                match task {
                    Task::Eval => self.evaluating(&mut network, &mut right),
                    Task::Score => self.scoring(&mut network, &mut right),
                    _ => self.sampling(&mut network, &mut right),
                }
            }
        }
    }

    fn training(&self, engine: &mut dyn Engine, reference: &mut Reference) -> Result<()> {
        let corpus = self.corpus;
        let examples = 0..TRAINED.min(corpus.len());
        let contexts: Vec<u32> = examples.clone().flat_map(|example| corpus.context_of(example).to_vec()).collect();
        let targets: Vec<u32> = examples.map(|example| corpus.target_of(example)).collect();
        let batch = Corpus::from_examples(&contexts, &targets, corpus.context());
        engine.load(self.parameters)?;
        let (expected, found) = (reference.examine(&batch)?, engine.examine(&batch)?);
        self.hold("the logits", largest_error(&found.logits, &expected.logits), TENSORS)?;
        for (tensor, values) in expected.gradients.tensors() {
            let what = format!("the gradient of {}", tensor.name);
            self.hold(&what, largest_error(found.gradients.tensor(tensor.name), values), TENSORS)?;
        }
        Ok(())
    }

    fn evaluating(&self, network: &mut Network, right: &mut Network) -> Result<()> {
        let (corpus, counts) = read(self.text.of_tokens(EVALUATED).into_bytes().into(), self.text, network.context())?;
        let vocabulary = &self.text.vocabulary;
        let found = evaluate(network, "text", &corpus, &counts, vocabulary)?.loss;
        let expected = evaluate(right, "text", &corpus, &counts, vocabulary)?.loss;
        self.hold("the loss of a text", error_of(found, expected), LOSSES)
    }

    fn scoring(&self, network: &mut Network, right: &mut Network) -> Result<()> {
        let written = self.text.of_tokens(SCORED);
        let (found, expected) = (score(network, self.text, &written)?, score(right, self.text, &written)?);
        let errors = found.iter().zip(&expected).map(|(&found, &expected)| error_of(found, expected));
        self.hold("the log-probability of a token", largest(errors), LOSSES)
    }

    fn sampling(&self, network: &mut Network, right: &mut Network) -> Result<()> {
        let context = network.context();
        let samples = sampler(self.text).draw(network, &[], 0..DRAWN)?;
        let mut errors = Vec::new();
        for sample in samples {
            let (tokens, count) = (sample.tokens, sampler(self.text).length);
            let corpus = if self.text.vocabulary.end().is_some() {
                Corpus::from_lines(&[&tokens], context)
            } else {
                let length = tokens.len();
                let [corpus] = Corpus::stream_parts(tokens, context, [length]);
                corpus
            };
            // An item of full length has no end mark.
            let expected: f64 = right.log_probabilities(&corpus)?.iter().take(count).map(|&p| f64::from(p)).sum();
            errors.push(error_of(sample.log_probability, expected));
        }
        self.hold("the log-probability of a sample", largest(errors.into_iter()), LOSSES)
    }

    fn reading(&self) -> Result<()> {
        let written = self.text.of_bytes(READ);
        let (corpus, _) = read(Arc::from(written.as_bytes()), self.text, self.shape.shape.context)?;
        let ids: Vec<u32> = (0..corpus.len()).map(|example| corpus.target_of(example)).collect();
        let between = if self.text.vocabulary.end().is_some() { "" } else { " " };
        let expected = written.split_ascii_whitespace().collect::<Vec<_>>().join(between);
        if self.text.vocabulary.decode(&ids) == expected {
            return Ok(());
        }
        Err(Error::Check(format!("{}: a text that is read is not what was written", self.shape.name)))
    }

    fn hold(&self, what: &str, error: f64, tolerance: f64) -> Result<()> {
        // Written so that an error which is not a number fails too.
        if matches!(error.partial_cmp(&tolerance), Some(std::cmp::Ordering::Less)) {
            return Ok(());
        }
        Err(Error::Check(format!(
            "{}: {what} is off by {error:.1e}, tolerance {tolerance:.0e}: this device does not compute right, so it is \
             not timed. See `gpu-mlp check`",
            self.shape.name
        )))
    }
}

fn error_of(found: f64, expected: f64) -> f64 {
    (found - expected).abs() / expected.abs().max(1.0)
}

/// The largest; not a number if one of them is none.
fn largest(errors: impl Iterator<Item = f64>) -> f64 {
    errors.fold(0.0, |largest, error| if error.is_nan() || error > largest { error } else { largest })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::SHAPES;
    use crate::engine::cpu::Cpu;
    use crate::model::Init;
    use crate::model::initial::initial;
    use crate::model::shape::OUTPUT_BIAS;

    #[test]
    fn each_task_is_refused_where_a_weight_is_wrong() {
        let shape = &SHAPES[1];
        let parameters = initial(shape.shape, Init::Scaled, 1, &[]);
        let mut others = parameters.clone();
        others.tensor_mut(OUTPUT_BIAS).iter_mut().step_by(2).for_each(|bias| *bias += 0.01);
        let (corpus, text) = (shape.corpus(), shape.text());
        let check = Check { shape, parameters: &parameters, corpus: &corpus, text: &text };
        for task in [Task::Train, Task::Eval, Task::Score, Task::Sample] {
            check.engine(task, &mut Cpu::new(1)).unwrap();
            let error = check.against(&others, task, &mut Cpu::new(1)).unwrap_err().to_string();
            assert!(error.contains("does not compute right"), "{error}");
        }
        check.engine(Task::Read, &mut Cpu::new(1)).unwrap();
    }
}
