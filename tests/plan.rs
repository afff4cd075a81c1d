//! `plan` says what the engines do, and `tour` what they compute.

mod common;
#[allow(dead_code)]
#[path = "common/program.rs"]
mod program;

use std::sync::Arc;

use gpu_mlp::bench::SHAPES;
use gpu_mlp::engine::cpu::Cpu;
use gpu_mlp::engine::gpu::{Gpu, Path};
use gpu_mlp::engine::{Cost, Engine, Recipe};
use gpu_mlp::model::Parameters;
use gpu_mlp::text::{BatchPlan, Order};
use program::{Place, of};

#[test]
fn the_lectures_network_is_counted_by_the_formulas() {
    let place = Place::new();
    let events = place.events("plan --cpu");
    let plan = of(&events, "plan")[0];
    assert_eq!(plan["parameters"], 11_897);
    assert_eq!(plan["flops"], 6.0 * 32.0 * (30.0 * 200.0 + 200.0 * 27.0));
    assert_eq!(plan["fits"], true);
    let tensors = plan["tensors"].as_array().unwrap();
    assert_eq!(tensors.iter().map(|tensor| tensor["parameters"].as_u64().unwrap()).sum::<u64>(), 11_897);
    let buffers = plan["buffers"].as_array().unwrap();
    let bytes = |kind: &str| -> u64 {
        buffers.iter().filter(|memory| memory["kind"] == kind).map(|memory| memory["bytes"].as_u64().unwrap()).sum()
    };
    assert!(bytes("parameters") >= 4 * 11_897 && bytes("optimizer") == 0 && bytes("corpus") > 0);
    let all = ["parameters", "optimizer", "corpus", "activations"].map(bytes).iter().sum::<u64>();
    assert_eq!(plan["bytes"], all);
    let (step, run) = (plan["floor_step_seconds"].as_f64().unwrap(), plan["floor_seconds"].as_f64().unwrap());
    assert!(step > 0.0 && (run / step / 200_000.0 - 1.0).abs() < 1e-9);
    assert!(!place.path("runs").exists(), "a plan leaves nothing behind");
}

#[test]
fn an_optimizer_and_a_vocabulary_are_taken_into_account() {
    let place = Place::new();
    let plan = |options: &str| of(&place.events(&format!("plan --cpu --steps 10 {options}")), "plan")[0].clone();
    let plain = plan("--vocabulary 1000");
    let adamw = plan("--vocabulary 1000 --optimizer adamw --direct");
    assert_eq!(plain["shape"]["vocabulary"], 1000);
    assert_eq!(plain["predictions"], 1_000_000);
    assert_eq!(adamw["parameters"].as_u64().unwrap() - plain["parameters"].as_u64().unwrap(), 30 * 1000);
    let optimizer = adamw["buffers"].as_array().unwrap().iter().filter(|memory| memory["kind"] == "optimizer");
    assert!(optimizer.count() >= 2, "adamw keeps two moments");
    place.error("plan --vocabulary 1000 names.txt", 2);
}

fn cost(engine: &mut dyn Engine, shape: usize, prepare: bool) -> Cost {
    let bench = &SHAPES[shape];
    engine.load(&Parameters::zeros(bench.shape)).unwrap();
    let corpus = Arc::new(bench.corpus());
    let plan = BatchPlan { order: Order::Sampled, seed: 1, batch: bench.batch as u32, examples: corpus.len() as u32 };
    // What a training found to be the fastest way is known to a plan after it.
    if prepare {
        engine.prepare(corpus.clone(), plan, Recipe::default()).unwrap();
    }
    engine.cost(corpus, plan, Recipe::default()).unwrap()
}

#[test]
fn a_gpus_dispatches_are_those_of_the_prepared_step() {
    for (shape, path) in [(0, Path::Small), (1, Path::General), (3, Path::Automatic)] {
        let Some(adapter) = common::gpu() else { return };
        let mut engine = Gpu::open(adapter, path).unwrap();
        let cost = cost(&mut engine, shape, true);
        let prepared = engine.step_cost().unwrap();
        if path != Path::Small {
            assert_eq!(cost.dispatches, Some(prepared.dispatches), "{}", SHAPES[shape].name);
        }
        let parameters = cost.buffers.iter().find(|memory| memory.name == "parameters").unwrap();
        assert!(parameters.bytes >= 4 * SHAPES[shape].shape.parameters() as u64);
        let is_small = cost.limits.iter().all(|bound| !bound.is_hit());
        assert_eq!(is_small, shape < 3, "{:?}", cost.limits);
    }
}

#[test]
fn a_plan_knows_that_a_network_is_too_large_for_a_device() {
    if common::gpu().is_none() {
        return;
    }
    let place = Place::new();
    let output =
        place.run("plan --device gpu --vocabulary 1000000 --hidden 1000 --steps 1 --tokens-in-text 1000 --json");
    let events = program::events(&output.stdout);
    let plan = of(&events, "plan")[0];
    if plan["fits"] == true {
        assert!(output.status.success(), "a large GPU takes it");
        return;
    }
    assert_eq!(output.status.code(), Some(1));
    assert!(plan["reason"].as_str().unwrap().contains("parameters needs"), "{plan}");
}

#[test]
fn small_networks_take_fewer_threads() {
    // Blocks of hidden units: two of notebook, four of makemore. Of brown the threads share out the vocabulary.
    for (shape, threads) in [(0, 2), (1, 4), (3, 8)] {
        let path = cost(&mut Cpu::new(8), shape, false).path;
        assert!(path.contains(&format!(": {threads} thread(s) ")), "{}: {path}", SHAPES[shape].name);
    }
}

#[test]
fn planning_does_not_train() {
    let mut engine = Cpu::new(1);
    cost(&mut engine, 1, false);
    assert_eq!(engine.parameters().unwrap(), Parameters::zeros(SHAPES[1].shape));
}
