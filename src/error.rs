//! The one error type of the library. Each message names what was read, what was found, what was expected and what to do.

use std::path::{Path, PathBuf};

/// What can go wrong, by the kind of remedy.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line or a setting asks for something that cannot be: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// A file or folder could not be read or written.
    #[error("{}: cannot {action}: {source}{}", path.display(), hint(source))]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What was tried: "read", "write", ...
        action: &'static str,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// A file was read, but what it holds cannot be used.
    #[error("{}: {reason}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Where in it, what was found, what was expected, what to do.
        reason: String,
    },
    /// A device is absent, was lost, ran out of memory or has too small a limit.
    #[error("{0}")]
    Device(String),
    /// The loss of a step is not a finite number.
    #[error(
        "the loss is not finite at step {step} (learning rate {rate}): training diverged. Try a smaller --rate, \
         or --init scaled. What was saved before is kept"
    )]
    NotFinite {
        /// The first such step.
        step: u64,
        /// Its learning rate.
        rate: f32,
    },
    /// The loss of a step is finite, and beyond anything that training comes back from.
    #[error(
        "the loss is {loss:e} at step {step} (learning rate {rate}): training diverged. Try a smaller --rate, or --init \
         scaled. What was saved before is kept"
    )]
    Diverged {
        /// The first such step.
        step: u64,
        /// Its loss.
        loss: f32,
        /// Its learning rate.
        rate: f32,
    },
    /// A number that training changes is not finite, though losses still are: an activation bounds what follows from it.
    #[error(
        "{tensor} holds a number that is not finite at step {step} (learning rate {rate}): training diverged. Try a \
         smaller --rate, or --init scaled. What was saved before is kept"
    )]
    NotFiniteState {
        /// The tensor, by its name in a model file.
        tensor: String,
        /// The last step before it was found.
        step: u64,
        /// Its learning rate.
        rate: f32,
    },
    /// A check was made and does not hold.
    #[error("{0}")]
    Check(String),
    /// Whoever reads the output has closed it: the program ends quietly.
    #[error("the output was closed")]
    Closed,
}

/// The end of a message about an unknown name: the most similar of those that are known, if one is.
pub fn did_you_mean<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let likeness = |name: &str| strsim::jaro(given, name);
    match known.into_iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b))) {
        Some(name) if likeness(name) > LEAST_LIKENESS => format!(". Did you mean {name}?"),
        _ => String::new(),
    }
}

/// Less alike is not what was meant; clap draws the same line.
const LEAST_LIKENESS: f64 = 0.7;

/// A path as a shell takes it for one word, in a command that is suggested.
pub fn shell_word(path: &Path) -> String {
    let mut word = path.display().to_string();
    if word.starts_with('-') {
        word.insert_str(0, "./");
    }
    let plain = |character: char| {
        character.is_alphanumeric() || "/:._-+=%".contains(character) || cfg!(windows) && character == '\\'
    };
    if !word.is_empty() && word.chars().all(plain) {
        word
    } else if cfg!(windows) {
        format!("\"{word}\"")
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// What to do about an error of the operating system, where there is something.
fn hint(source: &std::io::Error) -> &'static str {
    match source.kind() {
        std::io::ErrorKind::NotFound => ". Is the path right?",
        std::io::ErrorKind::PermissionDenied => ". Do you have the right to?",
        std::io::ErrorKind::StorageFull => ". Make room; what was saved before is whole",
        _ => "",
    }
}

/// A result with the library's [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A file that could not be read or written; `action` completes "cannot ...".
    pub fn file(path: &Path, action: &'static str, source: std::io::Error) -> Self {
        Error::File { path: path.to_owned(), action, source }
    }

    /// A file whose content cannot be used.
    pub fn content(path: &Path, reason: impl Into<String>) -> Self {
        Error::Content { path: path.to_owned(), reason: reason.into() }
    }

    /// The exit code of a program that ends with it: a wrong use, or a failure.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Closed => 0,
            Error::Usage(_) => 2,
            _ => 1,
        }
    }

    /// A wrong setting or option.
    pub fn usage(message: impl Into<String>) -> Self {
        Error::Usage(message.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(not(windows))]
    fn a_path_is_one_word_for_a_shell() {
        let words = [
            ("runs/first-1", "runs/first-1"),
            ("my runs/a", "'my runs/a'"),
            ("-y", "./-y"),
            ("-a;b", "'./-a;b'"),
            ("a'b", r"'a'\''b'"),
            (r"a\b", r"'a\b'"),
        ];
        for (path, word) in words {
            assert_eq!(shell_word(Path::new(path)), word);
        }
    }
}
