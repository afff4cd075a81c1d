//! What the gradients do to the parameters.

use std::ops::Range;

use super::General;
use super::backward::Gradients;
use crate::Result;
use crate::engine::gpu::carried::Carried;
use crate::engine::gpu::device::{Buffer, Dispatch};
use crate::engine::gpu::layout::{ALIGNMENT, Placed};
use crate::engine::gpu::product::Outcome;
use crate::engine::gpu::uniforms::{Clip, Rule};
use crate::engine::{Optimizer, Recipe};
use crate::model::Shape;
use crate::model::shape::EMBEDDING_WEIGHT;

/// Workgroups that sum squares side by side, at most.
const SQUARE_SUMS: usize = 256;

impl General<'_> {
    /// The passes from the gradients of a whole batch to the next parameters, in `destination`.
    ///
    /// A plain step of an embedding that serves for nothing else changes it in place, place by place the rows that occurred,
    /// and may have changed the other parameters already. The other rules change every parameter, from its gradient written
    /// down.
    pub(super) fn update(
        &self,
        destination: &Buffer,
        gradients: &Gradients,
        carried: &Carried,
    ) -> Result<Vec<Dispatch>> {
        let recipe = carried.recipe();
        let layout = &self.model.layout;
        let in_place = steps_in_place(self.model.shape, recipe);
        let to = if in_place { destination } else { &gradients.parameters };
        let mut dispatches = match &gradients.pairs {
            Some(sums) => {
                let outcome = if in_place { Outcome::Stepped } else { Outcome::Written };
                self.update_by_pairs(sums, gradients, (to, outcome))?
            }
            None => self.scatter(to, gradients, !in_place)?,
        };
        if gradients.at_once {
            return Ok(dispatches);
        }
        let clip = self.device.tensor_of("clip factor", &[1.0f32])?;
        if recipe.clip_norm > 0.0 {
            dispatches.extend(self.clip(&clip, &gradients.parameters, recipe.clip_norm)?);
        }

        let embedding = self.placed(EMBEDDING_WEIGHT);
        let start = if in_place { embedding.range.end.next_multiple_of(ALIGNMENT) } else { 0 };
        // The occurrences of the next step add to a gradient of zero; where the embedding is tied, to a product. Pairs write it.
        let written = self.model.shape.tied || gradients.pairs.is_some();
        let cleared = if in_place || written { 0 } else { embedding.range.end };
        let tensors: Vec<[u32; 4]> = layout.tensors().iter().map(place_of).collect();
        let absent = || self.device.tensor("nothing", 0);
        let absent = [absent()?, absent()?, absent()?];
        let [velocity, squares, average] = [&carried.velocity, &carried.squares, &carried.average].map(Option::as_ref);
        for places in self.pieces(start) {
            let part = |buffer| Buffer::part(buffer, places.clone());
            let parts = [
                self.feed.factors.all(),
                self.feed.cursor.all(),
                clip.all(),
                gradients.parameters.part(places.clone()),
                destination.part(places.clone()),
                velocity.map_or(absent[0].all(), part),
                squares.map_or(absent[1].all(), part),
                average.map_or(absent[2].all(), part),
            ];
            let rule = Rule::new(recipe, places.clone(), cleared, &tensors);
            dispatches.push(self.passes.update_rule(recipe.optimizer, carried.average.is_some(), rule, parts)?);
        }
        Ok(dispatches)
    }

    /// The embedding's gradient from its occurrences, chunk by chunk: subtracted at the rate, or added to what is there.
    fn scatter(&self, to: &Buffer, gradients: &Gradients, into_gradients: bool) -> Result<Vec<Dispatch>> {
        let embedding = self.placed(EMBEDDING_WEIGHT);
        let blocks = self.cut.blocks(self.device, embedding)?;
        let links = self.passes.links_of(self.chunks[0].len() * self.model.shape.context)?;
        let mut dispatches = Vec::new();
        let scatter = |sizes, block: &Range<usize>| {
            let parts = [
                self.contexts.all(),
                links.all(),
                gradients.d_input.all(),
                self.feed.factors.all(),
                self.feed.cursor.all(),
                to.part(embedding.rows(block)),
            ];
            self.passes.scatter(sizes, self.table(block), &self.masks[0], into_gradients, parts)
        };
        for chunk in &self.chunks {
            let sizes = self.sizes(chunk, self.model.shape.input());
            dispatches.push(self.passes.links(sizes, self.table(&(0..0)), [&self.contexts, &links])?);
            for block in &blocks {
                dispatches.push(scatter(sizes, block)?);
            }
        }
        Ok(dispatches)
    }

    /// The factor that brings the gradient's norm down to `norm`.
    fn clip(&self, factor: &Buffer, gradients: &Buffer, norm: f32) -> Result<Vec<Dispatch>> {
        let pieces = self.pieces(0);
        let workgroups = |piece: &Range<usize>| piece.len().div_ceil(self.device.workgroup() as usize).min(SQUARE_SUMS);
        let count = pieces.iter().map(workgroups).sum();
        let sums = self.device.tensor("sums of squares", count)?;
        let (mut dispatches, mut first) = (Vec::new(), 0);
        for piece in pieces {
            let workgroups = workgroups(&piece);
            dispatches.push(self.passes.square_sum(workgroups, first, gradients.part(piece), &sums)?);
            first += workgroups;
        }
        dispatches.push(self.passes.clip_factor(Clip { count: count as u32, norm }, [&sums, factor])?);
        Ok(dispatches)
    }

    /// The places of the parameters from `start` on, in pieces that one binding holds.
    fn pieces(&self, start: usize) -> Vec<Range<usize>> {
        let most = self.device.binding_words().min(self.cut.rows.saturating_mul(ALIGNMENT));
        let end = self.model.layout.len();
        (start..end).step_by(most).map(|first| first..end.min(first + most)).collect()
    }
}

/// Whether an update is nothing but p -= rate * gradient, of parameters that serve for one thing each: dropout changes
/// the gradient alone.
pub(in crate::engine::gpu) fn steps_in_place(shape: Shape, recipe: &Recipe) -> bool {
    recipe.optimizer == Optimizer::Sgd
        && [recipe.weight_decay, recipe.clip_norm, recipe.average] == [0.0; 3]
        && !shape.tied
}

/// A tensor as the update rule's kernel reads it.
fn place_of(placed: &Placed) -> [u32; 4] {
    let decays = u32::from(!placed.tensor.is_bias());
    [placed.range.start as u32, placed.columns() as u32, placed.stride as u32, decays]
}
