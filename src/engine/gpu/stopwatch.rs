//! How long a device takes for something, at its full pace.

use std::time::{Duration, Instant};

use super::device::{Device, Dispatch, Recording};
use super::feed::RING;
use crate::Result;

/// How long a GPU works before it does so at its full pace (an H200 215 ms, at a quarter of it until then), and how long it stays so.
const WAKING: Duration = Duration::from_millis(300);
const AWAKE: Duration = Duration::from_millis(50);
/// What it has to do at a time meanwhile, in seconds: no device is to be lost for long work.
const PIECE: f64 = 0.01;
/// How often, at most: steps of a piece have to fit into the rings of a feed.
const MOST: usize = 1024;
const _: () = assert!(MOST <= RING);

impl Device {
    /// Has a GPU do something so many times, again and again for a while, if it is not at its full pace yet.
    pub(super) fn wake(&self, something: impl Fn(usize) -> Result<f64>) -> Result<()> {
        if self.is_software() || self.is_awake() {
            return Ok(());
        }
        let (begin, mut times) = (Instant::now(), 1);
        while begin.elapsed() < WAKING {
            if something(times)? < PIECE {
                times = (2 * times).min(MOST);
            }
        }
        self.awake.set(Some(Instant::now()));
        Ok(())
    }

    fn is_awake(&self) -> bool {
        self.awake.get().is_some_and(|last| last.elapsed() < AWAKE)
    }

    /// How long some dispatches take so many times, in seconds.
    pub(super) fn measure(&self, dispatches: &[Dispatch], times: usize) -> Result<f64> {
        let mut recording = self.record();
        recording.pass("measured", dispatches, times);
        self.time(recording)
    }

    /// How long some commands take, in seconds.
    pub(super) fn time(&self, recording: Recording) -> Result<f64> {
        let commands = recording.encoder.finish();
        let (begin, was_awake) = (Instant::now(), self.is_awake());
        self.complete(commands)?;
        if was_awake {
            self.awake.set(Some(Instant::now()));
        }
        Ok(begin.elapsed().as_secs_f64())
    }
}
