//! Initial parameters, drawn on the CPU from a named generator so that every engine starts from the same bits.

use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use super::parameters::Parameters;
use super::shape::{self, Shape};

/// How the parameters are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Init {
    /// Everything from N(0, 1), as in the lecture's first version: training begins with confident mistakes.
    Lecture,
    /// Hidden weights scaled by 5/3 over the square root of their fan-in, a small output layer, no biases: training
    /// begins at the loss of a uniform guess.
    Scaled,
}

/// Gain of tanh: keeps the spread of the activations from layer to layer.
const TANH_GAIN: f32 = 5.0 / 3.0;
/// Scale of the output layer, so that the first logits are nearly equal.
const OUTPUT_SCALE: f32 = 0.01;

/// Draws the parameters of a network from ChaCha with 12 rounds, tensor by tensor in the order of the shape.
pub fn initial(shape: Shape, init: Init, seed: u32) -> Parameters {
    let mut generator = ChaCha12Rng::seed_from_u64(seed.into());
    let mut parameters = Parameters::zeros(shape);
    for tensor in shape.tensors() {
        let scale = match (init, tensor.name) {
            (Init::Lecture, _) | (Init::Scaled, shape::EMBEDDING_WEIGHT) => 1.0,
            (Init::Scaled, shape::HIDDEN_WEIGHT) => TANH_GAIN / (shape.input() as f32).sqrt(),
            (Init::Scaled, shape::OUTPUT_WEIGHT | shape::DIRECT_WEIGHT) => OUTPUT_SCALE,
            (Init::Scaled, _) => 0.0,
        };
        for value in &mut parameters.values[tensor.range] {
            let normal: f32 = StandardNormal.sample(&mut generator);
            *value = scale * normal;
        }
    }
    parameters
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { vocabulary: 300, context: 3, embedding: 10, hidden: 200, direct: false };

    fn spread(values: &[f32]) -> f64 {
        (values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
    }

    #[test]
    fn the_spread_of_each_tensor_is_as_described() {
        let scaled = initial(SHAPE, Init::Scaled, 1);
        assert!((spread(scaled.tensor(shape::EMBEDDING_WEIGHT)) - 1.0).abs() < 0.05);
        assert!((spread(scaled.tensor(shape::HIDDEN_WEIGHT)) - 5.0 / 3.0 / 30f64.sqrt()).abs() < 0.02);
        assert!((spread(scaled.tensor(shape::OUTPUT_WEIGHT)) - 0.01).abs() < 0.001);
        assert_eq!(spread(scaled.tensor(shape::OUTPUT_BIAS)), 0.0);
        assert!((spread(initial(SHAPE, Init::Lecture, 1).tensor(shape::OUTPUT_WEIGHT)) - 1.0).abs() < 0.02);
    }

    #[test]
    fn the_seed_fixes_the_parameters_for_good() {
        assert_eq!(initial(SHAPE, Init::Scaled, 7), initial(SHAPE, Init::Scaled, 7));
        assert_ne!(initial(SHAPE, Init::Scaled, 7), initial(SHAPE, Init::Scaled, 8));
        // Another generator or another order of drawing would change every run: these values must not move.
        let first = &initial(SHAPE, Init::Lecture, 42).values[..3];
        assert_eq!(first, [0.069427915, 0.13293812, 0.26257637]);
    }
}
