//! The hidden layer where the vocabulary is much smaller than the batch: the token at a place of the context decides what
//! that place adds to the hidden units, so the products with the embeddings are made once for each pair of place and token,
//! of which there are n V, and not for each of the B n places. An example adds up n rows of these terms. On the way back the
//! gradients before tanh are summed over the examples of each pair, and the gradients of H and C are products with those
//! sums. The CPU engine does the same.
//!
//! | for | multiplications with each place | with each pair | beside them |
//! | --- | --- | --- | --- |
//! | hidden units | B n d h | n V d h | B n h additions |
//! | gradient of C, and of H | B n d h each | n V d h each | B n h additions, B n V comparisons of tokens |
//!
//! The embedding's gradient needs no other search for equal tokens then, which on a GPU takes the square of B n comparisons.
//! Sums come out in another order, so whether pairs are taken is a rule of what the run and the device are, never measured.

use std::ops::Range;

use super::General;
use super::backward::Gradients;
use crate::Result;
use crate::engine::Mask;
use crate::engine::gpu::Model;
use crate::engine::gpu::cut::Cut;
use crate::engine::gpu::device::{Buffer, Device, Dispatch, MOST_WORKGROUPS};
use crate::engine::gpu::layout::padded;
use crate::engine::gpu::passes::{Matrices, drops};
use crate::engine::gpu::product::{Layout, Outcome};
use crate::engine::gpu::uniforms::{Extent, Product};
use crate::model::Shape;
use crate::model::shape::{EMBEDDING_WEIGHT, HIDDEN_BIAS, HIDDEN_WEIGHT};

/// Examples of a chunk for each token of the vocabulary, at least.
const EXAMPLES_A_TOKEN: usize = 4;
/// Places of a chunk, B n, at least: fewer are soon done one by one, in six joined dispatches.
const FEWEST_PLACES: usize = 1024;
/// Multiplications that a software device makes while it loads a number to add or to compare it, forward and back together.
/// Steps of V 27, n 8, h 1024, B 1024 that lavapipe takes by pairs for one place by place (medians of five): 0.9 with
/// embeddings of 4 numbers, 0.8 with 8, 1.2 with 12, 1.5 with 16, 1.8 with 24, 2.2 with 32, 4.0 with 64.
const LOADED: usize = 9;
/// Examples of a slab on a GPU: few, because a token may be at the same place of them all, and a workgroup adds up those of
/// one pair. But as many as there are tokens, or else most of their sums would be empty.
const SLAB: usize = 128;
/// Examples of a slab at most, which a workgroup's memory has to list.
const MOST_OF_SLAB: usize = 2048;
/// Hidden units of a part of the sums over them, on a GPU, which makes parts side by side.
const PART: usize = 128;

/// How the sums over examples and over hidden units are cut. They depend on it in their last bits, so it is a rule as well.
#[derive(Clone, Copy, Debug)]
struct Cuts {
    /// Examples of a slab, whose gradients a workgroup sums for a pair.
    slab: usize,
    /// Slabs of a chunk.
    slabs: usize,
    /// Hidden units of a part.
    part: usize,
    /// Parts of the sums that make the embedding's gradient, for all places.
    parts: usize,
}

/// What the pairs have.
pub(in crate::engine::gpu) struct Pairs {
    cuts: Cuts,
    /// 0 to V - 1, as contexts of one token.
    tokens: Buffer,
    /// C, [V, d], rows padded: no dispatch can read it where it lies beside H and change H.
    embedding: Buffer,
    /// What each pair adds to the hidden units, [n, V, h], rows padded.
    terms: Buffer,
}

/// The sums that go back, of a whole batch.
pub(super) struct PairSums {
    cuts: Cuts,
    /// That of [`Pairs`].
    embedding: Buffer,
    /// The hidden units' gradients, [n, V, h], rows padded.
    sums: Buffer,
    /// The same for each slab of a chunk; `None` where the batch is one slab.
    slabs: Option<Buffer>,
    /// Parts of the embedding's gradient, [parts, V, d].
    embedding_parts: Buffer,
}

impl Cuts {
    fn new(device: &Device, shape: Shape, examples: usize) -> Cuts {
        let Shape { vocabulary, context, hidden, .. } = shape;
        let (most, part) = if device.is_software() {
            // Each turn of an invocation goes through the examples of a pair in fours. That takes half of its rounds at most, which
            // leaves the others for the turns and for the search.
            let turns = padded(hidden).div_ceil(4 * device.row_workgroup(hidden as u32) as usize);
            (2 * device.rounds() as usize / (1 + turns), hidden)
        } else {
            (vocabulary.max(SLAB), hidden.min(PART))
        };
        let slab = examples.min(most).clamp(1, MOST_OF_SLAB);
        let part = padded(part);
        Cuts { slab, slabs: examples.div_ceil(slab), part, parts: context * hidden.div_ceil(part) }
    }
}

