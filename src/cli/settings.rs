//! The flags that fix a run, and the checked settings that they become.

use clap::Args;

use super::recipe_options::RecipeOptions;
use super::text_options::TextOptions;
use crate::model::Init;
use crate::text::{Order, Texts};
use crate::train::preset::warm_up_of;
use crate::train::{Length, Preset, ScheduleKind, Settings};
use crate::{Error, Result};

#[derive(Debug, Args)]
pub(super) struct SettingArgs {
    /// Where the defaults come from
    #[arg(long, value_name = "P", help_heading = "Run")]
    preset: Option<Preset>,

    /// Fixes every random choice
    #[arg(long, value_name = "N", help_heading = "Run")]
    seed: Option<u32>,

    /// Tokens of context (the paper's n is one more) [default: by preset]
    #[arg(long, value_name = "N", help_heading = "Network")]
    context: Option<usize>,

    /// Numbers in a token's embedding (the paper's m) [default: by preset]
    #[arg(long, value_name = "N", help_heading = "Network")]
    embedding: Option<usize>,

    /// Hidden units (the paper's h) [default: by preset]
    #[arg(long, value_name = "N", help_heading = "Network")]
    hidden: Option<usize>,

    /// Connect the input to the output directly as well (the paper's W)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    #[arg(help_heading = "Network")]
    direct: Option<bool>,

    /// The embeddings serve as output weights as well; needs --hidden equal to --embedding
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    #[arg(help_heading = "Network")]
    tied: Option<bool>,

    /// How the parameters begin [default: scaled; words, mlp1 to mlp10: unigram]
    #[arg(long, value_name = "I", help_heading = "Network")]
    init: Option<Init>,

    /// Training steps [default: by preset]
    #[arg(long, value_name = "N", help_heading = "Training")]
    steps: Option<u64>,

    /// How often each example is met, instead of --steps
    #[arg(long, value_name = "N", help_heading = "Training", conflicts_with = "steps")]
    epochs: Option<f64>,

    /// Examples in a step [default: by preset]
    #[arg(long, value_name = "N", help_heading = "Training")]
    batch: Option<u32>,

    /// The order of the examples [default: shuffled; makemore: sampled]
    #[arg(long, value_name = "O", help_heading = "Training")]
    order: Option<Order>,

    /// First learning rate, of the mean loss of a batch [default: by preset]
    #[arg(long, value_name = "R", help_heading = "Training")]
    rate: Option<f32>,

    /// How the rate changes [default: by preset]
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

impl SettingArgs {
    /// The settings after presets and defaults, checked, but for what the texts decide.
    pub(super) fn settings(&self, text: &TextOptions, recipe: &RecipeOptions) -> Result<Settings> {
        let preset = self.preset.unwrap_or(Preset::Makemore);
        let preset_settings = preset.settings().0;
        let seed = self.seed.unwrap_or(42);
        let text = text.settings(preset_settings.text_settings(), seed)?;
        let settings = Settings {
            context: self.context.unwrap_or(preset_settings.context),
            embedding: self.embedding.unwrap_or(preset_settings.embedding),
            hidden: self.hidden.unwrap_or(preset_settings.hidden),
            direct: self.direct.unwrap_or(preset_settings.direct),
            tied: self.tied.unwrap_or(preset_settings.tied),
            init: self.init.unwrap_or(preset_settings.init),
            steps: self.steps.unwrap_or(1),
            batch: self.batch.unwrap_or(preset_settings.batch),
            order: self.order.unwrap_or(preset_settings.order),
            rate: self.rate.unwrap_or(preset_settings.rate),
            schedule: self.schedule.unwrap_or(preset_settings.schedule),
            decay_at: self.decay_at.unwrap_or(preset_settings.decay_at),
            decay_factor: self.decay_factor.unwrap_or(preset_settings.decay_factor),
            inverse_r: self.inverse_r.unwrap_or(preset_settings.inverse_r),
            eval_every: self.eval_every.unwrap_or(1),
            report_every: self.report_every.unwrap_or(1),
            patience: self.patience.unwrap_or(preset_settings.patience),
            seed,
            warm_up: self.warm_up.unwrap_or(preset_settings.warm_up),
            recipe: recipe.over(preset_settings.recipe),
            ..preset_settings.with_text(&text)
        };
        settings.check().map_err(Error::usage)?;
        self.length(preset)?;
        Ok(settings)
    }

    /// The steps, where they were given.
    pub(super) fn given_steps(&self) -> Option<u64> {
        self.steps
    }

    fn length(&self, preset: Preset) -> Result<Length> {
        match (self.steps, self.epochs) {
            (Some(steps), _) => Ok(Length::Steps(steps)),
            (None, Some(epochs)) => Length::of_epochs(epochs).map_err(Error::usage),
            (None, None) => Ok(preset.settings().1),
        }
    }

    /// The same with what the texts decide: their identity, and the steps of --epochs.
    pub(super) fn settings_for(&self, mut settings: Settings, texts: &Texts) -> Result<Settings> {
        settings.text_sha256 = texts.sha256();
        let examples = match self.length(settings.preset)? {
            Length::Steps(_) => 0,
            Length::Epochs(_) => texts.train_predictions(&settings.text_settings())?,
        };
        self.settings_of(settings, examples)
    }

    /// The same for a training part that predicts so many tokens.
    pub(super) fn settings_of(&self, mut settings: Settings, examples: usize) -> Result<Settings> {
        let length = self.length(settings.preset)?;
        settings.steps = length.steps(examples as f64, settings.batch);
        if self.warm_up.is_none() {
            settings.warm_up = warm_up_of(settings.warm_up, settings.steps);
        }
        settings.eval_every = self.eval_every.unwrap_or(settings.steps.div_ceil(20));
        settings.report_every = self.report_every.unwrap_or(settings.eval_every);
        settings.check().map_err(Error::usage)?;
        Ok(settings)
    }
}
