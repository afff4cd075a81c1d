//! Which way of making matrix products is the fastest on a device, and whether passes share dispatches: measured on products
//! and steps like those of the network that is to be trained, never guessed from a name.

use super::device::{Buffer, Device};
use super::feed::Feed;
use super::layout::padded;
use super::product::{Form, Layout, Outcome, VARIANTS, Variant};
use super::step::Step;
use super::tuning;
use super::uniforms::Product;
use crate::Result;
use crate::model::Shape;

/// Operations of a training step from which a choice pays for its measurement, since many steps are taken.
const WORTHWHILE_STEP: f64 = 1e8;
/// Operations of an evaluation from which it does: seconds of a slow device.
const WORTHWHILE_EVALUATION: f64 = 1e11;
/// Operations of a step from which the choice of the way through it does: where the hidden layer is most of it, lavapipe
/// takes `wide` three times as fast apart.
const WORTHWHILE_WAYS: f64 = 1e7;
/// The measured product, at most: rows, columns, summands. On a slow device it takes some ten milliseconds.
const MOST: [usize; 3] = [2048, 512, 256];
/// A measurement takes so long, or so many dispatches: the clock sees nothing shorter.
const SECONDS: f64 = 0.004;
const DISPATCHES: usize = 256;
/// What takes longer is measured once: nobody waits for minutes to begin.
const SHORT: f64 = 0.3;
/// The two ways of the general path to take a step.
pub(super) const WAYS: [&str; 2] = ["apart", "joined"];

/// The fastest variant for training a network, or the first where the work is too small to tell.
pub(super) fn for_training(device: &Device, shape: Shape, batch: usize) -> Result<Variant> {
    choose(device, shape, batch, shape.step_flops(batch) >= WORTHWHILE_STEP)
}

/// The fastest variant for so many examples in chunks; the one that an earlier training or evaluation found, where this one
/// is too little work to measure for.
pub(super) fn for_evaluation(device: &Device, shape: Shape, examples: usize, chunk: usize) -> Result<Variant> {
    // A step goes through each weight three times.
    choose(device, shape, chunk, shape.step_flops(examples) / 3.0 >= WORTHWHILE_EVALUATION)
}

fn choose(device: &Device, shape: Shape, batch: usize, measures: bool) -> Result<Variant> {
    let sizes = measured_sizes(shape, batch);
    let key = key(sizes);
    if let Some(kept) = device.choice(&key).and_then(|name| Variant::named(&name)) {
        return Ok(kept);
    }
    if !measures {
        return Ok(VARIANTS[0]);
    }
    let fastest = tuning::fastest(VARIANTS, |variant| time(device, variant, sizes))?;
    device.choose(&key, fastest.name);
    Ok(fastest)
}

/// Whether passes of the general path share dispatches, measured on whole steps; they do where the work is too small to tell,
/// and where there is only one way to take a `step`.
pub(super) fn joins(device: &Device, shape: Shape, feed: &Feed, step: impl Fn(bool) -> Result<Step>) -> Result<bool> {
    if let Some(kept) = kept_joins(device, shape, feed.batch()) {
        return Ok(kept);
    }
    if shape.step_flops(feed.batch()) < WORTHWHILE_WAYS {
        return Ok(true);
    }
    let seconds = |step: &Step| {
        repeated(|times| {
            // The rates of a trial are 0.
            feed.seek(device, 0, &[]);
            device.measure(&step.dispatches, times)
        })
    };
    let joined = step(true)?;
    if !joined.joined {
        return Ok(true);
    }
    let together = seconds(&joined)?;
    drop(joined);
    let mut shortest = [seconds(&step(false)?)?, together];
    // Once more in turns, for a machine that is slower now and then.
    if together < SHORT {
        for joins in [true, false] {
            let shortest = &mut shortest[usize::from(joins)];
            *shortest = shortest.min(seconds(&step(joins)?)?);
        }
    }
    let joins = shortest[1] <= shortest[0];
    device.choose(&step_key(shape, feed.batch()), WAYS[usize::from(joins)]);
    Ok(joins)
}

/// What was found by such a measurement at some time.
pub(super) fn kept_joins(device: &Device, shape: Shape, batch: usize) -> Option<bool> {
    let name = device.choice(&step_key(shape, batch))?;
    WAYS.iter().position(|&way| way == name).map(|way| way == 1)
}

/// The key of the choice between [`WAYS`].
pub(super) fn step_key(shape: Shape, batch: usize) -> String {
    format!("step {}", named(shape, batch))
}

/// A network and a batch in the key of a choice that whole steps decide.
pub(super) fn named(shape: Shape, batch: usize) -> String {
    let Shape { vocabulary, context, embedding, hidden, direct, .. } = shape;
    let direct = if direct { " direct" } else { "" };
    let batch = batch.next_power_of_two();
    format!("V {vocabulary} n {context} d {embedding} h {hidden}{direct} B {batch}")
}

/// The product that is measured for a network and a batch.
pub(super) fn measured_sizes(shape: Shape, batch: usize) -> [usize; 3] {
    let (rows, columns) = largest_weights(shape);
    [rows.min(MOST[0]), columns.min(MOST[1]), batch.min(MOST[2])]
}

/// The key of the choice for it.
pub(super) fn key([rows, columns, inner]: [usize; 3]) -> String {
    format!("product {rows}x{columns}x{inner}")
}

/// Rows and columns of the matrix whose products take most of a step.
fn largest_weights(shape: Shape) -> (usize, usize) {
    let Shape { vocabulary, hidden, direct, .. } = shape;
    let inputs = shape.input();
    let direct = (vocabulary, if direct { inputs } else { 0 });
    let matrices = [(vocabulary, hidden), (hidden, inputs), direct];
    matrices.into_iter().max_by_key(|(rows, columns)| rows * columns).unwrap_or(direct)
}

/// Seconds that a product takes which is the gradient of `rows` times `columns` weights.
fn time(device: &Device, variant: Variant, [rows, columns, inner]: [usize; 3]) -> Result<f64> {
    let product = Product::new([rows, columns, inner], padded(rows), padded(columns), padded(columns));
    let form = Form { layout: Layout::LeftTransposed, outcome: Outcome::Written, bias: false, row_sums: true };
    let (constants, workgroups) = variant.cut(&product, form);
    let pipeline = device.pipeline(variant.kernel, &constants)?;
    let uniform = device.uniform("sizes", &product)?;
    let tensor = |words| device.tensor("a product that is measured", words);
    let (left, right, out) =
        (tensor(inner * padded(rows))?, tensor(inner * padded(columns))?, tensor(rows * padded(columns))?);
    let (nothing, sums) = (tensor(16)?, tensor(padded(rows))?);
    let buffers = [&uniform, &left, &right, &nothing, &nothing, &nothing, &out, &sums];
    let dispatches = [device.dispatch(&pipeline, &buffers.map(Buffer::all), workgroups)?];
    repeated(|times| device.measure(&dispatches, times))
}

/// Seconds that something takes which `take` does so many times.
fn repeated(take: impl Fn(usize) -> Result<f64>) -> Result<f64> {
    // The first run may still compile, but not for so long.
    let first = take(1)?;
    if first > 2.0 * SHORT {
        return Ok(first);
    }
    let mut times = 1;
    let mut seconds = take(times)?;
    while seconds < SECONDS && times < DISPATCHES {
        times *= 4;
        seconds = take(times)?;
    }
    Ok(seconds.min(take(times)?) / times as f64)
}
