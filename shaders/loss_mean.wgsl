// The mean loss of the batch, summed in the examples' order, into the ring of losses; then the cursor moves on.
// Expects shared/random.wgsl and shared/batch.wgsl before it. One invocation.

@group(0) @binding(0) var<uniform> plan: Plan;
@group(0) @binding(1) var<storage, read> example_losses: array<f32>; // [B]
@group(0) @binding(2) var<storage, read_write> cursor: Cursor;
@group(0) @binding(3) var<storage, read_write> losses: array<f32>;   // by slot

@compute @workgroup_size(1)
fn loss_mean() {
    var sum = 0.0;
    for (var lane = 0u; lane < plan.batch; lane++) {
        sum += example_losses[lane];
    }
    losses[cursor.current.slot] = sum / f32(plan.batch);
    cursor.next = position_after(plan, cursor.current);
}
