//! The equations as plain `f64` loops: forward, backward, update. Slow, single-threaded, never optimised: every other
//! engine is checked against it, and it is checked against finite differences and an independent implementation.
//!
//! Bengio et al. 2003, equation (1) and the algorithm of section 3.2. Gradients have the prefix `d_`.

mod engine;
mod update;

use crate::engine::Mask;
use crate::model::shape::{
    DIRECT_WEIGHT, EMBEDDING_WEIGHT, HIDDEN_BIAS, HIDDEN_WEIGHT, OUTPUT_BIAS, OUTPUT_WEIGHT, Shape,
};
use crate::model::{Parameters, Tensor};
use crate::text::Corpus;

pub use engine::Reference;
pub use update::Carried;

/// A network in double precision. All matrices are [outputs, inputs], row by row.
#[derive(Clone)]
pub struct Network {
    shape: Shape,
    embedding: Vec<f64>,
    hidden_weight: Vec<f64>,
    hidden_bias: Vec<f64>,
    /// Empty where the embedding serves as output weights.
    output_weight: Vec<f64>,
    output_bias: Vec<f64>,
    direct_weight: Vec<f64>,
}

/// What dropout multiplies the activations of one example with: nothing where a vector is empty.
#[derive(Clone, Debug, Default)]
pub struct Dropout {
    /// `[n*d]`.
    pub input: Vec<f64>,
    /// `[h]`.
    pub hidden: Vec<f64>,
}

impl Dropout {
    /// The multipliers of example `lane` of a step.
    pub fn of_example(input: Mask, hidden: Mask, shape: Shape, step: u64, lane: usize) -> Self {
        let of = |mask: Mask, width| -> Vec<f64> {
            let values = if mask.is_on() { mask.of_example(step, lane, width) } else { Vec::new() };
            values.into_iter().map(f64::from).collect()
        };
        Dropout { input: of(input, shape.input()), hidden: of(hidden, shape.hidden) }
    }
}

/// `values[i] *= factors[i]`; unchanged without factors.
fn multiply(values: &mut [f64], factors: &[f64]) {
    for (value, factor) in values.iter_mut().zip(factors) {
        *value *= factor;
    }
}

/// What the forward pass computes for one example.
pub struct Forward {
    /// Concatenated embeddings of the context, after dropout, `[n*d]`.
    pub input: Vec<f64>,
    /// The slope of each hidden unit, 1 - tanh², before dropout, `[h]`.
    slope: Vec<f64>,
    /// `[h]`, after tanh and dropout.
    pub hidden: Vec<f64>,
    /// `[V]`.
    pub logits: Vec<f64>,
    /// `[V]`, sums to one.
    pub probabilities: Vec<f64>,
}

impl Network {
    /// All parameters zero: where gradients are summed.
    pub fn zeros(shape: Shape) -> Self {
        let direct = if shape.direct { shape.vocabulary * shape.input() } else { 0 };
        let output = if shape.tied { 0 } else { shape.vocabulary * shape.hidden };
        Network {
            shape,
            embedding: vec![0.0; shape.vocabulary * shape.embedding],
            hidden_weight: vec![0.0; shape.hidden * shape.input()],
            hidden_bias: vec![0.0; shape.hidden],
            output_weight: vec![0.0; output],
            output_bias: vec![0.0; shape.vocabulary],
            direct_weight: vec![0.0; direct],
        }
    }

    /// The same numbers in double precision.
    pub fn from_parameters(parameters: &Parameters) -> Self {
        let mut network = Self::zeros(parameters.shape());
        for (tensor, values) in parameters.tensors() {
            for (to, &from) in network.tensor_mut(&tensor).iter_mut().zip(values) {
                *to = from.into();
            }
        }
        network
    }

    /// Rounded to single precision.
    pub fn to_parameters(&self) -> Parameters {
        let mut parameters = Parameters::zeros(self.shape);
        let mut copy = self.clone();
        for tensor in self.shape.tensors() {
            let values = copy.tensor_mut(&tensor);
            for (to, from) in parameters.values[tensor.range].iter_mut().zip(values) {
                *to = *from as f32;
            }
        }
        parameters
    }

    /// A tensor's numbers.
    pub fn tensor_mut(&mut self, tensor: &Tensor) -> &mut [f64] {
        match tensor.name {
            EMBEDDING_WEIGHT => &mut self.embedding,
            HIDDEN_WEIGHT => &mut self.hidden_weight,
            HIDDEN_BIAS => &mut self.hidden_bias,
            OUTPUT_WEIGHT => &mut self.output_weight,
            OUTPUT_BIAS => &mut self.output_bias,
            DIRECT_WEIGHT => &mut self.direct_weight,
            name => unreachable!("a network has no tensor {name}"),
        }
    }

    /// U, or C in its place.
    fn output_weight(&self) -> &[f64] {
        if self.shape.tied { &self.embedding } else { &self.output_weight }
    }

