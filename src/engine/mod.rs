//! The boundary between training and the hardware. An engine holds the parameters of a network, takes gradient steps
//! and answers questions; it knows no files, no schedules and no users.
//!
//! The boundary is the model, not the operation: the network is fixed, and speed comes from fusing its passes.

pub mod cost;
pub mod cpu;
pub(crate) mod demands;
pub mod gpu;
pub mod open;
pub mod recipe;

use std::sync::Arc;

use crate::Result;
use crate::model::Parameters;
use crate::text::{BatchPlan, Corpus};

pub use cost::Cost;
pub use open::{DeviceChoice, Opened, open};
pub use recipe::{Mask, Optimizer, Recipe, State};

/// What hardware an engine runs on, as results state it.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Hardware {
    /// The device's name: "cpu", "reference", or the adapter's.
    pub device: String,
    /// The programming interface: "cpu", "vulkan", "metal", ...
    pub backend: String,
    /// The instruction set or the driver with its version.
    pub driver: String,
    /// Threads of the CPU engine, else 1.
    pub threads: usize,
}

impl Hardware {
    /// The device as `--device` takes it.
    pub fn choice(&self) -> String {
        if self.backend == "cpu" {
            self.device.clone()
        } else {
            format!("{}:{}", self.backend, self.device.to_lowercase())
        }
    }
}

/// Which of an engine's kernels take the steps of a training.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Kernels {
    /// The way that a step goes: `small` or `general`.
    pub path: &'static str,
    /// Of the variants of that way, the one that was measured to be the fastest, or the first where nothing is measured.
    pub variant: String,
}

/// The time that a pass of a training step takes.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct PassTime {
    /// The pass.
    pub name: String,
    /// Mean time a step.
    pub microseconds: f64,
}

/// Times of passes from steps that were taken for them alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// Mean times of the passes of a step, in their order.
    pub passes: Vec<PassTime>,
    /// Mean time of these steps, from the begin of the first pass to the end of the last: what lies between passes
    /// counts. It is longer than that of an ordinary step where timing costs speed.
    pub step_microseconds: f64,
}

/// Takes steps only to time their passes. Training knows nothing of them.
pub trait Profiler {
    /// Takes such steps for about so many seconds.
    fn profile(&mut self, seconds: f64) -> Result<Profile>;
}

/// A profiler, or why there is none.
pub type PerhapsProfiler = std::result::Result<Box<dyn Profiler>, String>;

/// Everything that one forward and backward pass computes, for checks.
#[derive(Clone, Debug)]
pub struct Examination {
    /// Activations of the hidden layer after tanh, [B, h].
    pub hidden: Vec<f32>,
    /// [B, V].
    pub logits: Vec<f32>,
    /// Mean over the batch, nats.
    pub loss: f64,
    /// Gradient of the loss.
    pub gradients: Parameters,
}

/// Something that can hold the parameters of a network and train them. These are errors on every engine: a question before
/// there are parameters, or a training; a corpus of another context than the network's; a token id that is not below V; batches
/// that cannot be drawn. A recipe's numbers are taken as they are: [`crate::train::Settings`] are checked.
pub trait Engine {
    /// What it runs on.
    fn hardware(&self) -> Hardware;

    /// Takes parameters over; the shape of the first call fixes the engine's shape, and those of another shape are an error. What
    /// the update rule carries stays.
    fn load(&mut self, parameters: &Parameters) -> Result<()>;

    /// The parameters as they are now.
    fn parameters(&mut self) -> Result<Parameters>;

    /// Says on what, in which order and how to train. Parameters must be loaded; what the update rule carries from step
    /// to step begins as in [`State::new`].
    fn prepare(&mut self, corpus: Arc<Corpus>, plan: BatchPlan, recipe: Recipe) -> Result<()>;

    /// Prepares a training as [`Engine::prepare`] does, but without measuring what is the fastest, and says what it takes.
    /// Parameters must be loaded. A training that the device cannot hold is an error. One that was prepared before may be lost.
    fn cost(&mut self, corpus: Arc<Corpus>, plan: BatchPlan, recipe: Recipe) -> Result<Cost>;

    /// All that training carries from step to step. Training must be prepared.
    fn state(&mut self) -> Result<State>;

    /// Takes over a state that fits the prepared recipe: training goes on as if it had never stopped.
    fn load_state(&mut self, state: &State) -> Result<()>;

    /// Takes one step for each learning rate, the first of them step number `first_step`. Returns the mean loss of each
    /// step's batch before its update, in nats.
    fn train(&mut self, first_step: u64, rates: &[f32]) -> Result<Vec<f32>>;

    /// The natural logarithm of the probability of each target of a corpus, [corpus.len()].
    fn log_probabilities(&mut self, corpus: &Corpus) -> Result<Vec<f32>>;

    /// The distributions after some contexts: `contexts` is [count, n], oldest token first; the result [count, V].
    fn distributions(&mut self, contexts: &[u32]) -> Result<Vec<f32>>;

    /// One forward and backward pass over all of a corpus as one batch. The parameters stay as they are.
    fn examine(&mut self, corpus: &Corpus) -> Result<Examination>;

    /// The kernels that take the steps of the prepared training, where an engine has several for them.
    fn kernels(&self) -> Option<Kernels> {
        None
    }

    /// What the engine chose by measuring, where it measures: a line for each choice.
    fn choices(&self) -> Vec<String> {
        Vec::new()
    }

    /// Mean times of the passes of the steps taken since the last call, where the engine measures them.
    fn pass_times(&mut self) -> Vec<PassTime> {
        Vec::new()
    }

    /// What times the passes of the prepared training on steps of its own, where timing them costs so much that ordinary
    /// steps go without; or why nothing can.
    fn profiler(&mut self) -> Result<PerhapsProfiler> {
        Ok(Err(format!("{} does not time its passes", self.hardware().device)))
    }

    /// Multiplications and additions a second that the hardware reaches on numbers in registers, in thousand millions,
    /// where the engine can measure it: the limit of every step.
    fn peak_gflops(&mut self) -> Result<Option<f64>> {
        Ok(None)
    }

    /// Bytes a second that a copy of arrays too large for the caches reads and writes, in thousand millions, where the
    /// engine can measure it: the limit of what does not stay in a cache.
    fn peak_gigabytes_per_second(&mut self) -> Result<Option<f64>> {
        Ok(None)
    }
}

/// Mean loss of a corpus in nats per predicted token.
pub fn mean_loss(engine: &mut dyn Engine, corpus: &Corpus) -> Result<f64> {
    Ok(mean_negative(&engine.log_probabilities(corpus)?))
}

/// The mean loss that log-probabilities of targets amount to, summed in f64 in their order.
pub fn mean_negative(log_probabilities: &[f32]) -> f64 {
    -log_probabilities.iter().map(|&p| f64::from(p)).sum::<f64>() / log_probabilities.len() as f64
}
