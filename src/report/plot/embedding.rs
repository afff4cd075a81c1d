//! The map of the embedding: each token where its vector lies, in two dimensions.

use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::glyphs::{stand_in, width};
use super::placing::{Rect, placed};
use super::{BLUE, FONT, Failure, GREY, ORANGE, Picture, WIDTH, register_fonts, with_margin};
use crate::report::output::grouped;

/// Radius of a dot in pixels.
const DOT: i32 = 2;

/// Beyond Latin, Greek and Cyrillic.
const LAST_LETTER: char = '\u{530}';

/// What a token is, for its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Letter {
    /// A vowel of the Latin, Greek or Cyrillic alphabet.
    Vowel,
    /// Another letter of these.
    Consonant,
    /// Anything else: marks, digits, words, letters of other scripts.
    Other,
}

impl Letter {
    /// What a token is.
    fn of(token: &str) -> Self {
        let mut characters = token.chars();
        match (characters.next(), characters.next()) {
            (Some(letter), None) if letter.is_alphabetic() && letter < LAST_LETTER => {
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

/// A token on the map.
#[derive(Clone)]
pub struct Token {
    /// As it is shown.
    text: String,
    /// What stands for it where the built-in font lacks some of its characters.
    stand_in: Option<String>,
    /// Where it lies.
    place: [f64; 2],
    /// Where its text stands; a token without is a dot alone.
    label: Option<Label>,
}

impl Token {
    /// A token of a number, as it is shown, with its place.
    pub fn new(number: usize, text: String, place: [f64; 2]) -> Self {
        Token { stand_in: stand_in(&text, number), text, place, label: None }
    }
}

/// The text of a token.
#[derive(Clone, Copy)]
struct Label {
    /// From the token's place, in pixels, to this side of it, halfway up.
    offset: (i32, i32),
    /// See `offset`.
    side: HPos,
    /// Whether it stands on the place; else a dot does.
    on_place: bool,
}

/// Where a text may stand.
#[derive(Clone, Copy)]
struct Spot {
    rect: Rect,
    label: Label,
}

impl Spot {
    fn new((wide, high): (i32, i32), place: (i32, i32), offset: (i32, i32), side: HPos, on_place: bool) -> Self {
        let before = match side {
            HPos::Left => 0,
            HPos::Center => wide / 2,
            HPos::Right => wide,
        };
        let (left, top) = (place.0 + offset.0 - before, place.1 + offset.1 - high / 2);
        let rect = Rect { left, top, right: left + wide, bottom: top + high };
        Spot { rect, label: Label { offset, side, on_place } }
    }
}

/// Tokens with their places.
#[derive(Clone)]
pub struct Embedding {
    tokens: Vec<Token>,
    /// Tokens in the vocabulary (V), of which those on the map are the first.
    vocabulary: usize,
    variance: Option<[f64; 2]>,
    by_count: bool,
    /// Whether stand-ins are drawn for what the built-in font lacks.
    stands_in: bool,
}

impl Embedding {
    /// A map of tokens. No two labels overlap: those that come first have theirs first. A letter stands on its place where no
    /// other does, all else beside a dot.
    ///
    /// `vocabulary` is the number of tokens in all (V). `variance` is the share of the vectors' variance that each axis holds;
    /// nothing where the vectors have two numbers. `by_count` says that the most frequent tokens come first.
    pub fn new(
        tokens: Vec<Token>,
        vocabulary: usize,
        variance: Option<[f64; 2]>,
        by_count: bool,
    ) -> Result<Self, Failure> {
        let mut embedding = Embedding { tokens, vocabulary, variance, by_count, stands_in: false };
        let (places, page) = embedding.pixels()?;
        let zipped = || embedding.tokens.iter().zip(&places);
        let on_place: Vec<Spot> = zipped().map(|(token, place)| embedding.on_place(token, *place)).collect();
        let are_letters = embedding.are_letters();
        let covers =
            |number: usize, other: usize| number != other && on_place[number].rect.overlaps(&on_place[other].rect);
        let stands_alone = |number: usize| are_letters && !(0..on_place.len()).any(|other| covers(number, other));
        let beside: Vec<Vec<Spot>> = zipped()
            .enumerate()
            .map(
                |(number, (token, place))| {
                    if stands_alone(number) { Vec::new() } else { embedding.beside(token, *place) }
                },
            )
            .collect();
        // Beside must be free of dots and of letters on their place.
        let dot = |&(x, y): &(i32, i32)| Rect { left: x - DOT, top: y - DOT, right: x + DOT + 1, bottom: y + DOT + 1 };
        let obstacles: Vec<Rect> = beside
            .iter()
            .zip(places.iter().zip(&on_place))
            .map(|(beside, (place, on_place))| if beside.is_empty() { on_place.rect } else { dot(place) })
            .collect();
        let rects: Vec<Vec<Rect>> = beside.iter().map(|each| each.iter().map(|spot| spot.rect).collect()).collect();
        let found = placed(&rects, &obstacles, page);
        for (number, token) in embedding.tokens.iter_mut().enumerate() {
            let spot = if beside[number].is_empty() {
                Some(on_place[number])
            } else {
                found[number].map(|chosen| beside[number][chosen])
            };
            token.label = spot.map(|spot| spot.label);
        }
        Ok(embedding)
    }

    /// How many tokens are on the map.
    pub fn count(&self) -> usize {
        self.tokens.len()
    }

    /// Which tokens are on the map, and of how many.
    pub fn which(&self) -> String {
        let (count, vocabulary) = (grouped(self.tokens.len()), grouped(self.vocabulary));
        match (self.tokens.len() < self.vocabulary, self.by_count) {
            (false, _) => format!("{count} tokens"),
            (true, true) => format!("the {count} most frequent of {vocabulary} tokens"),
            (true, false) => format!("the first {count} of {vocabulary} tokens"),
        }
    }

    /// How many of them have their text beside them.
    pub fn labelled(&self) -> usize {
        self.tokens.iter().filter(|token| token.label.is_some()).count()
    }

    /// The tokens that the built-in font lacks, each with what stands for it where the viewer's fonts cannot help.
    pub fn without_glyphs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.tokens.iter().filter_map(|token| Some((token.text.as_str(), token.stand_in.as_deref()?)))
    }

    fn are_letters(&self) -> bool {
        let letters = self.tokens.iter().filter(|token| Letter::of(&token.text) != Letter::Other).count();
        letters * 2 > self.tokens.len()
    }

    fn font_size(&self) -> i32 {
        if self.tokens.len() > 60 { 14 } else { 20 }
    }

    /// The width and height of a token's text: the same in both files, whichever of its texts they show.
    fn size(&self, token: &Token) -> (i32, i32) {
        let size = self.font_size();
        let stand_in = token.stand_in.as_ref().map_or(0, |text| width(text, size));
        (width(&token.text, size).max(stand_in) + 2, size)
    }

    /// A text on its place.
    fn on_place(&self, token: &Token, place: (i32, i32)) -> Spot {
        Spot::new(self.size(token), place, (0, 0), HPos::Center, true)
    }

    /// Where a token's text may stand beside its dot, the best first.
    fn beside(&self, token: &Token, place: (i32, i32)) -> Vec<Spot> {
        let size = self.size(token);
        let (above, below) = (-(DOT + size.1 / 2 + 1), DOT + size.1 / 2 + 2);
        // A text right of its dot has its left side there.
        let (right, left, centre) = ((DOT + 3, HPos::Left), (-DOT - 2, HPos::Right), (0, HPos::Center));
        let beside = [(right, 0), (left, 0), (centre, above), (centre, below)];
        let slanting = [(right, above), (right, below), (left, above), (left, below)];
        let spots = beside.into_iter().chain(slanting);
        spots.map(|((across, side), down)| Spot::new(size, place, (across, down), side, false)).collect()
    }

    /// Where the tokens lie in pixels, and the page that they lie on.
    fn pixels(&self) -> Result<(Vec<(i32, i32)>, Rect), Failure> {
        register_fonts();
        let mut unseen = String::new();
        let area = SVGBackend::with_string(&mut unseen, (WIDTH, self.height())).into_drawing_area();
        let chart = self.chart(&area)?;
        let places = self.tokens.iter().map(|token| chart.backend_coord(&token.place.into())).collect();
        let (across, down) = chart.plotting_area().get_pixel_range();
        Ok((places, Rect { left: across.start, top: down.start, right: across.end, bottom: down.end }))
    }

    fn chart<'a, B: DrawingBackend>(&self, area: &'a DrawingArea<B, Shift>) -> Result<Chart<'a, B>, Failure>
    where
        B::ErrorType: 'static,
    {
        let caption = match self.variance {
            None => "the embedding".to_owned(),
            Some([first, second]) => format!(
                "the embedding on its principal axes ({:.0} % and {:.0} % of the variance)",
                first * 100.0,
                second * 100.0
            ),
        };
        // The colours are named here and not in a box, which would cover tokens.
        let caption = if self.are_letters() { format!("{caption}; vowels orange, consonants blue") } else { caption };
        let range = |axis: usize| with_margin(self.tokens.iter().map(|token| token.place[axis]), 0.06);
        let mut builder = ChartBuilder::on(area);
        builder.caption(caption, (FONT, 17)).margin(12).x_label_area_size(48).y_label_area_size(48);
        Ok(builder.build_cartesian_2d(range(0), range(1))?)
    }

    /// What stands below the map.
    fn legend(&self) -> String {
        let which = self.which();
        let labels = match self.labelled() {
            all if all == self.tokens.len() => which,
            some => format!("{which}, {some} with labels, the others dots"),
        };
        if self.stands_in { format!("{labels}; U+ and # stand for what this font lacks") } else { labels }
    }
}

type Chart<'a, B> = ChartContext<'a, B, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

impl Picture for Embedding {
    fn name(&self) -> &'static str {
        "embedding"
    }

    fn height(&self) -> u32 {
        800
    }

    fn in_built_in_font(&self) -> Option<Self> {
        self.without_glyphs().next().is_some().then(|| Embedding { stands_in: true, ..self.clone() })
    }

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Result<(), Failure>
    where
        B::ErrorType: 'static,
    {
        let mut chart = self.chart(area)?;
        // Without a sign for what is zero but for rounding.
        let number = |value: &f64| format!("{:.2}", (value * 1e6).round() / 1e6 + 0.0);
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .label_style((FONT, 14))
            .x_label_formatter(&number)
            .y_label_formatter(&number)
            .x_desc(self.legend())
            .draw()?;
        let are_letters = self.are_letters();
        let dots = self.tokens.iter().filter(|token| token.label.is_none_or(|label| !label.on_place));
        chart.draw_series(dots.map(|token| Circle::new(token.place.into(), DOT, GREY.filled())))?;
        for token in &self.tokens {
            let Some(label) = token.label else { continue };
            let color = if are_letters { Letter::of(&token.text).color() } else { BLUE };
            let text = token.stand_in.as_ref().filter(|_| self.stands_in).unwrap_or(&token.text);
            let style = (FONT, self.font_size()).into_font().color(&color).pos(Pos::new(label.side, VPos::Center));
            let text = Text::new(text.clone(), label.offset, style);
            chart.draw_series([EmptyElement::at(token.place.into()) + text])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_told_apart() {
        let kinds = ["a", "É", "b", ".", "the", "я", "ж", "中"].map(Letter::of);
        use Letter::{Consonant, Other, Vowel};
        assert_eq!(kinds, [Vowel, Vowel, Consonant, Other, Other, Vowel, Consonant, Other]);
    }

    /// Two hundred words in a heap: as many labels as fit, none over another, none over a dot.
    #[test]
    fn labels_do_not_overlap() {
        let place = |number: usize| {
            let angle = number as f64 * 2.4;
            let radius = (number as f64 / 200.0).powi(2);
            [radius * angle.cos(), radius * angle.sin()]
        };
        let tokens = (0..200).map(|number| Token::new(number, "word".repeat(1 + number % 3), place(number))).collect();
        let embedding = Embedding::new(tokens, 1_000_000, Some([0.5, 0.2]), true).unwrap();
        let (places, page) = embedding.pixels().unwrap();
        let boxes: Vec<Rect> = embedding
            .tokens
            .iter()
            .zip(&places)
            .filter_map(|(token, place)| {
                let (size, label) = (embedding.font_size(), token.label?);
                let drawn = (width(&token.text, size), size);
                Some(Spot::new(drawn, *place, label.offset, label.side, label.on_place).rect)
            })
            .collect();
        assert!((50..200).contains(&boxes.len()), "{}", boxes.len());
        assert_eq!(boxes.len(), embedding.labelled());
        for (number, one) in boxes.iter().enumerate() {
            assert!(boxes[..number].iter().all(|other| !one.overlaps(other)), "{one:?}");
            assert!(
                one.left >= page.left && one.right <= page.right && one.top >= page.top && one.bottom <= page.bottom
            );
            let covers = |&(x, y): &(i32, i32)| one.overlaps(&Rect { left: x, top: y, right: x + 1, bottom: y + 1 });
            assert!(!places.iter().any(covers), "{one:?} covers a dot");
        }
        let labelled = format!("tokens, {} with labels, the others dots", boxes.len());
        assert_eq!(embedding.legend(), format!("the 200 most frequent of 1,000,000 {labelled}"));
        let longest = Embedding { stands_in: true, ..embedding.clone() }.legend();
        assert!(width(&longest, 14) < WIDTH as i32 - 60, "{longest:?} does not fit on the picture");
        let by_number = Embedding { by_count: false, ..embedding.clone() };
        assert_eq!(by_number.which(), "the first 200 of 1,000,000 tokens");
        assert_eq!(Embedding { vocabulary: 200, ..embedding }.which(), "200 tokens");
    }

    #[test]
    fn letters_stand_on_their_place_where_they_have_room() {
        let places = [("a", [0.0, 0.0]), ("b", [0.001, 0.0]), ("c", [1.0, 0.0]), ("d", [0.0, 1.0])];
        let tokens = places.into_iter().enumerate();
        let tokens = tokens.map(|(number, (text, place))| Token::new(number, text.to_owned(), place)).collect();
        let embedding = Embedding::new(tokens, 4, None, true).unwrap();
        let on_place: Vec<bool> = embedding.tokens.iter().map(|token| token.label.unwrap().on_place).collect();
        assert_eq!(on_place, [false, false, true, true]);
    }
}
