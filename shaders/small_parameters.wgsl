// The second phase of a step in one dispatch, an invocation a parameter. One more workgroup writes the mean loss and moves the
// cursor on.
// Expects shared/random.wgsl, shared/batch.wgsl, shared/small.wgsl and shared/small_parameter.wgsl beside it.

@group(0) @binding(0) var<uniform> plan: Plan;
@group(0) @binding(1) var<storage, read> contexts: array<u32>;               // [B, n]
@group(0) @binding(2) var<storage, read> activations: array<vec4<f32>>;      // [B, RECORD]
@group(0) @binding(3) var<storage, read> factors: array<Factors>;            // by slot
@group(0) @binding(4) var<storage, read_write> cursor: Cursor;
@group(0) @binding(5) var<storage, read_write> parameters: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> losses: array<f32>;           // by slot

@compute @workgroup_size(WORKGROUP)
fn small_parameters(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(global_invocation_id) invocation: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let current = cursor.current;
    if workgroup.x < workgroups.x - 1u {
        update_parameter(invocation.x, factors[current.slot].rate);
    } else if local == 0u {
        losses[current.slot] = sum_over_batch(RECORD_LOSS) / f32(BATCH);
        cursor.next = position_after(plan, current);
    }
}
