//! The hidden layer where the vocabulary is much smaller than the batch: the token at a place of the context decides what that place
//! adds to the hidden units, so the products with the embeddings are made once for each pair of place and token, of which there are
//! n V, and not for each of the B n places. An example adds up n rows of these terms. On the way back the gradients before tanh are
//! summed over the examples of each pair, and the gradients of H and C are products with those sums. The CPU engine does the same.
//!
//! | for | multiplications with each place | with each pair | additions beside them |
//! | --- | --- | --- | --- |
//! | hidden units | B n d h | n V d h | B n h |
//! | gradient of C, and H' | B n d h each | n V d h each | B n h together |
//!
//! The embedding's gradient needs no search for equal tokens then. Sums come out in another order, so whether pairs are taken is a rule
//! of what the run is, and never measured.

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
use crate::engine::gpu::uniforms::{Activations, Extent, Product};
use crate::model::Shape;
use crate::model::shape::{EMBEDDING_WEIGHT, HIDDEN_BIAS, HIDDEN_WEIGHT};

/// Examples of a chunk for each token of the vocabulary, at least.
const EXAMPLES_A_TOKEN: usize = 4;
/// Places of a chunk, B n, at least: fewer are soon done one by one, in half as many dispatches.
const FEWEST_PLACES: usize = 1024;
/// Numbers of an embedding, at least, on a software device, where it takes as long to load what is added as to multiply some ten times.
/// Steps of V 27, n 8, h 1024, B 1024 that lavapipe takes by pairs for one place by place (medians of five): 0.9 with embeddings of
/// 4 numbers, 0.8 with 8, 1.2 with 12, 1.5 with 16, 1.8 with 24, 2.2 with 32, 4.0 with 64.
const FEWEST_NUMBERS: usize = 12;

/// What the pairs have.
pub(super) struct Pairs {
    /// 0 to V - 1, as contexts of one token.
    tokens: Buffer,
    /// C, which may be changed while it is read, rows padded.
    embedding: Buffer,
    /// What each pair adds to the hidden units, [n, V, h], rows padded.
    terms: Buffer,
}

/// The sums that go back, of a whole batch.
pub(super) struct PairSums {
    /// The hidden units' gradients, [n, V, h], rows padded.
    sums: Buffer,
    /// The same for each slab of a chunk; `None` where the batch is one slab.
    slabs: Option<Buffer>,
    /// Parts of the embedding's gradient, [parts, V, d].
    embedding_parts: Buffer,
}

impl Pairs {
    /// `None` where each place is taken by itself.
    pub(super) fn new(
        device: &Device,
        model: &Model,
        cut: Cut,
        input_mask: &Mask,
        examples: usize,
    ) -> Result<Option<Pairs>> {
        let Shape { vocabulary, context, embedding, .. } = model.shape;
        let terms = context * vocabulary * padded(model.shape.hidden);
        let slabs = examples.div_ceil(device.slab(examples, model.shape.hidden));
        let whole = cut.blocks(device, model.layout.placed(EMBEDDING_WEIGHT))?.len() == 1;
        if !pays(device.is_software(), model.shape, examples)
            || drops(input_mask).1 > 0.0
            || !whole
            || slabs * terms > device.binding_words()
            || vocabulary.max(context) > MOST_WORKGROUPS as usize
        {
            return Ok(None);
        }
        let tokens: Vec<u32> = (0..vocabulary as u32).collect();
        Ok(Some(Pairs {
            tokens: device.tensor_of("tokens of the vocabulary", &tokens)?,
            embedding: device.tensor("embedding", vocabulary * padded(embedding))?,
            terms: device.tensor("terms of pairs", terms)?,
        }))
    }
}

/// Whether so many examples can be taken by pairs, and are the sooner done.
fn pays(on_software: bool, shape: Shape, examples: usize) -> bool {
    let Shape { vocabulary, context, embedding, hidden, direct, tied } = shape;
    // Columns of H are read four at a time.
    let fits = hidden > 0 && !direct && !tied && embedding.is_multiple_of(4);
    let many = EXAMPLES_A_TOKEN * vocabulary <= examples && examples * context >= FEWEST_PLACES;
    fits && many && !(on_software && embedding < FEWEST_NUMBERS)
}

impl Device {
    /// Examples over which a workgroup sums the gradients of a pair, at most. On a GPU these are few, because a token may be at the same
    /// place of them all.
    fn slab(&self, examples: usize, hidden: usize) -> usize {
        let turns = padded(hidden).div_ceil(4 * self.row_workgroup(hidden as u32) as usize);
        // Each turn goes through them in fours.
        let most = if self.is_software() { 2 * self.rounds() as usize / (1 + turns) } else { 128 };
        examples.min(most)
    }
}

