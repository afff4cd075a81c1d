//! The flags that fix a run, and the checked settings that they become.

use std::path::PathBuf;

use clap::Args;

use crate::engine::{Optimizer, Recipe};
use crate::model::Init;
use crate::text::data::VocabularyFrom;
use crate::text::{Order, Split};
use crate::train::directory::Texts;
use crate::train::{Preset, ScheduleKind, Settings};
use crate::{Error, Result};

#[derive(Debug, Args)]
pub(super) struct SettingArgs {
    /// Where the defaults come from
    #[arg(long, value_name = "P", help_heading = "Run")]
    preset: Option<Preset>,

    /// Fixes every random choice
    #[arg(long, value_name = "N", help_heading = "Run")]
    seed: Option<u32>,

    /// A validation part of its own, instead of a share of TEXT
    #[arg(long, value_name = "FILE", help_heading = "Text")]
    pub(super) valid: Option<PathBuf>,

    /// A test part of its own, instead of a share of TEXT
    #[arg(long, value_name = "FILE", help_heading = "Text")]
    pub(super) test: Option<PathBuf>,

    /// Shares of the lines for training, validation and test, shuffled by the seed [default: 80/10/10]
    #[arg(long, value_name = "A/B/C", help_heading = "Text")]
    split: Option<Split>,

    /// Where the vocabulary comes from [default: train]
    #[arg(long, value_name = "PART", help_heading = "Text")]
    vocab_from: Option<VocabularyFrom>,

    /// Tokens of context (the paper's n is one more) [default: 3]
    #[arg(long, value_name = "N", help_heading = "Network")]
    context: Option<usize>,

    /// Numbers in a token's embedding (the paper's m) [default: 10; notebook: 2]
    #[arg(long, value_name = "N", help_heading = "Network")]
    embedding: Option<usize>,

    /// Hidden units (the paper's h) [default: 200; notebook: 100]
    #[arg(long, value_name = "N", help_heading = "Network")]
    hidden: Option<usize>,

    /// Connect the input to the output directly as well (the paper's W)
    #[arg(long, help_heading = "Network")]
    direct: bool,

    /// The embeddings serve as output weights as well; needs --hidden equal to --embedding
    #[arg(long, help_heading = "Network")]
    tied: bool,

    /// How the parameters begin [default: scaled]
    #[arg(long, value_name = "I", help_heading = "Network")]
    init: Option<Init>,

    /// Training steps [default: 200000]
    #[arg(long, value_name = "N", help_heading = "Training")]
    steps: Option<u64>,

    /// How often each example is met, instead of --steps
    #[arg(long, value_name = "N", help_heading = "Training", conflicts_with = "steps")]
    epochs: Option<f64>,

    /// Examples in a step [default: 32]
    #[arg(long, value_name = "N", help_heading = "Training")]
    batch: Option<u32>,

    /// The order of the examples [default: shuffled; makemore: sampled]
    #[arg(long, value_name = "O", help_heading = "Training")]
    order: Option<Order>,

    #[command(flatten)]
    recipe: RecipeArgs,

    /// First learning rate [default: 0.1]
    #[arg(long, value_name = "R", help_heading = "Training")]
    rate: Option<f32>,

    /// How the rate changes [default: step]
    #[arg(long, value_name = "S", help_heading = "Training")]
    schedule: Option<ScheduleKind>,

    /// Steps in which the rate rises to its value [default: 0]
    #[arg(long, value_name = "N", help_heading = "Training")]
    warm_up: Option<u64>,

    /// step: the share of the run after which the rate falls [default: 0.5]
    #[arg(long, value_name = "X", help_heading = "Training")]
    decay_at: Option<f64>,

    /// step: what the rate is multiplied with; linear, cosine: the last rate over the first [default: 0.1]
    #[arg(long, value_name = "X", help_heading = "Training")]
    decay_factor: Option<f64>,

    /// inverse: r in the paper's rate / (1 + r t) [default: 1e-8]
    #[arg(long, value_name = "R", help_heading = "Training")]
    inverse_r: Option<f64>,

    /// Steps between validations [default: a twentieth of the run]
    #[arg(long, value_name = "N", help_heading = "Reports")]
    eval_every: Option<u64>,

    /// Steps between reports of the training loss [default: as --eval-every]
    #[arg(long, value_name = "N", help_heading = "Reports")]
    report_every: Option<u64>,

    /// Stop after N validations without a better one; 0 is never [default: 0]
    #[arg(long, value_name = "N", help_heading = "Reports")]
    patience: Option<u64>,
}

/// The update rule and what goes with it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Update")]
struct RecipeArgs {
    /// The update rule [default: sgd]
    #[arg(long, value_name = "O")]
    optimizer: Option<Optimizer>,

    /// Decay of weights and embeddings, not of biases: each step takes rate * X of them [default: 0]
    #[arg(long, value_name = "X")]
    weight_decay: Option<f32>,

    /// Probability of dropping a number of the input and a hidden unit [default: 0]
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

    /// Evaluate and keep an average of the weights that keeps X of itself a step; 0 is none [default: 0]
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

impl RecipeArgs {
    /// A preset's recipe with what the flags change.
    fn over(&self, preset: Recipe) -> Recipe {
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

impl SettingArgs {
    /// The settings after presets and defaults, checked. The texts are cut where --epochs needs their length.
    pub(super) fn settings(&self, texts: &Texts) -> Result<Settings> {
        let preset = self.preset.unwrap_or(Preset::Makemore);
        let (embedding, hidden, order) = match preset {
            Preset::Makemore => (10, 200, Order::Sampled),
            Preset::Notebook => (2, 100, Order::Shuffled),
        };
        let mut settings = Settings {
            preset,
            context: self.context.unwrap_or(3),
            embedding: self.embedding.unwrap_or(embedding),
            hidden: self.hidden.unwrap_or(hidden),
            direct: self.direct,
            tied: self.tied,
            init: self.init.unwrap_or(Init::Scaled),
            steps: self.steps.unwrap_or(200_000),
            batch: self.batch.unwrap_or(32),
            order: self.order.unwrap_or(order),
            rate: self.rate.unwrap_or(0.1),
            schedule: self.schedule.unwrap_or(ScheduleKind::Step),
            decay_at: self.decay_at.unwrap_or(0.5),
            decay_factor: self.decay_factor.unwrap_or(0.1),
            inverse_r: self.inverse_r.unwrap_or(1e-8),
            eval_every: self.eval_every.unwrap_or(1),
            report_every: self.report_every.unwrap_or(1),
            patience: self.patience.unwrap_or(0),
            seed: self.seed.unwrap_or(42),
            split: self.split.unwrap_or_default(),
            vocabulary_from: self.vocab_from.unwrap_or(VocabularyFrom::Train),
            text_sha256: texts.sha256(),
            warm_up: self.warm_up.unwrap_or(0),
            recipe: self.recipe.over(Recipe::default()),
        };
        settings.check().map_err(Error::usage)?;
        if let Some(epochs) = self.epochs.filter(|epochs| !(epochs.is_finite() && *epochs > 0.0)) {
            return Err(Error::usage(format!("--epochs is {epochs}: it must be a number above 0")));
        }
        if let Some(epochs) = self.epochs {
            let examples = texts.data(&settings, None)?.train.len() as f64;
            settings.steps = (epochs * examples / f64::from(settings.batch)).ceil() as u64;
        }
        settings.eval_every = self.eval_every.unwrap_or(settings.steps.div_ceil(20));
        settings.report_every = self.report_every.unwrap_or(settings.eval_every);
        settings.check().map_err(Error::usage)?;
        Ok(settings)
    }
}
