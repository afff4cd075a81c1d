//! Loss and perplexity of a language model on a text.

use serde::Serialize;

use super::LanguageModel;
use crate::Result;
use crate::engine::mean_negative;
use crate::text::{Corpus, Counts, Vocabulary};

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
    /// Predicted tokens, marks and rare ones among them: what the loss is divided by.
    pub tokens: usize,
    /// Those that are marks: end marks of lines, `<p>` and `<text>` of a stream.
    pub marks: usize,
    /// Those that are `<rare>`.
    pub rare: usize,
    /// Those of the rare ones whose type does not occur at all where the vocabulary comes from.
    pub unknown: usize,
    /// Mean over the predicted tokens that are not `<rare>`, nats; none where all are.
    pub loss_without_rare: Option<f64>,
    /// e to that.
    pub perplexity_without_rare: Option<f64>,
    /// The sum of the losses in bits over [`Counts::characters`]. With rare tokens it is too low: which type stands for
    /// `<rare>` costs nothing.
    pub bits_per_character: f64,
}

/// Evaluates a model on a corpus in which `counts` were counted.
pub fn evaluate(
    model: &mut dyn LanguageModel,
    split: &str,
    corpus: &Corpus,
    counts: &Counts,
    vocabulary: &Vocabulary,
) -> Result<Evaluation> {
    let log_probabilities = model.log_probabilities(corpus)?;
    let loss = mean_negative(&log_probabilities);
    let bits = loss / std::f64::consts::LN_2;
    let loss_without_rare = match vocabulary.rare().filter(|_| counts.rare > 0) {
        None => Some(loss),
        Some(rare) => {
            let others = log_probabilities.iter().enumerate().filter(|&(example, _)| corpus.target_of(example) != rare);
            let others: Vec<f32> = others.map(|(_, &log_probability)| log_probability).collect();
            (!others.is_empty()).then(|| mean_negative(&others))
        }
    };
    Ok(Evaluation {
        split: split.to_owned(),
        loss,
        perplexity: loss.exp(),
        bits,
        tokens: corpus.len(),
        marks: counts.marks,
        rare: counts.rare,
        unknown: counts.unknown,
        loss_without_rare,
        perplexity_without_rare: loss_without_rare.map(f64::exp),
        bits_per_character: bits * corpus.len() as f64 / counts.characters as f64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language_model::CountModel;
    use crate::text::{Kind, TextKind, TokenKind};

    #[test]
    fn rare_tokens_are_left_out_of_the_second_mean_and_characters_divide_the_bits() {
        let kind = Kind { tokens: TokenKind::Words, text: TextKind::Stream, marks: false };
        let tokens = ["the", "a", "<rare>"].map(str::to_owned).to_vec();
        let vocabulary = Vocabulary::from_tokens(tokens, kind).unwrap();
        let corpus = Corpus::from_stream(vec![0, 1, 2, 0, 1, 0], 1);
        let counts = Counts { tokens: 5, marks: 0, rare: 1, unknown: 1, characters: 20 };
        let mut model = CountModel::new(&corpus, 2, 3);
        let result = evaluate(&mut model, "test", &corpus, &counts, &vocabulary).unwrap();
        // Counts + 1: after "the" a (2 + 1) / (2 + 3), after "a" the and <rare> (1 + 1) / (2 + 3), after <rare> the 2 / 4.
        let [a, of_two, the] = [0.6f64, 0.4, 0.5].map(f64::ln);
        let near = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        near(result.loss, -(2.0 * a + 2.0 * of_two + the) / 5.0);
        near(result.loss_without_rare.unwrap(), -(2.0 * a + of_two + the) / 4.0);
        near(result.perplexity_without_rare.unwrap(), result.loss_without_rare.unwrap().exp());
        near(result.bits_per_character, result.loss * 5.0 / 2f64.ln() / 20.0);
        assert_eq!((result.tokens, result.rare, result.unknown), (5, 1, 1));
    }
}
