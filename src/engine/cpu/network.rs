//! The parameters as the CPU engine keeps them.
//!
//! Every matrix stands as its products read it, in rows of a multiple of 8 numbers; what a row or a column has beyond its
//! parameters is zero and stays so.

use std::ops::Range;

use bytemuck::{cast_slice, cast_slice_mut};

use super::lanes::{LANES, Lanes};
use super::threads::{Shared, aligned, part};
use crate::model::shape::{DIRECT_WEIGHT, EMBEDDING_WEIGHT, HIDDEN_BIAS, HIDDEN_WEIGHT, OUTPUT_BIAS, OUTPUT_WEIGHT};
use crate::model::{Parameters, Shape};

/// Rows of output weights that are worked on at a time, at most: with their logits for a few hundred examples they stay
/// in the second-level cache. An odd number of cache lines, so that the logits of many examples do not meet in few sets.
const MOST_CHUNK: usize = 9 * LANES;
/// Rows of output weights in a part, about: the hidden gradient is summed part by part.
const PART_ROWS: usize = 1024;
/// Hidden columns of a block, about: the sums over hidden units are taken block by block.
const BLOCK_COLUMNS: usize = 3 * LANES;
/// Numbers of an embedding up to which a whole context can be one input: its positions apart need fewer products, as tokens
/// come again, but have to be searched for pairs. Steps a second of one Zen 4 core with whole contexts to those with positions
/// apart, h = 100: 27 words, n = 3, 32 examples 1.12 (d = 1) and 1.05 (d = 2), 256 examples 0.90 (d = 2); 300 words, n = 4,
/// 256 examples 1.05; 1,000 words, n = 8, 1,024 examples 0.94.
pub(super) const MOST_WHOLE: usize = 2;
/// Examples of a batch for which it is, at most for each word, and at most in all.
const MOST_EXAMPLES: [usize; 2] = [3, 256];
/// Logits of a batch, with what fills them up, times threads, for which each thread takes the whole softmax, at most: what
/// all of them do once more grows with both. Steps a second of the lecture's network with so many examples on two near cores,
/// to those with the softmax and the embeddings shared out: 128 (4,096 logits) 1.03, 256 0.86.
const MOST_LOGITS: usize = 2 * 4096;
/// Blocks, at most.
const MOST_BLOCKS: usize = 16;
/// Parts, at most: a machine with more cores splits their examples.
pub(super) const MOST_PARTS: usize = 16;

/// Sizes of the buffers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) shape: Shape,
    /// Numbers from one row of hidden units (h and the constant one) to the next.
    pub(super) hidden_stride: usize,
    /// Numbers from one row of the embeddings to the next: d, or where they serve as output weights the hidden stride.
    pub(super) embedding_stride: usize,
    /// Positions of the context that are multiplied apart from each other: n, or 1 where the whole context is one input.
    pub(super) positions: usize,
    /// Numbers of an input: d, or n*d.
    pub(super) position_inputs: usize,
    /// Numbers that it takes in a row of inputs, with what fills it up.
    pub(super) position_stride: usize,
    /// Output rows of a chunk, a multiple of 16.
    pub(super) chunk: usize,
    /// Chunks of the vocabulary.
    pub(super) chunks: usize,
    /// Parts of the vocabulary, each a run of chunks: the unit in which its sums are taken.
    pub(super) parts: usize,
    /// Blocks of the hidden units where threads share them out, and 0 where they share out the vocabulary.
    pub(super) blocks: usize,
}

