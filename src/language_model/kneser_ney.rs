//! Modified Kneser-Ney smoothing (Chen and Goodman 1999, section 3): n-grams lose a discount that depends on their
//! count, and the model of one token less of context shares out what they lost, by how many different tokens stand
//! before an n-gram and not by how often it occurs.

use super::LanguageModel;
use super::grams::{Counting, Grams, Level};
use crate::Result;
use crate::text::Corpus;

/// The discounts of n-grams counted once, twice, and three times or more (D1, D2, D3+).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Discounts([f64; 3]);

impl Discounts {
    /// Estimates them from how many n-grams have the counts 1 to 4 (Chen and Goodman 1999, equation 17; Y there):
    /// D_i = i - (i + 1) Y n_{i+1} / n_i with Y = n_1 / (n_1 + 2 n_2). Where a number is 0 the estimate has no meaning, as
    /// for the letters of an alphabet, which all follow many others: then D_i = 0. A discount is never below 0.
    pub(super) fn new(counts: &[u32]) -> Self {
        let mut numbers = [0f64; 5];
        for &count in counts.iter().filter(|&&count| count <= 4) {
            numbers[count as usize] += 1.0;
        }
        let [_, n1, n2, ..] = numbers;
        let y = if n1 > 0.0 { n1 / (n1 + 2.0 * n2) } else { 0.0 };
        Discounts([1, 2, 3].map(|i| {
            let ratio = numbers[i + 1] / numbers[i];
            if ratio.is_finite() { (i as f64 - (i + 1) as f64 * y * ratio).max(0.0) } else { 0.0 }
        }))
    }

    /// c(h) and the sum of the discounts of the tokens counted after h, given their counts. Where the discounts are all 0
    /// but not every token was counted, another one is imagined, as SRILM does: no token must be impossible.
    pub(super) fn total_and_lost(&self, counts: &[u32], vocabulary: usize) -> (f64, f64) {
        let total = counts.iter().map(|&count| f64::from(count)).sum();
        let lost = counts.iter().map(|&count| self.of(count)).sum();
        if lost == 0.0 && counts.len() < vocabulary { (total + 1.0, 1.0) } else { (total, lost) }
    }

    /// The discount of a count.
    pub(super) fn of(&self, count: u32) -> f64 {
        self.0[count.clamp(1, 3) as usize - 1]
    }
}

/// A model of the form that back-off and interpolated models share: p(w | h) is stored where h w was counted, else it is
/// the weight of h times p(w | h without its oldest token).
///
/// Memory: 8 bytes an n-gram and 16 a context.
#[derive(Clone, Debug)]
pub struct KneserNey {
    /// The tree of n-grams; its counts are empty.
    pub(super) grams: Grams,
    /// p(w) of every token: [V].
    unigram: Vec<f32>,
    /// p(w | h) of every n-gram that is kept, by the context's length, in the order of the tree.
    pub(super) probabilities: Vec<Vec<f32>>,
    /// What the shorter context's probabilities are multiplied with, by the context's length.
    pub(super) weights: Vec<Vec<f32>>,
    order: usize,
}

impl KneserNey {
    /// The interpolated model of an order, 1 or more and at most the corpus's context + 1, over `vocabulary` tokens:
    /// p(w | h) = (c(h w) - D(c)) / c(h) + weight(h) p(w | h'), down to p = 1/V. Three discounts an order.
    pub fn interpolated(corpus: &Corpus, order: usize, vocabulary: usize) -> Self {
        let mut model = Self::counted(corpus, order, vocabulary);
        for length in 0..order {
            let level = &model.grams.levels[length];
            let discounts = Discounts::new(&level.counts);
            let mut probabilities = Vec::with_capacity(level.tokens.len());
            let mut weights = Vec::with_capacity(level.len());
            for (context, parent) in model.with_parents(length) {
                let after = level.after(context);
                let (total, lost) = discounts.total_and_lost(&level.counts[after.clone()], vocabulary);
                let weight = lost / total;
                weights.push(weight as f32);
                for place in after {
                    let count = level.counts[place];
                    let shorter = match length {
                        0 => 1.0 / vocabulary as f64,
                        _ => model.stored(length - 1, parent, level.tokens[place]).expect("h' w is counted with h w"),
                    };
                    probabilities.push(((f64::from(count) - discounts.of(count)) / total + weight * shorter) as f32);
                }
            }
            model.take_level(probabilities, weights);
        }
        model.forget_counts();
        model
    }

    /// Counts, with nothing estimated yet.
    pub(super) fn counted(corpus: &Corpus, order: usize, vocabulary: usize) -> Self {
        let grams = Grams::new(corpus, order, vocabulary, Counting::Continuations);
        KneserNey { grams, unigram: vec![0.0; vocabulary], probabilities: Vec::new(), weights: Vec::new(), order }
    }

    /// Takes the estimates of the next length of context: of what was counted, and the weight of each context's shorter one.
    pub(super) fn take_level(&mut self, probabilities: Vec<f32>, weights: Vec<f32>) {
        if self.probabilities.is_empty() {
            self.set_unigram(&probabilities, weights[0]);
        }
        self.probabilities.push(probabilities);
        self.weights.push(weights);
    }

    /// Every token's probability without context, from those that were counted and the weight of 1/V for the others.
    fn set_unigram(&mut self, counted: &[f32], weight: f32) {
        let uniform = 1.0 / self.unigram.len() as f32;
        self.unigram.fill(weight * uniform);
        for (&token, &probability) in self.grams.levels[0].tokens.iter().zip(counted) {
            self.unigram[token as usize] = probability;
        }
    }

