//! How the gradient of each matrix is spread, and how large it is beside the weights.

use plotters::coord::Shift;
use plotters::prelude::*;
use serde::Serialize;

use super::{BLUE, FONT, Failure, GREY, Picture};
use crate::model::parameters::mean_and_deviation;

/// A histogram reaches so many deviations to both sides.
const DEVIATIONS: f64 = 4.0;
/// Its bins: an odd number, so that zero lies within one where the mean is zero.
const BINS: usize = 161;

/// The gradient of one matrix.
#[derive(Clone, Debug, Serialize)]
pub struct Gradient {
    /// The tensor's name.
    pub name: String,
    /// Of its numbers, as is the deviation.
    pub mean: f64,
    /// Standard deviation.
    pub deviation: f64,
    /// Its deviation over that of the weights (the lecture's grad:data ratio); nothing where the weights are equal.
    pub gradient_to_data: Option<f64>,
    /// The share of numbers that are exactly zero: in an embedding those of tokens that the batch does not hold.
    pub zero: f64,
    /// The share of numbers that are not zero and farther from the mean of such than four of their deviations.
    pub beyond: f64,
    /// How many of those that are neither lie in each bin.
    #[serde(skip)]
    counts: Vec<u32>,
    /// From where to where the bins go.
    #[serde(skip)]
    range: (f64, f64),
}

impl Gradient {
    /// From the gradient of a matrix and its weights, number by number.
    pub fn new(name: &str, gradient: &[f32], weights: &[f32]) -> Self {
        let (mean, deviation) = mean_and_deviation(gradient);
        // Where a batch holds few of the tokens, nearly all is zero, and the rest would lie far outside.
        let other: Vec<f32> = gradient.iter().copied().filter(|&value| value != 0.0).collect();
        let (middle, spread) = if other.is_empty() { (0.0, 0.0) } else { mean_and_deviation(&other) };
        // A single number has no deviation.
        let reach = (DEVIATIONS * spread).max(middle.abs() * 1e-3).max(f64::from(f32::MIN_POSITIVE));
        let mut counts = vec![0; BINS];
        let mut outside = 0;
        for value in &other {
            let place = ((f64::from(*value) - middle) / reach + 1.0) / 2.0;
            if (0.0..=1.0).contains(&place) {
                counts[((place * BINS as f64) as usize).min(BINS - 1)] += 1;
            } else {
                outside += 1;
            }
        }
        let share = |count: usize| count as f64 / gradient.len() as f64;
        Gradient {
            name: name.to_owned(),
            mean,
            deviation,
            gradient_to_data: Some(deviation / mean_and_deviation(weights).1).filter(|ratio| ratio.is_finite()),
            zero: share(gradient.len() - other.len()),
            beyond: share(outside),
            counts,
            range: (middle - reach, middle + reach),
        }
    }
}

/// The gradients of all matrices on one batch.
#[derive(Clone, Debug)]
pub struct Gradients {
    /// A matrix each.
    pub matrices: Vec<Gradient>,
    /// Examples in the batch.
    pub examples: usize,
}

impl Picture for Gradients {
    fn name(&self) -> &'static str {
        "gradients"
    }

    fn height(&self) -> u32 {
        52 + 170 * self.matrices.len() as u32
    }

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Result<(), Failure>
    where
        B::ErrorType: 'static,
    {
        let plural = if self.examples == 1 { "" } else { "s" };
        let title = format!("gradients of one batch ({} example{plural}), by matrix", self.examples);
        let rest = area.margin(8, 0, 0, 0).titled(&title, (FONT, 18))?;
        for (area, matrix) in rest.split_evenly((self.matrices.len(), 1)).iter().zip(&self.matrices) {
            matrix.draw(area)?;
        }
        Ok(())
    }
}

impl Gradient {
    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Result<(), Failure>
    where
        B::ErrorType: 'static,
    {
        let ratio = self.gradient_to_data.map_or(String::new(), |ratio| format!(", gradient over weight {ratio:.1e}"));
        let zero = if self.zero > 0.0 { format!("; {:.0} % are 0", self.zero * 100.0) } else { String::new() };
        let caption = format!("{}: mean {:+.1e}, deviation {:.1e}{ratio}{zero}", self.name, self.mean, self.deviation);
        let (first, last) = self.range;
        let reach = last - first;
        let most = f64::from(self.counts.iter().copied().max().unwrap_or(0).max(1));
        let mut chart = ChartBuilder::on(area)
            .caption(caption, (FONT, 15))
            .margin(6)
            .margin_left(24)
            .margin_right(24)
            .x_label_area_size(26)
            .build_cartesian_2d(first..last, 0.0..most * 1.05)?;
        chart
            .configure_mesh()
            .disable_mesh()
            .disable_y_axis()
            .x_labels(7)
            .label_style((FONT, 14))
            .x_label_formatter(&|value| {
                if value.abs() < reach * 1e-9 { "0".to_owned() } else { format!("{value:.1e}") }
            })
            .draw()?;
        let edge = |bin: usize| first + (last - first) * bin as f64 / BINS as f64;
        let filled = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        chart.draw_series(filled.map(|(bin, &count)| {
            Rectangle::new([(edge(bin), 0.0), (edge(bin + 1), f64::from(count))], BLUE.filled())
        }))?;
        if first < 0.0 && last > 0.0 {
            chart.draw_series(DashedLineSeries::new([(0.0, 0.0), (0.0, most * 1.05)], 4, 4, GREY.stroke_width(1)))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_zero_and_what_is_far_are_counted() {
        // A hundred small numbers to both sides, fifty zeros, and one far away.
        let mut gradient: Vec<f32> = (0..100).map(|place| if place % 2 == 0 { 0.1 } else { -0.1 }).collect();
        gradient.extend([0.0; 50]);
        gradient.push(3.0);
        let weights: Vec<f32> = gradient.iter().map(|value| value * -10.0).collect();
        let found = Gradient::new("hidden.weight", &gradient, &weights);
        assert!((found.gradient_to_data.unwrap() - 0.1).abs() < 1e-6);
        assert!((found.mean - 3.0 / 151.0).abs() < 1e-6);
        assert!((found.zero - 50.0 / 151.0).abs() < 1e-9 && (found.beyond - 1.0 / 151.0).abs() < 1e-9);
        assert_eq!(found.counts.iter().sum::<u32>(), 100);
        let middle = BINS / 2;
        let (left, right) = (&found.counts[..middle], &found.counts[middle..]);
        assert_eq!((left.iter().sum::<u32>(), right.iter().sum::<u32>()), (50, 50));
    }

    #[test]
    fn a_gradient_of_zeros_has_no_spread() {
        let found = Gradient::new("direct.weight", &[0.0; 4], &[1.0; 4]);
        assert_eq!((found.deviation, found.zero, found.beyond), (0.0, 1.0, 0.0));
        assert_eq!(found.gradient_to_data, None);
    }

    #[test]
    fn a_few_numbers_among_zeros_are_seen() {
        let mut gradient = vec![0.0; 1000];
        gradient[..6].copy_from_slice(&[9.0, -8.0, 7.0, -9.0, 10.0, -10.0]);
        let found = Gradient::new("embedding.weight", &gradient, &[1.0, -1.0]);
        assert_eq!((found.counts.iter().sum::<u32>(), found.beyond, found.zero), (6, 0.0, 0.994));
    }
}
