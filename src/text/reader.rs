//! A text token by token as it comes in, in a model's vocabulary: nothing but the unfinished word is kept.

use std::io::{BufRead, ErrorKind};

use super::blocks::{BYTE_ORDER_MARK, Failure, Place};
use super::kind::{PARAGRAPH, TEXT, TokenKind, is_blank};
use super::vocabulary::Vocabulary;

/// Reads tokens from a stream: the same tokens as [`super::Texts::encoded`] gives for the whole text.
pub struct TokenReader<R> {
    source: R,
    vocabulary: Vocabulary,
    /// Bytes that were read but not yet taken apart.
    pending: Vec<u8>,
    place: Place,
    /// The line that is read, from 1.
    line: u64,
    /// Line ends since the last word; one before the first.
    newlines: usize,
    /// Whether the line has a token.
    in_line: bool,
    /// Whether the text has a token.
    any: bool,
    ended: bool,
    /// What is wrong after the tokens that were given.
    failure: Option<Failure>,
}

/// A token of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its line in the text, from 1; a mark stands in the line before which, or at the end of which, it was found.
    pub line: u64,
    /// Its id in the vocabulary.
    pub id: u32,
    /// As the text has it, `None` where that is what the vocabulary has; for an end mark or a mark always.
    pub text: Option<String>,
}

impl<R: BufRead> TokenReader<R> {
    /// Reads a text in the vocabulary's tokens.
    pub fn new(source: R, vocabulary: Vocabulary) -> Self {
        TokenReader {
            source,
            vocabulary,
            pending: Vec::new(),
            place: Place::default(),
            line: 1,
            newlines: 1,
            in_line: false,
            any: false,
            ended: false,
            failure: None,
        }
    }

    /// The tokens of what the source has at hand; waits for more only where that makes no whole token. Empty at the end.
    ///
    /// Errors: the source cannot be read; it is not UTF-8; a token is unknown and the vocabulary has no `<rare>`; the text
    /// has no token at all. The tokens before are given first.
    pub fn read(&mut self) -> Result<Vec<Token>, Failure> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        let mut tokens = Vec::new();
        while tokens.is_empty() && !self.ended {
            let count = match self.source.fill_buf() {
                Ok(bytes) => {
                    self.pending.extend_from_slice(bytes);
                    bytes.len()
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(Failure::Read(error)),
            };
            self.source.consume(count);
            self.ended = count == 0;
            match self.take(&mut tokens) {
                Err(failure) if tokens.is_empty() => return Err(failure),
                taken => self.failure = taken.err(),
            }
        }
        Ok(tokens)
    }

