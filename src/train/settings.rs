//! The settings of a run after presets and defaults: what `config.toml` and a model file's metadata hold.

use serde::{Deserialize, Serialize};

use super::preset::Preset;
use super::schedule::{Schedule, ScheduleKind};
use crate::engine::Recipe;
use crate::model::{Init, Shape};
use crate::text::{BatchPlan, Kind, Order, Split, TextKind, TextSettings, TokenKind, VocabularyFrom};

/// Most examples in a step: more would keep a GPU busy for too long in one dispatch.
const MOST_BATCH: u64 = 1 << 16;

/// Least ε of the rules that divide by it: it must not vanish in float32 beside the root of a squared gradient.
const LEAST_EPSILON: f32 = 1e-20;

/// Every setting that changes the result of a run. The device is not one of them, nor where files are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Where the defaults came from.
    pub preset: Preset,
    /// Tokens of context (n).
    pub context: usize,
    /// Numbers in a token's embedding (d).
    pub embedding: usize,
    /// Hidden units (h).
    pub hidden: usize,
    /// Direct connections from input to output.
    pub direct: bool,
    /// The embeddings serve as output weights.
    pub tied: bool,
    /// How the parameters begin.
    pub init: Init,
    /// Training steps.
    pub steps: u64,
    /// Examples in a step (B).
    pub batch: u32,
    /// The order of the examples.
    pub order: Order,
    /// The first learning rate.
    pub rate: f32,
    /// How the rate changes.
    pub schedule: ScheduleKind,
    /// `step`: the share of the run after which the rate falls.
    pub decay_at: f64,
    /// `step`: what the rate is multiplied with. `linear` and `cosine`: the last rate over the first.
    pub decay_factor: f64,
    /// `inverse`: the paper's r in rate / (1 + r t).
    pub inverse_r: f64,
    /// Steps in which the rate rises to where the schedule has it.
    pub warm_up: u64,
    /// Steps between validations.
    pub eval_every: u64,
    /// Steps between reports of the training loss.
    pub report_every: u64,
    /// Stop after so many validations without a better one; 0 is never.
    pub patience: u64,
    /// Fixes every random choice.
    pub seed: u32,
    /// What a token is.
    #[serde(default)]
    pub tokens: TokenKind,
    /// Lines, each an item of its own, or one running text.
    #[serde(default)]
    pub text: TextKind,
    /// Blank lines of a stream of words become `<p>` and `<text>`.
    #[serde(default)]
    pub marks: bool,
    /// Types seen fewer times become `<rare>`.
    #[serde(default)]
    pub min_count: u64,
    /// How many of the most frequent types are kept; all, where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_vocab: Option<u64>,
    /// Shares of the lines or of a stream, or token counts of a stream.
    pub split: Split,
    /// Where the vocabulary comes from.
    pub vocabulary_from: VocabularyFrom,
    /// SHA-256 of the text, and of the held-out files where they are given.
    pub text_sha256: Vec<String>,
    /// How a step changes the parameters.
    pub recipe: Recipe,
}

impl Settings {
    /// How texts are read.
    pub fn kind(&self) -> Kind {
        Kind { tokens: self.tokens, text: self.text, marks: self.marks }
    }

    /// How the text becomes a vocabulary and three parts.
    pub fn text_settings(&self) -> TextSettings {
        TextSettings {
            kind: self.kind(),
            min_count: self.min_count,
            max_vocab: self.max_vocab,
            vocabulary_from: self.vocabulary_from,
            split: self.split,
            seed: self.seed,
        }
    }

    /// The network's shape with a vocabulary of `vocabulary` tokens.
    pub fn shape(&self, vocabulary: usize) -> Shape {
        Shape {
            vocabulary,
            context: self.context,
            embedding: self.embedding,
            hidden: self.hidden,
            direct: self.direct,
            tied: self.tied,
        }
    }

