//! `gpu-mlp plot`.

mod insides;

use std::path::{Path, PathBuf};

use clap::Args;
use serde::{Deserialize, Serialize};

use super::options::{DeviceOptions, LoadedModel, OutputOptions};
use crate::model::ModelFile;
use crate::model::principal::principal_axes;
use crate::model::shape::EMBEDDING_WEIGHT;
use crate::report::output::grouped;
use crate::report::plot::{Baseline, Curves, Embedding, Picture, PictureFormat, Token, save};
use crate::report::{Output, summary};
use crate::text::{Data, Vocabulary};
use crate::train::RunDirectory;
use crate::train::directory::{METRICS, MODEL};
use crate::{Error, Result};

/// Pictures of a run: losses, embedding map, hidden units, gradients, updates
///
/// losses      training and validation loss beside count models, and the learning rate
/// embedding   each token where its vector lies: its two numbers, or the principal axes of more
/// hidden      histogram of the hidden activations
/// saturation  hidden units by examples, white where tanh is flat; dead units are marked
/// gradients   mean, deviation and histogram of each matrix's gradient on one batch
/// updates     log10 of update over weight of each matrix: ten more steps of the run's own rule
///
/// Without the run's text there are the first two alone, and no count models.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub struct PlotArgs {
    /// A run directory
    run: PathBuf,

    /// Where the pictures go [default: the run directory]
    #[arg(long, value_name = "DIR", help_heading = "Pictures")]
    out: Option<PathBuf>,

    /// The files to write
    #[arg(long, value_name = "FORMAT", default_value = "both", help_heading = "Pictures")]
    format: PictureFormat,

    #[command(flatten)]
    device: DeviceOptions,

    #[command(flatten)]
    output: OutputOptions,
}

const EXAMPLES: &str = "\
Examples:
  gpu-mlp plot runs/first
  gpu-mlp plot runs/words --out pictures --format png --json";

/// Most tokens on the map: more cannot be read.
const MOST_TOKENS: usize = 200;

/// The fields of a report that are drawn.
#[derive(Deserialize)]
struct Report {
    step: f64,
    loss: f64,
    valid: Option<f64>,
    rate: f64,
}

struct Drawing<'a> {
    output: Output,
    folder: PathBuf,
    format: PictureFormat,
    model: &'a ModelFile,
    /// Where the model lies.
    file: &'a Path,
}

/// Runs the command.
pub fn run(args: PlotArgs) -> Result<()> {
    let output = args.output.output();
    let (directory, config) = RunDirectory::open(&args.run)?;
    let reports = read_reports(&args.run.join(METRICS), &output)?;
    let loaded = LoadedModel::read(&args.run)?;
    if loaded.model.settings != config.settings {
        let reason = format!("config.toml and {MODEL} differ in their settings: put config.toml back as it was");
        return Err(Error::content(&args.run, reason));
    }
    let folder = args.out.unwrap_or_else(|| args.run.clone());
    let drawing = Drawing { output, folder, format: args.format, model: &loaded.model, file: loaded.file() };
    let data = match loaded.data(loaded.model.settings.context, "the pictures that need it are left out") {
        Ok(data) => Some(data),
        Err(error) => {
            output.message(format!("note: {error}"));
            None
        }
    };
    let has_validation = config.sources.valid.is_some() || config.settings.split.has_validation();
    drawing.losses(&reports, data.as_ref(), has_validation)?;
    drawing.embedding(data.as_ref())?;
    if let Some(data) = &data {
        drawing.require_memory()?;
        let mut engine = args.device.open(&output)?;
        drawing.activations(engine.as_mut(), data)?;
        drawing.gradients(engine.as_mut(), data)?;
        drawing.updates(engine.as_mut(), data, &directory, &config.settings)?;
    }
    Ok(())
}

fn read_reports(path: &Path, output: &Output) -> Result<Vec<Report>> {
    let bytes = std::fs::read(path).map_err(|source| Error::file(path, "read", source))?;
    let text = String::from_utf8_lossy(&bytes);
    let reports: Vec<Report> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let unread = text.lines().count() - reports.len();
    if unread > 0 {
        output.message(format!("note: {}: {unread} lines are no reports and are left out", path.display()));
    }
    if reports.is_empty() {
        return Err(Error::content(
            path,
            "has no reports yet: wait for the run's first one, or look at its --report-every",
        ));
    }
    Ok(reports)
}

