//! The interpolated trigram that Bengio et al. (2003, pp. 1147-1148) compare their network with, and mix it with.

use super::LanguageModel;
use super::grams::{Counting, Grams};
use super::weights::{Bins, Weights};
use crate::Result;
use crate::text::Corpus;

/// Rounds of EM; the paper has "about 5".
pub const ROUNDS: usize = 5;

/// Uniform, unigram, bigram, trigram.
const MODELS: usize = 4;

/// p(w) = alpha_0(q) p_0 + alpha_1(q) p_1(w) + alpha_2(q) p_2(w | w_{t-1}) + alpha_3(q) p_3(w | w_{t-1}, w_{t-2}) with p_0 = 1/V,
/// relative frequencies p_1 to p_3 of the training part, and weights for each bin q of context frequencies ([`Bins`]).
/// After a context that was never seen the frequencies of a shorter one stand in, so that the sum over all tokens is 1.
///
/// Memory: 8 bytes an n-gram and 20 a context.
#[derive(Clone, Debug)]
pub struct Trigram {
    bins: Bins,
    /// How often each context occurs, by its length.
    totals: [Vec<u32>; 3],
    weights: Weights,
    vocabulary: usize,
}

impl Trigram {
    /// Counts a training part, whose context must be 2 or more, and fits the weights on the validation part by `rounds` of
    /// EM from equal weights. Without a validation part they stay equal.
    pub fn new(train: &Corpus, valid: Option<&Corpus>, vocabulary: usize, rounds: usize) -> Self {
        let grams = Grams::new(train, Bins::CONTEXT + 1, vocabulary, Counting::Occurrences);
        let totals = [0, 1, 2].map(|length| grams.levels[length].totals());
        let bins = Bins::of(grams, train.len());
        let weights = Weights::even(bins.len(), MODELS);
        let mut model = Trigram { bins, totals, weights, vocabulary };
        if let Some(valid) = valid {
            let (mut path, mut numbers, mut probabilities) = (Vec::new(), Vec::new(), Vec::new());
            for example in 0..valid.len() {
                model.bins.grams().path(valid.context_of(example), &mut path);
                numbers.push(model.bins.of_path(&path) as u32);
                probabilities.extend(model.frequencies(&path, valid.target_of(example)).map(|p| p as f32));
            }
            model.weights.fit(&numbers, &probabilities, rounds);
        }
        model
    }

    /// p_0 to p_3 of a token after the contexts of [`Grams::path`].
    fn frequencies(&self, path: &[usize], token: u32) -> [f64; MODELS] {
        let mut result = [1.0 / self.vocabulary as f64; MODELS];
        for length in 0..MODELS - 1 {
            result[length + 1] = match path.get(length) {
                Some(&context) => {
                    let level = &self.bins.grams().levels[length];
                    let count = level.find(context, token).map_or(0, |place| level.counts[place]);
                    f64::from(count) / f64::from(self.totals[length][context])
                }
                None => result[length],
            };
        }
        result
    }

    /// The weights of a path's bin on uniform, unigram, bigram and trigram as far as the path leads.
    fn weights(&self, path: &[usize]) -> [f64; MODELS] {
        let mut result: [f64; MODELS] = self.weights.of(self.bins.of_path(path)).try_into().expect("four models");
        for missing in (path.len() + 1..MODELS).rev() {
            result[missing - 1] += std::mem::take(&mut result[missing]);
        }
        result
    }
}

impl LanguageModel for Trigram {
    fn context(&self) -> usize {
        Bins::CONTEXT
    }

    fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    fn log_probabilities(&mut self, corpus: &Corpus) -> Result<Vec<f32>> {
        let mut path = Vec::new();
        let log_probability = |example| {
            self.bins.grams().path(corpus.context_of(example), &mut path);
            let frequencies = self.frequencies(&path, corpus.target_of(example));
            let weighted = self.weights(&path).into_iter().zip(frequencies).map(|(weight, p)| weight * p);
            weighted.sum::<f64>().ln() as f32
        };
        Ok((0..corpus.len()).map(log_probability).collect())
    }

    fn distributions(&mut self, contexts: &[u32]) -> Result<Vec<f32>> {
        let mut path = Vec::new();
        let mut result = vec![0.0; contexts.len() / Bins::CONTEXT * self.vocabulary];
        let rows = result.chunks_exact_mut(self.vocabulary);
        for (context, row) in contexts.chunks_exact(Bins::CONTEXT).zip(rows) {
            self.bins.grams().path(context, &mut path);
            let weights = self.weights(&path);
            row.fill((weights[0] / self.vocabulary as f64) as f32);
            for (length, &node) in path.iter().enumerate() {
                let level = &self.bins.grams().levels[length];
                let each = weights[length + 1] / f64::from(self.totals[length][node]);
                for place in level.after(node) {
                    row[level.tokens[place] as usize] += (each * f64::from(level.counts[place])) as f32;
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
    fn a_trigram_worked_by_hand() {
        // a b a b a c with a = 1, b = 2, c = 0: predicted are a b a c, after (a b) twice and (b a) twice.
        let train = Corpus::from_stream(vec![1, 2, 1, 2, 1, 0], 2);
        let mut model = Trigram::new(&train, None, 3, ROUNDS);
        let expected = |p0: f32, p1: f32, p2: f32, p3: f32| (p0 + p1 + p2 + p3) / 4.0;
        let found = model.distributions(&[2, 1, 0, 2, 0, 0]).unwrap();
        // After b a: b once, c once; after a alone the same; a twice, b and c once of the four.
        let third = 1.0 / 3.0;
        let after_ba =
            [expected(third, 0.25, 0.5, 0.5), expected(third, 0.5, 0.0, 0.0), expected(third, 0.25, 0.5, 0.5)];
        // c b was never seen, b was: a follows it; nothing was seen after c.
        let after_cb =
            [expected(third, 0.25, 0.0, 0.0), expected(third, 0.5, 1.0, 1.0), expected(third, 0.25, 0.0, 0.0)];
        let after_cc =
            [expected(third, 0.25, 0.25, 0.25), expected(third, 0.5, 0.5, 0.5), expected(third, 0.25, 0.25, 0.25)];
        for (found, expected) in found.iter().zip([after_ba, after_cb, after_cc].concat()) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
        let log_probabilities = model.log_probabilities(&train).unwrap();
        assert!((log_probabilities[3] - after_ba[0].ln()).abs() < 1e-6);
    }
}
