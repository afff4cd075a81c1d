//! The loss curves, with the count models as lines, and the rate.

use std::ops::Range;

use plotters::chart::SeriesAnno;
use plotters::coord::Shift;
use plotters::coord::ranged1d::ValueFormatter;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::placing::spread;
use super::{BLUE, FONT, Failure, GREY, ORANGE, Picture, with_margin};
use crate::report::output::{grouped, rounded};

/// Pixels of the line that leads from a count model's loss to its name.
const LEADER: i32 = 22;
/// Pixels from name to name.
const LABEL: i32 = 17;

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
    /// Loss of the validation part, or of the whole training part where there is no validation part.
    pub valid: Vec<(f64, f64)>,
    /// Whether there is a validation part.
    pub has_validation: bool,
    /// Learning rate.
    pub rate: Vec<(f64, f64)>,
    /// The step with the least of these losses, and that loss.
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
        let labels = self.labels();
        let mut right = 24;
        for (label, _) in &labels {
            right = right.max(LEADER + 16 + area.estimate_text_size(label, &label_style())?.0 as i32);
        }
        self.draw_losses(&upper, steps.clone(), &labels, right)?;
        self.draw_rate(&lower, steps, right)
    }
}

impl Curves {
    /// Where the curves lie: the first reports would press the rest together, so the picture begins at what the first tenth
    /// reaches.
    fn range(&self) -> Range<f64> {
        let shown = self.train.iter().skip(self.train.len() / 10).chain(&self.valid).map(|point| point.1);
        with_margin(shown, 0.06)
    }

    /// The count models whose lines are drawn, for they are not far above the curves, the highest first: what stands beside
    /// the line, and its loss.
    fn labels(&self) -> Vec<(String, f64)> {
        let Range { start, end } = self.range();
        let near = self.baselines.iter().filter(|baseline| baseline.loss < end + (end - start));
        let mut labels: Vec<(String, f64)> =
            near.map(|Baseline { name, loss }| (format!("{name}: {loss:.3}"), *loss)).collect();
        labels.sort_by(|a, b| b.1.total_cmp(&a.1));
        labels
    }

    fn draw_losses<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, Shift>,
        steps: Range<f64>,
        labels: &[(String, f64)],
        right: i32,
    ) -> Result<(), Failure>
    where
        B::ErrorType: 'static,
    {
        let curves = self.range();
        let range = with_margin([curves.start, curves.end].into_iter().chain(labels.iter().map(|label| label.1)), 0.06);
        let mut chart =
            builder(area, "loss, nats per predicted token", right).build_cartesian_2d(steps.clone(), range)?;
        draw_axes(&mut chart, 10, &|loss| format!("{loss:.2}"))?;
        for (_, loss) in labels {
            let line = [(steps.start, *loss), (steps.end, *loss)];
            chart.draw_series(DashedLineSeries::new(line, 5, 4, GREY.stroke_width(1)))?;
        }
        let validated = if self.has_validation { "validation" } else { "whole training part" };
        for (name, points, color) in [("train", &self.train, BLUE), (validated, &self.valid, ORANGE)] {
            draw_curve(&mut chart, points, color)?
                .label(name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
        }
        if let Some(best) = self.best {
            chart
                .draw_series([Circle::new(best, 5, ORANGE.filled())])?
                .label(format!("best: {:.4} at step {}", best.1, grouped(best.0 as usize)))
                .legend(|(x, y)| Circle::new((x + 9, y), 5, ORANGE.filled()));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .background_style(WHITE.mix(0.85))
            .border_style(GREY)
            .label_font((FONT, 14))
            .draw()?;
        // Right of the curves, where none can cross a name.
        let (across, down) = chart.plotting_area().get_pixel_range();
        let lines: Vec<i32> = labels.iter().map(|label| chart.backend_coord(&(steps.end, label.1)).1).collect();
        let places = spread(&lines, LABEL, down.start - LABEL / 2..down.end + LABEL / 2);
        for ((label, _), (line, place)) in labels.iter().zip(lines.into_iter().zip(places)) {
            let leader = [(across.end + 2, line), (across.end + LEADER - 4, place)];
            area.draw(&PathElement::new(leader, GREY.stroke_width(1)))?;
            area.draw(&Text::new(label.clone(), (across.end + LEADER, place), label_style()))?;
        }
        Ok(())
    }

    fn draw_rate<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, Shift>,
        steps: Range<f64>,
        right: i32,
    ) -> Result<(), Failure>
    where
        B::ErrorType: 'static,
    {
        let points: Vec<(f64, f64)> = self.rate.iter().copied().filter(|point| point.1 > 0.0).collect();
        let least = points.iter().map(|point| point.1).fold(f64::INFINITY, f64::min);
        let most = points.iter().map(|point| point.1).fold(0.0, f64::max);
        let mut builder = builder(area, "learning rate", right);
        // A run whose rate falls by decades is read on a scale of decades.
        if least.is_finite() && most > least * 30.0 {
            let mut chart = builder.build_cartesian_2d(steps, (least / 1.5..most * 1.5).log_scale())?;
            draw_axes(&mut chart, 4, &short)?;
            draw_curve(&mut chart, &points, BLUE)?;
        } else {
            let mut chart = builder.build_cartesian_2d(steps, 0.0..(most * 1.2).max(1e-12))?;
            draw_axes(&mut chart, 4, &short)?;
            draw_curve(&mut chart, &points, BLUE)?;
        }
        Ok(())
    }
}

