//! A range test of the learning rate: it grows from step to step, and the loss says how much the training can bear
//! (Smith, arXiv:1506.01186; the lecture searches its rate so).

/// Share of the smoothed loss that a step keeps from those before.
const KEPT: f64 = 0.95;
/// The test ends where the smoothed loss is so many times the first one.
const DIVERGED: f64 = 3.0;
/// The rate that is suggested is this part of the one with the least loss: there the loss still falls fast, and there is
/// room before training diverges.
pub const SUGGESTED_PART: f64 = 1.0 / 3.0;

/// The rates of so many steps, from one to another, each the same multiple of the one before.
pub fn growing_rates(from: f32, to: f32, steps: usize) -> Vec<f32> {
    let ratio = f64::from(to) / f64::from(from);
    let last = steps.saturating_sub(1).max(1) as f64;
    (0..steps).map(|step| (f64::from(from) * ratio.powf(step as f64 / last)) as f32).collect()
}

/// The losses of the steps as they come, smoothed.
#[derive(Clone, Debug, Default)]
pub struct Smoothed {
    sum: f64,
    weight: f64,
    first: Option<f64>,
    /// A mean of each step's loss and those before, in which the last count most.
    pub losses: Vec<f64>,
}

impl Smoothed {
    /// Takes the loss of a step; `false` where training has diverged: the loss is not kept then.
    pub fn take(&mut self, loss: f32) -> bool {
        if !loss.is_finite() {
            return false;
        }
        self.sum = KEPT * self.sum + (1.0 - KEPT) * f64::from(loss);
        self.weight = KEPT * self.weight + (1.0 - KEPT);
        let smoothed = self.sum / self.weight;
        let first = *self.first.get_or_insert(smoothed);
        if smoothed > DIVERGED * first {
            return false;
        }
        self.losses.push(smoothed);
        true
    }

    /// The step with the least smoothed loss. The first tenth does not count: there is little to smooth yet.
    pub fn least(&self) -> Option<usize> {
        let from = self.losses.len() / 10;
        (from..self.losses.len()).min_by(|&a, &b| self.losses[a].total_cmp(&self.losses[b]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_grow_evenly_from_the_first_to_the_last() {
        let rates = growing_rates(0.001, 1.0, 4);
        for (rate, expected) in rates.iter().zip([0.001, 0.01, 0.1, 1.0]) {
            assert!((rate / expected - 1.0).abs() < 1e-6, "{rates:?}");
        }
        assert_eq!(growing_rates(0.5, 1.0, 1), [0.5]);
    }

    #[test]
    fn the_least_of_a_valley_is_found_and_divergence_ends_the_test() {
        let mut smoothed = Smoothed::default();
        let losses = (0..300).map(|step| 2.0 + ((step as f32 - 150.0) / 100.0).powi(2));
        assert!(losses.into_iter().all(|loss| smoothed.take(loss)));
        let least = smoothed.least().unwrap();
        assert!((150..185).contains(&least), "{least}");
        assert!(!smoothed.take(f32::NAN));
        assert!((0..200).any(|_| !smoothed.take(100.0)));
        assert!(smoothed.losses.iter().all(|&loss| loss < 13.0));
    }
}
