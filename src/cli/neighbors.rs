//! `gpu-mlp neighbors`.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::options::{LoadedModel, OutputOptions};
use crate::model::Vectors;
use crate::report::output::table;
use crate::{Error, Result};

/// The tokens whose vectors are nearest, by the cosine of the angle between them: to one token, or to an analogy of three.
///
/// Three tokens a b c ask what is to c as b is to a: the nearest to b - a + c, of vectors at length one.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct NeighborsArgs {
    /// A .safetensors file, or a run directory (then its best model)
    model: PathBuf,

    /// One token, or three for an analogy; (end) is the end mark of lines
    #[arg(required = true, value_name = "TOKEN")]
    tokens: Vec<String>,

    #[command(flatten)]
    neighbors: NeighborOptions,

    #[command(flatten)]
    output: OutputOptions,
}

/// What is searched, and how much is shown.
#[derive(Debug, Args)]
#[command(next_help_heading = "Neighbors")]
struct NeighborOptions {
    /// Which vectors of the tokens
    #[arg(long, value_name = "WHICH", default_value = "input")]
    vectors: Vectors,

    /// How many tokens to show; 0 is all
    #[arg(long, value_name = "K", default_value_t = 10)]
    top: usize,
}

const EXAMPLES: &str = "\
Examples:
  gpu-mlp neighbors runs/first a
  gpu-mlp neighbors runs/words king --vectors output --top 5
  gpu-mlp neighbors runs/words man king woman --json";

/// Runs the command.
pub fn run(args: NeighborsArgs) -> Result<()> {
    #[derive(Serialize)]
    struct Neighbor<'a> {
        rank: usize,
        token: &'a str,
        id: u32,
        similarity: f64,
    }
    let output = args.output.output();
    if !matches!(args.tokens.len(), 1 | 3) {
        return Err(Error::usage(format!(
            "{} tokens are given: give one for its neighbors, or three for an analogy, a b c: what is to c as b is to a",
            args.tokens.len()
        )));
    }
    let loaded = LoadedModel::read(&args.model)?;
    let vocabulary = &loaded.model.vocabulary;
    let find = |name: &String| vocabulary.find(name).map_err(|reason| Error::usage(format!("TOKEN: {reason}")));
    let tokens = args.tokens.iter().map(find).collect::<Result<Vec<u32>>>()?;
    let vectors = args.neighbors.vectors.of(loaded.model.state.best()).map_err(Error::Usage)?;
    let count = if args.neighbors.top == 0 { usize::MAX } else { args.neighbors.top };
    let found = match tokens[..] {
        [a, b, c] => {
            let [a_shown, b_shown, c_shown] = [a, b, c].map(|token| vocabulary.shown(token));
            output.message(format!("{b_shown} is to {a_shown} as what is to {c_shown}?"));
            vectors.analogy([a, b, c], count)
        }
        _ => {
            output.message(format!("nearest to {}:", vocabulary.shown(tokens[0])));
            vectors.nearest(tokens[0], count)
        }
    };
    let mut rows = Vec::new();
    for (place, &(id, similarity)) in found.iter().enumerate() {
        let (rank, token) = (place + 1, vocabulary.tokens()[id as usize].as_str());
        output.event("neighbor", &Neighbor { rank, token, id, similarity })?;
        rows.push(vec![rank.to_string(), vocabulary.shown(id), format!("{similarity:.4}")]);
    }
    output.text(table(&["", "token", "cosine"], &rows))
}
