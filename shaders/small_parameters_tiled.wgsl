// The same as small_parameters.wgsl to the bit, an invocation a tile of parameters.
// Expects shared/random.wgsl, shared/batch.wgsl, shared/small.wgsl and shared/small_tiled.wgsl beside it.

@group(0) @binding(0) var<uniform> plan: Plan;
@group(0) @binding(1) var<storage, read> contexts: array<u32>;                // [B, n]
@group(0) @binding(2) var<storage, read> activations: array<vec4<f32>>;       // [B, RECORD]
@group(0) @binding(3) var<storage, read> factors: array<Factors>;             // by slot
@group(0) @binding(4) var<storage, read_write> cursor: Cursor;
@group(0) @binding(5) var<storage, read_write> parameters: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> losses: array<f32>;            // by slot

@compute @workgroup_size(WORKGROUP)
fn small_parameters_tiled(@builtin(global_invocation_id) invocation: vec3<u32>) {
    update(cursor.current, invocation.x);
}
