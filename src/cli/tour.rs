//! `gpu-mlp tour`.

mod network;
mod text;

use std::sync::Arc;

use clap::Args;
use serde::Serialize;
use serde_json::Value;

use super::options::{DeviceOptions, OutputOptions};
use crate::Result;
use crate::engine::{Engine, Examination};
use crate::model::initial::initial;
use crate::model::{Init, Parameters, Shape};
use crate::text::{Corpus, Sources, Vocabulary};
use crate::train::Preset;

/// How the network works, step by step on "emma" and "olivia", with numbers that your device computes on the spot.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct TourArgs {
    /// Show one section alone
    #[arg(long, value_name = "N", help_heading = "Tour", value_parser = clap::value_parser!(u8).range(1..=SECTIONS.len() as i64))]
    section: Option<u8>,

    /// Fixes the first values of the parameters
    #[arg(long, value_name = "N", help_heading = "Tour", default_value_t = 42)]
    seed: u32,

    #[command(flatten)]
    device: DeviceOptions,

    #[command(flatten)]
    output: OutputOptions,
}

const EXAMPLES: &str = "\
Examples:
  gpu-mlp tour
  gpu-mlp tour --section 6
  gpu-mlp tour --device vulkan
      the same numbers, from a GPU
  gpu-mlp tour --cpu --json";

/// The two names that are looked at.
const NAMES: [&str; 2] = ["emma", "olivia"];

/// Characters of a line.
const WIDTH: usize = 96;

/// What the sections look at.
struct Tour<'a> {
    engine: &'a mut dyn Engine,
    vocabulary: Vocabulary,
    shape: Shape,
    seed: u32,
    /// The first values, which the engine holds at the beginning of every section.
    parameters: Parameters,
    /// The examples of the two names.
    corpus: Arc<Corpus>,
    /// What the engine makes of them.
    examined: Examination,
}

/// What a section says, to people and to programs.
struct Section {
    text: String,
    values: Value,
}

type Write = fn(&mut Tour) -> Result<Section>;

/// Titles and contents, in order.
const SECTIONS: [(&str, Write); 9] = [
    ("Two names become twelve questions", text::examples),
    ("A letter becomes a point: looking up a row is a product with a one-hot vector", text::embedding),
    ("Three points side by side: a view moves no numbers", text::views),
    ("A hidden layer: weighted sums, squashed", network::hidden),
    ("From logits to counts to probabilities", network::probabilities),
    ("Why the largest logit is taken away first", network::overflow),
    ("One number for how wrong it is", network::loss),
    ("Ten steps downhill", network::descent),
    ("Where to go from here", network::next),
];

/// Runs the command.
pub fn run(args: TourArgs) -> Result<()> {
    #[derive(Serialize)]
    struct Event {
        step: usize,
        title: &'static str,
        #[serde(flatten)]
        values: Value,
    }
    let output = args.output.output();
    let mut engine = args.device.open(&output)?;
    let mut tour = Tour::new(engine.as_mut(), args.seed)?;
    for (step, (title, write)) in (1..).zip(SECTIONS) {
        if args.section.is_some_and(|section| usize::from(section) != step) {
            continue;
        }
        let Section { text, values } = write(&mut tour)?;
        output.event("tour", &Event { step, title, values })?;
        output.text(format!("{step}. {title}\n{}\n\n{}\n", "-".repeat(title.len() + 3), wrapped(text.trim_end())))?;
    }
    Ok(())
}

impl<'a> Tour<'a> {
    fn new(engine: &'a mut dyn Engine, seed: u32) -> Result<Self> {
        let settings = Preset::Notebook.settings().0;
        let data = Sources::default().read(settings.kind())?.data(&settings.text_settings(), settings.context, None)?;
        let vocabulary = data.vocabulary;
        let names = NAMES.map(|name| vocabulary.encode(name).expect("the built-in names have all letters"));
        let corpus = Arc::new(Corpus::from_lines(&names, settings.context));
        let shape = settings.shape(vocabulary.len());
        let parameters = initial(shape, Init::Lecture, seed, &[]);
        engine.load(&parameters)?;
        let examined = engine.examine(&corpus)?;
        Ok(Tour { engine, vocabulary, shape, seed, parameters, corpus, examined })
    }

    /// A token as it is shown.
    fn token(&self, id: u32) -> &str {
        &self.vocabulary.tokens()[id as usize]
    }

    /// The context of an example, as it is shown.
    fn context(&self, example: usize) -> String {
        self.corpus.context_of(example).iter().map(|&id| self.token(id)).collect::<Vec<_>>().join(" ")
    }
}

/// Paragraphs filled to the width; a block in which a line begins with a blank stands as it is.
fn wrapped(text: &str) -> String {
    let fill = |block: &str| match block.lines().any(|line| line.starts_with(' ')) {
        true => block.to_owned(),
        false => textwrap::fill(&block.replace('\n', " "), WIDTH),
    };
    text.split("\n\n").map(fill).collect::<Vec<_>>().join("\n\n")
}

/// Numbers with so many digits after the point, side by side.
fn numbers(values: &[f32], digits: usize) -> String {
    values.iter().map(|value| format!("{value:>7.digits$}")).collect::<Vec<_>>().join(" ")
}
