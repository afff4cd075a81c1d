//! Each reader of a file as a function of bytes that must hold for all of them.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::BufReader;

use super::allocations;
use crate::bench::saved::Saved;
use crate::check::golden;
use crate::engine::gpu::read_choices;
use crate::model::ModelFile;
use crate::text::source::Source;
use crate::text::types::Types;
use crate::text::{Kind, TextKind, TokenKind, TokenReader, Vocabulary};
use crate::train::Config;

/// A reader may take this many bytes, and as many more for each byte of its file.
const BYTES: usize = 1 << 16;
/// The reader of training texts has blocks of 1 MiB, two for a file that fits into one, and a table of all characters: 4 MiB,
/// which it may grow to twice as much by copying.
const BYTES_OF_BLOCKS: usize = 1 << 24;
const BYTES_A_BYTE: usize = 64;
/// A TOML file is a tree of keys, each with its place: up to 150 bytes for each character that is a key of its own. Where
/// keys and braces are broken in many places, a short file takes up to 800 a byte, until the first 3,000 bytes.
const BYTES_A_BYTE_OF_TOML: usize = 256;
const BYTES_OF_TOML: usize = 1 << 21;

/// A reader of files.
pub struct Reader {
    /// Its name, which is also that of its fuzz target and of its folder in `tests/corpus`.
    pub name: &'static str,
    /// Bytes of memory that it may take for an empty file.
    constant: usize,
    /// And this many more for each byte of a file.
    a_byte: usize,
    /// Whether it accepts a file.
    read: fn(&[u8]) -> bool,
}

/// The model file, `model.safetensors` and `last.safetensors`.
pub const MODEL_FILE: Reader = Reader { name: "model_file", constant: BYTES, a_byte: BYTES_A_BYTE, read: model_file };
/// A golden file of `check`.
pub const GOLDEN: Reader = Reader { name: "golden", constant: BYTES, a_byte: BYTES_A_BYTE, read: golden_file };
/// `config.toml` of a run.
pub const CONFIG: Reader =
    Reader { name: "config", constant: BYTES_OF_TOML, a_byte: BYTES_A_BYTE_OF_TOML, read: config };
/// What `bench --save` wrote.
pub const BENCH_RESULTS: Reader =
    Reader { name: "bench_results", constant: BYTES, a_byte: BYTES_A_BYTE, read: bench_results };
/// What was measured on a GPU, in the user's cache folder.
pub const CHOICES: Reader =
    Reader { name: "choices", constant: BYTES_OF_TOML, a_byte: BYTES_A_BYTE_OF_TOML, read: choices };
/// A text that is scored, token by token.
pub const TEXT: Reader = Reader { name: "text", constant: BYTES, a_byte: BYTES_A_BYTE, read: text };
/// A text to train on.
pub const TRAINING_TEXT: Reader =
    Reader { name: "training_text", constant: BYTES_OF_BLOCKS, a_byte: BYTES_A_BYTE, read: training_text };

/// All of them.
pub const READERS: [Reader; 7] = [MODEL_FILE, GOLDEN, CONFIG, BENCH_RESULTS, CHOICES, TEXT, TRAINING_TEXT];

impl Reader {
    /// Reads a file; says whether it was accepted, and how many bytes of memory that took at most.
    ///
    /// Panics where the reader does, where it takes more memory than the file accounts for, and where what it accepted
    /// does not hold.
    pub fn check(&self, file: &[u8]) -> (bool, usize) {
        let (accepted, bytes) = allocations::most(|| (self.read)(file));
        let allowed = self.constant + self.a_byte * file.len();
        assert!(bytes <= allowed, "{}: {bytes} bytes of memory for a file of {}", self.name, file.len());
        (accepted, bytes)
    }
}

fn model_file(file: &[u8]) -> bool {
    let Ok(model) = ModelFile::from_bytes(file) else { return false };
    // What was accepted is whole: it can be written, and be read again.
    assert_eq!(ModelFile::from_bytes(&model.to_bytes()).as_ref(), Ok(&model));
    true
}

fn golden_file(file: &[u8]) -> bool {
    golden::from_bytes(file, String::new()).is_ok()
}

fn config(file: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(file) else { return false };
    toml::from_str::<Config>(text).is_ok_and(|config| config.settings.check().is_ok())
}

fn bench_results(file: &[u8]) -> bool {
    std::str::from_utf8(file).is_ok_and(|text| Saved::from_text(text).is_ok())
}

fn choices(file: &[u8]) -> bool {
    !read_choices(file.to_vec()).is_empty()
}

/// How a text can be read, with the first tokens of each vocabulary.
const KINDS: [(Kind, &str, &str); 5] = [
    (Kind { tokens: TokenKind::Chars, text: TextKind::Lines, marks: false }, ".", "a"),
    (Kind { tokens: TokenKind::Chars, text: TextKind::Stream, marks: false }, "b", "a"),
    (Kind { tokens: TokenKind::Words, text: TextKind::Lines, marks: false }, "</s>", "the"),
    (Kind { tokens: TokenKind::Words, text: TextKind::Stream, marks: false }, "cat", "the"),
    (Kind { tokens: TokenKind::Words, text: TextKind::Stream, marks: true }, "<text>", "<p>"),
];

/// Bytes that come at once when a text is read for the second time.
const BYTES_AT_ONCE: usize = 97;

fn text(file: &[u8]) -> bool {
    // The kind, and how many bytes come at a time, follow from the file: each file is read in one way only.
    let (kind, first, second) = KINDS[file.len() % KINDS.len()];
    let tokens = [first, second, "<rare>"].map(str::to_owned).to_vec();
    let vocabulary = Vocabulary::from_tokens(tokens, kind).expect("the tokens are different");
    let in_pieces = digest(file, 1 + file.len() % 13, &vocabulary);
    assert_eq!(in_pieces, digest(file, BYTES_AT_ONCE, &vocabulary), "the tokens depend on the pieces of a text");
    in_pieces.is_some()
}

/// A digest of a text's tokens, `None` where it is refused. `at_once`: bytes that come at a time.
fn digest(file: &[u8], at_once: usize, vocabulary: &Vocabulary) -> Option<u64> {
    let mut reader = TokenReader::new(BufReader::with_capacity(at_once, file), vocabulary.clone());
    let mut digest = DefaultHasher::new();
    loop {
        let tokens = reader.read().ok()?;
        if tokens.is_empty() {
            return Some(digest.finish());
        }
        tokens.iter().for_each(|token| (token.line, token.id, &token.text).hash(&mut digest));
    }
}

fn training_text(file: &[u8]) -> bool {
    let (kind, ..) = KINDS[file.len() % KINDS.len()];
    Source::from_reader(file, kind, &mut Types::default()).is_ok()
}
