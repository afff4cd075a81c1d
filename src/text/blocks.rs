//! Reading UTF-8 in blocks: memory stays bounded, and an error says exactly where the text stops being UTF-8.

use std::io::{self, Read};
use std::path::Path;
use std::sync::mpsc;

use sha2::{Digest, Sha256};

use crate::Error;

/// Bytes that are read at once.
const BLOCK: usize = 1 << 20;
/// Blocks that are read before they are asked for.
const BLOCKS_AHEAD: usize = 4;
pub(super) const BYTE_ORDER_MARK: &str = "\u{feff}";

/// Why a text could not be read.
#[derive(Debug)]
pub enum Failure {
    /// The operating system's reason.
    Read(io::Error),
    /// What is wrong with the content, without the file's name.
    Content(String),
}

impl Failure {
    /// The error of a text by its name.
    pub fn of(self, name: &Path) -> Error {
        match self {
            Failure::Read(source) => Error::file(name, "read", source),
            Failure::Content(reason) => Error::content(name, reason),
        }
    }
}

impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Failure::Content(reason)
    }
}

/// Hands a text over in pieces, without the byte order mark at its start. `cut` says how much of a piece (other than the
/// last) can be taken before more is known; the rest comes again at the start of the next. Returns the SHA-256 of all
/// bytes in hexadecimal.
///
/// A thread of its own reads and digests: that is about an eighth of the work on a text of words (SHA-256 5 %, the system 8 %).
pub(super) fn read_blocks(
    source: impl Read + Send,
    cut: impl Fn(&str) -> usize,
    take: impl FnMut(&str) -> Result<(), String>,
) -> Result<String, Failure> {
    let (sender, receiver) = mpsc::sync_channel(BLOCKS_AHEAD);
    #[cfg(any(test, fuzzing))]
    let count = crate::fuzzing::allocations::count();
    std::thread::scope(|scope| {
        let reader = scope.spawn(move || {
            #[cfg(any(test, fuzzing))]
            count.take_part();
            read_and_digest(source, &sender)
        });
        let taken = take_blocks(receiver, cut, take);
        // Waits until the thread is gone; a scope waits only until its work is done.
        let digest = reader.join().expect("reading does not panic");
        taken.map(|()| digest)
    })
}

