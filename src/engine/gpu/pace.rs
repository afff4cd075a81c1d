//! How many steps go to the device at once: enough that submitting costs nothing, few enough that a submission stays
//! short. A desktop stays alive, a watchdog does not bark, and Ctrl-C is heard.

use std::time::{Duration, Instant};

/// How long a submission is meant to take.
const TARGET: Duration = Duration::from_millis(50);
/// Steps in a submission, at most.
const MOST: usize = 1024;

/// Steps for each submission, adapted by measured time.
pub(super) struct Pace {
    steps: usize,
    began: Instant,
    finished: usize,
}

impl Pace {
    pub(super) fn new() -> Self {
        Pace { steps: 1, began: Instant::now(), finished: 0 }
    }

    /// Begins to measure.
    pub(super) fn begin(&mut self) {
        self.began = Instant::now();
        self.finished = 0;
    }

    /// Steps for the next submission.
    pub(super) fn steps(&self) -> usize {
        self.steps
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
        assert_eq!(pace.steps(), MOST);
        pace.began -= Duration::from_secs(10);
        pace.finished = 0;
        pace.report(1);
        assert_eq!(pace.steps(), 1);
    }
}
