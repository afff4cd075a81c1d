//! Modified Kneser-Ney as a back-off model (Chen and Goodman 1999, sections 2.4 and 3): a shorter context is asked only
//! for tokens that were not counted after the longer one. The estimates follow SRILM's `ngram-count -kndiscount`, the
//! program that Bengio et al. (2003, p. 1148) compare their networks with.

use super::KneserNey;
use super::kneser_ney::Discounts;
use crate::text::Corpus;

/// The counts of orders from this one on are cut off.
const FIRST_CUT: usize = 3;
/// SRILM's cut-off: n-grams seen once are dropped.
pub const CUT_OFF: u32 = 2;

/// A sum of probabilities in 32 bits that is closer to 1 than this says nothing of the difference.
const ROUNDING: f64 = 1e-3;

impl KneserNey {
    /// The back-off model of an order, 1 or more and at most the corpus's context + 1, over `vocabulary` tokens:
    /// p(w | h) = (c(h w) - D(c)) / c(h) where h w is kept, else weight(h) p(w | h') with weight(h) = what the kept n-grams
    /// leave over, by what the same tokens leave over of p(. | h'). N-grams of order 3 and more with a count below
    /// `cut_off` are dropped after the discounts are estimated ([`CUT_OFF`] in SRILM; 1 keeps all).
    pub fn back_off(corpus: &Corpus, order: usize, vocabulary: usize, cut_off: u32) -> Self {
        let mut model = Self::counted(corpus, order, vocabulary);
        // The context one token shorter of each context, by length.
        let mut parents: Vec<Vec<u32>> = Vec::new();
        let mut path = Vec::new();
        for length in 0..order {
            parents.push(model.with_parents(length).map(|(_, parent)| parent as u32).collect());
            let level = &mut model.grams.levels[length];
            let discounts = Discounts::new(&level.counts);
            let total = |context| discounts.total_and_lost(&level.counts[level.after(context)], vocabulary).0;
            let totals: Vec<f64> = (0..level.len()).map(total).collect();
            let own = |count: u32| f64::from(count) - discounts.of(count);
            let fewest = if length + 1 >= FIRST_CUT { cut_off } else { 1 };
            // Of whose count the discount leaves nothing is as if it had not been counted.
            level.retain(|count| count >= fewest && own(count) > 0.0);
            let level = &model.grams.levels[length];
            let (mut probabilities, mut weights) = (Vec::with_capacity(level.tokens.len()), Vec::new());
            for (context, &total) in totals.iter().enumerate() {
                let (after, first) = (level.after(context), probabilities.len());
                let counts = &level.counts[after.clone()];
                let kept = counts.iter().map(|&count| own(count)).sum::<f64>() / total;
                probabilities.extend(counts.iter().map(|&count| (own(count) / total) as f32));
                trace(&parents, length, context, &mut path);
                let shorter = |token: u32| match length {
                    0 => 1.0 / vocabulary as f64,
                    _ => model.probability(&path, token),
                };
                let rest = rest(&level.tokens[after], vocabulary, shorter);
                if rest > 0.0 {
                    weights.push(((1.0 - kept) / rest) as f32);
                } else {
                    // Nobody is there to take what is left over: those that are counted share it, as in SRILM.
                    probabilities[first..].iter_mut().for_each(|p| *p = (f64::from(*p) / kept) as f32);
                    weights.push(0.0);
                }
            }
            model.take_level(probabilities, weights);
        }
        model.forget_counts();
        model
    }
}

/// What a distribution leaves over for all tokens but some, which are in order.
fn rest(tokens: &[u32], vocabulary: usize, probability: impl Fn(u32) -> f64) -> f64 {
    if tokens.len() == vocabulary {
        return 0.0;
    }
    let rest = 1.0 - tokens.iter().map(|&token| probability(token)).sum::<f64>();
    if rest > ROUNDING {
        return rest;
    }
    let others = (0..vocabulary as u32).filter(|token| tokens.binary_search(token).is_err());
    others.map(probability).sum()
}

/// The contexts that a context of some length backs off to, from length 0 on, without itself.
fn trace(parents: &[Vec<u32>], length: usize, context: usize, path: &mut Vec<usize>) {
    path.clear();
    let mut node = context;
    for level in parents[1..=length].iter().rev() {
        node = level[node] as usize;
        path.push(node);
    }
    path.reverse();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language_model::LanguageModel;

    #[test]
    fn a_bigram_worked_by_hand() {
        // "aab", "ab", "c" with . = 0, a = 1, b = 2, c = 3, and d = 4, which does not occur. Of bigrams before a line a is
        // seen twice (. a) and c once (. c); a a once, a b twice, b . twice, c . once.
        let corpus = Corpus::from_lines(&[vec![1, 1, 2], vec![1, 2], vec![3]], 1);
        let mut model = KneserNey::back_off(&corpus, 2, 5, CUT_OFF);
        // n_1 = 3, n_2 = 3, n_3 = 0: Y = 3 / 9, D_1 = 1 - 2 / 3 = 1 / 3, D_2 = 2, D_3 = 0 since it has no estimate.
        // Of . b c one token stands before (b and c before the end: two). Unigrams: . 2 (b, c), a 2 (., a), b 1 (a), c 1 (.);
        // n_1 = 2, n_2 = 2: Y = 1 / 3, D_1 = 1 / 3, D_2 = 2: c(.) = 6, b and c have 2/3 / 6 = 1/9 each, the rest is shared by
        // ., a and d: 7/27 each.
        let found = model.distributions(&[1]).unwrap();
        // After a: a has 1 - 1/3 of 3, 2/9; b loses all it has. The others share 7/9 as p(w) / (1 - 7/27).
        let (share, of_others) = (7.0 / 27.0, 7.0 / 9.0 / (20.0 / 27.0));
        let expected = [share * of_others, 2.0 / 9.0, of_others / 9.0, of_others / 9.0, share * of_others];
        for (found, expected) in found.into_iter().zip(expected) {
            assert!((f64::from(found) - expected).abs() < 1e-6, "{found} {expected}");
        }
    }

    #[test]
    fn what_nobody_else_can_have_is_shared() {
        // After a every token of the vocabulary is seen: it backs off to nothing, and the sum is still 1.
        let corpus = Corpus::from_stream(vec![1, 0, 1, 1, 1, 0, 0, 1], 1);
        let mut model = KneserNey::back_off(&corpus, 2, 2, 1);
        let sum: f32 = model.distributions(&[1]).unwrap().iter().sum();
        assert!((sum - 1.0).abs() < 1e-6, "{sum}");
    }

    #[test]
    fn the_rest_is_exact_where_it_is_small() {
        let probabilities = [0.5, 0.499_999, 6e-7, 4e-7];
        let rest = rest(&[0, 1], 4, |token| probabilities[token as usize]);
        assert!((rest - 1e-6).abs() < 1e-12, "{rest}");
    }
}
