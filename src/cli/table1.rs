//! `gpu-mlp table1`.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::options::{DeviceOptions, OutputOptions};
use super::text_options::TextOptions;
use super::{STOP, STOPPED};
use crate::engine::{Engine, mean_negative};
use crate::error::did_you_mean;
use crate::language_model::back_off::CUT_OFF;
use crate::language_model::mixture::mixed_log_probability;
use crate::language_model::trigram::ROUNDS;
use crate::language_model::{KneserNey, LanguageModel, Network, Trigram};
use crate::report::Output;
use crate::report::paper::{Figures, ROWS, Row, markdown};
use crate::report::progress::Display;
use crate::text::{Corpus, Data, Sources, TextSettings};
use crate::train::files::write_whole;
use crate::train::preset::{strict, warm_up_of};
use crate::train::{Config, Length, Outcome, Preset, Progress, RunDirectory, Settings, Trainer, first_state};
use crate::{Error, Result};

/// Every row of Table 1 of the paper on a text, each beside the paper's figures; ends with a Markdown table.
///
/// The networks have the paper's shapes and a recipe of today (--strict: the paper's own, which takes hours). The rows of a
/// pair share a network: mlp2 is mlp1 mixed half and half with the interpolated trigram, and so on. A table that was
/// stopped goes on where it was when the command is given again. Where all rows are asked for, the table is also written to
/// table1.md in the folder of the runs.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Table1Args {
    /// A UTF-8 text of words; blank lines are its paragraphs
    text: PathBuf,

    /// Some rows, apart by commas: mlp1 to mlp10, trigram, back-off-3, back-off-4, back-off-5 [default: all]
    #[arg(long, value_name = "ROWS", value_delimiter = ',', help_heading = "Table")]
    rows: Vec<String>,

    /// Where the runs and the table are kept
    #[arg(long, value_name = "DIR", default_value = "runs/table1", help_heading = "Table")]
    out: PathBuf,

    /// Train as the paper did: examples one by one in order, rate 1e-3 / (1 + 1e-8 t), at most 20 epochs, early stopping
    #[arg(long, help_heading = "Table")]
    strict: bool,

    /// How often each example is met, instead of the recipe's
    #[arg(long, value_name = "N", help_heading = "Table")]
    epochs: Option<f64>,

    /// Fixes every random choice
    #[arg(long, value_name = "N", default_value_t = 42, help_heading = "Table")]
    seed: u32,

    #[command(flatten)]
    options: TextOptions,

    #[command(flatten)]
    device: DeviceOptions,

    #[command(flatten)]
    output: OutputOptions,
}

const EXAMPLES: &str = "\
Examples:
  gpu-mlp table1 brown.txt
  gpu-mlp table1 brown.txt --rows mlp9,mlp10,trigram --cpu";

/// The weights of network and trigram in the mixed rows (the caption of Table 1).
const HALVES: [f64; 2] = [0.5, 0.5];

/// One row of the result.
#[derive(Clone, Debug, Serialize)]
struct Event {
    row: &'static str,
    /// Perplexities.
    #[serde(flatten)]
    found: Figures,
    /// Their logarithms: mean losses in nats a token.
    loss: Figures,
    /// The paper's, on its own text.
    paper: Figures,
    /// Epochs until the best validation; not for count models.
    epochs: Option<f64>,
    /// Seconds that the row took in this call: little where its network or trigram was there already.
    seconds: f64,
}

/// Log-probabilities of the targets of the three parts.
type Parts = [Option<Vec<f32>>; 3];

/// Runs the command; returns the exit code.
pub fn run(args: Table1Args) -> Result<u8> {
    let output = args.output.output();
    let rows = chosen(&args.rows)?;
    let length = args.epochs.map(Length::of_epochs).transpose().map_err(Error::usage)?;
    let text_settings = args.options.settings(Preset::Mlp1.text_settings(), args.seed)?;
    let sources = args.options.sources(Some(args.text.clone()));
    let absolute = sources.absolute()?;
    let texts = sources.read(text_settings.kind)?;
    let sha256 = texts.sha256();
    let data = texts.data(&text_settings, LONGEST_CONTEXT, None)?;
    let mut table = Table {
        text: TextIdentity { settings: text_settings, sources: absolute, sha256 },
        output,
        args: &args,
        length,
        data,
        trigram: None,
        network: None,
        done: Vec::new(),
    };
    for row in rows {
        let start = std::time::Instant::now();
        let Some((found, epochs)) = table.row(row)? else {
            output
                .message(format!("stopped; everything is saved. Go on with the same command ({})", args.out.display()));
            return Ok(STOPPED);
        };
        let event = Event {
            row: row.name,
            found,
            loss: found.map(f64::ln),
            paper: row.paper,
            epochs,
            seconds: start.elapsed().as_secs_f64(),
        };
        output.event("row", &event)?;
        output.message(beside(&event));
        table.done.push(event);
    }
    let rows: Vec<(&Row, Figures)> = table.done.iter().map(|event| (find(event.row), event.found)).collect();
    let text = markdown(&rows, table.data.vocabulary.len());
    if args.rows.is_empty() {
        write_whole(&args.out.join("table1.md"), text.as_bytes())?;
    }
    output.text(&text)?;
    Ok(0)
}

