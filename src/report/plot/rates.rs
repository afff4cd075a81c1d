//! The loss while the learning rate grows.

use std::ops::Range;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::{BLUE, FONT, Failure, GREY, ORANGE, Picture, with_margin};

/// A range test of the learning rate.
#[derive(Clone, Debug)]
pub struct Rates {
    /// Rate, loss of its step, and smoothed loss.
    pub points: Vec<(f64, f64, f64)>,
    /// Where the smoothed loss is least, and the rate that is suggested.
    pub least: f64,
    /// See `least`.
    pub suggested: f64,
}

impl Rates {
    /// From the least to the largest rate that is drawn: a third of the best rate can lie below the first that was tried. It
    /// does not lie on the border then.
    fn range(&self) -> Range<f64> {
        let (first, last) = (self.points[0].0, self.points[self.points.len() - 1].0);
        let (first, last) = (first.min(self.suggested * 0.9), last.max(self.suggested));
        first..last.max(first * 1.001)
    }
}

impl Picture for Rates {
    fn name(&self) -> &'static str {
        "rate"
    }

    fn height(&self) -> u32 {
        480
    }

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Result<(), Failure>
    where
        B::ErrorType: 'static,
    {
        // Where training diverges, the loss goes beyond every picture.
        let least = self.points.iter().map(|point| point.2).fold(f64::INFINITY, f64::min);
        let start = self.points[0].2;
        let top = start + (start - least).max(0.1);
        let losses = with_margin(self.points.iter().map(|point| point.2.min(top)), 0.08);
        let mut chart = ChartBuilder::on(area)
            .caption("training loss while the rate grows", (FONT, 18))
            .margin(12)
            .margin_right(24)
            .x_label_area_size(40)
            .y_label_area_size(56)
            .build_cartesian_2d(self.range().log_scale(), losses.clone())?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .label_style((FONT, 14))
            .x_desc("learning rate")
            .x_label_formatter(&|rate| format!("{rate:.0e}"))
            .y_label_formatter(&|loss| format!("{loss:.2}"))
            .draw()?;
        let inside = |loss: f64| loss.clamp(losses.start, losses.end);
        chart
            .draw_series(LineSeries::new(
                self.points.iter().map(|point| (point.0, inside(point.1))),
                BLUE.mix(0.25).stroke_width(1),
            ))?
            .label("each step")
            .legend(|(x, y)| PathElement::new([(x, y), (x + 18, y)], BLUE.mix(0.4).stroke_width(1)));
        chart
            .draw_series(LineSeries::new(
                self.points.iter().map(|point| (point.0, inside(point.2))),
                BLUE.stroke_width(3),
            ))?
            .label("smoothed")
            .legend(|(x, y)| PathElement::new([(x, y), (x + 18, y)], BLUE.stroke_width(3)));
        for (name, rate, color) in [("least", self.least, GREY), ("suggested", self.suggested, ORANGE)] {
            chart
                .draw_series(DashedLineSeries::new(
                    [(rate, losses.start), (rate, losses.end)],
                    6,
                    4,
                    color.stroke_width(2),
                ))?
                .label(format!("{name}: {rate:.2e}"))
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerLeft)
            .background_style(WHITE.mix(0.85))
            .border_style(GREY)
            .label_font((FONT, 14))
            .draw()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rate_that_is_drawn_lies_in_the_range() {
        let points = vec![(1.0, 3.0, 3.0), (2.0, 3.5, 3.1), (4.0, 4.0, 3.3)];
        let rates = |suggested| Rates { points: points.clone(), least: 1.0, suggested };
        let [below, within] = [0.5, 1.5].map(|suggested| rates(suggested).range());
        assert!(below.start < 0.5 && below.start > 0.25 && below.end == 4.0, "{below:?}");
        assert_eq!(within, 1.0..4.0);
        let single = |suggested| Rates { points: points[..1].to_vec(), least: 1.0, suggested }.range();
        assert_eq!(single(2.0), 1.0..2.0);
        assert!(single(1.0).start < 1.0 && single(1.1).end > single(1.1).start);
    }
}
