//! The equations as plain `f64` loops: forward, backward, update. Slow, single-threaded, never optimised: every other
//! engine is checked against it, and it is checked against finite differences and an independent implementation.
//!
//! Bengio et al. 2003, equation (1) and the algorithm of section 3.2. Gradients have the prefix `d_`.

use std::sync::Arc;

use crate::Result;
use crate::engine::{Engine, Examination, Hardware};
use crate::model::shape::{
    DIRECT_WEIGHT, EMBEDDING_WEIGHT, HIDDEN_BIAS, HIDDEN_WEIGHT, OUTPUT_BIAS, OUTPUT_WEIGHT, Shape,
};
use crate::model::{Parameters, Tensor};
use crate::text::{BatchPlan, Corpus};

/// The reference engine.
#[derive(Default)]
pub struct Reference {
    network: Option<Network>,
    training: Option<(Arc<Corpus>, BatchPlan)>,
}

/// A network in double precision. All matrices are [outputs, inputs], row by row.
#[derive(Clone)]
pub struct Network {
    shape: Shape,
    embedding: Vec<f64>,
    hidden_weight: Vec<f64>,
    hidden_bias: Vec<f64>,
    output_weight: Vec<f64>,
    output_bias: Vec<f64>,
    direct_weight: Vec<f64>,
}