    /// Whether a run can have these settings, but for the vocabulary, which comes from the text. An error names the
    /// option.
    pub fn check(&self) -> Result<(), String> {
        self.shape(2).check()?;
        self.text_settings().check(false, false)?;
        let counts = [
            ("--steps", self.steps, u64::from(u32::MAX)),
            ("--batch", self.batch.into(), MOST_BATCH),
            ("--eval-every", self.eval_every, u64::MAX),
            ("--report-every", self.report_every, u64::MAX),
        ];
        for (name, value, most) in counts {
            if value == 0 || value > most {
                return Err(match most {
                    u64::MAX => format!("{name} is {value}: it must be at least 1"),
                    most => format!("{name} is {value}: it must be at least 1 and at most {most}"),
                });
            }
        }
        for (name, value) in [("--rate", f64::from(self.rate)), ("--decay-factor", self.decay_factor)] {
            if !(value.is_finite() && value > 0.0) {
                return Err(format!("{name} is {value}: it must be a number above 0"));
            }
        }
        if f64::from(self.rate) * self.decay_factor > f64::from(f32::MAX) {
            return Err(format!("--rate {} times --decay-factor {} is too large", self.rate, self.decay_factor));
        }
        if !(0.0..=1.0).contains(&self.decay_at) {
            return Err(format!("--decay-at is {}: it must be between 0 and 1", self.decay_at));
        }
        if !(self.inverse_r.is_finite() && self.inverse_r >= 0.0) {
            return Err(format!("--inverse-r is {}: it must be 0 or more", self.inverse_r));
        }
        self.check_recipe()
    }

    fn check_recipe(&self) -> Result<(), String> {
        let recipe = self.recipe;
        let shares = [
            ("--momentum", recipe.momentum),
            ("--beta1", recipe.beta1),
            ("--beta2", recipe.beta2),
            ("--dropout (of the embedding)", recipe.dropout_embedding),
            ("--dropout (of the hidden units)", recipe.dropout_hidden),
            ("--average", recipe.average),
        ];
        for (name, value) in shares {
            if !(0.0..1.0).contains(&value) {
                return Err(format!("{name} is {value}: it must be at least 0 and below 1"));
            }
        }
        let amounts =
            [("--epsilon", recipe.epsilon), ("--weight-decay", recipe.weight_decay), ("--clip-norm", recipe.clip_norm)];
        for (name, value) in amounts {
            if !(value.is_finite() && value >= 0.0) {
                return Err(format!("{name} is {value}: it must be a number of 0 or more"));
            }
        }
        if recipe.keeps_squares() && recipe.epsilon < LEAST_EPSILON {
            return Err(format!(
                "--epsilon is {}: adagrad and adamw divide by it where a gradient is 0, so it must be at least \
                 {LEAST_EPSILON:e}",
                recipe.epsilon
            ));
        }
        Ok(())
    }

    /// The same for a text that is read and cut so.
    pub fn with_text(self, text: &TextSettings) -> Self {
        Settings {
            tokens: text.kind.tokens,
            text: text.kind.text,
            marks: text.kind.marks,
            min_count: text.min_count,
            max_vocab: text.max_vocab,
            split: text.split,
            vocabulary_from: text.vocabulary_from,
            ..self
        }
    }

    /// How the examples of a training part are met, of which there are so many.
    pub fn batch_plan(&self, examples: usize) -> BatchPlan {
        BatchPlan { order: self.order, seed: self.seed, batch: self.batch, examples: examples as u32 }
    }

    /// The learning rate as a function of the step.
    pub fn schedule(&self) -> Schedule {
        Schedule {
            kind: self.schedule,
            rate: self.rate,
            steps: self.steps,
            decay_at: self.decay_at,
            decay_factor: self.decay_factor,
            inverse_r: self.inverse_r,
            warm_up: self.warm_up,
        }
    }

    /// The rate of a step of a run: the schedule's, halved as often as the user wished by then.
    pub fn rate_of(&self, step: u64, progress: &Progress) -> f32 {
        self.schedule().rate(step) * progress.rate_factor(step)
    }
}

/// How far a run is: with the parameters all that a resume needs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Steps done.
    pub step: u64,
    /// The best validation loss so far, and its step.
    pub best: Option<Best>,
    /// Validations since the best one.
    pub validations_since_best: u64,
    /// Sum of the step losses since the last report.
    pub loss_sum: f64,
    /// How many losses are in it.
    pub loss_count: u64,
    /// The steps before which the user halved the learning rate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub halvings: Vec<u64>,
}

impl Progress {
    /// What the schedule's rate of a step is multiplied with.
    pub fn rate_factor(&self, step: u64) -> f32 {
        let halvings = self.halvings.iter().filter(|&&halved| halved <= step).count();
        0.5f32.powi(halvings as i32)
    }
}

/// A validation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Steps done by then.
    pub step: u64,
    /// Mean loss of the validation part (of the training part where there is none), nats per token.
    pub valid: f64,
}