    /// Equation (1) for one context, oldest token first.
    pub fn forward(&self, context: &[u32], dropout: &Dropout) -> Forward {
        let Shape { vocabulary, embedding, hidden: units, direct, .. } = self.shape;
        let inputs = self.shape.input();
        let mut input = Vec::with_capacity(inputs);
        for &token in context {
            input.extend_from_slice(&self.embedding[token as usize * embedding..][..embedding]);
        }
        multiply(&mut input, &dropout.input);
        let mut hidden = vec![0.0; units];
        for j in 0..units {
            let mut sum = self.hidden_bias[j];
            for i in 0..inputs {
                sum += self.hidden_weight[j * inputs + i] * input[i];
            }
            hidden[j] = sum.tanh();
        }
        let slope = hidden.iter().map(|a| 1.0 - a * a).collect();
        multiply(&mut hidden, &dropout.hidden);
        let output_weight = self.output_weight();
        let mut logits = vec![0.0; vocabulary];
        for v in 0..vocabulary {
            let mut sum = self.output_bias[v];
            for j in 0..units {
                sum += output_weight[v * units + j] * hidden[j];
            }
            if direct {
                for i in 0..inputs {
                    sum += self.direct_weight[v * inputs + i] * input[i];
                }
            }
            logits[v] = sum;
        }
        // The largest logit is subtracted so that no exponential overflows; the quotient is the same.
        let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let exponentials: Vec<f64> = logits.iter().map(|logit| (logit - largest).exp()).collect();
        let sum: f64 = exponentials.iter().sum();
        let probabilities = exponentials.iter().map(|e| e / sum).collect();
        Forward { input, slope, hidden, logits, probabilities }
    }

    /// `-log softmax(logits)[target]`, finite however small the probability is.
    pub fn loss(forward: &Forward, target: u32) -> f64 {
        let largest = forward.logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = forward.logits.iter().map(|logit| (logit - largest).exp()).sum();
        largest + sum.ln() - forward.logits[target as usize]
    }

    /// Adds `scale` times the gradient of one example's loss to `gradients`.
    pub fn backward(
        &self,
        (context, target): (&[u32], u32),
        forward: &Forward,
        dropout: &Dropout,
        scale: f64,
        gradients: &mut Network,
    ) {
        let Shape { vocabulary, embedding, hidden: units, direct, tied, .. } = self.shape;
        let inputs = self.shape.input();
        let output_weight = self.output_weight();
        let d_output_weight = if tied { &mut gradients.embedding } else { &mut gradients.output_weight };
        let mut d_hidden = vec![0.0; units];
        let mut d_input = vec![0.0; inputs];
        for v in 0..vocabulary {
            let is_target = if v == target as usize { 1.0 } else { 0.0 };
            let d_logit = scale * (forward.probabilities[v] - is_target);
            gradients.output_bias[v] += d_logit;
            for j in 0..units {
                d_output_weight[v * units + j] += d_logit * forward.hidden[j];
                d_hidden[j] += d_logit * output_weight[v * units + j];
            }
            if direct {
                for i in 0..inputs {
                    gradients.direct_weight[v * inputs + i] += d_logit * forward.input[i];
                    d_input[i] += d_logit * self.direct_weight[v * inputs + i];
                }
            }
        }
        multiply(&mut d_hidden, &dropout.hidden);
        for j in 0..units {
            let d_sum = d_hidden[j] * forward.slope[j];
            gradients.hidden_bias[j] += d_sum;
            for i in 0..inputs {
                gradients.hidden_weight[j * inputs + i] += d_sum * forward.input[i];
                d_input[i] += d_sum * self.hidden_weight[j * inputs + i];
            }
        }
        multiply(&mut d_input, &dropout.input);
        for (place, &token) in context.iter().enumerate() {
            for k in 0..embedding {
                gradients.embedding[token as usize * embedding + k] += d_input[place * embedding + k];
            }
        }
    }