/// The paper's n is at most 5.
const LONGEST_CONTEXT: usize = 4;

fn find(name: &str) -> &'static Row {
    ROWS.iter().find(|row| row.name == name).expect("a row of the table")
}

/// The rows that are asked for, in the order of the table.
fn chosen(names: &[String]) -> Result<Vec<&'static Row>> {
    let can = |row: &&Row| row.network.is_some() || row.order.is_some();
    if let Some(name) = names.iter().find(|name| !ROWS.iter().filter(can).any(|row| row.name == name.as_str())) {
        let known: Vec<&str> = ROWS.iter().filter(can).map(|row| row.name).collect();
        let meant = did_you_mean(name, known.iter().copied());
        return Err(Error::usage(format!("--rows has no {name:?}: choose from {}{meant}", known.join(", "))));
    }
    let asked = |row: &&Row| names.is_empty() || names.iter().any(|name| name == row.name);
    Ok(ROWS.iter().filter(can).filter(asked).collect())
}

/// A row for people, beside the paper's.
fn beside(event: &Event) -> String {
    let figure = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.1}"));
    let three = |figures: Figures| {
        format!("{:>7} {:>7} {:>7}", figure(figures.train), figure(figures.valid), figure(figures.test))
    };
    format!(
        "{:<10}  train, valid, test {}   the paper's {}   {:.0} s",
        event.row,
        three(event.found),
        three(event.paper),
        event.seconds
    )
}

/// What a run says about its text.
struct TextIdentity {
    settings: TextSettings,
    sources: Sources,
    sha256: Vec<String>,
}

struct Table<'a> {
    args: &'a Table1Args,
    /// How long the networks train, where it is not the recipe's length.
    length: Option<Length>,
    output: Output,
    text: TextIdentity,
    data: Data,
    /// What the trigram says of the parts, once it was needed.
    trigram: Option<Parts>,
    /// What the last network says of them: the next row may be its pair.
    network: Option<(Preset, Parts, f64)>,
    done: Vec<Event>,
}

