//! The general path: a dispatch for each pass, for networks of any shape that the device can hold and for every update
//! rule; plain steps of those that need no cut in six (`joined.rs`); the hidden layer of small vocabularies by pairs of place
//! and token (`pairs.rs`). The batch is taken in chunks, and the vocabulary's matrices in blocks of rows, where one binding is
//! too small (`cut.rs`); gradients of later chunks are added to those of earlier ones, and the parameters change once.

mod backward;
mod joined;
mod pairs;
mod update;

use std::ops::Range;

use super::carried::Carried;
use super::choice::Products;
use super::cut::Cut;
use super::device::{Buffer, Device, Dispatch};
use super::feed::Feed;
use super::kernels::{self, SoftmaxResult};
use super::layout::{Placed, padded};
use super::passes::{Matrices, Passes};
use super::product::{Layout, Outcome};
use super::step::{Readable, Rows, Step};
use super::uniforms::{Activations, Product, Table};
use super::{Model, Result};
use crate::engine::Mask;
use crate::model::Shape;
use crate::model::shape::{DIRECT_WEIGHT, EMBEDDING_WEIGHT, HIDDEN_BIAS, HIDDEN_WEIGHT, OUTPUT_BIAS, OUTPUT_WEIGHT};

pub(super) use joined::{EXAMPLES, WIDE_EXAMPLES, WIDE_INVOCATIONS};
pub(super) use pairs::Pairs;
pub(super) use update::steps_in_place;

use backward::Gradients;

/// A network, a batch of its examples, and the passes over them.
pub(super) struct General<'a> {
    device: &'a Device,
    passes: Passes<'a>,
    model: &'a Model,
    feed: &'a Feed,
    cut: Cut,
    /// Chunks of the batch.
    chunks: Vec<Range<usize>>,
    /// The dropout of the input and of the hidden units.
    masks: [Mask; 2],
    /// Where the hidden layer is taken by pairs of place and token.
    pairs: Option<Pairs>,
    /// [B, n].
    contexts: Buffer,
    /// [B].
    targets: Buffer,
    /// Of a chunk, [chunk, n d], rows padded; empty where pairs are taken.
    input: Buffer,
    /// Of a chunk, [chunk, h], rows padded.
    hidden: Buffer,
    /// Of a chunk, [chunk, V], rows padded.
    pub(super) logits: Buffer,
    /// [B].
    pub(super) example_losses: Buffer,
}