impl Layout {
    pub(super) fn new(shape: Shape) -> Self {
        let parts = (shape.vocabulary / PART_ROWS).clamp(1, MOST_PARTS);
        let shares_hidden = parts == 1 && !shape.direct;
        // Rows begin at a cache line where columns have owners.
        let hidden_stride = (shape.hidden + 1).next_multiple_of(if shares_hidden { LANES } else { LANES / 2 });
        let blocks = (hidden_stride / BLOCK_COLUMNS).clamp(1, MOST_BLOCKS);
        let chunk = MOST_CHUNK.min(shape.vocabulary.next_multiple_of(LANES));
        Layout {
            shape,
            hidden_stride,
            embedding_stride: if shape.tied { hidden_stride } else { shape.embedding },
            positions: shape.context,
            position_inputs: shape.embedding,
            position_stride: shape.embedding.next_multiple_of(8),
            chunk,
            chunks: shape.vocabulary.div_ceil(chunk),
            parts,
            // A power of two, for as many threads.
            blocks: if shares_hidden { 1 << blocks.ilog2() } else { 0 },
        }
    }

    /// The same parameters for training with batches of so many examples: where that is faster, a whole context is one input.
    pub(super) fn for_batch(self, batch: usize) -> Self {
        let Shape { vocabulary, embedding, tied, .. } = self.shape;
        let [for_each, in_all] = MOST_EXAMPLES;
        let few = batch <= in_all.min(for_each * vocabulary);
        if self.blocks > 0 && !tied && embedding <= MOST_WHOLE && few {
            self.with_positions(1)
        } else {
            self.by_position()
        }
    }

    /// The same with every position multiplied apart: so what a token adds in a position is known for all examples.
    pub(super) fn by_position(self) -> Self {
        self.with_positions(self.shape.context)
    }

    fn with_positions(self, positions: usize) -> Self {
        let position_inputs = self.shape.input() / positions;
        Layout { positions, position_inputs, position_stride: position_inputs.next_multiple_of(8), ..self }
    }

    /// Numbers that the logits of a batch take.
    pub(super) fn logits(&self, batch: usize) -> usize {
        self.chunks * batch * self.chunk
    }

    /// Whether each of so many threads takes the softmax of all examples, because a batch has few logits.
    pub(super) fn has_few_logits(&self, batch: usize, threads: usize) -> bool {
        self.blocks > 0 && self.logits(batch) * threads <= MOST_LOGITS
    }

    /// Of so many threads, those that pay in a step: where each takes the whole softmax, as few as have no more blocks of hidden
    /// units each. More would share at most the update rule of AdamW and its like. On two cores, examples a second of two
    /// threads with one block, capped to not: h = 64, 27 words, 32 examples 1.02, with AdamW 1.02; but 1,900 words, too many
    /// logits for the cap, 0.97, with AdamW 0.89. With more threads than cores: `notebook`, two blocks, 4 threads 1.45;
    /// `makemore`, four blocks, 3 threads 1.55.
    pub(super) fn useful_threads(&self, batch: usize, threads: usize) -> usize {
        let fewest = self.blocks.div_ceil(self.blocks.max(1).div_ceil(threads));
        if self.has_few_logits(batch, fewest) { fewest } else { threads }
    }

    /// Whether the whole context is one input.
    pub(super) fn is_whole(self) -> bool {
        self.positions < self.shape.context
    }

    /// Rows of the hidden weights: the last position's are read as if it were filled up, and so are those of a whole context.
    pub(super) fn inputs(&self) -> usize {
        let Shape { embedding, .. } = self.shape;
        self.shape.input() - embedding + embedding.next_multiple_of(8)
    }

    /// Rows of the output weights: products read whole blocks of them.
    pub(super) fn output_rows(&self) -> usize {
        self.shape.vocabulary.next_multiple_of(LANES)
    }

    /// Numbers from one row of the direct weights to the next.
    pub(super) fn direct_stride(&self) -> usize {
        self.shape.context * self.position_stride
    }

    /// How many of some hidden columns passes work on: up to the last that counts, in vectors of eight. What fills up the line
    /// reaches no result (`notebook`, 101 of 112: 1 % more steps a second on one thread, 4 % on two).
    pub(super) fn counted(&self, first: usize, width: usize) -> usize {
        (self.shape.hidden + 1).saturating_sub(first).next_multiple_of(LANES / 2).min(width)
    }

