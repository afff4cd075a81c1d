// Softmax of a row of logits, the loss of its target, and the gradient of the mean loss in place of the logits.
// Expects shared/workgroup.wgsl, shared/workgroup_sum.wgsl and shared/activations.wgsl before it: columns = V. One
// workgroup a row; rows begin at multiples of 4 numbers, and what fills them up is zero, in the result as well.
// A line with {q} stands for QUADS lines (src/engine/gpu/unroll.rs), one for each four of the row that an invocation holds in
// registers from the first load to the result: a GPU asks for all of them at once. The rest of the row is read once more each time.

// What becomes of the logits: they stay (only the loss is wanted), or become the gradient, or the probabilities.
override RESULT: u32 = 1u;
const LOSS = 0u;
const GRADIENT = 1u;

@group(0) @binding(0) var<uniform> sizes: Activations;
@group(0) @binding(1) var<storage, read> targets: array<u32>;              // [B]
@group(0) @binding(2) var<storage, read_write> logits: array<vec4<f32>>;   // [rows, V]
@group(0) @binding(3) var<storage, read_write> example_losses: array<f32>; // [B], nats

// The target of the workgroup's row.
var<workgroup> target_token: u32;
var<workgroup> target_logit: f32;

// Four logits of a row, of what stands there; what fills the row up, and what is beyond it, is the smallest number, and no token's.
fn logits_of(there: vec4<f32>, four: u32) -> vec4<f32> {
    return select(vec4<f32>(SMALLEST), there, tokens_of(four) < vec4<u32>(sizes.columns));
}

fn tokens_of(four: u32) -> vec4<u32> {
    return vec4<u32>(four * 4u) + vec4<u32>(0u, 1u, 2u, 3u);
}

const SMALLEST = -3.4e38;

// What becomes of four logits that have these probabilities.
fn result_of(probabilities: vec4<f32>, four: u32, token: u32) -> vec4<f32> {
    if RESULT != GRADIENT {
        return probabilities;
    }
    let is_target = select(vec4<f32>(), vec4<f32>(1.0), tokens_of(four) == vec4<u32>(token));
    return (probabilities - is_target) / f32(sizes.batch);
}

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
    let rest = local + {quads}u * WORKGROUP;
    let four{q} = local + {q}u * WORKGROUP;
    let logits{q} = logits_of(logits[start + min(four{q}, fours - 1u)], four{q});
    // Before the first barrier, so that it is on its way beside the row.
    if local == 0u {
        target_token = targets[sizes.first + row];
        target_logit = logits[start + target_token / 4u][target_token % 4u];
    }

    // The largest logit is subtracted so that no exponential overflows; the quotient is the same.
    var largest_of_four = vec4<f32>(SMALLEST);
    largest_of_four = max(largest_of_four, logits{q});
    for (var four = rest; four < fours; four += WORKGROUP) {
        largest_of_four = max(largest_of_four, logits_of(logits[start + four], four));
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
    let exponentials{q} = exp(logits{q} - vec4<f32>(largest));
    sum_of_four += exponentials{q};
    for (var four = rest; four < fours; four += WORKGROUP) {
        sum_of_four += exp(logits_of(logits[start + four], four) - vec4<f32>(largest));
    }
    let sum_of_two = sum_of_four.xy + sum_of_four.zw;
    _ = workgroup_sum(local, sum_of_two.x + sum_of_two.y);
    workgroupBarrier();
    let sum = partial[0];
    let token = target_token;

    if local == 0u {
        example_losses[sizes.first + row] = (largest - target_logit) + log(sum);
    }
    if RESULT == LOSS {
        return;
    }
    if four{q} < fours { logits[start + four{q}] = result_of(exponentials{q} / sum, four{q}, token); }
    for (var four = rest; four < fours; four += WORKGROUP) {
        let exponentials = exp(logits_of(logits[start + four], four) - vec4<f32>(largest));
        logits[start + four] = result_of(exponentials / sum, four, token);
    }
}
