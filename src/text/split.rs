//! Which lines or tokens are for training, validation and test.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::kind::Kind;
use super::random::{Permutation, Purpose};

/// How a text is cut into training, validation and test part: by shares, of which only the ratio counts, or (where one of
/// the three is `rest`) by counts of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Split {
    shares: [Share; 3],
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Share {
    Number(f64),
    /// What the counts of the other parts leave.
    Rest,
    /// All three as the paper has them, for a text of its size.
    Paper,
}

/// The parts in the order of their shares.
const NAMES: [&str; 3] = ["training", "validation", "test"];

/// The lines of the three parts, by their index in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// Training, validation, test; a part without a share is empty.
    pub lines: [Vec<u32>; 3],
}

impl Default for Split {
    fn default() -> Self {
        Split { shares: [80.0, 10.0, 10.0].map(Share::Number) }
    }
}

/// A text of so many tokens is cut as the paper cuts the Brown corpus.
const PAPER_TOKENS: std::ops::Range<usize> = 1_050_000..1_500_000;

impl Split {
    /// `paper`: 800000/200000/rest, as the paper cuts the Brown corpus, for a text of about its size (1.05 to 1.5 million
    /// tokens); 80/10/10 for any other.
    pub const PAPER: Split = Split { shares: [Share::Paper; 3] };

    /// The split of a stream of so many tokens.
    fn resolved(&self, count: usize) -> Split {
        match self.shares {
            [Share::Paper, ..] if PAPER_TOKENS.contains(&count) => {
                Split { shares: [Share::Number(800_000.0), Share::Number(200_000.0), Share::Rest] }
            }
            [Share::Paper, ..] => Split::default(),
            _ => *self,
        }
    }

    /// Whether the split can cut a text of this kind. `valid` and `test` say which parts come from files of their own. An
    /// error names the option.
    pub fn check(&self, kind: Kind, valid: bool, test: bool) -> Result<(), String> {
        let Some(rest) = self.shares.iter().position(|&share| share == Share::Rest) else { return Ok(()) };
        if kind.has_end() {
            return Err(format!(
                "--split {self}: counts of tokens cut a stream, and lines are cut by shares: give shares such as 80/10/10, \
                 or add --text stream"
            ));
        }
        if [false, valid, test][rest] {
            return Err(format!(
                "--split {self}: the {} part has a file of its own, so it cannot be the rest: give `rest` to another part",
                NAMES[rest]
            ));
        }
        Ok(())
    }

    /// Whether there is a validation part. (Where its share leaves it empty, cutting is an error.)
    pub fn has_validation(&self) -> bool {
        self.shares[1] != Share::Number(0.0)
    }

    /// The same split without the parts that come from files of their own.
    pub fn without(mut self, valid: bool, test: bool) -> Self {
        if self == Split::PAPER && (valid || test) {
            self = Split::default();
        }
        if valid {
            self.shares[1] = Share::Number(0.0);
        }
        if test {
            self.shares[2] = Share::Number(0.0);
        }
        self
    }

    /// Cuts `count` lines, shuffled by the seed. An error names the part that would be empty.
    pub fn cut(&self, count: usize, seed: u32) -> Result<Parts, String> {
        let split = if *self == Split::PAPER { Split::default() } else { *self };
        let [train, valid, _] = split.lengths(count, "lines")?;
        let permutation = Permutation::new(seed, Purpose::Split, 0, count as u32);
        let part = |from: usize, to: usize| (from..to).map(|line| permutation.apply(line as u32)).collect::<Vec<_>>();
        Ok(Parts { lines: [part(0, train), part(train, train + valid), part(train + valid, count)] })
    }

    /// The lengths of the parts of a stream of `count` tokens, which follow each other. An error names the part that would
    /// be empty, or the counts that the text does not have.
    pub fn cut_stream(&self, count: usize) -> Result<[usize; 3], String> {
        self.resolved(count).lengths(count, "tokens")
    }

