//! Which way of making matrix products is the fastest on a device, and whether passes share dispatches: measured on products
//! and steps like those of the network that is to be trained, never guessed from a name. Only what the order of sums depends on is a
//! rule ([`SLICED`]).

use std::slice::from_ref;

use super::device::{Buffer, Device, Dispatch};
use super::feed::Feed;
use super::layout::padded;
use super::product::{Form, Layout, Outcome, SLICED, VARIANTS, Variant};
use super::step::Step;
use super::tuning::{self, FAR};
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
/// The measured product on a software device, at most: rows, columns, summands. It takes a tenth of a second there.
const MOST: [usize; 3] = [2048, 512, 1024];
/// Products at once that are measured there, at most.
const MOST_PRODUCTS: usize = 8;
/// Numbers of a matrix that is measured, at most, on any device: 64 MiB.
const MOST_WORDS: usize = 1 << 24;
/// Operations of a product from which it is measured by itself, on a software device and on a GPU: small ones take a share of a
/// step on a GPU, where they leave most of it idle.
const WORTHWHILE_PRODUCTS: [f64; 2] = [2e7, 1e6];
/// Operations of a product from which it tells which ways are worth a trial at all: small ones want small tiles.
const TELLING: f64 = 5e7;
/// A measurement takes so long, or so many dispatches: the clock sees nothing shorter.
const SECONDS: f64 = 0.004;
const DISPATCHES: usize = 256;
/// What takes longer is measured once more after its first run: nobody waits for minutes to begin.
const SHORT: f64 = 0.3;
/// The two ways of the general path to take a step.
pub(super) const WAYS: [&str; 2] = ["apart", "joined"];

/// How the products of a network are made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Products {
    /// Each in the way that was found to be the fastest for it; where nothing was found yet, in the usual one.
    Kept,
    /// Each in the fastest way, which is measured where it is not known.
    Measured,
    /// All alike, whatever was found.
    #[cfg(test)]
    All(Variant),
}

/// For training a network: many steps are taken, which pay for measurements.
pub(super) fn for_training(products: Products, shape: Shape, batch: usize) -> Products {
    measured_if(products, shape.step_flops(batch) >= WORTHWHILE_STEP)
}

/// For an evaluation of so many examples.
pub(super) fn for_evaluation(products: Products, shape: Shape, examples: usize) -> Products {
    // A step goes through each weight three times.
    measured_if(products, shape.step_flops(examples) / 3.0 >= WORTHWHILE_EVALUATION)
}

fn measured_if(products: Products, worthwhile: bool) -> Products {
    match products {
        #[cfg(test)]
        Products::All(_) => products,
        _ if worthwhile => Products::Measured,
        _ => Products::Kept,
    }
}

