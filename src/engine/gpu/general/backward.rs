//! From the gradient of the logits back to the input, with the gradients of the weights on the way.

use std::ops::Range;

use super::General;
use crate::Result;
use crate::engine::gpu::device::{Buffer, Dispatch};
use crate::engine::gpu::kernels::{self, Left};
use crate::engine::gpu::layout::{Placed, padded};
use crate::engine::gpu::uniforms::{Extent, Product};
use crate::model::shape::{DIRECT_WEIGHT, HIDDEN_BIAS, HIDDEN_WEIGHT, OUTPUT_BIAS};

/// Tokens of the vocabulary whose gradients one part of the long sums over the vocabulary takes.
const PART: usize = 512;
/// Parts at most: each costs a matrix of the sums' size.
const MOST_PARTS: usize = 64;

/// Where gradients are written.
pub(super) struct Gradients {
    /// Of the parameters, in their layout; zero in the rows of an embedding that is not tied, where occurrences add to it.
    pub(super) parameters: Buffer,
    /// Of the input after dropout, [B, n d].
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
    pub(super) fn new(general: &General<'_>) -> Result<Self> {
        let device = general.device;
        let shape = general.model.shape;
        let (inputs, units) = (shape.input(), shape.hidden);
        let chunk = general.chunks[0].len();
        let d_input = device.tensor("input gradients", general.feed.batch() * inputs)?;
        let parts = |weights: &Placed, stride: usize| {
            let words = general.parts(weights, chunk * stride)?.1 * chunk * stride;
            (words > 0).then(|| device.tensor("parts of gradients", words)).transpose()
        };
        Ok(Gradients {
            parameters: device.tensors("gradients", general.model.layout.len())?,
            d_input,
            d_hidden: device.tensor("hidden gradients", chunk * padded(units))?,
            hidden_parts: if units > 0 { parts(general.output(), padded(units))? } else { None },
            input_parts: if shape.direct { parts(general.placed(DIRECT_WEIGHT), inputs)? } else { None },
        })
    }
}

impl General<'_> {
    /// The passes of a chunk from the gradient of its logits. The first chunk's gradients are written, those of the
    /// others are added.
    pub(super) fn backward(&self, chunk: &Range<usize>, to: &Gradients) -> Result<Vec<Dispatch>> {
        let shape = self.model.shape;
        let (inputs, units, count) = (shape.input(), shape.hidden, chunk.len());
        let later = chunk.start > 0;
        let gradient = |name| to.parameters.part(self.placed(name).range.clone());
        let bias = |columns, from: &Buffer, name| {
            let extent = Extent { accumulate: u32::from(later), ..Extent::new(count, columns, padded(columns)) };
            self.passes.column_sum(extent, from.all(), gradient(name))
        };

        // Output layer.
        let mut dispatches = vec![bias(shape.vocabulary, &self.logits, OUTPUT_BIAS)?];
        if units > 0 {
            dispatches.extend(self.vocabulary_gradient(chunk, self.output(), &self.hidden, to)?);
        }
        if shape.direct {
            dispatches.extend(self.vocabulary_gradient(chunk, self.placed(DIRECT_WEIGHT), &self.input, to)?);
        }

        // Hidden layer, and the input's gradient through it.
        let first = chunk.start * inputs;
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
            let buffers = [&self.feed.cursor, &self.hidden, &to.d_hidden];
            dispatches.push(self.passes.tanh(
                &kernels::TANH_BACKWARD,
                self.sizes(chunk, units),
                &self.masks[1],
                buffers,
            )?);
            let sizes = [units, inputs, count];
            dispatches.push(self.passes.product(
                Product::new(sizes, padded(units), padded(inputs), padded(inputs)).accumulating(later),
                (Left::Transposed, to.d_hidden.all()),
                self.input.all(),
                None,
                gradient(HIDDEN_WEIGHT),
            )?);
            dispatches.push(bias(units, &to.d_hidden, HIDDEN_BIAS)?);
            dispatches.push(self.passes.product(
                Product::new([count, inputs, units], padded(units), padded(inputs), inputs).out_from(first),
                (Left::Plain, to.d_hidden.all()),
                self.whole(HIDDEN_WEIGHT)?,
                None,
                to.d_input.all(),
            )?);
        }
        if shape.direct {
            dispatches.extend(self.sum_over_vocabulary(
                chunk,
                Sum {
                    weights: self.placed(DIRECT_WEIGHT),
                    stride: inputs,
                    first,
                    to: &to.d_input,
                    parts: to.input_parts.as_ref(),
                    accumulate: units > 0,
                },
            )?);
        }
        Ok(dispatches)
    }

    /// The gradient of the vocabulary's weights that multiply some activations of a chunk.
    fn vocabulary_gradient(
        &self,
        chunk: &Range<usize>,
        weights: &Placed,
        activations: &Buffer,
        to: &Gradients,
    ) -> Result<Vec<Dispatch>> {
        let logits_stride = padded(self.model.shape.vocabulary);
        let product = |block: Range<usize>| {
            let sizes = [block.len(), weights.columns(), chunk.len()];
            let product = Product::new(sizes, logits_stride, padded(weights.columns()), weights.stride);
            self.passes.product(
                product.left_from(block.start).accumulating(chunk.start > 0),
                (Left::Transposed, self.logits.all()),
                activations.all(),
                None,
                to.parameters.part(weights.rows(&block)),
            )
        };
        self.cut.blocks(self.device, weights)?.into_iter().map(product).collect()
    }

    /// Tokens in a part of a sum over the vocabulary, and how many parts all blocks have together. No parts: the sums are
    /// made whole, because they are short, or because there are so many of them that no binding holds two of each.
    fn parts(&self, weights: &Placed, sums: usize) -> Result<(usize, usize)> {
        let blocks = self.cut.blocks(self.device, weights)?;
        let held = self.device.binding_words() / sums;
        let most = MOST_PARTS.min(held.saturating_sub(blocks.len())).max(1);
        let part = PART.max(padded(self.model.shape.vocabulary.div_ceil(most)));
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
                None => product.out_from(first).accumulating(accumulate || block.start > 0),
            };
            done += product.parts() as usize;
            dispatches.push(self.passes.product(
                product,
                (Left::Plain, self.logits.all()),
                self.model.parameters.part(weights.rows(&block)),
                None,
                parts.unwrap_or(to).all(),
            )?);
        }
        if let Some(parts) = parts {
            let extent =
                Extent { first: first as u32, accumulate: u32::from(accumulate), ..Extent::new(done, size, size) };
            dispatches.push(self.passes.column_sum(extent, parts.all(), to.all())?);
        }
        Ok(dispatches)
    }
}
