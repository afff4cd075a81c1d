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
    /// For words: as `scaled`, but with small embeddings, and output biases at the logarithms of the tokens' frequencies:
    /// training begins at the loss of the unigram model.
    Unigram,
}

/// Gain of tanh: keeps the spread of the activations from layer to layer.
const TANH_GAIN: f32 = 5.0 / 3.0;
/// Gain of the hidden weights of [`Init::Unigram`], whose inputs are ten times smaller.
const WORD_HIDDEN_GAIN: f32 = 5.0;
/// Scale of the output layer, so that the first logits are nearly equal.
const OUTPUT_SCALE: f32 = 0.01;

/// Scale of the embeddings of [`Init::Unigram`], and of those that are output weights as well.
const SMALL_EMBEDDING: f32 = 0.1;

/// Draws the parameters of a network from ChaCha with 12 rounds, tensor by tensor in the order of the shape. `counts` is
/// how often each token occurs in the training part, `[V]`: only [`Init::Unigram`] reads it.
pub fn initial(shape: Shape, init: Init, seed: u32, counts: &[u32]) -> Parameters {
    let mut generator = ChaCha12Rng::seed_from_u64(seed.into());
    let mut parameters = Parameters::zeros(shape);
    for tensor in shape.tensors() {
        let scale = match (init, tensor.name) {
            (Init::Scaled, shape::EMBEDDING_WEIGHT) if shape.tied => SMALL_EMBEDDING,
            (Init::Lecture, _) | (Init::Scaled, shape::EMBEDDING_WEIGHT) => 1.0,
            (Init::Unigram, shape::EMBEDDING_WEIGHT) => SMALL_EMBEDDING,
            (Init::Scaled, shape::HIDDEN_WEIGHT) => TANH_GAIN / (shape.input() as f32).sqrt(),
            // Gains make up for the small embeddings; the logits begin with a spread of about a half.
            (Init::Unigram, shape::HIDDEN_WEIGHT) => WORD_HIDDEN_GAIN / (shape.input() as f32).sqrt(),
            (Init::Unigram, shape::OUTPUT_WEIGHT) => 1.0 / (shape.hidden as f32).sqrt(),
            (_, shape::OUTPUT_WEIGHT | shape::DIRECT_WEIGHT) => OUTPUT_SCALE,
            (Init::Scaled | Init::Unigram, _) => 0.0,
        };
        for value in &mut parameters.values[tensor.range] {
            let normal: f32 = StandardNormal.sample(&mut generator);
            *value = scale * normal;
        }
    }
    if init == Init::Unigram {
        // One is added, so that a token which only the held-out parts have is possible.
        let total: f64 = counts.iter().map(|&count| f64::from(count) + 1.0).sum();
        let bias = parameters.tensor_mut(shape::OUTPUT_BIAS);
        assert_eq!(bias.len(), counts.len(), "a count for each token");
        for (bias, &count) in bias.iter_mut().zip(counts) {
            *bias = ((f64::from(count) + 1.0) / total).ln() as f32;
        }
    }
    parameters
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { vocabulary: 300, context: 3, embedding: 10, hidden: 200, direct: false, tied: false };

    fn spread(values: &[f32]) -> f64 {
        (values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
    }

    #[test]
    fn the_spread_of_each_tensor_is_as_described() {
        let scaled = initial(SHAPE, Init::Scaled, 1, &[]);
        assert!((spread(scaled.tensor(shape::EMBEDDING_WEIGHT)) - 1.0).abs() < 0.05);
        assert!((spread(scaled.tensor(shape::HIDDEN_WEIGHT)) - 5.0 / 3.0 / 30f64.sqrt()).abs() < 0.02);
        assert!((spread(scaled.tensor(shape::OUTPUT_WEIGHT)) - 0.01).abs() < 0.001);
        assert_eq!(spread(scaled.tensor(shape::OUTPUT_BIAS)), 0.0);
        assert!((spread(initial(SHAPE, Init::Lecture, 1, &[]).tensor(shape::OUTPUT_WEIGHT)) - 1.0).abs() < 0.02);
    }

    #[test]
    fn the_unigram_form_begins_at_the_frequencies() {
        let mut counts = vec![0; 300];
        counts[7] = 700;
        let parameters = initial(SHAPE, Init::Unigram, 1, &counts);
        let bias = parameters.tensor(shape::OUTPUT_BIAS);
        assert!((bias[7] - 0.701f32.ln()).abs() < 1e-6 && (bias[8] - 0.001f32.ln()).abs() < 1e-5);
        assert!((spread(parameters.tensor(shape::EMBEDDING_WEIGHT)) - 0.1).abs() < 0.005);
    }

    #[test]
    fn the_seed_fixes_the_parameters_for_good() {
        assert_eq!(initial(SHAPE, Init::Scaled, 7, &[]), initial(SHAPE, Init::Scaled, 7, &[]));
        assert_ne!(initial(SHAPE, Init::Scaled, 7, &[]), initial(SHAPE, Init::Scaled, 8, &[]));
        // Another generator or another order of drawing would change every run: these values must not move.
        let first = &initial(SHAPE, Init::Lecture, 42, &[]).values[..3];
        assert_eq!(first, [0.069427915, 0.13293812, 0.26257637]);
    }
}
