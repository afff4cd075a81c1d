//! Several language models as one: p(w) = sum over models of weight times probability (Bengio et al. 2003, p. 1143).

use super::{Bins, LanguageModel, Weights};
use crate::Result;
use crate::text::Corpus;

/// A mixture of models over the same vocabulary. Its context is the longest of theirs; shorter ones see the nearest
/// tokens of it.
pub struct Mixture<'a> {
    models: Vec<Box<dyn LanguageModel + 'a>>,
    weights: Weights,
    /// Which weights hold where; without them the only ones everywhere.
    bins: Option<Bins>,
}

fn assert_one_vocabulary(models: &[Box<dyn LanguageModel + '_>]) {
    assert!(models.windows(2).all(|pair| pair[0].vocabulary() == pair[1].vocabulary()), "one vocabulary");
}

impl<'a> Mixture<'a> {
    /// A mixture with fixed weights, one for each model, of sum 1.
    ///
    /// # Panics
    /// Where there is not a weight for each model, or the models' vocabularies differ.
    pub fn fixed(models: Vec<Box<dyn LanguageModel + 'a>>, weights: &[f64]) -> Self {
        assert_eq!(models.len(), weights.len(), "a weight for each model");
        assert_one_vocabulary(&models);
        Mixture { models, weights: Weights::fixed(weights), bins: None }
    }

    /// A mixture whose weights make a validation part likeliest: one for each model, or one for each model and bin; a bin
    /// that the part does not reach has the weights of the part as a whole. The part's context is at least the mixture's.
    ///
    /// # Panics
    /// Where the models' vocabularies differ.
    pub fn learned(models: Vec<Box<dyn LanguageModel + 'a>>, bins: Option<Bins>, valid: &Corpus) -> Result<Self> {
        assert_one_vocabulary(&models);
        let even = Weights::even(1, models.len());
        let mut mixture = Mixture { models, weights: even, bins };
        let probabilities: Vec<f32> = mixture.each(valid)?.into_iter().map(f32::exp).collect();
        mixture.weights.fit_to_the_end(&vec![0; valid.len()], &probabilities);
        if let Some(bins) = &mixture.bins {
            let mut path = Vec::new();
            let number = |example| bins.of_context(valid.context_of(example), &mut path) as u32;
            let numbers: Vec<u32> = (0..valid.len()).map(number).collect();
            mixture.weights = mixture.weights.repeated(bins.len());
            mixture.weights.fit_to_the_end(&numbers, &probabilities);
        }
        Ok(mixture)
    }

    /// The weights of the models: [bins, models].
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    fn bin(&self, context: &[u32], path: &mut Vec<usize>) -> usize {
        self.bins.as_ref().map_or(0, |bins| bins.of_context(context, path))
    }

    /// The log-probabilities of each target under each model: [examples, models].
    fn each(&mut self, corpus: &Corpus) -> Result<Vec<f32>> {
        let count = self.models.len();
        let mut result = vec![0.0; corpus.len() * count];
        for (index, model) in self.models.iter_mut().enumerate() {
            let log_probabilities = model.log_probabilities(corpus)?;
            for (row, log_probability) in result.chunks_exact_mut(count).zip(log_probabilities) {
                row[index] = log_probability;
            }
        }
        Ok(result)
    }
}

/// The log-probability of a token under a mixture, from those under each model.
pub fn mixed_log_probability(weights: &[f64], log_probabilities: &[f32]) -> f32 {
    let pairs = weights.iter().zip(log_probabilities);
    pairs.map(|(weight, &log_probability)| weight * f64::from(log_probability).exp()).sum::<f64>().ln() as f32
}

impl LanguageModel for Mixture<'_> {
    fn context(&self) -> usize {
        let of_bins = if self.bins.is_some() { Bins::CONTEXT } else { 1 };
        self.models.iter().map(|model| model.context()).max().unwrap_or(1).max(of_bins)
    }

    fn vocabulary(&self) -> usize {
        self.models.first().map_or(0, |model| model.vocabulary())
    }

    fn log_probabilities(&mut self, corpus: &Corpus) -> Result<Vec<f32>> {
        let each = self.each(corpus)?;
        let mut path = Vec::new();
        let mixed = |(example, log_probabilities): (usize, &[f32])| {
            let weights = self.weights.of(self.bin(corpus.context_of(example), &mut path));
            mixed_log_probability(weights, log_probabilities)
        };
        Ok(each.chunks_exact(self.models.len()).enumerate().map(mixed).collect())
    }

    fn distributions(&mut self, contexts: &[u32]) -> Result<Vec<f32>> {
        let (longest, vocabulary) = (self.context(), self.vocabulary());
        let mut path = Vec::new();
        let bins: Vec<usize> = contexts.chunks_exact(longest).map(|context| self.bin(context, &mut path)).collect();
        let mut result = vec![0.0; bins.len() * vocabulary];
        for (index, model) in self.models.iter_mut().enumerate() {
            let skipped = longest - model.context();
            let nearest: Vec<u32> =
                contexts.chunks_exact(longest).flat_map(|context| context[skipped..].iter().copied()).collect();
            let distributions = model.distributions(&nearest)?;
            let rows = result.chunks_exact_mut(vocabulary).zip(distributions.chunks_exact(vocabulary));
            for ((row, distribution), &bin) in rows.zip(&bins) {
                let weight = self.weights.of(bin)[index] as f32;
                row.iter_mut().zip(distribution).for_each(|(sum, probability)| *sum += weight * probability);
            }
        }
        Ok(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language_model::{CountModel, KneserNey};

    fn corpus() -> Corpus {
        Corpus::from_lines(&[vec![1, 2, 2], vec![1, 2], vec![2, 1, 1, 2], vec![3]], 3)
    }

    fn models() -> Vec<Box<dyn LanguageModel>> {
        vec![Box::new(CountModel::new(&corpus(), 4, 4)), Box::new(KneserNey::interpolated(&corpus(), 2, 4))]
    }

    #[test]
    fn probabilities_are_weighted_means_for_models_of_different_contexts() {
        let mut mixture = Mixture::fixed(models(), &[0.25, 0.75]);
        assert_eq!(mixture.context(), 3);
        let [mut first, mut second] = <[_; 2]>::try_from(models()).ok().unwrap();
        let a = first.distributions(&[0, 1, 2, 3, 1, 1]).unwrap();
        let b = second.distributions(&[2, 1]).unwrap();
        let found = mixture.distributions(&[0, 1, 2, 3, 1, 1]).unwrap();
        for ((a, b), found) in a.iter().zip(&b).zip(&found) {
            assert!((0.25 * a + 0.75 * b - found).abs() < 1e-6);
        }
        let found = mixture.log_probabilities(&corpus()).unwrap();
        let (a, b) = (first.log_probabilities(&corpus()).unwrap(), second.log_probabilities(&corpus()).unwrap());
        for ((a, b), found) in a.iter().zip(&b).zip(&found) {
            assert!(((0.25 * a.exp() + 0.75 * b.exp()).ln() - found).abs() < 1e-6);
        }
    }

    #[test]
    fn learned_weights_are_at_least_as_good_as_any_fixed_ones() {
        let valid = Corpus::from_lines(&[vec![1, 2], vec![2, 2, 1], vec![3, 1]], 3);
        let loss = |mixture: &mut Mixture| crate::engine::mean_negative(&mixture.log_probabilities(&valid).unwrap());
        let mut one = Mixture::learned(models(), None, &valid).unwrap();
        let learned = loss(&mut one);
        for weight in [0.0, 0.2, 0.5, 0.9, 1.0] {
            assert!(learned < loss(&mut Mixture::fixed(models(), &[weight, 1.0 - weight])) + 1e-4, "{weight}");
        }
        let mut binned = Mixture::learned(models(), Some(Bins::new(&corpus(), 4)), &valid).unwrap();
        assert!(loss(&mut binned) < learned + 1e-4);
        assert!(binned.weights().bins() > 1);
    }
}
