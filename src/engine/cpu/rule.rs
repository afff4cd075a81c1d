//! The update rules and the average of the weights, number by number.

use super::lanes::{InstructionSet, Job};
use crate::engine::{Optimizer, Recipe};

/// One step of the update rule for some rows.
pub(super) struct Rule<'a> {
    pub(super) recipe: Recipe,
    pub(super) rate: f32,
    /// What the gradient is multiplied with first.
    pub(super) clip: f32,
    /// AdamW's factors of mean and squares.
    pub(super) corrections: [f32; 2],
    /// [rows, decay.len()], like all that follow.
    pub(super) parameters: &'a mut [f32],
    pub(super) gradients: &'a [f32],
    /// Empty where the rule keeps none.
    pub(super) velocity: &'a mut [f32],
    /// Empty where the rule keeps none.
    pub(super) squares: &'a mut [f32],
    /// The weight decay of each column.
    pub(super) decay: &'a [f32],
}

impl Job for Rule<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: InstructionSet>(self) {
        let Rule { recipe, rate, clip, corrections: [first, second], parameters, gradients, .. } = self;
        let Rule { velocity, squares, decay, .. } = self;
        let Recipe { momentum, beta1, beta2, epsilon, .. } = recipe;
        let width = decay.len();
        let rows = parameters.chunks_exact_mut(width).zip(gradients.chunks_exact(width)).enumerate();
        for (row, (parameters, gradients)) in rows {
            let range = row * width..(row + 1) * width;
            match recipe.optimizer {
                Optimizer::Sgd => {
                    for ((p, g), &decay) in parameters.iter_mut().zip(gradients).zip(decay) {
                        *p -= rate * (clip * g + decay * *p);
                    }
                }
                Optimizer::Momentum => {
                    let velocity = &mut velocity[range];
                    for (((p, g), &decay), v) in parameters.iter_mut().zip(gradients).zip(decay).zip(velocity) {
                        *v = momentum * *v + clip * g;
                        *p -= rate * (*v + decay * *p);
                    }
                }
                Optimizer::Adagrad => {
                    let squares = &mut squares[range];
                    for (((p, g), &decay), s) in parameters.iter_mut().zip(gradients).zip(decay).zip(squares) {
                        let g = clip * g;
                        *s += g * g;
                        *p -= rate * (g / (s.sqrt() + epsilon) + decay * *p);
                    }
                }
                Optimizer::Adamw => {
                    let (velocity, squares) = (&mut velocity[range.clone()], &mut squares[range]);
                    let carried = velocity.iter_mut().zip(squares);
                    for (((p, g), &decay), (m, s)) in parameters.iter_mut().zip(gradients).zip(decay).zip(carried) {
                        let g = clip * g;
                        *m = beta1 * *m + (1.0 - beta1) * g;
                        *s = beta2 * *s + (1.0 - beta2) * (g * g);
                        *p -= rate * (first * *m / ((second * *s).sqrt() + epsilon) + decay * *p);
                    }
                }
            }
        }
    }
}

/// average = keeps * average + (1 - keeps) * parameter.
pub(super) struct Average<'a> {
    pub(super) average: &'a mut [f32],
    pub(super) parameters: &'a [f32],
    pub(super) keeps: f32,
}

impl Job for Average<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: InstructionSet>(self) {
        for (average, parameter) in self.average.iter_mut().zip(self.parameters) {
            *average = self.keeps * *average + (1.0 - self.keeps) * parameter;
        }
    }
}
