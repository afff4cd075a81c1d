//! `gpu-mlp eval`.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::mix::{MixOptions, ModelWeights, weights_table};
use super::options::{DeviceOptions, LoadedModel, OutputOptions};
use crate::Result;
use crate::language_model::evaluate::evaluate;
use crate::language_model::{Evaluation, LanguageModel, Network};
use crate::report::output::{grouped, table};
use crate::text::{Corpus, Counts, Kind, Sources, TextKind};

/// Loss and perplexity of a model: on TEXT, or on the three parts of the text it was trained on.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct EvalArgs {
    /// A .safetensors file, or a run directory (then its best model)
    model: PathBuf,

    /// A UTF-8 text, read as the model's own was [default: the run's own parts]
    text: Option<PathBuf>,

    #[command(flatten)]
    mix: MixOptions,

    #[command(flatten)]
    device: DeviceOptions,

    #[command(flatten)]
    output: OutputOptions,
}

const EXAMPLES: &str = "\
Examples:
  gpu-mlp eval runs/first
  gpu-mlp eval runs/first/model.safetensors other-names.txt --json
  gpu-mlp eval runs/first --mix kneser-ney:learn
      mixed with a count model, at the weight found on the validation part";

/// An evaluation as it is stated.
#[derive(Serialize)]
struct Event<'a> {
    #[serde(flatten)]
    evaluation: &'a Evaluation,
    #[serde(skip_serializing_if = "Option::is_none")]
    mixture: Option<&'a [ModelWeights]>,
}

/// Runs the command.
pub fn run(args: EvalArgs) -> Result<()> {
    let output = args.output.output();
    let loaded = LoadedModel::read(&args.model)?;
    let (model, vocabulary) = (&loaded.model, &loaded.model.vocabulary);
    let context = args.mix.context(model.settings.context)?;
    // A mixture needs the run's own text even where another one is evaluated.
    let data = match &args.text {
        Some(_) if !args.mix.is_given() => None,
        _ => Some(args.mix.data(&loaded)?),
    };
    let parts: Vec<(&str, Corpus, Counts)> = match (&args.text, &data) {
        (None, Some(data)) => {
            let parts = data.parts().into_iter().zip(data.counts);
            parts.filter_map(|((name, corpus), counts)| Some((name, corpus?.clone(), counts))).collect()
        }
        (path, _) => {
            let texts = Sources { text: path.clone(), ..Sources::default() }.read(vocabulary.kind())?;
            let (corpus, counts) = texts.encoded(vocabulary, context)?;
            vec![("text", corpus, counts)]
        }
    };
    let mut engine = args.device.open(&output)?;
    let network = Network::new(engine.as_mut(), model.state.best())?;
    let (mut model, weights): (Box<dyn LanguageModel>, _) = match &data {
        Some(data) if args.mix.is_given() => {
            output.message("counting and mixing");
            let (mixture, weights) = args.mix.mixture(network, data)?;
            (Box::new(mixture), Some(weights))
        }
        _ => (Box::new(network), None),
    };
    let mut rows = Vec::new();
    let mut any_rare = false;
    for (name, corpus, counts) in parts {
        let evaluation = evaluate(model.as_mut(), name, &corpus, &counts, vocabulary)?;
        output.event("eval", &Event { evaluation: &evaluation, mixture: weights.as_deref() })?;
        any_rare |= evaluation.rare > 0;
        rows.push(row(evaluation));
    }
    if let Some(weights) = &weights {
        output.text(format!("{}\n", weights_table(weights)))?;
    }
    output.text(table(&HEADER, &rows))?;
    output.text(denominator(vocabulary.kind(), any_rare))
}

const HEADER: [&str; 10] = [
    "",
    "loss (nats)",
    "perplexity",
    "bits",
    "bits/char",
    "perplexity without rare",
    "tokens",
    "marks",
    "rare",
    "unknown",
];

fn row(evaluation: Evaluation) -> Vec<String> {
    let Evaluation { split, loss, perplexity, bits, bits_per_character, perplexity_without_rare, .. } = evaluation;
    let counts = [evaluation.tokens, evaluation.marks, evaluation.rare, evaluation.unknown].map(grouped);
    let numbers = [
        split,
        format!("{loss:.4}"),
        format!("{perplexity:.3}"),
        format!("{bits:.4}"),
        format!("{bits_per_character:.4}"),
        perplexity_without_rare.map_or("-".to_owned(), |perplexity| format!("{perplexity:.3}")),
    ];
    numbers.into_iter().chain(counts).collect()
}

/// What the numbers are divided by, in words.
fn denominator(kind: Kind, any_rare: bool) -> String {
    let marks = match kind {
        Kind { text: TextKind::Lines, .. } => "every token and one end mark a line (marks)",
        Kind { marks: true, .. } => "every token, the marks <p> and <text> among them (marks)",
        _ => "every token",
    };
    let rare = if any_rare {
        ", rare ones among them. Rare tokens have no id of their own; those of them are unknown whose type was not met \
         at all where the vocabulary comes from (on a TEXT of its own: all that the vocabulary lacks). Bits per character leave out which type a rare token is"
    } else {
        ""
    };
    format!("\nmean over {marks}{rare}.")
}