impl Drawing<'_> {
    /// Writes a picture, and says what it shows.
    fn show(&self, picture: &impl Picture, text: &str, numbers: impl Serialize) -> Result<()> {
        #[derive(Serialize)]
        struct Plot<N> {
            picture: &'static str,
            files: Vec<String>,
            #[serde(flatten)]
            numbers: N,
        }
        let files = save(picture, &self.folder, self.format)?;
        let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        self.output.text(format!("{}\n  {text}", files.join(", ")))?;
        self.output.event("plot", &Plot { picture: picture.name(), files, numbers })
    }

    fn losses(&self, reports: &[Report], data: Option<&Data>, has_validation: bool) -> Result<()> {
        #[derive(Serialize)]
        struct Numbers<'a> {
            reports: usize,
            /// Without one, `best_valid` is a loss of the whole training part.
            has_validation: bool,
            best_step: Option<u64>,
            best_valid: Option<f64>,
            baselines: Vec<(&'a str, f64)>,
        }
        let best = self.model.progress.best;
        let points = |of: fn(&Report) -> Option<f64>| -> Vec<(f64, f64)> {
            reports.iter().filter_map(|report| Some((report.step, of(report)?))).collect()
        };
        let mut baselines = Vec::new();
        if let Some(data) = data
            && let Some(valid) = &data.valid
        {
            for (name, mut model) in summary::baselines(&self.output, data) {
                let loss = crate::engine::mean_negative(&model.log_probabilities(valid)?);
                baselines.push(Baseline { name, loss });
            }
        }
        let curves = Curves {
            train: points(|report| Some(report.loss)),
            valid: points(|report| report.valid),
            has_validation,
            rate: points(|report| Some(report.rate)),
            best: best.map(|best| (best.step as f64, best.valid)),
            baselines,
        };
        let part =
            if has_validation { "validation loss" } else { "loss of the training part (there is no validation part)" };
        let best_text = best.map_or("no validation yet".to_owned(), |best| {
            format!("best {part} {:.4} at step {}", best.valid, grouped(best.step as usize))
        });
        let lines = curves.baselines.iter().map(|baseline| format!("; {} {:.4}", baseline.name, baseline.loss));
        let numbers = Numbers {
            reports: reports.len(),
            has_validation,
            best_step: best.map(|best| best.step),
            best_valid: best.map(|best| best.valid),
            baselines: curves.baselines.iter().map(|baseline| (baseline.name.as_str(), baseline.loss)).collect(),
        };
        self.show(&curves, &format!("{best_text}{}", lines.collect::<String>()), numbers)
    }

    fn embedding(&self, data: Option<&Data>) -> Result<()> {
        #[derive(Serialize)]
        struct Numbers {
            /// Those on the map, of so many in the vocabulary.
            tokens: usize,
            vocabulary: usize,
            /// How many have their text beside them: no two overlap.
            labelled: usize,
            /// How many the built-in font lacks.
            without_glyphs: usize,
            /// The share of the variance on the two axes; empty where the vectors have two numbers.
            variance: Option<[f64; 2]>,
        }
        let parameters = self.model.state.best();
        let shape = parameters.shape();
        if shape.embedding < 2 {
            self.output.message("note: an embedding of one number has no map");
            return Ok(());
        }
        let vocabulary = &self.model.vocabulary;
        let mut ids: Vec<usize> = (0..shape.vocabulary).collect();
        if let Some(data) = data {
            let counts = data.train.target_counts(shape.vocabulary);
            ids.sort_by_key(|&id| std::cmp::Reverse(counts[id]));
        }
        ids.truncate(MOST_TOKENS);
        let (_, values) = parameters
            .tensors()
            .find(|(tensor, _)| tensor.name == EMBEDDING_WEIGHT)
            .expect("every network has an embedding");
        let (places, variance) = if shape.embedding == 2 {
            (values.chunks_exact(2).map(|pair| [f64::from(pair[0]), f64::from(pair[1])]).collect(), None)
        } else {
            let (places, variance) = principal_axes(values, shape.embedding);
            (places, Some(variance))
        };
        let tokens = ids.iter().map(|&id| Token::new(id, shown(vocabulary, id), places[id])).collect();
        let failed = |error| Error::content(&self.folder, format!("the map cannot be drawn: {error}"));
        let embedding = Embedding::new(tokens, shape.vocabulary, variance, data.is_some()).map_err(failed)?;
        let (tokens, labelled, which) = (embedding.count(), embedding.labelled(), embedding.which());
        let text = match variance {
            None => format!("{which} where their two numbers say, {labelled} of them with labels"),
            Some([first, second]) => format!(
                "{which}, {labelled} of them with labels; the axes hold {:.1} % and {:.1} % of the variance",
                first * 100.0,
                second * 100.0
            ),
        };
        let without_glyphs = embedding.without_glyphs().count();
        if let Some((token, stand_in)) = embedding.without_glyphs().next()
            && self.format != PictureFormat::Svg
        {
            self.output.message(format!(
                "note: the built-in font lacks characters of {without_glyphs} of {tokens} tokens, \"{token}\" for instance, \
                 which is {stand_in} in embedding.png: their code points or numbers stand for them. An SVG (--format svg) \
                 shows them in the viewer's fonts"
            ));
        }
        let vocabulary = shape.vocabulary;
        self.show(&embedding, &text, Numbers { tokens, vocabulary, labelled, without_glyphs, variance })
    }
}

/// A token as a picture shows it.
fn shown(vocabulary: &Vocabulary, id: usize) -> String {
    let token = &vocabulary.tokens()[id];
    if vocabulary.end() == Some(id as u32) {
        return vocabulary.shown(id as u32);
    }
    // The last two are no characters of XML: an SVG with one of them does not open.
    let hidden = |character: char| character.is_control() || matches!(character, '\u{fffe}' | '\u{ffff}');
    if token.chars().all(char::is_whitespace) || token.chars().any(hidden) {
        token.escape_debug().to_string().replace(' ', "\u{2423}")
    } else {
        token.clone()
    }
}