impl<'a> General<'a> {
    /// Makes the activations of a batch.
    pub(super) fn new(
        device: &'a Device,
        model: &'a Model,
        feed: &'a Feed,
        cut: Cut,
        masks: [Mask; 2],
        products: Products,
    ) -> Result<General<'a>> {
        let Shape { vocabulary, context, hidden, .. } = model.shape;
        let (batch, inputs) = (feed.batch(), model.shape.input());
        let chunks = cut.chunks(device, model.shape, batch);
        let chunk = chunks[0].len();
        let rows = |name, columns| device.tensor(name, chunk * padded(columns));
        let pairs = Pairs::new(device, model, cut, &masks[0], chunk)?;
        Ok(General {
            device,
            passes: Passes::new(device, products, feed)?,
            model,
            feed,
            cut,
            masks,
            // Read four at a time.
            contexts: device.tensor("contexts", padded(batch * context))?,
            targets: device.tensor("targets", batch)?,
            input: rows("input", if pairs.is_some() { 0 } else { inputs })?,
            hidden: rows("hidden", hidden)?,
            logits: rows("logits", vocabulary)?,
            // So is this.
            example_losses: device.tensor("example losses", padded(batch))?,
            pairs,
            chunks,
        })
    }

    /// The passes from the draw of a batch of one chunk to what the softmax makes of the logits, without dropout; after those
    /// of [`General::ahead`].
    pub(super) fn evaluation(&self, result: SoftmaxResult) -> Result<Vec<Dispatch>> {
        let mut dispatches = vec![self.draw()?];
        dispatches.extend(self.forward(&self.chunks[0])?);
        dispatches.push(self.softmax(&self.chunks[0], result)?);
        Ok(dispatches)
    }

    /// A step with a dispatch for each pass, and when the activations of each chunk can be read.
    fn apart(&self, destination: &Buffer, carried: &Carried) -> Result<(Vec<Dispatch>, Vec<Readable>)> {
        let gradients = Gradients::new(self, destination, carried.recipe())?;
        let mut dispatches = vec![self.draw()?];
        dispatches.extend(self.ahead()?);
        let mut readable = Vec::new();
        for chunk in &self.chunks {
            dispatches.extend(self.forward(chunk)?);
            readable.push(Readable { ready: dispatches.len(), examples: chunk.len() });
            dispatches.push(self.softmax(chunk, SoftmaxResult::Gradient)?);
            dispatches.extend(self.backward(chunk, &gradients)?);
        }
        dispatches.extend(self.update(destination, &gradients, carried)?);
        let Feed { plan, cursor, losses, .. } = self.feed;
        dispatches.push(self.passes.loss_mean([plan, &self.example_losses, cursor, losses])?);
        Ok((dispatches, readable))
    }

    fn draw(&self) -> Result<Dispatch> {
        let Feed { plan, tokens, places, cursor, .. } = self.feed;
        self.passes.draw(self.feed.batch(), [plan, tokens, places, cursor, &self.contexts, &self.targets])
    }

    fn softmax(&self, chunk: &Range<usize>, result: SoftmaxResult) -> Result<Dispatch> {
        let buffers = [&self.targets, &self.logits, &self.example_losses];
        self.passes.softmax(result, self.sizes(chunk, self.model.shape.vocabulary), buffers)
    }

    /// The passes that make what all chunks take from the parameters.
    pub(super) fn ahead(&self) -> Result<Vec<Dispatch>> {
        self.pairs.as_ref().map_or(Ok(Vec::new()), |pairs| self.terms(pairs))
    }

    /// The passes of a chunk up to its logits.
    fn forward(&self, chunk: &Range<usize>) -> Result<Vec<Dispatch>> {
        let shape = self.model.shape;
        let mut dispatches = self.forward_to_hidden(chunk)?;
        if shape.hidden > 0 {
            dispatches.extend(self.logits_of(chunk, self.output(), &self.hidden, Outcome::Written)?);
        }
        if shape.direct {
            let outcome = if shape.hidden > 0 { Outcome::Added } else { Outcome::Written };
            dispatches.extend(self.logits_of(chunk, self.placed(DIRECT_WEIGHT), &self.input, outcome)?);
        }
        Ok(dispatches)
    }

    /// The passes of a chunk up to its hidden units.
    fn forward_to_hidden(&self, chunk: &Range<usize>) -> Result<Vec<Dispatch>> {
        if let Some(pairs) = &self.pairs {
            return Ok(vec![self.hidden_of(pairs, chunk)?]);
        }
        let (inputs, units) = (self.model.shape.input(), self.model.shape.hidden);
        let mut dispatches = Vec::new();
        let embedding = self.placed(EMBEDDING_WEIGHT);
        for block in self.cut.blocks(self.device, embedding)? {
            let rows = self.model.parameters.part(embedding.rows(&block));
            dispatches.push(self.passes.gather(
                self.sizes(chunk, inputs),
                self.table(&block),
                &self.masks[0],
                [self.contexts.all(), rows, self.feed.cursor.all(), self.input.all()],
            )?);
        }
        if units > 0 {
            dispatches.push(self.passes.product(
                Product::new([chunk.len(), units, inputs], padded(inputs), padded(inputs), padded(units)),
                Layout::RightTransposed,
                Outcome::Written,
                Matrices {
                    left: self.input.all(),
                    right: self.whole(HIDDEN_WEIGHT)?,
                    bias: Some(self.whole(HIDDEN_BIAS)?),
                    out: self.hidden.all(),
                    row_sums: None,
                },
            )?);
            let sizes = self.sizes(chunk, units);
            dispatches.push(self.passes.tanh(&kernels::TANH_FORWARD, sizes, &self.masks[1], &[&self.hidden])?);
        }
        Ok(dispatches)
    }

    /// What some of the vocabulary's weights make of a chunk: the logits with their bias, or added to the logits.
    fn logits_of(
        &self,
        chunk: &Range<usize>,
        weights: &Placed,
        activations: &Buffer,
        outcome: Outcome,
    ) -> Result<Vec<Dispatch>> {
        let stride = padded(self.model.shape.vocabulary);
        let product = |block: Range<usize>| {
            let sizes = [chunk.len(), block.len(), weights.columns()];
            self.passes.product(
                Product::new(sizes, padded(weights.columns()), weights.stride, stride)
                    .bias_from(block.start)
                    .out_from(block.start),
                Layout::RightTransposed,
                outcome,
                Matrices {
                    left: activations.all(),
                    right: self.model.parameters.part(weights.rows(&block)),
                    bias: if outcome == Outcome::Written { Some(self.whole(OUTPUT_BIAS)?) } else { None },
                    out: self.logits.all(),
                    row_sums: None,
                },
            )
        };
        self.cut.blocks(self.device, weights)?.into_iter().map(product).collect()
    }

    fn placed(&self, name: &str) -> &'a Placed {
        self.model.layout.placed(name)
    }

    /// The output's weights: the embedding itself where it is tied.
    fn output(&self) -> &'a Placed {
        self.placed(if self.model.shape.tied { EMBEDDING_WEIGHT } else { OUTPUT_WEIGHT })
    }

    /// A tensor that is never cut.
    fn whole(&self, name: &str) -> Result<super::device::Part<'a>> {
        let range = self.placed(name).range.clone();
        self.device.check_binding(name, range.len())?;
        Ok(self.model.parameters.part(range))
    }

    fn sizes(&self, chunk: &Range<usize>, columns: usize) -> Activations {
        Activations {
            rows: chunk.len() as u32,
            columns: columns as u32,
            stride: padded(columns) as u32,
            first: chunk.start as u32,
            batch: self.feed.batch() as u32,
        }
    }

    fn table(&self, block: &Range<usize>) -> Table {
        Table {
            first: block.start as u32,
            rows: block.len() as u32,
            columns: self.model.shape.embedding as u32,
            stride: self.placed(EMBEDDING_WEIGHT).stride as u32,
        }
    }
}