    /// The lengths of the parts of `count` things.
    fn lengths(&self, count: usize, things: &str) -> Result<[usize; 3], String> {
        let numbers = self.shares.map(|share| if let Share::Number(number) = share { number } else { 0.0 });
        let total: f64 = numbers.iter().sum();
        let lengths = match self.shares.iter().position(|&share| share == Share::Rest) {
            Some(rest) => {
                let mut lengths = numbers.map(|number| number as usize);
                lengths[rest] = count.checked_sub(lengths.iter().sum()).ok_or_else(|| {
                    format!(
                        "--split {self} takes {total} {things} before the rest, but the text has {count}: give more text, \
                         lower counts, or shares such as 80/10/10"
                    )
                })?;
                lengths
            }
            None => {
                let boundary = |share: f64| (share / total * count as f64 + 1e-9).floor() as usize;
                let second = if numbers[2] > 0.0 { boundary(numbers[0] + numbers[1]) } else { count };
                let first = if numbers[1] > 0.0 { boundary(numbers[0]) } else { second };
                [first, second - first, count - second]
            }
        };
        for index in 0..NAMES.len() {
            if lengths[index] == 0 && (self.shares[index] != Share::Number(0.0) || index == 0) {
                let none =
                    if index > 0 { ", a share of 0 for a part that is not needed (--split 100/0/0)" } else { "" };
                let stream = if things == "lines" { ", or for a text in few long lines --text stream" } else { "" };
                return Err(format!(
                    "a split of {self} leaves the {} part of {count} {things} empty: give more text{none}, files for the \
                     held-out parts (--valid FILE --test FILE){stream}",
                    NAMES[index]
                ));
            }
        }
        Ok(lengths)
    }
}

impl FromStr for Split {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "paper" {
            return Ok(Split::PAPER);
        }
        let share = |share: &str| match share.trim() {
            "rest" => Some(Share::Rest),
            number => number.parse().ok().filter(|number| (0.0..=1e9).contains(number)).map(Share::Number),
        };
        let shares: Option<Vec<Share>> = text.split('/').map(share).collect();
        let expected = "expected three shares such as 80/10/10, or for a stream counts of tokens such as \
                        800000/200000/rest, or paper";
        let shares: [Share; 3] = shares
            .and_then(|shares| shares.try_into().ok())
            .filter(|shares: &[Share; 3]| shares[0] != Share::Number(0.0))
            .ok_or_else(|| format!("{text:?} is not a split: {expected}"))?;
        let rests = shares.iter().filter(|&&share| share == Share::Rest).count();
        if rests > 1 {
            return Err(format!("{text:?} has `rest` twice, so nothing says where to cut: {expected}"));
        }
        let whole = |share: &Share| !matches!(share, Share::Number(number) if number.fract() != 0.0);
        if rests == 1 && !shares.iter().all(whole) {
            return Err(format!("{text:?} counts tokens beside `rest`, but not in whole numbers: {expected}"));
        }
        Ok(Split { shares })
    }
}

impl TryFrom<String> for Split {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Split> for String {
    fn from(split: Split) -> String {
        split.to_string()
    }
}

impl fmt::Display for Split {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Split::PAPER {
            return write!(out, "paper");
        }
        let [train, valid, test] = self.shares.map(|share| match share {
            Share::Number(number) => number.to_string(),
            Share::Rest | Share::Paper => "rest".to_owned(),
        });
        write!(out, "{train}/{valid}/{test}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_papers_split_is_for_texts_of_its_size() {
        let split: Split = "paper".parse().unwrap();
        assert_eq!(split.to_string(), "paper");
        assert_eq!(split.cut_stream(1_177_359), Ok([800_000, 200_000, 177_359]));
        assert_eq!(split.cut_stream(1000), Ok([800, 100, 100]));
        assert_eq!(
            split.without(true, false).cut_stream(1_177_359),
            Split::default().without(true, false).cut_stream(1_177_359)
        );
    }

