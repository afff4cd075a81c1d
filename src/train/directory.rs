//! The directory of a run: settings, best model, last state, metrics.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::files::{UNFINISHED, append, read_model, sync_appended, write_whole};
use super::{Progress, Report, Settings};
use crate::engine::State;
use crate::error::shell_word;
use crate::model::ModelFile;
use crate::text::Sources;
use crate::{Error, Result};

/// The best model on the validation part.
pub const MODEL: &str = "model.safetensors";
/// The last state, with everything a resume needs.
pub const LAST: &str = "last.safetensors";
/// Every setting, after defaults, and where the text is.
pub const CONFIG: &str = "config.toml";
/// One line of JSON a report.
pub const METRICS: &str = "metrics.jsonl";

/// Locked by the program that trains.
const LOCK: &str = ".lock";

/// What `config.toml` holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// The version of the program that began the run.
    pub version: String,
    /// The device that it began on, as `--device` takes it: a resume takes the same where none is given.
    pub device: String,
    /// Where the text is.
    pub sources: Sources,
    /// Every setting, after defaults.
    pub settings: Settings,
}

/// A run's directory.
#[derive(Debug)]
pub struct RunDirectory {
    path: PathBuf,
    /// Held while the run is written to.
    lock: Option<File>,
}

impl RunDirectory {
    /// Makes the directory of a new run and writes its settings. A directory that holds a run already is an error.
    pub fn create(path: &Path, config: &Config) -> Result<Self> {
        for file in [CONFIG, LAST, MODEL] {
            if path.join(file).exists() {
                return Err(Error::content(
                    path,
                    format!(
                        "holds a run already ({file}), which is not overwritten. Go on with it (gpu-mlp train --resume \
                         {}), or choose another --out",
                        shell_word(path)
                    ),
                ));
            }
        }
        fs::create_dir_all(path).map_err(|source| Error::file(path, "create the run directory", source))?;
        let text = toml::to_string(config)
            .map_err(|error| Error::content(&path.join(CONFIG), format!("cannot be written: {error}")))?;
        let mut directory = RunDirectory { path: path.to_owned(), lock: None };
        directory.lock()?;
        write_whole(&path.join(CONFIG), text.as_bytes())?;
        Ok(directory)
    }

    /// Keeps other programs from training in this directory while this one does. The system lets go of the lock when the
    /// program ends, however it ends.
    pub fn lock(&mut self) -> Result<()> {
        let path = self.path.join(LOCK);
        let lock = File::create(&path).map_err(|source| Error::file(&path, "write", source))?;
        match lock.try_lock() {
            Ok(()) => {
                self.lock = Some(lock);
                self.sweep();
            }
            Err(TryLockError::WouldBlock) => {
                let reason = "another program trains in this directory: wait for its end, or choose another --out";
                return Err(Error::content(&self.path, reason));
            }
            // A file system without locks is no reason not to train.
            Err(TryLockError::Error(_)) => {}
        }
        Ok(())
    }

