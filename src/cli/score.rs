//! `gpu-mlp score`.

use std::fmt::Write;
use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::options::{DeviceOptions, LoadedModel, OutputOptions};
use crate::language_model::{Network, Score, Scorer};
use crate::report::Output;
use crate::text::{Token, TokenReader, Vocabulary};
use crate::{Error, Result};

/// The log-probability of every token or line of a text, written as the text comes in.
///
/// A line of output is, apart by tabs: line number, token, log-probability (natural logarithm), rank (1 is the likeliest
/// token); with --level line: line number, tokens, log-probability.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ScoreArgs {
    /// A .safetensors file, or a run directory (then its best model)
    model: PathBuf,

    /// A UTF-8 text, read as the model's own was [default: standard input]
    text: Option<PathBuf>,

    /// Whether each token or each line is scored
    #[arg(long, value_name = "LEVEL", default_value = "token", help_heading = "Scoring")]
    level: Level,

    #[command(flatten)]
    device: DeviceOptions,

    #[command(flatten)]
    output: OutputOptions,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Level {
    Token,
    Line,
}

const EXAMPLES: &str = "\
Examples:
  gpu-mlp score runs/first names.txt --level line
  echo emma | gpu-mlp score runs/first --json";

/// Runs the command.
pub fn run(args: ScoreArgs) -> Result<()> {
    let output = args.output.output();
    let loaded = LoadedModel::read(&args.model)?;
    let vocabulary = &loaded.model.vocabulary;
    let (name, source) = open(args.text.as_deref(), &output)?;
    let mut engine = args.device.open(&output)?;
    let mut network = Network::new(engine.as_mut(), loaded.model.state.best())?;
    let mut scorer = Scorer::new(&mut network, vocabulary.end(), args.level == Level::Token);
    let mut reader = TokenReader::new(source, vocabulary.clone());
    let mut line = Line::default();
    loop {
        let tokens = match reader.read() {
            Ok(tokens) if tokens.is_empty() => break,
            Ok(tokens) => tokens,
            Err(failure) => {
                // The line before the one that is wrong may be whole.
                if line.line < reader.line() {
                    write_line(&line, &output)?;
                }
                return Err(failure.of(&name));
            }
        };
        let ids: Vec<u32> = tokens.iter().map(|token| token.id).collect();
        let scores = scorer.score(&ids)?;
        let mut lines = String::new();
        for (token, score) in tokens.iter().zip(&scores) {
            match args.level {
                Level::Token => write_token(&mut lines, output.json, vocabulary, token, score),
                Level::Line => {
                    if line.line != token.line {
                        line.write(&mut lines, output.json);
                        line = Line { line: token.line, ..Line::default() };
                    }
                    line.tokens += 1;
                    line.log_probability += score.log_probability;
                    if vocabulary.end() == Some(token.id) {
                        // Whoever waits for the answer to a line gets it.
                        std::mem::take(&mut line).write(&mut lines, output.json);
                    }
                }
            }
        }
        output.lines(&lines)?;
    }
    write_line(&line, &output)
}

fn write_line(line: &Line, output: &Output) -> Result<()> {
    let mut lines = String::new();
    line.write(&mut lines, output.json);
    output.lines(&lines)
}

/// The text's name for messages, and where to read it.
fn open(path: Option<&Path>, output: &Output) -> Result<(PathBuf, Box<dyn BufRead>)> {
    match path {
        Some(path) if path.is_dir() => Err(Error::content(path, "is a folder, not a text file")),
        Some(path) => {
            let file = File::open(path).map_err(|source| Error::file(path, "read", source))?;
            Ok((path.to_owned(), Box::new(BufReader::with_capacity(1 << 16, file))))
        }
        None => {
            let stdin = std::io::stdin();
            if stdin.is_terminal() {
                output.message("reading from the terminal; end with Ctrl-D");
            }
            Ok(("standard input".into(), Box::new(BufReader::with_capacity(1 << 16, stdin))))
        }
    }
}

/// The sums of a line.
#[derive(Default, Serialize)]
struct Line {
    line: u64,
    tokens: u64,
    log_probability: f64,
}

impl Line {
    fn write(&self, lines: &mut String, json: bool) {
        let Line { line, tokens, log_probability } = self;
        if *tokens == 0 {
            return;
        }
        let written = if json {
            writeln!(lines, "{}", Output::event_line("line", self))
        } else {
            writeln!(lines, "{line}\t{tokens}\t{log_probability:.6}")
        };
        written.expect("a string takes all");
    }
}

fn write_token(lines: &mut String, json: bool, vocabulary: &Vocabulary, token: &Token, score: &Score) {
    #[derive(Serialize)]
    struct Event<'a> {
        line: u64,
        token: &'a str,
        id: u32,
        log_probability: f64,
        rank: u32,
        rare: bool,
    }
    let text = token.text.as_deref().unwrap_or(&vocabulary.tokens()[token.id as usize]);
    let (line, id, log_probability) = (token.line, token.id, score.log_probability);
    let rank = score.rank.expect("ranks were asked for");
    let written = if json {
        let rare = Some(token.id) == vocabulary.rare();
        writeln!(
            lines,
            "{}",
            Output::event_line("token", &Event { line, token: text, id, log_probability, rank, rare })
        )
    } else {
        writeln!(lines, "{line}\t{}\t{log_probability:.6}\t{rank}", shown(text))
    };
    written.expect("a string takes all");
}

/// A token without a character that would break a line of the output.
fn shown(token: &str) -> String {
    token.replace('\\', "\\\\").replace('\n', "\\n").replace('\t', "\\t").replace('\r', "\\r")
}
