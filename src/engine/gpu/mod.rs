//! The GPU engine on wgpu. A step takes nothing from the host: the batch follows from the seed and a step counter on the
//! device, and the learning rates and losses of some thousand steps lie there in rings.
//!
//! | module | holds |
//! | --- | --- |
//! | [`mod@adapters`], `absent` | the machine's adapters; that it has none, kept from run to run |
//! | `buffer` | memory on the device |
//! | `device` | buffers, submissions, and the only waits |
//! | `pipelines`, `recording` | compiled kernels; commands on their way to the device |
//! | [`kernels`], `product_kernels`, `unroll` | the table of the WGSL kernels, and how lines of some stand for several |
//! | [`product`], `choice` | the ways to make matrix products and to take a step, and which is the fastest here |
//! | [`uniforms`] | the structs that kernels read |
//! | `layout` | where the parameters lie on the device |
//! | `carried` | what the update rule carries from step to step |
//! | `feed` | corpus, plan, cursor and rings on the device |
//! | `passes`, `general`, `cut` | the general path: a dispatch a pass, or six a step; in chunks and blocks where bindings are small |
//! | `evaluation` | a corpus forward |
//! | `small` | the small path: two dispatches a step, or one for several, in variants of which the fastest is taken |
//! | `cost` | what a training takes, without training |
//! | `tuning` | what was measured on an adapter, kept from run to run |
//! | `peak` | what the device reaches at most |
//! | `profile` | what each pass of a step takes |
//! | [`alone`] | any kernel by itself, for tests and checks |

mod absent;
pub mod adapters;
pub mod alone;
mod buffer;
mod carried;
mod choice;
mod cost;
mod cut;
mod device;
#[cfg(test)]
mod disorder;
mod evaluation;
mod feed;
mod general;
pub mod kernels;
mod layout;
mod pace;
mod passes;
mod peak;
mod pipelines;
pub mod product;
mod product_kernels;
mod profile;
mod recording;
mod small;
mod step;
mod stopwatch;
#[cfg(test)]
pub(crate) mod trouble;
mod tuning;
pub mod uniforms;
mod unroll;

#[cfg(any(test, fuzzing))]
pub(crate) use tuning::read_choices;

use std::sync::Arc;

use super::demands::{check_corpus, check_parameters, check_state, corpus_of_contexts, loaded, prepared};
use super::{Cost, Engine, Examination, Hardware, Kernels, PerhapsProfiler, Recipe, State};
use crate::model::{Parameters, Shape};
use crate::text::{BatchPlan, Corpus};
use crate::{Error, Result};

pub use absent::{forget_absence, hardware};
pub use adapters::{Adapter, Kind, Limits, adapters};
pub use device::Device;
pub use passes::{workgroups_for_each, workgroups_for_rows};
pub use step::StepCost;
pub use tuning::{NoStore, Store};

use carried::Carried;
use choice::Products;
use cut::Cut;
use device::Buffer;
use evaluation::Evaluation;
use feed::{Feed, RING};
use general::Way;
use kernels::SoftmaxResult;
use layout::{Layout, padded};
use pace::Pace;
use small::Small;
use step::{Readable, Step};
use uniforms::Factors;

/// Which of the two ways of taking a step the engine goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Path {
    /// The small one where parameters and activations are small enough for it, and where it is the faster one.
    #[default]
    Automatic,
    /// Two dispatches a step, or one for several.
    Small,
    /// A dispatch for each pass, or passes that share dispatches.
    General,
}

/// The GPU engine.
pub struct Gpu {
    device: Device,
    path: Path,
    cut: Cut,
    /// How the general path takes a step.
    general: Way,
    /// How the small path cuts its work.
    small: small::Variant,
    model: Option<Model>,
    training: Option<Training>,
    /// What the last evaluation was made with.
    evaluation: Option<Evaluation>,
    pace: Pace,
}

