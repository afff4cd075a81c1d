//! The pictures for which the network computes, on examples of the training part.

use serde::Serialize;

use super::super::train::require_memory_of;
use super::Drawing;
use crate::engine::{Engine, Optimizer};
use crate::report::output::{grouped, rounded};
use crate::report::plot::{FLAT, Gradient, Gradients, Hidden, SATURATED, Saturation, Updates};
use crate::text::{Corpus, Data};
use crate::train::diagnostics::{UpdateRatio, matrices, update_ratios};
use crate::train::directory::LAST;
use crate::train::{RunDirectory, Settings, first_state};
use crate::{Error, Result};

/// Examples whose hidden units are looked at, spread over the training part: fewer where the vocabulary is large.
const MOST_EXAMPLES: usize = 1000;

/// Most logits of these examples, which are computed as one batch: 128 MiB of them.
const MOST_LOGITS: usize = 1 << 25;

/// Steps over which the sizes of updates are a mean.
const STEPS_TAKEN: u64 = 10;

impl Drawing<'_> {
    /// Asks for the memory of what follows.
    pub(super) fn require_memory(&self) -> Result<()> {
        let shape = self.model.state.parameters.shape();
        let examples = examples_seen(shape.vocabulary).max(self.model.settings.batch as usize);
        require_memory_of(
            "the pictures of what the network computes need",
            shape.training_bytes(examples),
            "The losses and the embedding are drawn; for the others make room in memory, or plot on a larger machine",
        )
    }

    /// An error where some numbers that are to be drawn are not finite, though the parameters are.
    fn require_finite(&self, what: &str, mut numbers: impl Iterator<Item = f32>) -> Result<()> {
        if numbers.all(f32::is_finite) {
            return Ok(());
        }
        let parameters = &self.model.state.best().values;
        let largest = parameters.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        Err(Error::content(
            self.file,
            format!(
                "{what} cannot be drawn: on examples of its training part it is not finite. The parameters are, but too \
                 large to compute with: the largest is {largest:.1e}. Train again with a smaller --rate"
            ),
        ))
    }

    /// The hidden units.
    pub(super) fn activations(&self, engine: &mut dyn Engine, data: &Data) -> Result<()> {
        #[derive(Serialize)]
        struct Activations {
            examples: usize,
            units: usize,
            /// The share of activations beyond the bound.
            saturated: f64,
            bound: f32,
            loss: f64,
            /// With the initial parameters, on the same examples, and of a uniform guess: far above that, the initial
            /// weights were too large.
            loss_at_start: f64,
            log_vocabulary: f64,
        }
        let parameters = self.model.state.best();
        let shape = parameters.shape();
        if shape.hidden == 0 {
            return Ok(());
        }
        let examples = some_examples(&data.train, examples_seen(shape.vocabulary));
        engine.load(&first_state(&self.model.settings, data).parameters)?;
        let (loss_at_start, log_vocabulary) = (engine.examine(&examples)?.loss, (shape.vocabulary as f64).ln());
        engine.load(parameters)?;
        let examination = engine.examine(&examples)?;
        self.require_finite("the hidden layer", examination.hidden.iter().copied())?;
        self.require_finite("the loss", std::iter::once(examination.loss as f32))?;
        let (hidden, units) = (Hidden::new(&examination.hidden, shape.hidden), shape.hidden);
        let text = format!(
            "{:.2} % of {} activations are saturated, beyond ±{SATURATED}; loss at the start {loss_at_start:.4}, of a \
             uniform guess {log_vocabulary:.4}",
            hidden.saturated * 100.0,
            grouped(examination.hidden.len()),
        );
        let Hidden { examples, saturated, .. } = hidden;
        let (bound, loss) = (SATURATED, examination.loss);
        let numbers = Activations { examples, units, saturated, bound, loss, loss_at_start, log_vocabulary };
        self.show(&hidden, &text, numbers)?;
        self.saturation(&Saturation::new(&examination.hidden, units))
    }

    fn saturation(&self, saturation: &Saturation) -> Result<()> {
        #[derive(Serialize)]
        struct Numbers<'a> {
            examples: usize,
            units: usize,
            bound: f32,
            flat: f64,
            dead: usize,
            dead_units: &'a [usize],
        }
        let Saturation { examples, units, share: flat, dead, .. } = saturation;
        let text = format!(
            "{:.2} % are flat, beyond ±{FLAT}; {} of {} units are dead, flat in all of {} examples",
            flat * 100.0,
            dead.len(),
            grouped(*units),
            grouped(*examples)
        );
        let numbers = Numbers {
            examples: *examples,
            units: *units,
            bound: FLAT,
            flat: *flat,
            dead: dead.len(),
            dead_units: dead,
        };
        self.show(saturation, &text, numbers)
    }

    /// The gradients on one batch of the run's size: that of a larger one would have less noise, and look smaller.
    pub(super) fn gradients(&self, engine: &mut dyn Engine, data: &Data) -> Result<()> {
        #[derive(Serialize)]
        struct Numbers<'a> {
            examples: usize,
            matrices: &'a [Gradient],
        }
        let batch = some_examples(&data.train, self.model.settings.batch as usize);
        let parameters = self.model.state.best();
        engine.load(parameters)?;
        let gradients = engine.examine(&batch)?.gradients;
        for (name, gradient) in matrices(&gradients) {
            self.require_finite(&format!("the gradient of {name}"), gradient.iter().copied())?;
        }
        let pairs = matrices(&gradients).zip(matrices(parameters));
        let each = pairs.map(|((name, gradient), (_, weights))| Gradient::new(name, gradient, weights)).collect();
        let gradients = Gradients { matrices: each, examples: batch.len() };
        let listed = gradients.matrices.iter().map(|matrix| {
            let ratio = matrix.gradient_to_data.map_or("none".to_owned(), |ratio| format!("{ratio:.1e}"));
            format!("{} {:.1e} ({ratio})", matrix.name, matrix.deviation)
        });
        let text = format!(
            "deviation of the gradient of a batch (over that of the weights): {}",
            listed.collect::<Vec<_>>().join(", ")
        );
        self.show(&gradients, &text, Numbers { examples: gradients.examples, matrices: &gradients.matrices })
    }

    /// How large the run's own steps are, from its last state on.
    pub(super) fn updates(
        &self,
        engine: &mut dyn Engine,
        data: &Data,
        directory: &RunDirectory,
        settings: &Settings,
    ) -> Result<()> {
        #[derive(Serialize)]
        struct Ratios<'a> {
            optimizer: Optimizer,
            rate: f32,
            /// The steps are those after this one.
            step: u64,
            steps: u64,
            log10_update_to_weight: &'a [(String, f64)],
            /// The matrices that have no such number, and why.
            left_out: &'a [(&'static str, String)],
        }
        let no_picture = |reason: String| self.output.message(format!("note: {reason}: no picture of the updates"));
        let (state, progress) = match directory.read_state(settings) {
            Ok(Some(last)) => last,
            Ok(None) => {
                no_picture(format!("the run's last state ({LAST}) is not there"));
                return Ok(());
            }
            Err(error) => {
                no_picture(error.to_string());
                return Ok(());
            }
        };
        let (mut ratios, mut left_out) = (Vec::new(), Vec::new());
        for UpdateRatio { name, log10 } in update_ratios(engine, data, settings, &state, &progress, STEPS_TAKEN)? {
            match log10 {
                Ok(ratio) => ratios.push((name.to_owned(), ratio)),
                Err(reason) => left_out.push((name, reason)),
            }
        }
        for (name, reason) in &left_out {
            self.output.message(format!("note: the updates leave out {name}: {reason}"));
        }
        if ratios.is_empty() {
            no_picture("no matrix is left".to_owned());
            return Ok(());
        }
        let (rate, step, optimizer) =
            (settings.rate_of(progress.step, &progress), progress.step, settings.recipe.optimizer);
        let listed: Vec<String> = ratios.iter().map(|(name, ratio)| format!("{name} {ratio:.2}")).collect();
        let rule = clap::ValueEnum::to_possible_value(&optimizer).expect("every rule has a name");
        let what = format!(
            "{STEPS_TAKEN} steps of {} at rate {} after step {}",
            rule.get_name(),
            rounded(f64::from(rate), 3),
            grouped(step as usize)
        );
        let text = format!("log10 of update over weight, {what}: {}", listed.join(", "));
        let updates = Updates { ratios, what };
        let (steps, log10_update_to_weight, left_out) = (STEPS_TAKEN, &updates.ratios[..], &left_out[..]);
        let numbers = Ratios { optimizer, rate, step, steps, log10_update_to_weight, left_out };
        self.show(&updates, &text, numbers)
    }
}

/// How many examples are looked at as one batch, for a vocabulary (V) of this size.
fn examples_seen(vocabulary: usize) -> usize {
    (MOST_LOGITS / vocabulary).clamp(1, MOST_EXAMPLES)
}

/// So many examples spread evenly over a corpus.
fn some_examples(corpus: &Corpus, count: usize) -> Corpus {
    let count = count.min(corpus.len());
    let chosen = || (0..count).map(|place| place * corpus.len() / count);
    let contexts: Vec<u32> = chosen().flat_map(|example| corpus.context_of(example).to_vec()).collect();
    let targets: Vec<u32> = chosen().map(|example| corpus.target_of(example)).collect();
    Corpus::from_examples(&contexts, &targets, corpus.context())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_vocabulary_leaves_fewer_examples() {
        assert_eq!([2, 27, 17_907].map(examples_seen), [MOST_EXAMPLES; 3]);
        for vocabulary in [100_000, 500_000, MOST_LOGITS] {
            let examples = examples_seen(vocabulary);
            assert!(examples < MOST_EXAMPLES && examples * vocabulary <= MOST_LOGITS, "{vocabulary}: {examples}");
        }
        assert_eq!(examples_seen(MOST_LOGITS * 4), 1);
    }
}
