//! Drawing items from a language model.

use std::ops::Range;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;

use super::{LanguageModel, log_of};
use crate::Result;

/// Items that are drawn side by side where there are many.
pub const AT_ONCE: usize = 1024;

/// How to draw.
#[derive(Clone, Copy, Debug)]
pub struct Sampler {
    /// Logits are divided by it: below 1 the likely becomes likelier, 0 takes the likeliest token each time.
    pub temperature: f64,
    /// Only the k likeliest tokens are drawn from; 0 is all.
    pub top_k: usize,
    /// Only the likeliest tokens that together have this probability are drawn from; 1 is all.
    pub top_p: f64,
    /// The token that ends an item; `None` where items are pieces of running text, which end by their length alone.
    pub end: Option<u32>,
    /// Most tokens of an item.
    pub length: usize,
    /// Fixes what is drawn; each item has a stream of its own.
    pub seed: u32,
}

/// A drawn item.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Its tokens, the prompt among them, without the end mark.
    pub tokens: Vec<u32>,
    /// The model's log-probability of the tokens and, if it was drawn, the end mark: at temperature 1, whatever was drawn
    /// with.
    pub log_probability: f64,
}

impl Sampler {
    /// Draws items that begin with `prompt`. An item is known by its number, whatever range it is drawn in.
    pub fn draw(&self, model: &mut dyn LanguageModel, prompt: &[u32], items: Range<usize>) -> Result<Vec<Sample>> {
        let (context, vocabulary) = (model.context(), model.vocabulary());
        let count = items.len();
        let mut samples = vec![Sample { tokens: Vec::new(), log_probability: 0.0 }; count];
        let mut generators: Vec<ChaCha12Rng> = items
            .map(|item| {
                let mut generator = ChaCha12Rng::seed_from_u64(self.seed.into());
                generator.set_stream(item as u64);
                generator
            })
            .collect();
        let mut open: Vec<usize> = (0..count).collect();
        for place in 0..self.length.max(prompt.len()) {
            let contexts: Vec<u32> = open.iter().flat_map(|&item| last(&samples[item].tokens, context)).collect();
            let distributions = model.distributions(&contexts)?;
            let mut still_open = Vec::new();
            for (&item, distribution) in open.iter().zip(distributions.chunks_exact(vocabulary)) {
                let sample = &mut samples[item];
                let token = match prompt.get(place) {
                    Some(&token) => token,
                    None => self.draw_token(distribution, &mut generators[item]),
                };
                // A prompt may have a token of a probability that float32 rounds to 0.
                sample.log_probability += log_of(distribution[token as usize]);
                if Some(token) != self.end {
                    sample.tokens.push(token);
                    still_open.push(item);
                }
            }
            open = still_open;
            if open.is_empty() {
                break;
            }
        }
        Ok(samples)
    }

    fn draw_token(&self, distribution: &[f32], generator: &mut ChaCha12Rng) -> u32 {
        let kept = self.weights(distribution);
        let total: f64 = kept.iter().map(|&(_, weight)| weight).sum();
        let mut rest = generator.random::<f64>() * total;
        for &(token, weight) in &kept {
            rest -= weight;
            if rest < 0.0 {
                return token;
            }
        }
        kept.last().expect("at least one token is kept").0
    }

    /// The tokens that can be drawn with their weights, the likeliest first.
    fn weights(&self, distribution: &[f32]) -> Vec<(u32, f64)> {
        let mut tokens: Vec<(u32, f64)> = (0..).zip(distribution.iter().map(|&p| f64::from(p))).collect();
        tokens.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        if self.temperature == 0.0 {
            tokens.truncate(1);
        } else if self.temperature != 1.0 {
            // p^(1/T), relative to the largest so that nothing underflows.
            let largest = tokens[0].1;
            tokens.iter_mut().for_each(|(_, weight)| *weight = (*weight / largest).powf(1.0 / self.temperature));
        }
        if self.top_k > 0 {
            tokens.truncate(self.top_k);
        }
        if self.top_p < 1.0 {
            let total: f64 = tokens.iter().map(|&(_, weight)| weight).sum();
            let mut sum = 0.0;
            let enough = |&(_, weight): &(u32, f64)| {
                sum += weight;
                sum >= self.top_p * total
            };
            let count = tokens.iter().position(enough).map_or(tokens.len(), |place| place + 1);
            tokens.truncate(count);
        }
        tokens
    }
}