/// The way to make a product. All that are measured give the same bits.
pub(super) fn for_product(device: &Device, products: Products, product: &Product, layout: Layout) -> Result<Variant> {
    #[cfg(test)]
    if let Products::All(variant) = products {
        return Ok(variant);
    }
    if !device.is_software() && Variant::slices(product, layout) {
        return Ok(SLICED);
    }
    let product = measured(device.is_software(), product);
    let key = key(&product, layout);
    let named = |name: String| Variant::named(&name);
    if let Some(kept) = device.choice(&key).and_then(named) {
        return Ok(kept);
    }
    let usual = Variant::usual(device.is_software());
    let Product { rows, columns, inner, products: alike, .. } = product;
    let operations = 2.0 * f64::from(rows) * f64::from(columns) * f64::from(inner) * f64::from(alike);
    if products == Products::Kept || operations < WORTHWHILE_PRODUCTS[usize::from(!device.is_software())] {
        return Ok(usual);
    }
    // What lost by far with the first large product is not tried again.
    let tried_key = tried_key();
    let tried = device.choice(&tried_key);
    let is_tried = |variant: &Variant| {
        let known = tried.as_ref().is_none_or(|tried| tried.split(' ').any(|name| name == variant.name));
        known && device.has_room_for(variant)
    };
    // A device that has no room for a trial may have room for the training.
    let trials = trials(device, VARIANTS.into_iter().filter(is_tried), &product, layout);
    let Ok(trials) = trials else { return device.check().map(|()| usual) };
    if let Some((_, first)) = trials.first() {
        device.wake(|times| device.measure(from_ref(first), times))?;
    }
    let times = tuning::in_turns(&trials, |dispatch| repeated(|times| device.measure(from_ref(dispatch), times)))?;
    let Some((shortest, fastest)) = tuning::fastest(&times) else { return Ok(usual) };
    if tried.is_none() && operations >= TELLING {
        let near = times.iter().filter(|(seconds, _)| *seconds < FAR * shortest).map(|(_, variant)| variant.name);
        device.choose(&tried_key, &near.collect::<Vec<_>>().join(" "));
    }
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
        let run = |times| {
            // The rates of a trial are 0.
            feed.seek(device, 0, &[]);
            device.measure(&step.dispatches, times)
        };
        device.wake(run)?;
        repeated(run)
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

/// The product that is measured in the place of another: the same where the device is fast, and else a piece of it.
fn measured(on_software: bool, product: &Product) -> Product {
    let Product { rows, columns, inner, products, .. } = *product;
    let mut products = products as usize;
    let [mut rows, mut columns, mut inner] = [rows, columns, inner].map(|size| size as usize);
    if on_software {
        [rows, columns, inner] = [rows.min(MOST[0]), columns.min(MOST[1]), inner.min(MOST[2])];
        products = products.min(MOST_PRODUCTS);
    }
    let layers = |inner: usize| products * inner.div_ceil(product.part as usize);
    while rows * inner.max(columns * layers(inner)) > MOST_WORDS || columns * inner > MOST_WORDS {
        let largest = [&mut rows, &mut columns, &mut inner].into_iter().max().expect("there are three");
        *largest /= 2;
    }
    let part = (product.part as usize).min(padded(inner));
    let result = rows * padded(columns);
    // Of several products all have the same matrices here.
    Product::new([rows, columns, inner], 0, 0, padded(columns)).in_parts(part, result).at_once(products, 0, 0)
}

/// The key of the choice for it.
pub(super) fn key(product: &Product, layout: Layout) -> String {
    let Product { rows, columns, inner, parts, products, .. } = product;
    let times = if *products > 1 { format!(" times {products}") } else { String::new() };
    format!("product {} {rows}x{columns}x{inner} in {parts}{times}", layout.formula())
}

/// The key under which the ways are kept that are tried, of as many as there are by now; the others lost by [`FAR`].
fn tried_key() -> String {
    format!("products tried of {}", VARIANTS.len())
}

/// A product to be measured, made in some ways.
fn trials(
    device: &Device,
    variants: impl Iterator<Item = Variant>,
    product: &Product,
    layout: Layout,
) -> Result<Vec<(Variant, Dispatch)>> {
    let Product { rows, columns, inner, .. } = *product;
    let [rows, columns, inner] = [rows, columns, inner].map(|size| size as usize);
    let [left, right] = match layout {
        Layout::Plain => [[rows, inner], [inner, columns]],
        Layout::RightTransposed => [[rows, inner], [columns, inner]],
        Layout::LeftTransposed => [[inner, rows], [inner, columns]],
    };
    let product = Product { left: padded(left[1]) as u32, right: padded(right[1]) as u32, ..*product };
    let row_sums = layout == Layout::LeftTransposed;
    let form = Form { layout, outcome: Outcome::Written, bias: false, row_sums };
    let uniform = device.uniform("sizes", &product)?;
    let tensor = |words| device.tensor("a product that is measured", words);
    let matrix = |[rows, columns]: [usize; 2]| tensor(rows * padded(columns));
    let (left, right) = (matrix(left)?, matrix(right)?);
    let out = tensor(product.layers() as usize * rows * padded(columns))?;
    let (nothing, sums) = (tensor(16)?, tensor(padded(rows))?);
    let buffers = [&uniform, &left, &right, &nothing, &nothing, &nothing, &out, &sums];
    let trial = |variant: Variant| {
        let (constants, workgroups) = variant.cut(&product, form);
        let pipeline = device.pipeline(variant.kernel, &constants)?;
        Ok((variant, device.dispatch(&pipeline, &buffers.map(Buffer::all), workgroups)?))
    };
    variants.map(trial).collect()
}

/// Seconds that something takes which `take` does so many times.
fn repeated(take: impl Fn(usize) -> Result<f64>) -> Result<f64> {
    // The first run may still compile, for many seconds.
    let first = take(1)?;
    let mut times = 1;
    let mut seconds = take(times)?;
    if seconds > SHORT {
        return Ok(seconds.min(first));
    }
    while seconds < SECONDS && times < DISPATCHES {
        times *= 4;
        seconds = take(times)?;
    }
    Ok(seconds.min(take(times)?) / times as f64)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::engine::gpu::Path;
    use crate::engine::gpu::tests::{ODD, engine};

    #[test]
    fn what_a_driver_compiles_at_first_does_not_count_however_long_it_takes() {
        // A run of so many seconds, after a compilation; then how many runs it may have taken.
        for (second, most) in [(1e-3, 10), (7.0, 2)] {
            for compilation in [0.1, 60.0] {
                let runs = Cell::new(0);
                let take = |times| {
                    runs.set(runs.get() + times);
                    Ok(times as f64 * second + if runs.get() == times { compilation } else { 0.0 })
                };
                let seconds = repeated(take).unwrap();
                assert!((seconds / second - 1.0).abs() < 1e-9, "{second} {compilation}: {seconds}");
                assert!(runs.get() <= most, "{second} {compilation}: {} runs", runs.get());
            }
        }
    }

    #[test]
    fn an_evaluation_takes_the_products_that_a_training_found_to_be_the_fastest() {
        let Some(gpu) = engine(Path::General, false) else { return };
        let products = for_evaluation(Products::Measured, ODD, 40);
        assert_eq!(products, Products::Kept, "nothing is measured for so little");
        let product = |rows| {
            let product = Product::new([rows, ODD.vocabulary, 40], 40, 40, 40);
            let variant = for_product(&gpu.device, products, &product, Layout::RightTransposed).unwrap();
            (key(&product, Layout::RightTransposed), variant.name)
        };
        let (key, usual) = product(40);
        let other = VARIANTS.into_iter().find(|variant| variant.name != usual).unwrap().name;
        gpu.device.choose(&key, other);
        assert_eq!(product(40).1, other);
        assert_eq!(product(39).1, usual);
    }
}
