//! A plain step in six dispatches (three more on a GPU where the hidden weights are many): passes that do not wait for each other share one. On a GPU each dispatch waits for the one
//! before it, some microseconds long, and a small pass by itself leaves most of the device idle; here it runs beside a
//! product. Every number comes out as of the passes apart, to the bit.
//!
//! | dispatch | passes |
//! | --- | --- |
//! | `hidden_forward`, or on a GPU `hidden_forward_wide` | draw, gather, product with H, tanh (on a GPU apart where H is large) |
//! | `matrix_product` | logits |
//! | `softmax_cross_entropy` | losses and the logits' gradient |
//! | `hidden_gradient_parts` | product with U in parts; mean loss, cursor, links |
//! | `output_step` | step of U and its bias; sums of the parts, back through tanh, product with H |
//! | `input_step` | step of H and its bias; scatter |
//!
//! Direct connections add three products, each with a dispatch of its own.

use std::ops::Range;

use super::{General, steps_in_place};
use crate::Result;
use crate::engine::Recipe;
use crate::engine::gpu::device::{Buffer, Dispatch, MOST_WORKGROUPS, Part, WORKGROUP_BYTES};
use crate::engine::gpu::kernels::{HIDDEN_GRADIENT_PARTS, INPUT_STEP, OUTPUT_STEP, SoftmaxResult};
use crate::engine::gpu::layout::{ALIGNMENT, padded};
use crate::engine::gpu::passes::{Beside, Matrices, Work, drops};
use crate::engine::gpu::product::{FEWEST_INVOCATIONS, Layout, Outcome, SMALLEST_TILE};
use crate::engine::gpu::uniforms::{Joined, Product};
use crate::model::Shape;
use crate::model::shape::{DIRECT_WEIGHT, EMBEDDING_WEIGHT, HIDDEN_BIAS, HIDDEN_WEIGHT, OUTPUT_BIAS, OUTPUT_WEIGHT};

/// Examples that a workgroup takes from the draw to the hidden units on a software device, and back to the input where they have no
/// invocations of their own: the twin of TOGETHER in `shared/back_to_input.wgsl`.
pub(in crate::engine::gpu) const EXAMPLES: usize = 4;
/// Those that it takes to the hidden units on a GPU: the twin of EXAMPLES in `hidden_forward_wide.wgsl`.
pub(in crate::engine::gpu) const WIDE_EXAMPLES: usize = 2;
/// Its invocations there.
pub(in crate::engine::gpu) const WIDE_INVOCATIONS: u32 = 128;
/// Hidden weights, at most, with which a GPU goes from the draw to the hidden units in one dispatch: each workgroup reads all
/// of them.
const MOST_WIDE_WEIGHTS: usize = 1 << 15;

/// What the six dispatches hand on to each other, beside the activations.
struct Between {
    sizes: Joined,
    /// Tokens of a part of the sums over the vocabulary that make the hidden units' gradient, and the input's.
    part: [usize; 2],
    /// Those sums.
    parts: Buffer,
    /// The gradients of the hidden units, and of the input.
    d_activations: Buffer,
    links: Buffer,
}

