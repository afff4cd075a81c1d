//! The readers of files, fed with broken ones: whatever the bytes, a reader answers with a value or an error, and takes no
//! more memory than the bytes account for. Seeded; `GPU_MLP_FUZZ` sets how many files each reader gets, `GPU_MLP_FUZZ_SEED`
//! which.

mod allocations;
mod mutate;

use std::io::BufReader;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::bench::saved::Saved;
use crate::check::golden;
use crate::engine::State;
use crate::engine::gpu::read_choices;
use crate::model::{ModelFile, Parameters};
use crate::text::source::Source;
use crate::text::types::Types;
use crate::text::{Kind, Sources, TextKind, TokenKind, TokenReader, Vocabulary};
use crate::train::{Config, Preset, Progress, Settings};

/// Files for each reader, unless `GPU_MLP_FUZZ` says otherwise.
const FILES: u64 = 2000;

/// A reader may take this many bytes, and as many more for each byte of its file.
const BYTES: usize = 1 << 16;
/// The reader of training texts has blocks and a table of characters.
const BYTES_OF_BLOCKS: usize = 1 << 23;
const BYTES_A_BYTE: usize = 64;

/// Feeds a reader with changed seeds. `read` says whether a file was accepted.
fn feed(name: &str, seeds: &[Vec<u8>], mutation: mutate::Mutation, constant: usize, read: impl Fn(&[u8]) -> bool) {
    let number = |variable, usual| std::env::var(variable).map_or(usual, |text| text.parse().expect("a number"));
    let (files, seed) = (number("GPU_MLP_FUZZ", FILES), number("GPU_MLP_FUZZ_SEED", 1));
    for seed in seeds {
        assert!(read(seed), "{name}: a whole file is refused");
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let start = Instant::now();
    let (mut accepted, mut most) = (0u64, 0.0f64);
    for _ in 0..files {
        let file = mutation(seeds, &mut random);
        let (result, bytes) = allocations::most(|| catch_unwind(AssertUnwindSafe(|| read(&file))));
        let shown = || String::from_utf8_lossy(&file).into_owned();
        match result {
            Ok(is_accepted) => accepted += u64::from(is_accepted),
            Err(_) => panic!("{name}: a panic on {:?}", shown()),
        }
        let allowed = constant + BYTES_A_BYTE * file.len();
        assert!(bytes <= allowed, "{name}: {bytes} bytes of memory for {} of {:?}", file.len(), shown());
        most = most.max(bytes as f64 / file.len().max(1) as f64);
    }
    let seconds = start.elapsed().max(Duration::from_micros(1)).as_secs_f64();
    println!(
        "{name}: {files} files, {accepted} accepted, none crashed; at most {most:.0} bytes a byte; {seconds:.1} s"
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
    feed("model file", &seeds, mutate::safetensors, BYTES, |file| {
        let Ok(model) = ModelFile::from_bytes(file) else { return false };
        // What was accepted is whole: it can be written, and be read again.
        assert_eq!(ModelFile::from_bytes(&model.to_bytes()).as_ref(), Ok(&model));
        true
    });
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
    feed("golden file", &[seed], mutate::safetensors, BYTES, |file| golden::from_bytes(file, String::new()).is_ok());
}

#[test]
fn configurations() {
    let config = |settings| Config { version: "0".into(), device: "cpu".into(), sources: Sources::default(), settings };
    let seeds = [settings(), Preset::Words.settings().0]
        .map(|settings| toml::to_string(&config(settings)).unwrap().into_bytes());
    feed("config.toml", &seeds, mutate::text, BYTES, |file| {
        let Ok(text) = std::str::from_utf8(file) else { return false };
        toml::from_str::<Config>(text).is_ok_and(|config| config.settings.check().is_ok())
    });
}

#[test]
fn results_of_bench() {
    let machine = crate::bench::machine::Machine::here();
    let timing = serde_json::json!({
        "task": "train", "shape": "wide", "device": "cpu", "backend": "cpu", "driver": "AVX2", "threads": 2,
        "unit": "steps", "per_second": crate::bench::Spread::of(vec![1.0, 2.0, 3.0]),
    });
    let seed = serde_json::json!({ "format": 1, "machine": machine, "timings": [timing] }).to_string();
    feed("results of bench", &[seed.into_bytes()], mutate::text, BYTES, |file| {
        std::str::from_utf8(file).is_ok_and(|text| Saved::from_text(text).is_ok())
    });
}

#[test]
fn choices_of_an_adapter() {
    let seed = b"\"small 27 3 10 200 32\" = \"across\"\nproduct = \"tiled 4x4\"\n".to_vec();
    feed("choices of an adapter", &[seed], mutate::text, BYTES, |file| !read_choices(file.to_vec()).is_empty());
}

fn text_seeds() -> [Vec<u8>; 2] {
    [
        "\u{feff}anna\r\nb\u{301}ob\n\n\nשלום עולם\u{202e}\n\u{1f600}\u{10ffff}",
        "the cat <p> sat\0on\n\nthe </s> mat\u{2028}\n\n\n<rare> <text> .",
    ]
    .map(|text| text.as_bytes().to_vec())
}

/// How a text can be read, with the first tokens of each vocabulary.
fn kinds() -> [(Kind, &'static str, &'static str); 5] {
    [
        (Kind { tokens: TokenKind::Chars, text: TextKind::Lines, marks: false }, ".", "a"),
        (Kind { tokens: TokenKind::Chars, text: TextKind::Stream, marks: false }, "b", "a"),
        (Kind { tokens: TokenKind::Words, text: TextKind::Lines, marks: false }, "</s>", "the"),
        (Kind { tokens: TokenKind::Words, text: TextKind::Stream, marks: false }, "cat", "the"),
        (Kind { tokens: TokenKind::Words, text: TextKind::Stream, marks: true }, "<text>", "<p>"),
    ]
}

#[test]
fn texts() {
    let (seeds, kinds) = (text_seeds(), kinds());
    feed("text", &seeds, mutate::text, BYTES, |file| {
        // The kind, and how many bytes come at a time, follow from the file: each file is read in one way only.
        let (kind, first, second) = kinds[file.len() % kinds.len()];
        let vocabulary = vocabulary(&[first, second, "<rare>"], kind);
        let mut reader = TokenReader::new(BufReader::with_capacity(1 + file.len() % 13, file), vocabulary);
        loop {
            match reader.read() {
                Ok(tokens) if tokens.is_empty() => return true,
                Ok(_) => {}
                Err(_) => return false,
            }
        }
    });
}

#[test]
fn texts_for_training() {
    let (seeds, kinds) = (text_seeds(), kinds());
    feed("text for training", &seeds, mutate::text, BYTES_OF_BLOCKS, |file| {
        let (kind, ..) = kinds[file.len() % kinds.len()];
        Source::from_reader(file, kind, &mut Types::default()).is_ok()
    });
}

#[test]
fn memory_is_counted() {
    let (_, bytes) = allocations::most(|| drop((vec![1u8; 1000], vec![0u8; 5000])));
    assert!((6000..7000).contains(&bytes), "{bytes}");
}
