//! The two files that the Embedding Projector (projector.tensorflow.org) takes: vectors and metadata, apart by tabs, a line a
//! token in each.

use std::fmt::Write;

use super::labels;
use crate::model::TokenVectors;
use crate::text::Vocabulary;

/// The vectors: a line a token, without a header.
pub fn vectors(vectors: TokenVectors) -> String {
    let mut text = String::new();
    for row in vectors.rows() {
        for (place, value) in row.iter().enumerate() {
            let tab = if place == 0 { "" } else { "\t" };
            write!(text, "{tab}{value:?}").expect("a string takes all");
        }
        text.push('\n');
    }
    text
}

/// The metadata: a header, then a line a token with its label, its id and its kind.
pub fn metadata(vocabulary: &Vocabulary) -> String {
    let mut text = "token\tid\tkind\n".to_owned();
    for ((label, token), id) in labels(vocabulary).zip(vocabulary.tokens()).zip(0..) {
        let kind = if vocabulary.end() == Some(id) || vocabulary.kind().is_mark(token) {
            "mark"
        } else if vocabulary.rare() == Some(id) {
            "rare"
        } else {
            vocabulary.kind().noun()
        };
        writeln!(text, "{label}\t{id}\t{kind}").expect("a string takes all");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Parameters, Shape, Vectors};
    use crate::text::{Kind, TextKind, TokenKind};

    #[test]
    fn both_files_have_a_line_for_each_token() {
        let shape = Shape { vocabulary: 4, context: 1, embedding: 2, hidden: 1, direct: false, tied: false };
        let mut parameters = Parameters::zeros(shape);
        parameters.values[..3].copy_from_slice(&[0.5, -1.0, 2.0]);
        assert_eq!(vectors(Vectors::Input.of(&parameters).unwrap()), "0.5\t-1.0\n2.0\t0.0\n0.0\t0.0\n0.0\t0.0\n");
        let kind = Kind { tokens: TokenKind::Chars, text: TextKind::Lines, marks: false };
        let vocabulary = Vocabulary::from_tokens([".", "\t", "a", "<rare>"].map(String::from).to_vec(), kind).unwrap();
        assert_eq!(
            metadata(&vocabulary),
            "token\tid\tkind\n</s>\t0\tmark\n\\u0009\t1\tcharacter\na\t2\tcharacter\n<rare>\t3\trare\n"
        );
    }
}
