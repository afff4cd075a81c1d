//! All parameters in one flat buffer with named views, so that saving, updating and comparing are one loop each.

use super::shape::{Shape, Tensor};

/// The parameters of a network as float32, tensor after tensor in the order of [`Shape::tensors`], row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    shape: Shape,
    /// The numbers.
    pub values: Vec<f32>,
}

impl Parameters {
    /// All zero.
    pub fn zeros(shape: Shape) -> Self {
        Parameters { shape, values: vec![0.0; shape.parameters()] }
    }

    /// The shape of the network.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// A tensor by its name in the model file. Panics if the shape has none of this name.
    pub fn tensor(&self, name: &str) -> &[f32] {
        &self.values[self.find(name).range]
    }

    /// The same to be written.
    pub fn tensor_mut(&mut self, name: &str) -> &mut [f32] {
        let range = self.find(name).range;
        &mut self.values[range]
    }

    /// Every tensor with its numbers.
    pub fn tensors(&self) -> impl Iterator<Item = (Tensor, &[f32])> {
        self.shape.tensors().into_iter().map(|tensor| {
            let values = &self.values[tensor.range.clone()];
            (tensor, values)
        })
    }

    fn find(&self, name: &str) -> Tensor {
        let tensor = self.shape.tensors().into_iter().find(|tensor| tensor.name == name);
        tensor.unwrap_or_else(|| panic!("no tensor {name} in {:?}", self.shape))
    }
}

/// Mean and standard deviation of some numbers: the deviation of just these, whose squares are summed and divided by their
/// count. (PyTorch's `std`, which the lecture uses, divides by one less, as for a sample.) Without a number both are NaN.
pub fn mean_and_deviation(values: &[f32]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
    let variance = values.iter().map(|&value| (f64::from(value) - mean).powi(2)).sum::<f64>() / count;
    (mean, variance.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deviation_divides_by_the_count() {
        // Squares of -1.5, -0.5, 0.5 and 1.5 sum to 5: 5 / 4 and not 5 / 3.
        let (mean, deviation) = mean_and_deviation(&[4.0, 1.0, 3.0, 2.0]);
        assert_eq!(mean, 2.5);
        assert!((deviation - 1.25f64.sqrt()).abs() < 1e-15, "{deviation}");
        assert_eq!(mean_and_deviation(&[-7.0]), (-7.0, 0.0));
    }
}