impl Pairs {
    /// For chunks of so many examples, at most; `None` where each place is taken by itself.
    pub(super) fn new(
        device: &Device,
        model: &Model,
        cut: Cut,
        input_mask: &Mask,
        examples: usize,
    ) -> Result<Option<Pairs>> {
        let cuts = if drops(input_mask).1 > 0.0 { None } else { Pairs::cuts(device, model, cut, examples)? };
        let Some(cuts) = cuts else { return Ok(None) };
        let Shape { vocabulary, embedding, .. } = model.shape;
        let tokens: Vec<u32> = (0..vocabulary as u32).collect();
        Ok(Some(Pairs {
            cuts,
            tokens: device.tensor_of("tokens of the vocabulary", &tokens)?,
            embedding: device.tensor("embedding", vocabulary * padded(embedding))?,
            terms: device.tensor("terms of pairs", words(model.shape))?,
        }))
    }

    /// Whether they are taken for chunks of so many examples, at most, without dropout of the input.
    pub(in crate::engine::gpu) fn are_taken(device: &Device, model: &Model, cut: Cut, examples: usize) -> Result<bool> {
        Ok(Pairs::cuts(device, model, cut, examples)?.is_some())
    }

    /// How their sums are cut then, if they are taken.
    fn cuts(device: &Device, model: &Model, cut: Cut, examples: usize) -> Result<Option<Cuts>> {
        let shape = model.shape;
        if !pays(device.is_software(), shape, examples) {
            return Ok(None);
        }
        let cuts = Cuts::new(device, shape, examples);
        let Cuts { slabs, parts, .. } = cuts;
        let bound = [slabs * words(shape), parts * shape.vocabulary * shape.embedding];
        let layers = [shape.vocabulary, shape.context, slabs, parts];
        let whole = cut.blocks(device, model.layout.placed(EMBEDDING_WEIGHT))?.len() == 1;
        let fits = whole
            && bound.iter().all(|&words| words <= device.binding_words())
            && layers.iter().all(|&count| count <= MOST_WORKGROUPS as usize);
        Ok(fits.then_some(cuts))
    }
}

impl PairSums {
    /// Buffers for the way back.
    pub(super) fn new(general: &General<'_>, pairs: &Pairs) -> Result<PairSums> {
        let (device, shape, cuts) = (general.device, general.model.shape, pairs.cuts);
        let several = cuts.slabs > 1 || general.chunks.len() > 1;
        let words = words(shape);
        let parts = cuts.parts * shape.vocabulary * shape.embedding;
        Ok(PairSums {
            cuts,
            embedding: pairs.embedding.clone(),
            sums: device.tensor("sums of pairs", words)?,
            slabs: several.then(|| device.tensor("sums of slabs", cuts.slabs * words)).transpose()?,
            embedding_parts: device.tensor("parts of the embedding's gradient", parts)?,
        })
    }
}

/// Numbers of all pairs' hidden units.
fn words(shape: Shape) -> usize {
    shape.context * shape.vocabulary * padded(shape.hidden)
}

/// Whether so many examples can be taken by pairs, and are the sooner done.
fn pays(on_software: bool, shape: Shape, examples: usize) -> bool {
    let Shape { vocabulary, context, embedding, hidden, direct, tied } = shape;
    // Columns of H are read four at a time. Without hidden units there is nothing to take.
    let fits = hidden > 0 && !direct && !tied && embedding.is_multiple_of(4);
    let many = EXAMPLES_A_TOKEN * vocabulary <= examples && examples * context >= FEWEST_PLACES;
    let by_place = examples * embedding * hidden;
    let by_pairs = vocabulary * embedding * hidden + LOADED * examples * (hidden + vocabulary);
    fits && many && vocabulary <= hidden && (!on_software || by_pairs <= by_place)
}