    /// Takes away what a killed program left unfinished. Only the holder of the lock may: nobody else writes here.
    fn sweep(&self) {
        let entries = fs::read_dir(&self.path).into_iter().flatten().flatten();
        for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(UNFINISHED)) {
            // What cannot be removed does no harm.
            let _ = fs::remove_file(entry.path());
        }
    }

    /// The first free directory of the form `runs/<date>-<preset>`, `runs/<date>-<preset>-2`, ...
    pub fn default_path(preset: &str) -> PathBuf {
        let name = format!("{}-{preset}", jiff::ZonedDateTime::now().strftime("%Y-%m-%d"));
        let numbered = |number: u32| if number == 1 { name.clone() } else { format!("{name}-{number}") };
        let paths = (1..).map(|number| Path::new("runs").join(numbered(number)));
        paths.into_iter().find(|path| !path.exists()).expect("a free number")
    }

    /// Opens the directory of a run that was begun, and reads its settings.
    pub fn open(path: &Path) -> Result<(Self, Config)> {
        let file = path.join(CONFIG);
        if !file.exists() {
            return Err(Error::content(
                path,
                format!("is not the directory of a run: it has no {CONFIG}. Give a directory that `train` made"),
            ));
        }
        let text = fs::read_to_string(&file).map_err(|source| Error::file(&file, "read", source))?;
        let config: Config = toml::from_str(&text).map_err(|error| Error::content(&file, error.to_string()))?;
        config.settings.check().map_err(|reason| Error::content(&file, reason))?;
        Ok((RunDirectory { path: path.to_owned(), lock: None }, config))
    }

    /// The run directory that a model file lies in, if it lies in one.
    pub fn of_model(model: &Path) -> Option<(Self, Config)> {
        let folder = if model.is_dir() { model } else { model.parent()? };
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        Self::open(folder).ok()
    }

    /// The model file that a user means by a path: the file, or a run directory's best model.
    pub fn model_of(path: &Path) -> PathBuf {
        if path.is_dir() { path.join(MODEL) } else { path.to_owned() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Saves the last state, after the reports until then: a resume goes on behind them.
    pub fn save_last(&self, model: &ModelFile) -> Result<()> {
        sync_appended(&self.path.join(METRICS))?;
        write_whole(&self.path.join(LAST), &model.to_bytes())
    }

    /// Saves the best model.
    pub fn save_best(&self, model: &ModelFile) -> Result<()> {
        write_whole(&self.path.join(MODEL), &model.to_bytes())
    }

    /// The last state, if one was saved.
    fn read_last(&self) -> Result<Option<ModelFile>> {
        let path = self.path.join(LAST);
        if path.exists() { read_model(&path).map(Some) } else { Ok(None) }
    }

    /// What the run goes on from, if a state was saved. Errors: the file does not fit the run's settings.
    pub fn read_state(&self, settings: &Settings) -> Result<Option<(State, Progress)>> {
        let Some(last) = self.read_last()? else { return Ok(None) };
        let reason = if last.settings != *settings {
            format!("config.toml and {LAST} differ in their settings: put config.toml back as it was")
        } else if !last.state.fits(&settings.recipe) {
            format!(
                "{LAST} lacks what its update rule carries from step to step: put the run's own file back, or begin anew"
            )
        } else {
            return Ok(Some((last.state, last.progress)));
        };
        Err(Error::content(&self.path, reason))
    }

    /// The best model.
    pub fn read_best(&self) -> Result<ModelFile> {
        read_model(&self.path.join(MODEL))
    }

    /// Appends a report to the metrics.
    pub fn append(&self, report: &Report) -> Result<()> {
        let path = self.path.join(METRICS);
        let line = format!("{}\n", serde_json::to_string(report).expect("plain data becomes JSON"));
        append(&path, line.as_bytes())
    }

    /// Drops the metrics after a step: they are about to be reported again. A line that cannot be read, as the last one
    /// after a crash, goes too.
    pub fn truncate_metrics(&self, step: u64) -> Result<()> {
        #[derive(Deserialize)]
        struct Line {
            step: u64,
        }
        let path = self.path.join(METRICS);
        if !path.exists() {
            return Ok(());
        }
        let bytes = fs::read(&path).map_err(|source| Error::file(&path, "read", source))?;
        let text = String::from_utf8_lossy(&bytes);
        let keep = |line: &&str| serde_json::from_str::<Line>(line).is_ok_and(|line| line.step <= step);
        let kept: String = text.lines().filter(keep).flat_map(|line| [line, "\n"]).collect();
        write_whole(&path, kept.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_beyond_the_step_and_those_that_cannot_be_read_are_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let directory = RunDirectory { path: folder.path().to_owned(), lock: None };
        directory.truncate_metrics(3).unwrap();
        assert!(!folder.path().join(METRICS).exists());
        let lines: [&[u8]; 6] =
            [b"{\"step\":1}\n", b"\xff{\"st\n", b"{\"step\":2}\n", b"\n", b"{\"step\":3}\n", b"{\"step\":4}\n{\"ste"];
        fs::write(folder.path().join(METRICS), lines.concat()).unwrap();
        directory.truncate_metrics(3).unwrap();
        let kept = fs::read_to_string(folder.path().join(METRICS)).unwrap();
        assert_eq!(kept, "{\"step\":1}\n{\"step\":2}\n{\"step\":3}\n");
    }
}
