//! How many threads a range of steps gets: all, or one where another program holds a core.
//!
//! Threads that meet twice a step stand still whenever one of them has lost its core. Measured on two cores with a
//! compiler running beside: 2,300 steps a second of the lecture's network with two threads, 11,000 with one. Results do
//! not depend on the number of threads, so it is chosen by what the last ranges took.

use std::time::Duration;

/// A range is measured if it takes at least this long.
const LEAST: Duration = Duration::from_millis(2);
/// Every so many ranges, the choice that was not taken is tried again, on a part of a range.
const TRY_EVERY: u32 = 16;
/// It is also tried again in these: the first measurement pays for what is not in memory yet, and was seen to settle a
/// short run on one thread where two are a quarter faster. They get whole ranges: new threads may share a core at first.
const EARLY_TRIES: [u32; 2] = [4, 8];
/// The part of a range that a try gets.
const TRY_SHARE: usize = 8;

/// Steps a second with one thread and with all.
#[derive(Default)]
pub(super) struct Pace {
    one: Option<f64>,
    all: Option<f64>,
    ranges: u32,
}

impl Pace {
    /// Whether the next range should have all threads, and how many of its `steps` to take before asking again.
    pub(super) fn next(&mut self, steps: usize) -> (bool, usize) {
        self.ranges += 1;
        let all_is_better = self.all >= self.one;
        match (self.all, self.one) {
            (None, _) => (true, steps),
            (_, None) => (false, steps.div_ceil(TRY_SHARE)),
            _ if EARLY_TRIES.contains(&self.ranges) => (!all_is_better, steps),
            _ if self.ranges.is_multiple_of(TRY_EVERY) => (!all_is_better, steps.div_ceil(TRY_SHARE)),
            _ => (all_is_better, steps),
        }
    }

    /// What a range took.
    pub(super) fn measured(&mut self, all: bool, steps: usize, time: Duration) {
        if time >= LEAST {
            let speed = steps as f64 / time.as_secs_f64();
            *(if all { &mut self.all } else { &mut self.one }) = Some(speed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs 300 ranges of 1,000 steps on a machine with the given speeds; returns the share of steps with all threads.
    fn share_with_all(one: f64, all: f64) -> f64 {
        let mut pace = Pace::default();
        let (mut with_all, mut total) = (0, 0);
        for _ in 0..300 {
            let (choice, steps) = pace.next(1000);
            pace.measured(choice, steps, Duration::from_secs_f64(steps as f64 / if choice { all } else { one }));
            with_all += if choice { steps } else { 0 };
            total += steps;
        }
        f64::from(with_all as u32) / f64::from(total as u32)
    }

    #[test]
    fn the_faster_choice_gets_nearly_all_steps() {
        assert!(share_with_all(10_000.0, 18_000.0) > 0.98);
        assert!(share_with_all(10_000.0, 2_000.0) < 0.03);
    }

    #[test]
    fn a_slow_first_range_is_forgotten_soon() {
        let mut pace = Pace::default();
        let mut choices = Vec::new();
        for range in 0..12 {
            let (all, steps) = pace.next(1000);
            let speed = if range == 0 {
                5_000.0
            } else if all {
                20_000.0
            } else {
                10_000.0
            };
            pace.measured(all, steps, Duration::from_secs_f64(steps as f64 / speed));
            choices.push(all);
        }
        assert_eq!(choices[2..], [false, true, true, true, true, false, true, true, true, true]);
    }

    #[test]
    fn ranges_too_short_to_measure_change_nothing() {
        let mut pace = Pace::default();
        for _ in 0..5 {
            assert_eq!(pace.next(8), (true, 8));
            pace.measured(true, 8, Duration::from_micros(100));
        }
    }
}
