//! What repeats of a measurement amount to.

use serde::{Deserialize, Serialize};

/// The middle of some measurements and how far they lie apart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Half of them lie below.
    pub median: f64,
    /// A quarter of them lie below.
    pub lower_quartile: f64,
    /// A quarter of them lie above.
    pub upper_quartile: f64,
    /// The smallest.
    pub slowest: f64,
    /// The largest.
    pub fastest: f64,
    /// How many there are.
    pub repeats: usize,
}

impl Spread {
    /// Of at least one measurement. Between two of them a quantile lies on the line from one to the other.
    pub fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let quantile = |share: f64| {
            let place = share * (values.len() - 1) as f64;
            let (below, above) = (values[place.floor() as usize], values[place.ceil() as usize]);
            below + (above - below) * place.fract()
        };
        Spread {
            median: quantile(0.5),
            lower_quartile: quantile(0.25),
            upper_quartile: quantile(0.75),
            slowest: quantile(0.0),
            fastest: quantile(1.0),
            repeats: values.len(),
        }
    }

    /// Whether the middle halves of two series of measurements have a value in common: then they tell nothing apart.
    pub fn overlaps(&self, other: &Spread) -> bool {
        self.lower_quartile <= other.upper_quartile && other.lower_quartile <= self.upper_quartile
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_of_five_are_the_second_and_the_fourth() {
        let spread = Spread::of(vec![5.0, 1.0, 4.0, 2.0, 3.0]);
        let expected =
            Spread { median: 3.0, lower_quartile: 2.0, upper_quartile: 4.0, slowest: 1.0, fastest: 5.0, repeats: 5 };
        assert_eq!(spread, expected);
        assert_eq!(Spread::of(vec![1.0, 2.0]).median, 1.5);
        assert_eq!(Spread::of(vec![7.0]).upper_quartile, 7.0);
    }

    #[test]
    fn middle_halves_overlap_or_not() {
        let [low, middle, high] = [[1.0, 2.0], [1.0, 3.0], [4.0, 5.0]].map(|values| Spread::of(values.to_vec()));
        assert!(low.overlaps(&middle) && middle.overlaps(&low));
        assert!(!low.overlaps(&high) && !high.overlaps(&low));
    }
}
