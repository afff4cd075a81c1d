//! The shapes that are timed.

use crate::model::Shape;
use crate::text::random::{Purpose, threefry};
use crate::text::{Corpus, Kind, Sources, Vocabulary};

/// A network, a batch size and a text.
#[derive(Clone, Copy, Debug)]
pub struct BenchShape {
    /// Its name on the command line.
    pub name: &'static str,
    /// The network.
    pub shape: Shape,
    /// Examples in a step.
    pub batch: usize,
}

const fn shape(
    name: &'static str,
    [vocabulary, context, embedding, hidden, batch]: [usize; 5],
    direct: bool,
) -> BenchShape {
    BenchShape { name, shape: Shape { vocabulary, context, embedding, hidden, direct }, batch }
}

/// The lecture's two networks, a wide one bound by arithmetic, and two of Table 1 with a large vocabulary.
pub const SHAPES: [BenchShape; 5] = [
    shape("notebook", [27, 3, 2, 100, 32], false),
    shape("makemore", [27, 3, 10, 200, 32], false),
    shape("wide", [27, 8, 64, 1024, 1024], false),
    shape("brown", [16_383, 4, 30, 100, 256], false),
    shape("brown-direct", [16_383, 4, 60, 50, 256], true),
];

/// Tokens of the synthetic text.
const SYNTHETIC_TOKENS: usize = 200_000;

impl BenchShape {
    /// The built-in names for a vocabulary of 27; else ids drawn with probabilities proportional to 1 / rank, as words
    /// of a text are.
    pub fn corpus(&self) -> Corpus {
        let Shape { vocabulary, context, .. } = self.shape;
        if vocabulary == 27 {
            let tokens = std::iter::once('.').chain('a'..='z').map(String::from).collect();
            let letters = Vocabulary::from_tokens(tokens, Kind::default()).expect("distinct letters");
            let names = Sources::default().read(Kind::default()).expect("the names are built in");
            return names.encoded(&letters, context).expect("the names are of these letters").0;
        }
        let mut sum = 0.0;
        let cumulative: Vec<f64> = (1..=vocabulary)
            .map(|rank| {
                sum += 1.0 / rank as f64;
                sum
            })
            .collect();
        let draw = |position: usize| {
            let word = threefry([0, Purpose::Synthetic as u32], [1, position as u32])[0];
            let place = f64::from(word) / f64::from(u32::MAX) * sum;
            cumulative.partition_point(|&bound| bound < place).min(vocabulary - 1) as u32
        };
        Corpus::from_stream((0..SYNTHETIC_TOKENS).map(draw).collect(), context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_synthetic_text_follows_the_ranks() {
        let corpus = SHAPES[3].corpus();
        let count = |token: u32| corpus.tokens().iter().filter(|&&t| t == token).count() as f64;
        let harmonic: f64 = (1..=16_383).map(|rank| 1.0 / f64::from(rank)).sum();
        assert!((count(0) / SYNTHETIC_TOKENS as f64 - 1.0 / harmonic).abs() < 0.003);
        assert!((count(0) / count(1) - 2.0).abs() < 0.1);
        assert!(corpus.tokens().iter().all(|&token| token < 16_383));
    }

    #[test]
    fn names_have_the_vocabulary_of_the_shape() {
        assert_eq!(SHAPES[0].corpus().tokens().iter().max(), Some(&26));
    }
}
