//! Event files for TensorBoard: records of protobuf messages, each with its length and two checksums (the TFRecord format of
//! TensorFlow's `record_writer.cc`; messages of `event.proto` and `summary.proto`).

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;

use crate::train::{Live, Observer, Report, Wish};
use crate::{Error, Result};

#[derive(Clone, PartialEq, Message)]
struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, tag = "2")]
    simple_value: f32,
}

/// An observer whose reports go into an event file as well.
pub struct TensorBoard<'a> {
    observer: &'a mut dyn Observer,
    file: File,
    path: PathBuf,
}

impl<'a> TensorBoard<'a> {
    /// A new event file in a run's directory, beside those of earlier programs that trained there.
    pub fn new(directory: &Path, observer: &'a mut dyn Observer) -> Result<Self> {
        let seconds = now();
        let path = (0..)
            .map(|number| directory.join(format!("events.out.tfevents.{}.gpu-mlp.{number}", seconds as u64)))
            .find(|path| !path.exists())
            .expect("a free number");
        let file = OpenOptions::new().create_new(true).append(true).open(&path);
        let file = file.map_err(|source| Error::file(&path, "write", source))?;
        let mut board = TensorBoard { observer, file, path };
        let version = Some("brain.Event:2".to_owned());
        board.write(&Event { wall_time: seconds, step: 0, file_version: version, summary: None })?;
        Ok(board)
    }

    fn write(&mut self, event: &Event) -> Result<()> {
        let written = self.file.write_all(&record(&event.encode_to_vec()));
        written.map_err(|source| Error::file(&self.path, "write", source))
    }
}

impl Observer for TensorBoard<'_> {
    fn wish(&mut self) -> Option<Wish> {
        self.observer.wish()
    }

    fn granted(&mut self, wish: Wish, result: &str) {
        self.observer.granted(wish, result);
    }

    fn live(&mut self, live: Live) {
        self.observer.live(live);
    }

    fn report(&mut self, report: &Report, best: bool) -> Result<()> {
        let named = [
            ("loss/train", Some(report.loss)),
            ("loss/validation", report.valid),
            ("rate", Some(f64::from(report.rate))),
            ("examples_per_second", Some(report.examples_per_second)),
        ];
        let value =
            |(tag, value): (&str, Option<f64>)| Some(Value { tag: tag.to_owned(), simple_value: value? as f32 });
        let summary = Some(Summary { value: named.into_iter().filter_map(value).collect() });
        self.write(&Event { wall_time: now(), step: report.step as i64, file_version: None, summary })?;
        self.observer.report(report, best)
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

/// A message with its length, the checksum of the length, and its own.
fn record(message: &[u8]) -> Vec<u8> {
    let length = (message.len() as u64).to_le_bytes();
    let mut bytes = length.to_vec();
    bytes.extend(masked(&length).to_le_bytes());
    bytes.extend(message);
    bytes.extend(masked(message).to_le_bytes());
    bytes
}

/// The checksum as records store it.
fn masked(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The messages of an event file, each checked against its checksums.
    fn events(bytes: &[u8]) -> Vec<Event> {
        let (mut rest, mut events) = (bytes, Vec::new());
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            assert_eq!(rest[8..12], masked(&rest[..8]).to_le_bytes());
            let message = &rest[12..12 + length];
            assert_eq!(rest[12 + length..16 + length], masked(message).to_le_bytes());
            events.push(Event::decode(message).unwrap());
            rest = &rest[16 + length..];
        }
        events
    }

    #[test]
    fn reports_become_events_that_can_be_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let report = |step, valid| Report {
            step,
            epoch: 0.5,
            loss: 2.5,
            valid,
            rate: 0.1,
            seconds: 1.0,
            examples_per_second: 1000.0,
        };
        for number in 0..2 {
            let mut nothing = ();
            let mut board = TensorBoard::new(folder.path(), &mut nothing).unwrap();
            board.report(&report(10, None), false).unwrap();
            board.report(&report(20, Some(2.25)), true).unwrap();
            let events = events(&std::fs::read(&board.path).unwrap());
            assert_eq!(events[0].file_version.as_deref(), Some("brain.Event:2"));
            let tags =
                |event: &Event| event.summary.as_ref().unwrap().value.iter().map(|v| v.tag.clone()).collect::<Vec<_>>();
            assert_eq!(tags(&events[1]), ["loss/train", "rate", "examples_per_second"]);
            assert_eq!((events[2].step, events[2].summary.as_ref().unwrap().value[1].simple_value), (20, 2.25));
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), number + 1, "an earlier file is kept");
        }
    }

    #[test]
    fn the_checksum_is_that_of_the_record_format() {
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283, "the check value of CRC-32C");
        // Rotated to the right by 15 that is 0x2507c60d, and the constant of record_writer.cc is 0xa282ead8.
        assert_eq!(masked(b"123456789"), 0xc78a_b0e5);
    }
}