    /// The hidden columns of some blocks. Steps of `makemore` with two threads, 104 columns each, to those where one had 96 and
    /// the other 112, in whole cache lines: 1.03.
    pub(super) fn columns_of(&self, blocks: Range<usize>) -> Range<usize> {
        const HALF: usize = LANES / 2;
        let halves = self.hidden_stride / HALF;
        part(halves, blocks.start, self.blocks).start * HALF..part(halves, blocks.end, self.blocks).start * HALF
    }

    /// The output rows of a chunk.
    pub(super) fn rows_of(&self, chunk: usize) -> Range<usize> {
        chunk * self.chunk..((chunk + 1) * self.chunk).min(self.shape.vocabulary)
    }

    /// The part that has an output row.
    pub(super) fn part_of(&self, row: usize) -> usize {
        ((row / self.chunk + 1) * self.parts - 1) / self.chunks
    }

    /// The chunks of a part.
    pub(super) fn chunks_of(&self, number: usize) -> Range<usize> {
        part(self.chunks, number, self.parts)
    }
}

/// The parameters.
pub(super) struct Network {
    pub(super) layout: Layout,
    /// [V, embedding stride]; where they serve as output weights, the output bias in column d.
    pub(super) embedding: Shared<Lanes>,
    /// By input, [n*d, hidden stride].
    pub(super) hidden: Shared<Lanes>,
    /// [hidden stride].
    pub(super) hidden_bias: Shared<Lanes>,
    /// [V, hidden stride], the bias in column h; empty where the embeddings serve.
    pub(super) output: Shared<Lanes>,
    /// [V, n, position stride]; empty without direct connections.
    pub(super) direct: Shared<Lanes>,
}

/// One of the buffers as rows.
pub(super) struct Rows<'a> {
    pub(super) buffer: &'a Shared<Lanes>,
    pub(super) count: usize,
    pub(super) stride: usize,
}

impl Rows<'_> {
    /// The numbers of the rows that belong to thread `index` of `threads`.
    pub(super) fn numbers(&self, index: usize, threads: usize) -> Range<usize> {
        let own = part(self.count, index, threads);
        own.start * self.stride..own.end * self.stride
    }
}

impl Network {
    pub(super) fn zeros(shape: Shape) -> Self {
        let layout = Layout::new(shape);
        let Layout { hidden_stride, embedding_stride, .. } = layout;
        let (vocabulary, inputs) = (layout.output_rows(), layout.inputs());
        let mut network = Network {
            layout,
            embedding: aligned(vocabulary * embedding_stride),
            hidden: aligned(inputs * hidden_stride),
            hidden_bias: aligned(hidden_stride),
            output: aligned(if shape.tied { 0 } else { vocabulary * hidden_stride }),
            direct: aligned(if shape.direct { vocabulary * layout.direct_stride() } else { 0 }),
        };
        // The rows beyond the vocabulary are words that never come: the logit of their bias alone is minus infinity.
        let output = if shape.tied { &mut network.embedding } else { &mut network.output };
        let output: &mut [f32] = cast_slice_mut(output.get_mut());
        for row in shape.vocabulary..vocabulary {
            output[row * hidden_stride + shape.hidden] = f32::NEG_INFINITY;
        }
        network
    }

    /// The output weights, wherever they stand.
    pub(super) fn output_weights(&self) -> &Shared<Lanes> {
        if self.layout.shape.tied { &self.embedding } else { &self.output }
    }