impl Table<'_> {
    /// Perplexities of a row and its epochs; `None` where the user stopped it.
    fn row(&mut self, row: &Row) -> Result<Option<(Figures, Option<f64>)>> {
        let vocabulary = self.data.vocabulary.len();
        let Some(preset) = row.network else {
            let order = row.order.expect("a network or an order");
            let parts = if row.name == "trigram" {
                self.trigram()?
            } else {
                let mut model = KneserNey::back_off(&self.data.train, order, vocabulary, CUT_OFF);
                log_probabilities(&mut model, &self.data)?
            };
            return Ok(Some((figures(&parts), None)));
        };
        if self.network.as_ref().is_none_or(|(of, ..)| *of != preset) {
            // An engine holds networks of one shape.
            let mut engine = self.args.device.open(&self.output)?;
            match self.train(preset, engine.as_mut())? {
                Some((parts, epochs)) => self.network = Some((preset, parts, epochs)),
                None => return Ok(None),
            }
        }
        let trigram = if row.mixed { Some(self.trigram()?) } else { None };
        let (_, parts, epochs) = self.network.as_ref().expect("it was just trained");
        let found = match trigram {
            Some(trigram) => figures(&mixed(parts, &trigram)),
            None => figures(parts),
        };
        Ok(Some((found, Some(*epochs))))
    }

    fn trigram(&mut self) -> Result<Parts> {
        if self.trigram.is_none() {
            let valid = self.data.valid.as_ref();
            let mut model = Trigram::new(&self.data.train, valid, self.data.vocabulary.len(), ROUNDS);
            self.trigram = Some(log_probabilities(&mut model, &self.data)?);
        }
        Ok(self.trigram.clone().expect("it was just made"))
    }

    /// Trains a network, or goes on with it; then what its best model says of the parts, and the epochs until it.
    fn train(&self, preset: Preset, engine: &mut dyn Engine) -> Result<Option<(Parts, f64)>> {
        let settings = self.settings(preset);
        settings.check().map_err(Error::usage)?;
        let data = self.data.shortened(settings.context);
        let (directory, begun) = self.directory(&settings, engine)?;
        let (state, progress) = match begun {
            Some((state, progress)) => (state, progress),
            None => (first_state(&settings, &data), Progress::default()),
        };
        let name = preset.name();
        let at = if progress.step == 0 { String::new() } else { format!(" from step {} on", progress.step) };
        self.output.message(format!("{name}: {} steps{at}, {}", settings.steps, directory.path().display()));
        let mut trainer = Trainer::new(engine, &data, &settings, &directory, &state, progress.clone())?;
        if progress.step == 0 {
            trainer.save_last()?;
        }
        let mut display = Display::new(Output { json: false, ..self.output }, settings.steps, progress.step);
        let outcome = trainer.run(&STOP, &mut display);
        display.finish();
        if outcome? == Outcome::Stopped {
            return Ok(None);
        }
        let best = directory.read_best()?;
        let step = best.progress.best.map_or(best.progress.step, |best| best.step);
        let epochs = step as f64 * f64::from(settings.batch) / data.train.len() as f64;
        let parts = log_probabilities(&mut Network::new(engine, &best.state.parameters)?, &data)?;
        Ok(Some((parts, epochs)))
    }

    /// The settings of a row's network.
    fn settings(&self, preset: Preset) -> Settings {
        let (settings, length) = preset.settings();
        let (settings, length) = if self.args.strict { strict(settings) } else { (settings, length) };
        let examples = self.data.train.len() as f64;
        let TextIdentity { settings: text, sha256, .. } = &self.text;
        let length = self.length.unwrap_or(length);
        let steps = length.steps(examples, settings.batch);
        let eval_every = steps.div_ceil(VALIDATIONS);
        let warm_up = warm_up_of(settings.warm_up, steps);
        Settings {
            seed: self.args.seed,
            steps,
            warm_up,
            eval_every,
            report_every: eval_every,
            text_sha256: sha256.clone(),
            ..settings
        }
        .with_text(text)
    }

    /// The directory of a row's run, with its last state where it was begun.
    fn directory(
        &self,
        settings: &Settings,
        engine: &dyn Engine,
    ) -> Result<(RunDirectory, Option<(crate::engine::State, Progress)>)> {
        let name = settings.preset.name();
        let path = self.args.out.join(if self.args.strict { format!("{name}-strict") } else { name });
        if !path.join(crate::train::directory::CONFIG).exists() {
            let version = env!("CARGO_PKG_VERSION").to_owned();
            let (sources, settings) = (self.text.sources.clone(), settings.clone());
            let config = Config { version, device: engine.hardware().choice(), sources, settings };
            return Ok((RunDirectory::create(&path, &config)?, None));
        }
        let (mut directory, config) = RunDirectory::open(&path)?;
        directory.lock()?;
        if config.settings != *settings {
            return Err(other_settings(&path));
        }
        if config.device != engine.hardware().choice() {
            self.output.message(format!(
                "note: the run in {} began on {}; on another device it ends in nearly the same model, not in the same bytes",
                path.display(),
                config.device
            ));
        }
        let last = directory.read_state(settings)?;
        directory.truncate_metrics(last.as_ref().map_or(0, |(_, progress)| progress.step))?;
        Ok((directory, last))
    }
}

/// Validations a run: each reads 200,000 tokens, a twentieth of an epoch's work.
const VALIDATIONS: u64 = 10;

fn other_settings(path: &Path) -> Error {
    Error::content(
        path,
        "holds a run with other settings or of another text: choose another --out, or give the same options",
    )
}

fn log_probabilities(model: &mut dyn LanguageModel, data: &Data) -> Result<Parts> {
    let mut of = |corpus: Option<&Corpus>| corpus.map(|corpus| model.log_probabilities(corpus)).transpose();
    let [train, valid, test] = data.parts().map(|(_, corpus)| of(corpus));
    Ok([train?, valid?, test?])
}

/// Half the network, half the trigram.
fn mixed(network: &Parts, trigram: &Parts) -> Parts {
    let mix = |network: &Option<Vec<f32>>, trigram: &Option<Vec<f32>>| {
        let pairs = network.as_ref()?.iter().zip(trigram.as_ref()?);
        Some(pairs.map(|(&a, &b)| mixed_log_probability(&HALVES, &[a, b])).collect())
    };
    std::array::from_fn(|part| mix(&network[part], &trigram[part]))
}

fn figures(parts: &Parts) -> Figures {
    let [train, valid, test] = parts.each_ref().map(|part| part.as_ref().map(|part| mean_negative(part).exp()));
    Figures { train, valid, test }
}
