//! `gpu-mlp check`.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::cache::Cache;
use super::options::{DeviceOptions, OutputOptions};
use crate::check::{Case, Comparison, Expected, built_in_cases, compare, expected_of_reference, golden};
use crate::engine::gpu::Path;
use crate::engine::{DeviceChoice, open};
use crate::report::Output;
use crate::report::output::table;
use crate::{Error, Result};

/// Does a device compute right? Against the values of PyTorch and of the f64 reference, or against golden files.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CheckArgs {
    /// Golden files: cases with the values that an independent implementation computed [default: the built-in cases]
    golden: Vec<PathBuf>,

    #[command(flatten)]
    device: DeviceOptions,

    #[command(flatten)]
    output: OutputOptions,
}

const EXAMPLES: &str = "\
Examples:
  gpu-mlp check --device vulkan
  gpu-mlp check --cpu tests/golden/odd.safetensors --json";

/// Runs the command.
pub fn run(args: CheckArgs) -> Result<()> {
    let output = args.output.output();
    let cases = args.cases()?;
    let first = open(&args.device.choice(), args.device.thread_count(), Path::Automatic, Box::new(Cache))?;
    output.message(format!("device: {}", first.reason));
    let hardware = first.engine.hardware();
    drop(first);
    // A GPU takes a step in one of two ways; both are checked, whatever the shape would choose.
    let on_gpu = !matches!(hardware.backend.as_str(), "cpu");
    let paths: &[(Path, &str)] =
        if on_gpu { &[(Path::General, "/general"), (Path::Small, "/small")] } else { &[(Path::Automatic, "")] };
    let mut all = Vec::new();
    for (case, expected) in &cases {
        for &(path, suffix) in paths {
            let case = Case { name: format!("{}{suffix}", case.name), ..case.clone() };
            if let Some(comparisons) = check_case(&args, &case, expected, path)? {
                report(&output, &comparisons)?;
                all.extend(comparisons);
            }
        }
    }
    conclude(&output, &all)
}

/// The comparisons of a case on one path; `None` where the case is too large for the small path.
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

fn conclude(output: &Output, all: &[Comparison]) -> Result<()> {
    #[derive(Serialize)]
    struct Done {
        cases: usize,
        tensors: usize,
        ok: bool,
    }
    let mut names: Vec<&str> = all.iter().map(|comparison| comparison.case.as_str()).collect();
    names.dedup();
    let failures = all.iter().filter(|comparison| !comparison.ok).count();
    let rows: Vec<Vec<String>> = names.iter().map(|name| case_row(name, all)).collect();
    output.text(table(&["case", "tensors", "worst tensor", "its error", "tolerance", ""], &rows))?;
    for bad in all.iter().filter(|comparison| !comparison.ok) {
        output.text(format!(
            "{}: {} is off by {:.1e}, tolerance {:.0e}",
            bad.case, bad.tensor, bad.error, bad.tolerance
        ))?;
    }
    output.event("done", &Done { cases: names.len(), tensors: all.len(), ok: failures == 0 })?;
    if failures > 0 {
        return Err(Error::Check(format!(
            "{failures} of {} tensors are outside their tolerances: this device does not compute right",
            all.len()
        )));
    }
    output.text(format!("{} tensors of {} cases are within their tolerances", all.len(), names.len()))
}

/// A case by its tensor that comes nearest to its tolerance, or lies farthest outside.
fn case_row(name: &str, all: &[Comparison]) -> Vec<String> {
    let of_case: Vec<&Comparison> = all.iter().filter(|comparison| comparison.case == name).collect();
    let share = |comparison: &Comparison| {
        let share = comparison.error / comparison.tolerance;
        if share.is_nan() { f64::INFINITY } else { share }
    };
    let worst = of_case.iter().max_by(|a, b| share(a).total_cmp(&share(b))).expect("a case has tensors");
    let ok = of_case.iter().all(|comparison| comparison.ok);
    vec![
        name.to_owned(),
        of_case.len().to_string(),
        worst.tensor.clone(),
        format!("{:.1e}", worst.error),
        format!("{:.0e}", worst.tolerance),
        if ok { "ok" } else { "FAILED" }.to_owned(),
    ]
}

impl CheckArgs {
    /// The golden files that are given; else the built-in ones and, but for the reference itself, the cases whose values
    /// the reference computes.
    fn cases(&self) -> Result<Vec<(Case, Expected)>> {
        if !self.golden.is_empty() {
            return self.golden.iter().map(|path| golden::read(path)).collect();
        }
        let mut cases = golden::built_in();
        if self.device.choice() != DeviceChoice::Reference {
            for case in built_in_cases() {
                let expected = expected_of_reference(&case)?;
                cases.push((case, expected));
            }
        }
        Ok(cases)
    }
}
