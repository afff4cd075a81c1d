//! `gpu-mlp bench`.

use clap::Args;

use super::cache::Cache;
use super::options::{DeviceOptions, OutputOptions};
use crate::bench::{self, BenchShape, SHAPES, Timing};
use crate::engine::{gpu, open};
use crate::report::output::{grouped, table};
use crate::{Error, Result};

/// How fast is this machine? Whole training steps on named shapes: checked against the reference, then timed.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, allow_negative_numbers = true)]
pub struct BenchArgs {
    /// Which shapes: notebook, makemore, wide, brown, brown-direct [default: all]
    #[arg(long, value_name = "NAME", num_args = 1.., value_parser = parse_shape)]
    shape: Vec<&'static BenchShape>,

    /// About how long each shape is timed
    #[arg(long, value_name = "S", default_value_t = 3.0)]
    seconds: f64,

    #[command(flatten)]
    device: DeviceOptions,

    #[command(flatten)]
    output: OutputOptions,
}

const EXAMPLES: &str = "\
Examples:
  gpu-mlp bench --cpu
  gpu-mlp bench --shape makemore brown --device cpu --threads 1 --json";

fn parse_shape(name: &str) -> Result<&'static BenchShape, String> {
    let names = || SHAPES.map(|shape| shape.name).join(", ");
    SHAPES.iter().find(|shape| shape.name == name).ok_or_else(|| format!("the shapes are {}", names()))
}

/// Runs the command.
pub fn run(args: BenchArgs) -> Result<()> {
    let output = args.output.output();
    if !(args.seconds > 0.0 && args.seconds.is_finite()) {
        return Err(Error::usage(format!("--seconds is {}: it must be a number above 0", args.seconds)));
    }
    let shapes = if args.shape.is_empty() { SHAPES.iter().collect() } else { args.shape };
    let mut rows = Vec::new();
    for (index, shape) in shapes.into_iter().enumerate() {
        // An engine of its own for each shape: the first load fixes an engine's shape.
        let opened = open(&args.device.choice(), args.device.thread_count(), gpu::Path::Automatic, Box::new(Cache))?;
        if index == 0 {
            output.message(format!("device: {}", opened.reason));
        }
        let mut engine = opened.engine;
        let timing = bench::run(engine.as_mut(), shape, args.seconds)?;
        output.event("bench", &timing)?;
        for choice in engine.choices() {
            output.detail(format!("{:<13} {choice}", timing.shape));
        }
        for pass in &timing.passes {
            let bench::Pass { name, microseconds, share } = pass;
            output.detail(format!("{:<13} {name:<22} {microseconds:>10.2} us  {:>5.1} %", timing.shape, share * 100.0));
        }
        rows.push(row(&timing));
    }
    let header = ["shape", "steps/s", "slowest", "fastest", "examples/s", "GFLOP/s", "of peak"];
    output.text(table(&header, &rows))
}

fn row(timing: &Timing) -> Vec<String> {
    let speed = |steps: f64| if steps < 100.0 { format!("{steps:.1}") } else { grouped(steps as usize) };
    vec![
        timing.shape.to_owned(),
        speed(timing.steps_per_second),
        speed(timing.worst_steps_per_second),
        speed(timing.best_steps_per_second),
        grouped(timing.examples_per_second as usize),
        format!("{:.1}", timing.gflops),
        timing.fraction_of_peak.map_or("-".to_owned(), |share| format!("{:.0} %", share * 100.0)),
    ]
}
