//! The map of the embedding: each token where its vector lies, in two dimensions.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{BLUE, FONT, Failure, GREY, ORANGE, Picture, with_margin};

/// What a token is, for its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Letter {
    /// A vowel of the Latin, Greek or Cyrillic alphabet.
    Vowel,
    /// Another letter.
    Consonant,
    /// Anything else: marks, digits, words.
    Other,
}

impl Letter {
    /// What a token is.
    pub fn of(token: &str) -> Self {
        let mut characters = token.chars();
        match (characters.next(), characters.next()) {
            (Some(letter), None) if letter.is_alphabetic() => {
                const VOWELS: &str = "aeiouyàáâãäåæèéêëìíîïòóôõöøùúûüýÿœαεηιουωаеёиоуыэюяіїє";
                let is_vowel = letter.to_lowercase().any(|letter| VOWELS.contains(letter));
                if is_vowel { Letter::Vowel } else { Letter::Consonant }
            }
            _ => Letter::Other,
        }
    }

    fn color(self) -> RGBColor {
        match self {
            Letter::Vowel => ORANGE,
            Letter::Consonant => BLUE,
            Letter::Other => GREY,
        }
    }
}

/// Tokens with their places.
#[derive(Clone, Debug)]
pub struct Embedding {
    /// The tokens, as they are shown.
    pub tokens: Vec<String>,
    /// Their places.
    pub places: Vec<[f64; 2]>,
    /// The share of the vectors' variance that each axis holds; nothing where the vectors have two numbers.
    pub variance: Option<[f64; 2]>,
}

impl Picture for Embedding {
    fn name(&self) -> &'static str {
        "embedding"
    }

    fn height(&self) -> u32 {
        800
    }

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Result<(), Failure>
    where
        B::ErrorType: 'static,
    {
        let letters = self.tokens.iter().filter(|token| Letter::of(token) != Letter::Other).count();
        let are_letters = letters * 2 > self.tokens.len();
        let caption = match self.variance {
            None => "the embedding".to_owned(),
            Some([first, second]) => format!(
                "the embedding on its principal axes ({:.0} % and {:.0} % of the variance)",
                first * 100.0,
                second * 100.0
            ),
        };
        // The colours are named here and not in a box, which would cover tokens.
        let caption = if are_letters { format!("{caption}; vowels orange, consonants blue") } else { caption };
        let range = |axis: usize| with_margin(self.places.iter().map(|place| place[axis]), 0.06);
        let mut chart = ChartBuilder::on(area)
            .caption(caption, (FONT, 17))
            .margin(12)
            .x_label_area_size(30)
            .y_label_area_size(44)
            .build_cartesian_2d(range(0), range(1))?;
        // Without a sign for what is zero but for rounding.
        let number = |value: &f64| format!("{:.2}", (value * 1e6).round() / 1e6 + 0.0);
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .label_style((FONT, 13))
            .x_label_formatter(&number)
            .y_label_formatter(&number)
            .draw()?;
        let size = if self.tokens.len() > 60 { 12 } else { 20 };
        for (token, place) in self.tokens.iter().zip(&self.places) {
            let color = if are_letters { Letter::of(token).color() } else { BLUE };
            let at = (place[0], place[1]);
            if are_letters {
                let style = (FONT, size).into_font().color(&color).pos(Pos::new(HPos::Center, VPos::Center));
                chart.draw_series([Text::new(token.clone(), at, style)])?;
            } else {
                let style = (FONT, size).into_font().color(&color).pos(Pos::new(HPos::Left, VPos::Center));
                chart.draw_series([Circle::new(at, 2, GREY.filled())])?;
                chart.draw_series([EmptyElement::at(at) + Text::new(token.clone(), (5, 0), style)])?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_told_apart() {
        let kinds = ["a", "É", "b", ".", "the", "я", "ж"].map(Letter::of);
        use Letter::{Consonant, Other, Vowel};
        assert_eq!(kinds, [Vowel, Vowel, Consonant, Other, Other, Vowel, Consonant]);
    }
}
