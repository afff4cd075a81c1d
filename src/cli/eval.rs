//! `gpu-mlp eval`.

use std::path::PathBuf;

use clap::Args;

use super::options::{DeviceOptions, LoadedModel, OutputOptions};
use crate::language_model::evaluate::evaluate;
use crate::language_model::{Evaluation, Network};
use crate::report::output::{grouped, table};
use crate::text::{Corpus, Lines};
use crate::{Error, Result};

/// Loss and perplexity of a model: on TEXT, or on the three parts of the text it was trained on.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct EvalArgs {
    /// A .safetensors file, or a run directory (then its best model)
    model: PathBuf,

    /// A UTF-8 text with an item on each line [default: the run's own parts]
    text: Option<PathBuf>,

    #[command(flatten)]
    device: DeviceOptions,

    #[command(flatten)]
    output: OutputOptions,
}

const EXAMPLES: &str = "\
Examples:
  gpu-mlp eval runs/first
  gpu-mlp eval runs/first/model.safetensors other-names.txt --json";

/// Runs the command.
pub fn run(args: EvalArgs) -> Result<()> {
    let output = args.output.output();
    let loaded = LoadedModel::read(&args.model)?;
    let (model, vocabulary) = (&loaded.model, &loaded.model.vocabulary);
    let parts: Vec<(&str, Corpus)> = match &args.text {
        Some(path) => {
            let lines = Lines::read(path)?;
            let unknown = |(line, character): (&str, char)| {
                let number = 1 + lines.iter().position(|other| other == line).unwrap_or(0);
                let known = vocabulary.tokens()[1..].concat();
                let reason = format!(
                    "text line {number} holds the character {character:?}, which is unknown to the model. It knows {known}"
                );
                Error::content(path, reason)
            };
            let encoded =
                lines.iter().map(|line| vocabulary.encode(line).map_err(|character| unknown((line, character))));
            let encoded = encoded.collect::<Result<Vec<_>>>()?;
            let context = model.settings.context;
            Corpus::check_size(&encoded, context).map_err(|reason| Error::content(path, reason))?;
            vec![("text", Corpus::from_lines(&encoded, context))]
        }
        None => {
            let data = loaded.data()?;
            let parts = data.parts().into_iter();
            parts.filter_map(|(name, corpus)| Some((name, corpus?.clone()))).collect()
        }
    };
    let mut engine = args.device.open(&output)?;
    let mut network = Network::new(engine.as_mut(), &model.state.parameters)?;
    let mut rows = Vec::new();
    for (name, corpus) in parts {
        let evaluation = evaluate(&mut network, name, &corpus, vocabulary)?;
        output.event("eval", &evaluation)?;
        let Evaluation { split, loss, perplexity, bits, tokens, rare, .. } = evaluation;
        let numbers = [format!("{loss:.4}"), format!("{perplexity:.3}"), format!("{bits:.4}")];
        rows.push([vec![split], numbers.to_vec(), vec![grouped(tokens), grouped(rare)]].concat());
    }
    output.text(table(&["", "loss (nats)", "perplexity", "bits", "tokens", "rare"], &rows))
}
