//! Engines against the reference on cases that nobody thought of: sizes and recipes that are drawn. `GPU_MLP_CASES` takes
//! more of them, or others: `1000`, or `500..1000`.

mod common;
#[path = "common/numbers.rs"]
mod numbers;
#[path = "common/pieces.rs"]
mod pieces;

use gpu_mlp::Error;
use gpu_mlp::check::compare::{largest_error, run};
use gpu_mlp::check::{Case, Comparison, compare, random_case};
use gpu_mlp::engine::Engine;
use gpu_mlp::engine::cpu::Cpu;
use gpu_mlp::engine::gpu::{Gpu, Path};
use gpu_mlp::reference::Reference;
use gpu_mlp::text::{BatchPlan, Order};
use numbers::numbers;
use pieces::trained;

/// That of `gpu-mlp check --random`, which with `--json` shows all tensors of a case.
const SEED: u32 = 42;

/// Every tensor of a forward and a backward pass and of ten steps.
fn agrees(comparisons: Vec<Comparison>, case: &Case) {
    let bad: Vec<_> = comparisons.into_iter().filter(|tensor| !tensor.ok).collect();
    assert!(bad.is_empty(), "{}: {bad:#?}", case.name);
}

/// Log-probabilities and distributions, by parameters that the engine did not train.
fn answers(engine: &mut dyn Engine, case: &Case) {
    let mut reference = Reference::default();
    reference.load(&case.parameters).unwrap();
    engine.load(&case.parameters).unwrap();
    let expected = reference.log_probabilities(&case.corpus).unwrap();
    let error = largest_error(&engine.log_probabilities(&case.corpus).unwrap(), &expected);
    assert!(error < 2e-6, "{}: log-probabilities are off by {error:e}", case.name);
    let few = case.corpus.len().min(5);
    let contexts: Vec<u32> = (0..few).flat_map(|example| case.corpus.context_of(example).to_vec()).collect();
    let expected = reference.distributions(&contexts).unwrap();
    let error = largest_error(&engine.distributions(&contexts).unwrap(), &expected);
    assert!(error < 5e-6, "{}: distributions are off by {error:e}", case.name);
}

/// Batches of a third of a case's examples.
fn thirds(case: &Case) -> BatchPlan {
    let examples = case.corpus.len();
    BatchPlan {
        order: [Order::Sampled, Order::Shuffled, Order::Sequential][examples % 3],
        seed: 5,
        batch: examples.div_ceil(3) as u32,
        examples: examples as u32,
    }
}

#[test]
fn the_cpu_engine_agrees_and_gives_the_same_bits_for_any_number_of_threads() {
    for number in numbers(100) {
        let (case, expected) = random_case(SEED, number).unwrap();
        let threads = [1, 2, 3, 5][number as usize % 4];
        let mut engine = Cpu::new(threads);
        agrees(compare(&mut engine, &case, &expected).unwrap(), &case);
        answers(&mut engine, &case);
        let all = |threads| {
            let found = run(&mut Cpu::new(threads), &case).unwrap();
            (found.hidden, found.logits, found.gradients, found.losses, found.after_ten)
        };
        assert!(all(threads) == all(4), "{} with {threads} and 4 threads", case.name);
        let whole = trained(&mut || Box::new(Cpu::new(threads)), &case, thirds(&case), &[9]);
        assert!(
            whole == trained(&mut || Box::new(Cpu::new(2)), &case, thirds(&case), &[1, 5, 3]),
            "{} in pieces",
            case.name
        );
    }
}

#[test]
fn the_gpu_engine_agrees_on_both_paths() {
    let Some(adapter) = common::gpu() else { return };
    let mut small = 0;
    for number in numbers(12) {
        let (case, expected) = random_case(SEED, number).unwrap();
        for path in [Path::General, Path::Small] {
            let mut engine = Gpu::open(adapter.clone(), path).unwrap();
            match compare(&mut engine, &case, &expected) {
                // What is too large for the small path, or no plain step.
                Err(Error::Usage(_)) if path == Path::Small => continue,
                comparisons => agrees(comparisons.unwrap(), &case),
            }
            answers(&mut engine, &case);
            small += usize::from(path == Path::Small);
        }
        let mut engine = || -> Box<dyn Engine> { Box::new(Gpu::open(adapter.clone(), Path::Automatic).unwrap()) };
        assert!(
            trained(&mut engine, &case, thirds(&case), &[9]) == trained(&mut engine, &case, thirds(&case), &[1, 5, 3]),
            "{} in pieces",
            case.name
        );
    }
    println!("{small} of the cases fit the small path");
    assert!(small > 0, "no case fits the small path");
}
