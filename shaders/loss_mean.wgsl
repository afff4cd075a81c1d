// The mean loss of the batch into the ring of losses; then the cursor moves on.
// Expects shared/random.wgsl, shared/batch.wgsl, shared/workgroup.wgsl and shared/mean_loss.wgsl before it. One workgroup, an
// invocation a piece.

@group(0) @binding(0) var<uniform> plan: Plan;
@group(0) @binding(1) var<storage, read> example_losses: array<vec4<f32>>; // [B]
@group(0) @binding(2) var<storage, read_write> cursor: Cursor;
@group(0) @binding(3) var<storage, read_write> losses: array<f32>;         // by slot

var<workgroup> pieces: array<f32, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn loss_mean(@builtin(local_invocation_index) local: u32) {
    let piece = max(PIECE, (plan.batch / WORKGROUP + 4u) / 4u * 4u);
    pieces[local] = loss_of_piece(local * piece, min(local * piece + piece, plan.batch));
    workgroupBarrier();
    if local == 0u {
        var sum = 0.0;
        for (var i = 0u; i * piece < plan.batch; i++) {
            sum += pieces[i];
        }
        losses[cursor.current.slot] = sum / f32(plan.batch);
        cursor.next = position_after(plan, cursor.current);
    }
}
