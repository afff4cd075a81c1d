//! The command line: the flags of each command become one checked settings struct before any work; one function a
//! command does the work.

pub mod bench;
mod cache;
pub mod check;
pub mod completions;
pub mod devices;
pub mod eval;
pub mod explain;
pub mod export;
pub mod inspect;
pub mod man;
pub mod mix;
pub mod neighbors;
pub mod ngram;
pub mod options;
pub mod plan;
pub mod plot;
pub mod predict;
pub mod rate;
mod recipe_options;
pub mod sample;
pub mod score;
mod settings;
pub mod table1;
pub mod text_options;
pub mod tour;
pub mod train;
#[cfg(test)]
mod trouble;

use std::error::Error;
use std::num::{ParseFloatError, ParseIntError};
use std::path::Path;
use std::sync::atomic::AtomicBool;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Parser, Subcommand};

use crate::Result;
use crate::bench::SHAPES;

/// Set by Ctrl-C: the training loop saves and stops.
pub static STOP: AtomicBool = AtomicBool::new(false);

/// Exit code of a run that the user stopped, as shells have it for Ctrl-C.
const STOPPED: u8 = 130;

/// Train and use a neural probabilistic language model (Bengio et al. 2003) on any GPU, or on the CPU.
#[derive(Debug, Parser)]
#[command(name = "gpu-mlp", version, max_term_width = 100, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  gpu-mlp train                        train on the built-in names and read twenty new ones
  gpu-mlp train names.txt --cpu        the same on a text of your own, an item a line
  gpu-mlp sample runs/first            draw more
  gpu-mlp check --device vulkan        does this GPU compute right?";

#[derive(Debug, Subcommand)]
enum Command {
    Train(Box<train::TrainArgs>),
    Sample(sample::SampleArgs),
    Eval(eval::EvalArgs),
    Score(score::ScoreArgs),
    Predict(predict::PredictArgs),
    Plot(plot::PlotArgs),
    Rate(Box<rate::RateArgs>),
    Plan(Box<plan::PlanArgs>),
    Explain(explain::ExplainArgs),
    Neighbors(neighbors::NeighborsArgs),
    Export(export::ExportArgs),
    Table1(Box<table1::Table1Args>),
    Ngram(ngram::NgramArgs),
    Check(check::CheckArgs),
    Bench(bench::BenchArgs),
    Devices(devices::DevicesArgs),
    Tour(tour::TourArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
    Inspect(inspect::InspectArgs),
}

impl Cli {
    /// Whether the command is one that Ctrl-C should save.
    pub fn trains(&self) -> bool {
        matches!(self.command, Command::Train(_) | Command::Table1(_))
    }
}

/// The error of a command line, with a word on what is expected where a number is none (the standard library says only
/// "invalid digit found in string"), or where there is one word too many.
pub fn with_tip(mut error: clap::Error) -> clap::Error {
    let source = error.source();
    let expected = if source.is_some_and(|source| source.is::<ParseIntError>()) {
        "it must be a whole number, and not below 0, such as 200".to_owned()
    } else if source.is_some_and(|source| source.is::<ParseFloatError>()) {
        "it must be a number, such as 0.5 or 1e-3".to_owned()
    } else if let Some(tip) = tip_on_surplus(&error).or_else(|| tip_on_resume(&error)) {
        tip
    } else {
        return error;
    };
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![expected.into()]));
    error
}

/// What to do about a word that a command does not take, where it is known what it means.
fn tip_on_surplus(error: &clap::Error) -> Option<String> {
    let (ErrorKind::UnknownArgument, Some(ContextValue::String(word))) =
        (error.kind(), error.get(ContextKind::InvalidArg))
    else {
        return None;
    };
    if SHAPES.iter().any(|shape| shape.name == word) {
        return Some(format!("of the shapes, `gpu-mlp bench --shape {word}` takes this one"));
    }
    let usage = error.get(ContextKind::Usage).map(ContextValue::to_string).unwrap_or_default();
    (usage.contains("TEXT") && Path::new(word).is_file())
        .then(|| "a command reads one text: put several into one file, as with `cat FIRST SECOND > all.txt`".to_owned())
}