    /// Embedding, hidden weights, hidden bias, output and direct weights as rows.
    pub(super) fn matrices(&self) -> [Rows<'_>; 5] {
        let Layout { shape, hidden_stride, embedding_stride, .. } = self.layout;
        let rows = |buffer, count, stride| Rows { buffer, count, stride };
        let vocabulary = shape.vocabulary;
        [
            rows(&self.embedding, vocabulary, embedding_stride),
            rows(&self.hidden, shape.input(), hidden_stride),
            rows(&self.hidden_bias, 1, hidden_stride),
            rows(&self.output, if shape.tied { 0 } else { vocabulary }, hidden_stride),
            rows(&self.direct, if shape.direct { vocabulary } else { 0 }, self.layout.direct_stride()),
        ]
    }

    pub(super) fn load(&mut self, parameters: &Parameters) {
        for (tensor, values) in parameters.tensors() {
            let (to, place) = self.find(tensor.name);
            let width = *tensor.sizes.get(1).unwrap_or(&1);
            for (row, values) in values.chunks_exact(width).enumerate() {
                for (column, &value) in values.iter().enumerate() {
                    to[place.of(row, column)] = value;
                }
            }
        }
    }

    pub(super) fn parameters(&mut self) -> Parameters {
        let mut parameters = Parameters::zeros(self.layout.shape);
        for tensor in self.layout.shape.tensors() {
            let (from, place) = self.find(tensor.name);
            let width = *tensor.sizes.get(1).unwrap_or(&1);
            for (row, values) in parameters.values[tensor.range].chunks_exact_mut(width).enumerate() {
                for (column, value) in values.iter_mut().enumerate() {
                    *value = from[place.of(row, column)];
                }
            }
        }
        parameters
    }

    /// A tensor's buffer, and where its elements stand there.
    fn find(&mut self, name: &str) -> (&mut [f32], Place) {
        let layout = self.layout;
        let Layout { shape, hidden_stride, embedding_stride, position_stride, .. } = layout;
        let rows = |stride: usize| Place { first: 0, row: stride, column: 1, block: (usize::MAX, 0) };
        let (buffer, place) = match name {
            EMBEDDING_WEIGHT => (&mut self.embedding, rows(embedding_stride)),
            HIDDEN_WEIGHT => (&mut self.hidden, Place { row: 1, column: hidden_stride, ..rows(0) }),
            HIDDEN_BIAS => (&mut self.hidden_bias, rows(1)),
            OUTPUT_WEIGHT => (&mut self.output, rows(hidden_stride)),
            OUTPUT_BIAS if shape.tied => (&mut self.embedding, Place { first: shape.hidden, ..rows(hidden_stride) }),
            OUTPUT_BIAS => (&mut self.output, Place { first: shape.hidden, ..rows(hidden_stride) }),
            DIRECT_WEIGHT => {
                (&mut self.direct, Place { block: (shape.embedding, position_stride), ..rows(layout.direct_stride()) })
            }
            name => unreachable!("a network has no tensor {name}"),
        };
        (cast_slice_mut(buffer.get_mut()), place)
    }
}

/// Where the elements of a tensor stand in a buffer.
struct Place {
    first: usize,
    /// Numbers from row to row, and from column to column.
    row: usize,
    column: usize,
    /// Columns of a block, and the numbers from one block to the next.
    block: (usize, usize),
}

impl Place {
    fn of(&self, row: usize, column: usize) -> usize {
        let (width, stride) = self.block;
        let (block, column) = if column < width { (0, column) } else { (column / width, column % width) };
        self.first + row * self.row + block * stride + column * self.column
    }
}

/// The parameters while nobody writes them.
#[derive(Clone, Copy)]
pub(super) struct Read<'a> {
    pub(super) layout: Layout,
    pub(super) embedding: &'a [f32],
    pub(super) hidden: &'a [f32],
    pub(super) output: &'a [f32],
    pub(super) direct: &'a [f32],
}

