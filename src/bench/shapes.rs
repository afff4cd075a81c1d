//! The shapes that are timed, and the texts that they are timed on.

use crate::model::Shape;
use crate::text::random::{Purpose, threefry};
use crate::text::{Corpus, Kind, Sources, TextKind, TokenKind, Vocabulary};

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
    BenchShape { name, shape: Shape { vocabulary, context, embedding, hidden, direct, tied: false }, batch }
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
/// Letters that synthetic words are made of: three make a word of the text 4.4 letters long on average; those of the Brown
/// corpus have 4.3.
const LETTERS: &[u8; 3] = b"aet";
/// Words of a line of the synthetic text.
const LINE_WORDS: usize = 16;

impl BenchShape {
    /// Whether its text is the built-in names, characters of lines; else it is a stream of synthetic words.
    fn reads_names(&self) -> bool {
        self.shape.vocabulary == 27
    }

    /// The built-in names for a vocabulary of 27; else ids drawn with probabilities proportional to 1 / rank, as words
    /// of a text are.
    pub fn corpus(&self) -> Corpus {
        let Shape { vocabulary, context, .. } = self.shape;
        if self.reads_names() {
            let names = Sources::default().read(Kind::default()).expect("the names are built in");
            return names.encoded(&self.vocabulary(), context).expect("the names are of these letters").0;
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

    /// The tokens of its text.
    fn vocabulary(&self) -> Vocabulary {
        let (tokens, kind) = if self.reads_names() {
            (std::iter::once('.').chain('a'..='z').map(String::from).collect(), Kind::default())
        } else {
            let words = (0..self.shape.vocabulary).map(synthetic_word).collect();
            (words, Kind { tokens: TokenKind::Words, text: TextKind::Stream, marks: false })
        };
        Vocabulary::from_tokens(tokens, kind).expect("distinct tokens")
    }

    /// Its corpus as a text that can be read.
    pub fn text(&self) -> BenchText {
        let (corpus, vocabulary) = (self.corpus(), self.vocabulary());
        let line = |ids: &[u32]| (vocabulary.decode(ids) + "\n", ids.len() + usize::from(self.reads_names()));
        let lines = if self.reads_names() {
            corpus.lines().map(line).collect()
        } else {
            corpus.tokens().chunks(LINE_WORDS).map(line).collect()
        };
        BenchText { vocabulary, lines }
    }
}

/// The number of a word as a word: the more frequent, the shorter.
fn synthetic_word(mut number: usize) -> String {
    let mut word = String::new();
    loop {
        word.push(LETTERS[number % LETTERS.len()].into());
        if number < LETTERS.len() {
            return word;
        }
        number = number / LETTERS.len() - 1;
    }
}

/// A text in lines.
#[derive(Clone, Debug)]
pub struct BenchText {
    /// Its tokens.
    pub vocabulary: Vocabulary,
    /// Each line with its line end, and how many tokens it is, an end mark of an item among them.
    lines: Vec<(String, usize)>,
}

impl BenchText {
    /// Lines from the beginning that make at least so many tokens; after the last line comes the first again.
    pub fn of_tokens(&self, least: usize) -> String {
        self.at_least(least, |(_, tokens)| *tokens)
    }

    /// The same for bytes.
    pub fn of_bytes(&self, least: usize) -> String {
        self.at_least(least, |(line, _)| line.len())
    }

    fn at_least(&self, least: usize, weight: impl Fn(&(String, usize)) -> usize) -> String {
        let (mut text, mut sum) = (String::new(), 0);
        for line in self.lines.iter().cycle() {
            text.push_str(&line.0);
            sum += weight(line);
            if sum >= least {
                break;
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Texts;

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

    #[test]
    fn a_text_that_is_read_is_the_corpus_again() {
        for shape in [&SHAPES[1], &SHAPES[3]] {
            let (corpus, text) = (shape.corpus(), shape.text());
            let targets = |corpus: &Corpus| (0..corpus.len()).map(|e| corpus.target_of(e)).collect::<Vec<_>>();
            // A stream that is read predicts its first tokens, too.
            let skipped = if shape.reads_names() { 0 } else { shape.shape.context };
            for tokens in [1, 1000] {
                let written = text.of_tokens(tokens);
                let read = Texts::from_reader(written.as_bytes(), text.vocabulary.kind(), "a text".as_ref());
                let (read, _) = read.unwrap().encoded(&text.vocabulary, shape.shape.context).unwrap();
                assert!((tokens..tokens + 20).contains(&read.len()), "{} {}", shape.name, read.len());
                let read = &targets(&read)[skipped.min(read.len())..];
                assert_eq!(read, &targets(&corpus)[..read.len()], "{}", shape.name);
            }
        }
    }

    #[test]
    fn synthetic_words_are_as_long_as_real_ones() {
        let words: f64 = (0..16_383).map(|rank| 1.0 / (rank + 1) as f64).sum();
        let letters: f64 = (0..16_383).map(|rank| synthetic_word(rank).len() as f64 / (rank + 1) as f64).sum();
        assert!((letters / words - 4.4).abs() < 0.1, "{}", letters / words);
    }
}
