//! The small path: two dispatches a step, for networks so small that starting a dispatch costs more than its work.

use super::device::{Buffer, Device};
use super::feed::Feed;
use super::kernels;
use super::layout::{Layout, Record};
use super::step::{Readable, Rows, Step};
use crate::Result;
use crate::engine::Recipe;
use crate::model::Shape;

/// Parameters, at most: beyond, the second dispatch reads each activation too often.
const MOST_PARAMETERS: usize = 1 << 16;
/// Examples in a batch, at most: every parameter sums over them one after the other.
const MOST_EXAMPLES: usize = 256;
/// Memory that a workgroup may take, though a device may have more: what the web guarantees.
const WORKGROUP_BYTES: u32 = 16 << 10;

/// Why a network or a batch does not fit this path, if it does not.
pub(super) fn unfit(device: &Device, shape: Shape, batch: usize, recipe: &Recipe) -> Option<String> {
    if !recipe.is_plain() {
        return Some("it takes plain gradient steps only".to_owned());
    } else if shape.tied || shape.hidden == 0 {
        return Some("it takes networks with hidden units and output weights of their own only".to_owned());
    }
    let memory = WORKGROUP_BYTES.min(device.limits().workgroup_storage_bytes) as usize;
    let needed = 4 * (shape.input() + 2 * shape.hidden + 2 * shape.vocabulary + device.workgroup() as usize);
    if needed > memory {
        Some(format!("the activations of an example need {needed} bytes of workgroup memory; there are {memory}"))
    } else if shape.parameters() > MOST_PARAMETERS {
        Some(format!("the network has {} parameters; at most {MOST_PARAMETERS} fit", shape.parameters()))
    } else if batch > MOST_EXAMPLES {
        Some(format!("a batch has {batch} examples; at most {MOST_EXAMPLES} fit"))
    } else {
        None
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
    let record = Record::new(shape);
    let contexts = device.tensor("contexts", feed.batch() * feed.context())?;
    let activations = device.tensor("activations", feed.batch() * record.len)?;

    let workgroup = device.workgroup();
    let sizes = [
        ("WORKGROUP", f64::from(workgroup)),
        ("VOCABULARY", shape.vocabulary as f64),
        ("CONTEXT", shape.context as f64),
        ("EMBEDDING", shape.embedding as f64),
        ("HIDDEN", shape.hidden as f64),
        ("DIRECT", f64::from(u8::from(shape.direct))),
    ];
    let lanes = if device.is_software() { 2.0 } else { 8.0 };
    let examples = device.pipeline(&kernels::SMALL_EXAMPLES, &[&sizes[..], &[("LANES", lanes)]].concat())?;
    let update = device.pipeline(&kernels::SMALL_PARAMETERS, &sizes)?;

    let first = [&feed.plan, &feed.tokens, &feed.places, parameters, &feed.cursor, &contexts, &activations];
    let second = [&feed.plan, &contexts, &activations, &feed.factors, &feed.cursor, destination, &feed.losses];
    // One workgroup more than the parameters need: it has the loss and the cursor.
    let workgroups = Layout::new(shape).len().div_ceil(workgroup as usize) as u32 + 1;
    Ok(Step {
        dispatches: vec![
            device.dispatch(&examples, &first.map(Buffer::all), [feed.batch() as u32, 1, 1])?,
            device.dispatch(&update, &second.map(Buffer::all), [workgroups, 1, 1])?,
        ],
        readable: vec![Readable { ready: 1, examples: feed.batch() }],
        hidden: Rows { buffer: activations.clone(), first: record.hidden, stride: record.len, columns: shape.hidden },
        logits: Rows { buffer: activations, first: record.logits, stride: record.len, columns: shape.vocabulary },
    })
}
