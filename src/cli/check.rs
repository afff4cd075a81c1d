//! `gpu-mlp check`.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::cache::Cache;
use super::options::{DeviceOptions, OutputOptions};
use crate::check::{Case, Comparison, Expected, built_in_cases, compare, expected_of_reference, golden, random_case};
use crate::engine::gpu::Path;
use crate::engine::{DeviceChoice, open};
use crate::report::Output;
use crate::report::output::table;
use crate::report::progress::bar;
use crate::{Error, Result};

/// Does a device compute right? Against the values of PyTorch and of the f64 reference, or against golden files.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CheckArgs {
    /// Golden files: cases with the values that an independent implementation computed [default: the built-in cases]
    golden: Vec<PathBuf>,

    /// Check on N networks and batches whose sizes and training rules are drawn, not on the built-in ones; more add to them
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000), conflicts_with = "golden", help_heading = "Cases")]
    random: Option<u32>,

    /// Fixes which cases are drawn
    #[arg(long, value_name = "N", default_value_t = 42, requires = "random", help_heading = "Cases")]
    seed: u32,

    #[command(flatten)]
    device: DeviceOptions,

    #[command(flatten)]
    output: OutputOptions,
}

/// So many of the cases that are drawn are shown.
const NEAREST: usize = 10;

const EXAMPLES: &str = "\
Examples:
  gpu-mlp check --device vulkan
  gpu-mlp check --device vulkan --random 10
  gpu-mlp check --cpu tests/golden/odd.safetensors --json";

/// Runs the command.
pub fn run(args: CheckArgs) -> Result<()> {
    let output = args.output.output();
    let cases = args.cases()?;
    let choice = args.device.choice();
    if args.random.is_some() && choice == DeviceChoice::Reference {
        return Err(Error::usage("--random compares a device with the reference: choose another one by --device"));
    }
    let first = open(&choice, args.device.thread_count(), Path::Automatic, Box::new(Cache))?;
    output.message(format!("device: {}", first.reason));
    let hardware = first.engine.hardware();
    drop(first);
    // A GPU takes a step in one of two ways; both are checked, whatever the shape would choose.
    let on_gpu = !matches!(hardware.backend.as_str(), "cpu");
    let paths: &[(Path, &str)] =
        if on_gpu { &[(Path::General, "/general"), (Path::Small, "/small")] } else { &[(Path::Automatic, "")] };
    let bar = bar(&output, cases.len() as u64, "{wide_bar} {human_pos}/{human_len} cases, {eta} left");
    bar.tick();
    let mut all = Vec::new();
    for case in cases {
        let (case, expected) = case()?;
        for &(path, suffix) in paths {
            let case = Case { name: format!("{}{suffix}", case.name), ..case.clone() };
            if let Some(comparisons) = check_case(&args, &case, &expected, path)? {
                bar.suspend(|| report(&output, &comparisons))?;
                all.extend(comparisons);
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    conclude(&output, &all, if args.random.is_some() { NEAREST } else { usize::MAX })
}

/// The comparisons of a case on one path; `None` where the small path cannot take it.
fn check_case(args: &CheckArgs, case: &Case, expected: &Expected, path: Path) -> Result<Option<Vec<Comparison>>> {
    let mut engine = open(&args.device.choice(), args.device.thread_count(), path, Box::new(Cache))?.engine;
    match compare(engine.as_mut(), case, expected) {
        Err(Error::Usage(_)) if path == Path::Small => Ok(None),
        comparisons => comparisons.map(Some),
    }
}

fn report(output: &Output, comparisons: &[Comparison]) -> Result<()> {
    for comparison in comparisons {
        output.event("tensor", comparison)?;
    }
    Ok(())
}

/// Says what came out; of all cases it shows so many, those that come nearest to their tolerances, in the order in which
/// they were checked.
fn conclude(output: &Output, all: &[Comparison], most: usize) -> Result<()> {
    #[derive(Serialize)]
    struct Done {
        cases: usize,
        tensors: usize,
        ok: bool,
    }
    let cases: Vec<&[Comparison]> = all.chunk_by(|one, other| one.case == other.case).collect();
    let failures = all.iter().filter(|comparison| !comparison.ok).count();
    let mut shown: Vec<usize> = (0..cases.len()).collect();
    shown.sort_by(|&a, &b| share(worst(cases[b])).total_cmp(&share(worst(cases[a]))));
    shown.truncate(most);
    shown.sort_unstable();
    let rows: Vec<Vec<String>> = shown.into_iter().map(|case| case_row(cases[case])).collect();
    if rows.len() < cases.len() {
        output.text(format!("the {} cases that come nearest to their tolerances, or lie outside:", rows.len()))?;
    }
    output.text(table(&["case", "tensors", "worst tensor", "its error", "tolerance", ""], &rows))?;
    for bad in all.iter().filter(|comparison| !comparison.ok) {
        output.text(format!(
            "{}: {} is off by {:.1e}, tolerance {:.0e}",
            bad.case, bad.tensor, bad.error, bad.tolerance
        ))?;
    }
    output.event("done", &Done { cases: cases.len(), tensors: all.len(), ok: failures == 0 })?;
    if failures > 0 {
        return Err(Error::Check(format!(
            "{failures} of {} tensors are outside their tolerances: this device does not compute right",
            all.len()
        )));
    }
    output.text(format!("{} tensors of {} cases are within their tolerances", all.len(), cases.len()))
}

/// The tensor of a case that comes nearest to its tolerance, or lies farthest outside.
fn worst(case: &[Comparison]) -> &Comparison {
    case.iter().max_by(|a, b| share(a).total_cmp(&share(b))).expect("a case has tensors")
}

/// An error as a part of its tolerance.
fn share(comparison: &Comparison) -> f64 {
    let share = comparison.error / comparison.tolerance;
    if share.is_nan() { f64::INFINITY } else { share }
}

fn case_row(case: &[Comparison]) -> Vec<String> {
    let worst = worst(case);
    let ok = case.iter().all(|comparison| comparison.ok);
    vec![
        worst.case.clone(),
        case.len().to_string(),
        worst.tensor.clone(),
        format!("{:.1e}", worst.error),
        format!("{:.0e}", worst.tolerance),
        if ok { "ok" } else { "FAILED" }.to_owned(),
    ]
}

/// Makes a case when its turn comes.
type Later = Box<dyn FnOnce() -> Result<(Case, Expected)>>;

impl CheckArgs {
    /// The golden files that are given, or the cases that are drawn; else the built-in golden files and, but for the
    /// reference itself, the cases whose values the reference computes.
    fn cases(&self) -> Result<Vec<Later>> {
        fn ready((case, expected): (Case, Expected)) -> Later {
            Box::new(|| Ok((case, expected)))
        }
        if let Some(count) = self.random {
            let seed = self.seed;
            return Ok((1..=count).map(|number| -> Later { Box::new(move || random_case(seed, number)) }).collect());
        }
        if !self.golden.is_empty() {
            return self.golden.iter().map(|path| golden::read(path).map(ready)).collect();
        }
        let mut cases: Vec<Later> = golden::built_in().into_iter().map(ready).collect();
        if self.device.choice() != DeviceChoice::Reference {
            cases.extend(built_in_cases().into_iter().map(|case| -> Later {
                Box::new(|| {
                    let expected = expected_of_reference(&case)?;
                    Ok((case, expected))
                })
            }));
        }
        Ok(cases)
    }
}
