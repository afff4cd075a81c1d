//! The count models that a network is compared with: n-grams with one added to every count.

use std::collections::HashMap;

use super::LanguageModel;
use crate::Result;
use crate::text::Corpus;

/// p(token | context) = (count(context, token) + 1) / (count(context) + V), for the last `order - 1` tokens of context.
pub struct CountModel {
    order: usize,
    vocabulary: usize,
    contexts: HashMap<u128, u32>,
    grams: HashMap<u128, u32>,
}

impl CountModel {
    /// Counts the n-grams of a corpus. `order` is at most the corpus's context + 1, and `vocabulary^order` below 2^128.
    pub fn new(corpus: &Corpus, order: usize, vocabulary: usize) -> Self {
        let mut model = CountModel { order, vocabulary, contexts: HashMap::new(), grams: HashMap::new() };
        for example in 0..corpus.len() {
            let context = model.key(corpus.context_of(example));
            *model.contexts.entry(context).or_default() += 1;
            *model.grams.entry(model.extend(context, corpus.target_of(example))).or_default() += 1;
        }
        model
    }

    /// The tokens that this order looks at, as one number.
    fn key(&self, context: &[u32]) -> u128 {
        context[context.len() + 1 - self.order..].iter().fold(0, |key, &token| self.extend(key, token))
    }

    fn extend(&self, key: u128, token: u32) -> u128 {
        key * self.vocabulary as u128 + u128::from(token)
    }

    fn probability(&self, context: u128, token: u32) -> f64 {
        let count = |map: &HashMap<u128, u32>, key| f64::from(map.get(&key).copied().unwrap_or(0));
        (count(&self.grams, self.extend(context, token)) + 1.0)
            / (count(&self.contexts, context) + self.vocabulary as f64)
    }
}

impl LanguageModel for CountModel {
    fn context(&self) -> usize {
        self.order - 1
    }

    fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    fn log_probabilities(&mut self, corpus: &Corpus) -> Result<Vec<f32>> {
        let probability = |example| self.probability(self.key(corpus.context_of(example)), corpus.target_of(example));
        Ok((0..corpus.len()).map(|example| probability(example).ln() as f32).collect())
    }

    fn distributions(&mut self, contexts: &[u32]) -> Result<Vec<f32>> {
        let mut result = Vec::with_capacity(contexts.len() / self.context() * self.vocabulary);
        for context in contexts.chunks_exact(self.context()) {
            let key = self.key(context);
            result.extend((0..self.vocabulary as u32).map(|token| self.probability(key, token) as f32));
        }
        Ok(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bigram_worked_by_hand() {
        // "ab" and "b": after the end mark a and b once each; after a, b; after b, the end mark twice.
        let corpus = Corpus::from_lines(&[vec![1, 2], vec![2]], 1);
        let mut model = CountModel::new(&corpus, 2, 3);
        let distributions = model.distributions(&[0, 1, 2]).unwrap();
        let expected =
            [1.0 / 5.0, 2.0 / 5.0, 2.0 / 5.0, 1.0 / 4.0, 1.0 / 4.0, 2.0 / 4.0, 3.0 / 5.0, 1.0 / 5.0, 1.0 / 5.0];
        for (found, expected) in distributions.into_iter().zip(expected) {
            assert!((found - expected as f32).abs() < 1e-6);
        }
        let log_probabilities = model.log_probabilities(&corpus).unwrap();
        assert!((log_probabilities[0] - (2f32 / 5.0).ln()).abs() < 1e-6);
    }
}
