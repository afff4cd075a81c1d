//! The text format of word2vec, which gensim and many others read: a line with the number of vectors and their width, then a
//! line a token, its label and its numbers apart by blanks.

use std::fmt::Write;

use super::labels;
use crate::model::TokenVectors;
use crate::text::Vocabulary;

/// The file's text. Every number is the shortest that reads back as the same float32.
pub fn text(vocabulary: &Vocabulary, vectors: TokenVectors) -> String {
    let mut text = format!("{} {}\n", vectors.rows().len(), vectors.width());
    for (label, row) in labels(vocabulary).zip(vectors.rows()) {
        text.push_str(&label);
        for value in row {
            write!(text, " {value:?}").expect("a string takes all");
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Init, Shape, Vectors, initial::initial};
    use crate::text::{Kind, TextKind, TokenKind};

    #[test]
    fn the_text_reads_back_as_the_same_numbers() {
        let shape = Shape { vocabulary: 4, context: 2, embedding: 3, hidden: 2, direct: false, tied: false };
        let mut parameters = initial(shape, Init::Lecture, 1, &[]);
        parameters.values[..3].copy_from_slice(&[1e-38, -3.4e38, 0.1]);
        let kind = Kind { tokens: TokenKind::Chars, text: TextKind::Lines, marks: false };
        let vocabulary = Vocabulary::from_tokens([".", "\n", " ", "a"].map(String::from).to_vec(), kind).unwrap();
        let text = text(&vocabulary, Vectors::Input.of(&parameters).unwrap());
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("4 3"));
        let mut numbers = Vec::new();
        for (line, label) in lines.by_ref().zip(["</s>", "\\u000a", "\\u0020", "a"]) {
            let mut parts = line.split_whitespace();
            assert_eq!(parts.next(), Some(label));
            numbers.extend(parts.map(|part| part.parse::<f32>().unwrap()));
        }
        assert_eq!(lines.next(), None);
        assert_eq!(numbers, parameters.values[..12]);
    }
}
