//! The parameters as the CPU engine keeps them, and the activations of a batch.
//!
//! A bias is the weight of one more input that is always one: the last column of its matrix. Rows are padded with zeros
//! to a multiple of 8 numbers.

use std::ops::Range;

use bytemuck::{cast_slice, cast_slice_mut};

use super::lanes::{LANES, Lanes};
use super::threads::{Shared, aligned, part};
use crate::model::shape::{DIRECT_WEIGHT, EMBEDDING_WEIGHT, HIDDEN_BIAS, HIDDEN_WEIGHT, OUTPUT_BIAS, OUTPUT_WEIGHT};
use crate::model::{Parameters, Shape};

/// Sizes of the buffers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) shape: Shape,
    /// Inputs and the constant one.
    pub(super) input_rows: usize,
    /// Numbers from one row of the hidden weights to the next.
    pub(super) input_stride: usize,
    /// Hidden units and the constant one.
    pub(super) hidden_rows: usize,
    /// Numbers from one row of the output weights to the next.
    pub(super) hidden_stride: usize,
    /// Numbers from one row of the embeddings to the next: d, or where they serve as output weights the hidden stride.
    pub(super) embedding_stride: usize,
}

impl Layout {
    pub(super) fn new(shape: Shape) -> Self {
        let (input_rows, hidden_rows) = (shape.input() + 1, shape.hidden + 1);
        let hidden_stride = hidden_rows.next_multiple_of(8);
        Layout {
            shape,
            input_rows,
            input_stride: input_rows.next_multiple_of(8),
            hidden_rows,
            hidden_stride,
            embedding_stride: if shape.tied { hidden_stride } else { shape.embedding },
        }
    }
}

/// The parameters.
pub(super) struct Network {
    pub(super) layout: Layout,
    /// [V, embedding stride]; where they serve as output weights, the output bias in column d.
    pub(super) embedding: Shared<Lanes>,
    /// [h, input stride], the bias in column n*d.
    pub(super) hidden: Shared<Lanes>,
    /// [V, hidden stride], the bias in column h; empty where the embeddings serve.
    pub(super) output: Shared<Lanes>,
    /// [V, input stride]; empty without direct connections. Nothing reads its columns from n*d on.
    pub(super) direct: Shared<Lanes>,
}

/// One of the buffers as rows.
pub(super) struct Rows<'a> {
    pub(super) buffer: &'a Shared<Lanes>,
    pub(super) count: usize,
    pub(super) stride: usize,
    /// Columns that are parameters; those after them mean nothing.
    pub(super) columns: usize,
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
        let vocabulary = shape.vocabulary;
        Network {
            layout,
            embedding: aligned(vocabulary * layout.embedding_stride),
            hidden: aligned(shape.hidden * layout.input_stride),
            output: aligned(if shape.tied { 0 } else { vocabulary * layout.hidden_stride }),
            direct: aligned(if shape.direct { vocabulary * layout.input_stride } else { 0 }),
        }
    }

    /// Embedding, hidden, output and direct weights as rows.
    pub(super) fn matrices(&self) -> [Rows<'_>; 4] {
        let Layout { shape, input_rows, input_stride, hidden_rows, hidden_stride, embedding_stride } = self.layout;
        let rows = |buffer, count, stride, columns| Rows { buffer, count, stride, columns };
        let vocabulary = shape.vocabulary;
        [
            rows(&self.embedding, vocabulary, embedding_stride, shape.embedding + usize::from(shape.tied)),
            rows(&self.hidden, shape.hidden, input_stride, input_rows),
            rows(&self.output, if shape.tied { 0 } else { vocabulary }, hidden_stride, hidden_rows),
            rows(&self.direct, if shape.direct { vocabulary } else { 0 }, input_stride, shape.input()),
        ]
    }

    pub(super) fn load(&mut self, parameters: &Parameters) {
        for (tensor, values) in parameters.tensors() {
            let (to, stride, column, width) = self.find(tensor.name);
            for (row, values) in values.chunks_exact(width).enumerate() {
                to[row * stride + column..][..width].copy_from_slice(values);
            }
        }
    }

    pub(super) fn parameters(&mut self) -> Parameters {
        let mut parameters = Parameters::zeros(self.layout.shape);
        for tensor in self.layout.shape.tensors() {
            let (from, stride, column, width) = self.find(tensor.name);
            let values = &mut parameters.values[tensor.range];
            for (row, values) in values.chunks_exact_mut(width).enumerate() {
                values.copy_from_slice(&from[row * stride + column..][..width]);
            }
        }
        parameters
    }

    /// A tensor's buffer, the numbers from row to row, its first column and its width.
    fn find(&mut self, name: &str) -> (&mut [f32], usize, usize, usize) {
        let Layout { shape, input_stride, hidden_stride, embedding_stride, .. } = self.layout;
        let (input, hidden) = (shape.input(), shape.hidden);
        let (buffer, stride, column, width) = match name {
            EMBEDDING_WEIGHT => (&mut self.embedding, embedding_stride, 0, shape.embedding),
            HIDDEN_WEIGHT => (&mut self.hidden, input_stride, 0, input),
            HIDDEN_BIAS => (&mut self.hidden, input_stride, input, 1),
            OUTPUT_WEIGHT => (&mut self.output, hidden_stride, 0, hidden),
            OUTPUT_BIAS if shape.tied => (&mut self.embedding, embedding_stride, hidden, 1),
            OUTPUT_BIAS => (&mut self.output, hidden_stride, hidden, 1),
            DIRECT_WEIGHT => (&mut self.direct, input_stride, 0, input),
            name => unreachable!("a network has no tensor {name}"),
        };
        (cast_slice_mut(buffer.get_mut()), stride, column, width)
    }
}

