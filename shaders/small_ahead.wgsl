// What small_examples.wgsl finds made when a step begins: what the batch is made of, and the hidden weights once more, column by column,
// so that its invocations, of which each has a hidden unit, load what lies side by side. From then on the steps keep both up.
// Expects shared/random.wgsl, shared/batch.wgsl and shared/small.wgsl before it.

@group(0) @binding(0) var<uniform> plan: Plan;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;
@group(0) @binding(2) var<storage, read> places: array<u32>;               // of the targets in the stream, [examples]
@group(0) @binding(3) var<storage, read> parameters: array<f32>;
@group(0) @binding(4) var<storage, read> cursor: Cursor;
@group(0) @binding(5) var<storage, read_write> contexts: array<u32>;       // [B, n], then what is drawn, [2, B, n + 1]
@group(0) @binding(6) var<storage, read_write> hidden_columns: array<f32>; // [n d, h], with rows filled up

@compute @workgroup_size(WORKGROUP)
fn small_ahead(@builtin(global_invocation_id) invocation: vec3<u32>) {
    let unit = invocation.x % HIDDEN_STRIDE;
    let i = invocation.x / HIDDEN_STRIDE;
    if unit < HIDDEN && i < INPUT {
        hidden_columns[invocation.x] = parameters[HIDDEN_WEIGHT + unit * INPUT_STRIDE + i];
    }
    let example = invocation.x / (CONTEXT + 1u);
    if example < plan.batch {
        let place = places[example_of_lane(plan, cursor.next, example)];
        let to = drawn_at(cursor.next.step % 2u, 0u) + invocation.x;
        contexts[to] = tokens[place - CONTEXT + invocation.x % (CONTEXT + 1u)];
    }
}
