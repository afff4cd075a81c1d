//! The general path: a dispatch for each pass, for networks of any size that the device can hold.

use super::device::{Buffer, Device, Dispatch};
use super::feed::Feed;
use super::kernels::{self, Left, SoftmaxResult};
use super::layout::{Layout, padded};
use super::passes::{Passes, extent, padded_extent, workgroups_for_each};
use super::step::{Rows, Step};
use super::uniforms::{Activations, Product};
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
    /// [B, V], rows padded.
    pub(super) logits: Buffer,
    /// [B].
    pub(super) example_losses: Buffer,
}

/// The passes up to the logits.
pub(super) fn forward(device: &Device, shape: Shape, parameters: &Buffer, feed: &Feed) -> Result<Forward> {
    let layout = Layout::new(shape);
    for placed in layout.tensors() {
        device.check_binding(placed.tensor.name, placed.range.len())?;
    }
    let weights = |name| parameters.part(layout.range(name));
    let Shape { vocabulary, context, embedding, hidden: units, direct, .. } = shape;
    let (batch, inputs) = (feed.batch(), shape.input());
    let contexts = device.tensor("contexts", batch * context)?;
    let targets = device.tensor("targets", batch)?;
    let input = device.tensor("input", batch * padded(inputs))?;
    let input_transposed = device.tensor("input, transposed", inputs * padded(batch))?;
    let hidden = device.tensor("hidden", batch * padded(units))?;
    let hidden_transposed = device.tensor("hidden, transposed", units * padded(batch))?;
    let logits = device.tensor("logits", batch * padded(vocabulary))?;
    let example_losses = device.tensor("example losses", batch)?;
    let activations = |columns: usize| Activations {
        batch: batch as u32,
        columns: columns as u32,
        stride: padded(columns) as u32,
        batch_stride: padded(batch) as u32,
        embedding: embedding as u32,
    };

    let passes = Passes { device };
    let draw = device.pipeline(&kernels::DRAW_BATCH, &[("WORKGROUP", f64::from(device.workgroup()))])?;
    let drawn = [&feed.plan, &feed.tokens, &feed.places, &feed.cursor, &contexts, &targets].map(Buffer::all);
    let mut dispatches = vec![
        device.dispatch(&draw, &drawn, workgroups_for_each(batch, device.workgroup()))?,
        passes.activations(
            &kernels::EMBEDDING_GATHER,
            activations(inputs),
            vec![contexts.all(), weights(EMBEDDING_WEIGHT), input.all(), input_transposed.all()],
        )?,
        // Both matrices are read along their rows; so weights stand on the left, and each result is made transposed.
        passes.product(
            Product::new([units, batch, inputs], padded(inputs), padded(batch), padded(units)).out_transposed(),
            (Left::Plain, weights(HIDDEN_WEIGHT)),
            input_transposed.all(),
            Some(weights(HIDDEN_BIAS)),
            hidden.all(),
        )?,
        passes.activations(&kernels::TANH_FORWARD, activations(units), vec![hidden.all(), hidden_transposed.all()])?,
        passes.product(
            Product::new([vocabulary, batch, units], padded(units), padded(batch), padded(vocabulary)).out_transposed(),
            (Left::Plain, weights(OUTPUT_WEIGHT)),
            hidden_transposed.all(),
            Some(weights(OUTPUT_BIAS)),
            logits.all(),
        )?,
    ];
    if direct {
        let sizes = [vocabulary, batch, inputs];
        dispatches.push(passes.product(
            Product::new(sizes, padded(inputs), padded(batch), padded(vocabulary)).out_transposed().accumulating(),
            (Left::Plain, weights(DIRECT_WEIGHT)),
            input_transposed.all(),
            None,
            logits.all(),
        )?);
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
        Passes { device }.softmax(result, padded_extent(feed.batch(), shape.vocabulary), buffers)
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
    let Shape { vocabulary, context, embedding, hidden: units, direct, .. } = shape;
    let (batch, inputs) = (feed.batch(), shape.input());
    let d_logits = &logits;
    let d_hidden = device.tensor("hidden gradients", batch * padded(units))?;
    let d_input = device.tensor("input gradients", batch * inputs)?;
    let gradients = device.tensors("gradients", layout.len())?;
    let gradient = |name| gradients.part(layout.range(name));
    let passes = Passes { device };

    // Output layer.
    dispatches.push(passes.product(
        Product::new([vocabulary, units, batch], padded(vocabulary), padded(units), padded(units)),
        (Left::Transposed, d_logits.all()),
        hidden.all(),
        None,
        gradient(OUTPUT_WEIGHT),
    )?);
    dispatches.push(passes.column_sum(padded_extent(batch, vocabulary), d_logits.all(), gradient(OUTPUT_BIAS))?);

    // Hidden layer. The sums over the vocabulary are long and few: they are made in parts, side by side.
    let part = PART.max(padded(vocabulary.div_ceil(MOST_PARTS)));
    let product = Product::new([batch, units, vocabulary], padded(vocabulary), padded(units), padded(units))
        .in_parts(part, batch * padded(units));
    let parts = product.parts() as usize;
    if parts == 1 {
        dispatches.push(passes.product(
            product,
            (Left::Plain, d_logits.all()),
            weights(OUTPUT_WEIGHT),
            None,
            d_hidden.all(),
        )?);
    } else {
        let partial = device.tensor("parts of the hidden gradients", parts * batch * padded(units))?;
        dispatches.push(passes.product(
            product,
            (Left::Plain, d_logits.all()),
            weights(OUTPUT_WEIGHT),
            None,
            partial.all(),
        )?);
        let sums = extent(parts, batch * padded(units));
        dispatches.push(passes.column_sum(sums, partial.all(), d_hidden.all())?);
    }
    dispatches.push(passes.for_each(
        &kernels::TANH_BACKWARD,
        extent(batch, padded(units)),
        vec![hidden.all(), d_hidden.all()],
    )?);
    dispatches.push(passes.product(
        Product::new([units, inputs, batch], padded(units), padded(inputs), padded(inputs)),
        (Left::Transposed, d_hidden.all()),
        input.all(),
        None,
        gradient(HIDDEN_WEIGHT),
    )?);
    dispatches.push(passes.column_sum(padded_extent(batch, units), d_hidden.all(), gradient(HIDDEN_BIAS))?);

    // Input.
    dispatches.push(passes.product(
        Product::new([batch, inputs, units], padded(units), padded(inputs), inputs),
        (Left::Plain, d_hidden.all()),
        weights(HIDDEN_WEIGHT),
        None,
        d_input.all(),
    )?);
    if direct {
        dispatches.push(passes.product(
            Product::new([vocabulary, inputs, batch], padded(vocabulary), padded(inputs), padded(inputs)),
            (Left::Transposed, d_logits.all()),
            input.all(),
            None,
            gradient(DIRECT_WEIGHT),
        )?);
        dispatches.push(passes.product(
            Product::new([batch, inputs, vocabulary], padded(vocabulary), padded(inputs), inputs).accumulating(),
            (Left::Plain, d_logits.all()),
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
    dispatches.push(device.dispatch(&loss_mean, &buffers, [1, 1, 1])?);

    Ok(Step {
        dispatches,
        logits_ready,
        hidden: Rows { buffer: hidden, first: 0, stride: padded(units), columns: units },
        logits: Rows { buffer: logits, first: 0, stride: padded(vocabulary), columns: vocabulary },
    })
}