    #[test]
    fn eighty_ten_ten_cuts_names_as_the_lecture_does() {
        let parts = Split::default().cut(32_033, 42).unwrap();
        assert_eq!(parts.lines.map(|part| part.len()), [25_626, 3_203, 3_204]);
    }

    proptest! {
        #[test]
        fn every_line_is_in_one_part(count in 10usize..500, seed: u32) {
            let parts = Split::default().cut(count, seed).unwrap();
            let mut lines = parts.lines.concat();
            lines.sort_unstable();
            prop_assert_eq!(lines, (0..count as u32).collect::<Vec<_>>());
        }
    }

    #[test]
    fn parts_from_other_files_take_nothing() {
        let parts = Split::default().without(true, true).cut(100, 1).unwrap();
        assert_eq!(parts.lines.map(|part| part.len()), [100, 0, 0]);
        let parts = Split::default().without(true, false).cut(90, 1).unwrap();
        assert_eq!(parts.lines.map(|part| part.len()), [80, 0, 10]);
    }

    #[test]
    fn a_part_that_would_be_empty_is_an_error() {
        assert!(Split::default().cut(5, 1).unwrap_err().contains("validation"));
        assert!("0/10/10".parse::<Split>().is_err());
        assert!("80/10".parse::<Split>().is_err());
        assert!("80/10/x".parse::<Split>().is_err());
        assert!("80/-1/10".parse::<Split>().is_err());
    }

    #[test]
    fn a_split_is_written_as_it_is_read() {
        assert_eq!("80/10/10".parse::<Split>().unwrap().to_string(), "80/10/10");
    }

    #[test]
    fn counts_and_shares_cut_a_stream_in_order() {
        let lengths = |split: &str, count| split.parse::<Split>().unwrap().cut_stream(count);
        assert_eq!(lengths("800000/200000/rest", 1_177_359), Ok([800_000, 200_000, 177_359]));
        assert_eq!(lengths("rest/20/30", 100), Ok([50, 20, 30]));
        assert_eq!(lengths("80/10/10", 1001), Ok([800, 100, 101]));
        assert_eq!(lengths("80/0/rest", 100), Ok([80, 0, 20]));
        let has_validation = ["80/0/rest", "80/0/20", "80/rest/20", "80/10/10", "paper"]
            .map(|split| split.parse::<Split>().unwrap().has_validation());
        assert_eq!(has_validation, [false, false, true, true, true]);
        let error = lengths("800000/200000/rest", 1000).unwrap_err();
        assert!(error.contains("--split 800000/200000/rest") && error.contains("has 1000"), "{error}");
        assert!(lengths("80/20/rest", 100).unwrap_err().contains("test part"));
    }

    #[test]
    fn counts_need_a_stream_and_one_rest() {
        let split: Split = "80/10/rest".parse().unwrap();
        assert_eq!(split.to_string(), "80/10/rest");
        assert!(split.check(Kind::default(), false, false).unwrap_err().contains("--text stream"));
        let stream = Kind { text: crate::text::TextKind::Stream, ..Kind::default() };
        assert_eq!(split.check(stream, true, false), Ok(()));
        assert!(split.check(stream, false, true).unwrap_err().contains("test part has a file"));
        assert!("rest/10/rest".parse::<Split>().unwrap_err().contains("twice"));
        assert!("0.5/10/rest".parse::<Split>().unwrap_err().contains("whole numbers"));
        assert!("0/10/rest".parse::<Split>().is_err());
    }

    proptest! {
        #[test]
        fn the_parts_of_a_stream_are_the_stream(count in 30usize..5000, a in 1u32..9, b in 1u32..9, c in 1u32..9) {
            for split in [format!("{a}/{b}/{c}"), format!("{a}/rest/{c}")] {
                let lengths = split.parse::<Split>().unwrap().cut_stream(count).unwrap();
                prop_assert_eq!(lengths.iter().sum::<usize>(), count);
            }
        }
    }
}