    /// Mean loss of some examples of a corpus, and its gradient. `dropout` gives the multipliers of an example by its
    /// place in the batch.
    pub fn gradients(&self, corpus: &Corpus, examples: &[u32], dropout: impl Fn(usize) -> Dropout) -> (f64, Network) {
        let mut gradients = Network::zeros(self.shape);
        let mut loss = 0.0;
        let scale = 1.0 / examples.len() as f64;
        for (lane, &example) in examples.iter().enumerate() {
            let (context, target) = (corpus.context_of(example as usize), corpus.target_of(example as usize));
            let dropout = dropout(lane);
            let forward = self.forward(context, &dropout);
            loss += scale * Self::loss(&forward, target);
            self.backward((context, target), &forward, &dropout, scale, &mut gradients);
        }
        (loss, gradients)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Recipe;
    use crate::model::Init;
    use crate::model::initial::initial;

    const SHAPE: Shape = Shape { vocabulary: 5, context: 3, embedding: 2, hidden: 4, direct: false, tied: false };

    /// The first context holds one token twice, the last target is the last token.
    fn corpus() -> Corpus {
        Corpus::from_examples(&[1, 1, 0, 2, 4, 3, 0, 0, 0], &[2, 0, 4], 3)
    }

    fn dropout_of(recipe: Recipe, shape: Shape) -> impl Fn(usize) -> Dropout + Copy {
        move |lane| Dropout::of_example(recipe.input_mask(1), recipe.hidden_mask(1), shape, 0, lane)
    }

    /// The analytic gradient of every parameter against (f(p + e) - f(p - e)) / 2e.
    fn compare_with_finite_differences(shape: Shape, recipe: Recipe) {
        let mut network = Network::from_parameters(&initial(shape, Init::Lecture, 3, &[]));
        let dropout = dropout_of(recipe, shape);
        let examples = [0, 1, 2];
        let corpus = corpus();
        let (_, mut gradients) = network.gradients(&corpus, &examples, dropout);
        let step = 1e-5;
        for tensor in shape.tensors() {
            for index in 0..tensor.range.len() {
                let kept = network.tensor_mut(&tensor)[index];
                let mut loss_at = |value: f64| {
                    network.tensor_mut(&tensor)[index] = value;
                    network.gradients(&corpus, &examples, dropout).0
                };
                let difference = (loss_at(kept + step) - loss_at(kept - step)) / (2.0 * step);
                network.tensor_mut(&tensor)[index] = kept;
                let gradient = gradients.tensor_mut(&tensor)[index];
                assert!(
                    (gradient - difference).abs() < 1e-8,
                    "{} [{index}]: gradient {gradient}, finite difference {difference}",
                    tensor.name
                );
            }
        }
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        compare_with_finite_differences(SHAPE, Recipe::default());
    }

    #[test]
    fn gradients_with_direct_connections_are_those_of_finite_differences() {
        compare_with_finite_differences(Shape { direct: true, ..SHAPE }, Recipe::default());
    }

    #[test]
    fn gradients_without_hidden_units_are_those_of_finite_differences() {
        compare_with_finite_differences(Shape { direct: true, hidden: 0, ..SHAPE }, Recipe::default());
    }

    #[test]
    fn gradients_of_tied_embeddings_are_those_of_finite_differences() {
        let tied = Shape { hidden: 2, tied: true, ..SHAPE };
        compare_with_finite_differences(tied, Recipe::default());
        compare_with_finite_differences(Shape { direct: true, ..tied }, Recipe::default());
    }

    #[test]
    fn gradients_under_dropout_are_those_of_finite_differences() {
        let recipe = Recipe { dropout_embedding: 0.3, dropout_hidden: 0.4, ..Recipe::default() };
        let shape = Shape { direct: true, ..SHAPE };
        let dropped = |dropout: Dropout| [dropout.input, dropout.hidden].map(|of| of.contains(&0.0));
        let seen: Vec<_> = (0..3).map(|lane| dropped(dropout_of(recipe, shape)(lane))).collect();
        assert!(seen.iter().any(|of| of[0]) && seen.iter().any(|of| of[1]), "the masks drop nothing: {seen:?}");
        compare_with_finite_differences(shape, recipe);
    }

    /// A step with weight decay is a step down the loss plus decay / 2 times the sum of squares of all but the biases.
    #[test]
    fn weight_decay_is_the_gradient_of_its_penalty() {
        let shape = Shape { direct: true, ..SHAPE };
        let recipe = Recipe { weight_decay: 0.01, ..Recipe::default() };
        let (corpus, rate, step) = (corpus(), 0.1, 1e-5);
        let before = Network::from_parameters(&initial(shape, Init::Lecture, 3, &[]));
        let penalised = |network: &mut Network| {
            let loss = network.gradients(&corpus, &[0, 1, 2], |_| Dropout::default()).0;
            let weights = shape.tensors().into_iter().filter(|tensor| !tensor.is_bias());
            let squares: f64 = weights.map(|t| network.tensor_mut(&t).iter().map(|w| w * w).sum::<f64>()).sum();
            loss + f64::from(recipe.weight_decay) / 2.0 * squares
        };
        let mut after = before.clone();
        let gradients = before.gradients(&corpus, &[0, 1, 2], |_| Dropout::default()).1;
        after.update(gradients, &mut Carried::new(&before, &recipe), &recipe, 0, rate);
        for tensor in shape.tensors() {
            for index in 0..tensor.range.len() {
                let mut moved = before.clone();
                let mut at = |offset: f64| {
                    moved.tensor_mut(&tensor)[index] = before.clone().tensor_mut(&tensor)[index] + offset;
                    penalised(&mut moved)
                };
                let slope = (at(step) - at(-step)) / (2.0 * step);
                let taken = before.clone().tensor_mut(&tensor)[index] - after.tensor_mut(&tensor)[index];
                assert!((taken - rate * slope).abs() < 1e-9, "{} [{index}]: {taken}, {slope}", tensor.name);
            }
        }
    }

    #[test]
    fn probabilities_sum_to_one_and_huge_logits_stay_finite() {
        let mut network = Network::from_parameters(&initial(SHAPE, Init::Lecture, 3, &[]));
        network.output_bias[1] = 2000.0;
        network.output_bias[2] = -2000.0;
        let forward = network.forward(&[0, 1, 2], &Dropout::default());
        assert!((forward.probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        let loss = Network::loss(&forward, 2);
        assert!((loss - 4000.0).abs() < 10.0, "{loss}");
    }
}
