//! What a training would take on an engine, found by preparing it and not training.

use serde::Serialize;

/// What a training takes on an engine.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Cost {
    /// How the engine takes its steps, and why.
    pub path: String,
    /// Memory that is held while it trains.
    pub buffers: Vec<Memory>,
    /// Dispatches of a step, where the engine makes any.
    pub dispatches: Option<u64>,
    /// Bytes of the parts of buffers that the dispatches of a step see, summed: at most so many do they read or write.
    pub seen_bytes: Option<u64>,
    /// What the device bounds.
    pub limits: Vec<Bound>,
}

/// A piece of memory.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Memory {
    /// What it is for.
    pub kind: MemoryKind,
    /// What lies in it.
    pub name: String,
    /// Its size.
    pub bytes: u64,
}

/// What memory is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MemoryKind {
    /// The parameters.
    Parameters,
    /// What the update rule carries from step to step.
    Optimizer,
    /// The text.
    Corpus,
    /// What a step computes, and what it is told.
    Activations,
}

impl MemoryKind {
    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            MemoryKind::Parameters => "parameters",
            MemoryKind::Optimizer => "optimizer",
            MemoryKind::Corpus => "corpus",
            MemoryKind::Activations => "activations",
        }
    }
}

/// A limit of a device beside what a training asks for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Bound {
    /// What is bounded.
    pub name: String,
    /// What the device has at most.
    pub most: u64,
    /// What is asked for.
    pub asked: u64,
    /// What follows where more is asked for than there is.
    pub consequence: String,
}

impl Bound {
    /// Whether more is asked for than there is.
    pub fn is_hit(&self) -> bool {
        self.asked > self.most
    }
}
