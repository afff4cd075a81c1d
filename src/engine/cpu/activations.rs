//! What a step computes for a batch: in buffers that the threads share, and in each thread's own.

use bytemuck::cast_slice_mut;

use super::by_word;
use super::draw::Drawn;
use super::lanes::{LANES, Lanes};
use super::network::Layout;
use super::threads::{Shared, aligned};

/// What the threads share. A pass writes its own rows or columns; what it reads was written before a barrier.
pub(super) struct Activations {
    pub(super) batch: usize,
    /// Pairs of position and token that a batch can have: where every place is one, as many as places; where a whole context
    /// is one, as many as examples.
    pub(super) pairs: usize,
    /// Numbers from one word to the next where logits stand by word, with the examples across (see [`super::by_word`]).
    pub(super) across: Option<usize>,
    /// [B, hidden stride], the constant one in column h; and what fills up the last eight rows.
    pub(super) hidden: Shared<Lanes>,
    /// What dropout multiplies the hidden units with, [B, hidden stride]; empty where none is dropped.
    pub(super) hidden_mask: Shared<Lanes>,
    /// What dropout multiplies the input with, [B, n*d]; empty where none is dropped.
    pub(super) input_mask: Shared<Lanes>,
    /// What each block of hidden units adds to the logits, [blocks, chunks, B, chunk]; of a pair of blocks that one thread has,
    /// the sum stands in the first one's place, and nothing that counts in the second's.
    pub(super) logits_blocks: Shared<Lanes>,
    /// Logits, then exponentials, then the gradient of the logits, [chunks, B, chunk]; where they stand by word, the
    /// exponentials, [V, across].
    pub(super) logits: Shared<Lanes>,
    /// The number that the logits of a chunk were lessened by before their exponentials were taken, [chunks, B or across]; this
    /// and the four that follow are empty where threads share out the hidden units.
    pub(super) references: Shared<Lanes>,
    /// The largest logit of each part, [parts, B].
    pub(super) largest: Shared<Lanes>,
    /// The sum of exp(logit - largest) of each part, lane by lane, [parts, B].
    pub(super) sums: Shared<Lanes>,
    /// The logit of the target, in the part that has it, [parts, B].
    pub(super) at_target: Shared<Lanes>,
    /// For each example the largest of all logits, and the loss's scale over the sum of their exponentials, [2, B].
    pub(super) normalizers: Shared<Lanes>,
    /// W2' exp(logits - largest) of each part, [parts, B, hidden stride], or by word [parts, hidden stride, across]; empty
    /// where threads share out the hidden units.
    pub(super) d_hidden_parts: Shared<Lanes>,
    /// Gradient before tanh, [B, hidden stride].
    pub(super) d_hidden: Shared<Lanes>,
    /// The same summed for each pair, [pairs, hidden stride]; empty where threads share out the hidden units.
    pub(super) d_hidden_pairs: Shared<Lanes>,
    /// Gradient of the input of each pair, [pairs, position stride]; empty where threads share out the hidden units.
    pub(super) d_input: Shared<Lanes>,
    /// What each block of hidden units adds to it, as above, or each part of the direct weights, [parts, pairs, position
    /// stride].
    pub(super) d_input_parts: Shared<Lanes>,
    /// [B].
    pub(super) losses: Shared<Lanes>,
}

