//! What stands at the end of a run: losses, the count models to compare with, samples.

use std::collections::HashSet;

use super::Output;
use super::output::{grouped, table};
use crate::Result;
use crate::engine::mean_negative;
use crate::language_model::{CountModel, LanguageModel, Network, Sample, Sampler};
use crate::text::{Corpus, Data, Vocabulary};
use crate::train::Losses;

/// Lines drawn at the end of a run.
const LINES: usize = 20;
/// Pieces of running text drawn at the end of a run, and their tokens.
const PIECES: usize = 3;
const PIECE_LENGTH: usize = 30;
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
    let counted = if data.vocabulary.end().is_some() { "end marks" } else { "marks and rare tokens" };
    let tokens = data.parts().map(|(name, corpus)| match corpus {
        Some(corpus) => format!("{name} {}", grouped(corpus.len())),
        None => format!("{name} none"),
    });
    output.text(format!("\nnats per predicted token ({} count); tokens: {}", counted, tokens.join(", ")))
}

fn row(name: &str, train: Option<f64>, valid: Option<f64>, test: Option<f64>) -> Vec<String> {
    let cell = |loss: Option<f64>| loss.map_or("-".to_owned(), |loss| format!("{loss:.4} ({:.2})", loss.exp()));
    vec![name.to_owned(), cell(train), cell(valid), cell(test)]
}

/// Twenty lines, each marked known or new, or three pieces of running text.
pub fn samples(output: &Output, data: &Data, model: &mut Network, seed: u32) -> Result<()> {
    let end = data.vocabulary.end();
    let sampler = Sampler { temperature: 1.0, top_k: 0, top_p: 1.0, end, length: 100, seed };
    if end.is_none() {
        let samples = Sampler { length: PIECE_LENGTH, ..sampler }.draw(model, &[], 0..PIECES)?;
        output.text(format!("\n{PIECES} samples of {PIECE_LENGTH} tokens:"))?;
        for drawn in describe(&samples, &data.vocabulary, None) {
            output.text(format!("  {}", drawn.text))?;
        }
        return Ok(());
    }
    let samples = sampler.draw(model, &[], 0..LINES)?;
    let drawn = describe(&samples, &data.vocabulary, known_lines(data).as_ref());
    output.text(format!("\n{LINES} samples (* stands in the training part):"))?;
    let mark = |drawn: &Drawn| format!("{}{}", drawn.text, if drawn.known == Some(true) { "*" } else { "" });
    let cells: Vec<String> = drawn.iter().map(mark).collect();
    let widest = cells.iter().map(|cell| cell.chars().count()).max().unwrap_or(0);
    for line in cells.chunks((LINE_WIDTH / (widest + 2)).clamp(1, 5)) {
        let line: String = line.iter().map(|cell| format!("  {cell:<widest$}")).collect();
        output.text(line.trim_end())?;
    }
    Ok(())
}

/// The lines of the training part; none for a stream.
pub fn known_lines(data: &Data) -> Option<HashSet<&[u32]>> {
    data.vocabulary.end().map(|_| data.train.lines().collect())
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
