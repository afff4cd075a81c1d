// Which examples make the batch of a step: the twin of src/text/batches.rs.
// Expects shared/random.wgsl before it.

// The order of the examples, one of the three below: a constant, because lavapipe makes a kernel anew for each dispatch where the
// value of a uniform decides over half of it (draw_batch: 1.2 ms, and 0.08 without).
override ORDER: u32 = 0u;
const SAMPLED = 0u;
const SHUFFLED = 1u;
const SEQUENTIAL = 2u;

struct Plan {
    seed: u32,
    batch: u32,     // B
    examples: u32,  // in the corpus
    half_bits: u32, // of the permutation's domain
    context: u32,   // n
}

// Where a step begins in the endless sequence of epochs, and which entry of the rings of factors and losses is its own.
struct Position {
    step: u32,
    epoch: u32,
    offset: u32,
    slot: u32,
}

// The first pass of a step copies `next` to `current`; the passes after it read `current`; a later one writes `next`.
// So no pass reads what it also writes, and nothing has to come from the host for each step.
struct Cursor {
    current: Position,
    next: Position,
    rate: f32, // of the step that is being taken, where its first pass brings it (small_examples.wgsl)
}

// What differs from step to step of the update; the ring has one for each slot.
struct Factors {
    rate: f32,
    velocity: f32, // AdamW's correction of the mean gradient
    squares: f32,  // AdamW's correction of the squared gradient
    keeps: f32,    // what the average of the weights keeps of itself
}

const PURPOSE_BATCH = 1u;
const PURPOSE_EPOCH = 2u;

fn example_of_lane(plan: Plan, position: Position, lane: u32) -> u32 {
    if ORDER == SAMPLED {
        let key = vec2<u32>(plan.seed, PURPOSE_BATCH);
        return below(threefry(key, vec2<u32>(position.step, lane)).x, plan.examples);
    }
    let place = position.offset + lane;
    if ORDER == SHUFFLED {
        let key = vec2<u32>(plan.seed, PURPOSE_EPOCH);
        let epoch = position.epoch + place / plan.examples;
        return permuted(key, epoch, plan.examples, plan.half_bits, place % plan.examples);
    }
    return place % plan.examples;
}

fn position_after(plan: Plan, position: Position) -> Position {
    let place = position.offset + plan.batch;
    let epoch = position.epoch + place / plan.examples;
    return Position(position.step + 1u, epoch, place % plan.examples, position.slot + 1u);
}
