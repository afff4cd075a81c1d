//! The small path: two dispatches a step, or one for several, for networks so small that starting a dispatch costs more
//! than its work. Which kernels take it is measured once for each shape and device.

mod limits;

pub(super) use limits::{needed_bytes, pays, unfit};
use limits::{rounds_of_examples, rounds_of_tiles};

use super::choice;
use super::device::{Buffer, Device};
use super::feed::{Feed, RING};
use super::kernels;
use super::layout::{ALIGNMENT, Layout, Record, padded};
use super::step::{Readable, Rows, Several, Step};
use super::tuning;
use crate::Result;
use crate::model::Shape;

/// How the work of a step is cut for the device. All give the same bits, so the choice is only one of speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variant {
    /// A workgroup an example, then an invocation a parameter: as many invocations as there can be, for a GPU. Each asks the memory
    /// for so many numbers at once, at most: with 32 for all of its own of makemore, and with 8 for some, for a GPU that has few
    /// registers.
    Wide(usize),
    /// So many invocations for every four examples, then one for a tile of parameters: few invocations that read little,
    /// for a device that computes on the CPU (Mesa's llvmpipe on two cores, makemore: 3,300 steps a second in two
    /// parts or four, some 150 with the wide one). More parts are more workgroups, for more cores.
    Across(u32),
    /// Several steps in one workgroup of so many invocations: nothing is started between phases, and only one core of
    /// the device works. It wins for the smallest networks: lavapipe on two cores takes, with V 27, n 3, d 2, h 16 and B 8, 104
    /// microseconds a step in two dispatches and 78 alone in 8 invocations. 256 invocations are for a GPU.
    Alone(u32),
}

impl Variant {
    /// Those that are tried; the first is taken where it does not matter.
    pub(super) const ALL: [Variant; 6] = [
        Variant::Wide(32),
        Variant::Wide(FEW_AHEAD),
        Variant::Across(2),
        Variant::Across(4),
        Variant::Alone(8),
        Variant::Alone(256),
    ];

    /// The name under which a choice is kept.
    pub(super) fn name(self) -> String {
        match self {
            Variant::Wide(ahead) => format!("wide {ahead}"),
            Variant::Across(parts) => format!("across {parts}"),
            Variant::Alone(invocations) => format!("alone {invocations}"),
        }
    }
}

/// Numbers that [`Variant::Wide`] asks for at once on a GPU with few registers.
const FEW_AHEAD: usize = 8;
/// Invocations in a workgroup of [`Variant::Wide`].
const WIDE: usize = 256;
/// Those of its second dispatch: few, so that there are workgroups for all cores of a GPU, and each lies within one tensor.
const SPREAD: usize = 64;
const _: () = assert!(ALIGNMENT.is_multiple_of(SPREAD));
/// Invocations in a workgroup of the others: for a CPU those of one vector register.
const NARROW: usize = 8;
/// Examples of an invocation where they are computed across: the twin of EXAMPLES in `shared/small_across.wgsl`.
const EXAMPLES: usize = 4;
/// Parts of a long sum: the twin of LANES in `shared/small.wgsl`.
const LANES: usize = 8;
/// Examples that a narrow workgroup takes at once, at most.
const WORKGROUP_EXAMPLES: usize = NARROW / 2 * EXAMPLES;

/// Steps of [`Variant::Alone`] in a dispatch, at most.
const MOST_STEPS: usize = 16;
/// The fewest that pay for it.
const FEWEST_STEPS: usize = 4;
/// Operations of such a dispatch, at most: a slow device has them done in some hundredths of a second.
const MOST_OPERATIONS: f64 = 4e7;

