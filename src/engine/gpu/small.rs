//! The small path: two dispatches a step, for networks so small that starting a dispatch costs more than its work. Which
//! kernels take it is measured once for each shape and device.

use super::device::{Buffer, Device, WORKGROUP_BYTES};
use super::feed::{Feed, RING};
use super::kernels;
use super::layout::{Layout, Record};
use super::step::{Readable, Rows, Step};
use super::tuning;
use crate::Result;
use crate::engine::Recipe;
use crate::model::Shape;

/// Parameters, at most: beyond, the second dispatch reads each activation too often.
const MOST_PARAMETERS: usize = 1 << 16;
/// Examples in a batch, at most: every parameter sums over them one after the other.
const MOST_EXAMPLES: usize = 256;

/// Why a network or a batch does not fit this path, if it does not.
pub(super) fn unfit(shape: Shape, batch: usize, recipe: &Recipe) -> Option<String> {
    if !recipe.is_plain() {
        return Some("it takes plain gradient steps only".to_owned());
    } else if shape.tied || shape.hidden == 0 {
        return Some("it takes networks with hidden units and output weights of their own only".to_owned());
    }
    let (needed, memory) = (needed_bytes(shape), WORKGROUP_BYTES as usize);
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

/// Comparisons of a step from which a software device takes the general path: see [`pays`].
const MOST_COMPARISONS: usize = 3 << 18;

/// Whether this path is the faster one where it can be taken. The two paths add in different orders, so the choice changes
/// the last bits of a run: it is a rule of what the run is, never a measurement of the moment, and a resumed run goes on as it
/// began.
///
/// Here every number of the embedding looks at every token of the batch, V d times B n comparisons. A GPU makes millions of
/// them in a microsecond, while the general path starts a dozen dispatches, one after the other. On lavapipe (two cores)
/// these start in 0.6 ms, and a comparison takes 0.85 ns. Measured there, time of the general path over that of this one:
///
/// | V, n, d, h | B 8 | 32 | 128 | 256 |
/// | --- | --- | --- | --- | --- |
/// | 27, 3, 10, 200 | 4.17 | 2.59 | 1.44 | 1.16 |
/// | 27, 8, 24, 200 | 2.41 | 1.26 | 1.17 | 0.82, beyond |
/// | 60, 5, 16, 400 | 2.00 | 1.49 | 0.93 | 0.74, beyond |
/// | 250, 3, 10, 150 | 1.71 | 1.51 | 0.83, beyond | 0.76, beyond |
/// | 250, 4, 30, 100 | 1.12 | 0.75, beyond | 0.61, beyond | 0.53, beyond |
/// | 500, 4, 16, 90 | 1.38 | 0.69, beyond | 0.51, beyond | 0.44, beyond |
pub(super) fn pays(on_software: bool, shape: Shape, batch: usize) -> bool {
    !on_software || shape.vocabulary * shape.embedding * batch * shape.context <= MOST_COMPARISONS
}

/// Bytes that a workgroup of the widest variant needs.
pub(super) fn needed_bytes(shape: Shape) -> usize {
    4 * (shape.input() + 2 * shape.hidden + 2 * shape.vocabulary + WIDE)
}

/// How the work of a step is cut for the device. All give the same bits, so the choice is only one of speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variant {
    /// A workgroup an example, then an invocation a parameter: as many invocations as there can be, for a GPU.
    Wide,
    /// So many invocations for every four examples, then one for a tile of parameters: few invocations that read little,
    /// for a device that computes on the CPU (Mesa's llvmpipe on two cores, makemore: 2,600 steps a second in two
    /// parts, 2,000 in four, 300 with the wide one). More parts are more workgroups, for more cores.
    Across(u32),
}

impl Variant {
    /// Those that are tried; the first is taken where it does not matter.
    pub(super) const ALL: [Variant; 3] = [Variant::Wide, Variant::Across(2), Variant::Across(4)];

    /// The name under which a choice is kept.
    pub(super) fn name(self) -> String {
        match self {
            Variant::Wide => "wide".to_owned(),
            Variant::Across(parts) => format!("across {parts}"),
        }
    }

    /// Invocations in a workgroup: for a CPU those of one vector register.
    fn workgroup(self) -> usize {
        match self {
            Variant::Wide => WIDE,
            Variant::Across(_) => 8,
        }
    }
}

/// Invocations in a workgroup of [`Variant::Wide`].
const WIDE: usize = 256;
/// The buffers have room for a multiple of so many examples, which is what a workgroup takes at most.
const EXAMPLES_ROOM: usize = 16;

/// How long a variant is measured, at least, in seconds.
const MEASURED: f64 = 5e-3;
/// How often; the shortest time counts.
const REPEATS: usize = 3;

/// What a step is made of: forward with `parameters`, then `destination` -= rate * gradient.
pub(super) struct Small<'a> {
    pub(super) device: &'a Device,
    pub(super) shape: Shape,
    pub(super) parameters: &'a Buffer,
    pub(super) destination: &'a Buffer,
    pub(super) feed: &'a Feed,
}

