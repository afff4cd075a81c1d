//! The whole engine against the reference, on both paths. Tolerances are largest absolute differences over the largest
//! absolute expected value of a tensor; an engine that needs wider ones has a defect.

use std::sync::Arc;

use super::cut::Cut;
use super::disorder::DISORDERS;
use super::{Adapter, Gpu, Kind, Path};
use crate::check::{built_in_cases, expected_of_reference, random_case};
use crate::engine::cpu::Cpu;
use crate::engine::{Engine, Examination, Optimizer, Recipe, mean_loss};
use crate::model::initial::initial;
use crate::model::shape::{EMBEDDING_WEIGHT, OUTPUT_BIAS};
use crate::model::{Init, Parameters, Shape};
use crate::reference::Reference;
use crate::testing;
use crate::text::{BatchPlan, Corpus, Order};

const HIDDEN: f64 = 5e-6;
const LOGITS: f64 = 2e-6;
const GRADIENTS: f64 = 5e-6;
const AFTER_1: f64 = 5e-6;
const AFTER_10: f64 = 5e-5;
const FIRST_LOSS: f64 = 1e-5;
const LATER_LOSS: f64 = 5e-5;

pub(super) const ODD: Shape =
    Shape { vocabulary: 31, context: 5, embedding: 7, hidden: 33, direct: false, tied: false };
pub(super) const LECTURE: Shape =
    Shape { vocabulary: 27, context: 3, embedding: 10, hidden: 200, direct: false, tied: false };
pub(super) const DIRECT: Shape =
    Shape { vocabulary: 101, context: 4, embedding: 6, hidden: 17, direct: true, tied: false };

/// An engine on the best adapter, or a loud line and `None` where there is none and none is required.
pub(super) fn engine(path: Path, checked: bool) -> Option<Gpu> {
    let adapter = testing::gpu()?;
    let opened = if checked { Gpu::open_checked(adapter, path) } else { Gpu::open(adapter, path) };
    Some(opened.unwrap())
}

/// The same, which goes by the rules for GPUs where the best adapter is a software device.
pub(super) fn hardware_engine(path: Path) -> Option<Gpu> {
    let adapter = Adapter { kind: Kind::Discrete, ..testing::gpu()? };
    Some(Gpu::open_checked(adapter, path).unwrap())
}

/// Examples with tokens that come again: within a context, as the target, and the last token of the vocabulary.
pub(super) fn corpus(shape: Shape, examples: usize) -> Corpus {
    let token = |i: usize| (i * i * 31 + i * 7 + 3) as u32 % shape.vocabulary as u32;
    let mut contexts: Vec<u32> = (0..examples * shape.context).map(token).collect();
    contexts[..shape.context].fill(1);
    contexts[2 * shape.context - 1] = shape.vocabulary as u32 - 1;
    let mut targets: Vec<u32> = (0..examples).map(|e| token(e * 5 + 1)).collect();
    targets[0] = shape.vocabulary as u32 - 1;
    for example in examples / 2..examples {
        targets[example] = contexts[example * shape.context];
    }
    Corpus::from_examples(&contexts, &targets, shape.context)
}

pub(super) fn parameters(shape: Shape) -> Parameters {
    initial(shape, Init::Lecture, 5, &[])
}

/// Largest differences as parts of their tolerances, for the one line that each test prints.
#[derive(Default)]
struct Differences(Vec<(String, f64)>);

impl Differences {
    fn of(&mut self, what: &str, found: &[f32], expected: &[f32], tolerance: f64) {
        assert_eq!(found.len(), expected.len(), "{what}");
        let largest = expected.iter().fold(0.0f64, |largest, &x| largest.max(f64::from(x).abs()));
        let difference = |(&x, &y): (&f32, &f32)| (f64::from(x) - f64::from(y)).abs();
        let worst = found.iter().zip(expected).map(difference).fold(0.0, |a: f64, b| if b <= a { a } else { b });
        self.0.push((what.to_owned(), worst / largest.max(f64::MIN_POSITIVE) / tolerance));
    }

    fn of_parameters(&mut self, what: &str, found: &Parameters, expected: &Parameters, tolerance: f64) {
        for ((tensor, x), (_, y)) in found.tensors().zip(expected.tensors()) {
            self.of(&format!("{what} {}", tensor.name), x, y, tolerance);
        }
    }

