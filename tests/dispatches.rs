//! Dispatches and bytes of a training step of the GPU engine: a guard against regressions that needs no clock.

#[path = "common/accepted.rs"]
mod accepted;
mod common;

use std::sync::Arc;

use accepted::{Accepted, Counts};
use gpu_mlp::bench::{BenchShape, SHAPES};
use gpu_mlp::engine::gpu::{Gpu, NoStore, Path, Store};
use gpu_mlp::engine::{Engine, Recipe};
use gpu_mlp::model::initial::initial;
use gpu_mlp::model::{Init, Shape};
use gpu_mlp::text::{BatchPlan, Order};

const ACCEPTED: Accepted = Accepted {
    file: "dispatches.toml",
    test: "dispatches",
    about: "Dispatches of a training step of the GPU engine on lavapipe, and bytes of the buffers' parts that they see,\n\
            summed. tests/dispatches.rs holds the program to them and says how to accept new ones.",
    band: 0.0,
};

/// What an earlier run may have found to be the faster way: passes that share dispatches, or a dispatch for each.
struct Found(String);

impl Store for Found {
    fn load(&self, _: &str) -> Option<Vec<u8>> {
        Some(self.0.clone().into_bytes())
    }

    fn save(&self, _: &str, _: &[u8]) {}
}

impl Found {
    fn of(bench: &BenchShape, way: &str) -> Box<dyn Store> {
        let Shape { vocabulary, context, embedding, hidden, direct, .. } = bench.shape;
        let direct = if direct { " direct" } else { "" };
        let key = format!("step V {vocabulary} n {context} d {embedding} h {hidden}{direct} B {}", bench.batch);
        Box::new(Found(format!("{key:?} = {way:?}")))
    }
}

#[test]
fn a_step_takes_the_dispatches_and_bytes_that_were_accepted() {
    let Some(adapter) = common::gpu() else { return };
    if !adapter.is_software() {
        common::not_tested("dispatches and bytes are accepted of a software adapter; others are cut differently");
        return;
    }
    let mut found = Counts::new();
    let cases = [
        (0, "small"),
        (1, "small"),
        (1, "joined"),
        (2, "pairs"),
        (3, "joined"),
        (3, "apart"),
        (4, "joined"),
        (4, "apart"),
    ];
    for (index, way) in cases {
        let bench = &SHAPES[index];
        let (path, store): (Path, Box<dyn Store>) = match way {
            "small" => (Path::Small, Box::new(NoStore)),
            "pairs" => (Path::General, Box::new(NoStore)),
            _ => (Path::General, Found::of(bench, way)),
        };
        let mut engine = Gpu::open_with(common::gpu().expect("it was there"), path, store).unwrap();
        engine.load(&initial(bench.shape, Init::Scaled, 1, &[])).unwrap();
        let corpus = Arc::new(bench.corpus());
        let plan =
            BatchPlan { order: Order::Sampled, seed: 1, batch: bench.batch as u32, examples: corpus.len() as u32 };
        engine.prepare(corpus, plan, Recipe::default()).unwrap();
        let cost = engine.step_cost().expect("prepared");
        found.insert(format!("{}-{way}-dispatches", bench.name), cost.dispatches);
        found.insert(format!("{}-{way}-bytes", bench.name), cost.bytes);
    }
    println!("{found:#?}");
    ACCEPTED.hold(&found);
}
