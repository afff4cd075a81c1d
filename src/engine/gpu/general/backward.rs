//! From the gradient of the logits back to the input, with the gradients of the weights on the way.

use std::ops::Range;

use super::pairs::PairSums;
use super::{General, steps_in_place};
use crate::Result;
use crate::engine::Recipe;
use crate::engine::gpu::device::{Buffer, Dispatch};
use crate::engine::gpu::kernels;
use crate::engine::gpu::layout::{Placed, padded};
use crate::engine::gpu::passes::Matrices;
use crate::engine::gpu::product::{Layout, Outcome};
use crate::engine::gpu::uniforms::{Extent, Product};
use crate::model::shape::{DIRECT_WEIGHT, HIDDEN_BIAS, HIDDEN_WEIGHT, OUTPUT_BIAS};

/// Parts at most: each costs a matrix of the sums' size.
const MOST_PARTS: usize = 64;

/// Where gradients are written.
pub(super) struct Gradients {
    /// Of the parameters, in their layout; zero in the rows of an embedding that is not tied, where occurrences add to it one by
    /// one.
    /// Where gradients take their step at once, the parameters themselves.
    pub(super) parameters: Buffer,
    /// Whether the gradients of weights and biases are not written down: they take their step where they are made, which
    /// saves a buffer of the parameters' size, and its way through memory twice a step.
    pub(super) at_once: bool,
    /// Where pairs are taken, their sums.
    pub(super) pairs: Option<PairSums>,
    /// Of the input after dropout, [B, n d], rows padded; empty where pairs are taken.
    pub(super) d_input: Buffer,
    /// Of a chunk's hidden units, [chunk, h], rows padded.
    d_hidden: Buffer,
    /// Parts of the sums over the vocabulary for `d_hidden`, and for `d_input`.
    hidden_parts: Option<Buffer>,
    input_parts: Option<Buffer>,
}

/// A sum over the vocabulary of d_logits times weights, for a chunk: [chunk, columns of the weights].
struct Sum<'a> {
    weights: &'a Placed,
    /// From one row of the result to the next.
    stride: usize,
    /// Where the result begins.
    first: usize,
    to: &'a Buffer,
    parts: Option<&'a Buffer>,
    /// The result is added to what is there.
    accumulate: bool,
}

impl Gradients {
    /// Buffers for a step with a recipe that updates `destination`.
    pub(super) fn new(general: &General<'_>, destination: &Buffer, recipe: &Recipe) -> Result<Self> {
        let device = general.device;
        let shape = general.model.shape;
        let (inputs, units) = (shape.input(), shape.hidden);
        let chunk = general.chunks[0].len();
        let at_once = steps_in_place(shape, recipe) && general.chunks.len() == 1;
        let parts = |weights: &Placed, stride: usize| {
            let words = general.parts(weights, chunk * stride)?.1 * chunk * stride;
            (words > 0).then(|| device.tensor("parts of gradients", words)).transpose()
        };
        let examples = if general.pairs.is_some() { 0 } else { general.feed.batch() };
        Ok(Gradients {
            pairs: general.pairs.as_ref().map(|pairs| PairSums::new(general, pairs)).transpose()?,
            parameters: match at_once {
                true => destination.clone(),
                false => device.tensors("gradients", general.model.layout.len())?,
            },
            at_once,
            d_input: device.tensor("input gradients", examples * padded(inputs))?,
            d_hidden: device.tensor("hidden gradients", chunk * padded(units))?,
            hidden_parts: if units > 0 { parts(general.output(), padded(units))? } else { None },
            input_parts: if shape.direct { parts(general.placed(DIRECT_WEIGHT), padded(inputs))? } else { None },
        })
    }

    /// What becomes of the gradients that a chunk gives: the first chunk's are written, those of the others added.
    fn outcome(&self, chunk: &Range<usize>) -> Outcome {
        match (self.at_once, chunk.start) {
            (true, _) => Outcome::Stepped,
            (false, 0) => Outcome::Written,
            (false, _) => Outcome::Added,
        }
    }
}