    fn of_loss(&mut self, what: &str, found: f64, expected: f64, tolerance: f64) {
        self.0.push((what.to_owned(), (found - expected).abs() / expected.max(1.0) / tolerance));
    }

    fn check(mut self, case: &str) {
        self.0.sort_by(|(_, x), (_, y)| y.total_cmp(x));
        println!("{case}: {:.3} of the tolerance ({})", self.0[0].1, self.0[0].0);
        let beyond: Vec<_> = self.0.iter().filter(|(_, ratio)| ratio.is_nan() || *ratio > 1.0).collect();
        assert!(beyond.is_empty(), "{case}: beyond the tolerance, in parts of it: {beyond:?}");
    }
}

fn compare(case: &str, gpu: &mut Gpu, parameters: &Parameters, batch: usize) {
    let shape = parameters.shape();
    let corpus = Arc::new(corpus(shape, batch));
    let mut reference = Reference::default();
    let plan =
        BatchPlan { order: Order::Sequential, seed: 1, batch: corpus.len() as u32, examples: corpus.len() as u32 };
    let mut differences = Differences::default();
    reference.load(parameters).unwrap();
    reference.prepare(Arc::clone(&corpus), plan, Recipe::default()).unwrap();
    gpu.load(parameters).unwrap();
    gpu.prepare(Arc::clone(&corpus), plan, Recipe::default()).unwrap();

    let (found, expected) = (gpu.examine(&corpus).unwrap(), reference.examine(&corpus).unwrap());
    differences.of("hidden", &found.hidden, &expected.hidden, HIDDEN);
    differences.of("logits", &found.logits, &expected.logits, LOGITS);
    differences.of_loss("loss", found.loss, expected.loss, FIRST_LOSS);
    differences.of_parameters("gradient of", &found.gradients, &expected.gradients, GRADIENTS);
    assert_eq!(&gpu.parameters().unwrap(), parameters, "examining changes no parameters");

    let (found, expected) = (gpu.log_probabilities(&corpus).unwrap(), reference.log_probabilities(&corpus).unwrap());
    differences.of("log-probabilities", &found, &expected, LATER_LOSS);
    let contexts: Vec<u32> = (0..batch).flat_map(|example| corpus.context_of(example).to_vec()).collect();
    let (found, expected) = (gpu.distributions(&contexts).unwrap(), reference.distributions(&contexts).unwrap());
    differences.of("distributions", &found, &expected, LATER_LOSS);

    let mut losses = gpu.train(0, &[0.1]).unwrap();
    let mut expected = reference.train(0, &[0.1]).unwrap();
    let (after, expected_after) = (gpu.parameters().unwrap(), reference.parameters().unwrap());
    differences.of_parameters("after 1 step", &after, &expected_after, AFTER_1);
    losses.extend(gpu.train(1, &[0.1; 9]).unwrap());
    expected.extend(reference.train(1, &[0.1; 9]).unwrap());
    for (step, (&found, &expected)) in losses.iter().zip(&expected).enumerate() {
        let tolerance = if step == 0 { FIRST_LOSS } else { LATER_LOSS };
        differences.of_loss(&format!("loss of step {step}"), found.into(), expected.into(), tolerance);
    }
    let (after, expected_after) = (gpu.parameters().unwrap(), reference.parameters().unwrap());
    differences.of_parameters("after 10 steps", &after, &expected_after, AFTER_10);
    differences.check(case);
}

#[test]
fn agrees_with_the_reference() {
    for (name, path) in [("small", Path::Small), ("general", Path::General)] {
        for (shape, batch) in [(ODD, 13), (LECTURE, 32), (DIRECT, 29)] {
            let Some(mut gpu) = engine(path, shape == ODD) else { return };
            compare(&format!("{name} path, V {} B {batch}", shape.vocabulary), &mut gpu, &parameters(shape), batch);
        }
    }
}

