//! What a gradient does to the parameters.

use super::Network;
use crate::engine::{Optimizer, Recipe};

/// What the update rule carries from step to step, in double precision.
#[derive(Clone)]
pub struct Carried {
    /// Momentum's v, AdamW's m.
    pub velocity: Option<Network>,
    /// AdaGrad's and AdamW's s.
    pub squares: Option<Network>,
    /// The average of the weights.
    pub average: Option<Network>,
}

impl Carried {
    /// Before the first step: zeros, and the average at the parameters.
    pub fn new(network: &Network, recipe: &Recipe) -> Self {
        let zeros = || Network::zeros(network.shape);
        Carried {
            velocity: recipe.keeps_velocity().then(zeros),
            squares: recipe.keeps_squares().then(zeros),
            average: (recipe.average > 0.0).then(|| network.clone()),
        }
    }
}

impl Network {
    /// One step of the update rule; `gradients` is that of the mean loss.
    pub fn update(&mut self, mut gradients: Network, carried: &mut Carried, recipe: &Recipe, step: u64, rate: f64) {
        let clip = clip_factor(&mut gradients, recipe.clip_norm.into());
        let [first, second] = recipe.corrections(step).map(f64::from);
        let (beta1, beta2) = (f64::from(recipe.beta1), f64::from(recipe.beta2));
        let epsilon = f64::from(recipe.epsilon);
        for tensor in self.shape.tensors() {
            let decay = if tensor.is_bias() { 0.0 } else { f64::from(recipe.weight_decay) };
            let mut velocity = carried.velocity.as_mut().map(|network| network.tensor_mut(&tensor));
            let mut squares = carried.squares.as_mut().map(|network| network.tensor_mut(&tensor));
            let gradients = gradients.tensor_mut(&tensor);
            for (index, parameter) in self.tensor_mut(&tensor).iter_mut().enumerate() {
                let g = clip * gradients[index];
                let change = match (recipe.optimizer, &mut velocity, &mut squares) {
                    (Optimizer::Sgd, ..) => g,
                    (Optimizer::Momentum, Some(v), _) => {
                        v[index] = f64::from(recipe.momentum) * v[index] + g;
                        v[index]
                    }
                    (Optimizer::Adagrad, _, Some(s)) => {
                        s[index] += g * g;
                        g / (s[index].sqrt() + epsilon)
                    }
                    (Optimizer::Adamw, Some(m), Some(s)) => {
                        m[index] = beta1 * m[index] + (1.0 - beta1) * g;
                        s[index] = beta2 * s[index] + (1.0 - beta2) * g * g;
                        first * m[index] / ((second * s[index]).sqrt() + epsilon)
                    }
                    _ => unreachable!("the state of the update rule was made for another one"),
                };
                *parameter -= rate * (change + decay * *parameter);
            }
        }
        if let Some(average) = &mut carried.average {
            let keeps = f64::from(recipe.average_keeps(step));
            for tensor in self.shape.tensors() {
                for (average, parameter) in average.tensor_mut(&tensor).iter_mut().zip(self.tensor_mut(&tensor)) {
                    *average = keeps * *average + (1.0 - keeps) * *parameter;
                }
            }
        }
    }
}

