//! How much a run's own steps change its parameters.

use super::{Progress, Settings, make_ready};
use crate::Result;
use crate::engine::{Engine, State};
use crate::model::Parameters;
use crate::model::parameters::mean_and_deviation;
use crate::text::Data;

/// How large the steps of one matrix are.
#[derive(Clone, Debug, PartialEq)]
pub struct UpdateRatio {
    /// The tensor's name.
    pub name: &'static str,
    /// log10 of the standard deviation of a step's change over that of the weights before it, the mean over the steps; or
    /// why there is no such number.
    pub log10: Result<f64, String>,
}

/// Goes on with a run for some steps, on the engine alone and at the rate that its next step has. Returns the ratio of each
/// matrix.
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
) -> Result<Vec<UpdateRatio>> {
    make_ready(engine, data, settings, state)?;
    let rate = settings.rate_of(progress.step, progress);
    let mut before = state.parameters.clone();
    let mut each: Vec<Vec<(f64, f64)>> = vec![Vec::new(); matrices(&before).count()];
    for step in progress.step..progress.step + steps {
        engine.train(step, &[rate])?;
        let after = engine.parameters()?;
        for ((steps, (_, old)), (_, new)) in each.iter_mut().zip(matrices(&before)).zip(matrices(&after)) {
            let change: Vec<f32> = new.iter().zip(old).map(|(new, old)| new - old).collect();
            steps.push((mean_and_deviation(&change).1, mean_and_deviation(old).1));
        }
        before = after;
    }
    Ok(matrices(&before).zip(each).map(|((name, _), steps)| UpdateRatio { name, log10: mean_log10(&steps) }).collect())
}

/// The mean of log10 of change over weight, from the deviations of both in each step; or why there is none.
fn mean_log10(steps: &[(f64, f64)]) -> Result<f64, String> {
    let mean = steps.iter().map(|(change, weight)| (change / weight).log10()).sum::<f64>() / steps.len() as f64;
    if mean.is_finite() {
        return Ok(mean);
    }
    let count = |chosen: fn(&(f64, f64)) -> bool| steps.iter().filter(|step| chosen(step)).count();
    let equal = count(|&(_, weight)| weight == 0.0);
    let still = count(|&(change, _)| change == 0.0);
    let of = |number: usize| format!("in {number} of {} steps", steps.len());
    Err(if equal > 0 {
        format!("its weights are equal {}", of(equal))
    } else if still > 0 {
        format!(
            "none of its weights changes {}, or all by the same: the rate is too small for float32, or zero",
            of(still)
        )
    } else {
        "its weights become numbers that are not finite".to_owned()
    })
}

/// The matrices among some parameters, by name: what is no bias.
pub fn matrices(parameters: &Parameters) -> impl Iterator<Item = (&'static str, &[f32])> {
    parameters.tensors().filter(|(tensor, _)| !tensor.is_bias()).map(|(tensor, values)| (tensor.name, values))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_that_is_no_number_has_a_reason() {
        assert_eq!(mean_log10(&[(0.1, 1.0), (0.001, 1.0)]), Ok(-2.0));
        let reason = |steps: &[(f64, f64)]| mean_log10(steps).unwrap_err();
        assert!(reason(&[(0.1, 1.0), (0.0, 1.0)]).contains("none of its weights changes in 1 of 2 steps"));
        assert!(reason(&[(0.1, 0.0), (0.0, 0.0), (0.1, 0.1)]).contains("are equal in 2 of 3 steps"));
        assert!(reason(&[(f64::NAN, 1.0)]).contains("not finite"));
    }
}