#[test]
fn logits_of_thousands_stay_finite() {
    let mut huge = parameters(ODD);
    huge.tensor_mut(OUTPUT_BIAS)[3] = 2000.0;
    huge.tensor_mut(OUTPUT_BIAS)[4] = -2000.0;
    for (name, path) in [("small", Path::Small), ("general", Path::General)] {
        let Some(mut gpu) = engine(path, true) else { return };
        compare(&format!("{name} path, logits of thousands"), &mut gpu, &huge, 13);
    }
}

#[test]
fn a_large_vocabulary_agrees_with_the_reference() {
    let shape = Shape { vocabulary: 18_000, context: 4, embedding: 30, hidden: 100, direct: false, tied: false };
    let parameters = initial(shape, Init::Scaled, 5, &[]);
    let Some(mut gpu) = engine(Path::Automatic, false) else { return };
    let corpus = corpus(shape, 256);
    let mut reference = Reference::default();
    gpu.load(&parameters).unwrap();
    reference.load(&parameters).unwrap();
    let (found, expected) = (gpu.examine(&corpus).unwrap(), reference.examine(&corpus).unwrap());
    let mut differences = Differences::default();
    differences.of("hidden", &found.hidden, &expected.hidden, HIDDEN);
    differences.of("logits", &found.logits, &expected.logits, LOGITS);
    differences.of_loss("loss", found.loss, expected.loss, FIRST_LOSS);
    differences.of_parameters("gradient of", &found.gradients, &expected.gradients, GRADIENTS);
    let loss = mean_loss(&mut gpu, &corpus).unwrap();
    differences.of_loss("mean of log-probabilities", loss, expected.loss, FIRST_LOSS);
    differences.check("V 18,000 B 256");
}

#[test]
fn batches_and_vocabularies_of_more_rounds_than_llvmpipe_takes_agree_with_the_reference() {
    let few = Shape { vocabulary: 5, context: 2, embedding: 3, hidden: 4, direct: true, tied: false };
    let many = Shape { vocabulary: 700_000, direct: false, ..few };
    for (shape, batch) in [(few, 100_000), (many, 3)] {
        let Some(mut gpu) = engine(Path::General, false) else { return };
        compare(&format!("V {} B {batch}", shape.vocabulary), &mut gpu, &parameters(shape), batch);
    }
}

#[test]
fn every_case_agrees_when_batch_and_matrices_are_cut_and_by_the_rules_for_gpus() {
    if testing::gpu().is_none() {
        return;
    }
    let built_in = built_in_cases().into_iter().map(|case| {
        let expected = expected_of_reference(&case).unwrap();
        (case, expected)
    });
    for (case, expected) in built_in.chain(testing::numbers(8).map(|number| random_case(1, number).unwrap())) {
        for hardware in [false, true] {
            let opened = if hardware { hardware_engine(Path::General) } else { engine(Path::General, false) };
            let Some(mut gpu) = opened else { return };
            gpu.device.disorder(DISORDERS[usize::from(hardware)]);
            let shape = case.parameters.shape();
            if !hardware {
                gpu.cut = Cut { examples: case.corpus.len().div_ceil(3), rows: shape.vocabulary.div_ceil(4) };
            }
            let comparisons = crate::check::compare(&mut gpu, &case, &expected).unwrap();
            let bad: Vec<_> = comparisons.iter().filter(|comparison| !comparison.ok).collect();
            assert!(bad.is_empty() && comparisons.len() > 20, "{bad:#?}");

            let mut reference = Reference::default();
            reference.load(&case.parameters).unwrap();
            gpu.load(&case.parameters).unwrap();
            let mut differences = Differences::default();
            let expected = reference.log_probabilities(&case.corpus).unwrap();
            differences.of("log-probabilities", &gpu.log_probabilities(&case.corpus).unwrap(), &expected, LATER_LOSS);
            let contexts: Vec<u32> = (0..case.corpus.len()).flat_map(|e| case.corpus.context_of(e).to_vec()).collect();
            let expected = reference.distributions(&contexts).unwrap();
            differences.of("distributions", &gpu.distributions(&contexts).unwrap(), &expected, LATER_LOSS);
            differences.check(&case.name);
        }
    }
}

/// What an engine makes of a large network.
struct Found {
    examination: Examination,
    log_probabilities: Vec<f32>,
    distributions: Vec<f32>,
    loss: f32,
    after: Parameters,
}

