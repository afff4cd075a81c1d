//! A text file as numbers of types: lines or a stream, characters or words.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::blocks::{Failure, read_blocks};
use super::corpus::MOST_TOKENS;
use super::kind::{Kind, PARAGRAPH, TEXT, TextKind, TokenKind, is_blank};
use super::types::Types;
use crate::{Error, Result};

/// The names built into the program; `data/README.md` says where they come from.
const BUILT_IN_NAMES: &str = include_str!("../../data/names.txt");

/// A text that was read: 4 bytes a token, and 4 a line.
#[derive(Clone, Debug)]
pub struct Source {
    /// The type of each token, by its number in the [`Types`] that it was read with.
    pub(super) tokens: Vec<u32>,
    /// For lines: where each line that is not empty ends among the tokens.
    pub(super) line_ends: Vec<u32>,
    /// SHA-256 of the file's bytes, in hexadecimal: the identity of the text.
    pub sha256: String,
}

impl Source {
    /// The names built into the program.
    pub fn built_in(kind: Kind, types: &mut Types) -> Self {
        Self::from_reader(BUILT_IN_NAMES.as_bytes(), kind, types).expect("names are a text")
    }

    /// Reads a text file, with its types added to `types`. A byte order mark at its start is dropped, `\r\n` ends a line
    /// like `\n`.
    ///
    /// Errors: the file cannot be read; it is not UTF-8; it has no token, or more than fit.
    pub fn read(path: &Path, kind: Kind, types: &mut Types) -> Result<Self> {
        if path.is_dir() {
            return Err(Error::content(path, "is a folder, not a text file"));
        }
        if is_device(path) {
            return Err(Error::content(path, "is a device without end, not a text file"));
        }
        let file = File::open(path).map_err(|source| Error::file(path, "read", source))?;
        Self::from_reader(file, kind, types).map_err(|failure| failure.of(path))
    }

    /// The same from any reader.
    pub fn from_reader(reader: impl Read + Send, kind: Kind, types: &mut Types) -> Result<Self, Failure> {
        let mut tokenizer = Tokenizer { kind, types, tokens: Vec::new(), line_ends: Vec::new(), newlines: 1 };
        let sha256 = read_blocks(
            reader,
            |text| kind.tokens.whole(text),
            |piece| {
                match kind.tokens {
                    TokenKind::Chars => tokenizer.characters(piece),
                    TokenKind::Words => tokenizer.words(piece),
                }
                if tokenizer.tokens.len() > MOST_TOKENS {
                    return Err(format!("more than the {MOST_TOKENS} tokens that fit: give less text"));
                }
                Ok(())
            },
        )?;
        tokenizer.end_line();
        if tokenizer.tokens.is_empty() {
            return Err(Failure::Content(format!(
                "the text is empty: it has no line with a {} in it. Give a file with {}",
                kind.noun(),
                if kind.has_end() { "an item on each line" } else { "a running text" }
            )));
        }
        if kind.marks {
            tokenizer.mark(true);
        }
        let Tokenizer { tokens, line_ends, .. } = tokenizer;
        Ok(Source { tokens, line_ends, sha256 })
    }

    /// The tokens of a line, by its place among those that are not empty.
    pub(super) fn line(&self, line: usize) -> &[u32] {
        let start = if line == 0 { 0 } else { self.line_ends[line - 1] };
        &self.tokens[start as usize..self.line_ends[line] as usize]
    }

    /// Where a type is met first, for messages.
    pub(super) fn place_of(&self, number: u32, kind: Kind) -> Option<String> {
        let place = self.tokens.iter().position(|&token| token == number)?;
        Some(match kind.text {
            TextKind::Lines => {
                let line = self.line_ends.partition_point(|&end| end as usize <= place);
                format!("text line {}", line + 1)
            }
            TextKind::Stream => format!("token {} of the text", place + 1),
        })
    }
}

/// Pieces of text to numbers of types.
struct Tokenizer<'a> {
    kind: Kind,
    types: &'a mut Types,
    tokens: Vec<u32>,
    line_ends: Vec<u32>,
    /// Line ends since the last word; one before the first.
    newlines: usize,
}

