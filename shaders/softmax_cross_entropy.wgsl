// Softmax of a row of logits, the loss of its target, and the gradient of the mean loss in place of the logits.
// Expects shared/workgroup.wgsl, shared/workgroup_sum.wgsl and shared/activations.wgsl before it: columns = V. One
// workgroup a row.

// What becomes of the logits: they stay (only the loss is wanted), or become the gradient, or the probabilities.
override RESULT: u32 = 1u;
const LOSS = 0u;
const GRADIENT = 1u;

@group(0) @binding(0) var<uniform> sizes: Activations;
@group(0) @binding(1) var<storage, read> targets: array<u32>;              // [B]
@group(0) @binding(2) var<storage, read_write> logits: array<f32>;         // [rows, V]
@group(0) @binding(3) var<storage, read_write> example_losses: array<f32>; // [B], nats

@compute @workgroup_size(WORKGROUP)
fn softmax_cross_entropy(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let row = row_of(workgroup, workgroups);
    if row >= sizes.rows {
        return;
    }
    let start = row * sizes.stride;

    // The largest logit is subtracted so that no exponential overflows; the quotient is the same.
    var largest_here = logits[start];
    for (var v = local; v < sizes.columns; v += WORKGROUP) {
        largest_here = max(largest_here, logits[start + v]);
    }
    partial[local] = largest_here;
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if local < half {
            partial[local] = max(partial[local], partial[local + half]);
        }
    }
    workgroupBarrier();
    let largest = partial[0];
    workgroupBarrier();

    var sum_here = 0.0;
    for (var v = local; v < sizes.columns; v += WORKGROUP) {
        sum_here += exp(logits[start + v] - largest);
    }
    let target_token = targets[sizes.first + row];
    let target_logit = logits[start + target_token];
    _ = workgroup_sum(local, sum_here);
    workgroupBarrier();
    let sum = partial[0];

    if local == 0u {
        example_losses[sizes.first + row] = (largest - target_logit) + log(sum);
    }
    if RESULT == LOSS {
        return;
    }
    for (var v = local; v < sizes.columns; v += WORKGROUP) {
        let probability = exp(logits[start + v] - largest) / sum;
        if RESULT == GRADIENT {
            let is_target = select(0.0, 1.0, v == target_token);
            logits[start + v] = (probability - is_target) / f32(sizes.batch);
        } else {
            logits[start + v] = probability;
        }
    }
}
