//! The GPU engine on wgpu.

use std::sync::Arc;

use super::{Engine, Examination, Hardware};
use crate::model::Parameters;
use crate::text::{BatchPlan, Corpus};
use crate::{Error, Result};

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

/// An adapter as wgpu lists it.
pub struct Adapter {
    /// Its place among the adapters of its backend, from 0.
    pub index: usize,
    /// Its name.
    pub name: String,
    /// `vulkan`, `metal`, `dx12` or `gl`.
    pub backend: &'static str,
}

impl Adapter {
    /// Whether it computes on the CPU.
    pub fn is_software(&self) -> bool {
        true
    }
}

/// The adapters of one backend, or of all.
pub fn adapters(_backend: Option<&str>) -> Vec<Adapter> {
    Vec::new()
}

/// The GPU engine.
pub struct Gpu {}

impl Gpu {
    /// Opens a device on an adapter.
    pub fn open(_adapter: Adapter, _path: Path) -> Result<Self> {
        Err(Error::Device("no".into()))
    }
}

impl Engine for Gpu {
    fn hardware(&self) -> Hardware {
        todo!()
    }
    fn load(&mut self, _parameters: &Parameters) -> Result<()> {
        todo!()
    }
    fn parameters(&mut self) -> Result<Parameters> {
        todo!()
    }
    fn prepare(&mut self, _corpus: Arc<Corpus>, _plan: BatchPlan) -> Result<()> {
        todo!()
    }
    fn train(&mut self, _first_step: u64, _rates: &[f32]) -> Result<Vec<f32>> {
        todo!()
    }
    fn log_probabilities(&mut self, _corpus: &Corpus) -> Result<Vec<f32>> {
        todo!()
    }
    fn distributions(&mut self, _contexts: &[u32]) -> Result<Vec<f32>> {
        todo!()
    }
    fn examine(&mut self, _corpus: &Corpus) -> Result<Examination> {
        todo!()
    }
}
