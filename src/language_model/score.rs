//! The log-probability and the rank of each token of a text, as it comes in.

use super::LanguageModel;
use crate::Result;
use crate::text::Corpus;

/// How well a model predicted a token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// The natural logarithm of its probability.
    pub log_probability: f64,
    /// How many tokens were likelier, plus one; `None` where it was not asked for.
    pub rank: Option<u32>,
}

/// Scores tokens in the order of a text, however many are given at a time.
pub struct Scorer<'a> {
    model: &'a mut dyn LanguageModel,
    /// The end mark, after which the context is empty again.
    end: Option<u32>,
    ranks: bool,
    /// The tokens before the next one, the oldest first, [n].
    context: Vec<u32>,
}

/// Most numbers of the distributions that are held at a time: 16 MiB.
const MOST_NUMBERS: usize = 1 << 22;
/// Most tokens that are scored at a time.
const MOST_TOKENS: usize = 4096;

impl<'a> Scorer<'a> {
    /// At the beginning of a text. Ranks cost the distributions of all contexts.
    pub fn new(model: &'a mut dyn LanguageModel, end: Option<u32>, ranks: bool) -> Self {
        let context = vec![0; model.context()];
        Scorer { model, end, ranks, context }
    }

    /// Scores the next tokens of the text, [tokens.len()].
    pub fn score(&mut self, tokens: &[u32]) -> Result<Vec<Score>> {
        let most = if self.ranks { MOST_NUMBERS / self.model.vocabulary() } else { MOST_TOKENS };
        let mut scores = Vec::with_capacity(tokens.len());
        for tokens in tokens.chunks(most.clamp(1, MOST_TOKENS)) {
            let contexts: Vec<u32> = tokens.iter().flat_map(|&token| self.pass(token)).collect();
            if self.ranks {
                self.with_ranks(tokens, &contexts, &mut scores)?;
            } else {
                let corpus = Corpus::from_examples(&contexts, tokens, self.model.context());
                let log_probabilities = self.model.log_probabilities(&corpus)?;
                scores.extend(log_probabilities.into_iter().map(|p| Score { log_probability: p.into(), rank: None }));
            }
        }
        Ok(scores)
    }

    /// The context of a token, which then goes into the context of the next.
    fn pass(&mut self, token: u32) -> Vec<u32> {
        let context = self.context.clone();
        if self.end == Some(token) {
            self.context.fill(0);
        } else if !self.context.is_empty() {
            self.context.rotate_left(1);
            *self.context.last_mut().expect("not empty") = token;
        }
        context
    }

    fn with_ranks(&mut self, tokens: &[u32], contexts: &[u32], scores: &mut Vec<Score>) -> Result<()> {
        let vocabulary = self.model.vocabulary();
        let distributions = self.model.distributions(contexts)?;
        let first = scores.len();
        for (distribution, &token) in distributions.chunks_exact(vocabulary).zip(tokens) {
            let own = distribution[token as usize];
            let likelier = distribution.iter().filter(|&&p| p > own).count();
            scores.push(Score { log_probability: f64::from(own).ln(), rank: Some(likelier as u32 + 1) });
        }
        // A probability too small for a float32 has a logarithm all the same.
        if distributions.chunks_exact(vocabulary).zip(tokens).any(|(d, &token)| d[token as usize] < f32::MIN_POSITIVE) {
            let corpus = Corpus::from_examples(contexts, tokens, self.model.context());
            for (score, exact) in scores[first..].iter_mut().zip(self.model.log_probabilities(&corpus)?) {
                score.log_probability = exact.into();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::cpu::Cpu;
    use crate::language_model::Network;
    use crate::model::initial::initial;
    use crate::model::{Init, Shape};

    const SHAPE: Shape = Shape { vocabulary: 7, context: 3, embedding: 4, hidden: 5, direct: false, tied: false };

    #[test]
    fn pieces_of_a_text_score_as_the_whole() {
        let lines = [vec![1, 2, 3, 4, 5], vec![6, 1], vec![2, 2, 2, 2]];
        let corpus = Corpus::from_lines(&lines.each_ref().map(Vec::as_slice), 3);
        let tokens: Vec<u32> = (0..corpus.len()).map(|example| corpus.target_of(example)).collect();
        let mut engine = Cpu::new(1);
        let mut network = Network::new(&mut engine, &initial(SHAPE, Init::Lecture, 1, &[])).unwrap();
        let whole = network.log_probabilities(&corpus).unwrap();
        let distribution_of =
            |network: &mut Network, example| network.distributions(corpus.context_of(example)).unwrap();
        for (piece, ranks) in [(1, true), (4, true), (100, true), (1, false), (100, false)] {
            let mut scorer = Scorer::new(&mut network, Some(0), ranks);
            let scores: Vec<Score> = tokens.chunks(piece).flat_map(|tokens| scorer.score(tokens).unwrap()).collect();
            for (example, score) in scores.iter().enumerate() {
                assert!((score.log_probability - f64::from(whole[example])).abs() < 1e-5);
                let distribution = distribution_of(&mut network, example);
                let mut sorted: Vec<f32> = distribution.clone();
                sorted.sort_by(|a, b| b.total_cmp(a));
                let place = sorted.iter().position(|&p| p == distribution[tokens[example] as usize]).unwrap();
                assert_eq!(score.rank, ranks.then_some(place as u32 + 1));
            }
            assert_eq!(scores.len(), tokens.len());
        }
    }

    #[test]
    fn a_probability_of_nothing_still_has_a_logarithm() {
        let mut parameters = initial(SHAPE, Init::Scaled, 1, &[]);
        parameters.tensor_mut(crate::model::shape::OUTPUT_BIAS)[3] = -500.0;
        let mut engine = Cpu::new(1);
        let mut network = Network::new(&mut engine, &parameters).unwrap();
        let scores = Scorer::new(&mut network, None, true).score(&[3]).unwrap();
        assert!((scores[0].log_probability + 500.0).abs() < 5.0, "{scores:?}");
        assert_eq!(scores[0].rank, Some(7));
    }
}
