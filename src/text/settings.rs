//! How a text becomes a vocabulary and three parts, and which types the vocabulary keeps.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use super::kind::{Kind, RARE, TokenKind};
use super::types::Types;
use super::{Split, Vocabulary};

/// Where the vocabulary comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum VocabularyFrom {
    /// The training part; a type that only a held-out part has becomes `<rare>`.
    #[default]
    Train,
    /// All three parts.
    All,
}

/// How a text becomes a vocabulary and three parts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TextSettings {
    /// How the text is read.
    pub kind: Kind,
    /// Types seen fewer times become `<rare>`; 0 and 1 keep all.
    pub min_count: u64,
    /// How many of the most frequent types are kept (ties by code point), `<rare>` and the end mark not counted; `None` is
    /// all.
    pub max_vocab: Option<u64>,
    /// Where the counts come from.
    pub vocabulary_from: VocabularyFrom,
    /// Shares or counts of the parts that come from the text itself.
    pub split: Split,
    /// Shuffles lines before they are cut.
    pub seed: u32,
}

impl TextSettings {
    /// Whether a text can be read so; `valid` and `test` say which parts have files of their own. An error names the
    /// option.
    pub fn check(&self, valid: bool, test: bool) -> Result<(), String> {
        self.kind.check()?;
        if self.max_vocab == Some(0) {
            return Err(
                "--max-vocab is 0, which keeps no token: give at least 2, or leave it out to keep all".to_owned()
            );
        }
        self.split.check(self.kind, valid, test)
    }

    /// The vocabulary of types that are seen so often in the part that it comes from (`counted`) and in all parts (`all`).
    pub(super) fn vocabulary(&self, types: &Types, counted: &[u64], all: &[u64]) -> Result<Vocabulary, String> {
        let kind = self.kind;
        let count = |number: u32| counted[number as usize];
        let order = |&number: &u32| (Reverse(count(number)), types.text(number));
        let (marks, others): (Vec<u32>, Vec<u32>) =
            (0..types.len() as u32).partition(|&number| kind.is_mark(types.text(number)));
        let is_rare = |number: u32| kind.tokens == TokenKind::Words && types.text(number) == RARE;
        let mut kept: Vec<u32> =
            others.iter().copied().filter(|&number| count(number) > 0 && !is_rare(number)).collect();
        kept.sort_unstable_by_key(order);
        let most = kept.first().copied();
        kept.retain(|&number| count(number) >= self.min_count);
        if let Some(most) = self.max_vocab {
            kept.truncate((most as usize).saturating_sub(marks.len()));
        }
        if kept.is_empty() {
            return Err(self.nothing_left(most.map(|most| (types.text(most), count(most)))));
        }
        let dropped = others.iter().filter(|&&number| all[number as usize] > 0).count() > kept.len();
        let first = kind.first_tokens();
        kept.extend(marks.into_iter().filter(|&mark| !first.contains(&types.text(mark))));
        match kind.tokens {
            TokenKind::Chars => kept.sort_unstable_by_key(|&number| types.text(number)),
            TokenKind::Words => kept.sort_unstable_by_key(order),
        }
        let tokens: Vec<String> = first
            .iter()
            .copied()
            .chain(kept.iter().map(|&number| types.text(number)))
            .chain(dropped.then_some(RARE))
            .map(str::to_owned)
            .collect();
        if tokens.len() - first.len() < 2 {
            return Err(format!(
                "the training part has only one {} ({}), so there is nothing to learn: give a text with more",
                kind.noun(),
                kind.quoted(&tokens[first.len()])
            ));
        }
        Vocabulary::from_tokens(tokens, kind)
    }

    fn nothing_left(&self, most: Option<(&str, u64)>) -> String {
        let noun = self.kind.noun();
        match most {
            Some((token, count)) if count < self.min_count => format!(
                "--min-count {} leaves no {noun}: the most frequent, {}, is seen {count} times. Give at most {count}, or a \
                 longer text",
                self.min_count,
                self.kind.quoted(token)
            ),
            Some(_) => format!(
                "--max-vocab {} leaves no {noun} beside the marks: give more, or leave it out to keep all",
                self.max_vocab.unwrap_or(0)
            ),
            None => format!("the training part holds no {noun} but {RARE}: give another text or split"),
        }
    }
}