/// What the forward pass computes for one example.
pub struct Forward {
    /// Concatenated embeddings of the context, `[n*d]`.
    pub input: Vec<f64>,
    /// `[h]`, after tanh.
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
        Network {
            shape,
            embedding: vec![0.0; shape.vocabulary * shape.embedding],
            hidden_weight: vec![0.0; shape.hidden * shape.input()],
            hidden_bias: vec![0.0; shape.hidden],
            output_weight: vec![0.0; shape.vocabulary * shape.hidden],
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

    /// Equation (1) for one context, oldest token first.
    pub fn forward(&self, context: &[u32]) -> Forward {
        let Shape { vocabulary, embedding, hidden: units, direct, .. } = self.shape;
        let inputs = self.shape.input();
        let mut input = Vec::with_capacity(inputs);
        for &token in context {
            input.extend_from_slice(&self.embedding[token as usize * embedding..][..embedding]);
        }
        let mut hidden = vec![0.0; units];
        for j in 0..units {
            let mut sum = self.hidden_bias[j];
            for i in 0..inputs {
                sum += self.hidden_weight[j * inputs + i] * input[i];
            }
            hidden[j] = sum.tanh();
        }
        let mut logits = vec![0.0; vocabulary];
        for v in 0..vocabulary {
            let mut sum = self.output_bias[v];
            for j in 0..units {
                sum += self.output_weight[v * units + j] * hidden[j];
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
        Forward { input, hidden, logits, probabilities }
    }

    /// `-log softmax(logits)[target]`, finite however small the probability is.
    pub fn loss(forward: &Forward, target: u32) -> f64 {
        let largest = forward.logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = forward.logits.iter().map(|logit| (logit - largest).exp()).sum();
        largest + sum.ln() - forward.logits[target as usize]
    }

    /// Adds `scale` times the gradient of one example's loss to `gradients`.
    pub fn backward(&self, context: &[u32], target: u32, forward: &Forward, scale: f64, gradients: &mut Network) {
        let Shape { vocabulary, embedding, hidden: units, direct, .. } = self.shape;
        let inputs = self.shape.input();
        let mut d_hidden = vec![0.0; units];
        let mut d_input = vec![0.0; inputs];
        for v in 0..vocabulary {
            let is_target = if v == target as usize { 1.0 } else { 0.0 };
            let d_logit = scale * (forward.probabilities[v] - is_target);
            gradients.output_bias[v] += d_logit;
            for j in 0..units {
                gradients.output_weight[v * units + j] += d_logit * forward.hidden[j];
                d_hidden[j] += d_logit * self.output_weight[v * units + j];
            }
            if direct {
                for i in 0..inputs {
                    gradients.direct_weight[v * inputs + i] += d_logit * forward.input[i];
                    d_input[i] += d_logit * self.direct_weight[v * inputs + i];
                }
            }
        }
        for j in 0..units {
            let d_sum = d_hidden[j] * (1.0 - forward.hidden[j] * forward.hidden[j]);
            gradients.hidden_bias[j] += d_sum;
            for i in 0..inputs {
                gradients.hidden_weight[j * inputs + i] += d_sum * forward.input[i];
                d_input[i] += d_sum * self.hidden_weight[j * inputs + i];
            }
        }
        for (place, &token) in context.iter().enumerate() {
            for k in 0..embedding {
                gradients.embedding[token as usize * embedding + k] += d_input[place * embedding + k];
            }
        }
    }

    /// Mean loss of some examples of a corpus, and its gradient.
    pub fn gradients(&self, corpus: &Corpus, examples: &[u32]) -> (f64, Network) {
        let mut gradients = Network::zeros(self.shape);
        let mut loss = 0.0;
        let scale = 1.0 / examples.len() as f64;
        for &example in examples {
            let (context, target) = (corpus.context_of(example as usize), corpus.target_of(example as usize));
            let forward = self.forward(context);
            loss += scale * Self::loss(&forward, target);
            self.backward(context, target, &forward, scale, &mut gradients);
        }
        (loss, gradients)
    }

    /// parameter - rate * gradient, for every parameter.
    pub fn update(&mut self, rate: f64, gradients: &mut Network) {
        for tensor in self.shape.tensors() {
            for (parameter, gradient) in self.tensor_mut(&tensor).iter_mut().zip(gradients.tensor_mut(&tensor)) {
                *parameter -= rate * *gradient;
            }
        }
    }
}

impl Reference {
    fn network(&self) -> &Network {
        self.network.as_ref().expect("parameters are loaded first")
    }
}

impl Engine for Reference {
    fn hardware(&self) -> Hardware {
        Hardware { device: "reference".into(), backend: "cpu".into(), driver: "plain f64 loops".into(), threads: 1 }
    }

    fn load(&mut self, parameters: &Parameters) -> Result<()> {
        self.network = Some(Network::from_parameters(parameters));
        Ok(())
    }

    fn parameters(&mut self) -> Result<Parameters> {
        Ok(self.network().to_parameters())
    }

    fn prepare(&mut self, corpus: Arc<Corpus>, plan: BatchPlan) -> Result<()> {
        self.training = Some((corpus, plan));
        Ok(())
    }

    fn train(&mut self, first_step: u64, rates: &[f32]) -> Result<Vec<f32>> {
        let (corpus, plan) = self.training.as_ref().expect("training is prepared first");
        let network = self.network.as_mut().expect("parameters are loaded first");
        let steps = (first_step..).zip(rates);
        let losses = steps.map(|(step, &rate)| {
            let (loss, mut gradients) = network.gradients(corpus, &plan.batch(step));
            network.update(rate.into(), &mut gradients);
            loss as f32
        });
        Ok(losses.collect())
    }

    fn log_probabilities(&mut self, corpus: &Corpus) -> Result<Vec<f32>> {
        let network = self.network();
        let loss = |example| Network::loss(&network.forward(corpus.context_of(example)), corpus.target_of(example));
        Ok((0..corpus.len()).map(|example| -loss(example) as f32).collect())
    }

    fn distributions(&mut self, contexts: &[u32]) -> Result<Vec<f32>> {
        let network = self.network();
        let rows = contexts.chunks_exact(network.shape.context);
        Ok(rows.flat_map(|context| network.forward(context).probabilities).map(|p| p as f32).collect())
    }

    fn examine(&mut self, corpus: &Corpus) -> Result<Examination> {
        let network = self.network();
        let examples: Vec<u32> = (0..corpus.len() as u32).collect();
        let (loss, gradients) = network.gradients(corpus, &examples);
        let passes: Vec<Forward> =
            examples.iter().map(|&example| network.forward(corpus.context_of(example as usize))).collect();
        let rounded = |rows: fn(&Forward) -> &Vec<f64>| passes.iter().flat_map(rows).map(|&x| x as f32).collect();
        Ok(Examination {
            hidden: rounded(|pass| &pass.hidden),
            logits: rounded(|pass| &pass.logits),
            loss,
            gradients: gradients.to_parameters(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Init;
    use crate::model::initial::initial;

    /// The analytic gradient of every parameter against (f(p + e) - f(p - e)) / 2e.
    fn compare_with_finite_differences(shape: Shape) {
        let mut network = Network::from_parameters(&initial(shape, Init::Lecture, 3));
        // The first context holds one token twice, the last target is the last token.
        let contexts: Vec<u32> = vec![1, 1, 0, 2, 4, 3, 0, 0, 0];
        let corpus = Corpus::from_examples(&contexts, &[2, 0, 4], 3);
        let examples = [0, 1, 2];
        let (_, mut gradients) = network.gradients(&corpus, &examples);
        let step = 1e-5;
        for tensor in shape.tensors() {
            for index in 0..tensor.range.len() {
                let kept = network.tensor_mut(&tensor)[index];
                let mut loss_at = |value: f64| {
                    network.tensor_mut(&tensor)[index] = value;
                    network.gradients(&corpus, &examples).0
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

    const SHAPE: Shape = Shape { vocabulary: 5, context: 3, embedding: 2, hidden: 4, direct: false };

    #[test]
    fn gradients_are_those_of_finite_differences() {
        compare_with_finite_differences(SHAPE);
    }

    #[test]
    fn gradients_with_direct_connections_are_those_of_finite_differences() {
        compare_with_finite_differences(Shape { direct: true, ..SHAPE });
    }

    #[test]
    fn probabilities_sum_to_one_and_huge_logits_stay_finite() {
        let mut network = Network::from_parameters(&initial(SHAPE, Init::Lecture, 3));
        network.output_bias[1] = 2000.0;
        network.output_bias[2] = -2000.0;
        let forward = network.forward(&[0, 1, 2]);
        assert!((forward.probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        let loss = Network::loss(&forward, 2);
        assert!((loss - 4000.0).abs() < 10.0, "{loss}");
    }
}
