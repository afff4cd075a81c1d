//! What an engine computes on one batch beside what it must be.

use std::sync::Arc;

use super::Case;
use crate::Result;
use crate::engine::{Engine, State};
use crate::model::Parameters;
use crate::reference::Reference;
use crate::text::BatchPlan;

/// How many steps are checked.
const STEPS: usize = 10;

/// The values that a case must give.
#[derive(Clone, Debug)]
pub struct Expected {
    /// After tanh, [B, h].
    pub hidden: Vec<f32>,
    /// [B, V].
    pub logits: Vec<f32>,
    /// Gradient of the mean loss.
    pub gradients: Parameters,
    /// Loss before each step on the same batch.
    pub losses: Vec<f64>,
    /// The state after one step.
    pub after_one: State,
    /// The state after ten steps.
    pub after_ten: State,
}

/// One tensor of one case.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Comparison {
    /// The case.
    pub case: String,
    /// The tensor: `hidden`, `logits`, `loss`, `gradient.<parameter>`, `after1.<parameter>`, ...
    pub tensor: String,
    /// Largest absolute difference over the largest absolute expected value (over at least 1 for losses).
    pub error: f64,
    /// What float32 must hold (the design's figures).
    pub tolerance: f64,
    /// Whether it holds. An error that is not a number does not.
    pub ok: bool,
}

/// The tolerances by kind of tensor.
pub(super) struct Tolerances {
    hidden: f64,
    logits: f64,
    gradients: f64,
    after_one: f64,
    after_ten: f64,
    first_loss: f64,
    later_losses: f64,
}

pub(super) const FLOAT32: Tolerances = Tolerances {
    hidden: 5e-6,
    logits: 2e-6,
    gradients: 5e-6,
    after_one: 5e-6,
    after_ten: 5e-5,
    first_loss: 1e-5,
    later_losses: 5e-5,
};

/// The reference computes in f64; what is left is the rounding of results to f32.
const FLOAT64: Tolerances = Tolerances {
    hidden: 2e-7,
    logits: 2e-7,
    gradients: 2e-7,
    after_one: 2e-7,
    after_ten: 2e-7,
    first_loss: 2e-7,
    later_losses: 2e-7,
};

/// Runs a case on an engine: one examination, then ten steps on the same batch.
pub fn run(engine: &mut dyn Engine, case: &Case) -> Result<Expected> {
    engine.load(&case.parameters)?;
    let examination = engine.examine(&case.corpus)?;
    engine.prepare(Arc::new(case.corpus.clone()), BatchPlan::whole(&case.corpus), case.recipe)?;
    let mut losses = engine.train(0, &[case.rate])?;
    let after_one = engine.state()?;
    losses.extend(engine.train(1, &[case.rate; STEPS - 1])?);
    let mut losses: Vec<f64> = losses.into_iter().map(f64::from).collect();
    losses.insert(0, examination.loss);
    Ok(Expected {
        hidden: examination.hidden,
        logits: examination.logits,
        gradients: examination.gradients,
        losses,
        after_one,
        after_ten: engine.state()?,
    })
}

/// What the reference engine computes for a case.
pub fn expected_of_reference(case: &Case) -> Result<Expected> {
    run(&mut Reference::default(), case)
}

/// Compares an engine with the expected values, tensor by tensor.
pub fn compare(engine: &mut dyn Engine, case: &Case, expected: &Expected) -> Result<Vec<Comparison>> {
    let exact = engine.hardware().device == "reference";
    let tolerances = if exact { FLOAT64 } else { FLOAT32 };
    Ok(comparisons(&case.name, &run(engine, case)?, expected, tolerances))
}

/// Compares what was computed for a case with what must come out.
pub(super) fn comparisons(
    case: &str,
    found: &Expected,
    expected: &Expected,
    tolerances: Tolerances,
) -> Vec<Comparison> {
    let mut comparisons = Vec::new();
    let mut add = |tensor: String, error: f64, tolerance: f64| {
        comparisons.push(Comparison { case: case.to_owned(), tensor, error, tolerance, ok: error <= tolerance });
    };
    add("hidden".into(), largest_error(&found.hidden, &expected.hidden), tolerances.hidden);
    add("logits".into(), largest_error(&found.logits, &expected.logits), tolerances.logits);
    for (index, (found, expected)) in found.losses.iter().zip(&expected.losses).enumerate() {
        // The first is the examination's, the second that of the first step: both at the given parameters.
        let (name, tolerance) = match index {
            0 => ("loss".to_owned(), tolerances.first_loss),
            1 => ("losses[0]".to_owned(), tolerances.first_loss),
            _ => (format!("losses[{}]", index - 1), tolerances.later_losses),
        };
        add(name, (found - expected).abs() / expected.abs().max(1.0), tolerance);
    }
    let mut add_all = |kind: &str, found: &Parameters, expected: &Parameters, tolerance: f64| {
        for (tensor, values) in expected.tensors() {
            add(format!("{kind}.{}", tensor.name), largest_error(found.tensor(tensor.name), values), tolerance);
        }
    };
    add_all("gradient", &found.gradients, &expected.gradients, tolerances.gradients);
    let states = [
        ("after1", &found.after_one, &expected.after_one, tolerances.after_one),
        ("after10", &found.after_ten, &expected.after_ten, tolerances.after_ten),
    ];
    for (kind, found, expected, tolerance) in states {
        add_all(kind, &found.parameters, &expected.parameters, tolerance);
        for ((name, found), (_, expected)) in found.carried().into_iter().zip(expected.carried()) {
            if let (Some(found), Some(expected)) = (found, expected) {
                add_all(&format!("{kind}.{name}"), found, expected, tolerance);
            }
        }
    }
    comparisons
}

/// Largest absolute difference over the largest absolute expected value; not a number where one value is not, infinite
/// where the lengths differ.
pub fn largest_error(found: &[f32], expected: &[f32]) -> f64 {
    if found.len() != expected.len() {
        return f64::INFINITY;
    }
    let (mut difference, mut largest) = (0f64, 0f64);
    for (&found, &expected) in found.iter().zip(expected) {
        let error = (f64::from(found) - f64::from(expected)).abs();
        if error.is_nan() {
            return f64::NAN;
        }
        difference = difference.max(error);
        largest = largest.max(f64::from(expected).abs());
    }
    if difference == 0.0 { 0.0 } else { difference / largest }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_relative_to_the_largest_value() {
        assert_eq!(largest_error(&[1.0, 4.0], &[1.0, 5.0]), 0.2);
        assert_eq!(largest_error(&[0.0], &[0.0]), 0.0);
        assert_eq!(largest_error(&[1.0], &[0.0]), f64::INFINITY);
        assert_eq!(largest_error(&[1.0], &[1.0, 2.0]), f64::INFINITY);
        assert!(largest_error(&[f32::NAN, 1.0], &[1.0, 1.0]).is_nan());
    }
}
