//! `gpu-mlp ngram`.

use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::options::OutputOptions;
use super::text_options::TextOptions;
use crate::Result;
use crate::language_model::{Bins, KneserNey, LanguageModel, Trigram, back_off, trigram};
use crate::report::output::table;
use crate::report::summary::{losses_of, row};
use crate::text::Data;
use crate::train::{Losses, Preset};

/// Count models of a text: the paper's interpolated trigram and modified Kneser-Ney, what a network is compared with.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct NgramArgs {
    /// A UTF-8 text [default: the built-in names]
    text: Option<PathBuf>,

    /// Which models
    #[arg(long, value_name = "M", value_enum, default_value_t = Choice::All, help_heading = "Models")]
    model: Choice,

    /// n of the n-grams of kneser-ney and backoff, the predicted token counted
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=64),
        help_heading = "Models")]
    order: u32,

    /// trigram: rounds of EM that fit its weights on the validation part
    #[arg(long, value_name = "N", default_value_t = trigram::ROUNDS, help_heading = "Models")]
    rounds: usize,

    /// backoff: n-grams of order 3 and more with a lower count are dropped; 1 keeps all
    #[arg(long, value_name = "N", default_value_t = back_off::CUT_OFF, help_heading = "Models")]
    cut_off: u32,

    /// Whose defaults the text options have: makemore, names (characters of lines), words, mlp1 to mlp10 (a marked text)
    #[arg(long, value_name = "P", default_value = "makemore", hide_possible_values = true, help_heading = "Text")]
    preset: Preset,

    #[command(flatten)]
    text_options: TextOptions,

    /// Fixes how lines are shuffled before they are cut
    #[arg(long, value_name = "N", default_value_t = 42, help_heading = "Text")]
    seed: u32,

    #[command(flatten)]
    output: OutputOptions,
}

const EXAMPLES: &str = "\
Examples:
  gpu-mlp ngram --order 4
      the built-in names, with as much context as the lecture's network
  gpu-mlp ngram brown.txt --preset words
      the text of words that `train --preset words` sees
  gpu-mlp ngram --tokens words --text stream --model kneser-ney --json
      the built-in names as one text of words, for programs";

/// Which models are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Choice {
    /// The paper's interpolated trigram
    Trigram,
    /// Modified Kneser-Ney, interpolated
    KneserNey,
    /// Modified Kneser-Ney as SRILM's back-off
    #[value(name = "backoff")]
    BackOff,
    /// All three
    All,
}

/// What a model does on a text.
#[derive(Serialize)]
struct Counted {
    model: String,
    order: usize,
    #[serde(flatten)]
    losses: Losses,
    perplexity: Losses,
    seconds: f64,
}

/// Runs the command.
pub fn run(args: NgramArgs) -> Result<()> {
    let output = args.output.output();
    let settings = args.text_options.settings(args.preset.text_settings(), args.seed)?;
    let order = args.order as usize;
    let context = (order - 1).max(Bins::CONTEXT);
    let data = args.text_options.data(args.text.clone(), &settings, context)?;
    let mut rows = Vec::new();
    for choice in [Choice::Trigram, Choice::KneserNey, Choice::BackOff] {
        if args.model != choice && args.model != Choice::All {
            continue;
        }
        let order = if choice == Choice::Trigram { Bins::CONTEXT + 1 } else { order };
        let name = choice.to_possible_value().expect("a choice has a name").get_name().to_owned();
        output.message(format!("counting: {name}, order {order}"));
        let start = Instant::now();
        let mut model = args.count(choice, order, &data);
        let losses = losses_of(model.as_mut(), &data)?;
        let seconds = start.elapsed().as_secs_f64();
        let mut cells = row(&format!("{name}, order {order}"), &losses);
        cells.push(format!("{seconds:.2}"));
        rows.push(cells);
        let perplexity = losses.perplexity();
        output.event("ngram", &Counted { model: name, order, losses, perplexity, seconds })?;
    }
    output.text(table(&["loss (perplexity)", "train", "valid", "test", "seconds"], &rows))
}

impl NgramArgs {
    /// Counts a model on the training part.
    fn count(&self, choice: Choice, order: usize, data: &Data) -> Box<dyn LanguageModel> {
        let (train, vocabulary) = (&data.train, data.vocabulary.len());
        match choice {
            Choice::Trigram => Box::new(Trigram::new(train, data.valid.as_ref(), vocabulary, self.rounds)),
            Choice::BackOff => Box::new(KneserNey::back_off(train, order, vocabulary, self.cut_off)),
            Choice::KneserNey | Choice::All => Box::new(KneserNey::interpolated(train, order, vocabulary)),
        }
    }
}
