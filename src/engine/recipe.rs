//! How a step changes the parameters: the update rule with all that goes with it. Everything that varies from step to
//! step is a pure function of the step, so that a run is resumed by its number.

use serde::{Deserialize, Serialize};

use crate::model::Parameters;
use crate::text::random::{Purpose, threefry};

/// How a gradient g changes a parameter p with the rate η.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Optimizer {
    /// Stochastic gradient descent: p -= η g.
    #[default]
    Sgd,
    /// v = μ v + g; p -= η v (Polyak 1964).
    Momentum,
    /// s += g²; p -= η g / (√s + ε) (Duchi, Hazan, Singer 2011).
    Adagrad,
    /// m = β1 m + (1 - β1) g; s = β2 s + (1 - β2) g²; p -= η m̂ / (√ŝ + ε), with m̂ = m / (1 - β1^t) and
    /// ŝ = s / (1 - β2^t) at the t-th step (Kingma and Ba 2015; Loshchilov and Hutter 2019).
    Adamw,
}

/// How a run updates its parameters. The default is plain stochastic gradient descent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// The update rule.
    pub optimizer: Optimizer,
    /// `momentum`: μ, the share of the last velocity that is kept.
    pub momentum: f32,
    /// `adamw`: β1, the share of the mean gradient that is kept.
    pub beta1: f32,
    /// `adamw`: β2, the share of the mean squared gradient that is kept.
    pub beta2: f32,
    /// `adagrad`, `adamw`: ε, added to the root.
    pub epsilon: f32,
    /// λ: every rule also takes p -= η λ p, for weights and embeddings but not for biases.
    pub weight_decay: f32,
    /// Probability that a number of the input (the concatenated embeddings) is dropped in a step.
    pub dropout_embedding: f32,
    /// Probability that a hidden unit is dropped in a step.
    pub dropout_hidden: f32,
    /// A gradient whose Euclidean norm over all parameters is larger is scaled down to this norm; 0 is never.
    pub clip_norm: f32,
    /// α: the average of the weights keeps so much of itself a step (exponential moving average); 0 is no average.
    pub average: f32,
}

impl Default for Recipe {
    fn default() -> Self {
        Recipe {
            optimizer: Optimizer::Sgd,
            momentum: 0.9,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
            dropout_embedding: 0.0,
            dropout_hidden: 0.0,
            clip_norm: 0.0,
            average: 0.0,
        }
    }
}

impl Recipe {
    /// Whether an update is p -= η g and nothing else.
    pub fn is_plain(&self) -> bool {
        self.optimizer == Optimizer::Sgd
            && [self.weight_decay, self.dropout_embedding, self.dropout_hidden, self.clip_norm, self.average]
                == [0.0; 5]
    }

    /// Whether the rule keeps a mean of gradients: momentum's v, AdamW's m.
    pub fn keeps_velocity(&self) -> bool {
        matches!(self.optimizer, Optimizer::Momentum | Optimizer::Adamw)
    }

    /// Whether the rule keeps squares of gradients: AdaGrad's and AdamW's s.
    pub fn keeps_squares(&self) -> bool {
        matches!(self.optimizer, Optimizer::Adagrad | Optimizer::Adamw)
    }

    /// AdamW's factors 1 / (1 - β^t) of m and s in the step number `step`, counted from 0; one for the other rules.
    pub fn corrections(&self, step: u64) -> [f32; 2] {
        let power = step.saturating_add(1).min(i32::MAX as u64) as i32;
        let correction = |beta: f32| (1.0 / (1.0 - f64::from(beta).powi(power))) as f32;
        match self.optimizer {
            Optimizer::Adamw => [correction(self.beta1), correction(self.beta2)],
            _ => [1.0; 2],
        }
    }

    /// What the average keeps of itself in a step: less at first, so that it forgets where the run began.
    pub fn average_keeps(&self, step: u64) -> f32 {
        let steps = step as f64;
        f64::from(self.average).min((1.0 + steps) / (10.0 + steps)) as f32
    }

    /// The dropout of the input.
    pub fn input_mask(&self, seed: u32) -> Mask {
        Mask::new(self.dropout_embedding, seed, Purpose::DropoutEmbedding)
    }

    /// The dropout of the hidden units.
    pub fn hidden_mask(&self, seed: u32) -> Mask {
        Mask::new(self.dropout_hidden, seed, Purpose::DropoutHidden)
    }
}

/// Which numbers of an activation are dropped: a pure function of seed, step and place, the same on every engine
/// (`shaders/shared/dropout.wgsl` is the twin).
///
/// Number `unit` of the `width` numbers of example `lane` is word `unit % 2` of Threefry with the key (seed, purpose) and
/// the counter (step, lane * ceil(width / 2) + unit / 2); it is dropped where the word is below [`Mask::threshold`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mask {
    /// The first half of the key.
    pub seed: u32,
    /// The second half.
    pub purpose: Purpose,
    /// The probability of dropping times 2^32; 0 is no dropout.
    pub threshold: u32,
    /// What the kept numbers are multiplied with, 1 / (1 - probability), so that the mean stays.
    pub kept: f32,
}

impl Mask {
    fn new(probability: f32, seed: u32, purpose: Purpose) -> Self {
        let probability = f64::from(probability);
        let threshold = (probability * 4_294_967_296.0) as u32;
        Mask { seed, purpose, threshold, kept: (1.0 / (1.0 - probability)) as f32 }
    }

