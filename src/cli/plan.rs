//! `gpu-mlp plan`.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;

use super::options::{DeviceOptions, OutputOptions};
use super::recipe_options::RecipeOptions;
use super::settings::SettingArgs;
use super::text_options::TextOptions;
use super::train::require_memory;
use crate::bench::floor::{Demand, Limits};
use crate::engine::{Cost, Engine, Hardware};
use crate::model::{Parameters, Shape};
use crate::report::Output;
use crate::report::output::{grouped, table};
use crate::text::Corpus;
use crate::train::Settings;
use crate::{Error, Result};

/// What a model costs on a device before anything runs: parameters, memory, work and limits. Nothing is trained.
///
/// The training is prepared on the device as `train` would, its buffers are counted, and they are given back. The floor is
/// the least time at the speed that the device was just measured to reach: a real run takes longer.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, allow_negative_numbers = true)]
pub struct PlanArgs {
    /// A UTF-8 text, of which the vocabulary and its size are taken [default: the built-in names]
    #[arg(conflicts_with = "vocabulary")]
    text: Option<PathBuf>,

    /// Tokens in the vocabulary (the paper's |V|), instead of a text
    #[arg(long, value_name = "N", help_heading = "Text", conflicts_with = "TextOptions")]
    vocabulary: Option<usize>,

    /// Tokens that the training part has, with --vocabulary
    #[arg(long, value_name = "N", help_heading = "Text", requires = "vocabulary", default_value_t = 1_000_000)]
    tokens_in_text: usize,

    #[command(flatten)]
    text_options: TextOptions,

    #[command(flatten)]
    recipe: RecipeOptions,

    #[command(flatten)]
    settings: SettingArgs,

    #[command(flatten)]
    device: DeviceOptions,

    #[command(flatten)]
    output: OutputOptions,
}

const EXAMPLES: &str = "\
Examples:
  gpu-mlp plan
  gpu-mlp plan words.txt --preset words --cpu
  gpu-mlp plan --preset mlp1 --vocabulary 17907 --batch 256 --device vulkan
      the largest network of the paper on a GPU, without a text at hand
  gpu-mlp plan --vocabulary 50000 --embedding 100 --hidden 500 --context 5 --cpu --json";

/// Runs the command.
pub fn run(args: PlanArgs) -> Result<()> {
    let output = args.output.output();
    let (settings, shape, corpus) = planned(&args)?;
    shape.check().map_err(Error::usage)?;
    require_memory(shape.training_bytes(settings.batch as usize))?;
    let mut engine = args.device.open(&output)?;
    let cost = cost(engine.as_mut(), &settings, shape, &corpus);
    // Where the training does not fit, what does not depend on the device is said all the same.
    let (cost, failure) = match cost {
        Ok(cost) => (Some(cost), None),
        Err(Error::Device(reason)) => (None, Some(reason)),
        Err(other) => return Err(other),
    };
    let limits =
        Limits { peak_gflops: engine.peak_gflops()?, peak_gigabytes_per_second: engine.peak_gigabytes_per_second()? };
    let plan = Plan::new(&settings, shape, corpus.len(), engine.hardware(), cost, failure.clone(), limits);
    output.event("plan", &plan)?;
    print(&output, &plan)?;
    failure.map_or(Ok(()), |reason| Err(Error::Device(format!("this training does not fit the device: {reason}"))))
}

/// The settings, the network and the training part.
fn planned(args: &PlanArgs) -> Result<(Settings, Shape, Arc<Corpus>)> {
    let settings = args.settings.settings(&args.text_options, &args.recipe)?;
    if let Some(vocabulary) = args.vocabulary {
        let tokens = args.tokens_in_text.saturating_add(settings.context);
        require_memory(tokens.saturating_mul(4))?;
        let corpus = Arc::new(Corpus::from_stream(vec![0; tokens], settings.context));
        let settings = args.settings.settings_of(settings, corpus.len())?;
        return Ok((settings.clone(), settings.shape(vocabulary), corpus));
    }
    let texts = args.text_options.sources(args.text.clone()).read(settings.kind())?;
    let settings = args.settings.settings_for(settings, &texts)?;
    let data = texts.data(&settings.text_settings(), settings.context, None)?;
    Ok((settings.clone(), settings.shape(data.vocabulary.len()), data.train))
}

fn cost(engine: &mut dyn Engine, settings: &Settings, shape: Shape, corpus: &Arc<Corpus>) -> Result<Cost> {
    engine.load(&Parameters::zeros(shape))?;
    engine.cost(corpus.clone(), settings.batch_plan(corpus.len()), settings.recipe)
}