impl Small<'_> {
    /// The fastest variant, as it was measured at some time. Without such a choice it is measured now.
    pub(super) fn chosen(&self) -> Result<Variant> {
        let key = key(self.shape, self.feed.batch());
        let kept = self.device.choice(&key);
        if let Some(variant) = Variant::ALL.into_iter().find(|variant| Some(variant.name()) == kept) {
            return Ok(variant);
        }
        let scratch = self.device.tensors("parameters of a trial", Layout::new(self.shape).len())?;
        let trial = Small { destination: &scratch, ..*self };
        let fastest = tuning::fastest(Variant::ALL, |variant| trial.seconds(variant))?;
        self.device.choose(&key, &fastest.name());
        Ok(fastest)
    }

    /// The time of a step.
    fn seconds(&self, variant: Variant) -> Result<f64> {
        let step = self.step(variant)?;
        let run = |steps| {
            self.feed.seek(self.device, 0, &[]);
            self.device.measure(&step.dispatches, steps)
        };
        // The first step waits for the driver's compiler.
        run(1)?;
        let mut steps = 1;
        while steps < RING / 2 && run(steps)? < MEASURED {
            steps *= 2;
        }
        let mut shortest = f64::INFINITY;
        for _ in 0..REPEATS {
            shortest = shortest.min(run(steps)?);
        }
        Ok(shortest / steps as f64)
    }

    /// A whole step.
    pub(super) fn step(&self, variant: Variant) -> Result<Step> {
        let Small { device, shape, parameters, destination, feed } = *self;
        let record = Record::new(shape);
        let room = feed.batch().next_multiple_of(EXAMPLES_ROOM);
        let contexts = device.tensor("contexts", room * feed.context())?;
        let activations = device.tensor("activations", room * record.len)?;

        let workgroup = variant.workgroup();
        let sizes = [
            ("WORKGROUP", workgroup as f64),
            ("VOCABULARY", shape.vocabulary as f64),
            ("CONTEXT", shape.context as f64),
            ("EMBEDDING", shape.embedding as f64),
            ("HIDDEN", shape.hidden as f64),
            ("DIRECT", f64::from(u8::from(shape.direct))),
        ];
        let workgroups = |invocations: usize| [invocations.div_ceil(workgroup) as u32, 1, 1];
        let (first, examples, second, update) = match variant {
            Variant::Wide => (
                device.pipeline(&kernels::SMALL_EXAMPLES, &sizes)?,
                [feed.batch() as u32, 1, 1],
                device.pipeline(&kernels::SMALL_PARAMETERS, &sizes)?,
                // One workgroup more than the parameters need: it has the loss and the cursor.
                workgroups(Layout::new(shape).len() + workgroup),
            ),
            Variant::Across(parts) => (
                device.pipeline(
                    &kernels::SMALL_EXAMPLES_ACROSS,
                    &[&sizes[..], &[("PARTS", f64::from(parts))]].concat(),
                )?,
                workgroups(feed.batch().div_ceil(4) * parts as usize),
                device.pipeline(&kernels::SMALL_PARAMETERS_TILED, &sizes)?,
                workgroups(tiles(shape)),
            ),
        };
        let bound = [&feed.plan, &feed.tokens, &feed.places, parameters, &feed.cursor, &contexts, &activations];
        let draw = device.dispatch(&first, &bound.map(Buffer::all), examples)?;
        let bound = [&feed.plan, &contexts, &activations, &feed.factors, &feed.cursor, destination, &feed.losses];
        let update = device.dispatch(&second, &bound.map(Buffer::all), update)?;
        let rows = |first, columns| Rows { buffer: activations.clone(), first, stride: record.len, columns };
        Ok(Step {
            dispatches: vec![draw, update],
            readable: vec![Readable { ready: 1, examples: feed.batch() }],
            hidden: rows(record.hidden, shape.hidden),
            logits: rows(record.logits, shape.vocabulary),
        })
    }
}

/// The key of the choice of a variant.
pub(super) fn key(shape: Shape, batch: usize) -> String {
    let Shape { vocabulary, context, embedding, hidden, direct, .. } = shape;
    let direct = if direct { " direct" } else { "" };
    let batch = batch.next_power_of_two();
    format!("small V {vocabulary} n {context} d {embedding} h {hidden}{direct} B {batch}")
}

/// Invocations of `small_parameters_tiled.wgsl`: tiles of weights, quads of biases and of the embedding, and one that has
/// the loss and the cursor.
fn tiles(shape: Shape) -> usize {
    let [inputs, units, vocabulary] = [shape.input(), shape.hidden, shape.vocabulary].map(|count| count.div_ceil(8));
    let direct = if shape.direct { vocabulary * inputs } else { 0 };
    let quads = [shape.hidden, shape.vocabulary, shape.vocabulary * shape.embedding].map(|count| count.div_ceil(4));
    units * inputs + vocabulary * units + direct + quads.iter().sum::<usize>() + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::SHAPES;

    #[test]
    fn a_software_device_takes_the_general_path_where_the_embedding_is_searched_too_often() {
        let [notebook, makemore] = [&SHAPES[0], &SHAPES[1]];
        for (shape, batch) in
            [(notebook.shape, notebook.batch), (makemore.shape, makemore.batch), (makemore.shape, 256)]
        {
            assert!(pays(true, shape, batch));
        }
        let shape = Shape { vocabulary: 500, context: 4, embedding: 16, hidden: 90, direct: false, tied: false };
        assert!(pays(true, shape, 8) && !pays(true, shape, 32) && pays(false, shape, 256));
    }
}
