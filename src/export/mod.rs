//! A model in the formats of other programs, as bytes: writing files is the business of `cli`.
//!
//! Tokens are written so that none breaks a line or a column: see [`label`].

pub mod npz;
pub mod onnx;
pub mod projector;
pub mod word2vec;

use std::fmt::Write;

use crate::text::Vocabulary;

/// What the end mark of lines is called in the formats that name a vector on each line, as word2vec itself calls it.
pub const END: &str = "</s>";

/// A token's name in the formats of lines and columns; no two tokens of a vocabulary have the same.
///
/// The end mark is [`END`]. In all others a blank, a control character or a backslash is `\u` and its code point as four
/// hexadecimal digits, as in JSON: the token of a blank is `\u0020`. A token of the text that is itself written `</s>` is
/// `\u003c/s>` where there is an end mark.
pub fn label(vocabulary: &Vocabulary, id: u32) -> String {
    if vocabulary.end() == Some(id) {
        return END.to_owned();
    }
    let token = &vocabulary.tokens()[id as usize];
    let like_the_end = vocabulary.end().is_some() && token == END;
    let mut label = String::with_capacity(token.len());
    for (place, character) in token.chars().enumerate() {
        // All blanks and control characters have four digits.
        if character.is_whitespace() || character.is_control() || character == '\\' || (like_the_end && place == 0) {
            write!(label, "\\u{:04x}", u32::from(character)).expect("a string takes all");
        } else {
            label.push(character);
        }
    }
    label
}

/// The labels of all tokens, in the order of their ids.
fn labels(vocabulary: &Vocabulary) -> impl Iterator<Item = String> {
    (0..vocabulary.len() as u32).map(|id| label(vocabulary, id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{Kind, TextKind, TokenKind};

    const LINES: Kind = Kind { tokens: TokenKind::Chars, text: TextKind::Lines, marks: false };

    fn labels_of(tokens: &[&str], kind: Kind) -> Vec<String> {
        let tokens = tokens.iter().map(|token| token.to_string()).collect();
        labels(&Vocabulary::from_tokens(tokens, kind).unwrap()).collect()
    }

    #[test]
    fn no_label_breaks_a_line_or_a_column() {
        let found = labels_of(&[".", "\t", " ", ".", "\\", "\u{85}", "\u{a0}", "é", "𝕏", "<rare>"], LINES);
        let expected = ["</s>", "\\u0009", "\\u0020", ".", "\\u005c", "\\u0085", "\\u00a0", "é", "𝕏", "<rare>"];
        assert_eq!(found, expected);
        for character in (0..=u32::from(char::MAX)).filter_map(char::from_u32) {
            assert!(!(character.is_whitespace() || character.is_control()) || u32::from(character) <= 0xffff);
        }
    }

    #[test]
    fn a_word_like_the_end_mark_is_told_from_it() {
        let words = Kind { tokens: TokenKind::Words, ..LINES };
        assert_eq!(labels_of(&["</s>", "</s>", "\\u003c/s>"], words), ["</s>", "\\u003c/s>", "\\u005cu003c/s>"]);
        assert_eq!(labels_of(&["a", "</s>"], Kind { text: TextKind::Stream, ..words }), ["a", "</s>"]);
    }
}
