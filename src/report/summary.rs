//! What stands at the end of a run: losses, the count models to compare with, samples.

use std::collections::HashSet;

use super::Output;
use super::output::{grouped, table};
use crate::Result;
use crate::engine::mean_negative;
use crate::language_model::{Bins, CountModel, KneserNey, LanguageModel, Network, Sample, Sampler, Trigram, trigram};
use crate::text::{Corpus, Data, TokenKind, Vocabulary};
use crate::train::Losses;

/// Lines drawn at the end of a run.
const LINES: usize = 20;
/// Pieces of running text drawn at the end of a run, and their tokens.
const PIECES: usize = 3;
const PIECE_LENGTH: usize = 30;
/// Characters of a line of samples.
const LINE_WIDTH: usize = 90;
/// The highest order of the add-one models: the lecture's context of three and the token itself.
const MOST_ADD_ONE: usize = 4;
/// The highest order of Kneser-Ney: more seldom helps.
const MOST_KNESER_NEY: usize = 5;
/// Most tokens of a training part whose count models stand beside a network without being asked for: a few seconds' work.
const MOST_COUNTED: usize = 5_000_000;

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

/// The losses of the network, and of count models with as much context or less.
pub fn losses(output: &Output, data: &Data, losses: &Losses, name: &str) -> Result<()> {
    let mut rows = vec![row(name, losses)];
    for (name, mut model) in baselines(output, data) {
        rows.push(row(&name, &losses_of(model.as_mut(), data)?));
    }
    let uniform = (data.vocabulary.len() as f64).ln();
    let each = |part: &Option<Corpus>| part.as_ref().map(|_| uniform);
    rows.push(row("uniform", &Losses { train: uniform, valid: each(&data.valid), test: each(&data.test) }));
    output.text(table(&["loss (perplexity)", "train", "valid", "test"], &rows))?;
    let counted = if data.vocabulary.end().is_some() { "end marks" } else { "marks and rare tokens" };
    let tokens = data.parts().map(|(name, corpus)| match corpus {
        Some(corpus) => format!("{name} {}", grouped(corpus.len())),
        None => format!("{name} none"),
    });
    output.text(format!("\nnats per predicted token ({} count); tokens: {}", counted, tokens.join(", ")))
}

/// Count models that see no more than the network does: for characters n-grams with one added to every count, as in the
/// lecture, for words the paper's trigram; and modified Kneser-Ney for both. A training part of more than five million
/// tokens has none, which is said.
pub fn baselines(output: &Output, data: &Data) -> Vec<(String, Box<dyn LanguageModel>)> {
    if data.train.len() > MOST_COUNTED {
        output.message(format!(
            "note: no count models to compare with: the training part has {} tokens, and without being asked the program \
             counts at most {}. `gpu-mlp ngram` counts any text",
            grouped(data.train.len()),
            grouped(MOST_COUNTED)
        ));
        return Vec::new();
    }
    let (train, vocabulary, order) = (&data.train, data.vocabulary.len(), data.train.context() + 1);
    let mut models: Vec<(String, Box<dyn LanguageModel>)> = Vec::new();
    if data.vocabulary.kind().tokens == TokenKind::Chars {
        for order in 2..=MOST_ADD_ONE.min(order) {
            models.push((format!("{order}-gram, counts + 1"), Box::new(CountModel::new(train, order, vocabulary))));
        }
    } else if train.context() >= Bins::CONTEXT {
        let trigram = Trigram::new(train, data.valid.as_ref(), vocabulary, trigram::ROUNDS);
        models.push(("trigram, interpolated".to_owned(), Box::new(trigram)));
    }
    let order = MOST_KNESER_NEY.min(order);
    let kneser_ney = KneserNey::interpolated(train, order, vocabulary);
    models.push((format!("{order}-gram, Kneser-Ney"), Box::new(kneser_ney)));
    models
}

/// The exact losses of a model on the parts of a text.
pub fn losses_of(model: &mut dyn LanguageModel, data: &Data) -> Result<Losses> {
    let mut mean = |corpus: &Corpus| -> Result<f64> { Ok(mean_negative(&model.log_probabilities(corpus)?)) };
    Ok(Losses {
        train: mean(&data.train)?,
        valid: data.valid.as_ref().map(&mut mean).transpose()?,
        test: data.test.as_ref().map(&mut mean).transpose()?,
    })
}

/// A row of a table of losses.
pub fn row(name: &str, losses: &Losses) -> Vec<String> {
    let cell = |loss: Option<f64>| loss.map_or("-".to_owned(), |loss| format!("{loss:.4} ({:.2})", loss.exp()));
    vec![name.to_owned(), cell(Some(losses.train)), cell(losses.valid), cell(losses.test)]
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
