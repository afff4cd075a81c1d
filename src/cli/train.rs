//! `gpu-mlp train`.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::options::{DeviceOptions, OutputOptions};
use super::recipe_options::RecipeOptions;
use super::settings::SettingArgs;
use super::text_options::TextOptions;
use super::{STOP, STOPPED};
use crate::engine::{DeviceChoice, Engine, Hardware, Kernels, State};
use crate::error::shell_word;
use crate::language_model::Network;
use crate::report::dashboard::{self, Dashboard};
use crate::report::output::grouped;
use crate::report::tensorboard::TensorBoard;
use crate::report::{Display, Output, summary};
use crate::text::{Corpus, Data, Sources};
use crate::train::directory::MODEL;
use crate::train::history::{self, Entry};
use crate::train::{Config, Losses, Observer, Outcome, Preset, Progress, RunDirectory, Settings, Trainer, first_state};
use crate::{Error, Result};

/// Train a model: on TEXT, characters or words, lines or a running text, or on the names built into the program.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, allow_negative_numbers = true)]
pub struct TrainArgs {
    /// A UTF-8 text [default: the built-in names]
    text: Option<PathBuf>,

    // Beside the other settings and not among them: a group with a flattened struct has no members for --resume to
    // conflict with.
    #[command(flatten)]
    text_options: TextOptions,

    #[command(flatten)]
    recipe: RecipeOptions,

    #[command(flatten)]
    settings: SettingArgs,

    /// Directory for the run [default: runs/DATE-PRESET]
    #[arg(long, value_name = "DIR", help_heading = "Run", conflicts_with = "resume")]
    out: Option<PathBuf>,

    /// Go on with a run exactly where it stopped; its settings stay as they are
    #[arg(long, value_name = "DIR", help_heading = "Run", conflicts_with_all = ["SettingArgs", "RecipeOptions", "TextOptions"])]
    resume: Option<PathBuf>,

    /// A live view on the terminal: curves, samples, and keys to stop, save, sample and halve the rate
    #[arg(long, help_heading = "Run")]
    dashboard: bool,

    /// Write the reports as an event file for TensorBoard into the run's directory, too
    #[arg(long, help_heading = "Run")]
    tensorboard: bool,

    #[command(flatten)]
    device: DeviceOptions,

    #[command(flatten)]
    output: OutputOptions,
}

const EXAMPLES: &str = "\
Examples:
  gpu-mlp train
      the built-in names, the lecture's network, on the best device
  gpu-mlp train --cpu --steps 20000 --hidden 300 --out runs/wide
      some settings changed, on the CPU, in a directory of your choice
  gpu-mlp train book.txt --tokens words --text stream --min-count 3 --context 4 --embedding 30 --batch 256
      a language model of a running text of words
  gpu-mlp train --resume runs/wide
      after Ctrl-C (exit code 130): on to the same result as if it had never stopped";

/// A run before its first step of this call.
struct Begun {
    directory: RunDirectory,
    settings: Settings,
    data: Data,
    state: State,
    progress: Progress,
}

/// Runs the command; returns the exit code.
pub fn run(args: TrainArgs) -> Result<u8> {
    let output = args.output.output();
    if args.dashboard {
        dashboard::require_terminal()?;
    }
    // The device before the run directory: where there is none, nothing is left behind.
    let prepared = Prepared::new(&args)?;
    let choice = prepared.device(&args, &output)?;
    let mut engine = args.device.open_choice(&choice, &output)?;
    let begun = prepared.begin(&args, &engine.hardware())?;
    let Begun { directory, settings, data, state, progress } = &begun;
    let mut trainer = Trainer::new(engine.as_mut(), data, settings, directory, state, progress.clone())?;
    start(&output, trainer.engine(), &begun)?;
    history::append(directory.path(), &Entry::began(trainer.engine().hardware(), progress.step))?;
    if progress.step == 0 {
        // From here on the run can be resumed, whatever happens.
        trainer.save_last()?;
    }
    let path = args.tensorboard.then(|| directory.path());
    let outcome = if args.dashboard {
        let mut dashboard = Dashboard::on_terminal(output, settings.steps, &STOP)?;
        run_logged(&mut trainer, path, &mut dashboard)
    } else {
        let mut display = Display::new(output, settings.steps, progress.step);
        let outcome = run_logged(&mut trainer, path, &mut display);
        display.finish();
        outcome
    };
    let (seconds, steps) = trainer.effort();
    history::append(directory.path(), &Entry::ended(trainer.progress().step, seconds))?;
    match outcome? {
        Outcome::Stopped => stopped(&output, directory, trainer.progress().step),
        Outcome::Finished => {
            let losses = trainer.final_losses()?;
            let progress = trainer.progress().clone();
            done(&output, engine.as_mut(), &begun, &Done { losses, seconds, steps, progress })
        }
    }
}

