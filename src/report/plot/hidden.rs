//! The histogram of the hidden activations.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::{BLUE, FONT, Failure, ORANGE, Picture};

/// A unit is called saturated where its activation is beyond this: its slope is then below 6 %.
pub const SATURATED: f32 = 0.97;
/// So many that a bin begins where units are called saturated.
const BINS: usize = 200;

/// Activations of hidden units on some examples.
#[derive(Clone, Debug)]
pub struct Hidden {
    counts: [u32; BINS],
    total: usize,
    /// The share of activations beyond 0.97 or -0.97.
    pub saturated: f64,
    /// Examples.
    pub examples: usize,
}

impl Hidden {
    /// From activations [B, h], h of them at least.
    pub fn new(activations: &[f32], units: usize) -> Self {
        let mut counts = [0; BINS];
        for &value in activations {
            let bin = ((value + 1.0) / 2.0 * BINS as f32) as usize;
            counts[bin.min(BINS - 1)] += 1;
        }
        let is_saturated = |value: f32| value.abs() > SATURATED;
        let saturated = activations.iter().filter(|&&value| is_saturated(value)).count();
        Hidden {
            counts,
            total: activations.len(),
            saturated: saturated as f64 / activations.len().max(1) as f64,
            examples: activations.len() / units,
        }
    }
}

impl Picture for Hidden {
    fn name(&self) -> &'static str {
        "hidden"
    }

    fn height(&self) -> u32 {
        420
    }

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Result<(), Failure>
    where
        B::ErrorType: 'static,
    {
        let share = |count: u32| f64::from(count) / self.total.max(1) as f64;
        let most = self.counts.iter().map(|&count| share(count)).fold(0.0, f64::max);
        let caption = format!("hidden activations: {:.1} % saturated (beyond ±{SATURATED})", self.saturated * 100.0);
        let mut chart = ChartBuilder::on(area)
            .caption(caption, (FONT, 17))
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(56)
            .build_cartesian_2d(-1.0..1.0, 0.0..(most * 1.1).max(1e-9))?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .label_style((FONT, 14))
            .x_desc("tanh")
            .y_label_formatter(&|share| format!("{:.1} %", share * 100.0))
            .draw()?;
        let edge = |bin: usize| bin as f64 / BINS as f64 * 2.0 - 1.0;
        chart.draw_series(self.counts.iter().enumerate().map(|(bin, &count)| {
            let beyond = f64::from(SATURATED) - 1e-6;
            let is_outer = edge(bin) >= beyond || edge(bin + 1) <= -beyond;
            let color = if is_outer { ORANGE } else { BLUE };
            Rectangle::new([(edge(bin), 0.0), (edge(bin + 1), share(count))], color.filled())
        }))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saturated_activations_are_counted() {
        // Two units, three examples.
        let hidden = Hidden::new(&[0.99, 0.5, -1.0, 0.98, 0.975, 0.0], 2);
        assert_eq!(hidden.examples, 3);
        assert!((hidden.saturated - 4.0 / 6.0).abs() < 1e-9);
        assert_eq!(hidden.counts.iter().sum::<u32>(), 6);
    }
}
