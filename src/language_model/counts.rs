//! The count models that a network is compared with: n-grams with one added to every count.

use super::LanguageModel;
use super::grams::{Counting, Grams};
use crate::Result;
use crate::text::Corpus;

/// p(token | context) = (count(context, token) + 1) / (count(context) + V), for the last `order - 1` tokens of context.
///
/// Memory: 8 bytes an n-gram and 12 a context, of every order up to this one.
pub struct CountModel {
    grams: Grams,
    /// count(context).
    totals: Vec<u32>,
    order: usize,
    vocabulary: usize,
}

impl CountModel {
    /// Counts the n-grams of a corpus. `order` is at least 2 and at most the corpus's context + 1.
    pub fn new(corpus: &Corpus, order: usize, vocabulary: usize) -> Self {
        let grams = Grams::new(corpus, order, vocabulary, Counting::Occurrences);
        let totals = grams.levels[order - 1].totals();
        CountModel { grams, totals, order, vocabulary }
    }

    /// The context of this order at the end of a path, if it was counted, and count(context) + V.
    fn context_of_path(&self, path: &[usize]) -> (Option<usize>, f64) {
        let context = path.get(self.order - 1).copied();
        (context, f64::from(context.map_or(0, |context| self.totals[context])) + self.vocabulary as f64)
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
        let (mut path, level) = (Vec::new(), &self.grams.levels[self.order - 1]);
        let log_probability = |example| {
            self.grams.path(corpus.context_of(example), &mut path);
            let (context, total) = self.context_of_path(&path);
            let place = context.and_then(|context| level.find(context, corpus.target_of(example)));
            let count = place.map_or(0, |place| level.counts[place]);
            ((f64::from(count) + 1.0) / total).ln() as f32
        };
        Ok((0..corpus.len()).map(log_probability).collect())
    }

    fn distributions(&mut self, contexts: &[u32]) -> Result<Vec<f32>> {
        let (mut path, level) = (Vec::new(), &self.grams.levels[self.order - 1]);
        let mut result = vec![0.0; contexts.len() / self.context() * self.vocabulary];
        let rows = result.chunks_exact_mut(self.vocabulary);
        for (context, row) in contexts.chunks_exact(self.context()).zip(rows) {
            self.grams.path(context, &mut path);
            let (context, total) = self.context_of_path(&path);
            row.fill((1.0 / total) as f32);
            for place in context.into_iter().flat_map(|context| level.after(context)) {
                row[level.tokens[place] as usize] = ((f64::from(level.counts[place]) + 1.0) / total) as f32;
            }
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
