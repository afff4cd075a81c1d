//! What each position of a context adds to a logit.
//!
//! A position is absent when its embedding is replaced by a baseline. The contribution of a position to a logit is its
//! Shapley value: what the position's presence adds to the logit, as a mean over all orders in which the positions can
//! come in. The contributions of all positions sum to the logit of the context less the logit of the baseline alone.
//!
//! Logits are linear in the hidden units and, with direct connections, in the input. So the Shapley values of the hidden
//! units, taken once over all 2^n sets of present positions, give those of every logit exactly; and the share of the direct
//! connections is `W_direct` times (embedding - baseline), whatever else is present.

use super::parameters::Parameters;
use super::shape::{DIRECT_WEIGHT, EMBEDDING_WEIGHT, HIDDEN_BIAS, HIDDEN_WEIGHT, OUTPUT_BIAS, OUTPUT_WEIGHT, Shape};

/// The longest context that is explained: the work doubles with each position.
pub const LONGEST_CONTEXT: usize = 16;

/// The contributions of a context's positions to all logits.
pub struct Explanation<'a> {
    parameters: &'a Parameters,
    /// The embeddings of the context, [n*d].
    input: Vec<f64>,
    /// The baseline for each number of the input, [n*d].
    baseline: Vec<f64>,
    /// The hidden units where all positions are absent, and where all are present, [h].
    hidden: [Vec<f64>; 2],
    /// Shapley values of the hidden units, [n, h].
    shares: Vec<f64>,
}

/// What makes up a logit.
#[derive(Clone, Debug, PartialEq)]
pub struct Contributions {
    /// The logit after the context.
    pub logit: f64,
    /// The logit where all positions are absent.
    pub baseline: f64,
    /// What each position adds through the hidden units, `[n]`, oldest first.
    pub hidden: Vec<f64>,
    /// What each position adds through the direct connections, `[n]`; zero without them.
    pub direct: Vec<f64>,
}

impl Contributions {
    /// Those of the difference of two logits: of the log-odds of one token against another.
    pub fn against(&self, other: &Contributions) -> Contributions {
        let less = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a - b).collect();
        Contributions {
            logit: self.logit - other.logit,
            baseline: self.baseline - other.baseline,
            hidden: less(&self.hidden, &other.hidden),
            direct: less(&self.direct, &other.direct),
        }
    }

    /// What each position adds, `[n]`.
    pub fn positions(&self) -> impl Iterator<Item = f64> {
        self.hidden.iter().zip(&self.direct).map(|(hidden, direct)| hidden + direct)
    }
}

/// The mean of all embeddings, each token counting the same, `[d]`.
pub fn mean_embedding(parameters: &Parameters) -> Vec<f64> {
    let Shape { embedding, vocabulary, .. } = parameters.shape();
    let mut mean = vec![0.0; embedding];
    for row in parameters.tensor(EMBEDDING_WEIGHT).chunks_exact(embedding) {
        add(&mut mean, row.iter().map(|&x| f64::from(x) / vocabulary as f64));
    }
    mean
}

/// The embedding of a token, `[d]`.
pub fn embedding_of(parameters: &Parameters, token: u32) -> Vec<f64> {
    let width = parameters.shape().embedding;
    let row = &parameters.tensor(EMBEDDING_WEIGHT)[token as usize * width..][..width];
    row.iter().map(|&x| f64::from(x)).collect()
}

impl<'a> Explanation<'a> {
    /// Explains a context of n ids, oldest first, by a baseline in the place of a token's embedding, `[d]`.
    ///
    /// Errors: the context is longer than [`LONGEST_CONTEXT`].
    pub fn new(parameters: &'a Parameters, context: &[u32], baseline: &[f64]) -> Result<Self, String> {
        let shape = parameters.shape();
        assert_eq!((context.len(), baseline.len()), (shape.context, shape.embedding), "a token for each position");
        if shape.context > LONGEST_CONTEXT {
            return Err(format!(
                "the model looks at {} tokens, and an exact explanation goes through all 2^{} sets of them: at most \
                 {LONGEST_CONTEXT} tokens can be explained",
                shape.context, shape.context
            ));
        }
        let input: Vec<f64> = context.iter().flat_map(|&token| embedding_of(parameters, token)).collect();
        let baseline = baseline.repeat(shape.context);
        let mut explanation =
            Explanation { parameters, input, baseline, hidden: [Vec::new(), Vec::new()], shares: Vec::new() };
        if shape.hidden > 0 {
            explanation.share_hidden();
        }
        Ok(explanation)
    }