/// The last `count` tokens, filled up with token 0 in front.
fn last(tokens: &[u32], count: usize) -> Vec<u32> {
    let missing = count.saturating_sub(tokens.len());
    let mut context = vec![0; missing];
    context.extend_from_slice(&tokens[tokens.len() + missing - count..]);
    context
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::language_model::CountModel;
    use crate::text::Corpus;

    const SAMPLER: Sampler = Sampler { temperature: 1.0, top_k: 0, top_p: 1.0, end: Some(0), length: 20, seed: 1 };

    fn model() -> CountModel {
        CountModel::new(&Corpus::from_lines(&[vec![1, 2, 2], vec![1, 2], vec![2, 1, 1, 2]], 2), 3, 4)
    }

    #[test]
    fn the_same_seed_draws_the_same_and_the_count_changes_nothing() {
        let draw = |seed, count| Sampler { seed, ..SAMPLER }.draw(&mut model(), &[], 0..count).unwrap();
        assert_eq!(draw(1, 5), draw(1, 50)[..5]);
        assert_eq!(SAMPLER.draw(&mut model(), &[], 30..35).unwrap(), draw(1, 50)[30..35]);
        assert_ne!(draw(1, 50), draw(2, 50));
    }

    #[test]
    fn drawn_tokens_have_the_models_frequencies() {
        let samples = Sampler { length: 1, ..SAMPLER }.draw(&mut model(), &[], 0..20_000).unwrap();
        let distribution = model().distributions(&[0, 0]).unwrap();
        for token in 1..4 {
            let count = samples.iter().filter(|sample| sample.tokens == [token]).count();
            let expected = f64::from(distribution[token as usize]);
            assert!((count as f64 / 20_000.0 - expected).abs() < 0.015, "{token}: {count}, {expected}");
        }
    }

    #[test]
    fn temperature_zero_and_top_k_one_take_the_likeliest() {
        let greedy = Sampler { temperature: 0.0, ..SAMPLER }.draw(&mut model(), &[], 0..2).unwrap();
        let top = Sampler { top_k: 1, ..SAMPLER }.draw(&mut model(), &[], 0..2).unwrap();
        let nucleus = Sampler { top_p: 1e-9, ..SAMPLER }.draw(&mut model(), &[], 0..2).unwrap();
        assert_eq!(greedy, top);
        assert_eq!(greedy, nucleus);
        assert_eq!(greedy[0], greedy[1]);
    }

    #[test]
    fn a_prompt_begins_every_item_and_counts_in_its_probability() {
        let samples = SAMPLER.draw(&mut model(), &[2, 1], 0..20).unwrap();
        for sample in samples {
            assert_eq!(sample.tokens[..2], [2, 1]);
            let corpus = Corpus::from_lines(std::slice::from_ref(&sample.tokens), 2);
            let ended = sample.tokens.len() < 20;
            let log_probabilities = model().log_probabilities(&corpus).unwrap();
            let counted = if ended { corpus.len() } else { corpus.len() - 1 };
            let expected: f64 = log_probabilities[..counted].iter().map(|&p| f64::from(p)).sum();
            assert!((sample.log_probability - expected).abs() < 1e-4);
        }
    }

    #[test]
    fn running_text_has_the_length_that_is_asked_for() {
        let samples = Sampler { end: None, length: 9, ..SAMPLER }.draw(&mut model(), &[0, 1], 0..50).unwrap();
        assert!(samples.iter().all(|sample| sample.tokens.len() == 9 && sample.tokens[..2] == [0, 1]));
        assert!(samples.iter().any(|sample| sample.tokens[2..].contains(&0)));
    }

    #[test]
    fn an_item_is_no_longer_than_asked() {
        let samples = Sampler { length: 3, ..SAMPLER }.draw(&mut model(), &[], 0..200).unwrap();
        assert!(samples.iter().all(|sample| sample.tokens.len() <= 3));
    }

    proptest! {
        #[test]
        fn what_can_be_drawn_is_the_likeliest_and_no_more_than_asked(
            weights in proptest::collection::vec(0.01f32..1.0, 2..40),
            temperature in 0.1f64..3.0,
            top_k in 0usize..40,
            top_p in 0.05f64..1.0,
        ) {
            let total: f32 = weights.iter().sum();
            let distribution: Vec<f32> = weights.iter().map(|weight| weight / total).collect();
            let all = Sampler { temperature, ..SAMPLER }.weights(&distribution);
            prop_assert_eq!(all.len(), distribution.len());
            prop_assert!(all.is_sorted_by(|a, b| a.1 >= b.1));
            // A temperature changes no order.
            prop_assert!(all.is_sorted_by(|a, b| distribution[a.0 as usize] >= distribution[b.0 as usize]));
            let of_k = Sampler { temperature, top_k, ..SAMPLER }.weights(&distribution);
            prop_assert_eq!(&of_k[..], &all[..if top_k == 0 { all.len() } else { top_k.min(all.len()) }]);
            let of_p = Sampler { temperature, top_p, ..SAMPLER }.weights(&distribution);
            prop_assert_eq!(&of_p[..], &all[..of_p.len()]);
            let sum = |kept: &[(u32, f64)]| kept.iter().map(|&(_, weight)| weight).sum::<f64>();
            let wanted = top_p * sum(&all);
            prop_assert!(sum(&of_p) >= wanted * (1.0 - 1e-9), "too few are kept");
            prop_assert!(sum(&of_p[..of_p.len() - 1]) < wanted * (1.0 + 1e-9), "one too many is kept");
        }
    }
}
