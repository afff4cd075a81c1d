//! What a training takes on the device: it is prepared, and the buffers that were made for it are counted.

use super::cut::Cut;
use super::device::WORKGROUP_BYTES;
use super::layout::padded;
use super::{Gpu, choice, small};
use crate::Result;
use crate::engine::Recipe;
use crate::engine::cost::{Bound, Cost, Memory, MemoryKind};
use crate::text::{BatchPlan, Corpus};

impl Gpu {
    /// The cost of a training, without measuring which kernels are the fastest.
    pub(super) fn cost_of(&mut self, corpus: &Corpus, plan: BatchPlan, recipe: Recipe) -> Result<Cost> {
        let feed = self.feed(corpus, plan)?;
        let carried = self.carried(recipe)?;
        let kept = choice::kept_joins(&self.device, self.model()?.shape, feed.batch());
        self.general.joins = kept.unwrap_or(self.general.joins);
        let model = self.model()?;
        let step = self.step(&feed, &model.parameters, &carried)?;
        self.device.check()?;
        let unfit = small::unfit(model.shape, feed.batch(), &recipe, self.device.rounds());
        let takes_small = self.takes_small_path(feed.batch(), &recipe)?;
        let path = if takes_small {
            "small: two dispatches a step, or one for several, with the activations of an example in a workgroup"
                .to_owned()
        } else {
            let reason = unfit.unwrap_or_else(|| "it would be the slower one for this shape here".to_owned());
            let what = match (step.joined, step.by_pairs) {
                (true, _) => "passes that do not wait for each other share one",
                (_, true) => "one for each pass, with the hidden layer by pairs of place and token",
                _ => "one for each pass",
            };
            format!("general: {} dispatches a step, {what} (not the small path: {reason})", step.cost().dispatches)
        };
        let mut limits = vec![self.parameter_bound(model.layout.len())];
        if !takes_small {
            limits.extend(self.binding_bounds(self.cut, feed.batch())?);
        }
        let limit = self.device.limits().workgroup_storage_bytes;
        limits.push(Bound {
            name: "workgroup memory of the small path".to_owned(),
            most: WORKGROUP_BYTES.into(),
            asked: small::needed_bytes(model.shape) as u64,
            consequence: format!("the general path is taken; the device itself has {limit}"),
        });
        let cost = step.cost();
        Ok(Cost {
            path,
            buffers: self.memory(),
            dispatches: Some(cost.dispatches),
            seen_bytes: Some(cost.bytes),
            limits,
        })
    }

    /// The buffers that were made so far, those of one name together.
    fn memory(&self) -> Vec<Memory> {
        let mut list: Vec<Memory> = Vec::new();
        for (name, bytes) in self.device.made.borrow().iter() {
            let kind = match name.as_str() {
                "parameters" => MemoryKind::Parameters,
                "velocity" | "squares" | "average" => MemoryKind::Optimizer,
                name if name.starts_with("the corpus's") => MemoryKind::Corpus,
                _ => MemoryKind::Activations,
            };
            match list.iter_mut().find(|memory| memory.name == *name) {
                Some(memory) => memory.bytes += bytes,
                None => list.push(Memory { kind, name: name.clone(), bytes: *bytes }),
            }
        }
        list.sort_by_key(|memory| (memory.kind, std::cmp::Reverse(memory.bytes)));
        list
    }

    fn parameter_bound(&self, words: usize) -> Bound {
        Bound {
            name: "bytes of a buffer: all parameters".to_owned(),
            most: self.device.limits().buffer_bytes,
            asked: words as u64 * 4,
            consequence: "the network cannot be trained here".to_owned(),
        }
    }

    /// What kernels of the general path see at once: the widest activations of the batch, and each matrix.
    fn binding_bounds(&self, cut: Cut, batch: usize) -> Result<Vec<Bound>> {
        let model = self.model()?;
        let shape = model.shape;
        let most = self.device.limits().storage_binding_bytes;
        let widest = padded(shape.vocabulary).max(padded(shape.input())).max(padded(shape.hidden));
        let mut bounds = vec![Bound {
            name: "bytes of a binding: the widest activations of a batch".to_owned(),
            most,
            asked: (batch * widest) as u64 * 4,
            consequence: format!("the batch is taken in {} chunks", cut.chunks(&self.device, shape, batch).len()),
        }];
        for placed in model.layout.tensors().iter().filter(|placed| !placed.tensor.is_bias()) {
            bounds.push(Bound {
                name: format!("bytes of a binding: {}", placed.tensor.name),
                most,
                asked: placed.range.len() as u64 * 4,
                consequence: format!("its rows are taken in {} blocks", cut.blocks(&self.device, placed)?.len()),
            });
        }
        Ok(bounds)
    }
}
