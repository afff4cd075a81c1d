//! Files changed at random, seeded: `GPU_MLP_FUZZ` sets how many each reader gets, `GPU_MLP_FUZZ_SEED` which. And the files
//! that are kept, each of which a reader once took a way of its own for.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::readers::{BENCH_RESULTS, CHOICES, CONFIG, GOLDEN, MODEL_FILE, READERS, Reader, TEXT, TRAINING_TEXT};
use super::{allocations, mutate};
use crate::engine::State;
use crate::model::{ModelFile, Parameters};
use crate::text::{Kind, Sources, Vocabulary};
use crate::train::{Config, Preset, Progress, Settings};

/// Files for each reader, unless `GPU_MLP_FUZZ` says otherwise.
const FILES: u64 = 2000;

/// Reads a file; says whether it was accepted, and how many bytes of memory that took at most. A panic names the file.
fn read(reader: &Reader, name: &str, file: &[u8]) -> (bool, usize) {
    catch_unwind(AssertUnwindSafe(|| reader.check(file)))
        .unwrap_or_else(|_| panic!("{}: {name} makes it panic: {:?}", reader.name, String::from_utf8_lossy(file)))
}

/// Feeds a reader with changed seeds.
fn feed(reader: &Reader, seeds: &[Vec<u8>], mutation: mutate::Mutation) {
    let number = |variable, usual| std::env::var(variable).map_or(usual, |text| text.parse().expect("a number"));
    let (files, seed) = (number("GPU_MLP_FUZZ", FILES), number("GPU_MLP_FUZZ_SEED", 1));
    for seed in seeds {
        assert!(read(reader, "a seed", seed).0, "{}: a whole file is refused", reader.name);
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let start = Instant::now();
    let (mut accepted, mut most) = (0u64, 0.0f64);
    for _ in 0..files {
        let file = mutation(seeds, &mut random);
        let (is_accepted, bytes) = read(reader, "a changed file", &file);
        accepted += u64::from(is_accepted);
        most = most.max(bytes as f64 / file.len().max(1) as f64);
    }
    let seconds = start.elapsed().max(Duration::from_micros(1)).as_secs_f64();
    println!(
        "{}: {files} files, {accepted} accepted, none crashed; at most {most:.0} bytes a byte; {seconds:.1} s",
        reader.name
    );
}

fn settings() -> Settings {
    Settings { hidden: 2, embedding: 2, context: 2, ..Preset::Makemore.settings().0 }
}

fn vocabulary(tokens: &[&str], kind: Kind) -> Vocabulary {
    Vocabulary::from_tokens(tokens.iter().map(|token| token.to_string()).collect(), kind).unwrap()
}

#[test]
fn model_files() {
    let model = |average: f32, tokens: &[&str]| {
        let mut settings = settings();
        settings.recipe.average = average;
        let parameters = Parameters::zeros(settings.shape(tokens.len()));
        let state = State::new(parameters, &settings.recipe);
        let vocabulary = vocabulary(tokens, settings.kind());
        ModelFile { state, vocabulary, settings, progress: Progress::default(), version: "0".to_owned() }.to_bytes()
    };
    let seeds = [model(0.0, &[".", "a", "b"]), model(0.9, &[".", "a"])];
    feed(&MODEL_FILE, &seeds, mutate::safetensors);
}

#[test]
fn golden_files() {
    let sizes = [("X", "I32", "2,1"), ("Y", "I32", "2"), ("hidden", "F32", "2,1"), ("logits", "F32", "2,2")];
    let parameters = ["", "grad.", "after1.", "after10."].into_iter().flat_map(|prefix| {
        [("C", "2,1"), ("W1", "1,1"), ("b1", "1"), ("W2", "1,2"), ("b2", "2")]
            .map(|(name, sizes)| (format!("{prefix}{name}"), "F32", sizes))
    });
    let tensors = sizes.map(|(name, kind, sizes)| (name.to_owned(), kind, sizes)).into_iter().chain(parameters);
    let losses = [("loss".to_owned(), "F64", "1"), ("losses".to_owned(), "F64", "10")];
    let seed = mutate::zeros(tensors.chain(losses));
    feed(&GOLDEN, &[seed], mutate::safetensors);
}

#[test]
fn configurations() {
    let config = |settings| Config { version: "0".into(), device: "cpu".into(), sources: Sources::default(), settings };
    let seeds = [settings(), Preset::Words.settings().0]
        .map(|settings| toml::to_string(&config(settings)).unwrap().into_bytes());
    feed(&CONFIG, &seeds, mutate::text);
}

#[test]
fn results_of_bench() {
    let machine = crate::bench::machine::Machine::here();
    let timing = serde_json::json!({
        "task": "train", "shape": "wide", "device": "cpu", "backend": "cpu", "driver": "AVX2", "threads": 2,
        "unit": "steps", "per_second": crate::bench::Spread::of(vec![1.0, 2.0, 3.0]),
    });
    let seed = serde_json::json!({ "format": 1, "machine": machine, "timings": [timing] }).to_string();
    feed(&BENCH_RESULTS, &[seed.into_bytes()], mutate::text);
}

#[test]
fn choices_of_an_adapter() {
    let seed = b"\"small 27 3 10 200 32\" = \"across\"\nproduct = \"tiled 4x4\"\n".to_vec();
    feed(&CHOICES, &[seed], mutate::text);
}

fn text_seeds() -> [Vec<u8>; 2] {
    [
        "\u{feff}anna\r\nb\u{301}ob\n\n\nשלום עולם\u{202e}\n\u{1f600}\u{10ffff}",
        "the cat <p> sat\0on\n\nthe </s> mat\u{2028}\n\n\n<rare> <text> .",
    ]
    .map(|text| text.as_bytes().to_vec())
}

#[test]
fn texts() {
    feed(&TEXT, &text_seeds(), mutate::text);
}

#[test]
fn texts_for_training() {
    feed(&TRAINING_TEXT, &text_seeds(), mutate::text);
}

/// The files that are kept, by folder; a file that made a target of `tests/fuzz` crash belongs there as well.
#[test]
fn the_kept_files() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let folders = std::fs::read_dir(&corpus).unwrap_or_else(|error| panic!("{}: {error}", corpus.display()));
    assert_eq!(folders.count(), READERS.len(), "a folder for each reader");
    for reader in &READERS {
        let folder = corpus.join(reader.name);
        let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let (mut accepted, mut refused) = (0, 0);
        for entry in entries {
            let path = entry.unwrap().path();
            let file = std::fs::read(&path).unwrap();
            let (is_accepted, _) = read(reader, &path.display().to_string(), &file);
            *if is_accepted { &mut accepted } else { &mut refused } += 1;
        }
        println!("{}: {accepted} kept files accepted, {refused} refused", reader.name);
        assert!(accepted > 0 && refused > 0, "{} holds files of one sort only", folder.display());
    }
}

#[test]
fn memory_is_counted() {
    let (_, bytes) = allocations::most(|| drop((vec![1u8; 1000], vec![0u8; 5000])));
    assert!((6000..7000).contains(&bytes), "{bytes}");
}

#[test]
fn memory_of_a_thread_that_works_for_another_is_counted() {
    // A text of words without a table of characters; the thread that reads it asks for whole blocks.
    let (is_accepted, bytes) = TRAINING_TEXT.check(b"ab cd ef");
    assert!(is_accepted && bytes >= 1 << 20, "{bytes}");
}

#[test]
fn memory_that_grows_is_counted_with_what_is_copied() {
    let (_, bytes) = allocations::most(|| {
        let mut numbers = vec![0u8; 1000];
        numbers.reserve_exact(1500);
        numbers
    });
    assert!((3500..4000).contains(&bytes), "{bytes}");
}
