//! What the built-in font can show.

use std::sync::LazyLock;

use ab_glyph::{Font, FontRef, PxScale, ScaleFont};

static FONT: LazyLock<FontRef<'static>> =
    LazyLock::new(|| FontRef::try_from_slice(dejavu::sans::regular()).expect("the font is one"));

/// Whether the font has a glyph for a character; where not, it draws a box.
pub(super) fn has_glyph(character: char) -> bool {
    FONT.glyph_id(character).0 != 0
}

/// The width of a text of a size, in pixels. A character that the font lacks counts as a square, which it is in most fonts
/// that have it.
pub(super) fn width(text: &str, size: i32) -> i32 {
    let font = FONT.as_scaled(PxScale::from(size as f32));
    let advance = |character: char| {
        if has_glyph(character) { font.h_advance(font.glyph_id(character)) } else { size as f32 }
    };
    text.chars().map(advance).sum::<f32>().ceil() as i32
}

/// What stands for a token of a number that the font lacks: its code point, or its number where it has several characters.
/// Nothing where the font has all of it.
pub(super) fn stand_in(token: &str, number: usize) -> Option<String> {
    if token.chars().all(has_glyph) {
        return None;
    }
    let mut characters = token.chars();
    match (characters.next(), characters.next()) {
        (Some(one), None) => Some(format!("U+{:04X}", u32::from(one))),
        _ => Some(format!("#{number}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_font_lacks_has_a_stand_in() {
        for token in ["a", "ü", "я", "ж", "λ", "the", "\u{2423}", "ễ"] {
            assert_eq!(stand_in(token, 7), None, "{token}");
        }
        let pairs =
            [("中", "U+4E2D"), ("한", "U+D55C"), ("क", "U+0915"), ("𐍈", "U+10348"), ("中文", "#7"), ("no中", "#7")];
        for (token, expected) in pairs {
            assert_eq!(stand_in(token, 7).as_deref(), Some(expected), "{token}");
        }
    }

    #[test]
    fn a_character_that_is_lacking_is_a_square() {
        assert_eq!(width("中文", 14), 28);
        assert!(width("il", 14) < width("mm", 14));
    }
}