/// What to do about settings for a run that has its own.
fn tip_on_resume(error: &clap::Error) -> Option<String> {
    let argument = error.get(ContextKind::InvalidArg).map(ContextValue::to_string).unwrap_or_default();
    (error.kind() == ErrorKind::ArgumentConflict && argument.starts_with("--resume")).then(|| {
        "a run that goes on keeps its settings, --steps as well, and its folder: leave them out, or --resume, for a new run"
            .to_owned()
    })
}

/// Runs a command; returns its exit code.
pub fn run(cli: Cli) -> Result<u8> {
    match cli.command {
        Command::Train(args) => train::run(*args),
        Command::Sample(args) => sample::run(args).map(|()| 0),
        Command::Eval(args) => eval::run(args).map(|()| 0),
        Command::Score(args) => score::run(args).map(|()| 0),
        Command::Plot(args) => plot::run(args).map(|()| 0),
        Command::Predict(args) => predict::run(args).map(|()| 0),
        Command::Rate(args) => rate::run(*args).map(|()| 0),
        Command::Plan(args) => plan::run(*args).map(|()| 0),
        Command::Explain(args) => explain::run(args).map(|()| 0),
        Command::Neighbors(args) => neighbors::run(args).map(|()| 0),
        Command::Export(args) => export::run(args).map(|()| 0),
        Command::Table1(args) => table1::run(*args),
        Command::Ngram(args) => ngram::run(args).map(|()| 0),
        Command::Check(args) => check::run(args).map(|()| 0),
        Command::Bench(args) => bench::run(args).map(|()| 0),
        Command::Devices(args) => devices::run(args).map(|()| 0),
        Command::Tour(args) => tour::run(args).map(|()| 0),
        Command::Completions(args) => completions::run(args).map(|()| 0),
        Command::Man(args) => man::run(args).map(|()| 0),
        Command::Inspect(args) => inspect::run(args).map(|()| 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_is_no_number_gets_a_tip() {
        let message = |words: &[&str]| {
            let error = Cli::try_parse_from(["gpu-mlp", "train"].iter().chain(words)).unwrap_err();
            with_tip(error).to_string()
        };
        for value in ["-5", "many", "1.5", "", "99999999999999999999999"] {
            let message = message(&["--hidden", value]);
            assert!(message.contains("--hidden <N>") && message.contains("whole number"), "{message}");
        }
        let rate = message(&["--rate", "fast"]);
        assert!(rate.contains("'fast'") && rate.contains("such as 0.5"), "{rate}");
        assert!(!message(&["--seed", "-1"]).contains("tip"));
    }

    #[test]
    fn a_word_too_many_gets_a_tip_where_it_is_known() {
        let message = |words: &[&str]| {
            let error = Cli::try_parse_from(["gpu-mlp"].iter().chain(words)).unwrap_err();
            with_tip(error).to_string()
        };
        assert!(message(&["bench", "makemore"]).contains("--shape makemore"));
        let file = tempfile::NamedTempFile::new().unwrap();
        let other = file.path().to_str().unwrap();
        assert!(message(&["train", "first.txt", other]).contains("one text"));
        assert!(!message(&["train", "first.txt", "second.txt"]).contains("tip"), "there is no such file");
        assert!(!message(&["devices", other]).contains("tip"), "it reads no text");
        assert!(message(&["train", "--hiden", "3"]).contains("--hidden"), "the tip of clap stays");
        assert!(message(&["train", "--resume", "run", "--steps", "9"]).contains("keeps its settings"));
        assert!(message(&["train", "--steps", "9", "--resume", "run"]).contains("keeps its settings"));
    }
}
