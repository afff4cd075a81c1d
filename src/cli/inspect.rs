//! `gpu-mlp inspect`.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::options::OutputOptions;
use crate::Result;
use crate::engine::Hardware;
use crate::model::parameters::mean_and_deviation;
use crate::model::{ModelFile, Shape};
use crate::report::output::grouped;
use crate::text::Sources;
use crate::train::files::read_model;
use crate::train::history::{self, Entry};
use crate::train::{Progress, RunDirectory, Settings};

/// What a model file is: shape, vocabulary, how, when and on what it was trained.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct InspectArgs {
    /// A .safetensors file, or a run directory (then its best model)
    model: PathBuf,

    #[command(flatten)]
    output: OutputOptions,
}

/// Tokens that are shown; `--json` has all.
const LISTED: usize = 200;

const EXAMPLES: &str = "\
Examples:
  gpu-mlp inspect runs/first
  gpu-mlp inspect runs/first/last.safetensors --json";

/// Runs the command.
pub fn run(args: InspectArgs) -> Result<()> {
    #[derive(Serialize)]
    struct Tensor {
        name: &'static str,
        sizes: Vec<usize>,
        mean: f64,
        deviation: f64,
    }
    #[derive(Serialize)]
    struct Inspect<'a> {
        file: String,
        version: &'a str,
        shape: Shape,
        parameters: usize,
        tensors: &'a [Tensor],
        tokens: &'a [String],
        progress: &'a Progress,
        settings: &'a Settings,
        /// Where the run's text is, and what was done with it when; empty for a file outside its run's directory.
        sources: Option<&'a Sources>,
        history: &'a [Entry],
    }
    let output = args.output.output();
    let path = RunDirectory::model_of(&args.model);
    let ModelFile { state, vocabulary, settings, progress, version } = read_model(&path)?;
    let parameters = state.best();
    let shape = parameters.shape();
    let tensors: Vec<Tensor> = parameters
        .tensors()
        .map(|(tensor, values)| {
            let (mean, deviation) = mean_and_deviation(values);
            Tensor { name: tensor.name, sizes: tensor.sizes, mean, deviation }
        })
        .collect();
    let run = RunDirectory::of_model(&args.model).filter(|(_, config)| config.settings == settings);
    let history = run.as_ref().map_or(Vec::new(), |(directory, _)| history::read(directory.path()));
    let sources = run.as_ref().map(|(_, config)| &config.sources);
    let file = path.display().to_string();
    let count = parameters.values.len();
    output.event(
        "inspect",
        &Inspect {
            file: file.clone(),
            version: &version,
            shape,
            parameters: count,
            tensors: &tensors,
            tokens: vocabulary.tokens(),
            progress: &progress,
            settings: &settings,
            sources,
            history: &history,
        },
    )?;
    let direct = if shape.direct { ", direct connections" } else { "" };
    output.text(format!(
        "{file}: gpu-mlp {version}, {} parameters\n\ncontext {}, embedding {}, hidden {}{direct}, {} tokens\n",
        grouped(count),
        shape.context,
        shape.embedding,
        shape.hidden,
        shape.vocabulary
    ))?;
    for tensor in &tensors {
        let sizes = format!("{:?}", tensor.sizes);
        output.text(format!(
            "  {:<17} {sizes:<12} mean {:>8.4}, deviation {:.4}",
            tensor.name, tensor.mean, tensor.deviation
        ))?;
    }
    let best = progress.best.map_or(String::new(), |best| {
        format!("; best validation loss {:.4} at step {}", best.valid, grouped(best.step as usize))
    });
    output.text(format!("\nstep {} of {}{best}", grouped(progress.step as usize), grouped(settings.steps as usize)))?;
    for line in history.iter().map(told) {
        output.text(line)?;
    }
    output.text(format!("tokens: {}\n", vocabulary.listed(LISTED)))?;
    output.text(
        toml::to_string(&settings).unwrap_or_else(|error| format!("settings cannot be shown: {error}")).trim_end(),
    )
}

/// A line of the run's history.
fn told(entry: &Entry) -> String {
    match entry {
        Entry::Began { time, command, version, hardware, step } => {
            let Hardware { device, backend, driver, .. } = hardware;
            let device = if device == backend { device.clone() } else { format!("{device}, {backend}") };
            let step = grouped(*step as usize);
            format!("{time}: gpu-mlp {version} began at step {step} on {device} ({driver}):\n  {}", command.join(" "))
        }
        Entry::Ended { time, step, seconds } => {
            format!("{time}: ended at step {} after {seconds:.1} s of training", grouped(*step as usize))
        }
    }
}
