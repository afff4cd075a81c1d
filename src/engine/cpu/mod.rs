//! The CPU engine.

use std::sync::Arc;

use super::{Engine, Examination, Hardware};
use crate::Result;
use crate::model::Parameters;
use crate::text::{BatchPlan, Corpus};

/// The CPU engine.
pub struct Cpu {}
impl Cpu {
    /// An engine with so many threads.
    pub fn new(_threads: usize) -> Self {
        Cpu {}
    }
    /// The instruction set.
    pub fn instruction_set(&self) -> &'static str {
        ""
    }
}

impl Engine for Cpu {
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
