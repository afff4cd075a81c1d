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

/// Less than this is what rounding leaves of nothing.
const NOTHING: f64 = 1e-6;

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
            if length + 1 >= FIRST_CUT {
                level.cut_off(cut_off);
            }
            let level = &model.grams.levels[length];
            let (mut probabilities, mut weights) = (Vec::with_capacity(level.tokens.len()), Vec::new());
            for (context, &total) in totals.iter().enumerate() {
                let (after, first) = (level.after(context), probabilities.len());
                let own = |&count: &u32| ((f64::from(count) - discounts.of(count)) / total) as f32;
                probabilities.extend(level.counts[after.clone()].iter().map(own));
                let left = 1.0 - sum(&probabilities[first..]);
                let tokens = &level.tokens[after];
                let shorter: f64 = match length {
                    0 => tokens.len() as f64 / vocabulary as f64,
                    _ => {
                        trace(&parents, length, context, &mut path);
                        tokens.iter().map(|&token| model.probability(&path, token)).sum()
                    }
                };
                if tokens.len() == vocabulary || 1.0 - shorter < NOTHING {
                    // Nobody is there to take what is left over: those that are counted share it, as in SRILM.
                    probabilities[first..].iter_mut().for_each(|p| *p = (f64::from(*p) / (1.0 - left)) as f32);
                    weights.push(0.0);
                } else {
                    weights.push((left / (1.0 - shorter)) as f32);
                }
            }
            if length == 0 {
                model.set_unigram(&probabilities, weights[0]);
            }
            model.probabilities.push(probabilities);
            model.weights.push(weights);
        }
        model.forget_counts();
        model
    }
}

fn sum(probabilities: &[f32]) -> f64 {
    probabilities.iter().map(|&probability| f64::from(probability)).sum()
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
