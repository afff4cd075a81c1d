//! `train` on a GPU with which something goes wrong: a clear error, what was saved is whole, and the run goes on to the bytes
//! of one that nothing happened to.

use std::path::Path;

use clap::Parser;

use super::{Cli, run};
use crate::engine::gpu::Limits;
use crate::engine::gpu::trouble::{Trouble, with, with_limits};
use crate::testing;
use crate::train::directory::{CONFIG, LAST, MODEL};
use crate::train::files::read_model;
use crate::{Error, Result};

/// The command as a user gives it, in words.
fn command(words: &[&str]) -> Result<u8> {
    let all = ["gpu-mlp", "train"].iter().chain(words);
    run(Cli::try_parse_from(all).unwrap())
}

/// A folder with a text, and a run in it of some settings.
struct Place {
    folder: tempfile::TempDir,
    settings: &'static [&'static str],
}

/// Five validations, each of which saves.
const STEPS: [&str; 4] = ["--steps", "50", "--eval-every", "10"];
/// On the small path and on the general one, which carries averages.
const SETTINGS: [&[&str]; 2] = [
    &["--hidden", "8", "--embedding", "4", "--batch", "8"],
    &[
        "--hidden",
        "8",
        "--embedding",
        "4",
        "--batch",
        "8",
        "--optimizer",
        "adamw",
        "--rate",
        "0.01",
        "--average",
        "0.9",
    ],
];

/// The settings, where there is a GPU.
fn settings() -> impl Iterator<Item = &'static [&'static str]> {
    SETTINGS.into_iter().filter(|_| testing::gpu().is_some())
}

impl Place {
    fn new(settings: &'static [&'static str]) -> Self {
        let place = Place { folder: tempfile::tempdir().unwrap(), settings };
        std::fs::write(place.path("names.txt"), testing::names()).unwrap();
        place
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn begin(&self, name: &str) -> Result<u8> {
        let (text, out) = (self.path("names.txt"), self.path(name));
        let words = [&[&text, "--out", &out, "--device", "gpu", "--quiet"], &STEPS[..], self.settings].concat();
        command(&words)
    }

    fn go_on(&self, name: &str) -> Result<u8> {
        command(&["--resume", &self.path(name), "--quiet"])
    }

    fn models(&self, name: &str) -> [Vec<u8>; 2] {
        [MODEL, LAST].map(|file| std::fs::read(Path::new(&self.path(name)).join(file)).unwrap())
    }
}

/// Moments at which something goes wrong, unless `GPU_MLP_MOMENTS` says otherwise.
const MOMENTS: usize = 4;

/// A run in which something goes wrong, at some moments from its beginning to its end.
fn at_moments(settings: &'static [&'static str], trouble: Trouble, expected: &[&str]) {
    let moments = std::env::var("GPU_MLP_MOMENTS").map_or(MOMENTS, |moments| moments.parse().expect("a number"));
    assert!(moments > 1, "GPU_MLP_MOMENTS is {moments}: the first moment and the last are 2");
    let place = Place::new(settings);
    // The first run measures which kernels are the fastest, if no run did before.
    assert_eq!(place.begin("first").unwrap(), 0);
    let (result, passed) = with(trouble, usize::MAX, || place.begin("straight"));
    assert_eq!(result.unwrap(), 0);
    let (straight, passed) = (place.models("straight"), passed.expect("nothing went wrong"));
    let moments = moments.min(passed);
    let (mut happened, mut saved) = (0, 0);
    for number in 0..moments {
        let moment = number * (passed - 1) / (moments - 1);
        let name = moment.to_string();
        let case = format!("{trouble:?} at moment {moment} of {passed}, {settings:?}");
        let (result, missed) = with(trouble, moment, || place.begin(&name));
        if missed.is_some() {
            // How much work is handed over at once depends on the time that it takes: this run was over before.
            assert_eq!(result.unwrap(), 0, "{case}");
            continue;
        }
        happened += 1;
        let error = result.expect_err(&case);
        assert_eq!(error.exit_code(), 1, "{case}: {error}");
        let message = error.to_string();
        assert!(expected.iter().all(|part| message.contains(part)), "{case}: {message}");
        let files = [MODEL, LAST].map(|file| Path::new(&place.path(&name)).join(file));
        for file in files.iter().filter(|file| file.exists()) {
            read_model(file).unwrap_or_else(|error| panic!("{case}: {error}"));
        }
        saved += usize::from(files[1].exists());
        if Path::new(&place.path(&name)).join(CONFIG).exists() {
            assert_eq!(place.go_on(&name).unwrap_or_else(|error| panic!("{case}: {error}")), 0);
            assert!(place.models(&name) == straight, "{case}: other bytes");
        }
    }
    println!("{trouble:?}: {happened} of {passed} moments, {saved} of them after a save: the same bytes in the end");
    assert!(happened > moments / 2 && saved > 0, "{happened}, {saved}");
}

#[test]
fn a_lost_device_ends_a_run_which_goes_on() {
    for settings in settings() {
        at_moments(settings, Trouble::Lost, &["the device was lost", "--resume"]);
    }
}

#[test]
fn a_device_out_of_memory_ends_a_run_which_goes_on() {
    for settings in settings() {
        at_moments(settings, Trouble::OutOfMemory, &["out of memory", "--batch", "--resume"]);
    }
}

#[test]
fn a_buffer_without_memory_ends_a_run_which_goes_on() {
    for settings in settings() {
        at_moments(settings, Trouble::NoBuffer, &["no memory left for", "bytes", "--batch", "--resume"]);
    }
}

#[test]
fn numbers_that_are_none_end_a_run_which_goes_on() {
    for settings in settings() {
        at_moments(
            settings,
            Trouble::NotANumber,
            &["embedding.weight holds a number that is not finite", "--rate", "kept"],
        );
        at_moments(settings, Trouble::NoNumbers, &["the loss is not finite at step", "--rate", "kept"]);
    }
}

/// What an adapter has too little of, and what the message must say.
type Limited = (fn(&mut Limits), &'static [&'static str]);
const LIMITS: [Limited; 5] = [
    (|limits| limits.storage_buffers = 4, &["at most 4 storage buffers", "8", "gpu-mlp devices"]),
    (|limits| limits.invocations_per_workgroup = 128, &["128 invocations", "8, 256", "gpu-mlp devices"]),
    (|limits| limits.buffer_bytes = 1024, &["needs", "takes at most 1024 in one buffer", "--batch", "--cpu"]),
    (|limits| limits.storage_binding_bytes = 256, &["needs", "takes at most 256 in one binding", "--batch", "--cpu"]),
    (|limits| limits.workgroup_storage_bytes = 4096, &["4096 bytes of memory", "16384", "gpu-mlp devices"]),
];

#[test]
fn limits_that_are_too_small_are_told_and_nothing_is_left_half_done() {
    for settings in settings() {
        let place = Place::new(settings);
        assert_eq!(place.begin("straight").unwrap(), 0);
        for (number, (limit, expected)) in LIMITS.into_iter().enumerate() {
            let name = format!("{number}");
            let error = with_limits(limit, || place.begin(&name)).expect_err(expected[0]);
            assert!(matches!(error, Error::Device(_)), "{error:?}");
            let message = error.to_string();
            assert!(expected.iter().all(|part| message.contains(part)), "{expected:?}: {message}");
            if Path::new(&place.path(&name)).exists() {
                assert_eq!(place.go_on(&name).unwrap(), 0, "{expected:?}");
                assert!(place.models(&name) == place.models("straight"), "{expected:?}");
            }
        }
    }
}
