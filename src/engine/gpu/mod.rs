//! The GPU engine on wgpu. A step takes nothing from the host: the batch follows from the seed and a step counter on the
//! device, and the learning rates and losses of some thousand steps lie there in rings.
//!
//! | module | holds |
//! | --- | --- |
//! | [`mod@adapters`] | the machine's adapters |
//! | `device` | buffers, pipelines, submissions, and the only waits |
//! | [`kernels`] | the table of the WGSL kernels |
//! | [`uniforms`] | the structs that kernels read |
//! | `layout` | where the parameters lie on the device |
//! | `feed` | corpus, plan, cursor and rings on the device |
//! | `passes`, `general` | the general path: a dispatch a pass |
//! | `small` | the small path: two dispatches a step |
//! | [`alone`] | any kernel by itself, for tests and checks |

pub mod adapters;
pub mod alone;
mod device;
mod feed;
mod general;
pub mod kernels;
mod layout;
mod pace;
mod passes;
mod small;
mod step;
pub mod uniforms;

use std::sync::Arc;

use super::{Engine, Examination, Hardware, Recipe, State};
use crate::model::{Parameters, Shape};
use crate::text::{BatchPlan, Corpus, Order};
use crate::{Error, Result};

pub use adapters::{Adapter, Kind, Limits, adapters};
pub use device::Device;
pub use passes::{cut_product, workgroups_for_each, workgroups_for_rows};

use device::Buffer;
use feed::{Feed, RING};
use kernels::SoftmaxResult;
use layout::{Layout, padded};
use pace::Pace;
use step::Step;

/// Logits of one chunk of an evaluation, at most: 16 MiB.
const CHUNK_LOGITS: usize = 4 << 20;
/// Examples of one chunk of an evaluation, at most.
const CHUNK_EXAMPLES: usize = 4096;

/// Which of the two ways of taking a step the engine goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Path {
    /// The small one where parameters and activations are small enough for it.
    #[default]
    Automatic,
    /// Two dispatches a step.
    Small,
    /// A dispatch for each pass.
    General,
}

/// The GPU engine.
pub struct Gpu {
    device: Device,
    path: Path,
    model: Option<Model>,
    training: Option<Training>,
    pace: Pace,
}

struct Model {
    shape: Shape,
    layout: Layout,
    parameters: Buffer,
}

struct Training {
    feed: Feed,
    step: Step,
}

impl Gpu {
    /// Opens a device on an adapter. Kernels are trusted to stay within their buffers.
    pub fn open(adapter: Adapter, path: Path) -> Result<Self> {
        Ok(Self::on(Device::open(adapter, false)?, path))
    }

    /// The same with runtime checks in every kernel, for tests and for a driver that is in doubt.
    pub fn open_checked(adapter: Adapter, path: Path) -> Result<Self> {
        Ok(Self::on(Device::open(adapter, true)?, path))
    }

    fn on(device: Device, path: Path) -> Self {
        Gpu { device, path, model: None, training: None, pace: Pace::new() }
    }

    fn model(&self) -> Result<&Model> {
        self.model.as_ref().ok_or_else(|| Error::usage("the GPU engine has no parameters yet: load some first"))
    }

    /// The step of the path that fits a batch, with the parameters' gradients going to `destination`.
    fn step(&self, feed: &Feed, destination: &Buffer) -> Result<Step> {
        let Model { shape, parameters, .. } = self.model()?;
        let unfit = small::unfit(&self.device, *shape, feed.batch());
        match (self.path, unfit) {
            (Path::Small, Some(reason)) => Err(Error::Usage(format!(
                "the small GPU path cannot be taken: {reason}. Choose the general path, or let it be chosen"
            ))),
            (Path::Small | Path::Automatic, None) => small::step(&self.device, *shape, parameters, destination, feed),
            (Path::General, _) | (Path::Automatic, Some(_)) => {
                general::step(&self.device, *shape, parameters, destination, feed)
            }
        }
    }

    fn feed(&self, corpus: &Corpus, plan: BatchPlan) -> Result<Feed> {
        let shape = self.model()?.shape;
        Feed::new(&self.device, corpus, plan, shape.context, shape.vocabulary)
    }

    /// Runs a corpus forward in chunks. `take` gets the first example of a chunk and the number of its examples.
    fn evaluate(
        &mut self,
        corpus: &Corpus,
        result: SoftmaxResult,
        mut take: impl FnMut(&mut Device, &general::Forward, usize, usize) -> Result<()>,
    ) -> Result<()> {
        let shape = self.model()?.shape;
        let chunk = (CHUNK_LOGITS / shape.vocabulary).clamp(1, CHUNK_EXAMPLES).min(corpus.len());
        let plan = BatchPlan { order: Order::Sequential, seed: 0, batch: chunk as u32, examples: corpus.len() as u32 };
        let feed = self.feed(corpus, plan)?;
        let mut forward = general::forward(&self.device, shape, &self.model()?.parameters, &feed)?;
        forward.dispatches.push(forward.softmax(&self.device, shape, &feed, result)?);
        for (step, first) in (0..).zip((0..corpus.len()).step_by(chunk)) {
            feed.seek(&self.device, step, &[]);
            let mut recording = self.device.record();
            recording.pass("evaluation", &forward.dispatches, 1);
            self.device.submit(recording, 0)?;
            take(&mut self.device, &forward, first, chunk.min(corpus.len() - first))?;
        }
        Ok(())
    }
}

impl Engine for Gpu {
    fn hardware(&self) -> Hardware {
        self.device.hardware()
    }

