//! The pictures for which the network computes, on examples of the training part.

use serde::Serialize;

use super::Drawing;
use crate::Result;
use crate::engine::{Engine, Optimizer};
use crate::report::output::grouped;
use crate::report::plot::{Hidden, Updates};
use crate::text::{Corpus, Data};
use crate::train::diagnostics::update_ratios;
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
            saturated: f64,
            dead: usize,
            units: usize,
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
        let hidden = Hidden::new(&examination.hidden, shape.hidden);
        let text = format!(
            "{:.2} % of {} activations are saturated, {} of {} units in every example; loss at the start {:.4}, of a \
             uniform guess {:.4}",
            hidden.saturated * 100.0,
            grouped(examination.hidden.len()),
            hidden.dead,
            hidden.units,
            loss_at_start,
            log_vocabulary
        );
        let Hidden { examples, saturated, dead, units, .. } = hidden;
        self.show(
            &hidden,
            &text,
            Activations { examples, saturated, dead, units, loss: examination.loss, loss_at_start, log_vocabulary },
        )
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
        let what =
            format!("{STEPS_TAKEN} steps of {} at rate {rate} after step {}", rule.get_name(), grouped(step as usize));
        let text = format!("log10 of update over weight, {what}: {}", listed.join(", "));
        let updates = Updates { ratios, what };
        let numbers = Ratios { optimizer, rate, step, steps: STEPS_TAKEN, log10_update_to_weight: &updates.ratios };
        self.show(&updates, &text, numbers)
    }
}

/// So many examples spread evenly over a corpus.
fn some_examples(corpus: &Corpus, count: usize) -> Corpus {
    let count = count.min(corpus.len());
    let chosen = || (0..count).map(|place| place * corpus.len() / count);
    let contexts: Vec<u32> = chosen().flat_map(|example| corpus.context_of(example).to_vec()).collect();
    let targets: Vec<u32> = chosen().map(|example| corpus.target_of(example)).collect();
    Corpus::from_examples(&contexts, &targets, corpus.context())
}
