//! The general path: a dispatch for each pass, for networks of any size that the device can hold.

use super::device::{Buffer, Device, Dispatch};
use super::feed::Feed;
use super::kernels::{self, SoftmaxResult};
use super::layout::Layout;
use super::passes::{Passes, extent, workgroups_for_each};
use super::step::{Rows, Step};
use super::uniforms::Product;
use crate::Result;
use crate::model::Shape;
use crate::model::shape::{DIRECT_WEIGHT, EMBEDDING_WEIGHT, HIDDEN_BIAS, HIDDEN_WEIGHT, OUTPUT_BIAS, OUTPUT_WEIGHT};

/// Tokens of the vocabulary whose gradients one part of the hidden gradient's long sums takes.
const PART: usize = 512;
/// Parts at most: each costs a matrix of [B, h].
const MOST_PARTS: usize = 64;

/// Activations of a batch and the passes that make them.
pub(super) struct Forward {
    /// From the draw of the batch to the logits.
    pub(super) dispatches: Vec<Dispatch>,
    contexts: Buffer,
    targets: Buffer,
    input: Buffer,
    hidden: Buffer,
    /// [B, V].
    pub(super) logits: Buffer,
    /// [B].
    pub(super) example_losses: Buffer,
}

/// The passes up to the logits.
pub(super) fn forward(device: &Device, shape: Shape, parameters: &Buffer, feed: &Feed) -> Result<Forward> {
    let layout = Layout::new(shape);
    for (tensor, range) in layout.tensors() {
        device.check_binding(tensor.name, range.len())?;
    }
    let weights = |name| parameters.part(layout.range(name));
    let (batch, inputs) = (feed.batch(), shape.input());
    let contexts = device.tensor("contexts", batch * shape.context)?;
    let targets = device.tensor("targets", batch)?;
    let input = device.tensor("input", batch * inputs)?;
    let hidden = device.tensor("hidden", batch * shape.hidden)?;
    let logits = device.tensor("logits", batch * shape.vocabulary)?;
    let example_losses = device.tensor("example losses", batch)?;

    let passes = Passes { device };
    let draw = device.pipeline(&kernels::DRAW_BATCH, &[("WORKGROUP", f64::from(device.workgroup()))])?;
    let drawn = [&feed.plan, &feed.tokens, &feed.places, &feed.cursor, &contexts, &targets].map(Buffer::all);
    let mut dispatches = vec![
        device.dispatch(&draw, &drawn, workgroups_for_each(batch, device.workgroup())),
        passes.for_each(
            &kernels::EMBEDDING_GATHER,
            extent(batch * shape.context, shape.embedding),
            vec![contexts.all(), weights(EMBEDDING_WEIGHT), input.all()],
        )?,
        passes.product(
            Product::right_transposed(batch, shape.hidden, inputs),
            input.all(),
            weights(HIDDEN_WEIGHT),
            Some(weights(HIDDEN_BIAS)),
            hidden.all(),
        )?,
        passes.for_each(&kernels::TANH_FORWARD, extent(batch, shape.hidden), vec![hidden.all()])?,
        passes.product(
            Product::right_transposed(batch, shape.vocabulary, shape.hidden),
            hidden.all(),
            weights(OUTPUT_WEIGHT),
            Some(weights(OUTPUT_BIAS)),
            logits.all(),
        )?,
    ];
    if shape.direct {
        let product = Product::right_transposed(batch, shape.vocabulary, inputs).accumulating();
        dispatches.push(passes.product(product, input.all(), weights(DIRECT_WEIGHT), None, logits.all())?);
    }
    Ok(Forward { dispatches, contexts, targets, input, hidden, logits, example_losses })
}

impl Forward {
    /// The softmax that goes on from the logits.
    pub(super) fn softmax(
        &self,
        device: &Device,
        shape: Shape,
        feed: &Feed,
        result: SoftmaxResult,
    ) -> Result<Dispatch> {
        let buffers = [&self.targets, &self.logits, &self.example_losses];
        Passes { device }.softmax(result, feed.batch(), shape.vocabulary, buffers)
    }
}