impl General<'_> {
    /// What each pair adds to the hidden units, with the parameters as they are now.
    pub(super) fn terms(&self, pairs: &Pairs) -> Result<Vec<Dispatch>> {
        let Shape { vocabulary, context, embedding, hidden, .. } = self.model.shape;
        let tokens = 0..vocabulary;
        let gather = self.passes.gather(
            self.sizes(&tokens, embedding),
            self.table(&tokens),
            &self.masks[0],
            [pairs.tokens.all(), self.whole(EMBEDDING_WEIGHT)?, self.feed.cursor.all(), pairs.embedding.all()],
        )?;
        let sizes = [vocabulary, hidden, embedding];
        let product = self.passes.product(
            Product::new(sizes, padded(embedding), padded(self.model.shape.input()), padded(hidden))
                .in_parts(padded(embedding), vocabulary * padded(hidden))
                .at_once(context, 0, embedding),
            Layout::RightTransposed,
            Outcome::Written,
            Matrices {
                left: pairs.embedding.all(),
                right: self.whole(HIDDEN_WEIGHT)?,
                bias: None,
                out: pairs.terms.all(),
                row_sums: None,
            },
        )?;
        Ok(vec![gather, product])
    }

    /// The hidden units of a chunk.
    pub(super) fn hidden_of(&self, pairs: &Pairs, chunk: &Range<usize>) -> Result<Dispatch> {
        self.passes.pair_hidden(
            self.sizes(chunk, self.model.shape.hidden),
            &self.masks[1],
            self.model.shape,
            [
                self.contexts.all(),
                pairs.terms.all(),
                self.whole(HIDDEN_BIAS)?,
                self.feed.cursor.all(),
                self.hidden.all(),
            ],
        )
    }

    /// The sums of a chunk's gradients over the examples that have each pair, written or added to those of the chunks before.
    pub(super) fn sums_of_pairs(
        &self,
        chunk: &Range<usize>,
        d_hidden: &Buffer,
        to: &PairSums,
    ) -> Result<Vec<Dispatch>> {
        let shape = self.model.shape;
        let slab = to.cuts.slab;
        let out = to.slabs.as_ref().unwrap_or(&to.sums);
        let buffers = [&self.contexts, d_hidden, out];
        let mut dispatches = vec![self.passes.pair_sums(self.sizes(chunk, shape.hidden), slab, shape, buffers)?];
        if let Some(slabs) = &to.slabs {
            let extent = Extent::new(chunk.len().div_ceil(slab), words(shape), words(shape));
            let outcome = if chunk.start > 0 { Outcome::Added } else { Outcome::Written };
            dispatches.push(self.passes.column_sum(extent, outcome, slabs.all(), to.sums.all())?);
        }
        Ok(dispatches)
    }

    /// What the sums do to the embedding, the hidden weights and their bias: first all that reads them, then what may change
    /// them.
    pub(super) fn update_by_pairs(
        &self,
        sums: &PairSums,
        gradients: &Gradients,
        embedding_to: (&Buffer, Outcome),
    ) -> Result<Vec<Dispatch>> {
        let Shape { vocabulary, context, embedding, hidden, .. } = self.model.shape;
        let inputs = padded(self.model.shape.input());
        let next = vocabulary * padded(hidden);
        let size = vocabulary * embedding;
        let Cuts { part, parts, .. } = sums.cuts;
        let embedding_parts = self.passes.product(
            Product::new([vocabulary, embedding, hidden], padded(hidden), inputs, embedding)
                .in_parts(part, size)
                .at_once(context, next, embedding),
            Layout::Plain,
            Outcome::Written,
            Matrices {
                left: sums.sums.all(),
                right: self.whole(HIDDEN_WEIGHT)?,
                bias: None,
                out: sums.embedding_parts.all(),
                row_sums: None,
            },
        )?;
        let gradient = |name| gradients.parameters.part(self.placed(name).range.clone());
        let hidden_weights = self.passes.product(
            Product::new([hidden, embedding, vocabulary], padded(hidden), padded(embedding), inputs)
                .in_parts(padded(vocabulary), embedding)
                .at_once(context, next, 0),
            Layout::LeftTransposed,
            if gradients.at_once { Outcome::Stepped } else { Outcome::Written },
            Matrices {
                left: sums.sums.all(),
                right: sums.embedding.all(),
                bias: None,
                out: gradient(HIDDEN_WEIGHT),
                // Of the first product, whose place has each example once.
                row_sums: Some(gradient(HIDDEN_BIAS)),
            },
        )?;
        let (to, outcome) = embedding_to;
        let embedding = self.passes.column_sum(
            Extent::new(parts, size, size),
            outcome,
            sums.embedding_parts.all(),
            to.part(self.placed(EMBEDDING_WEIGHT).range.clone()),
        )?;
        Ok(vec![embedding_parts, hidden_weights, embedding])
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::check::{Case, built_in_cases, compare, expected_of_reference};
    use crate::engine::gpu::disorder::DISORDERS;
    use crate::engine::gpu::tests::{engine, hardware_engine};
    use crate::engine::gpu::trouble::with_limits;
    use crate::engine::gpu::{Gpu, Limits, Path};
    use crate::engine::{Engine, Recipe};
    use crate::text::{BatchPlan, Order};

    #[test]
    fn pairs_are_taken_where_examples_are_many_and_nothing_else_is_done_with_the_input() {
        let shape = Shape { vocabulary: 27, context: 8, embedding: 64, hidden: 1024, direct: false, tied: false };
        assert!(pays(true, shape, 1024) && pays(false, shape, 1024) && pays(true, shape, 128));
        assert!(!pays(true, shape, 127), "too few places");
        assert!(!pays(false, Shape { vocabulary: 257, ..shape }, 1024), "too few examples");
        assert!(!pays(false, Shape { hidden: 26, ..shape }, 1024), "tokens take longer to compare");
        assert!(
            !pays(true, Shape { embedding: 8, ..shape }, 1024) && pays(false, Shape { embedding: 8, ..shape }, 1024)
        );
        for unfit in [
            Shape { direct: true, ..shape },
            Shape { tied: true, embedding: 1024, ..shape },
            Shape { hidden: 0, direct: true, ..shape },
            Shape { embedding: 66, ..shape },
        ] {
            assert!(!pays(false, unfit, 1024), "{unfit:?}");
        }
    }

    /// Whether a training on a case takes pairs.
    fn takes_pairs(gpu: &mut Gpu, case: &Case, recipe: Recipe) -> bool {
        let examples = case.corpus.len() as u32;
        let plan = BatchPlan { order: Order::Sequential, seed: 1, batch: examples, examples };
        gpu.load(&case.parameters).unwrap();
        gpu.prepare(Arc::new(case.corpus.clone()), plan, recipe).unwrap();
        gpu.kernels().unwrap().variant.ends_with("by pairs")
    }

    #[test]
    fn what_does_not_fit_goes_place_by_place() {
        let case = built_in_cases().into_iter().find(|case| case.name == "pairs").unwrap();
        let Some(gpu) = engine(Path::General, true) else { return };
        let in_blocks = Cut { rows: 4, ..Cut::default() };
        // On a GPU the sums of three slabs take 47,424 numbers; everything else fits.
        let little = |limits: &mut Limits| limits.storage_binding_bytes = 186_000;
        let narrow = with_limits(little, || hardware_engine(Path::General).unwrap());
        for mut gpu in [Gpu { cut: in_blocks, ..gpu }, narrow] {
            assert!(!takes_pairs(&mut gpu, &case, case.recipe));
            let comparisons = compare(&mut gpu, &case, &expected_of_reference(&case).unwrap()).unwrap();
            assert!(comparisons.iter().all(|comparison| comparison.ok), "{comparisons:#?}");
        }
    }

    #[test]
    fn they_agree_with_the_reference_in_chunks_and_in_slabs() {
        let cases: Vec<Case> = built_in_cases().into_iter().filter(|case| case.name.starts_with("pairs")).collect();
        assert_eq!(cases.len(), 2);
        for (case, hardware) in cases.iter().flat_map(|case| [(case, false), (case, true)]) {
            // The second of two chunks is the smaller one.
            for (examples, disorder) in [case.corpus.len(), case.corpus.len() / 2 + 1].into_iter().zip(DISORDERS) {
                let opened = if hardware { hardware_engine(Path::General) } else { engine(Path::General, true) };
                let Some(gpu) = opened else { return };
                gpu.device.disorder(disorder);
                let mut gpu = Gpu { cut: Cut { examples, ..Cut::default() }, ..gpu };
                let expected = expected_of_reference(case).unwrap();
                let comparisons = compare(&mut gpu, case, &expected).unwrap();
                let bad: Vec<_> = comparisons.iter().filter(|comparison| !comparison.ok).collect();
                assert!(bad.is_empty() && comparisons.len() > 20, "{examples} {hardware} {bad:#?}");
                assert!(takes_pairs(&mut gpu, case, case.recipe), "{examples} {hardware}");
                let dropping = Recipe { dropout_embedding: 0.1, ..case.recipe };
                assert!(!takes_pairs(&mut gpu, case, dropping), "{examples} {hardware}");
            }
        }
    }
}
