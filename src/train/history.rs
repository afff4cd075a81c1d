//! Who trained a run, when and on what: a line of `history.jsonl` when a program begins to train, and one when it ends.
//!
//! It stands beside the model file and not in it: a model has the same bytes whenever, and under whatever name of a
//! directory, it was trained.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::files;
use crate::Result;
use crate::engine::Hardware;

/// Its name in the run's directory.
pub const HISTORY: &str = "history.jsonl";

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Entry {
    /// A program began to train.
    Began {
        /// The local time, with its offset from UTC (RFC 3339).
        time: String,
        /// The command as it was given.
        command: Vec<String>,
        /// The program's version.
        version: String,
        /// The device.
        #[serde(flatten)]
        hardware: Hardware,
        /// Steps done by then.
        step: u64,
    },
    /// It ended by itself or was stopped; a program that was killed leaves no such line.
    Ended {
        /// As above.
        time: String,
        /// Steps done by then.
        step: u64,
        /// Seconds of training since it began, without validations.
        seconds: f64,
    },
}

impl Entry {
    /// A program with this command line begins now.
    pub fn began(hardware: Hardware, step: u64) -> Self {
        let command = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect();
        Entry::Began { time: now(), command, version: env!("CARGO_PKG_VERSION").to_owned(), hardware, step }
    }

    /// It ends now.
    pub fn ended(step: u64, seconds: f64) -> Self {
        Entry::Ended { time: now(), step, seconds }
    }
}

fn now() -> String {
    jiff::ZonedDateTime::now().strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

/// Appends a line to the history of a run.
pub fn append(directory: &Path, entry: &Entry) -> Result<()> {
    let path = directory.join(HISTORY);
    let line = serde_json::to_string(entry).expect("plain data becomes JSON");
    // A line that a crash cut short is not gone on with.
    let is_cut = fs::read(&path).is_ok_and(|bytes| bytes.last().is_some_and(|&last| last != b'\n'));
    let before = if is_cut { "\n" } else { "" };
    files::append(&path, format!("{before}{line}\n").as_bytes())
}

/// The history of a run, the oldest first; lines that cannot be read are left out, and a run without one has none.
pub fn read(directory: &Path) -> Vec<Entry> {
    let bytes = fs::read(directory.join(HISTORY)).unwrap_or_default();
    String::from_utf8_lossy(&bytes).lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back_and_a_line_cut_short_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let hardware = Hardware { device: "cpu".into(), backend: "cpu".into(), driver: "AVX2".into(), threads: 2 };
        let entries = [Entry::began(hardware, 7), Entry::ended(9, 1.5)];
        append(folder.path(), &entries[0]).unwrap();
        let path = folder.path().join(HISTORY);
        let mut torn = fs::read(&path).unwrap();
        torn.extend(b"{\"event\":\"en");
        fs::write(&path, torn).unwrap();
        append(folder.path(), &entries[1]).unwrap();
        assert_eq!(read(folder.path()), entries);
        assert_eq!(read(Path::new("absent")), []);
    }
}