impl General<'_> {
    /// The passes of a chunk from the gradient of its logits: first all that reads weights, then the weights' gradients,
    /// which may change them.
    pub(super) fn backward(&self, chunk: &Range<usize>, to: &Gradients) -> Result<Vec<Dispatch>> {
        let shape = self.model.shape;
        let (inputs, units, count) = (shape.input(), shape.hidden, chunk.len());
        let first = chunk.start * padded(inputs);
        let mut dispatches = Vec::new();
        if units > 0 {
            dispatches.extend(self.sum_over_vocabulary(
                chunk,
                Sum {
                    weights: self.output(),
                    stride: padded(units),
                    first: 0,
                    to: &to.d_hidden,
                    parts: to.hidden_parts.as_ref(),
                    accumulate: false,
                },
            )?);
            let buffers = [&self.hidden, &to.d_hidden];
            let sizes = self.sizes(chunk, units);
            dispatches.push(self.passes.tanh(&kernels::TANH_BACKWARD, sizes, &self.masks[1], &buffers)?);
        }
        if let Some(sums) = &to.pairs {
            dispatches.extend(self.sums_of_pairs(chunk, &to.d_hidden, sums)?);
        } else if units > 0 {
            dispatches.push(self.passes.product(
                Product::new([count, inputs, units], padded(units), padded(inputs), padded(inputs)).out_from(first),
                Layout::Plain,
                Outcome::Written,
                Matrices {
                    left: to.d_hidden.all(),
                    right: self.whole(HIDDEN_WEIGHT)?,
                    bias: None,
                    out: to.d_input.all(),
                    row_sums: None,
                },
            )?);
        }
        if shape.direct {
            dispatches.extend(self.sum_over_vocabulary(
                chunk,
                Sum {
                    weights: self.placed(DIRECT_WEIGHT),
                    stride: padded(inputs),
                    first,
                    to: &to.d_input,
                    parts: to.input_parts.as_ref(),
                    accumulate: units > 0,
                },
            )?);
        }
        // One of the products with the logits' gradient sums it up for the bias, too.
        if units > 0 {
            dispatches.extend(self.vocabulary_gradient(chunk, self.output(), &self.hidden, true, to)?);
        }
        if units > 0 && to.pairs.is_none() {
            let gradient = |name| to.parameters.part(self.placed(name).range.clone());
            dispatches.push(self.passes.product(
                Product::new([units, inputs, count], padded(units), padded(inputs), padded(inputs)),
                Layout::LeftTransposed,
                to.outcome(chunk),
                Matrices {
                    left: to.d_hidden.all(),
                    right: self.input.all(),
                    bias: None,
                    out: gradient(HIDDEN_WEIGHT),
                    row_sums: Some(gradient(HIDDEN_BIAS)),
                },
            )?);
        }
        if shape.direct {
            dispatches.extend(self.vocabulary_gradient(
                chunk,
                self.placed(DIRECT_WEIGHT),
                &self.input,
                units == 0,
                to,
            )?);
        }
        Ok(dispatches)
    }

    /// The gradient of the vocabulary's weights that multiply some activations of a chunk; perhaps that of its bias, too.
    fn vocabulary_gradient(
        &self,
        chunk: &Range<usize>,
        weights: &Placed,
        activations: &Buffer,
        with_bias: bool,
        to: &Gradients,
    ) -> Result<Vec<Dispatch>> {
        let logits_stride = padded(self.model.shape.vocabulary);
        let bias = self.placed(OUTPUT_BIAS).range.clone();
        let product = |block: Range<usize>| {
            let sizes = [block.len(), weights.columns(), chunk.len()];
            self.passes.product(
                Product::new(sizes, logits_stride, padded(weights.columns()), weights.stride)
                    .left_from(block.start)
                    .sums_from(block.start),
                Layout::LeftTransposed,
                to.outcome(chunk),
                Matrices {
                    left: self.logits.all(),
                    right: activations.all(),
                    bias: None,
                    out: to.parameters.part(weights.rows(&block)),
                    row_sums: with_bias.then(|| to.parameters.part(bias.clone())),
                },
            )
        };
        self.cut.blocks(self.device, weights)?.into_iter().map(product).collect()
    }

    /// Tokens in a part of a sum over the vocabulary, and how many parts all blocks have together. No parts: the sums are
    /// made whole, because they are short, or because there are so many of them that no binding holds two of each.
    pub(super) fn parts(&self, weights: &Placed, sums: usize) -> Result<(usize, usize)> {
        let blocks = self.cut.blocks(self.device, weights)?;
        let held = self.device.binding_words() / sums;
        let most = MOST_PARTS.min(held.saturating_sub(blocks.len())).max(1);
        let part = self.device.part().max(padded(self.model.shape.vocabulary.div_ceil(most)));
        let parts = blocks.iter().map(|block| block.len().div_ceil(part)).sum();
        Ok((part, if parts == 1 || parts > held { 0 } else { parts }))
    }

    /// The sums over the vocabulary are long and few: they are made in parts, side by side, and then added up.
    fn sum_over_vocabulary(&self, chunk: &Range<usize>, sum: Sum<'_>) -> Result<Vec<Dispatch>> {
        let Sum { weights, stride, first, to, parts, accumulate } = sum;
        let columns = weights.columns();
        let size = chunk.len() * stride;
        let (part, _) = self.parts(weights, self.chunks[0].len() * stride)?;
        let mut dispatches = Vec::new();
        let mut done = 0;
        for block in self.cut.blocks(self.device, weights)? {
            let sizes = [chunk.len(), columns, block.len()];
            let product = Product::new(sizes, padded(self.model.shape.vocabulary), weights.stride, stride);
            let product = product.left_from(block.start);
            let product = match parts {
                Some(_) => product.in_parts(part, size).out_from(done * size),
                None => product.out_from(first),
            };
            let added = parts.is_none() && (accumulate || block.start > 0);
            done += product.parts as usize;
            dispatches.push(self.passes.product(
                product,
                Layout::Plain,
                if added { Outcome::Added } else { Outcome::Written },
                Matrices {
                    left: self.logits.all(),
                    right: self.model.parameters.part(weights.rows(&block)),
                    bias: None,
                    out: parts.unwrap_or(to).all(),
                    row_sums: None,
                },
            )?);
        }
        if let Some(parts) = parts {
            let extent = Extent { first: first as u32, ..Extent::new(done, size, size) };
            let outcome = if accumulate { Outcome::Added } else { Outcome::Written };
            dispatches.push(self.passes.column_sum(extent, outcome, parts.all(), to.all())?);
        }
        Ok(dispatches)
    }
}
