//! What evaluation and sampling see: anything that gives distributions over the next token.

pub mod back_off;
pub mod counts;
pub mod evaluate;
mod grams;
pub mod kneser_ney;
pub mod mixture;
pub mod sample;
pub mod score;
pub mod trigram;
pub mod weights;

use crate::Result;
use crate::engine::Engine;
use crate::model::Parameters;
use crate::text::Corpus;

pub use counts::CountModel;
pub use evaluate::Evaluation;
pub use kneser_ney::KneserNey;
pub use mixture::Mixture;
pub use sample::{Sample, Sampler};
pub use score::{Score, Scorer};
pub use trigram::Trigram;
pub use weights::{Bins, Weights};

/// A distribution over the next token given the tokens before it, a batch at a time.
///
/// A model of your own needs the two distributions below and can then be evaluated, sampled from and mixed like any other:
///
/// ```
/// use gpu_mlp::language_model::{LanguageModel, evaluate::evaluate};
/// use gpu_mlp::text::{Corpus, Sources};
/// use gpu_mlp::train::Preset;
///
/// /// Expects every token alike.
/// struct Uniform(usize);
///
/// impl LanguageModel for Uniform {
///     fn context(&self) -> usize {
///         1
///     }
///
///     fn vocabulary(&self) -> usize {
///         self.0
///     }
///
///     fn log_probabilities(&mut self, corpus: &Corpus) -> gpu_mlp::Result<Vec<f32>> {
///         Ok(vec![-(self.0 as f32).ln(); corpus.len()])
///     }
///
///     fn distributions(&mut self, contexts: &[u32]) -> gpu_mlp::Result<Vec<f32>> {
///         Ok(vec![1.0 / self.0 as f32; contexts.len() / self.context() * self.0])
///     }
/// }
///
/// let settings = Preset::Makemore.text_settings();
/// let data = Sources::default().read(settings.kind)?.data(&settings, 1, None)?;
/// let mut model = Uniform(data.vocabulary.len());
/// let evaluation = evaluate(&mut model, "train", &data.train, &data.counts[0], &data.vocabulary)?;
/// assert!((evaluation.perplexity - 27.0).abs() < 1e-3);
/// # Ok::<(), gpu_mlp::Error>(())
/// ```
pub trait LanguageModel {
    /// Tokens of context that it looks at (n).
    fn context(&self) -> usize;

    /// Number of tokens (V).
    fn vocabulary(&self) -> usize;

    /// The natural logarithm of the probability of each target, [corpus.len()]. The corpus has a context of n or more, of
    /// which the model looks at the nearest n tokens.
    fn log_probabilities(&mut self, corpus: &Corpus) -> Result<Vec<f32>>;

    /// Distributions after contexts [count, n], oldest token first; the result is [count, V].
    fn distributions(&mut self, contexts: &[u32]) -> Result<Vec<f32>>;
}

/// The natural logarithm of a probability of a distribution. One that float32 rounds to 0 counts as its smallest number.
pub fn log_of(probability: f32) -> f64 {
    f64::from(probability.max(f32::MIN_POSITIVE)).ln()
}

/// A network on an engine.
pub struct Network<'a> {
    engine: &'a mut dyn Engine,
    context: usize,
    vocabulary: usize,
}

impl<'a> Network<'a> {
    /// Puts parameters on an engine.
    pub fn new(engine: &'a mut dyn Engine, parameters: &Parameters) -> Result<Self> {
        engine.load(parameters)?;
        let shape = parameters.shape();
        Ok(Network { engine, context: shape.context, vocabulary: shape.vocabulary })
    }
}

impl LanguageModel for Network<'_> {
    fn context(&self) -> usize {
        self.context
    }

    fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    fn log_probabilities(&mut self, corpus: &Corpus) -> Result<Vec<f32>> {
        self.engine.log_probabilities(&corpus.shortened(self.context))
    }

    fn distributions(&mut self, contexts: &[u32]) -> Result<Vec<f32>> {
        self.engine.distributions(contexts)
    }
}

#[cfg(test)]
mod tests;
