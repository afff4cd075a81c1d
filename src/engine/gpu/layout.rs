//! Where the parameters lie in their buffer on the device, and the small path's record of an example; the twin of
//! `shaders/shared/small.wgsl`. Tensors keep PyTorch's order of elements, but begin where a
//! buffer can be bound, and the rows of weights where four numbers can be read at once.

use std::ops::Range;

use crate::model::shape::EMBEDDING_WEIGHT;
use crate::model::{Parameters, Shape, Tensor};

/// Tensors begin at multiples of so many numbers: 256 bytes, the largest alignment that a device may ask for.
pub(super) const ALIGNMENT: usize = 64;

/// Places of the tensors on the device, counted in numbers.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    tensors: Vec<Placed>,
}

/// A tensor and its place.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    /// The tensor.
    pub(super) tensor: Tensor,
    /// From one of its rows to the next: a multiple of 4 so that rows can be read four numbers at a time, but for
    /// an embedding that is only gathered.
    pub(super) stride: usize,
    /// Where it lies.
    pub(super) range: Range<usize>,
}

/// The stride of a row that is read four numbers at a time.
pub(super) fn padded(columns: usize) -> usize {
    columns.next_multiple_of(4)
}

impl Layout {
    pub(super) fn new(shape: Shape) -> Self {
        let mut start = 0;
        let place = |tensor: Tensor| {
            let (rows, stride) = match tensor.sizes[..] {
                // Rows of an embedding that is not the output's weights as well are only gathered.
                [rows, columns] if tensor.name == EMBEDDING_WEIGHT && !shape.tied => (rows, columns),
                [rows, columns] => (rows, padded(columns)),
                // Biases are read four numbers at a time as well.
                _ => (1, padded(tensor.range.len())),
            };
            let range = start..start + rows * stride;
            start = range.end.next_multiple_of(ALIGNMENT);
            Placed { tensor, stride, range }
        };
        Layout { tensors: shape.tensors().into_iter().map(place).collect() }
    }

    /// Numbers in the whole buffer: four can be read at once up to its end.
    pub(super) fn len(&self) -> usize {
        self.tensors.last().map_or(0, |placed| placed.range.end.next_multiple_of(4))
    }

    /// The tensors with their places.
    pub(super) fn tensors(&self) -> &[Placed] {
        &self.tensors
    }

    /// A tensor with its place.
    pub(super) fn placed(&self, name: &str) -> &Placed {
        let found = self.tensors.iter().find(|placed| placed.tensor.name == name);
        found.unwrap_or_else(|| panic!("the layout has no tensor {name}"))
    }

    /// The buffer's content for some parameters.
    pub(super) fn to_device(&self, parameters: &Parameters) -> Vec<f32> {
        let mut values = vec![0.0; self.len()];
        for placed in &self.tensors {
            let Placed { tensor, stride, range } = placed;
            let columns = placed.columns();
            let rows = parameters.values[tensor.range.clone()].chunks_exact(columns);
            for (to, from) in values[range.clone()].chunks_exact_mut(*stride).zip(rows) {
                to[..columns].copy_from_slice(from);
            }
        }
        values
    }

    /// The parameters from the buffer's content.
    pub(super) fn parameters_of(&self, shape: Shape, values: &[f32]) -> Parameters {
        let mut parameters = Parameters::zeros(shape);
        for placed in &self.tensors {
            let Placed { tensor, stride, range } = placed;
            let columns = placed.columns();
            let rows = parameters.values[tensor.range.clone()].chunks_exact_mut(columns);
            for (to, from) in rows.zip(values[range.clone()].chunks_exact(*stride)) {
                to.copy_from_slice(&from[..columns]);
            }
        }
        parameters
    }
}

impl Placed {
    /// Numbers in a row; a bias is one row.
    pub(super) fn columns(&self) -> usize {
        self.tensor.sizes[self.tensor.sizes.len() - 1]
    }

    /// Where some of its rows lie.
    pub(super) fn rows(&self, rows: &Range<usize>) -> Range<usize> {
        self.range.start + rows.start * self.stride..self.range.start + rows.end * self.stride
    }
}

/// The record of one example on the small path, counted in numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    /// Where the hidden units begin.
    pub(super) hidden: usize,
    /// Numbers in the record.
    pub(super) len: usize,
}

impl Record {
    pub(super) fn new(shape: Shape) -> Self {
        let hidden = padded(shape.input());
        let len = 2 * (hidden + padded(shape.hidden)) + padded(shape.vocabulary) + 4;
        Record { hidden, len }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Init;
    use crate::model::initial::initial;

    #[test]
    fn parameters_come_back_from_the_device_as_they_were() {
        let shape = Shape { vocabulary: 31, context: 5, embedding: 7, hidden: 33, direct: true, tied: false };
        let tied = Shape { hidden: 7, tied: true, ..shape };
        for shape in [shape, Shape { direct: false, ..shape }, Shape { hidden: 0, ..shape }, tied] {
            let parameters = initial(shape, Init::Lecture, 1, &[]);
            let layout = Layout::new(shape);
            assert!(layout.tensors().iter().all(|placed| placed.range.start % ALIGNMENT == 0));
            assert_eq!(layout.parameters_of(shape, &layout.to_device(&parameters)), parameters);
        }
    }
}