    /// The line that is read, from 1: all before it are whole.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// Takes apart as much of the pending bytes as is whole.
    fn take(&mut self, tokens: &mut Vec<Token>) -> Result<(), Failure> {
        let bytes = std::mem::take(&mut self.pending);
        let is_start = self.place.offset == 0;
        if is_start && !self.ended && bytes.len() < BYTE_ORDER_MARK.len() {
            self.pending = bytes;
            return Ok(());
        }
        let kind = self.vocabulary.kind();
        let found = self.place.text(&bytes, self.ended);
        // Before what is no text there may be some.
        let valid = found.as_deref().unwrap_or_else(|_| bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid()));
        let whole = if self.ended && found.is_ok() { valid.len() } else { kind.tokens.whole(valid) };
        if found.is_ok() {
            self.place.pass(&bytes[..whole]);
        }
        let mut text = &valid[..whole];
        if is_start && whole > 0 {
            text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
        }
        match kind.tokens {
            TokenKind::Chars => self.characters(text, tokens)?,
            TokenKind::Words => self.words(text, tokens)?,
        }
        found?;
        self.pending = bytes[whole..].to_vec();
        if self.ended {
            self.end(tokens)?;
        }
        Ok(())
    }

    fn characters(&mut self, text: &str, tokens: &mut Vec<Token>) -> Result<(), Failure> {
        let has_end = self.vocabulary.kind().has_end();
        let mut characters = text.char_indices().peekable();
        while let Some((at, character)) = characters.next() {
            let next = characters.peek();
            match character {
                '\r' if next.is_some_and(|&(_, next)| next == '\n') => {}
                '\n' => {
                    if !has_end {
                        self.push("\n", tokens)?;
                    }
                    self.end_line(tokens);
                }
                _ => self.push(&text[at..at + character.len_utf8()], tokens)?,
            }
        }
        Ok(())
    }

    fn words(&mut self, text: &str, tokens: &mut Vec<Token>) -> Result<(), Failure> {
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            if is_blank(bytes[at]) {
                if bytes[at] == b'\n' {
                    self.end_line(tokens);
                }
                at += 1;
                continue;
            }
            let length = bytes[at..].iter().position(|&byte| is_blank(byte)).unwrap_or(bytes.len() - at);
            if self.newlines > 1 && self.vocabulary.kind().marks {
                self.marks(self.newlines > 2, tokens)?;
            }
            self.newlines = 0;
            self.push(&text[at..at + length], tokens)?;
            at += length;
        }
        Ok(())
    }

    fn push(&mut self, text: &str, tokens: &mut Vec<Token>) -> Result<(), Failure> {
        let id = self
            .vocabulary
            .id(text)
            .ok_or_else(|| Failure::Content(self.vocabulary.unknown_at(&format!("line {}", self.line), text)))?;
        let own = self.vocabulary.tokens()[id as usize] == text;
        tokens.push(Token { line: self.line, id, text: (!own).then(|| text.to_owned()) });
        (self.in_line, self.any) = (true, true);
        Ok(())
    }

    fn marks(&mut self, text: bool, tokens: &mut Vec<Token>) -> Result<(), Failure> {
        self.push(PARAGRAPH, tokens)?;
        if text { self.push(TEXT, tokens) } else { Ok(()) }
    }

    fn end_line(&mut self, tokens: &mut Vec<Token>) {
        if let Some(id) = self.vocabulary.end().filter(|_| self.in_line) {
            tokens.push(Token { line: self.line, id, text: None });
        }
        self.in_line = false;
        self.line += 1;
        self.newlines += 1;
    }

    fn end(&mut self, tokens: &mut Vec<Token>) -> Result<(), Failure> {
        if !self.any {
            let noun = self.vocabulary.kind().noun();
            return Err(Failure::Content(format!("the text is empty: it has no line with a {noun} in it")));
        }
        if self.vocabulary.kind().marks {
            self.marks(true, tokens)?;
        }
        if self.in_line {
            self.end_line(tokens);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{Kind, Sources, TextKind};
    use proptest::prelude::*;
    use std::io::{BufReader, Read};

    /// Gives out as many bytes at a time as it is told.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let count = self.1.min(self.0.len()).min(buffer.len());
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    fn read(bytes: &[u8], piece: usize, vocabulary: &Vocabulary) -> Result<Vec<Token>, Failure> {
        let mut reader = TokenReader::new(BufReader::new(Pieces(bytes, piece)), vocabulary.clone());
        let mut all = Vec::new();
        loop {
            let tokens = reader.read()?;
            if tokens.is_empty() {
                return Ok(all);
            }
            all.extend(tokens);
        }
    }

    const KINDS: [Kind; 5] = [
        Kind { tokens: TokenKind::Chars, text: TextKind::Lines, marks: false },
        Kind { tokens: TokenKind::Chars, text: TextKind::Stream, marks: false },
        Kind { tokens: TokenKind::Words, text: TextKind::Lines, marks: false },
        Kind { tokens: TokenKind::Words, text: TextKind::Stream, marks: false },
        Kind { tokens: TokenKind::Words, text: TextKind::Stream, marks: true },
    ];

    /// A vocabulary with the letters `a` to `c` as characters and words, and what else a kind needs.
    fn vocabulary(kind: Kind) -> Vocabulary {
        let first: &[&str] = match kind {
            Kind { text: TextKind::Lines, tokens: TokenKind::Chars, .. } => &["."],
            Kind { text: TextKind::Lines, .. } => &["</s>"],
            Kind { marks: true, .. } => &[TEXT, PARAGRAPH],
            _ => &[],
        };
        let tokens = first.iter().chain(&["a", "b", "c", "<rare>"]).map(|token| (*token).to_owned());
        Vocabulary::from_tokens(tokens.collect(), kind).unwrap()
    }

    proptest! {
        #[test]
        fn gives_the_tokens_of_the_whole_text(text in "[ab \n\rü\t]{0,60}", bom: bool, piece in 1usize..9) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("text.txt");
            let text = if bom { format!("\u{feff}{text}") } else { text };
            std::fs::write(&path, &text).unwrap();
            for kind in KINDS {
                let vocabulary = vocabulary(kind);
                let sources = Sources { text: Some(path.clone()), ..Sources::default() };
                let whole = sources.read(kind).and_then(|texts| texts.encoded(&vocabulary, 2));
                match (read(text.as_bytes(), piece, &vocabulary), whole) {
                    (Ok(tokens), Ok((corpus, _))) => {
                        let ids: Vec<u32> = tokens.iter().map(|token| token.id).collect();
                        let expected: Vec<u32> = (0..corpus.len()).map(|example| corpus.target_of(example)).collect();
                        prop_assert_eq!(ids, expected, "{:?} {:?}", kind, text);
                    }
                    (Err(_), Err(_)) => {}
                    (found, whole) => panic!("{kind:?} {text:?}: {found:?}, {:?}", whole.map(|_| ())),
                }
            }
        }
    }

    #[test]
    fn tokens_know_their_line_and_how_they_were_written() {
        let tokens = read(b"a x\n\nb", 64, &vocabulary(KINDS[2])).unwrap();
        let found: Vec<_> = tokens.iter().map(|token| (token.line, token.id, token.text.as_deref())).collect();
        assert_eq!(found, [(1, 1, None), (1, 4, Some("x")), (1, 0, None), (3, 2, None), (3, 0, None)]);
    }

    #[test]
    fn tokens_before_what_is_wrong_are_given_however_the_text_comes() {
        let letters = Vocabulary::from_tokens([".", "a", "b"].map(str::to_owned).to_vec(), KINDS[0]).unwrap();
        for (bytes, wrong) in [(&b"ab\na\xE9b\n"[..], "UTF-8"), (b"ab\nax\nb\n", "line 2")] {
            for piece in [1, 3, 64] {
                let mut reader = TokenReader::new(BufReader::new(Pieces(bytes, piece)), letters.clone());
                let mut ids = Vec::new();
                let failure = loop {
                    match reader.read() {
                        Ok(tokens) => ids.extend(tokens.iter().map(|token| token.id)),
                        Err(failure) => break failure,
                    }
                };
                assert_eq!(ids, [1, 2, 0, 1], "in pieces of {piece}");
                assert!(matches!(&failure, Failure::Content(reason) if reason.contains(wrong)), "{wrong}");
            }
        }
    }

    #[test]
    fn a_byte_that_is_not_utf8_is_located() {
        let error = read(b"a b\nb \xE9", 3, &vocabulary(KINDS[3]));
        let Err(Failure::Content(error)) = error else { panic!("accepted") };
        assert!(error.contains("line 2, byte 3 of the line (byte 6 of the file"), "{error}");
    }
}