impl General<'_> {
    /// What each pair adds to the hidden units, with the parameters as they are now.
    pub(super) fn terms(&self, pairs: &Pairs) -> Result<Vec<Dispatch>> {
        let Shape { vocabulary, context, embedding, hidden, .. } = self.model.shape;
        let rows = Activations {
            rows: vocabulary as u32,
            columns: embedding as u32,
            stride: padded(embedding) as u32,
            first: 0,
            batch: vocabulary as u32,
        };
        let gather = self.passes.gather(
            rows,
            self.table(&(0..vocabulary)),
            &self.masks[0],
            [pairs.tokens.all(), self.whole(EMBEDDING_WEIGHT)?, self.feed.cursor.all(), pairs.embedding.all()],
        )?;
        let sizes = [vocabulary, hidden, embedding];
        let inputs = padded(self.model.shape.input());
        let product = self.passes.product(
            Product::new(sizes, padded(embedding), inputs, padded(hidden)).at_once(
                context,
                0,
                embedding,
                vocabulary * padded(hidden),
            ),
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
            self.constants_of_pairs(),
            [
                self.contexts.all(),
                pairs.terms.all(),
                self.whole(HIDDEN_BIAS)?,
                self.feed.cursor.all(),
                self.hidden.all(),
            ],
        )
    }

    fn constants_of_pairs(&self) -> [(&'static str, f64); 2] {
        let Shape { vocabulary, context, .. } = self.model.shape;
        [("CONTEXT", context as f64), ("VOCABULARY", vocabulary as f64)]
    }

    /// Buffers for the way back.
    pub(super) fn pair_sums(&self) -> Result<PairSums> {
        let Shape { vocabulary, context, embedding, .. } = self.model.shape;
        let words = self.words_of_pairs();
        let chunk = self.chunks[0].len();
        let slabs = chunk.div_ceil(self.device.slab(chunk, self.model.shape.hidden));
        let slabs = (slabs > 1 || self.chunks.len() > 1).then(|| self.device.tensor("sums of slabs", slabs * words));
        let parts = context * self.parts_of_units().1;
        Ok(PairSums {
            sums: self.device.tensor("sums of pairs", words)?,
            slabs: slabs.transpose()?,
            embedding_parts: self.device.tensor("parts of the embedding's gradient", parts * vocabulary * embedding)?,
        })
    }

    /// Numbers of all pairs' hidden units.
    fn words_of_pairs(&self) -> usize {
        self.model.shape.context * self.model.shape.vocabulary * padded(self.model.shape.hidden)
    }

    /// Hidden units in a part of a sum over them, and how many parts there are: a GPU makes them side by side.
    fn parts_of_units(&self) -> (usize, usize) {
        let units = self.model.shape.hidden;
        let part = padded(if self.device.is_software() { units } else { units.min(128) });
        (part, units.div_ceil(part))
    }

    /// The sums of a chunk's gradients over the examples that have each pair, written or added to those of the chunks before.
    pub(super) fn sums_of_pairs(
        &self,
        chunk: &Range<usize>,
        d_hidden: &Buffer,
        to: &PairSums,
    ) -> Result<Vec<Dispatch>> {
        let slab = self.device.slab(self.chunks[0].len(), self.model.shape.hidden);
        let words = self.words_of_pairs();
        let sizes = self.sizes(chunk, self.model.shape.hidden);
        let out = to.slabs.as_ref().unwrap_or(&to.sums);
        let buffers = [&self.contexts, d_hidden, out];
        let mut dispatches = vec![self.passes.pair_sums(sizes, slab, self.constants_of_pairs(), buffers)?];
        if let Some(slabs) = &to.slabs {
            let extent = Extent::new(chunk.len().div_ceil(slab), words, words);
            let outcome = if chunk.start > 0 { Outcome::Added } else { Outcome::Written };
            dispatches.push(self.passes.column_sum(extent, outcome, slabs.all(), to.sums.all())?);
        }
        Ok(dispatches)
    }

    /// What the sums do to the embedding, the hidden weights and their bias: first all that reads them, then what may change them.
    pub(super) fn update_by_pairs(
        &self,
        pairs: &Pairs,
        sums: &PairSums,
        gradients: &Gradients,
        embedding_to: (&Buffer, Outcome),
    ) -> Result<Vec<Dispatch>> {
        let Shape { vocabulary, context, embedding, hidden, .. } = self.model.shape;
        let inputs = padded(self.model.shape.input());
        let next = vocabulary * padded(hidden);
        let size = vocabulary * embedding;
        let (part, parts) = self.parts_of_units();
        let embedding_parts = self.passes.product(
            Product::new([vocabulary, embedding, hidden], padded(hidden), inputs, embedding)
                .in_parts(part, size)
                .at_once(context, next, embedding, size),
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
                .at_once(context, next, 0, embedding),
            Layout::LeftTransposed,
            if gradients.at_once { Outcome::Stepped } else { Outcome::Written },
            Matrices {
                left: sums.sums.all(),
                right: pairs.embedding.all(),
                bias: None,
                out: gradient(HIDDEN_WEIGHT),
                // The first place has each example once.
                row_sums: Some(gradient(HIDDEN_BIAS)),
            },
        )?;
        let (to, outcome) = embedding_to;
        let embedding = self.passes.column_sum(
            Extent::new(context * parts, size, size),
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
    use crate::engine::gpu::tests::{engine, hardware_engine};
    use crate::engine::gpu::{Gpu, Path};
    use crate::engine::{Engine, Recipe};
    use crate::text::{BatchPlan, Order};

    #[test]
    fn pairs_are_taken_where_examples_are_many_and_nothing_else_is_done_with_the_input() {
        let shape = Shape { vocabulary: 27, context: 8, embedding: 64, hidden: 1024, direct: false, tied: false };
        assert!(pays(true, shape, 1024) && pays(false, shape, 1024) && pays(true, shape, 128));
        assert!(!pays(true, shape, 127), "too few places");
        assert!(!pays(true, Shape { vocabulary: 257, ..shape }, 1024), "too few examples");
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
    fn they_agree_with_the_reference_in_chunks_and_in_slabs() {
        let cases: Vec<Case> = built_in_cases().into_iter().filter(|case| case.name.starts_with("pairs")).collect();
        assert_eq!(cases.len(), 2);
        for (case, hardware) in cases.iter().flat_map(|case| [(case, false), (case, true)]) {
            for examples in [case.corpus.len(), case.corpus.len() / 2 + 1] {
                let opened = if hardware { hardware_engine(Path::General) } else { engine(Path::General, true) };
                let Some(gpu) = opened else { return };
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