/// Logits of 154 MB and an output matrix of 144 MB, more than one binding of many devices holds; for ten minutes:
/// `cargo test --release --lib large_vocabularies -- --ignored --nocapture`.
#[test]
#[ignore = "takes minutes on a software device"]
fn large_vocabularies_agree_with_the_reference_and_the_cpu_engine() {
    for (vocabulary, hidden, batch) in [(17_907, 100, 256), (120_000, 300, 320)] {
        let shape = Shape { vocabulary, context: 4, embedding: 30, hidden, direct: false, tied: false };
        let parameters = initial(shape, Init::Scaled, 5, &[]);
        let Some(mut gpu) = engine(Path::Automatic, false) else { return };
        let (all, few) = (Arc::new(corpus(shape, batch)), corpus(shape, 6));
        let contexts: Vec<u32> = (0..3).flat_map(|example| all.context_of(example).to_vec()).collect();
        let plan = BatchPlan { order: Order::Sequential, seed: 1, batch: batch as u32, examples: batch as u32 };
        let run = |engine: &mut dyn Engine| {
            engine.load(&parameters).unwrap();
            let examination = engine.examine(&all).unwrap();
            let log_probabilities = engine.log_probabilities(&few).unwrap();
            let distributions = engine.distributions(&contexts).unwrap();
            engine.prepare(all.clone(), plan, Recipe::default()).unwrap();
            let begin = std::time::Instant::now();
            let loss = engine.train(0, &[0.1]).unwrap()[0];
            println!("V {vocabulary} B {batch}, {}: a step in {:.1?}", engine.hardware().device, begin.elapsed());
            Found { examination, log_probabilities, distributions, loss, after: engine.parameters().unwrap() }
        };
        let expected = run(&mut Reference::default());
        let compare = |name: &str, found: Found| {
            let mut differences = Differences::default();
            differences.of("hidden", &found.examination.hidden, &expected.examination.hidden, HIDDEN);
            differences.of("logits", &found.examination.logits, &expected.examination.logits, LOGITS);
            differences.of_loss("loss", found.examination.loss, expected.examination.loss, FIRST_LOSS);
            differences.of_parameters(
                "gradient of",
                &found.examination.gradients,
                &expected.examination.gradients,
                GRADIENTS,
            );
            differences.of("log-probabilities", &found.log_probabilities, &expected.log_probabilities, LATER_LOSS);
            differences.of("distributions", &found.distributions, &expected.distributions, LATER_LOSS);
            differences.of_loss("loss of the step", found.loss.into(), expected.loss.into(), FIRST_LOSS);
            differences.of_parameters("after 1 step", &found.after, &expected.after, AFTER_1);
            println!("V {vocabulary}, {name}, in parts of the tolerance: {:.3?}", differences.0);
            differences
        };
        compare("CPU engine", run(&mut Cpu::new(2)));
        compare("GPU engine", run(&mut gpu)).check(&format!("V {vocabulary} B {batch}"));
    }
}

/// Parameters after some steps, taken as the lists of rates say.
fn train_in_pieces(path: Path, order: Order, pieces: &[usize], reload: bool) -> Option<(Vec<f32>, Parameters)> {
    let mut gpu = engine(path, false)?;
    let corpus = Arc::new(corpus(LECTURE, 50));
    let plan = BatchPlan { order, seed: 9, batch: 32, examples: 50 };
    gpu.load(&parameters(LECTURE)).unwrap();
    gpu.prepare(corpus, plan, Recipe::default()).unwrap();
    let mut losses: Vec<f32> = Vec::new();
    for &steps in pieces {
        let rates: Vec<f32> = (losses.len()..losses.len() + steps).map(|step| 0.1 / (1.0 + step as f32)).collect();
        losses.extend(gpu.train(losses.len() as u64, &rates).unwrap());
        if reload {
            let parameters = gpu.parameters().unwrap();
            gpu.load(&parameters).unwrap();
        }
    }
    let after = gpu.parameters().unwrap();
    Some((losses, after))
}