/// A whole step: forward with `parameters`, then `destination` -= rate * gradient.
pub(super) fn step(
    device: &Device,
    shape: Shape,
    parameters: &Buffer,
    destination: &Buffer,
    feed: &Feed,
) -> Result<Step> {
    let forward = forward(device, shape, parameters, feed)?;
    let softmax = forward.softmax(device, shape, feed, SoftmaxResult::Gradient)?;
    let Forward { mut dispatches, contexts, input, hidden, logits, example_losses, .. } = forward;
    let logits_ready = dispatches.len();
    dispatches.push(softmax);

    let layout = Layout::new(shape);
    let weights = |name| parameters.part(layout.range(name));
    let Shape { vocabulary, context, embedding, hidden: units, direct } = shape;
    let (batch, inputs) = (feed.batch(), shape.input());
    let d_logits = &logits;
    let d_hidden = device.tensor("hidden gradients", batch * units)?;
    let d_input = device.tensor("input gradients", batch * inputs)?;
    let gradients = device.tensors("gradients", layout.len())?;
    let gradient = |name| gradients.part(layout.range(name));
    let passes = Passes { device };

    // Output layer.
    dispatches.push(passes.product(
        Product::left_transposed(vocabulary, units, batch),
        d_logits.all(),
        hidden.all(),
        None,
        gradient(OUTPUT_WEIGHT),
    )?);
    dispatches.push(passes.column_sum(batch, vocabulary, d_logits.all(), gradient(OUTPUT_BIAS))?);

    // Hidden layer. The sums over the vocabulary are long and few: they are made in parts, side by side.
    let part = PART.max(vocabulary.div_ceil(MOST_PARTS));
    let product = Product { part: part as u32, ..Product::plain(batch, units, vocabulary) };
    let parts = product.parts() as usize;
    if parts == 1 {
        dispatches.push(passes.product(product, d_logits.all(), weights(OUTPUT_WEIGHT), None, d_hidden.all())?);
    } else {
        let partial = device.tensor("parts of the hidden gradients", parts * batch * units)?;
        dispatches.push(passes.product(product, d_logits.all(), weights(OUTPUT_WEIGHT), None, partial.all())?);
        dispatches.push(passes.column_sum(parts, batch * units, partial.all(), d_hidden.all())?);
    }
    let extent_of_hidden = extent(batch, units);
    dispatches.push(passes.for_each(&kernels::TANH_BACKWARD, extent_of_hidden, vec![hidden.all(), d_hidden.all()])?);
    dispatches.push(passes.product(
        Product::left_transposed(units, inputs, batch),
        d_hidden.all(),
        input.all(),
        None,
        gradient(HIDDEN_WEIGHT),
    )?);
    dispatches.push(passes.column_sum(batch, units, d_hidden.all(), gradient(HIDDEN_BIAS))?);

    // Input.
    dispatches.push(passes.product(
        Product::plain(batch, inputs, units),
        d_hidden.all(),
        weights(HIDDEN_WEIGHT),
        None,
        d_input.all(),
    )?);
    if direct {
        dispatches.push(passes.product(
            Product::left_transposed(vocabulary, inputs, batch),
            d_logits.all(),
            input.all(),
            None,
            gradient(DIRECT_WEIGHT),
        )?);
        dispatches.push(passes.product(
            Product::plain(batch, inputs, vocabulary).accumulating(),
            d_logits.all(),
            weights(DIRECT_WEIGHT),
            None,
            d_input.all(),
        )?);
    }

    // Update. The embedding comes first in the buffer and has its own pass; the rest is one long row, cut where it
    // is longer than a binding.
    let embedding_part = || destination.part(layout.range(EMBEDDING_WEIGHT));
    dispatches.push(passes.scatter(
        batch * context,
        embedding,
        vec![contexts.all(), d_input.all(), feed.rates.all(), feed.cursor.all(), embedding_part()],
    )?);
    for start in (layout.range(HIDDEN_WEIGHT).start..layout.len()).step_by(device.binding_words()) {
        let range = start..layout.len().min(start + device.binding_words());
        dispatches.push(passes.for_each(
            &kernels::SGD_UPDATE,
            extent(1, range.len()),
            vec![gradients.part(range.clone()), feed.rates.all(), feed.cursor.all(), destination.part(range)],
        )?);
    }
    let loss_mean = device.pipeline(&kernels::LOSS_MEAN, &[])?;
    let buffers = [&feed.plan, &example_losses, &feed.cursor, &feed.losses].map(Buffer::all);
    dispatches.push(device.dispatch(&loss_mean, &buffers, [1, 1, 1]));

    Ok(Step {
        dispatches,
        logits_ready,
        hidden: Rows { buffer: hidden, first: 0, stride: units, columns: units },
        logits: Rows { buffer: logits, first: 0, stride: vocabulary, columns: vocabulary },
    })
}
