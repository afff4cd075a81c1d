//! The times of the passes of a GPU step, by the device's own clock.

mod common;

use std::sync::Arc;

use gpu_mlp::engine::gpu::kernels::KERNELS;
use gpu_mlp::engine::gpu::{Gpu, Path};
use gpu_mlp::engine::{Engine, Optimizer, PassTime, Profile, Profiler, Recipe};
use gpu_mlp::model::initial::initial;
use gpu_mlp::model::{Init, Shape};
use gpu_mlp::reference::Reference;
use gpu_mlp::text::{BatchPlan, Corpus, Order};

const SHAPE: Shape = Shape { vocabulary: 61, context: 3, embedding: 8, hidden: 24, direct: true, tied: false };

fn prepared(mut engine: impl Engine + 'static, recipe: Recipe) -> Box<dyn Engine> {
    let tokens: Vec<u32> = (0..300).map(|i| i * 7 % 61).collect();
    let corpus = Corpus::from_examples(&tokens, &tokens[..100], 3);
    engine.load(&initial(SHAPE, Init::Scaled, 1, &[])).unwrap();
    engine
        .prepare(Arc::new(corpus), BatchPlan { order: Order::Shuffled, seed: 1, batch: 20, examples: 100 }, recipe)
        .unwrap();
    Box::new(engine)
}

/// What times the passes; says so where nothing can.
fn profiler(engine: &mut dyn Engine) -> Option<Box<dyn Profiler>> {
    match engine.profiler().unwrap() {
        Ok(profiler) => Some(profiler),
        Err(reason) => {
            common::not_tested(reason);
            None
        }
    }
}

/// The name of a pass is that of its kernel; a product's sizes follow.
fn kernel_of(pass: &PassTime) -> &str {
    pass.name.split(' ').next().unwrap()
}

#[test]
fn passes_are_those_of_the_kernel_table_and_fit_into_the_step() {
    let plain = Recipe::default();
    let adamw = Recipe { optimizer: Optimizer::Adamw, clip_norm: 1.0, ..plain };
    for (path, recipe) in [(Path::Small, plain), (Path::General, plain), (Path::General, adamw)] {
        let Some(adapter) = common::gpu() else { return };
        let mut engine = prepared(Gpu::open(adapter, path).unwrap(), recipe);
        let Some(mut profiler) = profiler(engine.as_mut()) else { return };
        let Profile { passes, step_microseconds: step } = profiler.profile(0.05).unwrap();
        let names: Vec<&str> = passes.iter().map(kernel_of).collect();
        for name in &names {
            assert!(KERNELS.iter().any(|kernel| kernel.name == *name), "{name} is no kernel");
        }
        let (first, last) = match path {
            Path::Small => ("small_examples", "small_parameters"),
            _ if recipe == plain => ("hidden_forward", "input_step"),
            _ => ("draw_batch", "loss_mean"),
        };
        assert!(names[0].starts_with(first) && names[names.len() - 1].starts_with(last), "{names:?}");
        assert_eq!(names.contains(&"update_rule"), recipe == adamw, "{names:?}");
        assert!(passes.iter().all(|pass| pass.microseconds > 0.0), "{passes:?}");
        // They come one after the other.
        let sum: f64 = passes.iter().map(|pass| pass.microseconds).sum();
        assert!(sum <= step && step < 60e6, "{sum} of {step}");
        // It goes on with the same steps, whatever its engine does.
        engine.train(0, &[0.1; 3]).unwrap();
        drop(engine);
        let later = profiler.profile(0.0).unwrap();
        assert_eq!(later.passes.iter().map(kernel_of).collect::<Vec<_>>(), names);
        assert!(later.passes.iter().all(|pass| pass.microseconds > 0.0), "{later:?}");
    }
}

#[test]
fn training_knows_nothing_of_a_profile() {
    for path in [Path::Small, Path::General] {
        let run = |profiles: bool| {
            let mut engine = prepared(Gpu::open(common::gpu()?, path).unwrap(), Recipe::default());
            let mut losses = engine.train(0, &[0.1; 3]).unwrap();
            if profiles {
                profiler(engine.as_mut())?.profile(0.0).unwrap();
            }
            losses.extend(engine.train(3, &[0.1; 3]).unwrap());
            Some((losses, engine.parameters().unwrap()))
        };
        let Some(found) = run(true) else { return };
        assert!(run(false).unwrap() == found, "{path:?}");
    }
}

#[test]
fn an_engine_that_cannot_time_its_passes_says_so() {
    let mut engine = prepared(Reference::default(), Recipe::default());
    let Err(reason) = engine.profiler().unwrap() else { panic!("the reference has no clock") };
    assert!(reason.contains("reference"), "{reason}");
    let Some(adapter) = common::gpu() else { return };
    assert!(Gpu::open(adapter, Path::Automatic).unwrap().profiler().is_err(), "nothing is prepared");
}
