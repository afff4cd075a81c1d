// Softmax of a row of logits, the loss of its target, and the gradient of the mean loss in place of the logits.
// Expects shared/workgroup.wgsl, shared/workgroup_sum.wgsl and shared/activations.wgsl before it: columns = V. One
// workgroup a row; rows begin at multiples of 4 numbers, and what fills them up is zero, in the result as well.

// What becomes of the logits: they stay (only the loss is wanted), or become the gradient, or the probabilities.
override RESULT: u32 = 1u;
const LOSS = 0u;
const GRADIENT = 1u;

@group(0) @binding(0) var<uniform> sizes: Activations;
@group(0) @binding(1) var<storage, read> targets: array<u32>;              // [B]
@group(0) @binding(2) var<storage, read_write> logits: array<vec4<f32>>;   // [rows, V]
@group(0) @binding(3) var<storage, read_write> example_losses: array<f32>; // [B], nats

// Four logits of a row; what fills the row up is the smallest number, and no token's.
fn logits_of(start: u32, four: u32) -> vec4<f32> {
    return select(vec4<f32>(SMALLEST), logits[start + four], tokens_of(four) < vec4<u32>(sizes.columns));
}

fn tokens_of(four: u32) -> vec4<u32> {
    return vec4<u32>(four * 4u) + vec4<u32>(0u, 1u, 2u, 3u);
}

const SMALLEST = -3.4e38;

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
    let start = row * (sizes.stride / 4u);
    let fours = (sizes.columns + 3u) / 4u;

    // The largest logit is subtracted so that no exponential overflows; the quotient is the same.
    var largest_of_four = vec4<f32>(SMALLEST);
    for (var four = local; four < fours; four += WORKGROUP) {
        largest_of_four = max(largest_of_four, logits_of(start, four));
    }
    let largest_of_two = max(largest_of_four.xy, largest_of_four.zw);
    partial[local] = max(largest_of_two.x, largest_of_two.y);
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if local < half {
            partial[local] = max(partial[local], partial[local + half]);
        }
    }
    workgroupBarrier();
    let largest = partial[0];
    workgroupBarrier();

    var sum_of_four = vec4<f32>();
    for (var four = local; four < fours; four += WORKGROUP) {
        sum_of_four += exp(logits_of(start, four) - vec4<f32>(largest));
    }
    let target_token = targets[sizes.first + row];
    let target_logit = logits[start + target_token / 4u][target_token % 4u];
    let sum_of_two = sum_of_four.xy + sum_of_four.zw;
    _ = workgroup_sum(local, sum_of_two.x + sum_of_two.y);
    workgroupBarrier();
    let sum = partial[0];

    if local == 0u {
        example_losses[sizes.first + row] = (largest - target_logit) + log(sum);
    }
    if RESULT == LOSS {
        return;
    }
    for (var four = local; four < fours; four += WORKGROUP) {
        var result = exp(logits_of(start, four) - vec4<f32>(largest)) / sum;
        if RESULT == GRADIENT {
            let is_target = select(vec4<f32>(), vec4<f32>(1.0), tokens_of(four) == vec4<u32>(target_token));
            result = (result - is_target) / f32(sizes.batch);
        }
        logits[start + four] = result;
    }
}