    /// The estimates need no counts.
    pub(super) fn forget_counts(&mut self) {
        self.grams.levels.iter_mut().for_each(|level| level.counts = Vec::new());
    }

    /// The contexts of a length, each with the context one token shorter; that of length 0 has itself.
    pub(super) fn with_parents(&self, length: usize) -> impl Iterator<Item = (usize, usize)> {
        let shorter: Option<&Level> = length.checked_sub(1).map(|length| &self.grams.levels[length]);
        let parents = (0..shorter.map_or(1, Level::len))
            .flat_map(move |parent| std::iter::repeat_n(parent, shorter.map_or(1, |level| level.longer(parent).len())));
        parents.enumerate()
    }

    /// What is stored of a token after a context.
    fn stored(&self, length: usize, context: usize, token: u32) -> Option<f64> {
        if length == 0 {
            return Some(self.unigram[token as usize].into());
        }
        let place = self.grams.levels[length].find(context, token)?;
        Some(self.probabilities[length][place].into())
    }

    /// The probability of a token after the contexts of [`Grams::path`].
    pub(super) fn probability(&self, path: &[usize], token: u32) -> f64 {
        let mut factor = 1.0;
        for (length, &context) in path.iter().enumerate().rev() {
            if let Some(probability) = self.stored(length, context, token) {
                return factor * probability;
            }
            factor *= f64::from(self.weights[length][context]);
        }
        unreachable!("every token has a probability without context")
    }
}

impl LanguageModel for KneserNey {
    fn context(&self) -> usize {
        (self.order - 1).max(1)
    }

    fn vocabulary(&self) -> usize {
        self.unigram.len()
    }

    fn log_probabilities(&mut self, corpus: &Corpus) -> Result<Vec<f32>> {
        let mut path = Vec::new();
        let log_probability = |example| {
            self.grams.path(corpus.context_of(example), &mut path);
            self.probability(&path, corpus.target_of(example)).ln() as f32
        };
        Ok((0..corpus.len()).map(log_probability).collect())
    }

    fn distributions(&mut self, contexts: &[u32]) -> Result<Vec<f32>> {
        let (mut path, vocabulary) = (Vec::new(), self.vocabulary());
        let mut result = vec![0.0; contexts.len() / self.context() * vocabulary];
        for (context, row) in contexts.chunks_exact(self.context()).zip(result.chunks_exact_mut(vocabulary)) {
            self.grams.path(context, &mut path);
            // What is stored for a longer context overwrites what the shorter ones give.
            let weights = path.iter().enumerate().skip(1).map(|(length, &node)| self.weights[length][node]);
            let mut factor: f32 = weights.clone().product();
            for (token, &probability) in row.iter_mut().zip(&self.unigram) {
                *token = factor * probability;
            }
            for (length, &node) in path.iter().enumerate().skip(1) {
                factor = path
                    .iter()
                    .enumerate()
                    .skip(length + 1)
                    .map(|(length, &node)| self.weights[length][node])
                    .product();
                let level = &self.grams.levels[length];
                for place in level.after(node) {
                    row[level.tokens[place] as usize] = factor * self.probabilities[length][place];
                }
            }
        }
        Ok(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn discounts_worked_by_hand() {
        // n_1 = 4, n_2 = 2, n_3 = 1, n_4 = 1: Y = 4 / 8; D_1 = 1 - 2 Y 2/4, D_2 = 2 - 3 Y 1/2, D_3 = 3 - 4 Y 1/1.
        let discounts = Discounts::new(&[1, 1, 1, 1, 2, 2, 3, 4, 9]);
        assert_eq!(discounts, Discounts([0.5, 1.25, 1.0]));
        assert_eq!([1, 2, 3, 9].map(|count| discounts.of(count)), [0.5, 1.25, 1.0, 1.0]);
        // Without n-grams that occur once there is no estimate, but something is left for what was not counted.
        let none = Discounts::new(&[7, 8, 9]);
        assert_eq!(none, Discounts([0.0; 3]));
        assert_eq!(none.total_and_lost(&[7, 8, 9], 4), (25.0, 1.0));
        assert_eq!(none.total_and_lost(&[7, 8, 9], 3), (24.0, 0.0));
    }

    #[test]
    fn a_bigram_worked_by_hand() {
        // "aab", "ab", "c" with . = 0, a = 1, b = 2, c = 3, and d = 4, which does not occur; the discounts are those of the
        // back-off model's test: 1/3 and 2 for both orders. Of unigrams, which stand after 2, 2, 1 and 1 different tokens,
        // 2 + 2 + 1/3 + 1/3 of 6 is lost, 7/9, and shared evenly: 7/45 each, and 1/9 more for b and c.
        let corpus = Corpus::from_lines(&[vec![1, 1, 2], vec![1, 2], vec![3]], 1);
        let mut model = KneserNey::interpolated(&corpus, 2, 5);
        let unigram = [7.0 / 45.0, 7.0 / 45.0, 12.0 / 45.0, 12.0 / 45.0, 7.0 / 45.0];
        // After a (a once, b twice) 1/3 + 2 of 3 is lost, 7/9 too; a keeps 2/9 of its own.
        let found = model.distributions(&[1]).unwrap();
        for (token, (found, unigram)) in found.into_iter().zip(unigram).enumerate() {
            let expected = 7.0 / 9.0 * unigram + if token == 1 { 2.0 / 9.0 } else { 0.0 };
            assert!((f64::from(found) - expected).abs() < 1e-6, "{token}: {found} {expected}");
        }
        // Nothing was seen after d.
        let found = model.distributions(&[4]).unwrap();
        assert!(found.iter().zip(unigram).all(|(&found, unigram)| (f64::from(found) - unigram).abs() < 1e-6));
    }
}