    /// Whether anything is dropped at all.
    pub fn is_on(&self) -> bool {
        self.threshold > 0
    }

    /// What the numbers of one example are multiplied with in a step, `[width]`.
    pub fn of_example(&self, step: u64, lane: usize, width: usize) -> Vec<f32> {
        (0..width)
            .map(|unit| {
                let place = lane.wrapping_mul(width.div_ceil(2)).wrapping_add(unit / 2) as u32;
                let word = threefry([self.seed, self.purpose as u32], [step as u32, place])[unit % 2];
                if word < self.threshold { 0.0 } else { self.kept }
            })
            .collect()
    }
}

/// Everything that training carries from step to step.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// The parameters.
    pub parameters: Parameters,
    /// Mean gradient (momentum's v, AdamW's m), where the rule keeps one.
    pub velocity: Option<Parameters>,
    /// Squared gradients (s), where the rule keeps them.
    pub squares: Option<Parameters>,
    /// The average of the weights, where there is one.
    pub average: Option<Parameters>,
}

impl State {
    /// The state before the first step.
    pub fn new(parameters: Parameters, recipe: &Recipe) -> Self {
        let zeros = || Parameters::zeros(parameters.shape());
        State {
            velocity: recipe.keeps_velocity().then(zeros),
            squares: recipe.keeps_squares().then(zeros),
            average: (recipe.average > 0.0).then(|| parameters.clone()),
            parameters,
        }
    }

    /// The parameters of a finished model, with nothing to go on from.
    pub fn of_model(parameters: Parameters) -> Self {
        State { parameters, velocity: None, squares: None, average: None }
    }

    /// What training carries beside the parameters, by the prefix that its tensors have in a model file.
    pub fn carried(&self) -> [(&'static str, Option<&Parameters>); 3] {
        [("velocity", self.velocity.as_ref()), ("squares", self.squares.as_ref()), ("average", self.average.as_ref())]
    }

    /// The parameters that a user gets: the average where there is one.
    pub fn best(&self) -> &Parameters {
        self.average.as_ref().unwrap_or(&self.parameters)
    }

    /// The name of the first tensor with a number that is not finite, which no model file may hold.
    pub fn not_finite(&self) -> Option<String> {
        let carried = self.carried().into_iter().filter_map(|(prefix, of)| Some((format!("{prefix}."), of?)));
        let mut all = std::iter::once((String::new(), &self.parameters)).chain(carried);
        all.find_map(|(prefix, parameters)| {
            let (tensor, _) = parameters.tensors().find(|(_, values)| values.iter().any(|value| !value.is_finite()))?;
            Some(format!("{prefix}{}", tensor.name))
        })
    }

    /// Whether the state has what the recipe needs and nothing else.
    pub fn fits(&self, recipe: &Recipe) -> bool {
        self.velocity.is_some() == recipe.keeps_velocity()
            && self.squares.is_some() == recipe.keeps_squares()
            && self.average.is_some() == (recipe.average > 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_drops_its_share_and_keeps_the_mean() {
        let recipe = Recipe { dropout_hidden: 0.3, ..Recipe::default() };
        let mask = recipe.hidden_mask(7);
        let values: Vec<f32> = (0..400).flat_map(|lane| mask.of_example(3, lane, 251)).collect();
        let dropped = values.iter().filter(|&&value| value == 0.0).count() as f64 / values.len() as f64;
        assert!((dropped - 0.3).abs() < 0.005, "{dropped}");
        let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / values.len() as f64;
        assert!((mean - 1.0).abs() < 0.01, "{mean}");
        assert_ne!(mask.of_example(3, 0, 251), mask.of_example(4, 0, 251));
        assert_ne!(mask.of_example(3, 0, 251), mask.of_example(3, 1, 251));
        assert_ne!(mask.of_example(3, 0, 251), recipe.hidden_mask(8).of_example(3, 0, 251));
        assert!(!recipe.input_mask(7).is_on());
    }

    #[test]
    fn a_mask_is_fixed_for_good() {
        // The values of this program's first release with dropout: a change would change every run with dropout.
        let mask = Recipe { dropout_hidden: 0.5, ..Recipe::default() }.hidden_mask(42);
        let bits: Vec<u8> = mask.of_example(1, 2, 9).iter().map(|&value| u8::from(value > 0.0)).collect();
        let words: Vec<u32> =
            (9..14).flat_map(|place| threefry([42, Purpose::DropoutHidden as u32], [1, place + 1])).collect();
        let expected: Vec<u8> = words[..9].iter().map(|&word| u8::from(word >= 1 << 31)).collect();
        assert_eq!(bits, expected);
    }

    #[test]
    fn the_average_and_the_corrections_follow_the_step() {
        let recipe = Recipe { optimizer: Optimizer::Adamw, average: 0.99, ..Recipe::default() };
        assert_eq!(recipe.average_keeps(0), 0.1);
        assert_eq!(recipe.average_keeps(1_000_000), 0.99);
        let [first, second] = recipe.corrections(0);
        assert!((first - 10.0).abs() < 1e-4 && (second - 1000.0).abs() < 0.1, "{first} {second}");
        assert_eq!(recipe.corrections(u64::MAX), [1.0; 2]);
        assert_eq!(Recipe::default().corrections(0), [1.0; 2]);
    }
}
