//! What training carries from step to step beside the parameters, on the device: buffers in the parameters' layout.

use super::device::{Buffer, Device};
use super::layout::Layout;
use super::{Model, Result};
use crate::engine::{Recipe, State};
use crate::model::Parameters;

/// Velocity, squares and average, where the recipe has them.
pub(super) struct Carried {
    recipe: Recipe,
    pub(super) velocity: Option<Buffer>,
    pub(super) squares: Option<Buffer>,
    pub(super) average: Option<Buffer>,
}

impl Carried {
    /// Before the first step: zeros, and the average at the parameters.
    pub(super) fn new(device: &mut Device, model: &Model, recipe: Recipe) -> Result<Self> {
        let words = model.layout.len();
        let buffer = |device: &Device, name, wanted: bool| wanted.then(|| device.tensors(name, words)).transpose();
        let carried = Carried {
            recipe,
            velocity: buffer(device, "velocity", recipe.keeps_velocity())?,
            squares: buffer(device, "squares", recipe.keeps_squares())?,
            average: buffer(device, "average", recipe.average > 0.0)?,
        };
        if let Some(average) = &carried.average {
            let mut recording = device.record();
            recording.copy(&model.parameters, average, 0, words);
            device.submit(recording, 0)?;
        }
        Ok(carried)
    }

    /// That of a recipe that carries nothing.
    pub(super) fn nothing(recipe: Recipe) -> Self {
        Carried { recipe, velocity: None, squares: None, average: None }
    }

    /// How steps change the parameters.
    pub(super) fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// The state with these parameters.
    pub(super) fn state(&self, device: &mut Device, layout: &Layout, parameters: Parameters) -> Result<State> {
        let shape = parameters.shape();
        let mut of = |buffer: &Option<Buffer>| -> Result<Option<Parameters>> {
            let Some(buffer) = buffer else { return Ok(None) };
            let values: Vec<f32> = device.read(buffer, 0..layout.len())?;
            Ok(Some(layout.parameters_of(shape, &values)))
        };
        Ok(State {
            velocity: of(&self.velocity)?,
            squares: of(&self.squares)?,
            average: of(&self.average)?,
            parameters,
        })
    }

    /// Takes over what a state carries, which fits the recipe.
    pub(super) fn load(&self, device: &Device, layout: &Layout, state: &State) -> Result<()> {
        let buffers = [&self.velocity, &self.squares, &self.average];
        for (buffer, (_, parameters)) in buffers.into_iter().zip(state.carried()) {
            if let (Some(buffer), Some(parameters)) = (buffer, parameters) {
                device.write(buffer, &layout.to_device(parameters));
            }
        }
        device.check()
    }
}