#[derive(Serialize)]
struct TensorSize {
    name: &'static str,
    sizes: Vec<usize>,
    parameters: usize,
}

#[derive(Serialize)]
struct Plan {
    #[serde(flatten)]
    hardware: Hardware,
    shape: Shape,
    batch: u32,
    steps: u64,
    predictions: usize,
    parameters: usize,
    tensors: Vec<TensorSize>,
    fits: bool,
    reason: Option<String>,
    #[serde(flatten)]
    cost: Option<Cost>,
    bytes: u64,
    flops: f64,
    least_bytes: f64,
    #[serde(flatten)]
    peak: Limits,
    floor_step_seconds: Option<f64>,
    floor_seconds: Option<f64>,
}

impl Plan {
    fn new(
        settings: &Settings,
        shape: Shape,
        predictions: usize,
        hardware: Hardware,
        cost: Option<Cost>,
        reason: Option<String>,
        peak: Limits,
    ) -> Self {
        let demand = Demand::of_step(shape, settings.batch as usize);
        let tensors = shape.tensors().into_iter();
        let size = |tensor: crate::model::Tensor| TensorSize {
            name: tensor.name,
            parameters: tensor.range.len(),
            sizes: tensor.sizes,
        };
        let floor = demand.seconds(peak);
        Plan {
            hardware,
            shape,
            batch: settings.batch,
            steps: settings.steps,
            predictions,
            parameters: shape.parameters(),
            tensors: tensors.map(size).collect(),
            fits: reason.is_none(),
            reason,
            bytes: cost.iter().flat_map(|cost| &cost.buffers).map(|memory| memory.bytes).sum(),
            cost,
            flops: demand.operations,
            least_bytes: demand.bytes,
            peak,
            floor_step_seconds: floor,
            floor_seconds: floor.map(|floor| floor * settings.steps as f64),
        }
    }
}

fn print(output: &Output, plan: &Plan) -> Result<()> {
    let Shape { vocabulary, context, embedding, hidden, .. } = plan.shape;
    output.text(format!(
        "network: {} tokens in the vocabulary, context {context}, embedding {embedding}, hidden {hidden}\n",
        grouped(vocabulary)
    ))?;
    let mut rows: Vec<_> = plan
        .tensors
        .iter()
        .map(|tensor| vec![tensor.name.to_owned(), format!("{:?}", tensor.sizes), grouped(tensor.parameters)])
        .collect();
    rows.push(vec!["all".to_owned(), String::new(), grouped(plan.parameters)]);
    output.text(table(&["tensor", "shape", "parameters"], &rows))?;
    if let Some(cost) = &plan.cost {
        let mut rows: Vec<_> = cost
            .buffers
            .iter()
            .map(|memory| vec![memory.kind.name().to_owned(), memory.name.clone(), grouped(memory.bytes as usize)])
            .collect();
        rows.push(vec!["all".to_owned(), String::new(), grouped(plan.bytes as usize)]);
        output.text(format!("\n{}", table(&["memory", "of", "bytes"], &rows)))?;
        output.text(format!("\npath: {}", cost.path))?;
    }
    output.text(format!(
        "a step of {} examples: {} multiplications and additions; at least {} bytes from and to memory",
        grouped(plan.batch as usize),
        grouped(plan.flops as usize),
        grouped(plan.least_bytes as usize)
    ))?;
    if let Some(Cost { dispatches: Some(dispatches), seen_bytes: Some(bytes), .. }) = &plan.cost {
        output.text(format!("  {dispatches} dispatches, which see {} bytes of buffers", grouped(*bytes as usize)))?;
    }
    let limits = plan.cost.iter().flat_map(|cost| &cost.limits);
    let rows: Vec<_> = limits
        .map(|bound| {
            let verdict = if bound.is_hit() { format!("HIT: {}", bound.consequence) } else { "ok".to_owned() };
            vec![bound.name.clone(), grouped(bound.asked as usize), grouped(bound.most as usize), verdict]
        })
        .collect();
    if !rows.is_empty() {
        output.text(format!("\n{}", table(&["limit", "asked", "at most", ""], &rows)))?;
    }
    let steps = grouped(plan.steps as usize);
    output.text(match (plan.floor_step_seconds, plan.floor_seconds) {
        (Some(step), Some(all)) => format!(
            "\n{steps} steps: at least {all:.1} s ({:.1} µs a step at the measured peak; a floor, a run takes longer)",
            step * 1e6
        ),
        _ => format!(
            "\n{steps} steps; the peak of this device is not measured, so there is no floor: see `gpu-mlp bench`"
        ),
    })
}