#[test]
fn a_run_is_the_same_in_pieces_and_follows_the_reference() {
    for path in [Path::Small, Path::General] {
        for order in [Order::Sampled, Order::Shuffled, Order::Sequential] {
            let Some(whole) = train_in_pieces(path, order, &[10], false) else { return };
            let pieces = train_in_pieces(path, order, &[4, 6], true).unwrap();
            assert_eq!(whole, pieces, "{path:?} {order:?}");

            let mut reference = Reference::default();
            reference.load(&parameters(LECTURE)).unwrap();
            let plan = BatchPlan { order, seed: 9, batch: 32, examples: 50 };
            reference.prepare(Arc::new(corpus(LECTURE, 50)), plan, Recipe::default()).unwrap();
            let rates: Vec<f32> = (0..10).map(|step| 0.1 / (1.0 + step as f32)).collect();
            let expected = reference.train(0, &rates).unwrap();
            let mut differences = Differences::default();
            for (step, (&found, &expected)) in whole.0.iter().zip(&expected).enumerate() {
                differences.of_loss(&format!("loss of step {step}"), found.into(), expected.into(), LATER_LOSS);
            }
            differences.of_parameters("parameters", &whole.1, &reference.parameters().unwrap(), AFTER_10);
            differences.check(&format!("{path:?} path, {order:?} order"));
        }
    }
}

#[test]
fn an_evaluation_after_others_is_that_of_a_fresh_engine() {
    let fresh_of = |shape| {
        let mut gpu = engine(Path::Automatic, true)?;
        gpu.load(&parameters(shape)).unwrap();
        Some(gpu)
    };
    let fresh = || fresh_of(ODD);
    let Some(mut gpu) = fresh() else { return };
    // Fewer, more, and other parameters; the last chunk of 5,000 is not full.
    for examples in [40, 13, 40, 5000, 4100, 2, 70] {
        let (corpus, mut other) = (corpus(ODD, examples), fresh().unwrap());
        assert!(gpu.log_probabilities(&corpus).unwrap() == other.log_probabilities(&corpus).unwrap(), "{examples}");
    }
    // Place by place, by pairs, again with other parameters, and back, where the chunk before would do.
    let few = Shape { vocabulary: 5, context: 8, embedding: 32, hidden: 20, ..ODD };
    let mut by_pairs = fresh_of(few).unwrap();
    for (seed, examples) in (0..).zip([120, 140, 140, 120]) {
        let (corpus, mut other) = (corpus(few, examples), fresh_of(few).unwrap());
        for engine in [&mut by_pairs, &mut other] {
            engine.load(&initial(few, Init::Scaled, seed, &[])).unwrap();
        }
        let found = by_pairs.log_probabilities(&corpus).unwrap();
        assert_eq!(by_pairs.evaluation.as_ref().unwrap().by_pairs, examples > 128);
        assert!(found == other.log_probabilities(&corpus).unwrap(), "{examples} by pairs");
    }
    for (seed, examples) in (0..).zip([20, 20, 7, 50]) {
        let (contexts, mut other) = (&corpus(ODD, 80 - seed).tokens()[..5 * examples].to_vec(), fresh().unwrap());
        for engine in [&mut gpu, &mut other] {
            engine.load(&initial(ODD, Init::Scaled, seed as u32, &[])).unwrap();
        }
        assert!(gpu.distributions(contexts).unwrap() == other.distributions(contexts).unwrap(), "{examples}");
    }
    gpu.log_probabilities(&corpus(ODD, 9)).unwrap();
    let outside = Corpus::from_examples(&[1, 2, 3, 31, 0], &[3], 5);
    assert!(gpu.log_probabilities(&outside).unwrap_err().to_string().contains("token 31"));
    assert_eq!(gpu.log_probabilities(&corpus(ODD, 9)).unwrap().len(), 9);
}

#[test]
fn more_steps_than_the_ring_holds_go_on_where_they_were() {
    let shape = Shape { vocabulary: 5, context: 2, embedding: 2, hidden: 3, ..ODD };
    let Some(mut gpu) = engine(Path::Small, false) else { return };
    let corpus = Arc::new(corpus(shape, 7));
    gpu.load(&parameters(shape)).unwrap();
    gpu.prepare(corpus, BatchPlan { order: Order::Shuffled, seed: 2, batch: 4, examples: 7 }, Recipe::default())
        .unwrap();
    let steps = super::feed::RING + 9;
    let whole = gpu.train(0, &vec![0.05; steps]).unwrap();
    assert_eq!(whole.len(), steps);
    let after = gpu.parameters().unwrap();
    gpu.load(&parameters(shape)).unwrap();
    let mut pieces = gpu.train(0, &vec![0.05; 3000]).unwrap();
    pieces.extend(gpu.train(3000, &vec![0.05; steps - 3000]).unwrap());
    assert_eq!(whole, pieces);
    assert_eq!(after, gpu.parameters().unwrap());
}

