//! A training in pieces.

use std::sync::Arc;

use gpu_mlp::check::Case;
use gpu_mlp::engine::{Engine, State};
use gpu_mlp::text::BatchPlan;

/// Trains on the examples of a case in pieces of so many steps, each by an engine of its own that goes on from the state of
/// the last. The loss of each step, and the last state.
pub(crate) fn trained(
    engine: &mut dyn FnMut() -> Box<dyn Engine>,
    case: &Case,
    plan: BatchPlan,
    pieces: &[usize],
) -> (Vec<f32>, State) {
    let corpus = Arc::new(case.corpus.clone());
    let mut losses = Vec::new();
    let mut state = State::new(case.parameters.clone(), &case.recipe);
    for &piece in pieces {
        let mut engine = engine();
        engine.load(&case.parameters).unwrap();
        engine.prepare(Arc::clone(&corpus), plan, case.recipe).unwrap();
        engine.load_state(&state).unwrap();
        losses.extend(engine.train(losses.len() as u64, &vec![case.rate; piece]).unwrap());
        state = engine.state().unwrap();
    }
    (losses, state)
}
