//! Dispatches and bytes of a training step of the GPU engine: a guard against regressions that needs no clock.

#[path = "common/accepted.rs"]
mod accepted;
mod common;

use std::sync::Arc;

use accepted::{Accepted, Counts};
use gpu_mlp::bench::SHAPES;
use gpu_mlp::engine::gpu::{Gpu, Path};
use gpu_mlp::engine::{Engine, Recipe};
use gpu_mlp::model::Init;
use gpu_mlp::model::initial::initial;
use gpu_mlp::text::{BatchPlan, Order};

const ACCEPTED: Accepted = Accepted {
    file: "dispatches.toml",
    test: "dispatches",
    about: "Dispatches of a training step of the GPU engine on lavapipe, and bytes of the buffers' parts that they see,\n\
            summed. tests/dispatches.rs holds the program to them and says how to accept new ones.",
    band: 0.0,
};

#[test]
fn a_step_takes_the_dispatches_and_bytes_that_were_accepted() {
    let Some(adapter) = common::gpu() else { return };
    if !adapter.is_software() {
        eprintln!("NOT TESTED: dispatches and bytes are accepted of a software adapter; others are cut differently");
        return;
    }
    let mut found = Counts::new();
    let paths = [("small", Path::Small), ("general", Path::General)];
    for (index, (path_name, path)) in [(0, paths[0]), (1, paths[0]), (1, paths[1]), (3, paths[1]), (4, paths[1])] {
        let bench = &SHAPES[index];
        let mut engine = Gpu::open(common::gpu().expect("it was there"), path).unwrap();
        engine.load(&initial(bench.shape, Init::Scaled, 1, &[])).unwrap();
        let corpus = Arc::new(bench.corpus());
        let plan =
            BatchPlan { order: Order::Sampled, seed: 1, batch: bench.batch as u32, examples: corpus.len() as u32 };
        engine.prepare(corpus, plan, Recipe::default()).unwrap();
        let cost = engine.step_cost().expect("prepared");
        found.insert(format!("{}-{path_name}-dispatches", bench.name), cost.dispatches);
        found.insert(format!("{}-{path_name}-bytes", bench.name), cost.bytes);
    }
    println!("{found:#?}");
    ACCEPTED.hold(&found);
}