impl Activations {
    /// Room for a batch, with masks for the dropout of the input and of the hidden units where it is on.
    pub(super) fn new(layout: Layout, batch: usize, [drop_input, drop_hidden]: [bool; 2]) -> Self {
        let Layout { shape, hidden_stride, position_stride, chunk, chunks, parts, blocks, .. } = layout;
        let apart = layout.is_whole() || drop_input;
        let pairs = layout.positions * if apart { batch } else { batch.min(shape.vocabulary) };
        let d_input_parts = if blocks > 0 { blocks } else { parts * usize::from(shape.direct) };
        let by_vocabulary = blocks == 0;
        let if_on = |on: bool, numbers: usize| aligned(if on { numbers } else { 0 });
        let across = by_word::across(layout, batch);
        let logits_stride = across.unwrap_or(batch);
        let mut activations = Activations {
            batch,
            pairs,
            across,
            hidden: aligned(batch.next_multiple_of(8) * hidden_stride),
            hidden_mask: if_on(drop_hidden, batch * hidden_stride),
            input_mask: if_on(drop_input, batch * shape.input()),
            logits_blocks: aligned(blocks * chunks * batch * chunk),
            logits: aligned(chunks * logits_stride * chunk),
            references: if_on(by_vocabulary, chunks * logits_stride),
            largest: if_on(by_vocabulary, parts * batch),
            sums: Shared::new(Lanes::ZERO, if by_vocabulary { parts * batch } else { 0 }),
            at_target: if_on(by_vocabulary, parts * batch),
            normalizers: if_on(by_vocabulary, 2 * batch),
            d_hidden_parts: if_on(by_vocabulary, parts * logits_stride * hidden_stride),
            d_hidden: aligned(batch * hidden_stride),
            d_hidden_pairs: if_on(by_vocabulary, pairs * hidden_stride),
            d_input: if_on(by_vocabulary, pairs * position_stride),
            d_input_parts: aligned(d_input_parts * pairs * position_stride),
            losses: aligned(batch),
        };
        let hidden: &mut [f32] = cast_slice_mut(activations.hidden.get_mut());
        hidden.chunks_exact_mut(hidden_stride).take(batch).for_each(|example| example[shape.hidden] = 1.0);
        activations
    }
}

/// What a thread has for itself.
pub(super) struct Scratch {
    /// The examples of the step.
    pub(super) drawn: Drawn,
    /// The input of each pair, [pairs, position stride], filled up with zeros.
    pub(super) input: Vec<Lanes>,
    /// What each pair adds to some of the hidden units, or gets back from them (but for whole contexts), [pairs, columns].
    pub(super) terms: Vec<Lanes>,
    /// Weights whose rows were turned into columns; where logits stand by word, the hidden units so, or times a factor for
    /// each example.
    pub(super) panel: Vec<Lanes>,
    /// What each pair adds to the logits of a chunk, or gets from their gradient, [pairs, chunk].
    pub(super) pair_logits: Vec<Lanes>,
    /// The exponentials of a chunk or the gradient of its logits, [B, chunk], where the vocabulary has several parts; by
    /// word [chunk, across].
    pub(super) logits: Vec<Lanes>,
    /// Where logits stand by word: the largest logit so far, and the sum of the exponentials, [2, across].
    pub(super) softmax: Vec<Lanes>,
    /// As many as there can be pairs.
    pub(super) ones: Vec<f32>,
}

impl Scratch {
    /// Room for a batch; `columns` is how many hidden columns the thread works on.
    pub(super) fn new(layout: Layout, batch: usize, pairs: usize, columns: usize) -> Self {
        let Layout { shape, hidden_stride, position_stride, chunk, .. } = layout;
        let lines = |numbers: usize| vec![Lanes::ZERO; numbers.div_ceil(LANES)];
        let direct = if shape.direct { layout.direct_stride() } else { 0 };
        let across = by_word::across(layout, batch);
        Scratch {
            drawn: Drawn::new(layout, batch),
            input: lines(pairs * position_stride),
            terms: lines(pairs * columns),
            panel: lines(
                (chunk * hidden_stride.max(direct))
                    .max(hidden_stride * position_stride)
                    .max(across.unwrap_or(0) * hidden_stride),
            ),
            pair_logits: lines(if shape.direct { pairs * chunk } else { 0 }),
            logits: lines(if layout.parts > 1 { across.unwrap_or(batch) * chunk } else { 0 }),
            softmax: lines(across.map_or(0, |across| 2 * across)),
            ones: vec![1.0; pairs],
        }
    }
}