/// The activations of a batch and their gradients, in groups of [`LANES`] examples.
pub(super) struct Activations {
    pub(super) groups: usize,
    /// Token ids of the contexts, [groups * LANES, n].
    pub(super) contexts: Shared<u32>,
    /// [groups * LANES].
    pub(super) targets: Shared<u32>,
    /// [groups, input rows], the last row one.
    pub(super) input: Shared<Lanes>,
    /// The same by example, [groups * LANES, input stride]: the form in which the weights' gradient reads it.
    pub(super) input_by_example: Shared<Lanes>,
    /// [groups, hidden rows], the last row one.
    pub(super) hidden: Shared<Lanes>,
    /// By example, [groups * LANES, hidden stride].
    pub(super) hidden_by_example: Shared<Lanes>,
    /// Logits, then their gradient, [groups, V].
    pub(super) logits: Shared<Lanes>,
    /// Gradient before tanh, [groups, h].
    pub(super) d_hidden: Shared<Lanes>,
    /// [groups, n*d].
    pub(super) d_input: Shared<Lanes>,
    /// n*d, or 0 where no input is dropped.
    pub(super) input_mask_rows: usize,
    /// What dropout multiplies the input with, [groups, rows].
    pub(super) input_mask: Shared<Lanes>,
    /// h, or 0 where no hidden unit is dropped.
    pub(super) hidden_mask_rows: usize,
    /// What dropout multiplies the hidden units with, [groups, rows].
    pub(super) hidden_mask: Shared<Lanes>,
    /// Loss of each example, [groups].
    pub(super) losses: Shared<Lanes>,
}

impl Activations {
    /// Room for `examples`, with masks for the dropout of the input and of the hidden units where it is on.
    pub(super) fn new(layout: Layout, examples: usize, [drop_input, drop_hidden]: [bool; 2]) -> Self {
        let Layout { shape, input_rows, input_stride, hidden_rows, hidden_stride, .. } = layout;
        let groups = examples.div_ceil(LANES);
        let input_mask_rows = if drop_input { shape.input() } else { 0 };
        let hidden_mask_rows = if drop_hidden { shape.hidden } else { 0 };
        let lines = |rows: usize| Shared::new(Lanes::ZERO, groups * rows);
        let mut activations = Activations {
            groups,
            contexts: Shared::new(0, groups * LANES * shape.context),
            targets: Shared::new(0, groups * LANES),
            input: lines(input_rows),
            input_by_example: aligned(groups * LANES * input_stride),
            hidden: lines(hidden_rows),
            hidden_by_example: aligned(groups * LANES * hidden_stride),
            logits: lines(shape.vocabulary),
            d_hidden: lines(shape.hidden),
            d_input: lines(shape.input()),
            input_mask_rows,
            input_mask: lines(input_mask_rows),
            hidden_mask_rows,
            hidden_mask: lines(hidden_mask_rows),
            losses: lines(1),
        };
        for group in activations.input.get_mut().chunks_exact_mut(input_rows) {
            group[shape.input()] = Lanes::ONE;
        }
        for group in activations.hidden.get_mut().chunks_exact_mut(hidden_rows) {
            group[shape.hidden] = Lanes::ONE;
        }
        let by_example: [(&mut Shared<Lanes>, usize, usize); 2] = [
            (&mut activations.input_by_example, input_stride, shape.input()),
            (&mut activations.hidden_by_example, hidden_stride, shape.hidden),
        ];
        for (buffer, stride, one) in by_example {
            let numbers: &mut [f32] = cast_slice_mut(buffer.get_mut());
            numbers.chunks_exact_mut(stride).for_each(|example| example[one] = 1.0);
        }
        activations
    }

    /// [B, rows] from [groups, stored rows], for checks.
    pub(super) fn by_example(groups: &[Lanes], stored: usize, rows: usize, examples: usize) -> Vec<f32> {
        let mut values = Vec::with_capacity(examples * rows);
        for example in 0..examples {
            let group = &groups[example / LANES * stored..][..rows];
            values.extend(group.iter().map(|lanes| lanes.0[example % LANES]));
        }
        values
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
}
