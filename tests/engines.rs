//! One suite for all engines: every tensor of every case within the design's tolerances, and the same bits again.

mod common;
#[path = "common/pieces.rs"]
mod pieces;

use std::sync::Arc;

use gpu_mlp::check::{Case, Comparison, built_in_cases, compare, expected_of_reference, golden};
use gpu_mlp::engine::cpu::Cpu;
use gpu_mlp::engine::gpu::{Gpu, Path};
use gpu_mlp::engine::{Engine, Optimizer, Recipe};
use gpu_mlp::model::initial::initial;
use gpu_mlp::model::{Init, Parameters, Shape};
use gpu_mlp::reference::Reference;
use gpu_mlp::text::{BatchPlan, Corpus, Order};
use pieces::trained;

fn golden_files() -> Vec<std::path::PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
    ["notebook", "odd", "direct"].map(|name| format!("{folder}/{name}.safetensors").into()).to_vec()
}

#[track_caller]
fn assert_ok(comparisons: &[Comparison]) {
    let bad: Vec<_> = comparisons.iter().filter(|comparison| !comparison.ok).collect();
    assert!(bad.is_empty(), "{bad:#?}");
    assert!(comparisons.len() > 20, "only {} comparisons", comparisons.len());
}

fn agrees_with_golden_files(engine: &mut dyn FnMut() -> Box<dyn Engine>) {
    for path in golden_files() {
        let (case, expected) = golden::read(&path).unwrap();
        assert_ok(&compare(&mut *engine(), &case, &expected).unwrap());
    }
}

fn agrees_with_the_reference(engine: &mut dyn FnMut() -> Box<dyn Engine>) {
    for case in built_in_cases() {
        let expected = expected_of_reference(&case).unwrap();
        assert_ok(&compare(&mut *engine(), &case, &expected).unwrap());
    }
}

/// Everything that a state carries, and everything that depends on the step.
const EVERYTHING: Recipe = Recipe {
    optimizer: Optimizer::Adamw,
    momentum: 0.9,
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-8,
    weight_decay: 0.01,
    dropout_embedding: 0.1,
    dropout_hidden: 0.3,
    clip_norm: 0.5,
    average: 0.99,
};

/// Trains 20 steps in one call and in pieces.
fn trains_the_same_in_pieces(engine: &mut dyn FnMut() -> Box<dyn Engine>, recipe: Recipe) {
    for order in [Order::Sampled, Order::Shuffled, Order::Sequential] {
        let (parameters, corpus) = setting();
        let plan = BatchPlan { order, seed: 5, batch: 32, examples: corpus.len() as u32 };
        let case = Case { name: format!("{order:?}"), parameters, corpus: (*corpus).clone(), recipe, rate: 0.1 };
        assert!(trained(engine, &case, plan, &[20]) == trained(engine, &case, plan, &[1, 7, 12]), "{order:?}");
    }
}

fn setting() -> (Parameters, Arc<Corpus>) {
    let shape = Shape { vocabulary: 27, context: 3, embedding: 10, hidden: 200, direct: false, tied: false };
    let lines: Vec<Vec<u32>> =
        (0..40).map(|line| (0..5).map(|place| 1 + (line * 7 + place * 3) % 26).collect()).collect();
    (initial(shape, Init::Lecture, 1, &[]), Arc::new(Corpus::from_lines(&lines, 3)))
}

/// Distributions sum to one and agree with the log-probabilities of the targets and with the reference.
fn answers_questions(engine: &mut dyn Engine) {
    let (parameters, corpus) = setting();
    let mut reference = Reference::default();
    reference.load(&parameters).unwrap();
    engine.load(&parameters).unwrap();
    let expected = reference.log_probabilities(&corpus).unwrap();
    let found = engine.log_probabilities(&corpus).unwrap();
    assert!(gpu_mlp::check::compare::largest_error(&found, &expected) < 1e-6);
    let contexts: Vec<u32> = (0..corpus.len()).flat_map(|example| corpus.context_of(example).to_vec()).collect();
    let distributions = engine.distributions(&contexts).unwrap();
    for (example, distribution) in distributions.chunks_exact(27).enumerate() {
        assert!((distribution.iter().map(|&p| f64::from(p)).sum::<f64>() - 1.0).abs() < 1e-5);
        let probability = distribution[corpus.target_of(example) as usize];
        assert!((probability.ln() - found[example]).abs() < 1e-4, "{probability} {}", found[example]);
    }
}

#[test]
fn the_reference_agrees_with_golden_files() {
    agrees_with_golden_files(&mut || Box::new(Reference::default()));
}