#[test]
fn what_cannot_be_is_refused() {
    let Some(mut gpu) = engine(Path::Small, false) else { return };
    assert!(gpu.train(0, &[0.1]).is_err());
    assert!(gpu.parameters().is_err());
    gpu.load(&parameters(LECTURE)).unwrap();
    assert!(gpu.load(&parameters(ODD)).unwrap_err().to_string().contains("holds"));

    let outside = Corpus::from_examples(&[0, 1, 27], &[3], 3);
    assert!(gpu.log_probabilities(&outside).unwrap_err().to_string().contains("token 27"));
    let narrow = Corpus::from_examples(&[0, 1], &[3], 2);
    assert!(gpu.log_probabilities(&narrow).unwrap_err().to_string().contains("contexts of 2"));

    let many = Arc::new(corpus(LECTURE, 300));
    let plan = BatchPlan { order: Order::Sampled, seed: 1, batch: 300, examples: 300 };
    assert!(gpu.prepare(many, plan, Recipe::default()).unwrap_err().to_string().contains("at most 256"));

    let adamw = Recipe { optimizer: Optimizer::Adamw, ..Recipe::default() };
    let few = Arc::new(corpus(LECTURE, 30));
    let plan = BatchPlan { order: Order::Sampled, seed: 1, batch: 30, examples: 30 };
    assert!(gpu.prepare(few.clone(), plan, adamw).unwrap_err().to_string().contains("plain gradient steps only"));
    assert!(gpu.state().is_err());
    let mut general = Gpu { path: Path::Automatic, ..gpu };
    general.prepare(few.clone(), plan, adamw).unwrap();
    let state = general.state().unwrap();
    general.prepare(few, plan, Recipe::default()).unwrap();
    assert!(general.load_state(&state).unwrap_err().to_string().contains("another update rule"));

    // Gradients of gigabytes that are not cut.
    let shape = Shape { vocabulary: 60_000, context: 1, embedding: 16, hidden: 1, direct: false, tied: false };
    let Some(mut gpu) = engine(Path::General, false) else { return };
    let mut parameters = Parameters::zeros(shape);
    parameters.tensor_mut(EMBEDDING_WEIGHT).fill(0.5);
    gpu.load(&parameters).unwrap();
    let plan = BatchPlan { order: Order::Sampled, seed: 1, batch: 40_000_000, examples: 13 };
    let error = gpu.prepare(Arc::new(corpus(shape, 13)), plan, Recipe::default()).unwrap_err().to_string();
    assert!(error.contains("bytes, but") && error.contains("--batch"), "{error}");
}

#[test]
fn a_lost_device_is_an_error_of_every_answer_and_nothing_waits_for_ever() {
    let Some(mut gpu) = engine(Path::General, false) else { return };
    let corpus = Arc::new(corpus(ODD, 64));
    let plan = BatchPlan { order: Order::Sampled, seed: 1, batch: 16, examples: 64 };
    gpu.load(&parameters(ODD)).unwrap();
    gpu.prepare(corpus.clone(), plan, Recipe::default()).unwrap();
    gpu.train(0, &[0.1; 4]).unwrap();
    gpu.device.destroy();
    let begin = std::time::Instant::now();
    let failures = [
        gpu.train(4, &[0.1; 4]).map(drop),
        gpu.parameters().map(drop),
        gpu.state().map(drop),
        gpu.log_probabilities(&corpus).map(drop),
    ];
    for (number, failure) in failures.into_iter().enumerate() {
        let message = failure.expect_err(&format!("answer {number}")).to_string();
        assert!(message.contains("lost") && message.contains("--resume"), "{number}: {message}");
    }
    assert!(begin.elapsed().as_secs() < 10);
}
