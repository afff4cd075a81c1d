//! Which lines are for training, validation and test.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::random::{Permutation, Purpose};

/// Shares of the lines: training, validation, test. Only their ratio counts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Split {
    shares: [f64; 3],
}

/// The lines of the three parts, by their index in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// Training, validation, test; a part without a share is empty.
    pub lines: [Vec<u32>; 3],
}

impl Default for Split {
    fn default() -> Self {
        Split { shares: [80.0, 10.0, 10.0] }
    }
}

impl Split {
    /// The same split without the parts that come from files of their own.
    pub fn without(mut self, valid: bool, test: bool) -> Self {
        if valid {
            self.shares[1] = 0.0;
        }
        if test {
            self.shares[2] = 0.0;
        }
        self
    }

    /// Cuts `count` lines, shuffled by the seed. An error names the part that would be empty.
    pub fn cut(&self, count: usize, seed: u32) -> Result<Parts, String> {
        let total: f64 = self.shares.iter().sum();
        let boundary = |share: f64| (share / total * count as f64 + 1e-9).floor() as usize;
        let first = boundary(self.shares[0]);
        let second = if self.shares[2] > 0.0 { boundary(self.shares[0] + self.shares[1]) } else { count };
        let first = if self.shares[1] > 0.0 { first } else { second };
        let permutation = Permutation::new(seed, Purpose::Split, 0, count as u32);
        let part = |from: usize, to: usize| (from..to).map(|line| permutation.apply(line as u32)).collect::<Vec<_>>();
        let lines = [part(0, first), part(first, second), part(second, count)];
        for (index, name) in ["training", "validation", "test"].into_iter().enumerate() {
            if lines[index].is_empty() && (self.shares[index] > 0.0 || index == 0) {
                return Err(format!(
                    "a split of {self} leaves the {name} part of {count} lines empty: give more text, other shares \
                     (--split 60/20/20), or files for the held-out parts (--valid FILE --test FILE)"
                ));
            }
        }
        Ok(Parts { lines })
    }
}

impl FromStr for Split {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shares: Vec<f64> = text.split('/').map_while(|share| share.trim().parse().ok()).collect();
        match shares[..] {
            [train, valid, test]
                if text.split('/').count() == 3
                    && [train, valid, test].iter().all(|share| (0.0..=1e9).contains(share))
                    && train > 0.0 =>
            {
                Ok(Split { shares: [train, valid, test] })
            }
            _ => Err(format!("{text:?} is not a split: expected three shares of the lines such as 80/10/10")),
        }
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
        let [train, valid, test] = self.shares;
        write!(out, "{train}/{valid}/{test}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
}
