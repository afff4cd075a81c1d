//! Loss and perplexity of a language model on a text.

use serde::Serialize;

use super::LanguageModel;
use crate::Result;
use crate::engine::mean_negative;
use crate::text::{Corpus, Vocabulary};

/// How well a model predicts a text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// Which part: `train`, `valid`, `test`, or `text`.
    pub split: String,
    /// Mean over the predicted tokens, nats.
    pub loss: f64,
    /// e to the loss.
    pub perplexity: f64,
    /// The loss in bits.
    pub bits: f64,
    /// Predicted tokens, end marks among them: what the loss is divided by.
    pub tokens: usize,
    /// Predicted tokens that are `<rare>`: characters which the training part does not hold.
    pub rare: usize,
    /// Predicted tokens that no id stands for; always 0, since such a text is refused.
    pub unknown: usize,
}

/// Evaluates a model on a corpus.
pub fn evaluate(
    model: &mut dyn LanguageModel,
    split: &str,
    corpus: &Corpus,
    vocabulary: &Vocabulary,
) -> Result<Evaluation> {
    let loss = mean_negative(&model.log_probabilities(corpus)?);
    let tokens = corpus.len();
    let rare = match vocabulary.rare() {
        Some(rare) => (0..tokens).filter(|&example| corpus.target_of(example) == rare).count(),
        None => 0,
    };
    Ok(Evaluation {
        split: split.to_owned(),
        loss,
        perplexity: loss.exp(),
        bits: loss / std::f64::consts::LN_2,
        tokens,
        rare,
        unknown: 0,
    })
}
