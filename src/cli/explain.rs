//! `gpu-mlp explain`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::options::{LoadedModel, OutputOptions};
use crate::model::explanation::{embedding_of, mean_embedding};
use crate::model::{Contributions, Explanation};
use crate::report::output::table;
use crate::text::Vocabulary;
use crate::{Error, Result};

/// What each position of a context adds to a prediction, exactly.
///
/// A logit is explained: the score of a token before the softmax. A position is absent when its embedding is replaced by the
/// baseline. What a position adds is its Shapley value, the mean of what its presence adds over all orders in which the
/// positions can come in; so the logit is that of the baseline plus what the positions add. With direct connections the part
/// that goes through them is shown too.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ExplainArgs {
    /// A .safetensors file, or a run directory (then its best model)
    model: PathBuf,

    /// The beginning of an item, or the last tokens of a running text; empty is the very beginning
    context: String,

    #[command(flatten)]
    explanation: ExplanationOptions,

    #[command(flatten)]
    output: OutputOptions,
}

/// What is explained.
#[derive(Debug, Args)]
#[command(next_help_heading = "Explanation")]
struct ExplanationOptions {
    /// How many of the likeliest tokens to explain
    #[arg(long, value_name = "K", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "target")]
    top: u32,

    /// Explain this token instead; (end) is the end mark of lines. Can be given more than once
    #[arg(long, value_name = "TOKEN")]
    target: Vec<String>,

    /// Explain the log-odds against this token: its logit is taken from the others
    #[arg(long, value_name = "TOKEN")]
    against: Option<String>,

    /// What stands for an absent token
    #[arg(long, value_name = "B", default_value = "mean")]
    baseline: Baseline,
}

/// What stands for an absent token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
enum Baseline {
    /// The mean of all embeddings, each token counting the same
    Mean,
    /// The embedding of the end mark, as at the beginning of a line
    End,
}

const EXAMPLES: &str = "\
Examples:
  gpu-mlp explain runs/first emm
  gpu-mlp explain runs/first emm --target a --against o --baseline end
  gpu-mlp explain runs/words \"he said that the\" --top 3 --json";

/// Runs the command.
pub fn run(args: ExplainArgs) -> Result<()> {
    let output = args.output.output();
    let loaded = LoadedModel::read(&args.model)?;
    let (parameters, vocabulary) = (loaded.model.state.best(), &loaded.model.vocabulary);
    let find = |option: &str, name: &str| {
        vocabulary.find(name).map_err(|reason| Error::usage(format!("--{option}: {reason}")))
    };
    let options = &args.explanation;
    let named = options.target.iter().map(|name| find("target", name)).collect::<Result<Vec<u32>>>()?;
    let against = options.against.as_deref().map(|name| find("against", name)).transpose()?;
    let baseline = match (options.baseline, vocabulary.end()) {
        (Baseline::Mean, _) => mean_embedding(parameters),
        (Baseline::End, Some(end)) => embedding_of(parameters, end),
        (Baseline::End, None) => {
            return Err(Error::usage("--baseline end: a running text has no end mark: take --baseline mean"));
        }
    };
    let context = loaded.context(&args.context)?;
    let explanation = Explanation::new(parameters, &context, &baseline).map_err(|reason| {
        Error::content(loaded.file(), format!("{reason}. Explain a model with a shorter --context"))
    })?;
    let all: Vec<Contributions> = (0..vocabulary.len() as u32).map(|token| explanation.of(token)).collect();
    let largest = all.iter().map(|token| token.logit).fold(f64::NEG_INFINITY, f64::max);
    let log_sum = largest + all.iter().map(|token| (token.logit - largest).exp()).sum::<f64>().ln();
    let targets = if named.is_empty() {
        let mut order: Vec<u32> = (0..vocabulary.len() as u32).collect();
        order.sort_by(|&a, &b| all[b as usize].logit.total_cmp(&all[a as usize].logit).then(a.cmp(&b)));
        order.truncate(options.top as usize);
        order
    } else {
        named
    };
    let explained: Vec<Explained> = targets
        .iter()
        .map(|&target| {
            let logit = &all[target as usize];
            Explained {
                target,
                log_probability: logit.logit - log_sum,
                parts: against.map_or_else(|| logit.clone(), |other| logit.against(&all[other as usize])),
            }
        })
        .collect();
    for explained in &explained {
        output.event("explanation", &explained.event(vocabulary, &context, against, options.baseline))?;
    }
    let quantity =
        against.map_or_else(|| "logit".to_owned(), |other| format!("log-odds against {}", vocabulary.shown(other)));
    output.message(format!("{quantity} = baseline + what each position adds, oldest first"));
    let direct = parameters.shape().direct;
    output.text(as_table(&explained, vocabulary, &context, direct, against.is_some()))
}

/// A token that is explained.
struct Explained {
    target: u32,
    log_probability: f64,
    parts: Contributions,
}

/// A position of the context, for programs.
#[derive(Serialize)]
struct Position<'a> {
    /// From 1, the oldest.
    position: usize,
    token: &'a str,
    contribution: f64,
    hidden: f64,
    direct: f64,
}

/// An explained token, for programs.
#[derive(Serialize)]
struct Event<'a> {
    token: &'a str,
    against: Option<&'a str>,
    baseline: Baseline,
    probability: f64,
    log_probability: f64,
    logit: f64,
    baseline_logit: f64,
    positions: Vec<Position<'a>>,
}

impl Explained {
    fn event<'a>(
        &self,
        vocabulary: &'a Vocabulary,
        context: &[u32],
        against: Option<u32>,
        baseline: Baseline,
    ) -> Event<'a> {
        let token = |id: u32| vocabulary.tokens()[id as usize].as_str();
        let parts = &self.parts;
        let of_position = |(place, contribution): (usize, f64)| Position {
            position: place + 1,
            token: token(context[place]),
            contribution,
            hidden: parts.hidden[place],
            direct: parts.direct[place],
        };
        Event {
            token: token(self.target),
            against: against.map(token),
            baseline,
            probability: self.log_probability.exp(),
            log_probability: self.log_probability,
            logit: parts.logit,
            baseline_logit: parts.baseline,
            positions: parts.positions().enumerate().map(of_position).collect(),
        }
    }
}

/// A row for each token: the baseline, a column a position, their sum.
fn as_table(explained: &[Explained], vocabulary: &Vocabulary, context: &[u32], direct: bool, odds: bool) -> String {
    let positions: Vec<String> = context.iter().map(|&token| vocabulary.shown(token)).collect();
    let mut header = vec!["token", "probability", "baseline"];
    header.extend(positions.iter().map(String::as_str));
    header.push(if odds { "log-odds" } else { "logit" });
    if direct {
        header.push("of it direct");
    }
    let row = |explained: &Explained| {
        let parts = &explained.parts;
        let mut row = vec![
            vocabulary.shown(explained.target),
            format!("{:.4}", explained.log_probability.exp()),
            format!("{:.3}", parts.baseline),
        ];
        row.extend(parts.positions().map(|added| format!("{added:+.3}")));
        row.push(format!("{:.3}", parts.logit));
        if direct {
            row.push(format!("{:+.3}", parts.direct.iter().sum::<f64>()));
        }
        row
    };
    table(&header, &explained.iter().map(row).collect::<Vec<_>>())
}
