//! Where the hidden units are flat: units by examples, the lecture's black and white picture.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::{FONT, Failure, GREY, ORANGE, Picture, WIDTH};
use crate::report::output::grouped;

/// A unit is called flat where its activation is beyond this on either side: its slope is then below 2 %.
pub const FLAT: f32 = 0.99;
/// Most units that are drawn, a pixel each.
const MOST_UNITS: usize = 720;
/// Most examples that are drawn.
const MOST_EXAMPLES: usize = 100;
/// Pixels of an example.
const ROW: i32 = 4;
/// Pixels above the units, and left of them.
const TOP: i32 = 74;
const LEFT: i32 = 52;

/// Which hidden units are flat in which examples.
#[derive(Clone, Debug)]
pub struct Saturation {
    /// Whether a unit is flat in an example, example after example, [examples, units].
    flat: Vec<bool>,
    /// Units that are flat in every example, on one side or the other: they learn from none of them.
    pub dead: Vec<usize>,
    /// The share of units and examples that are flat.
    pub share: f64,
    /// Units in all.
    pub units: usize,
    /// Examples.
    pub examples: usize,
}

impl Saturation {
    /// From activations [B, h], h and B of them at least one.
    pub fn new(activations: &[f32], units: usize) -> Self {
        let flat: Vec<bool> = activations.iter().map(|value| value.abs() > FLAT).collect();
        let is_dead = |unit: &usize| flat.iter().skip(*unit).step_by(units).all(|&flat| flat);
        Saturation {
            dead: (0..units).filter(is_dead).collect(),
            share: flat.iter().filter(|&&flat| flat).count() as f64 / flat.len() as f64,
            units,
            examples: flat.len() / units,
            flat,
        }
    }

    /// The units that are drawn, in their order: where there are too many, those that are flat most often.
    fn drawn_units(&self) -> Vec<usize> {
        let mut units: Vec<usize> = (0..self.units).collect();
        if units.len() > MOST_UNITS {
            let mut counts = vec![0_usize; self.units];
            for example in self.flat.chunks_exact(self.units) {
                counts.iter_mut().zip(example).for_each(|(count, &flat)| *count += usize::from(flat));
            }
            units.sort_by_key(|&unit| std::cmp::Reverse(counts[unit]));
            units.truncate(MOST_UNITS);
            units.sort_unstable();
        }
        units
    }

    /// The examples that are drawn, spread over all.
    fn drawn_examples(&self) -> Vec<usize> {
        let count = self.examples.min(MOST_EXAMPLES);
        (0..count).map(|place| place * self.examples / count).collect()
    }
}

impl Picture for Saturation {
    fn name(&self) -> &'static str {
        "saturation"
    }

    fn height(&self) -> u32 {
        (TOP + ROW * self.drawn_examples().len() as i32 + 52) as u32
    }

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Result<(), Failure>
    where
        B::ErrorType: 'static,
    {
        let (units, examples) = (self.drawn_units(), self.drawn_examples());
        let column = (WIDTH as i32 - LEFT - 20) / units.len() as i32;
        let (right, bottom) = (LEFT + column * units.len() as i32, TOP + ROW * examples.len() as i32);
        let which = if units.len() < self.units { ", those that are flat most often" } else { "" };
        area.draw(&Text::new(
            format!("hidden units that are flat (white: beyond ±{FLAT}): {:.2} %", self.share * 100.0),
            (12, 10),
            (FONT, 18).into_font(),
        ))?;
        let marked = if self.dead.is_empty() { "" } else { " (marked orange above)" };
        area.draw(&Text::new(
            format!(
                "{} of {} units dead, flat in all of {} examples{marked}",
                self.dead.len(),
                grouped(self.units),
                grouped(self.examples)
            ),
            (12, 34),
            (FONT, 15).into_font(),
        ))?;
        area.draw(&Rectangle::new([(LEFT, TOP), (right, bottom)], BLACK.filled()))?;
        for (place, &unit) in units.iter().enumerate() {
            let left = LEFT + column * place as i32;
            if self.dead.binary_search(&unit).is_ok() {
                area.draw(&Rectangle::new([(left, TOP - 12), (left + column, TOP - 3)], ORANGE.filled()))?;
            }
            // A rectangle for all flat examples in a row, which keeps the file small.
            let is_flat = |row: &usize| self.flat[examples[*row] * self.units + unit];
            let mut row = 0;
            while row < examples.len() {
                let end = (row..examples.len()).find(|row| !is_flat(row)).unwrap_or(examples.len());
                if end > row {
                    let corners = [(left, TOP + ROW * row as i32), (left + column, TOP + ROW * end as i32)];
                    area.draw(&Rectangle::new(corners, WHITE.filled()))?;
                }
                row = end + 1;
            }
        }
        area.draw(&Rectangle::new([(LEFT, TOP), (right, bottom)], GREY.stroke_width(1)))?;
        let style = (FONT, 14).into_font();
        area.draw(&Text::new(
            format!("across: {} units{which}; down: {} examples", grouped(units.len()), examples.len()),
            (LEFT, bottom + 10),
            style.clone(),
        ))?;
        for (row, text) in [(0, "1".to_owned()), (examples.len() - 1, examples.len().to_string())] {
            area.draw(&Text::new(text, (12, TOP + ROW * row as i32 - 6), style.clone()))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_units_are_flat_in_every_example() {
        // Three units, three examples: the first always flat, the second once, the third never.
        let found = Saturation::new(&[0.995, 0.5, 0.98, -1.0, 0.999, 0.0, 0.992, 0.0, -0.99], 3);
        assert_eq!((found.dead.as_slice(), found.units, found.examples), (&[0][..], 3, 3));
        assert!((found.share - 4.0 / 9.0).abs() < 1e-9);
    }

    #[test]
    fn too_many_units_leave_those_that_are_flat() {
        let units = MOST_UNITS + 2;
        let mut activations = vec![0.0; units * 2];
        activations[units - 1] = 1.0;
        let found = Saturation::new(&activations, units);
        let drawn = found.drawn_units();
        assert!(drawn.len() == MOST_UNITS && drawn.is_sorted() && drawn.contains(&(units - 1)));
        assert!(found.dead.is_empty());
    }
}
