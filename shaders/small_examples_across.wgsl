// The same as small_examples.wgsl to the bit, a few invocations for four examples: a device that computes on the CPU takes
// eight invocations at once and reads memory number by number for each.
// Expects shared/random.wgsl, shared/batch.wgsl, shared/small.wgsl and shared/small_across.wgsl beside it.

@group(0) @binding(0) var<uniform> plan: Plan;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;
@group(0) @binding(2) var<storage, read> places: array<u32>;                  // of the targets in the stream, [examples]
@group(0) @binding(3) var<storage, read> parameters: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> cursor: Cursor;
@group(0) @binding(5) var<storage, read_write> contexts: array<u32>;          // [B, n]
@group(0) @binding(6) var<storage, read_write> activations: array<vec4<f32>>; // [B, RECORD], then logits, [B, V]

@compute @workgroup_size(WORKGROUP)
fn small_examples_across(@builtin(global_invocation_id) invocation: vec3<u32>) {
    let position = cursor.next;
    if invocation.x == 0u {
        cursor.current = position;
    }
    examples_across(position, invocation.x / PARTS * EXAMPLES, invocation.x % PARTS);
}
