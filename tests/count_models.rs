//! The count models at the figures that other programs find on the same texts: the Brown corpus as one stream, and names
//! in the split that Python's `random.seed(42); random.shuffle(names)` gives.

#[path = "common/not_tested.rs"]
mod not_tested;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use gpu_mlp::engine::mean_negative;
use gpu_mlp::language_model::back_off::CUT_OFF;
use gpu_mlp::language_model::{KneserNey, LanguageModel, Mixture, Trigram};
use gpu_mlp::text::{Corpus, Data, Kind, Sources, TextKind, TextSettings, TokenKind, VocabularyFrom};
use not_tested::not_tested;

/// A text that is not part of this repository.
fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(name);
    if !path.exists() {
        not_tested(format!("{} is absent, so nothing is known of the figures on it", path.display()));
        return None;
    }
    Some(path)
}

fn brown() -> Option<&'static Data> {
    static DATA: OnceLock<Option<Data>> = OnceLock::new();
    let read = || {
        let settings = TextSettings {
            kind: Kind { tokens: TokenKind::Words, text: TextKind::Stream, marks: true },
            min_count: 4,
            vocabulary_from: VocabularyFrom::All,
            split: "800000/200000/rest".parse().unwrap(),
            ..TextSettings::default()
        };
        let sources = Sources { text: Some(shared("brown.txt")?), ..Sources::default() };
        Some(sources.read(settings.kind).unwrap().data(&settings, 4, None).unwrap())
    };
    DATA.get_or_init(read).as_ref()
}

fn loss(model: &mut dyn LanguageModel, corpus: Option<&Corpus>) -> f64 {
    mean_negative(&model.log_probabilities(corpus.expect("a part")).unwrap())
}

/// Perplexities on the validation and test part within 0.1 of others', and sums of 1.
#[track_caller]
fn expect(model: &mut dyn LanguageModel, data: &Data, expected: [f64; 2]) {
    let [valid, test] = [&data.valid, &data.test].map(|part| loss(model, part.as_ref()).exp());
    assert!((valid - expected[0]).abs() < 0.1 && (test - expected[1]).abs() < 0.1, "{valid} {test}");
    let id = |token: &str| data.vocabulary.id(token).unwrap();
    let contexts = [
        ["<p>", "<text>", "The", "same"],
        ["one", "of", "the", "most"],
        ["the", "the", "the", "the"],
        ["zone", "of", "in", "the"],
        ["zone", "zone", "zone", "zone"],
        ["<rare>", ",", "and", "<rare>"],
    ];
    let context =
        contexts.map(|context| context[4 - model.context()..].iter().map(|token| id(token)).collect::<Vec<_>>());
    let distributions = model.distributions(&context.concat()).unwrap();
    for (context, distribution) in contexts.iter().zip(distributions.chunks_exact(data.vocabulary.len())) {
        let sum: f64 = distribution.iter().map(|&p| f64::from(p)).sum();
        assert!((sum - 1.0).abs() < 1e-5, "{context:?}: {sum}");
    }
}

#[test]
fn the_trigram_of_the_paper_on_brown() {
    let Some(data) = brown() else { return };
    assert_eq!(data.vocabulary.len(), 17_907);
    let mut model = Trigram::new(&data.train, data.valid.as_ref(), data.vocabulary.len(), 5);
    let train = loss(&mut model, Some(&data.train)).exp();
    assert!((train - 30.7).abs() < 0.1, "{train}");
    expect(&mut model, data, [356.2, 330.2]);
}

#[test]
fn interpolated_kneser_ney_on_brown() {
    let Some(data) = brown() else { return };
    for (order, expected) in [(3, [332.4, 310.0]), (5, [329.5, 307.3])] {
        expect(&mut KneserNey::interpolated(&data.train, order, data.vocabulary.len()), data, expected);
    }
}

#[test]
fn back_off_kneser_ney_with_cut_offs_on_brown() {
    let Some(data) = brown() else { return };
    for (order, expected) in [(3, [346.0, 325.0]), (5, [347.6, 326.0])] {
        expect(&mut KneserNey::back_off(&data.train, order, data.vocabulary.len(), CUT_OFF), data, expected);
    }
}

#[test]
fn back_off_kneser_ney_without_cut_offs_on_brown() {
    let Some(data) = brown() else { return };
    expect(&mut KneserNey::back_off(&data.train, 4, data.vocabulary.len(), 1), data, [373.4, 351.7]);
}

#[test]
fn half_trigram_and_half_kneser_ney_on_brown() {
    let Some(data) = brown() else { return };
    let (train, vocabulary) = (&data.train, data.vocabulary.len());
    // Nearer than 0.1 to the figures of 100 rounds.
    let mut trigram = Trigram::new(train, data.valid.as_ref(), vocabulary, 50);
    let [valid, test] = [&data.valid, &data.test].map(|part| loss(&mut trigram, part.as_ref()).exp());
    assert!((valid - 355.8).abs() < 0.1 && (test - 329.8).abs() < 0.1, "{valid} {test}");
    let kneser_ney = KneserNey::interpolated(train, 5, vocabulary);
    let mut model = Mixture::fixed(vec![Box::new(trigram), Box::new(kneser_ney)], &[0.5, 0.5]);
    let test = loss(&mut model, data.test.as_ref()).exp();
    assert!((test - 303.1).abs() < 0.1, "{test}");
}

/// Python's shuffle, cut into 80/10/10.
const SPLIT: &str = "
import random, sys
names = open(sys.argv[1]).read().splitlines()
random.seed(42); random.shuffle(names)
first, second = int(0.8 * len(names)), int(0.9 * len(names))
for name, part in (('train', names[:first]), ('valid', names[first:second]), ('test', names[second:])):
    open(f'{sys.argv[2]}/{name}', 'w').write('\\n'.join(part))
";

#[test]
fn kneser_ney_on_names() {
    let Some(names) = shared("names.txt") else { return };
    let folder = tempfile::tempdir().unwrap();
    let python = Command::new("python3").args(["-c", SPLIT]).arg(&names).arg(folder.path()).status();
    if !python.is_ok_and(|status| status.success()) {
        not_tested("there is no python3, whose shuffle makes the parts of names.txt");
        return;
    }
    let [text, valid, test] = ["train", "valid", "test"].map(|part| Some(folder.path().join(part)));
    let settings = TextSettings::default();
    let data = Sources { text, valid, test }.read(settings.kind).unwrap().data(&settings, 6, None).unwrap();
    let expected = [
        (3, [2.1934, 2.2185, 2.2185]),
        (4, [1.9302, 2.0573, 2.0584]),
        (5, [1.7126, 1.9908, 1.9907]),
        (6, [1.5960, 1.9978, 2.0011]),
        (7, [1.5403, 2.0357, 2.0380]),
    ];
    for (order, expected) in expected {
        let mut model = KneserNey::interpolated(&data.train, order, 27);
        let found = data.parts().map(|(_, part)| loss(&mut model, part));
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 6e-5, "order {order}: {found} {expected}");
        }
    }
}
