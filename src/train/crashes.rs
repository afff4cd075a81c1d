//! A run in which every single step of writing a file fails in turn: what was saved stays whole, the message names the file,
//! and the run goes on to the bytes of one that never failed.

use std::cell::{Cell, RefCell};
use std::io;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use super::directory::{CONFIG, LAST, METRICS, MODEL};
use super::files::{Fault, read_model};
use super::{Config, Outcome, Preset, Progress, RunDirectory, Settings, Trainer, first_state};
use crate::engine::cpu::Cpu;
use crate::testing;
use crate::text::{Data, Sources};
use crate::{Error, Result};

/// The errors of the operating system: no space left, and a device that does not write.
const ERRORS: [i32; 2] = [28, 5];

thread_local! {
    /// The places that were passed on this thread.
    static PASSED: RefCell<Vec<Fault>> = const { RefCell::new(Vec::new()) };
    /// The number of the place that fails, and its error.
    static FAILING: Cell<Option<(usize, i32)>> = const { Cell::new(None) };
}

/// Whether this place is the one that is to fail.
pub(super) fn fails(fault: Fault) -> io::Result<()> {
    let number = PASSED.with_borrow_mut(|passed| {
        passed.push(fault);
        passed.len() - 1
    });
    match FAILING.get() {
        Some((failing, error)) if failing == number => Err(io::Error::from_raw_os_error(error)),
        _ => Ok(()),
    }
}

struct Run {
    config: Config,
    data: Data,
}

impl Run {
    fn new(folder: &Path) -> Self {
        let text = folder.join("names.txt");
        std::fs::write(&text, testing::names()).unwrap();
        let sources = Sources { text: Some(text), ..Sources::default() };
        let settings =
            Settings { steps: 40, hidden: 4, eval_every: 10, report_every: 5, ..Preset::Makemore.settings().0 };
        let texts = sources.read(settings.kind()).unwrap();
        let settings = Settings { text_sha256: texts.sha256(), ..settings };
        let data = texts.data(&settings.text_settings(), settings.context, None).unwrap();
        Run { config: Config { version: "0".to_owned(), device: "cpu".to_owned(), sources, settings }, data }
    }

    /// Begins the run, or goes on with it, as the command does.
    fn go(&self, path: &Path) -> Result<()> {
        let settings = &self.config.settings;
        let (directory, begun) = if path.join(CONFIG).exists() {
            let (mut directory, _) = RunDirectory::open(path)?;
            directory.lock()?;
            let begun = directory.read_state(settings)?;
            directory.truncate_metrics(begun.as_ref().map_or(0, |(_, progress)| progress.step))?;
            (directory, begun)
        } else {
            (RunDirectory::create(path, &self.config)?, None)
        };
        let (state, progress) = begun.unwrap_or_else(|| (first_state(settings, &self.data), Progress::default()));
        let mut engine = Cpu::new(1);
        let is_new = progress.step == 0;
        let mut trainer = Trainer::new(&mut engine, &self.data, settings, &directory, &state, progress)?;
        if is_new {
            trainer.save_last()?;
        }
        assert_eq!(trainer.run(&AtomicBool::new(false), &mut ())?, Outcome::Finished);
        Ok(())
    }
}

/// A report's step and validation loss.
type Reported = (u64, Option<f64>);

/// What must be the same in the end: the models, and the reports without their times.
fn result(path: &Path) -> (Vec<u8>, Vec<u8>, Vec<Reported>) {
    let read = |name: &str| std::fs::read(path.join(name)).unwrap();
    let metrics = String::from_utf8(read(METRICS)).unwrap();
    let report = |line: &str| {
        let report: serde_json::Value = serde_json::from_str(line).unwrap();
        (report["step"].as_u64().unwrap(), report["valid"].as_f64())
    };
    (read(MODEL), read(LAST), metrics.lines().map(report).collect())
}

#[test]
fn a_run_goes_on_to_the_same_bytes_whatever_write_failed() {
    let folder = tempfile::tempdir().unwrap();
    let run = Run::new(folder.path());
    run.go(&folder.path().join("straight")).unwrap();
    let expected = result(&folder.path().join("straight"));
    let places = PASSED.with_borrow(Vec::clone);
    for fault in [Fault::Create, Fault::Write, Fault::Sync, Fault::Rename, Fault::SyncFolder, Fault::SyncAppended] {
        assert!(
            places.iter().filter(|&&place| place == fault).count() >= 5,
            "{fault:?} is not often enough in {places:?}"
        );
    }
    for (number, place) in places.iter().enumerate() {
        for error in ERRORS {
            let path = folder.path().join(format!("{number}-{error}"));
            let fault = format!("{place:?}, number {number}, error {error}");
            PASSED.with_borrow_mut(Vec::clear);
            FAILING.set(Some((number, error)));
            let failed = run.go(&path).unwrap_err();
            FAILING.set(None);
            assert!(matches!(&failed, Error::File { path: file, .. } if file.starts_with(&path)), "{fault}: {failed}");
            assert_eq!(failed.to_string().contains("Make room"), error == ERRORS[0], "{fault}: {failed}");
            for file in [MODEL, LAST].map(|name| path.join(name)).iter().filter(|file| file.exists()) {
                read_model(file).unwrap_or_else(|error| panic!("{fault}: {error}"));
            }
            run.go(&path).unwrap_or_else(|error| panic!("{fault}: {error}"));
            assert!(result(&path) == expected, "{fault}");
            let unfinished = std::fs::read_dir(&path)
                .unwrap()
                .flatten()
                .filter(|entry| entry.file_name().to_string_lossy().starts_with(super::files::UNFINISHED));
            assert_eq!(unfinished.count(), 0, "{fault}");
        }
    }
}
