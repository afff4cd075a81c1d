// Several whole steps in one workgroup, to the bit those of the two dispatches: nothing has to be started between phases, but
// only one of the device's cores works. For networks so small that a start costs more than a phase.
// Expects shared/random.wgsl, shared/batch.wgsl, shared/small.wgsl, shared/small_across.wgsl and shared/small_tiled.wgsl
// beside it.

override STEPS: u32 = 1u;

@group(0) @binding(0) var<uniform> plan: Plan;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;
@group(0) @binding(2) var<storage, read> places: array<u32>;                  // of the targets in the stream, [examples]
@group(0) @binding(3) var<storage, read> factors: array<Factors>;             // by slot
@group(0) @binding(4) var<storage, read_write> cursor: Cursor;
@group(0) @binding(5) var<storage, read_write> contexts: array<u32>;          // [B, n]
@group(0) @binding(6) var<storage, read_write> activations: array<vec4<f32>>; // [B, RECORD], then logits, [B, V]
@group(0) @binding(7) var<storage, read_write> parameters: array<vec4<f32>>;
@group(0) @binding(8) var<storage, read_write> losses: array<f32>;            // by slot

@compute @workgroup_size(WORKGROUP)
fn small_steps(@builtin(local_invocation_index) local: u32) {
    for (var step = 0u; step < STEPS; step++) {
        let position = cursor.next;
        for (var first = 0u; first < BATCH; first += WORKGROUP / PARTS * EXAMPLES) {
            examples_across(position, first + local / PARTS * EXAMPLES, local % PARTS);
        }
        storageBarrier();
        for (var index = local; index < TILES; index += WORKGROUP) {
            update(position, index);
        }
        storageBarrier();
    }
}
