// The first phase of a step in one dispatch, a workgroup an example.
// Expects shared/random.wgsl, shared/batch.wgsl, shared/small.wgsl and shared/small_example.wgsl beside it.

@group(0) @binding(0) var<uniform> plan: Plan;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;
@group(0) @binding(2) var<storage, read> places: array<u32>;                  // of the targets in the stream, [examples]
@group(0) @binding(3) var<storage, read> parameters: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> cursor: Cursor;
@group(0) @binding(5) var<storage, read_write> contexts: array<u32>;          // [B, n]
@group(0) @binding(6) var<storage, read_write> activations: array<vec4<f32>>; // [B, RECORD]

@compute @workgroup_size(WORKGROUP)
fn small_examples(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let position = cursor.next;
    if workgroup.x == 0u && local == 0u {
        cursor.current = position;
    }
    compute_example(workgroup.x, places[example_of_lane(plan, position, workgroup.x)], local);
}
