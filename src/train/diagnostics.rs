//! How much a run's own steps change its parameters.

use super::{Progress, Settings, make_ready};
use crate::Result;
use crate::engine::{Engine, State};
use crate::model::Parameters;
use crate::model::parameters::mean_and_deviation;
use crate::text::Data;

/// Goes on with a run for some steps, on the engine alone and at the rate that its next step has. Returns of each matrix
/// the name and log10 of the standard deviation of a step's change over that of the weights before it, the mean over the
/// steps; a matrix that does not change, or of equal weights, is left out.
///
/// The steps are those that the run itself would take from `state`, with its update rule, batches and dropout. The engine
/// must be new or hold a network of the same shape; it holds the changed parameters afterwards.
///
/// # Errors
/// The device fails.
pub fn update_ratios(
    engine: &mut dyn Engine,
    data: &Data,
    settings: &Settings,
    state: &State,
    progress: &Progress,
    steps: u64,
) -> Result<Vec<(String, f64)>> {
    make_ready(engine, data, settings, state)?;
    let rate = settings.rate_of(progress.step, progress);
    let mut before = state.parameters.clone();
    let mut sums = vec![0.0; matrices(&before).count()];
    for step in progress.step..progress.step + steps {
        engine.train(step, &[rate])?;
        let after = engine.parameters()?;
        for ((sum, (_, old)), (_, new)) in sums.iter_mut().zip(matrices(&before)).zip(matrices(&after)) {
            let change: Vec<f32> = new.iter().zip(old).map(|(new, old)| new - old).collect();
            *sum += (mean_and_deviation(&change).1 / mean_and_deviation(old).1).log10();
        }
        before = after;
    }
    let means = matrices(&before).zip(sums).map(|((name, _), sum)| (name.to_owned(), sum / steps as f64));
    Ok(means.filter(|(_, mean)| mean.is_finite()).collect())
}

/// The matrices among some parameters, by name: what is no bias.
pub fn matrices(parameters: &Parameters) -> impl Iterator<Item = (&'static str, &[f32])> {
    parameters.tensors().filter(|(tensor, _)| !tensor.is_bias()).map(|(tensor, values)| (tensor.name, values))
}
