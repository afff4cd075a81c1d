// The mean loss of the batch into the ring of losses; then the cursor moves on.
// Expects shared/random.wgsl, shared/batch.wgsl, shared/workgroup.wgsl and shared/workgroup_sum.wgsl before it. One
// workgroup.

@group(0) @binding(0) var<uniform> plan: Plan;
@group(0) @binding(1) var<storage, read> example_losses: array<f32>; // [B]
@group(0) @binding(2) var<storage, read_write> cursor: Cursor;
@group(0) @binding(3) var<storage, read_write> losses: array<f32>;   // by slot

@compute @workgroup_size(WORKGROUP)
fn loss_mean(@builtin(local_invocation_index) local: u32) {
    var part = 0.0;
    for (var lane = local; lane < plan.batch; lane += WORKGROUP) {
        part += example_losses[lane];
    }
    let sum = workgroup_sum(local, part);
    if local == 0u {
        losses[cursor.current.slot] = sum / f32(plan.batch);
        cursor.next = position_after(plan, cursor.current);
    }
}
