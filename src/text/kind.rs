//! What a token is and how a text is laid out.

use serde::{Deserialize, Serialize};

/// What a token is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum TokenKind {
    /// A Unicode scalar value.
    #[default]
    Chars,
    /// A run of non-blanks. Blanks are those of ASCII: space, tab, line ends, vertical tab, form feed.
    Words,
}

impl TokenKind {
    /// How many bytes at the start of a text are whole tokens, whatever follows: the last word may go on, and a carriage
    /// return at the end may be the first half of a line end.
    pub(super) fn whole(self, text: &str) -> usize {
        match self {
            TokenKind::Chars => text.strip_suffix('\r').unwrap_or(text).len(),
            TokenKind::Words => text.bytes().rposition(is_blank).map_or(0, |blank| blank + 1),
        }
    }
}

/// How the tokens of a text belong together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum TextKind {
    /// Every line that is not empty is an item of its own and has an end mark.
    #[default]
    Lines,
    /// One running text without end marks.
    Stream,
}

/// How a text is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kind {
    /// What a token is.
    pub tokens: TokenKind,
    /// How tokens belong together.
    pub text: TextKind,
    /// Whether blank lines of a stream of words become the marks [`PARAGRAPH`] and [`TEXT`].
    pub marks: bool,
}

/// The mark of a blank line, and of the end of a text.
pub const PARAGRAPH: &str = "<p>";
/// The mark that follows [`PARAGRAPH`] where two or more lines are blank, and at the end of a text.
pub const TEXT: &str = "<text>";
/// The token that stands for every type that a vocabulary has not.
pub const RARE: &str = "<rare>";

impl Kind {
    /// Whether the parts fit each other. An error names the option.
    pub fn check(self) -> Result<(), String> {
        match self {
            Kind { marks: true, text: TextKind::Lines, .. } => {
                Err("--marks stand for the blank lines of a stream, but \
                 --text is lines, where blank lines are left out: add --text stream, or leave out --marks"
                    .to_owned())
            }
            Kind { marks: true, tokens: TokenKind::Chars, .. } => {
                Err("--marks are tokens between words, but --tokens is \
                 chars, where line ends are tokens already: add --tokens words, or leave out --marks"
                    .to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Whether items end with an end mark, which has id 0 and is no token of the text.
    pub fn has_end(self) -> bool {
        self.text == TextKind::Lines
    }

    /// What comes first in a vocabulary, whatever the text holds: the end mark of lines, the marks of a stream.
    pub(super) fn first_tokens(self) -> &'static [&'static str] {
        match self {
            Kind { text: TextKind::Lines, tokens: TokenKind::Chars, .. } => &["."],
            Kind { text: TextKind::Lines, tokens: TokenKind::Words, .. } => &["</s>"],
            Kind { marks: true, .. } => &[TEXT],
            _ => &[],
        }
    }

    /// Whether a token of the text is a mark.
    pub fn is_mark(self, token: &str) -> bool {
        self.marks && (token == PARAGRAPH || token == TEXT)
    }

    /// What a token is called in messages.
    pub fn noun(self) -> &'static str {
        match self.tokens {
            TokenKind::Chars => "character",
            TokenKind::Words => "word",
        }
    }

    /// The tokens of a piece of text, without end marks.
    pub fn split(self, text: &str) -> Box<dyn Iterator<Item = &str> + '_> {
        match self.tokens {
            TokenKind::Chars => Box::new(text.char_indices().map(|(at, c)| &text[at..at + c.len_utf8()])),
            TokenKind::Words => {
                Box::new(text.split(|c: char| c.is_ascii() && is_blank(c as u8)).filter(|w| !w.is_empty()))
            }
        }
    }

    /// A token of a text between quotation marks, for messages.
    pub fn quoted(self, token: &str) -> String {
        match self.tokens {
            TokenKind::Chars => token.chars().next().map_or_else(String::new, |character| format!("{character:?}")),
            TokenKind::Words => format!("{token:?}"),
        }
    }
}

/// Whether a byte separates words.
pub(super) const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}
