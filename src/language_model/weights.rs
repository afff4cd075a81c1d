//! The weights of a mixture by expectation maximisation, one set for each bin of context frequencies.

use super::grams::{Counting, Grams};
use crate::text::Corpus;

/// Rounds after which the weights of a few models stand still.
const MOST_ROUNDS: usize = 500;
/// A round that changes no weight by more than this is the last.
const STILL: f64 = 1e-6;

/// Bins of examples by how often the two tokens before them occur together in the training part, which tells how far
/// counts can be trusted (Bengio et al. 2003, p. 1148): q = ceil(-log((1 + freq(w_{t-1}, w_{t-2})) / T)).
#[derive(Clone, Debug)]
pub struct Bins {
    /// The bin of each context of the last level.
    bins: Vec<u32>,
    /// The bin of contexts that were never seen.
    unseen: u32,
    contexts: Grams,
}

impl Bins {
    /// Tokens of context that a bin depends on.
    pub const CONTEXT: usize = 2;

    /// Counts the contexts of a training part of T tokens, which has a context of 2 or more. Memory: 20 bytes a context.
    pub fn new(train: &Corpus, vocabulary: usize) -> Self {
        let contexts = Grams::new(train, Self::CONTEXT + 1, vocabulary, Counting::Occurrences);
        Self::of(contexts, train.len())
    }

    /// The same from n-grams that are counted already.
    pub(super) fn of(contexts: Grams, examples: usize) -> Self {
        let level = &contexts.levels[Self::CONTEXT];
        // Rounded towards 0 where a context makes up nearly the whole text.
        let bin = |frequency: u32| -((1.0 + f64::from(frequency)) / examples as f64).ln().min(0.0);
        let number = |frequency| bin(frequency).ceil() as u32;
        let bins = level.totals().into_iter().map(number).collect();
        Bins { bins, unseen: number(0), contexts }
    }

    /// Number of bins.
    pub fn len(&self) -> usize {
        self.unseen as usize + 1
    }

    /// There is always a bin.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The n-grams up to order 3 that the bins come from.
    pub(super) fn grams(&self) -> &Grams {
        &self.contexts
    }

    /// The bin of a context of at least two tokens, oldest first.
    pub fn of_context(&self, context: &[u32], path: &mut Vec<usize>) -> usize {
        self.contexts.path(context, path);
        self.of_path(path)
    }

    /// The bin at the end of a path.
    pub(super) fn of_path(&self, path: &[usize]) -> usize {
        path.get(Self::CONTEXT).map_or(self.unseen, |&context| self.bins[context]) as usize
    }
}

/// Weights of `models` models in every bin: [bins, models], each row of sum 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    values: Vec<f64>,
    models: usize,
}

impl Weights {
    /// The same weights in one bin.
    pub fn fixed(weights: &[f64]) -> Self {
        Weights { values: weights.to_vec(), models: weights.len() }
    }

    /// All weights the same.
    pub fn even(bins: usize, models: usize) -> Self {
        Weights { values: vec![1.0 / models as f64; bins * models], models }
    }

    /// The weights of the first bin in each of `bins` bins.
    pub fn repeated(&self, bins: usize) -> Self {
        Weights { values: self.of(0).repeat(bins), models: self.models }
    }

    /// The weights of a bin: one for each model.
    pub fn of(&self, bin: usize) -> &[f64] {
        &self.values[bin * self.models..(bin + 1) * self.models]
    }

    /// Number of bins.
    pub fn bins(&self) -> usize {
        self.values.len() / self.models
    }

    /// Makes the validation part likelier round by round: `probabilities` is [examples, models], the probability of each
    /// target under each model, `bins` the bin of each example. A bin without examples keeps its weights. Stops earlier
    /// where nothing changes any more.
    pub fn fit(&mut self, bins: &[u32], probabilities: &[f32], rounds: usize) {
        for _ in 0..rounds {
            let (mut shares, mut counts) = (vec![0.0; self.values.len()], vec![0.0; self.bins()]);
            for (example, &bin) in bins.iter().enumerate() {
                let (first, row) = (bin as usize * self.models, example * self.models);
                let joint = |model: usize| self.values[first + model] * f64::from(probabilities[row + model]);
                let mut total = 0.0;
                for model in 0..self.models {
                    total += joint(model);
                }
                // A token that no model finds possible says nothing of the weights.
                if total > 0.0 {
                    counts[bin as usize] += 1.0;
                    for model in 0..self.models {
                        shares[first + model] += joint(model) / total;
                    }
                }
            }
            let mut change = 0f64;
            for (place, share) in shares.into_iter().enumerate() {
                let count = counts[place / self.models];
                if count > 0.0 {
                    change = change.max((share / count - self.values[place]).abs());
                    self.values[place] = share / count;
                }
            }
            if change < STILL {
                break;
            }
        }
    }

    /// [`Weights::fit`] to the end.
    pub fn fit_to_the_end(&mut self, bins: &[u32], probabilities: &[f32]) {
        self.fit(bins, probabilities, MOST_ROUNDS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_of_expectation_maximisation_worked_by_hand() {
        // Shares of the first model: 0.5 * 0.6 / (0.5 * 0.6 + 0.5 * 0.2) = 3/4, and 0.5 * 0.1 / (0.5 * 0.4) = 1/4 and 1/4.
        let mut weights = Weights::even(3, 2);
        weights.fit(&[0, 0, 2], &[0.6, 0.2, 0.1, 0.3, 0.1, 0.3], 1);
        let close = |found: &[f64], expected: [f64; 2]| {
            assert!((found[0] - expected[0]).abs() < 1e-6 && (found[1] - expected[1]).abs() < 1e-6, "{found:?}");
        };
        close(weights.of(0), [0.5, 0.5]);
        close(weights.of(1), [0.5, 0.5]);
        close(weights.of(2), [0.25, 0.75]);
        assert_eq!(weights.bins(), 3);
    }

    #[test]
    fn the_weights_found_are_the_likeliest() {
        // (1 - w) 0.2 + w 0.6 and (1 - w) 0.5 + w 0.1: the product has its maximum where 0.4 (0.5 - 0.4 w) = 0.4 (0.2 + 0.4 w).
        let mut weights = Weights::even(1, 2);
        weights.fit_to_the_end(&[0, 0], &[0.2, 0.6, 0.5, 0.1]);
        assert!((weights.of(0)[1] - 0.375).abs() < 1e-4, "{weights:?}");
        // One model alone explains everything: its weight goes to 1.
        let mut weights = Weights::fixed(&[0.5, 0.5]);
        weights.fit_to_the_end(&[0], &[0.9, 0.0]);
        assert_eq!(weights.of(0), [1.0, 0.0]);
    }

    #[test]
    fn bins_follow_the_frequency_of_the_context() {
        // a b a b a c: T = 4 predicted tokens with two before each; (a b) twice, (b a) twice.
        let bins = Bins::new(&Corpus::from_stream(vec![1, 2, 1, 2, 1, 0], 2), 3);
        let mut path = Vec::new();
        // ceil(-ln(3/4)) = 1 and ceil(-ln(1/4)) = 2.
        assert_eq!(bins.of_context(&[1, 2], &mut path), 1);
        assert_eq!(bins.of_context(&[2, 1], &mut path), 1);
        assert_eq!(bins.of_context(&[0, 1], &mut path), 2);
        assert_eq!(bins.len(), 3);
    }
}