    /// The Shapley values of the hidden units.
    fn share_hidden(&mut self) {
        let Shape { context, embedding, hidden, .. } = self.parameters.shape();
        let weight = self.parameters.tensor(HIDDEN_WEIGHT);
        // The sums before tanh where nothing is present, and what each position adds to them, [n, h].
        let mut absent: Vec<f64> = self.parameters.tensor(HIDDEN_BIAS).iter().map(|&b| b.into()).collect();
        let mut added = vec![0.0; context * hidden];
        for (unit, weights) in weight.chunks_exact(context * embedding).enumerate() {
            absent[unit] += product(weights, &self.baseline);
            for position in 0..context {
                let part = position * embedding..(position + 1) * embedding;
                let difference = product(&weights[part.clone()], &self.input[part.clone()])
                    - product(&weights[part.clone()], &self.baseline[part]);
                added[position * hidden + unit] = difference;
            }
        }
        self.shares = vec![0.0; context * hidden];
        // A set of s positions comes before a given further one in s! (n - s - 1)! of the n! orders.
        let weights = order_shares(context);
        for present in 0..1usize << context {
            let mut units = absent.clone();
            for position in (0..context).filter(|position| present >> position & 1 == 1) {
                add(&mut units, added[position * hidden..][..hidden].iter().copied());
            }
            units.iter_mut().for_each(|unit| *unit = unit.tanh());
            let size = present.count_ones() as usize;
            for position in 0..context {
                let share = if present >> position & 1 == 1 { weights[size - 1] } else { -weights[size] };
                add(&mut self.shares[position * hidden..][..hidden], units.iter().map(|unit| share * unit));
            }
            if size == 0 {
                self.hidden[0].clone_from(&units);
            }
            if size == context {
                self.hidden[1] = units;
            }
        }
    }

    /// The contributions to the logit of a token.
    pub fn of(&self, target: u32) -> Contributions {
        let shape = self.parameters.shape();
        let (target, width) = (target as usize, shape.embedding);
        let bias = f64::from(self.parameters.tensor(OUTPUT_BIAS)[target]);
        let mut result = Contributions {
            logit: bias,
            baseline: bias,
            hidden: vec![0.0; shape.context],
            direct: vec![0.0; shape.context],
        };
        if shape.hidden > 0 {
            let name = if shape.tied { EMBEDDING_WEIGHT } else { OUTPUT_WEIGHT };
            let weights = &self.parameters.tensor(name)[target * shape.hidden..][..shape.hidden];
            result.baseline += product(weights, &self.hidden[0]);
            result.logit += product(weights, &self.hidden[1]);
            for (share, units) in result.hidden.iter_mut().zip(self.shares.chunks_exact(shape.hidden)) {
                *share = product(weights, units);
            }
        }
        if shape.direct {
            let weights = &self.parameters.tensor(DIRECT_WEIGHT)[target * shape.input()..][..shape.input()];
            result.baseline += product(weights, &self.baseline);
            result.logit += product(weights, &self.input);
            for (position, share) in result.direct.iter_mut().enumerate() {
                let part = position * width..(position + 1) * width;
                let (input, baseline) = (&self.input[part.clone()], &self.baseline[part.clone()]);
                *share = product(&weights[part.clone()], input) - product(&weights[part], baseline);
            }
        }
        result
    }
}

/// s! (n - s - 1)! / n! for s from 0 to n - 1.
fn order_shares(count: usize) -> Vec<f64> {
    let mut shares = vec![1.0 / count as f64];
    for size in 1..count {
        shares.push(shares[size - 1] * size as f64 / (count - size) as f64);
    }
    shares
}

fn product(weights: &[f32], values: &[f64]) -> f64 {
    weights.iter().zip(values).map(|(&weight, value)| f64::from(weight) * value).sum()
}

