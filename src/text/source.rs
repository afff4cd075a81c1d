//! Reading text files: UTF-8 or an error that says where it is not, and the lines in them.

use std::path::Path;

use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// The names built into the program; `data/README.md` says where they come from.
const BUILT_IN_NAMES: &str = include_str!("../../data/names.txt");

/// The non-empty lines of a text.
#[derive(Clone, Debug)]
pub struct Lines {
    text: String,
    /// SHA-256 of the file's bytes, in hexadecimal: the identity of the text.
    pub sha256: String,
}

impl Lines {
    /// The names built into the program.
    pub fn built_in() -> Self {
        Lines { text: BUILT_IN_NAMES.to_owned(), sha256: sha256(BUILT_IN_NAMES.as_bytes()) }
    }

    /// Reads a text file whole. A byte order mark at its start is dropped, `\r\n` ends a line like `\n`.
    ///
    /// Errors: the file cannot be read; it is not UTF-8; it has no line with a character.
    pub fn read(path: &Path) -> Result<Self> {
        if path.is_dir() {
            return Err(Error::content(path, "is a folder, not a text file"));
        }
        if is_device(path) {
            return Err(Error::content(path, "is a device without end, not a text file"));
        }
        let bytes = std::fs::read(path).map_err(|source| Error::file(path, "read", source))?;
        Self::from_bytes(bytes).map_err(|reason| Error::content(path, reason))
    }

    /// The same from bytes in memory; an error is the reason alone.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, String> {
        let sha256 = sha256(&bytes);
        let mut text = String::from_utf8(bytes).map_err(|error| not_utf8(error.as_bytes(), error.utf8_error()))?;
        if text.starts_with('\u{feff}') {
            text.drain(..'\u{feff}'.len_utf8());
        }
        let lines = Lines { text, sha256 };
        if lines.iter().next().is_none() {
            return Err("the text is empty: it has no line with a character in it. Give a file with an item on each \
                        line"
                .to_owned());
        }
        Ok(lines)
    }

    /// The lines without their ends; empty ones are left out.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.text.lines().filter(|line| !line.is_empty())
    }
}

/// Whether a path is something like /dev/zero. A terminal or a pipe ends.
fn is_device(path: &Path) -> bool {
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

/// Where a text stops being UTF-8, and what to do.
fn not_utf8(bytes: &[u8], error: std::str::Utf8Error) -> String {
    let offset = error.valid_up_to();
    let line_start = bytes[..offset].iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
    let line = 1 + bytes[..offset].iter().filter(|&&byte| byte == b'\n').count();
    format!(
        "line {line}, byte {} of the line (byte {offset} of the file, counted from 0): found 0x{:02X}, which is not \
         UTF-8 text. Convert the file first, for instance with `iconv -f latin1 -t utf-8`",
        offset - line_start + 1,
        bytes[offset],
    )
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8]) -> Result<Vec<String>, String> {
        Ok(Lines::from_bytes(bytes.to_vec())?.iter().map(str::to_owned).collect())
    }

    #[test]
    fn line_ends_of_every_kind_and_a_byte_order_mark_are_dropped() {
        assert_eq!(lines(b"\xEF\xBB\xBFanna\r\nbea\n\n\nc").unwrap(), ["anna", "bea", "c"]);
    }

    #[test]
    fn a_text_without_a_character_is_an_error() {
        assert!(lines(b"").unwrap_err().contains("empty"));
        assert!(lines(b"\n\r\n\n").unwrap_err().contains("empty"));
    }

    #[test]
    fn bytes_that_are_not_utf8_are_located() {
        let error = lines(b"anna\nb\xE9a\n").unwrap_err();
        assert!(error.contains("line 2, byte 2 of the line (byte 6 of the file"), "{error}");
        assert!(error.contains("0xE9"), "{error}");
    }

    #[test]
    fn the_built_in_names_are_those_that_the_readme_describes() {
        let readme = include_str!("../../data/README.md");
        let names = Lines::built_in();
        assert!(readme.contains(&names.sha256), "data/README.md lacks {}", names.sha256);
        assert_eq!(names.iter().count(), 32_257);
        assert!(readme.contains("32,257"));
        assert!(names.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_lowercase())));
    }
}
