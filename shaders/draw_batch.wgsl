// Draws the batch of a step: the context and the target of each of its examples.
// Expects shared/random.wgsl, shared/batch.wgsl, shared/workgroup.wgsl and shared/draw.wgsl beside it. One invocation a token.

@group(0) @binding(0) var<uniform> plan: Plan;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;
@group(0) @binding(2) var<storage, read> places: array<u32>;          // of the targets in the stream, [examples]
@group(0) @binding(3) var<storage, read_write> cursor: Cursor;
@group(0) @binding(4) var<storage, read_write> contexts: array<u32>;  // [B, n]
@group(0) @binding(5) var<storage, read_write> targets: array<u32>;   // [B]

@compute @workgroup_size(WORKGROUP)
fn draw_batch(@builtin(global_invocation_id) invocation: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>) {
    let position = cursor.next;
    if invocation.x == 0u {
        cursor.current = position;
    }
    for (var i = invocation.x; i < plan.batch * plan.context; i += workgroups.x * WORKGROUP) {
        draw(position, i);
    }
}
