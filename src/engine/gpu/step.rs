//! What both paths make: the dispatches of one step, and where its activations can be read.

use std::slice::from_ref;

use super::device::{Buffer, Device, Dispatch, Recording};
use crate::Result;

/// One training step on the device.
pub(super) struct Step {
    /// To be recorded once before the steps of a submission: what the first of them expects of a step before it. Measurements do
    /// without, for it costs nothing in the long run and changes no one else's time.
    pub(super) before: Option<Dispatch>,
    /// In order; to be recorded once for each step.
    pub(super) dispatches: Vec<Dispatch>,
    /// Whether passes of the general path share dispatches.
    pub(super) joined: bool,
    /// Whether it takes the hidden layer by pairs of place and token.
    pub(super) by_pairs: bool,
    /// The ways in which the general path makes its products.
    pub(super) products: Vec<&'static str>,
    /// One dispatch for several steps, to the same bits.
    pub(super) several: Option<Several>,
    /// When the activations of each chunk of the batch can be read, in order.
    pub(super) readable: Vec<Readable>,
    /// [chunk, h], after tanh.
    pub(super) hidden: Rows,
    /// [chunk, V].
    pub(super) logits: Rows,
}

/// A dispatch that takes so many steps.
pub(super) struct Several {
    pub(super) dispatch: Dispatch,
    pub(super) steps: usize,
}

/// What a step that is taken by itself costs, whatever the device is doing: what tests hold it to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepCost {
    /// Dispatches of a step.
    pub dispatches: u64,
    /// Bytes of the parts of buffers that each dispatch sees, summed: at most so many does it read or write.
    pub bytes: u64,
}

impl Step {
    /// Steps that are taken together.
    pub(super) fn together(&self) -> usize {
        self.several.as_ref().map_or(1, |several| several.steps)
    }

    /// What is recorded for [`Step::together`] steps.
    pub(super) fn of_together(&self) -> &[Dispatch] {
        self.several.as_ref().map_or(&self.dispatches, |several| from_ref(&several.dispatch))
    }

    /// Records so many steps.
    pub(super) fn record(&self, recording: &mut Recording, label: &str, steps: usize) {
        recording.pass(label, self.before.as_slice(), 1);
        recording.pass(label, self.of_together(), steps / self.together());
        recording.pass(label, &self.dispatches, steps % self.together());
    }

    pub(super) fn cost(&self) -> StepCost {
        StepCost {
            dispatches: self.dispatches.len() as u64,
            bytes: self.dispatches.iter().map(|dispatch| dispatch.bytes).sum(),
        }
    }
}

/// A chunk of the batch whose activations can be read.
pub(super) struct Readable {
    /// After so many dispatches; a later one may overwrite them.
    pub(super) ready: usize,
    /// Examples of the chunk.
    pub(super) examples: usize,
}

/// A matrix within a buffer.
pub(super) struct Rows {
    /// The buffer.
    pub(super) buffer: Buffer,
    /// Where the first row begins.
    pub(super) first: usize,
    /// From one row to the next.
    pub(super) stride: usize,
    /// Numbers of a row that belong to the matrix.
    pub(super) columns: usize,
}

impl Rows {
    /// The matrix, row by row.
    pub(super) fn read(&self, device: &mut Device, rows: usize) -> Result<Vec<f32>> {
        if self.columns == 0 || rows == 0 {
            return Ok(Vec::new());
        }
        let end = self.first + (rows - 1) * self.stride + self.columns;
        let values: Vec<f32> = device.read(&self.buffer, self.first..end)?;
        Ok(values.chunks(self.stride).flat_map(|row| &row[..self.columns]).copied().collect())
    }
}