impl General<'_> {
    /// The dispatches of a plain step that updates `destination`, and after how many of them its activations can be read;
    /// `None` where it must be cut, or where an update is more than a plain step.
    pub(super) fn joined(&self, destination: &Buffer, recipe: &Recipe) -> Result<Option<(Vec<Dispatch>, usize)>> {
        let Some(between) = self.between(recipe)? else { return Ok(None) };
        let (chunk, direct) = (&self.chunks[0], self.model.shape.direct);
        let inputs = padded(self.model.shape.input());
        let fits = 4 * WIDE_EXAMPLES * inputs <= WORKGROUP_BYTES as usize;
        let wide = fits && self.model.shape.hidden * inputs <= MOST_WIDE_WEIGHTS;
        let mut dispatches = if self.device.is_software() || wide {
            vec![self.hidden_forward(&between)?]
        } else {
            let mut passes = vec![self.draw()?];
            passes.extend(self.forward_to_hidden(chunk)?);
            passes
        };
        dispatches.extend(self.logits_of(chunk, self.output(), &self.hidden, Outcome::Written)?);
        if direct {
            dispatches.extend(self.logits_of(chunk, self.placed(DIRECT_WEIGHT), &self.input, Outcome::Added)?);
        }
        let ready = dispatches.len();
        dispatches.push(self.softmax(chunk, SoftmaxResult::Gradient)?);
        dispatches.push(self.hidden_gradient_parts(&between)?);
        if direct {
            dispatches.push(self.input_gradient_parts(&between)?);
        }
        dispatches.push(self.output_step(&between, destination)?);
        if direct {
            dispatches.push(self.direct_step(destination)?);
        }
        dispatches.push(self.input_step(&between, destination)?);
        Ok(Some((dispatches, ready)))
    }

    fn between(&self, recipe: &Recipe) -> Result<Option<Between>> {
        let shape = self.model.shape;
        let apart = shape.hidden == 0 || self.chunks.len() > 1 || self.pairs.is_some();
        if apart || !steps_in_place(shape, recipe) {
            return Ok(None);
        }
        let mut part = [1; 2];
        let (count, strides) = (self.feed.batch(), [shape.hidden, shape.input()].map(padded));
        let products = [Some(OUTPUT_WEIGHT), shape.direct.then_some(DIRECT_WEIGHT)];
        let mut parts = [0; 2];
        for (i, name) in products.into_iter().enumerate() {
            let Some(weights) = name.map(|name| self.placed(name)) else { continue };
            if self.cut.blocks(self.device, weights)?.len() > 1 {
                return Ok(None);
            }
            part[i] = self.parts(weights, count * strides[i])?.0;
            parts[i] = shape.vocabulary.div_ceil(part[i]);
        }
        let first = (count * strides[0]).next_multiple_of(ALIGNMENT);
        let words = [
            count * (parts[0] * strides[0] + parts[1] * strides[1]),
            first + count * strides[1],
            self.span(EMBEDDING_WEIGHT, HIDDEN_BIAS).len(),
            self.span(OUTPUT_WEIGHT, OUTPUT_BIAS).len(),
        ];
        // Rows of workgroups must be left for what runs beside a product.
        let cut = self.cut.blocks(self.device, self.placed(EMBEDDING_WEIGHT))?.len() > 1
            || shape.vocabulary.max(shape.hidden) > MOST_WORKGROUPS as usize * SMALLEST_TILE as usize / 2;
        if cut
            || self.rounds(parts) > self.device.rounds() as usize
            || words.iter().any(|&words| words > self.device.binding_words())
        {
            return Ok(None);
        }
        let word = |words: usize| words as u32;
        Ok(Some(Between {
            sizes: Joined {
                first_row: 0,
                rows: 0,
                first_layer: 0,
                layers: 0,
                others_first: 0,
                others: 0,
                batch: word(count),
                embedding: word(shape.embedding),
                embedding_stride: word(self.placed(EMBEDDING_WEIGHT).stride),
                units: word(shape.hidden),
                hidden_stride: word(strides[0]),
                inputs: word(shape.input()),
                input_stride: word(strides[1]),
                hidden_weight: word(self.placed(HIDDEN_WEIGHT).range.start),
                hidden_bias: word(self.placed(HIDDEN_BIAS).range.start),
                hidden_parts: word(parts[0]),
                input_parts: word(parts[1]),
                d_input: word(first),
            },
            part,
            parts: self.device.tensor("parts of gradients", words[0])?,
            d_activations: self.device.tensor("gradients of activations", words[1])?,
            links: self.passes.links_of(count * shape.context)?,
        }))
    }

    /// Rounds of loops, at most, that an invocation of one of the dispatches takes beside a product, or before it.
    fn rounds(&self, parts: [usize; 2]) -> usize {
        let Shape { context, embedding, hidden, .. } = self.model.shape;
        let (inputs, invocations) = (self.model.shape.input(), FEWEST_INVOCATIONS);
        let (count, turns) = (self.feed.batch(), self.device.turns_beside());
        let occurrences = count * context;
        let quads = |numbers: usize| numbers.div_ceil(4);
        let share = |things: usize| things.div_ceil(invocations);
        // Threefry's rounds, and those of the permutation that draws an example.
        const DRAW: usize = 64;
        let workgroup = self.device.workgroup() as usize;
        let rounds = |things: usize, each: usize| things.div_ceil(workgroup) * each;
        let forward = rounds(EXAMPLES * context, DRAW)
            + rounds(EXAMPLES * quads(inputs), 1)
            + rounds(quads(hidden), 1 + quads(inputs));
        let links = turns * (quads(occurrences) + 3) + quads(count);
        let back_to_units = share(EXAMPLES * quads(hidden)) * (1 + parts[0]);
        let back_to_input = share(quads(inputs)) * (1 + quads(hidden) + EXAMPLES * parts[1]);
        // An invocation may have to go through all occurrences for each four of their numbers.
        let scatter = turns + turns.min(quads(embedding)) * occurrences;
        forward.max(links).max(turns * (1 + back_to_units + back_to_input)).max(scatter)
    }

    fn hidden_forward(&self, between: &Between) -> Result<Dispatch> {
        let parameters = self.model.parameters.part(self.span(EMBEDDING_WEIGHT, HIDDEN_BIAS));
        let parts = [
            self.feed.tokens.all(),
            self.feed.places.all(),
            self.feed.cursor.all(),
            self.contexts.all(),
            self.targets.all(),
            parameters,
            self.input.all(),
            self.hidden.all(),
        ];
        self.passes.hidden_forward(between.sizes, &self.masks, parts)
    }

    fn hidden_gradient_parts(&self, between: &Between) -> Result<Dispatch> {
        let (product, right) = self.product_in_parts(between, 0);
        // One more for the loss.
        let beside = Beside {
            kernel: &HIDDEN_GRADIENT_PARTS,
            sizes: between.sizes,
            work: Work::Invocations(self.feed.batch() * self.model.shape.context + 1),
            uniforms: vec![self.feed.plan.clone()],
            constants: vec![self.passes.sorted()],
            shares: false,
        };
        let parts = [
            self.logits.all(),
            right,
            between.parts.all(),
            self.example_losses.all(),
            self.feed.cursor.all(),
            self.feed.losses.all(),
            self.contexts.all(),
            between.links.all(),
        ];
        self.passes.product_beside(product, Layout::Plain, beside, &parts)
    }

    /// The parts of the sums over the vocabulary that direct connections add to the input's gradient.
    fn input_gradient_parts(&self, between: &Between) -> Result<Dispatch> {
        let (product, right) = self.product_in_parts(between, 1);
        let hidden_parts = between.sizes.hidden_parts * between.sizes.batch * between.sizes.hidden_stride;
        self.passes.product(
            product.out_from(hidden_parts as usize),
            Layout::Plain,
            Outcome::Written,
            Matrices { left: self.logits.all(), right, bias: None, out: between.parts.all(), row_sums: None },
        )
    }

    /// A product of the logits' gradient with the output weights, or with the direct ones.
    fn product_in_parts(&self, between: &Between, which: usize) -> (Product, Part<'_>) {
        let vocabulary = self.model.shape.vocabulary;
        let weights = self.placed([OUTPUT_WEIGHT, DIRECT_WEIGHT][which]);
        let (count, columns) = (self.feed.batch(), weights.columns());
        let product = Product::new([count, columns, vocabulary], padded(vocabulary), weights.stride, padded(columns))
            .in_parts(between.part[which], count * padded(columns));
        (product, self.model.parameters.part(weights.range.clone()))
    }

    fn output_step(&self, between: &Between, destination: &Buffer) -> Result<Dispatch> {
        let span = self.span(OUTPUT_WEIGHT, OUTPUT_BIAS);
        let Joined { hidden_stride, input_stride, hidden_parts, input_parts, .. } = between.sizes;
        let held = hidden_stride + input_stride;
        let wide = self.device.goes_back_wide(held);
        let mut constants = vec![drops(&self.masks[1]), ("WIDE", f64::from(u8::from(wide)))];
        if wide {
            let sizes = [
                ("HIDDEN_STRIDE", hidden_stride),
                ("HIDDEN_PARTS", hidden_parts),
                ("INPUT_PARTS", input_parts),
                ("HELD", held),
            ];
            constants.extend(sizes.map(|(name, size)| (name, f64::from(size))));
        }
        let beside = Beside {
            kernel: &OUTPUT_STEP,
            sizes: between.sizes,
            // Several examples a workgroup: of `brown` on an H200 a core has room for one workgroup, the product has 128 for 132 cores, and
            // those of the examples come after them, for some 3 microseconds each.
            work: match wide {
                true => Work::Examples { count: self.feed.batch(), each: hidden_stride.max(input_stride) as usize },
                false => Work::Workgroups(self.feed.batch().div_ceil(EXAMPLES)),
            },
            uniforms: vec![self.passes.dropout(&self.masks[1])?],
            constants,
            shares: false,
        };
        let parts = [
            self.logits.all(),
            self.hidden.all(),
            self.feed.factors.all(),
            self.feed.cursor.all(),
            destination.part(span.clone()),
            between.parts.all(),
            between.d_activations.all(),
            self.whole(HIDDEN_WEIGHT)?,
        ];
        let product = self.gradient_of(OUTPUT_WEIGHT, padded(self.model.shape.vocabulary));
        let product = product.sums_from(self.placed(OUTPUT_BIAS).range.start - span.start);
        self.passes.product_beside(product, Layout::LeftTransposed, beside, &parts)
    }

    fn input_step(&self, between: &Between, destination: &Buffer) -> Result<Dispatch> {
        let Joined { batch, embedding, .. } = between.sizes;
        let context = self.model.shape.context;
        let span = self.span(HIDDEN_WEIGHT, HIDDEN_BIAS);
        let sizes = self.sizes(&self.chunks[0], self.model.shape.input());
        let table = self.table(&(0..self.model.shape.vocabulary));
        let beside = Beside {
            kernel: &INPUT_STEP,
            sizes: between.sizes,
            work: Work::Invocations(
                batch as usize * context * embedding.div_ceil(4) as usize * self.device.spread() as usize,
            ),
            uniforms: vec![
                self.passes.uniform(&sizes)?,
                self.passes.uniform(&table)?,
                self.passes.dropout(&self.masks[0])?,
            ],
            constants: vec![drops(&self.masks[0]), self.passes.sorted(), self.passes.spread()],
            shares: true,
        };
        let parts = [
            between.d_activations.all(),
            self.input.all(),
            self.feed.factors.all(),
            self.feed.cursor.all(),
            destination.part(span.clone()),
            destination.part(self.placed(EMBEDDING_WEIGHT).range.clone()),
            self.contexts.all(),
            between.links.all(),
        ];
        let product = self.gradient_of(HIDDEN_WEIGHT, padded(self.model.shape.hidden));
        let product = product.sums_from(self.placed(HIDDEN_BIAS).range.start - span.start);
        self.passes.product_beside(product, Layout::LeftTransposed, beside, &parts)
    }

    fn direct_step(&self, destination: &Buffer) -> Result<Dispatch> {
        self.passes.product(
            self.gradient_of(DIRECT_WEIGHT, padded(self.model.shape.vocabulary)),
            Layout::LeftTransposed,
            Outcome::Stepped,
            Matrices {
                left: self.logits.all(),
                right: self.input.all(),
                bias: None,
                out: destination.part(self.placed(DIRECT_WEIGHT).range.clone()),
                row_sums: None,
            },
        )
    }

    /// The product that is a weight matrix's gradient, of a left matrix with rows so far apart.
    fn gradient_of(&self, name: &str, left: usize) -> Product {
        let weights = self.placed(name);
        let sizes = [weights.range.len() / weights.stride, weights.columns(), self.feed.batch()];
        Product::new(sizes, left, padded(weights.columns()), weights.stride)
    }

    /// From the beginning of one tensor to the end of a later one.
    fn span(&self, first: &str, last: &str) -> Range<usize> {
        self.placed(first).range.start..self.placed(last).range.end
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::engine::gpu::choice::Products;
    use crate::engine::gpu::product::{SLICED, Shared, VARIANTS};
    use crate::engine::gpu::tests::{DIRECT, LECTURE, ODD, corpus, engine, hardware_engine, parameters};
    use crate::engine::gpu::{Gpu, Path, choice, cut::Cut, disorder::DISORDERS};
    use crate::engine::{Engine, Examination};
    use crate::testing;
    use crate::text::{BatchPlan, Order};

    #[test]
    fn a_joined_step_gives_the_bits_of_passes_apart() {
        let tiny = Shape { vocabulary: 5, context: 1, embedding: 3, hidden: 1, ..ODD };
        // Long sums over the vocabulary are made in parts.
        let many = Shape { vocabulary: 1801, context: 3, embedding: 30, hidden: 41, direct: true, tied: false };
        let drops = Recipe { dropout_embedding: 0.2, dropout_hidden: 0.4, ..Recipe::default() };
        let orders = [Order::Shuffled, Order::Sampled, Order::Sequential].into_iter().cycle();
        let recipes = [Recipe::default(), drops].into_iter().cycle();
        // Thousands of occurrences of a token.
        let two = Shape { vocabulary: 2, context: 5, embedding: 11, hidden: 5, ..ODD };
        // More units than a workgroup takes at once.
        let tall = Shape { vocabulary: 1801, hidden: 301, direct: false, ..many };
        // More hidden weights than a workgroup of a GPU reads.
        let broad = Shape { context: 8, embedding: 16, hidden: 270, ..ODD };
        let cases =
            [(many, 70), (ODD, 13), (LECTURE, 32), (DIRECT, 37), (tiny, 1), (tall, 33), (many, 300), (two, 2000)];
        // More inputs than it holds, there and back.
        let long = Shape { context: 40, embedding: 110, hidden: 5, ..ODD };
        // More of both than an invocation asks for at a time.
        let wide = Shape { context: 9, embedding: 18, hidden: 150, ..ODD };
        // More parts of sums as well.
        let parts = Shape { vocabulary: 9000, context: 1, embedding: 3, hidden: 5, direct: true, tied: false };
        // By the rules for GPUs.
        let on_gpus = [
            (many, 71),
            (LECTURE, 32),
            (DIRECT, 37),
            (tiny, 1),
            (two, 2000),
            (broad, 35),
            (long, 11),
            (wide, 23),
            (parts, 5),
        ];
        // Small products in slices.
        let sliced = [(many, 70), (DIRECT, 37), (tiny, 1), (two, 2000), (wide, 23)];
        // In tiles the examples of a workgroup that go back to the input are two, and the last one is alone.
        let Some(gpu) = engine(Path::General, true) else { return };
        let fits = VARIANTS.into_iter().filter(|variant| gpu.device.has_room_for(variant));
        let in_tiles = fits.clone().filter(|variant| matches!(variant.shared, Shared::Tiles { .. })).cycle();
        let all = |(case, variant)| (case, Products::All(variant));
        let cases = cases.into_iter().zip(fits.cycle()).map(|case| (all(case), false));
        let cases = cases.chain(on_gpus.into_iter().zip(in_tiles).map(|case| (all(case), true)));
        let cases = cases.chain(sliced.map(|case| ((case, Products::Kept), true)));
        for (((((shape, batch), products), hardware), recipe), order) in cases.zip(recipes).zip(orders) {
            let run = |joins: bool| {
                let mut gpu = if hardware { hardware_engine(Path::General) } else { engine(Path::General, true) }?;
                gpu.device.disorder(DISORDERS[usize::from(joins)]);
                gpu.general.products = products;
                let way = choice::WAYS[usize::from(joins)];
                gpu.device.choose(&choice::step_key(shape, batch as usize), way);
                let corpus = Arc::new(corpus(shape, 50.max(batch as usize)));
                gpu.load(&parameters(shape)).unwrap();
                let plan = BatchPlan { order, seed: 4, batch, examples: corpus.len() as u32 };
                gpu.prepare(corpus, plan, recipe).unwrap();
                let step = &gpu.training.as_ref().unwrap().step;
                assert_eq!(step.joined, joins);
                assert_eq!(step.products.contains(&SLICED.name), products == Products::Kept);
                let losses = gpu.train(0, &[0.1; 3]).unwrap();
                let examination = gpu.examine(&self::corpus(shape, batch.max(3) as usize)).unwrap();
                let Examination { hidden, logits, gradients, loss } = examination;
                Some((losses, gpu.parameters().unwrap(), hidden, logits, gradients, loss))
            };
            let Some(expected) = run(false) else { return };
            assert!(run(true).unwrap() == expected, "{products:?} {shape:?} {batch} {recipe:?} {hardware}");
        }
    }

    #[test]
    fn what_must_be_cut_stays_apart() {
        let joined = |cut: Cut, recipe: Recipe, shape: Shape, batch: u32| {
            let mut gpu = Gpu { cut, ..engine(Path::General, true)? };
            gpu.load(&parameters(shape)).unwrap();
            let plan = BatchPlan { order: Order::Sampled, seed: 4, batch, examples: 30 };
            gpu.prepare(Arc::new(corpus(shape, 30)), plan, recipe).unwrap();
            let kernels = gpu.kernels().unwrap();
            assert_eq!(kernels.variant.ends_with("joined"), gpu.training.as_ref().unwrap().step.joined);
            Some(gpu.training.as_ref().unwrap().step.joined)
        };
        let (cut, plain) = (Cut::default(), Recipe::default());
        let Some(whole) = joined(cut, plain, ODD, 20) else { return };
        assert!(whole);
        let others = [
            (Cut { examples: 10, ..cut }, plain, ODD, 20),
            (Cut { rows: 16, ..cut }, plain, ODD, 20),
            (cut, Recipe { weight_decay: 0.1, ..plain }, ODD, 20),
            (cut, plain, Shape { hidden: 0, direct: true, ..ODD }, 20),
            (cut, plain, Shape { tied: true, embedding: 33, ..ODD }, 20),
            // More rounds of loops than llvmpipe takes.
            (cut, plain, Shape { context: 8, ..ODD }, 2000),
        ];
        for (cut, recipe, shape, batch) in others {
            let software = testing::gpu().is_some_and(|adapter| adapter.is_software());
            let expected = batch == 2000 && !software;
            assert_eq!(joined(cut, recipe, shape, batch), Some(expected), "{cut:?} {recipe:?} {shape:?} {batch}");
        }
    }
}