struct Model {
    shape: Shape,
    layout: Layout,
    parameters: Buffer,
}

struct Training {
    corpus: Arc<Corpus>,
    feed: Feed,
    carried: Carried,
    step: Step,
}

impl Gpu {
    /// Opens a device on an adapter. Kernels are trusted to stay within their buffers.
    pub fn open(adapter: Adapter, path: Path) -> Result<Self> {
        Ok(Self::on(Device::open(adapter, false)?, path))
    }

    /// The same; the store may know which kernels are the fastest on the adapter, or learns it.
    pub fn open_with(adapter: Adapter, path: Path, store: Box<dyn Store>) -> Result<Self> {
        Ok(Self::on(Device::open_with(adapter, false, store)?, path))
    }

    /// The same with runtime checks in every kernel, for tests and for a driver that is in doubt.
    pub fn open_checked(adapter: Adapter, path: Path) -> Result<Self> {
        Ok(Self::on(Device::open(adapter, true)?, path))
    }

    fn on(device: Device, path: Path) -> Self {
        Gpu {
            device,
            path,
            cut: Cut::default(),
            general: Way { products: Products::Kept, joins: true },
            small: small::Variant::ALL[0],
            model: None,
            training: None,
            evaluation: None,
            pace: Pace::new(),
        }
    }

    /// What a step of the prepared training costs.
    pub fn step_cost(&self) -> Option<StepCost> {
        self.training.as_ref().map(|training| training.step.cost())
    }

    fn model(&self) -> Result<&Model> {
        loaded(self.model.as_ref())
    }

    /// Whether the small path takes batches of a recipe. An error says that it cannot although it was asked for.
    fn takes_small_path(&self, batch: usize, recipe: &Recipe) -> Result<bool> {
        let shape = self.model()?.shape;
        let unfit = small::unfit(shape, batch, recipe, self.device.rounds());
        match (self.path, unfit) {
            (Path::Small, Some(reason)) => Err(Error::Usage(format!(
                "the small GPU path cannot be taken: {reason}. Choose the general path, or let it be chosen"
            ))),
            (Path::Small, None) => Ok(true),
            (Path::Automatic, None) => Ok(small::pays(self.device.is_software(), shape, batch)),
            (Path::General, _) | (Path::Automatic, Some(_)) => Ok(false),
        }
    }

    /// The step of the path that fits a batch and a recipe; it updates `destination`.
    fn step(&self, feed: &Feed, destination: &Buffer, carried: &Carried) -> Result<Step> {
        let model = self.model()?;
        if self.takes_small_path(feed.batch(), carried.recipe())? {
            return self.small_path(feed, destination)?.step(self.small);
        }
        general::step(&self.device, model, destination, feed, self.cut, carried, self.general)
    }

    fn small_path<'a>(&'a self, feed: &'a Feed, destination: &'a Buffer) -> Result<Small<'a>> {
        let Model { shape, parameters, .. } = self.model()?;
        Ok(Small { device: &self.device, shape: *shape, parameters, destination, feed })
    }

    /// Finds the fastest kernels for a training. All of them give the same bits.
    fn choose(&mut self, feed: &Feed, recipe: &Recipe) -> Result<()> {
        let model = self.model()?;
        if self.takes_small_path(feed.batch(), recipe)? {
            self.small = self.small_path(feed, &model.parameters)?.chosen()?;
        } else {
            let (shape, device) = (model.shape, &self.device);
            let products = choice::for_training(self.general.products, shape, feed.batch());
            let step = |joins| {
                let scratch = device.tensors("parameters of a trial", model.layout.len())?;
                general::step(
                    device,
                    model,
                    &scratch,
                    feed,
                    self.cut,
                    &Carried::nothing(*recipe),
                    Way { products, joins },
                )
            };
            let joins = match general::steps_in_place(shape, recipe) {
                true => choice::joins(device, shape, feed, step),
                false => Ok(false),
            };
            // A device that has no room for a trial may have room for the training, with passes apart.
            self.general = Way { products, joins: joins.or_else(|_| device.check().map(|()| false))? };
        }
        Ok(())
    }

    /// Gets ready to train with the kernels that are chosen.
    fn make_ready(&mut self, corpus: Arc<Corpus>, feed: Feed, recipe: Recipe) -> Result<()> {
        let carried = self.carried(recipe)?;
        let step = self.step(&feed, &self.model()?.parameters, &carried)?;
        self.training = Some(Training { corpus, feed, carried, step });
        self.device.check()
    }

    fn carried(&mut self, recipe: Recipe) -> Result<Carried> {
        let model = loaded(self.model.as_ref())?;
        Carried::new(&mut self.device, model, recipe)
    }

    fn feed(&self, corpus: &Corpus, plan: BatchPlan) -> Result<Feed> {
        Feed::new(&self.device, corpus, plan, self.model()?.shape)
    }
}

