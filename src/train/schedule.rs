//! Learning rates as pure functions of the step.

use serde::{Deserialize, Serialize};

/// The form of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ScheduleKind {
    /// The same rate all the time.
    Constant,
    /// The rate is multiplied once, by --decay-factor, at the share --decay-at of the run.
    Step,
    /// The paper's rate / (1 + r t), t the number of updates done (page 1147).
    Inverse,
    /// A straight line to --decay-factor times the rate at the end.
    Linear,
    /// Half a cosine wave to --decay-factor times the rate at the end.
    Cosine,
}

/// A schedule with its parameters.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// The form.
    pub kind: ScheduleKind,
    /// The first rate.
    pub rate: f32,
    /// Steps of the run.
    pub steps: u64,
    /// `step`: the share of the run after which the rate falls.
    pub decay_at: f64,
    /// `step`, `linear`, `cosine`: the last rate over the first.
    pub decay_factor: f64,
    /// `inverse`: r.
    pub inverse_r: f64,
    /// Steps in which the rate rises from nearly nothing to where the form has it.
    pub warm_up: u64,
}

impl Schedule {
    /// The rate of a step, counted from 0.
    pub fn rate(&self, step: u64) -> f32 {
        let progress = step as f64 / self.steps.max(1) as f64;
        let toward_end = |share_left: f64| self.decay_factor + (1.0 - self.decay_factor) * share_left;
        let factor = match self.kind {
            ScheduleKind::Constant => 1.0,
            ScheduleKind::Step if progress < self.decay_at => 1.0,
            ScheduleKind::Step => self.decay_factor,
            ScheduleKind::Inverse => 1.0 / (1.0 + self.inverse_r * step as f64),
            ScheduleKind::Linear => toward_end(1.0 - progress),
            ScheduleKind::Cosine => toward_end(0.5 + 0.5 * (std::f64::consts::PI * progress).cos()),
        };
        let warm = ((step + 1) as f64 / self.warm_up.max(1) as f64).min(1.0);
        (f64::from(self.rate) * factor * warm) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(kind: ScheduleKind) -> [f32; 4] {
        let schedule =
            Schedule { kind, rate: 0.1, steps: 100, decay_at: 0.5, decay_factor: 0.1, inverse_r: 0.01, warm_up: 0 };
        [0, 49, 50, 100].map(|step| schedule.rate(step))
    }

    #[test]
    fn the_rate_rises_while_it_warms_up() {
        let schedule = Schedule {
            kind: ScheduleKind::Constant,
            rate: 0.1,
            steps: 100,
            decay_at: 0.5,
            decay_factor: 0.1,
            inverse_r: 0.0,
            warm_up: 10,
        };
        assert_eq!([0, 4, 9, 10, 99].map(|step| schedule.rate(step)), [0.01, 0.05, 0.1, 0.1, 0.1]);
    }

    #[test]
    fn each_form_begins_at_the_rate_and_ends_where_it_should() {
        assert_eq!(rates(ScheduleKind::Constant), [0.1; 4]);
        assert_eq!(rates(ScheduleKind::Step), [0.1, 0.1, 0.01, 0.01]);
        assert_eq!(rates(ScheduleKind::Inverse), [0.1, 0.1 / 1.49, 0.1 / 1.5, 0.05]);
        assert_eq!(rates(ScheduleKind::Linear), [0.1, 0.0559, 0.055, 0.01]);
        assert_eq!(rates(ScheduleKind::Cosine)[0], 0.1);
        assert_eq!(rates(ScheduleKind::Cosine)[2], 0.055);
        assert_eq!(rates(ScheduleKind::Cosine)[3], 0.01);
    }
}
