//! How fast an engine is on named shapes. Nothing is timed before it is checked.

pub mod shapes;

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::check::compare::largest_error;
use crate::engine::{Engine, Hardware, PassTime, Recipe};
use crate::model::initial::initial;
use crate::model::{Init, Parameters};
use crate::reference::Reference;
use crate::text::{BatchPlan, Corpus, Order};
use crate::{Error, Result};

pub use shapes::{BenchShape, SHAPES};

/// Examples on which an engine is compared with the reference before it is timed.
const CHECKED_EXAMPLES: usize = 16;
/// Largest relative error of logits and gradients (the design's figures, the larger for all).
const TOLERANCE: f64 = 5e-6;
/// A measurement is the median of at least so many repeats.
const REPEATS: usize = 5;
/// The learning rate; it is small, so that no timed run leaves the range of ordinary numbers.
const RATE: f32 = 0.01;

/// The result for one shape.
#[derive(Clone, Debug, Serialize)]
pub struct Timing {
    /// The shape's name.
    pub shape: &'static str,
    /// Where it ran.
    #[serde(flatten)]
    pub hardware: Hardware,
    /// Whether gradients agreed with the reference before the timing; always true, since nothing else is timed.
    pub checked: bool,
    /// Median.
    pub steps_per_second: f64,
    /// The fastest repeat.
    pub best_steps_per_second: f64,
    /// The slowest repeat.
    pub worst_steps_per_second: f64,
    /// Median.
    pub examples_per_second: f64,
    /// 6 operations a weight and example.
    pub gflops: f64,
    /// What the hardware reaches on numbers in registers, where that is measured.
    pub peak_gflops: Option<f64>,
    /// `gflops` over `peak_gflops`.
    pub fraction_of_peak: Option<f64>,
    /// Mean times of the passes of a step, where the engine measures them.
    pub passes: Vec<Pass>,
}

/// The time of one pass.
#[derive(Clone, Debug, Serialize)]
pub struct Pass {
    /// The pass.
    pub name: String,
    /// Mean time a step.
    pub microseconds: f64,
    /// Its share of the passes' sum.
    pub share: f64,
}

/// Checks an engine on a shape, then times whole steps for about `seconds`.
pub fn run(engine: &mut dyn Engine, shape: &'static BenchShape, seconds: f64) -> Result<Timing> {
    let parameters = initial(shape.shape, Init::Scaled, 1, &[]);
    let corpus = Arc::new(shape.corpus());
    check(engine, shape, &parameters, &corpus)?;
    engine.load(&parameters)?;
    let plan = BatchPlan { order: Order::Sampled, seed: 1, batch: shape.batch as u32, examples: corpus.len() as u32 };
    engine.prepare(corpus, plan, Recipe::default())?;

    let repeat_time = Duration::from_secs_f64(seconds / REPEATS as f64);
    let mut step = 0;
    let mut take = |engine: &mut dyn Engine, count: u64| -> Result<f64> {
        let start = Instant::now();
        engine.train(step, &vec![RATE; count as usize])?;
        step += count;
        Ok(start.elapsed().as_secs_f64())
    };
    // Warm-up: doubles the range until it takes a good part of a repeat.
    let mut count = 1;
    while take(engine, count)? < repeat_time.as_secs_f64() / 4.0 {
        count *= 2;
    }
    engine.pass_times();
    let mut speeds = Vec::new();
    let start = Instant::now();
    while speeds.len() < REPEATS || start.elapsed().as_secs_f64() < seconds {
        speeds.push(count as f64 / take(engine, count)?);
    }
    speeds.sort_by(f64::total_cmp);
    let steps_per_second = speeds[speeds.len() / 2];
    let gflops = shape.shape.step_flops(shape.batch) * steps_per_second / 1e9;
    let passes = shares(engine.pass_times());
    let peak_gflops = engine.peak_gflops();
    Ok(Timing {
        shape: shape.name,
        hardware: engine.hardware(),
        checked: true,
        steps_per_second,
        best_steps_per_second: speeds[speeds.len() - 1],
        worst_steps_per_second: speeds[0],
        examples_per_second: steps_per_second * shape.batch as f64,
        gflops,
        peak_gflops,
        fraction_of_peak: peak_gflops.map(|peak| gflops / peak),
        passes,
    })
}

fn shares(times: Vec<PassTime>) -> Vec<Pass> {
    let sum: f64 = times.iter().map(|time| time.microseconds).sum();
    let pass =
        |time: PassTime| Pass { share: time.microseconds / sum, name: time.name, microseconds: time.microseconds };
    times.into_iter().map(pass).collect()
}

/// The shape's logits and gradients on a few examples against the reference.
fn check(engine: &mut dyn Engine, shape: &BenchShape, parameters: &Parameters, corpus: &Corpus) -> Result<()> {
    let examples = 0..CHECKED_EXAMPLES.min(corpus.len());
    let contexts: Vec<u32> = examples.clone().flat_map(|example| corpus.context_of(example).to_vec()).collect();
    let targets: Vec<u32> = examples.map(|example| corpus.target_of(example)).collect();
    let batch = Corpus::from_examples(&contexts, &targets, corpus.context());
    let mut reference = Reference::default();
    reference.load(parameters)?;
    engine.load(parameters)?;
    let (expected, found) = (reference.examine(&batch)?, engine.examine(&batch)?);
    let mut errors = vec![("logits", largest_error(&found.logits, &expected.logits))];
    for (tensor, values) in expected.gradients.tensors() {
        errors.push((tensor.name, largest_error(found.gradients.tensor(tensor.name), values)));
    }
    for (tensor, error) in errors {
        // Written so that an error which is not a number fails too.
        if !matches!(error.partial_cmp(&TOLERANCE), Some(std::cmp::Ordering::Less)) {
            return Err(Error::Check(format!(
                "{}: {tensor} is off by {error:.1e}, tolerance {TOLERANCE:.0e}: this device does not compute right, \
                 so it is not timed. See `gpu-mlp check`",
                shape.name
            )));
        }
    }
    Ok(())
}