impl Engine for Gpu {
    fn hardware(&self) -> Hardware {
        self.device.hardware()
    }

    fn kernels(&self) -> Option<Kernels> {
        let Training { feed, carried, step, .. } = self.training.as_ref()?;
        Some(match self.takes_small_path(feed.batch(), carried.recipe()) {
            Ok(true) => Kernels { path: "small", variant: self.small.name() },
            _ => Kernels {
                path: "general",
                variant: step.products.join(", ")
                    + if step.joined { ", joined" } else { "" }
                    + if step.by_pairs { ", by pairs" } else { "" },
            },
        })
    }

    fn choices(&self) -> Vec<String> {
        self.device.choices()
    }

    fn load(&mut self, parameters: &Parameters) -> Result<()> {
        let shape = parameters.shape();
        check_parameters(self.model.as_ref().map(|model| model.shape), parameters)?;
        if self.model.is_none() {
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
        let feed = self.feed(&corpus, plan)?;
        self.choose(&feed, &recipe)?;
        self.make_ready(corpus, feed, recipe)
    }

    fn cost(&mut self, corpus: Arc<Corpus>, plan: BatchPlan, recipe: Recipe) -> Result<Cost> {
        self.cost_of(&corpus, plan, recipe)
    }

    fn state(&mut self) -> Result<State> {
        let parameters = self.parameters()?;
        let (model, training) = (loaded(self.model.as_ref())?, prepared(self.training.as_ref())?);
        training.carried.state(&mut self.device, &model.layout, parameters)
    }

    fn load_state(&mut self, state: &State) -> Result<()> {
        check_state(self.model()?.shape, state, prepared(self.training.as_ref())?.carried.recipe())?;
        self.load(&state.parameters)?;
        let (model, training) = (self.model()?, prepared(self.training.as_ref())?);
        training.carried.load(&self.device, &model.layout, state)
    }

    fn train(&mut self, first_step: u64, rates: &[f32]) -> Result<Vec<f32>> {
        let Training { feed, carried, step, .. } = prepared(self.training.as_ref())?;
        #[cfg(test)]
        if let Some(trouble) = trouble::at(trouble::Place::Steps) {
            let Model { parameters, layout, .. } = self.model()?;
            let count = if trouble == trouble::Trouble::NoNumbers { layout.len() } else { 1 };
            self.device.write(parameters, &vec![f32::NAN; count]);
        }
        let mut losses = Vec::with_capacity(rates.len());
        for (first, rates) in (first_step..).step_by(RING).zip(rates.chunks(RING)) {
            let factors = (first..).zip(rates).map(|(step, &rate)| Factors::new(carried.recipe(), step, rate));
            feed.seek(&self.device, first, &factors.collect::<Vec<_>>());
            self.pace.begin();
            let mut queued = 0;
            while queued < rates.len() {
                let steps = self.pace.next().next_multiple_of(step.together()).min(rates.len() - queued);
                let mut recording = self.device.record();
                step.record(&mut recording, "steps", steps);
                if let Some(finished) = self.device.submit(recording, steps)? {
                    self.pace.report(finished);
                }
                queued += steps;
            }
            losses.extend(self.device.read::<f32>(&feed.losses, 0..rates.len())?);
        }
        Ok(losses)
    }

    fn profiler(&mut self) -> Result<PerhapsProfiler> {
        profile::profiler(self)
    }

    fn peak_gflops(&mut self) -> Result<Option<f64>> {
        peak::gflops(&mut self.device).map(Some)
    }

    fn peak_gigabytes_per_second(&mut self) -> Result<Option<f64>> {
        peak::gigabytes_per_second(&mut self.device).map(Some)
    }

    fn log_probabilities(&mut self, corpus: &Corpus) -> Result<Vec<f32>> {
        check_corpus(self.model()?.shape, corpus)?;
        if corpus.is_empty() {
            return Ok(Vec::new());
        }
        let losses = self.device.tensors("losses of a corpus", corpus.len())?;
        self.evaluate(corpus, SoftmaxResult::Loss, |device, evaluation, first, count| {
            let mut recording = device.record();
            recording.copy(&evaluation.example_losses, &losses, first, count);
            device.submit(recording, 0).map(|_| ())
        })?;
        let losses: Vec<f32> = self.device.read(&losses, 0..corpus.len())?;
        Ok(losses.into_iter().map(|loss| -loss).collect())
    }

    fn distributions(&mut self, contexts: &[u32]) -> Result<Vec<f32>> {
        let shape = self.model()?.shape;
        let corpus = corpus_of_contexts(shape, contexts)?;
        if corpus.is_empty() {
            return Ok(Vec::new());
        }
        let vocabulary = shape.vocabulary;
        let mut distributions = Vec::with_capacity(corpus.len() * vocabulary);
        self.evaluate(&corpus, SoftmaxResult::Probabilities, |device, evaluation, _, count| {
            let rows: Vec<f32> = device.read(&evaluation.logits, 0..count * padded(vocabulary))?;
            distributions.extend(rows.chunks_exact(padded(vocabulary)).flat_map(|row| &row[..vocabulary]));
            Ok(())
        })?;
        Ok(distributions)
    }

    fn examine(&mut self, corpus: &Corpus) -> Result<Examination> {
        let Model { shape, layout, .. } = self.model()?;
        let (shape, layout) = (*shape, layout.clone());
        let feed = self.feed(corpus, BatchPlan::whole(corpus))?;
        // 0 - (-1) * gradient is the gradient.
        let gradients = self.device.tensors("gradients", layout.len())?;
        let plain = Recipe::default();
        let carried = self.carried(plain)?;
        let step = self.step(&feed, &gradients, &carried)?;
        feed.seek(&self.device, 0, &[Factors::new(&plain, 0, -1.0)]);

        let (mut hidden, mut logits, mut done) = (Vec::new(), Vec::new(), 0);
        for &Readable { ready, examples } in &step.readable {
            let mut recording = self.device.record();
            recording.pass("before", step.before.as_slice(), 1);
            recording.pass("forward", &step.dispatches[done..ready], 1);
            self.device.submit(recording, 0)?;
            hidden.extend(step.hidden.read(&mut self.device, examples)?);
            logits.extend(step.logits.read(&mut self.device, examples)?);
            done = ready;
        }
        let mut recording = self.device.record();
        recording.pass("backward", &step.dispatches[done..], 1);
        self.device.submit(recording, 0)?;
        let loss: Vec<f32> = self.device.read(&feed.losses, 0..1)?;
        let gradients: Vec<f32> = self.device.read(&gradients, 0..layout.len())?;
        Ok(Examination { hidden, logits, loss: loss[0].into(), gradients: layout.parameters_of(shape, &gradients) })
    }
}

#[cfg(test)]
mod tests;