/// A chart over the steps.
type Chart<'a, B, Y> = ChartContext<'a, B, Cartesian2d<RangedCoordf64, Y>>;

/// What both charts have in common, so that their steps lie below each other.
fn builder<'a, 'b, B: DrawingBackend>(
    area: &'a DrawingArea<B, Shift>,
    caption: &str,
    right: i32,
) -> ChartBuilder<'a, 'b, B> {
    let mut builder = ChartBuilder::on(area);
    builder.caption(caption, (FONT, 18)).margin(12).margin_right(right).x_label_area_size(34).y_label_area_size(56);
    builder
}

fn draw_axes<B: DrawingBackend, Y: Ranged<ValueType = f64> + ValueFormatter<f64>>(
    chart: &mut Chart<B, Y>,
    labels: usize,
    formatted: &dyn Fn(&f64) -> String,
) -> Result<(), Failure>
where
    B::ErrorType: 'static,
{
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .label_style((FONT, 14))
        .x_labels(7)
        .y_labels(labels)
        .x_label_formatter(&|step| grouped(*step as usize))
        .y_label_formatter(&formatted)
        .draw()?;
    Ok(())
}

/// A curve; a single point is a dot.
fn draw_curve<'a, 'c, B: DrawingBackend, Y: Ranged<ValueType = f64>>(
    chart: &'c mut Chart<'a, B, Y>,
    points: &[(f64, f64)],
    color: RGBColor,
) -> Result<&'c mut SeriesAnno<'a, B>, Failure>
where
    B::ErrorType: 'static,
{
    let dot = if points.len() == 1 { 3 } else { 0 };
    Ok(chart.draw_series(LineSeries::new(points.iter().copied(), color.filled().stroke_width(2)).point_size(dot))?)
}

fn label_style<'a>() -> TextStyle<'a> {
    (FONT, 14).into_font().color(&GREY).pos(Pos::new(HPos::Left, VPos::Center))
}

/// A rate in few characters.
fn short(rate: &f64) -> String {
    let rounded = rounded(*rate, 3);
    if rounded == 0.0 || rounded >= 0.01 { rounded.to_string() } else { format!("{rounded:e}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_short() {
        assert_eq!(
            [0.0, 0.1, 0.015, 3e-4, 0.001_500_000_1].map(|rate| short(&rate)),
            ["0", "0.1", "0.015", "3e-4", "1.5e-3"]
        );
    }

    #[test]
    fn count_models_far_above_the_curves_have_no_line() {
        let baseline = |name: &str, loss| Baseline { name: name.to_owned(), loss };
        let curves = Curves {
            train: vec![(1.0, 3.0), (2.0, 2.0)],
            baselines: vec![baseline("near", 2.5), baseline("far", 9.0), baseline("below", 1.0)],
            ..Curves::default()
        };
        let names: Vec<String> = curves.labels().into_iter().map(|label| label.0).collect();
        assert_eq!(names, ["near: 2.500", "below: 1.000"]);
    }
}