    fn load(&mut self, parameters: &Parameters) -> Result<()> {
        let shape = parameters.shape();
        if let Some(model) = &self.model {
            if model.shape != shape {
                return Err(Error::Usage(format!("the GPU engine holds a {:?}, not a {shape:?}", model.shape)));
            }
        } else {
            let layout = Layout::new(shape);
            let parameters = self.device.tensors("parameters", layout.len())?;
            self.model = Some(Model { shape, layout, parameters });
        }
        let model = self.model()?;
        self.device.write(&model.parameters, &model.layout.to_device(parameters));
        self.device.check()
    }

    fn parameters(&mut self) -> Result<Parameters> {
        let Model { shape, layout, parameters } = self.model()?;
        let (shape, layout, buffer) = (*shape, layout.clone(), parameters.clone());
        let values: Vec<f32> = self.device.read(&buffer, 0..layout.len())?;
        Ok(layout.parameters_of(shape, &values))
    }

    fn prepare(&mut self, corpus: Arc<Corpus>, plan: BatchPlan, recipe: Recipe) -> Result<()> {
        let shape = self.model()?.shape;
        if !recipe.is_plain() || shape.tied || shape.hidden == 0 {
            return Err(Error::usage("the GPU engine takes plain steps of networks with hidden units only"));
        }
        let feed = self.feed(&corpus, plan)?;
        let step = self.step(&feed, &self.model()?.parameters)?;
        self.training = Some(Training { feed, step });
        self.device.check()
    }

    fn state(&mut self) -> Result<State> {
        Ok(State::new(self.parameters()?, &Recipe::default()))
    }

    fn load_state(&mut self, state: &State) -> Result<()> {
        self.load(&state.parameters)
    }

    fn train(&mut self, first_step: u64, rates: &[f32]) -> Result<Vec<f32>> {
        let Some(Training { feed, step }) = &self.training else {
            return Err(Error::usage("the GPU engine has nothing to train on yet: prepare a corpus first"));
        };
        let mut losses = Vec::with_capacity(rates.len());
        for (first, rates) in (first_step..).step_by(RING).zip(rates.chunks(RING)) {
            feed.seek(&self.device, first, rates);
            self.pace.begin();
            let mut queued = 0;
            while queued < rates.len() {
                let steps = self.pace.steps().min(rates.len() - queued);
                let mut recording = self.device.record();
                recording.pass("steps", &step.dispatches, steps);
                if let Some(finished) = self.device.submit(recording, steps)? {
                    self.pace.report(finished);
                }
                queued += steps;
            }
            losses.extend(self.device.read::<f32>(&feed.losses, 0..rates.len())?);
        }
        Ok(losses)
    }

    fn log_probabilities(&mut self, corpus: &Corpus) -> Result<Vec<f32>> {
        if corpus.is_empty() {
            return Ok(Vec::new());
        }
        let losses = self.device.tensors("losses of a corpus", corpus.len())?;
        self.evaluate(corpus, SoftmaxResult::Loss, |device, forward, first, count| {
            let mut recording = device.record();
            recording.copy(&forward.example_losses, &losses, first, count);
            device.submit(recording, 0).map(|_| ())
        })?;
        let losses: Vec<f32> = self.device.read(&losses, 0..corpus.len())?;
        Ok(losses.into_iter().map(|loss| -loss).collect())
    }

    fn distributions(&mut self, contexts: &[u32]) -> Result<Vec<f32>> {
        let Shape { context, vocabulary, .. } = self.model()?.shape;
        let count = contexts.len() / context;
        if count == 0 {
            return Ok(Vec::new());
        }
        // The targets do not matter here.
        let corpus = Corpus::from_examples(contexts, &vec![0; count], context);
        let mut distributions = Vec::with_capacity(count * vocabulary);
        self.evaluate(&corpus, SoftmaxResult::Probabilities, |device, forward, _, count| {
            let rows: Vec<f32> = device.read(&forward.logits, 0..count * padded(vocabulary))?;
            distributions.extend(rows.chunks_exact(padded(vocabulary)).flat_map(|row| &row[..vocabulary]));
            Ok(())
        })?;
        Ok(distributions)
    }

    fn examine(&mut self, corpus: &Corpus) -> Result<Examination> {
        let Model { shape, layout, .. } = self.model()?;
        let (shape, layout) = (*shape, layout.clone());
        let examples = corpus.len() as u32;
        let plan = BatchPlan { order: Order::Sequential, seed: 0, batch: examples, examples };
        let feed = self.feed(corpus, plan)?;
        // 0 - (-1) * gradient is the gradient.
        let gradients = self.device.tensors("gradients", layout.len())?;
        let step = self.step(&feed, &gradients)?;
        feed.seek(&self.device, 0, &[-1.0]);

        let mut recording = self.device.record();
        recording.pass("forward", &step.dispatches[..step.logits_ready], 1);
        self.device.submit(recording, 0)?;
        let hidden = step.hidden.read(&mut self.device, corpus.len())?;
        let logits = step.logits.read(&mut self.device, corpus.len())?;
        let mut recording = self.device.record();
        recording.pass("backward", &step.dispatches[step.logits_ready..], 1);
        self.device.submit(recording, 0)?;
        let loss: Vec<f32> = self.device.read(&feed.losses, 0..1)?;
        let gradients: Vec<f32> = self.device.read(&gradients, 0..layout.len())?;
        Ok(Examination { hidden, logits, loss: loss[0].into(), gradients: layout.parameters_of(shape, &gradients) })
    }
}

#[cfg(test)]
mod tests;
