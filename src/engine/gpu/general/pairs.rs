//! The hidden layer where the vocabulary is much smaller than the batch: what a place of the context adds to the hidden units is
//! decided by its token, so the products with the embeddings are made once for each pair of place and token, n V of them, and not
//! once for each of the B n places. An example adds up n rows of these terms; on the way back the gradients before tanh are summed over the
//! examples of each pair, and what the hidden weights and the embedding get of them are products with the sums.
//! The CPU engine does the same.
//!
//! | | with each place | with each pair |
//! | --- | --- | --- |
//! | hidden units | B n d h multiplications | n V d h, and B n h additions |
//! | gradient of the input, or of C | B n d h | n V d h, and B n h additions |
//! | gradient of H | B n d h | n V d h |
//!
//! Sums come out in another order, so that this is a rule of what the run is, never a measurement.

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
        let slabs = examples.div_ceil(device.slab(examples));
        let whole = cut.blocks(device, model.layout.placed(EMBEDDING_WEIGHT))?.len() == 1;
        if !pays(model.shape, examples)
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

/// Whether pairs are the faster way for so many examples.
fn pays(shape: Shape, examples: usize) -> bool {
    // Columns of H are read four at a time.
    let taken = shape.hidden > 0 && !shape.direct && !shape.tied && shape.embedding.is_multiple_of(4);
    taken && EXAMPLES_A_TOKEN * shape.vocabulary <= examples
}

impl Device {
    /// Examples over which the gradients of a pair are summed by one workgroup: on a GPU few, because a token may be at the same place
    /// of them all.
    fn slab(&self, examples: usize) -> usize {
        if self.is_software() { examples } else { examples.min(128) }
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
        let slabs = chunk.div_ceil(self.device.slab(chunk));
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
        let slab = self.device.slab(self.chunks[0].len());
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
