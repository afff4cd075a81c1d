//! The options of the update rule.

use clap::Args;

use crate::engine::{Optimizer, Recipe};

/// The update rule and what goes with it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Update")]
pub(super) struct RecipeOptions {
    /// The update rule [default: sgd; names, words: adamw]
    #[arg(long, value_name = "O")]
    optimizer: Option<Optimizer>,

    /// Decay of weights and embeddings, not of biases: each step takes rate * X of them [default: by preset]
    #[arg(long, value_name = "X")]
    weight_decay: Option<f32>,

    /// Probability of dropping a number of the input and a hidden unit [default: by preset]
    #[arg(long, value_name = "X")]
    dropout: Option<f32>,

    /// The same for the input alone
    #[arg(long, value_name = "X")]
    dropout_embedding: Option<f32>,

    /// The same for the hidden units alone
    #[arg(long, value_name = "X")]
    dropout_hidden: Option<f32>,

    /// Scale longer gradients down to this norm; 0 is never [default: 0]
    #[arg(long, value_name = "X")]
    clip_norm: Option<f32>,

    /// Evaluate and keep an average of the weights that keeps X of itself a step; 0 is none [default: by preset]
    #[arg(long, value_name = "X")]
    average: Option<f32>,

    /// momentum: the share of the last step that is kept [default: 0.9]
    #[arg(long, value_name = "X")]
    momentum: Option<f32>,

    /// adamw: the share of the mean gradient that is kept [default: 0.9]
    #[arg(long, value_name = "X")]
    beta1: Option<f32>,

    /// adamw: the share of the mean squared gradient that is kept [default: 0.999]
    #[arg(long, value_name = "X")]
    beta2: Option<f32>,

    /// adagrad, adamw: added to the root of the squared gradients [default: 1e-8]
    #[arg(long, value_name = "X")]
    epsilon: Option<f32>,
}

impl RecipeOptions {
    /// A preset's recipe with what the flags change.
    pub(super) fn over(&self, preset: Recipe) -> Recipe {
        let dropout = |own: Option<f32>, preset| own.or(self.dropout).unwrap_or(preset);
        Recipe {
            optimizer: self.optimizer.unwrap_or(preset.optimizer),
            momentum: self.momentum.unwrap_or(preset.momentum),
            beta1: self.beta1.unwrap_or(preset.beta1),
            beta2: self.beta2.unwrap_or(preset.beta2),
            epsilon: self.epsilon.unwrap_or(preset.epsilon),
            weight_decay: self.weight_decay.unwrap_or(preset.weight_decay),
            dropout_embedding: dropout(self.dropout_embedding, preset.dropout_embedding),
            dropout_hidden: dropout(self.dropout_hidden, preset.dropout_hidden),
            clip_norm: self.clip_norm.unwrap_or(preset.clip_norm),
            average: self.average.unwrap_or(preset.average),
        }
    }
}
