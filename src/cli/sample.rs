//! `gpu-mlp sample`.

use std::path::PathBuf;

use clap::Args;

use super::mix::{MixOptions, weights_table};
use super::options::{DeviceOptions, LoadedModel, OutputOptions};
use crate::language_model::sample::AT_ONCE;
use crate::language_model::{LanguageModel, Network, Sampler};
use crate::report::summary::{describe, known_lines};
use crate::{Error, Result};

/// Draw new items, or running text, from a model.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, allow_negative_numbers = true)]
pub struct SampleArgs {
    /// A .safetensors file, or a run directory (then its best model)
    model: PathBuf,

    /// How many
    #[arg(long, value_name = "N", default_value_t = 20, help_heading = "Sampling")]
    count: usize,

    /// Below 1 the likely becomes likelier; 0 takes the likeliest token each time
    #[arg(long, value_name = "T", default_value_t = 1.0, help_heading = "Sampling")]
    temperature: f64,

    /// Draw only from the K likeliest tokens; 0 is all
    #[arg(long, value_name = "K", default_value_t = 0, help_heading = "Sampling")]
    top_k: usize,

    /// Draw only from the likeliest tokens that together have this probability
    #[arg(long, value_name = "P", default_value_t = 1.0, help_heading = "Sampling")]
    top_p: f64,

    /// What every item begins with
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, help_heading = "Sampling")]
    prompt: String,

    /// Most tokens of an item; of running text, the tokens of each piece
    #[arg(long, value_name = "N", default_value_t = 100, help_heading = "Sampling")]
    length: usize,

    /// Fixes what is drawn
    #[arg(long, value_name = "N", default_value_t = 42, help_heading = "Sampling")]
    seed: u32,

    #[command(flatten)]
    mix: MixOptions,

    #[command(flatten)]
    device: DeviceOptions,

    #[command(flatten)]
    output: OutputOptions,
}

const EXAMPLES: &str = "\
Examples:
  gpu-mlp sample runs/first --count 5 --seed 7
  gpu-mlp sample runs/first --prompt ma --temperature 0.8 --json
  gpu-mlp sample runs/first --mix kneser-ney:0.5
      from the network and a count model of its training part, half and half";

/// Runs the command.
pub fn run(args: SampleArgs) -> Result<()> {
    let output = args.output.output();
    if !(args.temperature.is_finite() && args.temperature >= 0.0) {
        return Err(Error::usage(format!("--temperature is {}: it must be 0 or more", args.temperature)));
    }
    if !(args.top_p > 0.0 && args.top_p <= 1.0) {
        return Err(Error::usage(format!("--top-p is {}: it must be above 0 and at most 1", args.top_p)));
    }
    let looking = args.device.look_ahead();
    let loaded = LoadedModel::read(&args.model)?;
    let vocabulary = &loaded.model.vocabulary;
    let prompt = vocabulary
        .encode(&args.prompt)
        .map_err(|reason| Error::usage(format!("--prompt {:?}: {reason}", args.prompt)))?;
    let is_mixed = args.mix.is_given();
    args.mix.context(loaded.model.settings.context)?;
    let sampler = Sampler {
        temperature: args.temperature,
        top_k: args.top_k,
        top_p: args.top_p,
        end: vocabulary.end(),
        length: args.length,
        seed: args.seed,
    };
    // Only JSON has whether an item is known; running text never is as a whole.
    let needed = is_mixed || (output.json && vocabulary.end().is_some());
    let data = match needed.then(|| args.mix.data(&loaded)).transpose() {
        Ok(data) => data,
        Err(error) if is_mixed => return Err(error),
        Err(error) => {
            output.detail(format!("known or new cannot be told: {error}"));
            None
        }
    };
    let known = data.as_ref().and_then(known_lines);
    drop(looking);
    let mut engine = args.device.open(&output)?;
    let network = Network::new(engine.as_mut(), loaded.model.state.best())?;
    let mut model: Box<dyn LanguageModel> = match &data {
        Some(data) if is_mixed => {
            let (mixture, weights) = args.mix.mixture(network, data)?;
            output.message(weights_table(&weights));
            Box::new(mixture)
        }
        _ => Box::new(network),
    };
    for first in (0..args.count).step_by(AT_ONCE) {
        let samples = sampler.draw(model.as_mut(), &prompt, first..args.count.min(first + AT_ONCE))?;
        for drawn in describe(&samples, vocabulary, known.as_ref()) {
            output.event("sample", &drawn)?;
            output.text(&drawn.text)?;
        }
    }
    Ok(())
}
