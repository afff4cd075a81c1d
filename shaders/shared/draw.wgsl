// A token of a batch's contexts from the corpus, and the target.
// Expects shared/random.wgsl and shared/batch.wgsl before it, and of its includer `plan`, `tokens`, `places`, `contexts` and
// `targets`. An invocation a token and no loop over them: lavapipe would write the loop out for its number of rounds, anew for
// each dispatch.

// Token i % n of the context of example i / n.
fn draw(position: Position, i: u32) {
    let lane = i / plan.context;
    let k = i % plan.context;
    let place = places[example_of_lane(plan, position, lane)];
    contexts[i] = tokens[place - plan.context + k];
    if k == 0u {
        targets[lane] = tokens[place];
    }
}