impl<'a> Read<'a> {
    /// # Safety
    /// No thread may write parameters until a barrier after the last use.
    #[allow(unsafe_code)]
    pub(super) unsafe fn new(network: &'a Network) -> Self {
        // SAFETY: the caller's promise.
        unsafe {
            Read {
                layout: network.layout,
                embedding: numbers(network.embedding.read()),
                hidden: numbers(network.hidden.read()),
                output: numbers(network.output_weights().read()),
                direct: numbers(network.direct.read()),
            }
        }
    }
}

/// Cache lines as plain numbers.
pub(super) fn numbers(lines: &[Lanes]) -> &[f32] {
    cast_slice(lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Init;
    use crate::model::initial::initial;

    #[test]
    fn parameters_come_back_bit_for_bit() {
        let shape = Shape { vocabulary: 31, context: 5, embedding: 7, hidden: 33, direct: false, tied: false };
        let shapes = [
            shape,
            Shape { direct: true, ..shape },
            Shape { direct: true, hidden: 0, ..shape },
            Shape { hidden: 7, tied: true, ..shape },
        ];
        for shape in shapes {
            let parameters = initial(shape, Init::Lecture, 1, &[]);
            let mut network = Network::zeros(shape);
            network.load(&parameters);
            assert_eq!(network.parameters(), parameters);
        }
    }

    #[test]
    fn whole_contexts_are_read_within_the_weights() {
        let shape = Shape { vocabulary: 27, context: 3, embedding: 10, hidden: 100, direct: false, tied: false };
        let is_whole = |shape: Shape, batch: usize| Layout::new(shape).for_batch(batch).is_whole();
        assert!(is_whole(Shape { embedding: 2, ..shape }, 32) && !is_whole(shape, 32));
        assert!(!is_whole(Shape { embedding: 2, ..shape }, 1024));
        for (context, embedding) in (1..20).flat_map(|context| (1..20).map(move |embedding| (context, embedding))) {
            let layout = Layout::new(Shape { context, embedding, ..shape });
            for Layout { positions, position_inputs, position_stride, .. } in [layout, layout.for_batch(32)] {
                assert!(position_inputs <= position_stride);
                assert!((positions - 1) * position_inputs + position_stride <= layout.inputs());
            }
        }
    }

    #[test]
    fn threads_without_a_use_stay_out_of_a_step() {
        let shape = Shape { vocabulary: 27, context: 3, embedding: 10, hidden: 200, direct: false, tied: false };
        let threads = [1, 2, 3, 4, 6, 12, 16, 64];
        let useful = |shape, batch| threads.map(|threads| Layout::new(shape).useful_threads(batch, threads));
        assert_eq!(useful(shape, 32), [1, 2, 2, 4, 4, 4, 4, 4]);
        assert_eq!(useful(Shape { hidden: 20, ..shape }, 32), [1; 8]);
        assert_eq!(useful(Shape { hidden: 1024, ..shape }, 16), [1, 2, 3, 4, 6, 8, 16, 16]);
        for (vocabulary, batch) in [(27, 1024), (1900, 32), (16_383, 1)] {
            assert_eq!(useful(Shape { vocabulary, ..shape }, batch), threads);
        }
    }

    #[test]
    fn parts_hold_all_chunks_and_chunks_all_rows() {
        for vocabulary in [2, 27, 144, 145, 2047, 2048, 16_383, 120_000] {
            let shape = Shape { vocabulary, context: 1, embedding: 1, hidden: 1, direct: false, tied: false };
            let layout = Layout::new(shape);
            let rows: Vec<usize> = (0..layout.parts)
                .flat_map(|part| layout.chunks_of(part))
                .flat_map(|chunk| layout.rows_of(chunk))
                .collect();
            assert_eq!(rows, (0..vocabulary).collect::<Vec<_>>());
            for part in 0..layout.parts {
                assert!(!layout.chunks_of(part).is_empty());
                assert!(
                    layout
                        .chunks_of(part)
                        .flat_map(|chunk| layout.rows_of(chunk))
                        .all(|row| layout.part_of(row) == part)
                );
            }
        }
    }
}
