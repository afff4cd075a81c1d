//! `gpu-mlp rate`.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::options::{DeviceOptions, OutputOptions};
use super::recipe_options::RecipeOptions;
use super::settings::SettingArgs;
use super::text_options::TextOptions;
use super::train::require_memory;
use crate::engine::Engine;
use crate::report::Output;
use crate::report::output::{rounded, table};
use crate::report::plot::{PictureFormat, Rates, save};
use crate::text::Data;
use crate::train::range_test::{SUGGESTED_PART, Smoothed, growing_rates};
use crate::train::{Settings, first_state, make_ready};
use crate::{Error, Result};

/// Which learning rate? Trains while the rate grows from step to step, and suggests one.
///
/// The suggestion is a third of the rate at which the smoothed loss is least. Nothing but the picture is written.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, allow_negative_numbers = true)]
pub struct RateArgs {
    /// A UTF-8 text [default: the built-in names]
    text: Option<PathBuf>,

    /// The first rate
    #[arg(long, value_name = "R", default_value_t = 0.001, help_heading = "Range test")]
    from: f32,

    /// The last rate, unless training diverges before
    #[arg(long, value_name = "R", default_value_t = 10.0, help_heading = "Range test")]
    to: f32,

    /// Where the picture goes [default: the current directory]
    #[arg(long, value_name = "DIR", help_heading = "Range test")]
    out: Option<PathBuf>,

    /// The files to write
    #[arg(long, value_name = "FORMAT", default_value = "both", help_heading = "Range test")]
    format: PictureFormat,

    #[command(flatten)]
    text_options: TextOptions,

    #[command(flatten)]
    recipe: RecipeOptions,

    #[command(flatten)]
    settings: SettingArgs,

    #[command(flatten)]
    device: DeviceOptions,

    #[command(flatten)]
    output: OutputOptions,
}

const EXAMPLES: &str = "\
Examples:
  gpu-mlp rate
      the lecture's network on the built-in names
  gpu-mlp rate words.txt --preset words --from 1e-5 --to 0.1 --out pictures --cpu
      a network of words under its own update rule, whose rates are smaller";

/// Steps of a test, where --steps does not say.
const STEPS: u64 = 1000;
/// Steps that are asked for at once: after them a loss that is not finite ends the test.
const AT_ONCE: usize = 50;
/// Digits of the suggested rate: more are noise.
const SUGGESTED_DIGITS: usize = 2;
/// Rows of the table.
const ROWS: usize = 16;

/// Runs the command.
pub fn run(args: RateArgs) -> Result<()> {
    let output = args.output.output();
    let finite = args.from.is_finite() && args.to.is_finite();
    if !finite || args.from <= 0.0 || args.to <= args.from {
        return Err(Error::usage(format!(
            "--from {} --to {}: the rates must be positive, and the last larger than the first",
            args.from, args.to
        )));
    }
    let settings = args.settings.settings(&args.text_options, &args.recipe)?;
    let texts = args.text_options.sources(args.text.clone()).read(settings.kind())?;
    let mut settings = args.settings.settings_for(settings, &texts)?;
    settings.steps = args.settings.given_steps().unwrap_or(STEPS);
    if settings.steps < 10 {
        return Err(Error::usage("--steps: a range test takes at least 10 steps"));
    }
    let data = texts.data(&settings.text_settings(), settings.context, None)?;
    let shape = settings.shape(data.vocabulary.len());
    shape.check().map_err(Error::usage)?;
    require_memory(shape.training_bytes(settings.batch as usize))?;
    let mut engine = args.device.open(&output)?;
    let rates = growing_rates(args.from, args.to, settings.steps as usize);
    let points = points(engine.as_mut(), &data, &settings, &rates)?;
    let Some(rates) = points else {
        return Err(Error::NotFinite { step: 0, rate: args.from });
    };
    // What was found out is shown even where the picture cannot be written.
    let saved = save(&rates, &args.out.unwrap_or_else(|| PathBuf::from(".")), args.format);
    let files = saved.iter().flatten().map(|file| file.display().to_string()).collect();
    show(&output, &rates, settings.steps as usize, files)?;
    saved.map(|_| ())
}

/// The test: rates, losses and smoothed losses as far as training did not diverge; nothing where it did at once.
fn points(engine: &mut dyn Engine, data: &Data, settings: &Settings, rates: &[f32]) -> Result<Option<Rates>> {
    make_ready(engine, data, settings, &first_state(settings, data))?;
    let (mut smoothed, mut losses) = (Smoothed::default(), Vec::new());
    for (number, rates) in rates.chunks(AT_ONCE).enumerate() {
        let found = engine.train((number * AT_ONCE) as u64, rates)?;
        let kept = found.iter().take_while(|&&loss| smoothed.take(loss)).count();
        losses.extend_from_slice(&found[..kept]);
        if kept < found.len() {
            break;
        }
    }
    let Some(least) = smoothed.least() else { return Ok(None) };
    let least = f64::from(rates[least]);
    let points = rates.iter().zip(losses).zip(smoothed.losses);
    let points = points.map(|((&rate, loss), smoothed)| (f64::from(rate), f64::from(loss), smoothed)).collect();
    Ok(Some(Rates { points, least, suggested: rounded(least * SUGGESTED_PART, SUGGESTED_DIGITS) }))
}

fn show(output: &Output, rates: &Rates, steps: usize, files: Vec<String>) -> Result<()> {
    #[derive(Serialize)]
    struct Point {
        step: usize,
        rate: f64,
        loss: f64,
        smoothed: f64,
    }
    #[derive(Serialize)]
    struct Suggestion {
        rate: f64,
        least_loss_at: f64,
        diverged_at: Option<f64>,
        files: Vec<String>,
    }
    let count = rates.points.len();
    for (step, &(rate, loss, smoothed)) in rates.points.iter().enumerate() {
        output.event("point", &Point { step, rate, loss, smoothed })?;
    }
    let shown = ROWS.min(count);
    let row = |number: usize| {
        let (rate, _, smoothed) = rates.points[number * (count - 1) / (shown - 1).max(1)];
        vec![rounded(rate, 3).to_string(), format!("{smoothed:.4}")]
    };
    output.text(table(&["rate", "smoothed loss"], &(0..shown).map(row).collect::<Vec<_>>()))?;
    let diverged_at = (count < steps).then(|| rates.points[count - 1].0);
    if let Some(rate) = diverged_at {
        output.text(format!("\ntraining diverges beyond a rate of about {rate:.2}"))?;
    }
    output.text(format!(
        "\nthe loss is least at {:.2e}; suggested, a third of it: --rate {}\n{}",
        rates.least,
        rates.suggested,
        files.join(", ")
    ))?;
    let suggestion = Suggestion { rate: rates.suggested, least_loss_at: rates.least, diverged_at, files };
    output.event("suggestion", &suggestion)
}
