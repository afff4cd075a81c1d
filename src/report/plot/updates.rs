//! How large a step is beside the weights that it changes, a matrix each.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::{BLUE, FONT, Failure, GREY, Picture};

/// The ratio of each matrix.
#[derive(Clone, Debug)]
pub struct Updates {
    /// The tensor's name, and the logarithm to the base of ten of its ratio.
    pub ratios: Vec<(String, f64)>,
    /// The steps that were taken.
    pub what: String,
}

impl Picture for Updates {
    fn name(&self) -> &'static str {
        "updates"
    }

    fn height(&self) -> u32 {
        116 + 44 * self.ratios.len() as u32
    }

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Result<(), Failure>
    where
        B::ErrorType: 'static,
    {
        let least = self.ratios.iter().map(|ratio| ratio.1).fold(-5.0, f64::min) - 0.5;
        // Beyond one where a rule makes weights from next to nothing; with room for the number.
        let most = self.ratios.iter().map(|ratio| ratio.1 + 0.5).fold(0.0, f64::max);
        let count = self.ratios.len() as f64;
        let mut chart = ChartBuilder::on(area)
            .caption("log10 of update over weight, by deviation (about -3 is healthy)", (FONT, 17))
            .margin(12)
            .margin_right(24)
            .x_label_area_size(44)
            .y_label_area_size(150)
            .build_cartesian_2d(least..most, 0.0..count)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .disable_y_axis()
            .x_desc(&self.what)
            .light_line_style(TRANSPARENT)
            .label_style((FONT, 14))
            .draw()?;
        for (place, (name, ratio)) in self.ratios.iter().rev().enumerate() {
            let bottom = place as f64;
            chart.draw_series([Rectangle::new(
                [(least, bottom + 0.2), (*ratio, bottom + 0.8)],
                BLUE.mix(0.7).filled(),
            )])?;
            let style = (FONT, 14).into_font().color(&BLACK);
            chart.draw_series([
                EmptyElement::at((*ratio, bottom + 0.5)) + Text::new(format!("{ratio:.2}"), (6, -7), style.clone())
            ])?;
            chart
                .draw_series([EmptyElement::at((least, bottom + 0.5)) + Text::new(name.clone(), (-146, -7), style)])?;
        }
        chart.draw_series(DashedLineSeries::new([(-3.0, 0.0), (-3.0, count)], 5, 4, GREY.stroke_width(1)))?;
        Ok(())
    }
}
