//! How many threads the next steps get: all, or one where that is faster.
//!
//! Threads that meet a few times a step stand still whenever one of them has lost its core: measured on two cores with a
//! compiler running beside, 2,300 steps a second of the lecture's network with two threads, 11,000 with one. Results do
//! not depend on the number of threads, so it is chosen by what both were last measured at. All threads are those that a step
//! has work for, see [`super::network::Layout::useful_threads`].

use std::time::Duration;

/// Before a trial the threads wake up, and what they need comes into their caches: 0.4 ms. With that in the trial, two threads
/// that took 48,500 steps of the lecture's network a second, their cores being far apart, took 42,000 in it, as one does.
const WARM_UP: Duration = Duration::from_micros(750);
/// The trial itself lasts so long, or a step where that is longer,
const TRIAL: Duration = Duration::from_micros(2250);
/// and then the better choice has the steps for so many times the warm-up and the trial, or one thread's step where that is
/// longer: what one thread loses is little then, however many there are, and no neighbour of the other threads makes it longer.
/// Steps of `brown` with two threads, when a step of 26 ms was tried every 200 ms: 0.95 of what they are now; of
/// `brown-direct`, 0.90.
const TRIALS_A_PERIOD: u32 = 64;

/// Steps a second with one thread and with all, and what is measured now.
pub(super) struct Pace {
    one: Option<f64>,
    all: Option<f64>,
    /// Whether all threads have the steps now.
    all_now: bool,
    /// What for and for how long, and the steps and the time so far.
    phase: Phase,
    limit: Duration,
    so_far: (usize, Duration),
}

#[derive(Clone, Copy, PartialEq)]
enum Phase {
    WarmUp,
    Trial,
    Period,
}

impl Default for Pace {
    fn default() -> Self {
        // The very first steps pay for what is not in memory yet, too.
        let (phase, limit) = (Phase::WarmUp, TRIAL);
        Pace { one: None, all: None, all_now: true, phase, limit, so_far: (0, Duration::ZERO) }
    }
}

impl Pace {
    /// Whether the next steps should have all threads, and how many of `steps` to take before asking again.
    pub(super) fn next(&self, steps: usize) -> (bool, usize) {
        let known = if self.all_now { self.all.or(self.one) } else { self.one.or(self.all) };
        let time = self.limit.saturating_sub(self.so_far.1).as_secs_f64();
        // While nothing is known, as many steps as there were: the time doubles from range to range.
        let most = known.map_or(self.so_far.0, |speed| (speed * time).ceil() as usize);
        (self.all_now, steps.min(most.max(1)))
    }

    /// What so many steps took.
    pub(super) fn measured(&mut self, steps: usize, time: Duration) {
        self.so_far.0 += steps;
        self.so_far.1 += time;
        if self.so_far.1 < self.limit {
            return;
        }
        let (steps, time) = std::mem::take(&mut self.so_far);
        // To wake up is little of a long step, but for the very first.
        let long = time.div_f64(steps as f64) >= TRIAL && self.one.or(self.all).is_some();
        if self.phase == Phase::WarmUp && !long {
            (self.phase, self.limit) = (Phase::Trial, TRIAL);
            return;
        }
        let speed = Some(steps as f64 / time.as_secs_f64());
        *(if self.all_now { &mut self.all } else { &mut self.one }) = speed;
        (self.all_now, self.phase, self.limit) = match (self.phase, self.one, self.all) {
            (Phase::WarmUp | Phase::Trial, Some(one), Some(all)) => {
                let step = Duration::from_secs_f64(1.0 / one);
                (all >= one, Phase::Period, TRIALS_A_PERIOD * step.max(WARM_UP + TRIAL))
            }
            _ => (!self.all_now, Phase::WarmUp, WARM_UP),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What it costs to wake the other threads.
    const WAKING: f64 = 4e-4;

    /// Takes ranges of so many steps on a machine with the given speeds; returns the share of time with all threads.
    fn share_with_all(pace: &mut Pace, range: usize, ranges: usize, one: f64, all: f64) -> f64 {
        let (mut with_all, mut total, mut awake) = (0.0, 0.0, false);
        for _ in 0..ranges {
            let mut left = range;
            while left > 0 {
                let (choice, steps) = pace.next(left);
                assert!((1..=left).contains(&steps));
                let waking = if choice && !awake { WAKING } else { 0.0 };
                awake = choice;
                let time = steps as f64 / if choice { all } else { one } + waking;
                pace.measured(steps, Duration::from_secs_f64(time));
                with_all += if choice { time } else { 0.0 };
                total += time;
                left -= steps;
            }
        }
        with_all / total
    }

    #[test]
    fn the_faster_choice_gets_nearly_all_steps() {
        for (range, ranges) in [(1_000_000, 1), (1000, 1000), (10, 100_000)] {
            assert!(share_with_all(&mut Pace::default(), range, ranges, 10_000.0, 18_000.0) > 0.98);
            assert!(share_with_all(&mut Pace::default(), range, ranges, 10_000.0, 2_000.0) < 0.02);
            assert!(share_with_all(&mut Pace::default(), range, ranges.min(10_000), 20.0, 40.0) > 0.95);
        }
    }

    #[test]
    fn threads_that_wake_up_are_not_taken_for_slow_ones() {
        let mut pace = Pace::default();
        share_with_all(&mut pace, 1_000_000, 1, 41_700.0, 30_000.0);
        assert!(share_with_all(&mut pace, 1_000_000, 1, 41_700.0, 44_000.0) > 0.95);
    }

    #[test]
    fn one_long_step_is_a_trial() {
        let (mut pace, mut choices) = (Pace::default(), Vec::new());
        for _ in 0..300 {
            let (all, steps) = pace.next(1);
            choices.push(all);
            pace.measured(steps, Duration::from_millis(if all { 13 } else { 26 }));
        }
        // The first of all threads is forgotten; 64 steps of 26 ms are 128 of 13 ms.
        let alone: Vec<usize> = (0..choices.len()).filter(|&step| !choices[step]).collect();
        assert_eq!(alone, [2, 131, 260]);
    }

    #[test]
    fn a_change_is_noticed_within_two_periods() {
        let mut pace = Pace::default();
        share_with_all(&mut pace, 1000, 100, 10_000.0, 18_000.0);
        let after = share_with_all(&mut pace, 10, 1000, 10_000.0, 2_000.0);
        assert!(after < 0.45, "{after}");
        assert!(share_with_all(&mut pace, 1000, 100, 10_000.0, 2_000.0) < 0.02);
    }
}
