//! `gpu-mlp predict`.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::options::{DeviceOptions, LoadedModel, OutputOptions};
use crate::Result;
use crate::language_model::{LanguageModel, Network, log_of};
use crate::report::output::table;

/// What may come after a context: the distribution over the next token, the likeliest first.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct PredictArgs {
    /// A .safetensors file, or a run directory (then its best model)
    model: PathBuf,

    /// The beginning of an item, or the last tokens of a running text; empty is the very beginning
    context: String,

    /// How many tokens to show; 0 is all
    #[arg(long, value_name = "K", default_value_t = 20, help_heading = "Prediction")]
    top: usize,

    #[command(flatten)]
    device: DeviceOptions,

    #[command(flatten)]
    output: OutputOptions,
}

const EXAMPLES: &str = "\
Examples:
  gpu-mlp predict runs/first emm
  gpu-mlp predict runs/words \"he said that the\" --top 5 --json";

/// The width of a bar for a probability of one.
const BAR: f64 = 40.0;

/// Runs the command.
pub fn run(args: PredictArgs) -> Result<()> {
    #[derive(Serialize)]
    struct Prediction<'a> {
        rank: usize,
        token: &'a str,
        id: usize,
        probability: f64,
        log_probability: f64,
    }
    let output = args.output.output();
    let loaded = LoadedModel::read(&args.model)?;
    let vocabulary = &loaded.model.vocabulary;
    let context = loaded.context(&args.context)?;
    let mut engine = args.device.open(&output)?;
    let mut network = Network::new(engine.as_mut(), loaded.model.state.best())?;
    let distribution = network.distributions(&context)?;
    let mut order: Vec<usize> = (0..distribution.len()).collect();
    order.sort_by(|&a, &b| distribution[b].total_cmp(&distribution[a]).then(a.cmp(&b)));
    let shown = if args.top == 0 { order.len() } else { args.top.min(order.len()) };
    let mut rows = Vec::new();
    for (place, &id) in order[..shown].iter().enumerate() {
        let log_probability = log_of(distribution[id]);
        let (probability, token) = (f64::from(distribution[id]), &vocabulary.tokens()[id]);
        output.event("prediction", &Prediction { rank: place + 1, token, id, probability, log_probability })?;
        rows.push(vec![
            (place + 1).to_string(),
            vocabulary.shown(id as u32),
            format!("{probability:.4}"),
            format!("{log_probability:.3}"),
            "#".repeat((probability * BAR).round() as usize),
        ]);
    }
    let seen = context.iter().map(|&id| vocabulary.tokens()[id as usize].as_str()).collect::<Vec<_>>().join(" ");
    output.message(format!("after: {seen}"));
    output.text(table(&["", "token", "probability", "log", ""], &rows))?;
    if shown < order.len() {
        let rest: f64 = order[shown..].iter().map(|&token| f64::from(distribution[token])).sum();
        output.text(format!("and {} more tokens with {rest:.4} together", order.len() - shown))?;
    }
    Ok(())
}
