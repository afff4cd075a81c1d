//! Pictures of a run, drawn once and written as SVG, as PNG, or as both.

mod embedding;
mod glyphs;
mod gradients;
mod hidden;
mod losses;
mod placing;
mod rates;
mod saturation;
mod updates;

use std::path::{Path, PathBuf};
use std::sync::Once;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};

pub use embedding::{Embedding, Token};
pub use gradients::{Gradient, Gradients};
pub use hidden::{Hidden, SATURATED};
pub use losses::{Baseline, Curves};
pub use rates::Rates;
pub use saturation::{FLAT, Saturation};
pub use updates::Updates;

use crate::train::files::write_whole;
use crate::{Error, Result};

/// The files to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum PictureFormat {
    /// Lines and text, for pages and print.
    Svg,
    /// Pixels.
    Png,
    /// One file of each.
    Both,
}

/// The font of all pictures, which is part of the program.
const FONT: &str = "sans-serif";
/// Width of a picture in pixels.
const WIDTH: u32 = 800;

const BLUE: RGBColor = RGBColor(31, 119, 180);
const ORANGE: RGBColor = RGBColor(255, 127, 14);
const GREY: RGBColor = RGBColor(110, 110, 110);

/// What goes wrong while a picture is drawn.
pub type Failure = Box<dyn std::error::Error>;

/// A picture.
pub trait Picture {
    /// The name of its files.
    fn name(&self) -> &'static str;
    /// Its height in pixels, for a width of 800.
    fn height(&self) -> u32;
    /// The same with stand-ins for what the built-in font lacks, where it lacks something: an SVG leaves that to the
    /// viewer's fonts, pixels cannot.
    fn in_built_in_font(&self) -> Option<Self>
    where
        Self: Sized,
    {
        None
    }
    /// Draws it.
    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Result<(), Failure>
    where
        B::ErrorType: 'static;
}

/// Gives the built-in font to what draws. Texts have no size before that.
fn register_fonts() {
    static FONTS: Once = Once::new();
    FONTS.call_once(|| {
        register_font(FONT, FontStyle::Normal, dejavu::sans::regular()).ok().expect("the font is one");
    });
}

/// Writes a picture into a folder; returns the files.
///
/// # Errors
/// The folder cannot be written to, or what is to be drawn is beyond what can be drawn.
pub fn save(picture: &impl Picture, folder: &Path, format: PictureFormat) -> Result<Vec<PathBuf>> {
    register_fonts();
    std::fs::create_dir_all(folder).map_err(|source| Error::file(folder, "create", source))?;
    let size = (WIDTH, picture.height());
    let mut files = Vec::new();
    let path = |ending: &str| folder.join(format!("{}.{ending}", picture.name()));
    let failed = |path: &Path, error: Failure| Error::content(path, format!("the picture cannot be drawn: {error}"));
    if format != PictureFormat::Png {
        let path = path("svg");
        let mut text = String::new();
        let drawn = drawn(picture, SVGBackend::with_string(&mut text, size));
        drawn.map_err(|error| failed(&path, error))?;
        write_whole(&path, text.as_bytes())?;
        files.push(path);
    }
    if format != PictureFormat::Svg {
        let path = path("png");
        let mut pixels = vec![0; (size.0 * size.1 * 3) as usize];
        let stands_in = picture.in_built_in_font();
        let drawn = drawn(stands_in.as_ref().unwrap_or(picture), BitMapBackend::with_buffer(&mut pixels, size));
        drawn.and_then(|()| encoded(&pixels, size)).map_err(|error| failed(&path, error)).and_then(|bytes| {
            write_whole(&path, &bytes)?;
            files.push(path.clone());
            Ok(())
        })?;
    }
    Ok(files)
}

fn drawn<B: DrawingBackend>(picture: &impl Picture, backend: B) -> Result<(), Failure>
where
    B::ErrorType: 'static,
{
    let area = backend.into_drawing_area();
    area.fill(&WHITE)?;
    picture.draw(&area)?;
    area.present()?;
    Ok(())
}

fn encoded(pixels: &[u8], (width, height): (u32, u32)) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header()?.write_image_data(pixels)?;
    Ok(bytes)
}

/// A range with some room around it.
fn with_margin(values: impl Iterator<Item = f64>, share: f64) -> std::ops::Range<f64> {
    let (low, high) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    if low > high {
        return 0.0..1.0;
    }
    let margin = ((high - low) * share).max(1e-9 * high.abs()).max(1e-12);
    low - margin..high + margin
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_show_stand_ins_and_an_svg_the_text_itself() {
        let tokens = ["中", "a", "中文"].into_iter().enumerate();
        let place = |number: usize| [number as f64, (number as f64).powi(2)];
        let tokens = tokens.map(|(number, text)| Token::new(number, text.to_owned(), place(number))).collect();
        let embedding = Embedding::new(tokens, 3, None, true).unwrap();
        assert_eq!(embedding.without_glyphs().collect::<Vec<_>>(), [("中", "U+4E2D"), ("中文", "#2")]);
        let folder = tempfile::tempdir().unwrap();
        let files = save(&embedding, folder.path(), PictureFormat::Both).unwrap();
        let svg = std::fs::read_to_string(&files[0]).unwrap();
        assert!(svg.contains("\n中\n") && svg.contains("\n中文\n") && !svg.contains("U+4E2D"));

        let stands_in = embedding.in_built_in_font().unwrap();
        let mut text = String::new();
        drawn(&stands_in, SVGBackend::with_string(&mut text, (WIDTH, 800))).unwrap();
        assert!(text.contains("U+4E2D") && text.contains("#2") && !text.contains("中"));
        let mut pixels = vec![0; (WIDTH * 800 * 3) as usize];
        drawn(&stands_in, BitMapBackend::with_buffer(&mut pixels, (WIDTH, 800))).unwrap();
        assert_eq!(std::fs::read(&files[1]).unwrap(), encoded(&pixels, (WIDTH, 800)).unwrap());
    }
}
