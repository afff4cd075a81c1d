//! Results in a file, and what became of an earlier file's.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::machine::Machine;
use super::{Spread, Task, Timing, Unit};
use crate::engine::Hardware;
use crate::train::files::{read_whole, write_whole};
use crate::{Error, Result};

/// The layout of the file.
const FORMAT: u32 = 1;

/// A file of results, as it is read.
#[derive(Clone, Debug, Deserialize)]
pub struct Saved {
    /// Where and when they were measured.
    pub machine: Machine,
    timings: Vec<SavedTiming>,
}

/// What a comparison needs of a [`Timing`].
#[derive(Clone, Debug, Deserialize)]
struct SavedTiming {
    task: Task,
    shape: String,
    device: String,
    backend: String,
    driver: String,
    threads: usize,
    unit: Unit,
    per_second: Spread,
}

/// A result beside the earlier one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// What was timed.
    pub task: Task,
    /// The shape's name.
    pub shape: &'static str,
    /// Where it ran, now.
    #[serde(flatten)]
    pub hardware: Hardware,
    /// What is counted.
    pub unit: Unit,
    /// Units a second in the earlier file, median.
    pub old: f64,
    /// Units a second now, median.
    pub new: f64,
    /// New over old.
    pub ratio: f64,
    /// Whether the middle halves of the repeats lie apart. If not, nothing is known to have changed.
    pub apart: bool,
}

/// Writes results with the machine's facts.
pub fn save(path: &Path, timings: &[Timing]) -> Result<()> {
    #[derive(Serialize)]
    struct File<'a> {
        format: u32,
        machine: Machine,
        timings: &'a [Timing],
    }
    let file = File { format: FORMAT, machine: Machine::here(), timings };
    let text = serde_json::to_string_pretty(&file).expect("plain data becomes JSON");
    write_whole(path, (text + "\n").as_bytes())
}

impl Saved {
    /// Reads what [`save`] wrote.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = read_whole(path, "a file of results")?;
        let text = String::from_utf8(bytes).map_err(|error| error.to_string());
        text.and_then(|text| Self::from_text(&text)).map_err(|reason| {
            let remedy = "give a file that `gpu-mlp bench --save` wrote";
            Error::content(path, format!("is no file of results ({reason}): {remedy}"))
        })
    }

    /// Reads a file's text. An error says what does not fit.
    pub(crate) fn from_text(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Header {
            format: u32,
        }
        let Header { format } = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if format != FORMAT {
            return Err(format!("its format is {format}, this program reads {FORMAT}"));
        }
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    /// What became of each result that the file has, too.
    pub fn changes(&self, timings: &[Timing]) -> Vec<Change> {
        timings.iter().filter_map(|timing| Some(change(self.earlier(timing)?, timing))).collect()
    }

    /// What should not be compared without a thought: a line each.
    pub fn differences(&self, timings: &[Timing]) -> Vec<String> {
        let mut lines = Machine::here().differences(&self.machine);
        for timing in timings {
            let now = &timing.hardware.driver;
            if let Some(earlier) = self.earlier(timing).filter(|earlier| earlier.driver != *now) {
                let line = format!("driver of {} was {}, now {now}", timing.hardware.device, earlier.driver);
                if !lines.contains(&line) {
                    lines.push(line);
                }
            }
        }
        lines
    }

    fn earlier(&self, timing: &Timing) -> Option<&SavedTiming> {
        let hardware = &timing.hardware;
        self.timings.iter().find(|earlier| {
            (earlier.task, earlier.shape.as_str(), earlier.threads) == (timing.task, timing.shape, hardware.threads)
                && (&earlier.device, &earlier.backend) == (&hardware.device, &hardware.backend)
                && earlier.unit == timing.unit
        })
    }
}

fn change(earlier: &SavedTiming, timing: &Timing) -> Change {
    let (old, new) = (earlier.per_second.median, timing.per_second.median);
    Change {
        task: timing.task,
        shape: timing.shape,
        hardware: timing.hardware.clone(),
        unit: timing.unit,
        old,
        new,
        ratio: new / old,
        apart: !earlier.per_second.overlaps(&timing.per_second),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timing(shape: &'static str, driver: &str, speeds: [f64; 3]) -> Timing {
        let hardware = Hardware { device: "cpu".into(), backend: "cpu".into(), driver: driver.into(), threads: 2 };
        let per_second = Spread::of(speeds.to_vec());
        let (task, unit) = (Task::Train, Unit::Steps);
        Timing { task, shape, hardware, checked: true, unit, per_second, ratio: 1.0, steps: None, distance: None }
    }

    #[test]
    fn a_saved_result_is_compared_with_its_like() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bench.json");
        let old = [timing("makemore", "AVX2", [9.0, 10.0, 11.0]), timing("wide", "AVX2", [9.0, 10.0, 11.0])];
        save(&path, &old).unwrap();
        let saved = Saved::read(&path).unwrap();
        let new = [timing("wide", "AVX-512", [19.0, 20.0, 21.0]), timing("brown", "AVX-512", [1.0, 1.0, 1.0])];
        let changes = saved.changes(&new);
        assert_eq!(changes.len(), 1);
        let Change { shape, old, new: speed, ratio, apart, .. } = changes[0].clone();
        assert_eq!((shape, old, speed, ratio, apart), ("wide", 10.0, 20.0, 2.0, true));
        assert_eq!(saved.differences(&new), ["driver of cpu was AVX2, now AVX-512"]);
        assert!(!saved.changes(&[timing("wide", "AVX2", [10.0, 10.5, 11.0])])[0].apart);
    }

    #[test]
    fn another_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bench.json");
        for (text, reason) in [("", "no file of results"), ("{}", "format"), ("{\"format\": 9}", "format is 9")] {
            std::fs::write(&path, text).unwrap();
            let error = Saved::read(&path).unwrap_err().to_string();
            assert!(error.contains(reason) && error.contains("bench --save"), "{error}");
        }
    }
}