/// Trains; with a directory, the reports go into an event file there as well.
fn run_logged(trainer: &mut Trainer, directory: Option<&Path>, observer: &mut dyn Observer) -> Result<Outcome> {
    match directory {
        Some(directory) => trainer.run(&STOP, &mut TensorBoard::new(directory, observer)?),
        None => trainer.run(&STOP, observer),
    }
}

/// Everything that can be wrong is found before a device is opened or a directory made.
enum Prepared {
    New(Box<(Sources, Settings, Data)>),
    /// With the device that the run began on.
    Resumed(Box<(Begun, String)>),
}

impl Prepared {
    fn new(args: &TrainArgs) -> Result<Self> {
        let Some(path) = &args.resume else {
            let settings = args.settings.settings(&args.text_options, &args.recipe)?;
            let sources = args.text_options.sources(args.text.clone());
            let absolute = sources.absolute()?;
            let texts = sources.read(settings.kind())?;
            let settings = args.settings.settings_for(settings, &texts)?;
            let data = texts.data(&settings.text_settings(), settings.context, None)?;
            let shape = settings.shape(data.vocabulary.len());
            shape.check().map_err(Error::usage)?;
            require_memory(shape.training_bytes(settings.batch as usize))?;
            return Ok(Prepared::New(Box::new((absolute, settings, data))));
        };
        let (mut directory, config) = RunDirectory::open(path)?;
        directory.lock()?;
        let mut sources = config.sources;
        if args.text.is_some() {
            sources.text = args.text.clone();
        }
        let texts = sources.read(config.settings.kind()).map_err(|error| match &args.text {
            None => moved(error, &sources, path),
            Some(_) => error,
        })?;
        texts.expect(&config.settings.text_sha256)?;
        let data = texts.data(&config.settings.text_settings(), config.settings.context, None)?;
        let begun = directory.read_state(&config.settings)?;
        let (state, progress) = begun.unwrap_or_else(|| (first_state(&config.settings, &data), Progress::default()));
        let (settings, device) = (config.settings, config.device);
        Ok(Prepared::Resumed(Box::new((Begun { directory, settings, data, state, progress }, device))))
    }

    /// The device that is asked for; on a resume without one, the one that the run began on.
    fn device(&self, args: &TrainArgs, output: &Output) -> Result<DeviceChoice> {
        let Prepared::Resumed(resumed) = self else { return Ok(args.device.choice()) };
        let began_on: DeviceChoice = resumed.1.parse().map_err(Error::Usage)?;
        let choice = args.device.given().unwrap_or_else(|| began_on.clone());
        if choice != began_on {
            output.message(format!(
                "note: the run began on {began_on}; on {choice} it ends in nearly the same model, not in the same bytes"
            ));
        }
        Ok(choice)
    }

    fn begin(self, args: &TrainArgs, hardware: &Hardware) -> Result<Begun> {
        let (sources, settings, data) = match self {
            Prepared::Resumed(resumed) => {
                resumed.0.directory.truncate_metrics(resumed.0.progress.step)?;
                return Ok(resumed.0);
            }
            Prepared::New(new) => *new,
        };
        let path = args.out.clone().unwrap_or_else(|| RunDirectory::default_path(&settings.preset.name()));
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let config = Config { version, device: hardware.choice(), sources, settings };
        let directory = RunDirectory::create(&path, &config)?;
        let state = first_state(&config.settings, &data);
        Ok(Begun { directory, settings: config.settings, data, state, progress: Progress::default() })
    }
}

/// Says what to do where a run's text is not where it was.
fn moved(error: Error, sources: &Sources, run: &Path) -> Error {
    let run = shell_word(run);
    match error {
        Error::File { path, source, .. } if source.kind() == std::io::ErrorKind::NotFound => Error::content(
            &path,
            if sources.text.as_ref() == Some(&path) {
                format!(
                    "the run's text is not there any more. Put it back, or say where it is: gpu-mlp train TEXT --resume {run}"
                )
            } else {
                format!("a text of the run is not there any more: put it back, or correct config.toml in {run}")
            },
        ),
        other => other,
    }
}

/// Asks for the memory of a run before anything is written, so that too little of it is a message and not an abort.
pub(super) fn require_memory(bytes: usize) -> Result<()> {
    require_memory_of("training needs", bytes, "Choose a smaller --batch, --hidden, --embedding or --context")
}

