// The same as small_parameters_tiled.wgsl where a uniform buffer holds all records: lavapipe reads it without a loop over the
// invocations (makemore: 175 microseconds, and 227 with a storage buffer). `{quads}` are their fours.
// Expects shared/random.wgsl, shared/batch.wgsl, shared/small.wgsl and shared/small_tiled.wgsl beside it.

@group(0) @binding(0) var<uniform> plan: Plan;
@group(0) @binding(1) var<storage, read> contexts: array<u32>;                // [B, n]
@group(0) @binding(2) var<uniform> activations: array<vec4<f32>, {quads}>;    // [B, RECORD]
@group(0) @binding(3) var<storage, read> factors: array<Factors>;             // by slot
@group(0) @binding(4) var<storage, read_write> cursor: Cursor;
@group(0) @binding(5) var<storage, read_write> parameters: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> losses: array<f32>;            // by slot

@compute @workgroup_size(WORKGROUP)
fn small_parameters_uniform(@builtin(global_invocation_id) invocation: vec3<u32>) {
    update(cursor.current, invocation.x);
}
