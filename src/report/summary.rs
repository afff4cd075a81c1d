//! What stands at the end of a run: losses, the count models to compare with, samples.

use std::collections::HashSet;

use super::Output;
use super::output::{grouped, table};
use crate::Result;
use crate::engine::mean_negative;
use crate::language_model::{CountModel, LanguageModel, Network, Sample, Sampler};
use crate::text::{Corpus, Data, Vocabulary};
use crate::train::Losses;

/// Items drawn at the end of a run.
const SAMPLES: usize = 20;
/// Characters of a line of samples.
const LINE_WIDTH: usize = 90;
/// The highest order of the count models: the lecture's context of three and the token itself.
const MOST_ORDER: usize = 4;

/// One sample as results state it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Drawn {
    /// The text.
    pub text: String,
    /// Natural logarithm of its probability.
    pub log_probability: f64,
    /// Whether it stands in the training part; unknown where that is not at hand.
    pub known: Option<bool>,
}

/// The losses of the network and of add-one n-grams with as much context or less.
pub fn losses(output: &Output, data: &Data, losses: &Losses, name: &str) -> Result<()> {
    let mut rows = vec![row(name, Some(losses.train), losses.valid, losses.test)];
    for order in 2..=MOST_ORDER.min(data.train.context() + 1) {
        let mut model = CountModel::new(&data.train, order, data.vocabulary.len());
        let mut mean = |corpus: Option<&Corpus>| -> Result<Option<f64>> {
            let Some(corpus) = corpus else { return Ok(None) };
            Ok(Some(mean_negative(&model.log_probabilities(corpus)?)))
        };
        let [train, valid, test] = data.parts().map(|(_, corpus)| mean(corpus));
        rows.push(row(&format!("{order}-gram, counts + 1"), train?, valid?, test?));
    }
    let uniform = (data.vocabulary.len() as f64).ln();
    rows.push(row("uniform", Some(uniform), data.valid.as_ref().map(|_| uniform), data.test.as_ref().map(|_| uniform)));
    output.text(table(&["loss (perplexity)", "train", "valid", "test"], &rows))?;
    let tokens = data.parts().map(|(name, corpus)| match corpus {
        Some(corpus) => format!("{name} {}", grouped(corpus.len())),
        None => format!("{name} none"),
    });
    output.text(format!("\nnats per predicted token (end marks count); tokens: {}", tokens.join(", ")))
}

fn row(name: &str, train: Option<f64>, valid: Option<f64>, test: Option<f64>) -> Vec<String> {
    let cell = |loss: Option<f64>| loss.map_or("-".to_owned(), |loss| format!("{loss:.4} ({:.2})", loss.exp()));
    vec![name.to_owned(), cell(train), cell(valid), cell(test)]
}

/// Twenty samples, each marked known or new.
pub fn samples(output: &Output, data: &Data, model: &mut Network, seed: u32) -> Result<()> {
    let sampler = Sampler { temperature: 1.0, top_k: 0, top_p: 1.0, length: 100, seed };
    let samples = sampler.draw(model, &[], 0..SAMPLES)?;
    let drawn = describe(&samples, &data.vocabulary, Some(&known_lines(data)));
    output.text(format!("\n{SAMPLES} samples (* stands in the training part):"))?;
    let mark = |drawn: &Drawn| format!("{}{}", drawn.text, if drawn.known == Some(true) { "*" } else { "" });
    let cells: Vec<String> = drawn.iter().map(mark).collect();
    let widest = cells.iter().map(|cell| cell.chars().count()).max().unwrap_or(0);
    for line in cells.chunks((LINE_WIDTH / (widest + 2)).clamp(1, 5)) {
        let line: String = line.iter().map(|cell| format!("  {cell:<widest$}")).collect();
        output.text(line.trim_end())?;
    }
    Ok(())
}

/// The lines of the training part.
pub fn known_lines(data: &Data) -> HashSet<&[u32]> {
    data.train_lines.iter().map(Vec::as_slice).collect()
}

/// Samples as text, with whether they are known, where that can be told.
pub fn describe(samples: &[Sample], vocabulary: &Vocabulary, known: Option<&HashSet<&[u32]>>) -> Vec<Drawn> {
    let drawn = |sample: &Sample| Drawn {
        text: vocabulary.decode(&sample.tokens),
        log_probability: sample.log_probability,
        known: known.map(|known| known.contains(sample.tokens.as_slice())),
    };
    samples.iter().map(drawn).collect()
}