/// The same for whatever needs it; the message ends with what to do.
pub(super) fn require_memory_of(need: &str, bytes: usize, remedy: &str) -> Result<()> {
    Vec::<u8>::new()
        .try_reserve_exact(bytes)
        .map_err(|_| Error::Device(format!("out of memory: {need} about {} MB. {remedy}", grouped(bytes / 1_000_000))))
}

#[derive(Serialize)]
struct Tokens {
    train: usize,
    valid: usize,
    test: usize,
}

fn start(output: &Output, engine: &dyn Engine, begun: &Begun) -> Result<()> {
    #[derive(Serialize)]
    struct Start<'a> {
        #[serde(flatten)]
        hardware: Hardware,
        preset: Preset,
        parameters: usize,
        vocabulary: usize,
        tokens: Tokens,
        run: String,
        step: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        kernels: Option<Kernels>,
        config: &'a Settings,
    }
    let Begun { directory, settings, data, state, progress } = begun;
    let length = |corpus: Option<&Corpus>| corpus.map_or(0, |corpus| corpus.len());
    let [train, valid, test] = data.parts().map(|(_, corpus)| length(corpus));
    let (count, vocabulary) = (state.parameters.values.len(), data.vocabulary.len());
    output.message(format!(
        "{} parameters, {vocabulary} tokens in the vocabulary; {} / {} / {} to predict in train / valid / test",
        grouped(count),
        grouped(train),
        grouped(valid),
        grouped(test),
    ));
    output.message(format!(
        "run: {}{}",
        directory.path().display(),
        match progress.step {
            0 => String::new(),
            step => format!(", going on at step {}", grouped(step as usize)),
        }
    ));
    output.event(
        "start",
        &Start {
            hardware: engine.hardware(),
            preset: settings.preset,
            parameters: count,
            vocabulary,
            tokens: Tokens { train, valid, test },
            run: directory.path().display().to_string(),
            step: progress.step,
            kernels: engine.kernels(),
            config: settings,
        },
    )
}

fn stopped(output: &Output, directory: &RunDirectory, step: u64) -> Result<u8> {
    #[derive(Serialize)]
    struct Stopped {
        step: u64,
        run: String,
    }
    let run = directory.path().display().to_string();
    output.message(format!("stopped at step {}; everything is saved. Go on with:", grouped(step as usize)));
    output.message(format!("  gpu-mlp train --resume {}", shell_word(directory.path())));
    output.event("stopped", &Stopped { step, run })?;
    Ok(STOPPED)
}

struct Done {
    losses: Losses,
    seconds: f64,
    steps: u64,
    progress: Progress,
}

fn done(output: &Output, engine: &mut dyn Engine, begun: &Begun, done: &Done) -> Result<u8> {
    #[derive(Serialize)]
    struct Event {
        steps: u64,
        seconds: f64,
        steps_per_second: f64,
        examples_per_second: f64,
        #[serde(flatten)]
        losses: Losses,
        perplexity: Losses,
        best_step: u64,
        parameters: usize,
        #[serde(flatten)]
        hardware: Hardware,
        run: String,
        model: String,
    }
    for choice in engine.choices() {
        output.detail(format!("measured on this device: {choice}"));
    }
    let Begun { directory, settings, data, state, .. } = begun;
    let steps_per_second = if done.steps == 0 { 0.0 } else { done.steps as f64 / done.seconds };
    let best_step = done.progress.best.map_or(0, |best| best.step);
    let model = directory.path().join(MODEL);
    output.event(
        "done",
        &Event {
            steps: done.progress.step,
            seconds: done.seconds,
            steps_per_second,
            examples_per_second: steps_per_second * f64::from(settings.batch),
            losses: done.losses,
            perplexity: done.losses.perplexity(),
            best_step,
            parameters: state.parameters.values.len(),
            hardware: engine.hardware(),
            run: directory.path().display().to_string(),
            model: model.display().to_string(),
        },
    )?;
    if output.json {
        return Ok(0);
    }
    output.message(format!(
        "trained {} steps in {:.1} s: {} steps/s, {} examples/s\n",
        grouped(done.steps as usize),
        done.seconds,
        grouped(steps_per_second as usize),
        grouped((steps_per_second * f64::from(settings.batch)) as usize),
    ));
    summary::losses(output, data, &done.losses, &format!("this network (step {})", grouped(best_step as usize)))?;
    // The final losses left the best model on the engine.
    let best = engine.parameters()?;
    summary::samples(output, data, &mut Network::new(engine, &best)?, settings.seed)?;
    output.text(format!("\nmodel: {}\nmore:  gpu-mlp sample {}", model.display(), shell_word(directory.path())))?;
    Ok(0)
}
