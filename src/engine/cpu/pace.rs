//! How many threads the next steps get: all, or one where that is faster.
//!
//! Threads that meet a few times a step stand still whenever one of them has lost its core: measured on two cores with a
//! compiler running beside, 2,300 steps a second of the lecture's network with two threads, 11,000 with one. Results do
//! not depend on the number of threads, so it is chosen by what both were last measured at.

use std::time::Duration;

/// A trial lasts so long,
const TRIAL: Duration = Duration::from_millis(3);
/// and then the better choice has the steps for so long,
const PERIOD: Duration = Duration::from_millis(200);
/// in pieces of which each is measured: the median leaves out those in which the machine had other things to do for a while.
const PIECE: Duration = Duration::from_millis(20);

/// Steps a second with one thread and with all, and what is measured now.
pub(super) struct Pace {
    one: Option<f64>,
    all: Option<f64>,
    /// Whether all threads have the steps now.
    all_now: bool,
    /// For how long, the time so far, and the speeds in it.
    limit: Duration,
    so_far: Duration,
    speeds: Vec<f64>,
    /// Steps of the last range, which doubles while no speed is known.
    steps: usize,
    /// The very first steps pay for what is not in memory yet: what they took is forgotten.
    warm: bool,
}

impl Default for Pace {
    fn default() -> Self {
        let (so_far, speeds) = (Duration::ZERO, Vec::new());
        Pace { one: None, all: None, all_now: true, limit: TRIAL, so_far, speeds, steps: 0, warm: false }
    }
}

impl Pace {
    /// Whether the next steps should have all threads, and how many of `steps` to take before asking again.
    pub(super) fn next(&self, steps: usize) -> (bool, usize) {
        let known = if self.all_now { self.all.or(self.one) } else { self.one.or(self.all) };
        let time = self.limit.saturating_sub(self.so_far).min(PIECE).as_secs_f64();
        let most = known.map_or(2 * self.steps, |speed| (speed * time).ceil() as usize);
        (self.all_now, steps.min(most.max(1)))
    }

    /// What so many steps took.
    pub(super) fn measured(&mut self, steps: usize, time: Duration) {
        self.steps = steps;
        self.so_far += time;
        self.speeds.push(steps as f64 / time.as_secs_f64());
        if self.so_far < self.limit {
            return;
        }
        self.so_far = Duration::ZERO;
        let mut speeds = std::mem::take(&mut self.speeds);
        if !std::mem::replace(&mut self.warm, true) {
            return;
        }
        let middle = speeds.len() / 2;
        let speed = Some(*speeds.select_nth_unstable_by(middle, f64::total_cmp).1);
        let (this, other) = if self.all_now { (&mut self.all, self.one) } else { (&mut self.one, self.all) };
        *this = speed;
        let was_trial = self.limit == TRIAL;
        (self.all_now, self.limit) =
            if was_trial && other.is_some() { (self.all >= self.one, PERIOD) } else { (!self.all_now, TRIAL) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes ranges of so many steps on a machine with the given speeds; returns the share of time with all threads.
    fn share_with_all(pace: &mut Pace, range: usize, ranges: usize, one: f64, all: f64) -> f64 {
        share_on_busy_machine(pace, range, ranges, one, all, 0.0)
    }

    /// The same on a machine that stands still for some seconds once in every 0.1 seconds.
    fn share_on_busy_machine(pace: &mut Pace, range: usize, ranges: usize, one: f64, all: f64, still: f64) -> f64 {
        let (mut with_all, mut total) = (0.0, 0.0);
        for _ in 0..ranges {
            let mut left = range;
            while left > 0 {
                let (choice, steps) = pace.next(left);
                assert!((1..=left).contains(&steps));
                let mut time = steps as f64 / if choice { all } else { one };
                time += still * ((total + time) * 10.0).floor() - still * (total * 10.0).floor();
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
            assert!(share_with_all(&mut Pace::default(), range, ranges.min(10_000), 20.0, 40.0) > 0.8);
        }
    }

    #[test]
    fn what_the_machine_does_for_a_while_does_not_count() {
        let share = share_on_busy_machine(&mut Pace::default(), 1_000_000, 1, 15_000.0, 18_000.0, 0.03);
        assert!(share > 0.9, "{share}");
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
