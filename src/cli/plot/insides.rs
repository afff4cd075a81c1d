//! The pictures for which the network computes, on examples of the training part.

use serde::Serialize;

use super::Drawing;
use crate::Result;
use crate::engine::{Engine, Optimizer};
use crate::report::output::grouped;
use crate::report::plot::{FLAT, Gradient, Gradients, Hidden, SATURATED, Saturation, Updates};
use crate::text::{Corpus, Data};
use crate::train::diagnostics::{matrices, update_ratios};
use crate::train::directory::LAST;
use crate::train::{RunDirectory, Settings, first_state};

/// Examples whose hidden units are looked at, spread over the training part.
const EXAMPLES_SEEN: usize = 1000;

/// Steps over which the sizes of updates are a mean.
const STEPS_TAKEN: u64 = 10;

impl Drawing<'_> {
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
        let examples = some_examples(&data.train, EXAMPLES_SEEN);
        engine.load(&first_state(&self.model.settings, data).parameters)?;
        let (loss_at_start, log_vocabulary) = (engine.examine(&examples)?.loss, (shape.vocabulary as f64).ln());
        engine.load(parameters)?;
        let examination = engine.examine(&examples)?;
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
        }
        let left_out = |reason: String| self.output.message(format!("note: {reason}: no picture of the updates"));
        let (state, progress) = match directory.read_state(settings) {
            Ok(Some(last)) => last,
            Ok(None) => {
                left_out(format!("the run's last state ({LAST}) is not there"));
                return Ok(());
            }
            Err(error) => {
                left_out(error.to_string());
                return Ok(());
            }
        };
        let ratios = update_ratios(engine, data, settings, &state, &progress, STEPS_TAKEN)?;
        let (rate, step, optimizer) =
            (settings.rate_of(progress.step, &progress), progress.step, settings.recipe.optimizer);
        let listed: Vec<String> = ratios.iter().map(|(name, ratio)| format!("{name} {ratio:.2}")).collect();
        let rule = clap::ValueEnum::to_possible_value(&optimizer).expect("every rule has a name");
        let what = format!(
            "{STEPS_TAKEN} steps of {} at rate {} after step {}",
            rule.get_name(),
            rounded(rate),
            grouped(step as usize)
        );
        let text = format!("log10 of update over weight, {what}: {}", listed.join(", "));
        let updates = Updates { ratios, what };
        let numbers = Ratios { optimizer, rate, step, steps: STEPS_TAKEN, log10_update_to_weight: &updates.ratios };
        self.show(&updates, &text, numbers)
    }
}

/// A rate with three digits, without the rounding of its last bit.
fn rounded(rate: f32) -> f32 {
    format!("{rate:.2e}").parse().expect("a number")
}

/// So many examples spread evenly over a corpus.
fn some_examples(corpus: &Corpus, count: usize) -> Corpus {
    let count = count.min(corpus.len());
    let chosen = || (0..count).map(|place| place * corpus.len() / count);
    let contexts: Vec<u32> = chosen().flat_map(|example| corpus.context_of(example).to_vec()).collect();
    let targets: Vec<u32> = chosen().map(|example| corpus.target_of(example)).collect();
    Corpus::from_examples(&contexts, &targets, corpus.context())
}