#[test]
fn the_reference_trains_the_same_in_pieces_when_not_reloaded() {
    // A reload rounds its f64 state to f32, so the reference is not held to the test with reloads.
    let (parameters, corpus) = setting();
    let plan = BatchPlan { order: Order::Shuffled, seed: 5, batch: 8, examples: corpus.len() as u32 };
    let run = |pieces: &[usize]| {
        let mut engine = Reference::default();
        engine.load(&parameters).unwrap();
        engine.prepare(corpus.clone(), plan, Recipe::default()).unwrap();
        let mut step = 0;
        for &piece in pieces {
            engine.train(step, &vec![0.1; piece]).unwrap();
            step += piece as u64;
        }
        engine.parameters().unwrap()
    };
    assert_eq!(run(&[6]), run(&[1, 5]));
}

#[test]
fn the_cpu_engine_agrees_with_golden_files() {
    agrees_with_golden_files(&mut || Box::new(Cpu::new(2)));
}

#[test]
fn the_cpu_engine_agrees_with_the_reference() {
    agrees_with_the_reference(&mut || Box::new(Cpu::new(2)));
}

#[test]
fn the_cpu_engine_trains_the_same_in_pieces() {
    for recipe in [Recipe::default(), EVERYTHING] {
        trains_the_same_in_pieces(&mut || Box::new(Cpu::new(2)), recipe);
    }
}

#[test]
fn the_cpu_engine_answers_questions() {
    answers_questions(&mut Cpu::new(2));
}

#[test]
fn the_cpu_engine_gives_the_same_bits_for_any_number_of_threads() {
    for case in built_in_cases() {
        let run = |threads| {
            let mut engine = Cpu::new(threads);
            let found = gpu_mlp::check::compare::run(&mut engine, &case).unwrap();
            let answers = engine.log_probabilities(&case.corpus).unwrap();
            let mut fresh = Cpu::new(threads);
            fresh.load(&engine.parameters().unwrap()).unwrap();
            assert!(fresh.log_probabilities(&case.corpus).unwrap() == answers, "{} after training", case.name);
            // Many steps in a row, in which threads may run ahead of each other.
            let few = case.parameters.shape().vocabulary < 1000;
            let more = engine.train(10, &vec![case.rate / 10.0; if few { 100 } else { 0 }]).unwrap();
            assert!(more.iter().all(|loss| loss.is_finite()), "{}", case.name);
            (found.losses, found.after_ten, answers, more)
        };
        let one = run(1);
        for threads in [2, 3, 4, 5, 8] {
            assert!(run(threads) == one, "{} with {threads} threads", case.name);
        }
    }
}

/// Runs a test on each path of the GPU engine, on a device of its own for each engine that the test asks for.
fn on_gpu(path: Path, test: fn(&mut dyn FnMut() -> Box<dyn Engine>)) {
    if common::gpu().is_some() {
        test(&mut || Box::new(Gpu::open(common::gpu().expect("it was there"), path).unwrap()));
    }
}

#[test]
fn the_small_gpu_path_agrees_with_golden_files() {
    on_gpu(Path::Small, agrees_with_golden_files);
}

#[test]
fn the_general_gpu_path_agrees_with_golden_files() {
    on_gpu(Path::General, agrees_with_golden_files);
}

#[test]
fn the_gpu_engine_agrees_with_the_reference() {
    on_gpu(Path::Automatic, agrees_with_the_reference);
}

#[test]
fn the_general_gpu_path_agrees_with_the_reference() {
    on_gpu(Path::General, agrees_with_the_reference);
}

#[test]
fn the_small_gpu_path_trains_the_same_in_pieces() {
    on_gpu(Path::Small, |engine| trains_the_same_in_pieces(engine, Recipe::default()));
}

#[test]
fn the_general_gpu_path_trains_the_same_in_pieces() {
    on_gpu(Path::General, |engine| trains_the_same_in_pieces(engine, Recipe::default()));
    on_gpu(Path::Automatic, |engine| trains_the_same_in_pieces(engine, EVERYTHING));
}

#[test]
fn the_gpu_engine_answers_questions() {
    on_gpu(Path::Automatic, |engine| answers_questions(&mut *engine()));
}

#[test]
fn a_changed_golden_value_is_found() {
    let (case, expected) = golden::read(&golden_files()[1]).unwrap();
    let failures = |expected| {
        let comparisons = compare(&mut Cpu::new(1), &case, expected).unwrap();
        comparisons
            .into_iter()
            .filter(|comparison| !comparison.ok)
            .map(|comparison| comparison.tensor)
            .collect::<Vec<_>>()
    };
    let mut changed = expected.clone();
    changed.gradients.tensor_mut("hidden.weight")[17] += 1e-3;
    assert_eq!(failures(&changed), ["gradient.hidden.weight"]);
    let mut changed = expected.clone();
    changed.hidden[3] = f32::NAN;
    assert_eq!(failures(&changed), ["hidden"]);
    assert_eq!(failures(&expected), Vec::<String>::new());
}
