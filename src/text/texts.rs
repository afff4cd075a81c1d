//! The files of a run, and what they hold in memory.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::kind::Kind;
use super::source::Source;
use super::types::Types;
use super::{Corpus, Counts, Data, TextSettings, Vocabulary};
use crate::{Error, Result};

/// Where a run's text comes from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sources {
    /// The text; `None` is the names built into the program.
    pub text: Option<PathBuf>,
    /// A validation part of its own.
    pub valid: Option<PathBuf>,
    /// A test part of its own.
    pub test: Option<PathBuf>,
}

impl Sources {
    /// The same with absolute paths, so that a run can be resumed from any folder. A pipe is an error.
    pub fn absolute(&self) -> Result<Self> {
        let absolute = |path: &Option<PathBuf>| match path {
            None => Ok(None),
            Some(path) if is_pipe(path) => Err(Error::content(
                path,
                "is a pipe, and the text of a run is read again later. Save it as a file first",
            )),
            Some(path) => fs::canonicalize(path).map(Some).map_err(|source| Error::file(path, "read", source)),
        };
        Ok(Sources { text: absolute(&self.text)?, valid: absolute(&self.valid)?, test: absolute(&self.test)? })
    }

    /// Reads the files. Errors are those of [`Source::read`].
    pub fn read(&self, kind: Kind) -> Result<Texts> {
        let mut types = Types::default();
        let text = match &self.text {
            Some(path) => Source::read(path, kind, &mut types)?,
            None => Source::built_in(kind, &mut types),
        };
        let mut read =
            |path: &Option<PathBuf>| path.as_deref().map(|path| Source::read(path, kind, &mut types)).transpose();
        let sources = [Some(text), read(&self.valid)?, read(&self.test)?];
        Ok(Texts { kind, types, sources, name: self.text.clone().unwrap_or_else(|| "the built-in names".into()) })
    }
}

#[cfg(unix)]
fn is_pipe(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    fs::metadata(path).is_ok_and(|data| data.file_type().is_fifo() || data.file_type().is_socket())
}

#[cfg(not(unix))]
fn is_pipe(_: &Path) -> bool {
    false
}

/// The texts of a run in memory: 4 bytes a token, and each type once.
#[derive(Clone, Debug)]
pub struct Texts {
    pub(super) kind: Kind,
    pub(super) types: Types,
    /// The text, and the validation and test files where they are given.
    pub(super) sources: [Option<Source>; 3],
    pub(super) name: PathBuf,
}

impl Texts {
    /// A text from any reader, by this name in messages.
    pub fn from_reader(reader: impl Read + Send, kind: Kind, name: &Path) -> Result<Self> {
        let mut types = Types::default();
        let text = Source::from_reader(reader, kind, &mut types).map_err(|failure| failure.of(name))?;
        Ok(Texts { kind, types, sources: [Some(text), None, None], name: name.to_owned() })
    }

    /// What tells these texts from others.
    pub fn sha256(&self) -> Vec<String> {
        self.sources.iter().flatten().map(|source| source.sha256.clone()).collect()
    }

    /// An error where these are not the texts that a run began with.
    pub fn expect(&self, sha256: &[String]) -> Result<()> {
        if self.sha256() == sha256 {
            return Ok(());
        }
        Err(Error::content(
            &self.name,
            format!(
                "is not the text that the run was trained on: its SHA-256 is {}, the run's {}. Give the run's text",
                self.sha256().join(", "),
                sha256.join(", ")
            ),
        ))
    }

    /// How many tokens the training part predicts.
    pub fn train_predictions(&self, settings: &TextSettings) -> Result<usize> {
        Data::train_predictions(self, settings).map_err(|reason| Error::content(&self.name, reason))
    }

    /// Cuts and encodes the texts; with a model's vocabulary, in that one. The ids take the memory of the texts.
    pub fn data(self, settings: &TextSettings, context: usize, vocabulary: Option<&Vocabulary>) -> Result<Data> {
        let name = self.name.clone();
        Data::new(self, settings, context, vocabulary).map_err(|reason| Error::content(&name, reason))
    }

    /// The text as a whole, in a model's vocabulary.
    pub fn encoded(self, vocabulary: &Vocabulary, context: usize) -> Result<(Corpus, Counts)> {
        let name = self.name.clone();
        Data::encoded(self, vocabulary, context).map_err(|reason| Error::content(&name, reason))
    }
}