/// What the gradient is multiplied with so that its norm is at most `most`; one where `most` is 0.
fn clip_factor(gradients: &mut Network, most: f64) -> f64 {
    if most == 0.0 {
        return 1.0;
    }
    let mut squares = 0.0;
    for tensor in gradients.shape.tensors() {
        squares += gradients.tensor_mut(&tensor).iter().map(|g| g * g).sum::<f64>();
    }
    if squares.sqrt() > most { most / squares.sqrt() } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::shape::{EMBEDDING_WEIGHT, OUTPUT_BIAS, Shape};
    use crate::model::{Parameters, Tensor};

    const SHAPE: Shape = Shape { vocabulary: 2, context: 1, embedding: 1, hidden: 0, direct: true, tied: false };

    fn tensor(name: &str) -> Tensor {
        SHAPE.tensors().into_iter().find(|tensor| tensor.name == name).unwrap()
    }

    /// Two steps with the gradients 3 and -1 for the first embedding (which begins at 2) and the first bias (at 1), rate
    /// 0.5; returns what they are then.
    fn two_steps(recipe: Recipe) -> [f64; 2] {
        let mut network = Network::from_parameters(&Parameters::zeros(SHAPE));
        network.tensor_mut(&tensor(EMBEDDING_WEIGHT))[0] = 2.0;
        network.tensor_mut(&tensor(OUTPUT_BIAS))[0] = 1.0;
        let mut carried = Carried::new(&network, &recipe);
        for (step, gradient) in [3.0, -1.0].into_iter().enumerate() {
            let mut gradients = Network::zeros(SHAPE);
            gradients.tensor_mut(&tensor(EMBEDDING_WEIGHT))[0] = gradient;
            gradients.tensor_mut(&tensor(OUTPUT_BIAS))[0] = gradient;
            network.update(gradients, &mut carried, &recipe, step as u64, 0.5);
        }
        if let Some(average) = &mut carried.average {
            return [EMBEDDING_WEIGHT, OUTPUT_BIAS].map(|name| average.tensor_mut(&tensor(name))[0]);
        }
        [EMBEDDING_WEIGHT, OUTPUT_BIAS].map(|name| network.tensor_mut(&tensor(name))[0])
    }

    #[track_caller]
    fn assert_near(found: [f64; 2], expected: [f64; 2]) {
        assert!(found.iter().zip(expected).all(|(f, e)| (f - e).abs() < 1e-6), "{found:?}, expected {expected:?}");
    }

    #[test]
    fn each_rule_worked_by_hand() {
        let rule = |optimizer| Recipe { optimizer, momentum: 0.5, epsilon: 0.0, ..Recipe::default() };
        assert_near(two_steps(rule(Optimizer::Sgd)), [1.0, 0.0]);
        // v = 3, then 0.5 * 3 - 1 = 0.5.
        assert_near(two_steps(rule(Optimizer::Momentum)), [2.0 - 1.5 - 0.25, 1.0 - 1.5 - 0.25]);
        // s = 9, then 10: steps of 1 and -1/sqrt(10).
        let second = 0.5 / 10f64.sqrt();
        assert_near(two_steps(rule(Optimizer::Adagrad)), [1.5 + second, 0.5 + second]);
        // The first step of AdamW is the rate itself; m = 0.9 * 0.3 - 0.1 = 0.17 over 0.19, s = 0.999 * 0.009 + 0.001
        // over 0.001999.
        let second = 0.5 * (0.17 / 0.19) / (0.009991f64 / 0.001999).sqrt();
        assert_near(two_steps(rule(Optimizer::Adamw)), [1.5 - second, 0.5 - second]);
    }

    #[test]
    fn decay_takes_its_share_of_weights_and_nothing_of_biases() {
        let recipe = Recipe { weight_decay: 0.2, ..Recipe::default() };
        // 2 - 0.5 (3 + 0.4) = 0.3; 0.3 - 0.5 (-1 + 0.06) = 0.77.
        assert_near(two_steps(recipe), [0.77, 0.0]);
    }

    #[test]
    fn a_long_gradient_is_clipped_to_its_norm() {
        // The norms are 3 sqrt 2 and sqrt 2: the first is clipped to 2, the second is not.
        let recipe = Recipe { clip_norm: 2.0, ..Recipe::default() };
        let first = 0.5 * 2f64.sqrt();
        assert_near(two_steps(recipe), [2.0 - first + 0.5, 1.0 - first + 0.5]);
    }

    #[test]
    fn the_average_follows_the_weights() {
        // After the steps 0.5 and 1.0; it keeps 1/10, then 2/11.
        let recipe = Recipe { average: 0.99, ..Recipe::default() };
        let after = |begin: f64| 2.0 / 11.0 * (0.1 * begin + 0.9 * (begin - 1.5)) + 9.0 / 11.0 * (begin - 1.0);
        assert_near(two_steps(recipe), [after(2.0), after(1.0)]);
    }
}
