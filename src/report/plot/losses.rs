//! The loss curves, with the count models as lines, and the rate.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::{BLUE, FONT, Failure, GREY, ORANGE, Picture, with_margin};

/// A count model's loss on the validation part.
#[derive(Clone, Debug)]
pub struct Baseline {
    /// As the table at the end of a run names it.
    pub name: String,
    /// Nats per token.
    pub loss: f64,
}

/// What the reports of a run say, by step.
#[derive(Clone, Debug, Default)]
pub struct Curves {
    /// Mean training loss since the last report.
    pub train: Vec<(f64, f64)>,
    /// Loss of the validation part.
    pub valid: Vec<(f64, f64)>,
    /// Learning rate.
    pub rate: Vec<(f64, f64)>,
    /// The step of the best validation, and its loss.
    pub best: Option<(f64, f64)>,
    /// Count models to compare with.
    pub baselines: Vec<Baseline>,
}

impl Picture for Curves {
    fn name(&self) -> &'static str {
        "losses"
    }

    fn height(&self) -> u32 {
        640
    }

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Result<(), Failure>
    where
        B::ErrorType: 'static,
    {
        let (upper, lower) = area.split_vertically(460);
        let steps = 0.0..self.train.last().map_or(1.0, |point| point.0);
        self.draw_losses(&upper, steps.clone())?;
        self.draw_rate(&lower, steps)
    }
}

impl Curves {
    fn draw_losses<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, Shift>,
        steps: std::ops::Range<f64>,
    ) -> Result<(), Failure>
    where
        B::ErrorType: 'static,
    {
        // The first reports would press the rest together: the picture begins at what the first tenth reaches.
        let shown = self.train.iter().skip(self.train.len() / 10).chain(&self.valid).map(|point| point.1);
        let curves = with_margin(shown, 0.06);
        let near = |baseline: &&Baseline| baseline.loss < curves.end + (curves.end - curves.start);
        let baselines: Vec<&Baseline> = self.baselines.iter().filter(near).collect();
        let range = with_margin([curves.start, curves.end].into_iter().chain(baselines.iter().map(|b| b.loss)), 0.06);
        let mut chart = ChartBuilder::on(area)
            .caption("loss, nats per predicted token", (FONT, 20))
            .margin(12)
            .margin_right(24)
            .x_label_area_size(34)
            .y_label_area_size(56)
            .build_cartesian_2d(steps.clone(), range.clone())?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .label_style((FONT, 14))
            .x_label_formatter(&|step| crate::report::output::grouped(*step as usize))
            .y_label_formatter(&|loss| format!("{loss:.2}"))
            .draw()?;
        // Names of neighbouring lines are moved apart.
        let height = (range.end - range.start) * 15.0 / 380.0;
        let mut lowest_free = f64::NEG_INFINITY;
        let mut sorted = baselines;
        sorted.sort_by(|a, b| a.loss.total_cmp(&b.loss));
        for Baseline { name, loss } in sorted {
            let line = [(steps.start, *loss), (steps.end, *loss)];
            chart.draw_series(DashedLineSeries::new(line, 5, 4, GREY.stroke_width(1)))?;
            let place = loss.max(lowest_free);
            lowest_free = place + height;
            let at = (steps.end * 0.42, place + height * 0.9);
            chart.draw_series([Text::new(format!("{name}: {loss:.3}"), at, (FONT, 13).into_font().color(&GREY))])?;
        }
        for (name, points, color) in [("train", &self.train, BLUE), ("validation", &self.valid, ORANGE)] {
            chart
                .draw_series(LineSeries::new(points.iter().copied(), color.stroke_width(2)))?
                .label(name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
        }
        if let Some(best) = self.best {
            chart
                .draw_series([Circle::new(best, 5, ORANGE.filled())])?
                .label(format!("best: {:.4} at step {}", best.1, crate::report::output::grouped(best.0 as usize)))
                .legend(|(x, y)| Circle::new((x + 9, y), 5, ORANGE.filled()));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .background_style(WHITE.mix(0.85))
            .border_style(GREY)
            .label_font((FONT, 14))
            .draw()?;
        Ok(())
    }

    fn draw_rate<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, Shift>,
        steps: std::ops::Range<f64>,
    ) -> Result<(), Failure>
    where
        B::ErrorType: 'static,
    {
        let least = self.rate.iter().map(|point| point.1).filter(|rate| *rate > 0.0).fold(f64::INFINITY, f64::min);
        let most = self.rate.iter().map(|point| point.1).fold(0.0, f64::max);
        let mut builder = ChartBuilder::on(area);
        builder
            .caption("learning rate", (FONT, 16))
            .margin(12)
            .margin_right(24)
            .x_label_area_size(30)
            .y_label_area_size(56);
        let points = || self.rate.iter().copied();
        // A run whose rate falls by decades is read on a scale of decades.
        if least.is_finite() && most > least * 5.0 {
            let mut chart = builder.build_cartesian_2d(steps, (least / 1.5..most * 1.5).log_scale())?;
            chart
                .configure_mesh()
                .light_line_style(TRANSPARENT)
                .label_style((FONT, 13))
                .y_labels(4)
                .x_label_formatter(&|step| crate::report::output::grouped(*step as usize))
                .y_label_formatter(&|rate| format!("{rate:.0e}"))
                .draw()?;
            chart.draw_series(LineSeries::new(points().filter(|point| point.1 > 0.0), BLUE.stroke_width(2)))?;
        } else {
            let mut chart = builder.build_cartesian_2d(steps, 0.0..(most * 1.2).max(1e-12))?;
            chart
                .configure_mesh()
                .light_line_style(TRANSPARENT)
                .label_style((FONT, 13))
                .y_labels(4)
                .x_label_formatter(&|step| crate::report::output::grouped(*step as usize))
                .draw()?;
            chart.draw_series(LineSeries::new(points(), BLUE.stroke_width(2)))?;
        }
        Ok(())
    }
}