/// How a step is taken; all ways give the same bits (tested on lavapipe).
#[derive(Clone, Copy)]
pub(super) struct Way {
    /// How matrix products are made.
    pub(super) products: Products,
    /// Whether passes share dispatches where they can.
    pub(super) joins: bool,
}

/// A whole step: forward with the model's parameters, then an update of `destination`, which has their layout.
pub(super) fn step(
    device: &Device,
    model: &Model,
    destination: &Buffer,
    feed: &Feed,
    cut: Cut,
    carried: &Carried,
    way: Way,
) -> Result<Step> {
    let (recipe, seed) = (carried.recipe(), feed.seed());
    let general =
        General::new(device, model, feed, cut, [recipe.input_mask(seed), recipe.hidden_mask(seed)], way.products)?;
    let together = if way.joins { general.joined(destination, recipe)? } else { None };
    let joined = together.is_some();
    let (dispatches, readable) = match together {
        Some((dispatches, ready)) => (dispatches, vec![Readable { ready, examples: feed.batch() }]),
        None => general.apart(destination, carried)?,
    };
    let Shape { hidden, vocabulary, .. } = model.shape;
    let rows = |buffer: Buffer, columns| Rows { buffer, first: 0, stride: padded(columns), columns };
    Ok(Step {
        before: None,
        dispatches,
        joined,
        by_pairs: general.pairs.is_some(),
        products: general.passes.products_made(),
        several: None,
        readable,
        hidden: rows(general.hidden.clone(), hidden),
        logits: rows(general.logits.clone(), vocabulary),
    })
}