/// Reads to the end, or until nobody takes the blocks any more; returns the digest.
fn read_and_digest(mut source: impl Read, sender: &mpsc::SyncSender<io::Result<Vec<u8>>>) -> String {
    let mut digest = Sha256::new();
    loop {
        let mut block = vec![0; BLOCK];
        let read = match source.read(&mut block) {
            Ok(0) => break,
            Ok(count) => {
                block.truncate(count);
                digest.update(&block);
                Ok(block)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        if sender.send(read).is_err() {
            break;
        }
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Takes the blocks apart. The receiver goes with it, whatever happens: the reader then stops.
fn take_blocks(
    blocks: mpsc::Receiver<io::Result<Vec<u8>>>,
    cut: impl Fn(&str) -> usize,
    mut take: impl FnMut(&str) -> Result<(), String>,
) -> Result<(), Failure> {
    let mut pending: Vec<u8> = Vec::new();
    let mut place = Place::default();
    let mut wanted = 1;
    loop {
        let mut last = false;
        while pending.len() < wanted && !last {
            match blocks.recv() {
                Ok(block) => pending.extend_from_slice(&block.map_err(Failure::Read)?),
                Err(mpsc::RecvError) => last = true,
            }
        }
        let text = place.text(&pending, last)?;
        let whole = if last { text.len() } else { cut(text) };
        let taken = &text[..whole];
        take(if place.offset == 0 { taken.strip_prefix(BYTE_ORDER_MARK).unwrap_or(taken) } else { taken })?;
        place.pass(taken.as_bytes());
        if last {
            return Ok(());
        }
        pending.drain(..whole);
        // A piece that is longer than all this is tried again only when twice as much is there.
        wanted = if whole == 0 { 2 * pending.len() } else { pending.len() + 1 };
    }
}

/// How far a file was read.
#[derive(Default)]
pub(super) struct Place {
    /// Bytes.
    pub(super) offset: usize,
    /// Line ends.
    lines: usize,
    /// Where the current line starts.
    line_start: usize,
}

impl Place {
    pub(super) fn pass(&mut self, bytes: &[u8]) {
        if let Some(newline) = bytes.iter().rposition(|&byte| byte == b'\n') {
            self.lines += bytes.iter().filter(|&&byte| byte == b'\n').count();
            self.line_start = self.offset + newline + 1;
        }
        self.offset += bytes.len();
    }

    /// The next bytes as text, but for a last character that is not whole yet; at the end that is an error too.
    pub(super) fn text<'a>(&mut self, bytes: &'a [u8], is_end: bool) -> Result<&'a str, String> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text),
            Err(error) if error.error_len().is_some() || is_end => {
                self.pass(&bytes[..error.valid_up_to()]);
                Err(self.not_utf8(bytes[error.valid_up_to()]))
            }
            Err(error) => Ok(std::str::from_utf8(&bytes[..error.valid_up_to()]).expect("valid up to there")),
        }
    }

    fn not_utf8(&self, found: u8) -> String {
        format!(
            "line {}, byte {} of the line (byte {} of the file, counted from 0): found 0x{found:02X}, which is not UTF-8 \
             text. Convert the file first, for instance with `iconv -f latin1 -t utf-8`",
            self.lines + 1,
            self.offset - self.line_start + 1,
            self.offset,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(text: &str) -> usize {
        text.len()
    }

    fn joined(bytes: &[u8], cut: fn(&str) -> usize) -> Result<String, Failure> {
        let mut text = String::new();
        read_blocks(bytes, cut, |piece| {
            text.push_str(piece);
            Ok(())
        })?;
        Ok(text)
    }

    #[test]
    fn characters_that_lie_across_two_blocks_stay_whole() {
        for start in BLOCK - 4..=BLOCK {
            let text = "x".repeat(start) + "𝄞ä\n";
            assert!(joined(text.as_bytes(), all).unwrap() == text);
        }
    }

    #[test]
    fn a_piece_longer_than_a_block_is_kept_whole() {
        let word = "x".repeat(3 * BLOCK + 5);
        let mut pieces = Vec::new();
        read_blocks(
            (word.clone() + " y").as_bytes(),
            |text| text.rfind(' ').map_or(0, |at| at + 1),
            |piece| {
                pieces.push(piece.len());
                Ok(())
            },
        )
        .unwrap();
        assert_eq!(pieces.iter().sum::<usize>(), word.len() + 2);
        assert!(pieces.contains(&(word.len() + 2)), "{pieces:?}");
    }

    #[test]
    fn an_error_is_located_in_any_block() {
        for lines in [1, 10, 2 * BLOCK / 8] {
            let mut bytes = "1234567\n".repeat(lines).into_bytes();
            bytes.extend(b"b\xE9a\n");
            let Err(Failure::Content(error)) = joined(&bytes, all) else { panic!("accepted") };
            let place = format!("line {}, byte 2 of the line (byte {} of the file", lines + 1, 8 * lines + 1);
            assert!(error.contains(&place) && error.contains("0xE9"), "{error}");
        }
        let Err(Failure::Content(error)) = joined(b"anna\nb\xC3", all) else { panic!("accepted") };
        assert!(error.contains("line 2, byte 2 of the line (byte 6 of the file"), "{error}");
    }

    proptest! {
        #[test]
        fn pieces_make_the_text_and_the_digest_is_of_the_bytes(text: String) {
            prop_assert_eq!(&joined(text.as_bytes(), all).unwrap(), text.strip_prefix('\u{feff}').unwrap_or(&text));
            let digest = read_blocks(text.as_bytes(), all, |_| Ok(())).unwrap();
            let expected: String = Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
            prop_assert_eq!(digest, expected);
        }
    }
}