impl Tokenizer<'_> {
    /// Takes characters. Line ends are left out of lines and are `\n` in a stream.
    fn characters(&mut self, piece: &str) {
        for part in piece.split_inclusive('\n') {
            let line = part.strip_suffix('\n');
            let line_or_part = line.map_or(part, |line| line.strip_suffix('\r').unwrap_or(line));
            self.tokens.extend(line_or_part.chars().map(|character| self.types.character(character)));
            match (line, self.kind.text) {
                (None, _) => {}
                (Some(_), TextKind::Lines) => self.end_line(),
                (Some(_), TextKind::Stream) => self.tokens.push(self.types.character('\n')),
            }
        }
    }

    /// Takes words; a piece ends with a blank, or is the last.
    fn words(&mut self, piece: &str) {
        let bytes = piece.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            let byte = bytes[at];
            if !is_blank(byte) {
                let length = bytes[at..].iter().position(|&byte| is_blank(byte)).unwrap_or(bytes.len() - at);
                if self.newlines > 1 && self.kind.marks {
                    self.mark(self.newlines > 2);
                }
                self.newlines = 0;
                let word = self.types.word(&piece[at..at + length]);
                self.tokens.push(word);
                at += length;
            } else {
                if byte == b'\n' {
                    self.end_line();
                }
                at += 1;
            }
        }
    }

    fn end_line(&mut self) {
        self.newlines += 1;
        let end = self.tokens.len() as u32;
        if self.kind.has_end() && self.line_ends.last().copied().unwrap_or(0) != end {
            self.line_ends.push(end);
        }
    }

    fn mark(&mut self, text: bool) {
        let paragraph = self.types.word(PARAGRAPH);
        self.tokens.push(paragraph);
        if text {
            let text = self.types.word(TEXT);
            self.tokens.push(text);
        }
    }
}

/// Whether a path is something like /dev/zero. A terminal or a pipe ends.
pub(crate) fn is_device(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let endless = |data: std::fs::Metadata| data.file_type().is_char_device();
        path != Path::new("/dev/stdin") && path != Path::new("/dev/null") && std::fs::metadata(path).is_ok_and(endless)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHARACTER_LINES: Kind = Kind { tokens: TokenKind::Chars, text: TextKind::Lines, marks: false };
    const WORDS: Kind = Kind { tokens: TokenKind::Words, text: TextKind::Stream, marks: false };
    const MARKED: Kind = Kind { marks: true, ..WORDS };

    fn read(text: &str, kind: Kind) -> Result<(Types, Source), Failure> {
        let mut types = Types::default();
        let source = Source::from_reader(text.as_bytes(), kind, &mut types)?;
        Ok((types, source))
    }

    fn tokens(text: &str, kind: Kind) -> Vec<String> {
        let (types, source) = read(text, kind).unwrap();
        source.tokens.iter().map(|&number| types.text(number).to_owned()).collect()
    }

    fn lines(text: &str, kind: Kind) -> Vec<String> {
        let (types, source) = read(text, kind).unwrap();
        (0..source.line_ends.len())
            .map(|line| source.line(line).iter().map(|&number| types.text(number)).collect())
            .collect()
    }

    #[test]
    fn line_ends_of_every_kind_and_a_byte_order_mark_are_dropped() {
        assert_eq!(lines("\u{feff}anna\r\nb a\n\n\nc\rd", CHARACTER_LINES), ["anna", "b a", "c\rd"]);
        assert_eq!(lines("anna\n", CHARACTER_LINES), ["anna"]);
        let words = Kind { text: TextKind::Lines, ..WORDS };
        assert_eq!(lines("an na\r\n \t\r\n bea", words), ["anna", "bea"]);
    }

    #[test]
    fn a_stream_of_characters_keeps_its_line_ends() {
        let kind = Kind { text: TextKind::Stream, ..CHARACTER_LINES };
        assert_eq!(tokens("a b\r\n\nc", kind).concat(), "a b\n\nc");
    }

    #[test]
    fn marks_stand_where_lines_are_blank_and_at_the_end() {
        assert_eq!(tokens("a b\nc\n", MARKED).join(" "), "a b c <p> <text>");
        assert_eq!(tokens("a\n \nb\n\n\n\nc\n\n", MARKED).join(" "), "a <p> b <p> <text> c <p> <text>");
        assert_eq!(tokens("\na", MARKED).join(" "), "<p> a <p> <text>");
        assert_eq!(tokens("a\n\nb", WORDS).join(" "), "a b");
    }

    #[test]
    fn a_text_without_a_token_is_an_error() {
        for (text, kind) in [("", CHARACTER_LINES), ("\n\r\n\n", CHARACTER_LINES), (" \n", WORDS), ("\n\n", MARKED)] {
            let Err(Failure::Content(error)) = read(text, kind) else { panic!("accepted {text:?}") };
            assert!(error.contains("empty"), "{error}");
        }
    }

    #[test]
    fn the_built_in_names_are_those_that_the_readme_describes() {
        let readme = include_str!("../../data/README.md");
        let mut types = Types::default();
        let names = Source::built_in(CHARACTER_LINES, &mut types);
        assert!(readme.contains(&names.sha256), "data/README.md lacks {}", names.sha256);
        assert_eq!(names.line_ends.len(), 32_257);
        assert!(readme.contains("32,257"));
        assert_eq!(types.len(), 26);
        assert!(('a'..='z').all(|letter| types.find(letter.encode_utf8(&mut [0; 4])).is_some()));
    }
}