/// How long a variant is measured, at least, in seconds.
const MEASURED: f64 = 5e-3;

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
        // The rates of a trial are 0: its parameters stay as they are.
        let scratch = self.device.tensors("parameters of a trial", self.parameters.words)?;
        let mut recording = self.device.record();
        recording.copy(self.parameters, &scratch, 0, scratch.words);
        self.device.time(recording)?;
        let trial = Small { parameters: &scratch, destination: &scratch, ..*self };
        let (few, on_software) = (self.together() == 1, self.device.is_software());
        let is_tried = |variant: &Variant| match *variant {
            // A software device's compiler takes seconds for what is for a GPU, and it loses by ten times there.
            Variant::Alone(invocations) => !few && (invocations as usize == NARROW || !on_software),
            Variant::Wide(_) => !on_software,
            Variant::Across(_) => true,
        };
        let trials = Variant::ALL.into_iter().filter(is_tried).map(|variant| Ok((variant, trial.trial(variant)?)));
        let trials = trials.collect::<Result<Vec<_>>>()?;
        let each = |(step, times): &(Step, usize)| Ok(trial.run(step, *times)? / (times * step.together()) as f64);
        let (_, fastest) = tuning::fastest(&tuning::in_turns(&trials, each)?).expect("some are tried");
        self.device.choose(&key, &fastest.name());
        Ok(fastest)
    }

    /// A step and how often it is recorded for a measurement.
    fn trial(&self, variant: Variant) -> Result<(Step, usize)> {
        let step = self.step(variant)?;
        let run = |times| self.run(&step, times);
        // The first time waits for the driver's compiler.
        run(1)?;
        self.device.wake(|times| run(times.min(RING / 2 / step.together())))?;
        let mut times = 1;
        while times * step.together() < RING / 2 && run(times)? < MEASURED {
            times *= 2;
        }
        Ok((step, times))
    }

    /// The time of all steps of a measurement.
    fn run(&self, step: &Step, times: usize) -> Result<f64> {
        self.feed.seek(self.device, 0, &[]);
        self.device.measure(step.of_together(), times)
    }

    /// Steps that [`Variant::Alone`] takes in a dispatch: 1 where several are too much work for one.
    fn together(&self) -> usize {
        let (shape, batch) = (self.shape, self.feed.batch());
        let tiles = tiles(shape).div_ceil(NARROW) * rounds_of_tiles(shape, batch);
        let by_rounds = self.device.rounds() as usize / (rounds_of_examples(shape, batch) + tiles);
        let steps = by_rounds.min((MOST_OPERATIONS / shape.step_flops(batch)) as usize).min(MOST_STEPS);
        if steps < FEWEST_STEPS { 1 } else { steps }
    }

    /// A whole step.
    pub(super) fn step(&self, variant: Variant) -> Result<Step> {
        let Small { device, shape, parameters, destination, feed } = *self;
        let batch = feed.batch();
        let record = Record::new(shape);
        let alone = match variant {
            Variant::Alone(invocations) if self.together() > 1 && parameters.handle == destination.handle => {
                Some(Alone::new(invocations as usize, batch))
            }
            _ => None,
        };
        // What a workgroup takes at once is computed beyond the batch, too.
        let at_once = alone.as_ref().map_or(0, |alone| alone.workgroup / alone.parts * EXAMPLES);
        let room = batch.next_multiple_of(WORKGROUP_EXAMPLES.max(at_once));
        let (records, before_logits) = (batch * record.len, room * record.len);
        let numbers = before_logits + room * padded(shape.vocabulary);
        device.check_binding("activations", numbers)?;
        let activations = device.tensors("activations", numbers)?;

        let sizes = |workgroup: usize, others: &[(&'static str, usize)]| {
            let sizes = [
                ("WORKGROUP", workgroup),
                ("ORDER", feed.batches.order as usize),
                ("VOCABULARY", shape.vocabulary),
                ("CONTEXT", shape.context),
                ("EMBEDDING", shape.embedding),
                ("HIDDEN", shape.hidden),
                ("DIRECT", usize::from(shape.direct)),
                ("BATCH", batch),
                ("LOGITS", before_logits),
            ];
            sizes.iter().chain(others).map(|&(name, value)| (name, value as f64)).collect::<Vec<_>>()
        };
        let workgroups = |invocations: usize, workgroup: usize| [invocations.div_ceil(workgroup) as u32, 1, 1];
        let Feed { plan, tokens, places, cursor, factors, losses, .. } = feed;
        let wide = matches!(variant, Variant::Wide(_));
        // What the wide variant draws ahead comes after the contexts: those of an example, and its target, of an even and an odd step.
        let drawn = if wide { batch * (feed.context() + 1) } else { 0 };
        let contexts = device.tensor("contexts", room * feed.context() + 2 * drawn)?;
        let (first, examples, second, update) = match variant {
            Variant::Wide(ahead) => (
                device.pipeline(&kernels::SMALL_EXAMPLES, &sizes(WIDE, &lines_of_examples(shape, ahead)))?,
                [batch as u32, 1, 1],
                device.pipeline(
                    &kernels::SMALL_PARAMETERS,
                    &sizes(SPREAD, &[("HELD", held(shape, batch)), lines(batch, ahead)]),
                )?,
                // One workgroup more than the parameters need: it has the loss and the cursor.
                workgroups(Layout::new(shape).len() + SPREAD, SPREAD),
            ),
            // Of steps that are taken together, the last few are taken one by one.
            Variant::Across(_) | Variant::Alone(_) => {
                let parts = if let Variant::Across(parts) = variant { parts as usize } else { 2 };
                // Of a kernel that reads so many numbers the one for a uniform buffer, if one holds them: on software, where
                // storage is read in a loop over the invocations. A GPU's may read one place at a time.
                let reads = |numbers: usize, uniform, storage, others: &[(&'static str, usize)]| {
                    let fit = device.is_software() && 4 * numbers as u64 <= device.uniform_bytes();
                    let quads = fit.then_some(("QUADS", numbers / 4));
                    let others: Vec<_> = others.iter().copied().chain(quads).collect();
                    device.pipeline(if fit { uniform } else { storage }, &sizes(NARROW, &others))
                };
                (
                    reads(
                        parameters.words,
                        &kernels::SMALL_EXAMPLES_UNIFORM,
                        &kernels::SMALL_EXAMPLES_ACROSS,
                        &[("PARTS", parts)],
                    )?,
                    workgroups(batch.div_ceil(EXAMPLES) * parts, NARROW),
                    reads(records, &kernels::SMALL_PARAMETERS_UNIFORM, &kernels::SMALL_PARAMETERS_TILED, &[])?,
                    workgroups(tiles(shape), NARROW),
                )
            }
        };
        let columns = || device.tensor("columns of hidden weights", padded(shape.input()) * padded(shape.hidden));
        let columns = wide.then(columns).transpose()?;
        let ahead = |columns: &Buffer| {
            let pipeline = device.pipeline(&kernels::SMALL_AHEAD, &sizes(SPREAD, &[]))?;
            let bound = [plan, tokens, places, parameters, cursor, &contexts, columns].map(Buffer::all);
            device.dispatch(&pipeline, &bound, workgroups(columns.words.max(drawn), SPREAD))
        };
        let before = columns.as_ref().map(ahead).transpose()?;
        let mut bound = vec![plan, tokens, places, parameters, cursor, &contexts, &activations];
        bound.extend(columns.iter().flat_map(|columns| [columns, factors]));
        let draw = device.dispatch(&first, &bound.into_iter().map(Buffer::all).collect::<Vec<_>>(), examples)?;
        let others = match &columns {
            Some(columns) => [cursor, destination, losses, columns],
            None => [factors, cursor, destination, losses],
        };
        let records = activations.part(0..records);
        let bound: Vec<_> = [plan.all(), contexts.all(), records].into_iter().chain(others.map(Buffer::all)).collect();
        let update = device.dispatch(&second, &bound, update)?;
        let several = |Alone { workgroup, parts }| {
            let steps = self.together();
            let others = [("PARTS", parts), ("STEPS", steps)];
            let pipeline = device.pipeline(&kernels::SMALL_STEPS, &sizes(workgroup, &others))?;
            let bound = [plan, tokens, places, factors, cursor, &contexts, &activations, parameters, losses];
            Ok(Several { dispatch: device.dispatch(&pipeline, &bound.map(Buffer::all), [1, 1, 1])?, steps })
        };
        let rows = |first, stride, columns| Rows { buffer: activations.clone(), first, stride, columns };
        Ok(Step {
            before,
            dispatches: vec![draw, update],
            joined: false,
            by_pairs: false,
            products: Vec::new(),
            several: alone.map(several).transpose()?,
            readable: vec![Readable { ready: 1, examples: batch }],
            hidden: rows(record.hidden, record.len, shape.hidden),
            logits: rows(before_logits, padded(shape.vocabulary), shape.vocabulary),
        })
    }
}

/// Lines of a kernel of [`Variant::Wide`] for so many numbers.
fn lines(numbers: usize, ahead: usize) -> (&'static str, usize) {
    ("ROWS", padded(numbers).min(ahead))
}

/// Lines of `small_examples.wgsl`: for the numbers of a column of either weight, and for the fours that a lane has of a row of the
/// output's weights, or of the hidden weights' columns.
fn lines_of_examples(shape: Shape, ahead: usize) -> [(&'static str, usize); 2] {
    let rounds = shape.hidden.div_ceil(4 * LANES);
    [lines(shape.vocabulary.max(shape.input()), ahead), ("QUADS", rounds.min(ahead / 4))]
}

/// Examples whose gradients of the input, and tokens, a workgroup of `small_parameters.wgsl` holds at a time.
fn held(shape: Shape, batch: usize) -> usize {
    /// Numbers: 5 KiB.
    const NUMBERS: usize = 1280;
    (NUMBERS / (padded(shape.input()) + shape.context)).clamp(1, batch)
}

/// How [`Variant::Alone`] cuts its work.
struct Alone {
    /// Invocations.
    workgroup: usize,
    /// Of them, those that share the outputs of the same examples.
    parts: usize,
}

impl Alone {
    fn new(workgroup: usize, batch: usize) -> Self {
        let groups = batch.div_ceil(EXAMPLES).next_power_of_two();
        Alone { workgroup, parts: (workgroup / groups).max(1) }
    }
}

/// The key of the choice of a variant.
pub(super) fn key(shape: Shape, batch: usize) -> String {
    format!("small {}", choice::named(shape, batch))
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
    use std::sync::Arc;

    use super::*;
    use crate::engine::gpu::Path;
    use crate::engine::gpu::disorder::DISORDERS;
    use crate::engine::gpu::tests::{DIRECT, LECTURE, ODD, corpus, engine, parameters};
    use crate::engine::{Engine, Recipe};
    use crate::model::Init;
    use crate::model::initial::initial;
    use crate::text::{BatchPlan, Order};

    #[test]
    fn variants_of_the_small_path_give_the_same_bits() {
        let tiny = Shape { vocabulary: 5, context: 1, embedding: 3, hidden: 1, ..ODD };
        let few = Shape { vocabulary: 11, context: 2, embedding: 3, hidden: 5, direct: true, tied: false };
        // More of everything than an invocation of the wide variant asks for at a time, and than a workgroup has at once.
        let large = Shape { vocabulary: 70, context: 7, embedding: 20, hidden: 300, direct: false, tied: false };
        // More tokens than a workgroup has invocations.
        let long = Shape { vocabulary: 7, context: 260, embedding: 2, hidden: 9, direct: false, tied: false };
        let cases = [(ODD, 13), (few, 37), (few, 100), (tiny, 1), (LECTURE, 32), (DIRECT, 37), (large, 41), (long, 17)];
        // Of the first four, every device takes several steps at a time.
        for (place, (shape, batch)) in (0..).zip(cases) {
            let run = |number: usize| {
                let variant = Variant::ALL[number];
                let mut gpu = engine(Path::Small, true)?;
                gpu.device.disorder(DISORDERS[(place + number) % 2]);
                gpu.device.choose(&key(shape, batch as usize), &variant.name());
                let corpus = Arc::new(corpus(shape, 50.max(batch as usize)));
                gpu.load(&parameters(shape)).unwrap();
                let plan = BatchPlan {
                    order: [Order::Shuffled, Order::Sampled, Order::Sequential][place % 3],
                    seed: 4,
                    batch,
                    examples: corpus.len() as u32,
                };
                gpu.prepare(corpus, plan, Recipe::default()).unwrap();
                let step = &gpu.training.as_ref().unwrap().step;
                let several = step.several.is_some();
                assert!(several == matches!(variant, Variant::Alone(_)) || place > 3, "{variant:?} {shape:?} {batch}");
                // Here the lecture's parameters and records both fit in a uniform buffer, of others the parameters, or nothing.
                let uniform = [0, 1].map(|dispatch| step.dispatches[dispatch].name.ends_with("_uniform"));
                let wide = matches!(variant, Variant::Wide(_));
                if !wide && gpu.device.is_software() && gpu.device.uniform_bytes() == 1 << 16 {
                    let known = [(LECTURE, [true, true]), (long, [true, false]), (large, [false, false])];
                    let expected = known.iter().find(|(known, _)| *known == shape);
                    assert!(expected.is_none_or(|(_, expected)| uniform == *expected), "{variant:?} {shape:?}");
                }
                let mut losses = gpu.train(0, &[0.1; 37]).unwrap();
                // Whatever was made ahead counts for nothing now.
                gpu.load(&initial(shape, Init::Scaled, 8, &[])).unwrap();
                losses.extend(gpu.train(1001, &[0.1, 0.3, 0.05]).unwrap());
                losses.extend(gpu.train(2000, &[0.2, 0.1]).unwrap());
                let examination = gpu.examine(&self::corpus(shape, batch.max(3) as usize)).unwrap();
                Some((losses, gpu.parameters().unwrap(), examination.hidden, examination.logits, examination.gradients))
            };
            let Some(expected) = run(0) else { return };
            for number in 1..Variant::ALL.len() {
                assert!(run(number).unwrap() == expected, "{:?} {shape:?}", Variant::ALL[number]);
            }
        }
    }
}