fn add(sums: &mut [f64], values: impl Iterator<Item = f64>) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Init, initial::initial};
    use crate::reference::{Dropout, Network};

    const SHAPE: Shape = Shape { vocabulary: 7, context: 4, embedding: 3, hidden: 5, direct: true, tied: false };

    fn logit(parameters: &Parameters, context: &[u32], target: u32) -> f64 {
        Network::from_parameters(parameters).forward(context, &Dropout::default()).logits[target as usize]
    }

    fn shapes() -> [Shape; 4] {
        [
            SHAPE,
            Shape { direct: false, ..SHAPE },
            Shape { hidden: 0, ..SHAPE },
            Shape { hidden: 3, tied: true, ..SHAPE },
        ]
    }

    #[test]
    fn contributions_sum_to_the_difference_of_the_logits() {
        for shape in shapes() {
            let parameters = initial(shape, Init::Lecture, 3, &[]);
            let context = [3, 0, 6, 3];
            let explanation = Explanation::new(&parameters, &context, &embedding_of(&parameters, 2)).unwrap();
            for target in 0..7 {
                let found = explanation.of(target);
                assert!((found.logit - logit(&parameters, &context, target)).abs() < 1e-12, "{shape:?}");
                assert!((found.baseline - logit(&parameters, &[2; 4], target)).abs() < 1e-12, "{shape:?}");
                let sum: f64 = found.positions().sum();
                assert!((sum - (found.logit - found.baseline)).abs() < 1e-12, "{shape:?}: {found:?}");
            }
            let odds = explanation.of(1).against(&explanation.of(4));
            assert!((odds.positions().sum::<f64>() - (odds.logit - odds.baseline)).abs() < 1e-12);
        }
    }

    #[test]
    fn a_contribution_is_the_mean_over_all_orders() {
        let parameters = initial(SHAPE, Init::Lecture, 5, &[]);
        let (context, target) = ([1, 4, 4, 5], 3);
        let mut sums = [0.0; 4];
        let mut orders = 0;
        for order in (0..256).map(|code| [code & 3, code >> 2 & 3, code >> 4 & 3, code >> 6]) {
            if (0..4).any(|position| !order.contains(&position)) {
                continue;
            }
            let mut present = [2; 4];
            let mut before = logit(&parameters, &present, target);
            for position in order {
                present[position] = context[position];
                let after = logit(&parameters, &present, target);
                sums[position] += after - before;
                before = after;
            }
            orders += 1;
        }
        assert_eq!(orders, 24);
        let found = Explanation::new(&parameters, &context, &embedding_of(&parameters, 2)).unwrap().of(target);
        for (sum, found) in sums.iter().zip(found.positions()) {
            assert!((sum / 24.0 - found).abs() < 1e-12, "{sums:?} {found}");
        }
    }

    #[test]
    fn a_token_like_the_baseline_contributes_nothing() {
        let mut parameters = initial(SHAPE, Init::Lecture, 5, &[]);
        // The mean with a token at the mean of the others is the same mean.
        let others = &parameters.tensor(EMBEDDING_WEIGHT)[..18];
        let mean: Vec<f32> = (0..3).map(|i| others.iter().skip(i).step_by(3).sum::<f32>() / 6.0).collect();
        parameters.tensor_mut(EMBEDDING_WEIGHT)[18..].copy_from_slice(&mean);
        let explanation = Explanation::new(&parameters, &[1, 6, 2, 6], &mean_embedding(&parameters)).unwrap();
        let found: Vec<f64> = explanation.of(0).positions().collect();
        assert!(found[1].abs() < 1e-5 && found[3].abs() < 1e-5, "{found:?}");
        assert!(found[0].abs() > 1e-3 && found[2].abs() > 1e-3, "{found:?}");
        assert!((explanation.of(0).baseline - logit(&parameters, &[6; 4], 0)).abs() < 1e-5);
    }

    #[test]
    fn a_context_too_long_is_refused() {
        let parameters = Parameters::zeros(Shape { context: 17, ..SHAPE });
        let reason = Explanation::new(&parameters, &[0; 17], &[0.0; 3]).err().unwrap();
        assert!(reason.contains("17 tokens"), "{reason}");
    }
}
