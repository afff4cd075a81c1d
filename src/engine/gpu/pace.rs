//! How many steps go to the device at once: enough that submitting costs nothing, few enough that a submission stays
//! short. A desktop stays alive, a watchdog does not bark, and Ctrl-C is heard.

use std::time::{Duration, Instant};

/// How long a submission is meant to take.
const TARGET: Duration = Duration::from_millis(50);
/// Steps in a submission, at most.
const MOST: usize = 1024;
/// Steps in the first submission to a device that waits, at most: it begins at once, and the host records the next ones meanwhile.
/// Each next one is longer by a quarter at most, so that it is recorded before the one before it is done: the host of an H200 records
/// a step of makemore in 4 to 6 microseconds, and the card takes it in 10. With 1,024 steps at once the card waited for 6 ms of 46.
const FIRST: usize = 16;

/// Steps for each submission, adapted by measured time.
pub(super) struct Pace {
    steps: usize,
    /// Most steps of the next one since the device waited.
    ahead: usize,
    began: Instant,
    finished: usize,
}

impl Pace {
    pub(super) fn new() -> Self {
        Pace { steps: 1, ahead: FIRST, began: Instant::now(), finished: 0 }
    }

    /// Begins to measure, with a device that waits.
    pub(super) fn begin(&mut self) {
        self.ahead = FIRST;
        self.began = Instant::now();
        self.finished = 0;
    }

    /// Steps for the next submission.
    pub(super) fn next(&mut self) -> usize {
        let steps = self.steps.min(self.ahead);
        self.ahead = (self.ahead + self.ahead / 4).min(MOST);
        steps
    }

    /// So many steps are done since the last report.
    pub(super) fn report(&mut self, finished: usize) {
        self.finished += finished;
        let each = self.began.elapsed().as_secs_f64() / self.finished as f64;
        let fitting = (TARGET.as_secs_f64() / each.max(1e-9)) as usize;
        // It grows in doublings, because the first measurements are of few steps; it shrinks at once.
        self.steps = fitting.clamp(1, (2 * self.steps).min(MOST));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_in_doublings_and_shrinks_at_once() {
        let mut pace = Pace::new();
        for _ in 0..20 {
            pace.begin();
            pace.report(1_000_000);
        }
        assert_eq!(pace.steps, MOST);
        pace.began -= Duration::from_secs(10);
        pace.finished = 0;
        pace.report(1);
        assert_eq!(pace.next(), 1);
    }

    #[test]
    fn a_device_that_waits_gets_little_at_first() {
        let mut pace = Pace { steps: 40, ..Pace::new() };
        let mut submissions = || {
            pace.begin();
            [(); 6].map(|()| pace.next())
        };
        assert_eq!(submissions(), [16, 20, 25, 31, 38, 40]);
        assert_eq!(submissions()[0], FIRST);
    }
}
