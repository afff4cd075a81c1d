//! The flags that fix a run, and the checked settings that they become.

use clap::Args;

use super::text_options::TextOptions;
use crate::model::Init;
use crate::text::{Kind, Order, Texts};
use crate::train::{Optimizer, Preset, ScheduleKind, Settings};
use crate::{Error, Result};

#[derive(Debug, Args)]
pub(super) struct SettingArgs {
    /// Where the defaults come from
    #[arg(long, value_name = "P", help_heading = "Run")]
    preset: Option<Preset>,

    /// Fixes every random choice
    #[arg(long, value_name = "N", help_heading = "Run")]
    seed: Option<u32>,

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

    /// The update rule [default: sgd]
    #[arg(long, value_name = "O", help_heading = "Training")]
    optimizer: Option<Optimizer>,

    /// First learning rate [default: 0.1]
    #[arg(long, value_name = "R", help_heading = "Training")]
    rate: Option<f32>,

    /// How the rate changes [default: step]
    #[arg(long, value_name = "S", help_heading = "Training")]
    schedule: Option<ScheduleKind>,

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

impl SettingArgs {
    /// The settings after presets and defaults, checked, but for what the texts decide.
    pub(super) fn settings(&self, text: &TextOptions) -> Result<Settings> {
        let preset = self.preset.unwrap_or(Preset::Makemore);
        let (embedding, hidden, order) = match preset {
            Preset::Makemore => (10, 200, Order::Sampled),
            Preset::Notebook => (2, 100, Order::Shuffled),
        };
        let seed = self.seed.unwrap_or(42);
        let text = text.settings(Kind::default(), seed)?;
        let settings = Settings {
            preset,
            context: self.context.unwrap_or(3),
            embedding: self.embedding.unwrap_or(embedding),
            hidden: self.hidden.unwrap_or(hidden),
            direct: self.direct,
            init: self.init.unwrap_or(Init::Scaled),
            steps: self.steps.unwrap_or(200_000),
            batch: self.batch.unwrap_or(32),
            order: self.order.unwrap_or(order),
            optimizer: self.optimizer.unwrap_or(Optimizer::Sgd),
            rate: self.rate.unwrap_or(0.1),
            schedule: self.schedule.unwrap_or(ScheduleKind::Step),
            decay_at: self.decay_at.unwrap_or(0.5),
            decay_factor: self.decay_factor.unwrap_or(0.1),
            inverse_r: self.inverse_r.unwrap_or(1e-8),
            eval_every: self.eval_every.unwrap_or(1),
            report_every: self.report_every.unwrap_or(1),
            patience: self.patience.unwrap_or(0),
            seed,
            tokens: text.kind.tokens,
            text: text.kind.text,
            marks: text.kind.marks,
            min_count: text.min_count,
            max_vocab: text.max_vocab,
            split: text.split,
            vocabulary_from: text.vocabulary_from,
            text_sha256: Vec::new(),
        };
        settings.check().map_err(Error::usage)?;
        if let Some(epochs) = self.epochs.filter(|epochs| !(epochs.is_finite() && *epochs > 0.0)) {
            return Err(Error::usage(format!("--epochs is {epochs}: it must be a number above 0")));
        }
        Ok(settings)
    }

    /// The same with what the texts decide: their identity, and the steps of --epochs.
    pub(super) fn settings_for(&self, mut settings: Settings, texts: &Texts) -> Result<Settings> {
        settings.text_sha256 = texts.sha256();
        if let Some(epochs) = self.epochs {
            let examples = texts.train_predictions(&settings.text_settings())? as f64;
            settings.steps = (epochs * examples / f64::from(settings.batch)).ceil() as u64;
        }
        settings.eval_every = self.eval_every.unwrap_or(settings.steps.div_ceil(20));
        settings.report_every = self.report_every.unwrap_or(settings.eval_every);
        settings.check().map_err(Error::usage)?;
        Ok(settings)
    }
}
