// The first phase of a step in one dispatch, a workgroup an example: draws the example, computes its hidden units,
// logits and loss, and the gradients back to the input. Parameters are only read.
// Expects shared/random.wgsl, shared/batch.wgsl and shared/small.wgsl before it.

// Outputs that are summed at a time, each by LANES invocations: logits, or gradients of the input.
override OUTPUTS: u32 = WORKGROUP / LANES;

@group(0) @binding(0) var<uniform> plan: Plan;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;
@group(0) @binding(2) var<storage, read> places: array<u32>;             // of the targets in the stream, [examples]
@group(0) @binding(3) var<storage, read> parameters: array<f32>;
@group(0) @binding(4) var<storage, read_write> cursor: Cursor;
@group(0) @binding(5) var<storage, read_write> contexts: array<u32>;     // [B, n]
@group(0) @binding(6) var<storage, read_write> activations: array<f32>;  // [B, RECORD]

var<workgroup> input: array<f32, INPUT>;
var<workgroup> hidden: array<f32, HIDDEN>;
var<workgroup> d_sum: array<f32, HIDDEN>;
var<workgroup> logits: array<f32, VOCABULARY>;       // later their gradients
var<workgroup> exponentials: array<f32, VOCABULARY>;
var<workgroup> partial: array<f32, WORKGROUP>;

// The sum of the parts that the invocations of output `output` of this round left.
fn sum_of_lanes(output: u32) -> f32 {
    var sum = 0.0;
    for (var lane = 0u; lane < LANES; lane++) {
        sum += partial[output * LANES + lane];
    }
    return sum;
}

// The term after term `k` in the same part of a long sum.
fn next_of_lane(k: u32) -> u32 {
    return select(k + 1u, k + 4u * LANES - 3u, k % 4u == 3u);
}

@compute @workgroup_size(WORKGROUP)
fn small_examples(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let example = workgroup.x;
    let record = example * RECORD;
    let position = cursor.next;
    if example == 0u && local == 0u {
        cursor.current = position;
    }
    let place = places[example_of_lane(plan, position, example)];
    let target_token = tokens[place];

    for (var i = local; i < CONTEXT; i += WORKGROUP) {
        contexts[example * CONTEXT + i] = tokens[place - CONTEXT + i];
    }
    for (var i = local; i < INPUT; i += WORKGROUP) {
        let token = tokens[place - CONTEXT + i / EMBEDDING];
        input[i] = parameters[token * EMBEDDING + i % EMBEDDING];
        activations[record + i] = input[i];
    }
    workgroupBarrier();

    for (var j = local; j < HIDDEN; j += WORKGROUP) {
        var sum = parameters[HIDDEN_BIAS + j];
        for (var i = 0u; i < INPUT; i++) {
            sum += parameters[HIDDEN_WEIGHT + j * INPUT_STRIDE + i] * input[i];
        }
        // Some drivers make NaN of large arguments; beyond 15 the float32 result is 1 anyway.
        hidden[j] = tanh(clamp(sum, -15.0, 15.0));
        activations[record + RECORD_HIDDEN + j] = hidden[j];
    }
    workgroupBarrier();

    let output = local / LANES;
    let lane = local % LANES;
    for (var first = 0u; first < VOCABULARY; first += OUTPUTS) {
        var sum = 0.0;
        let v = first + output;
        if v < VOCABULARY {
            for (var j = 4u * lane; j < HIDDEN; j = next_of_lane(j)) {
                sum += parameters[OUTPUT_WEIGHT + v * HIDDEN_STRIDE + j] * hidden[j];
            }
            if DIRECT {
                for (var i = 4u * lane; i < INPUT; i = next_of_lane(i)) {
                    sum += parameters[DIRECT_WEIGHT + v * INPUT_STRIDE + i] * input[i];
                }
            }
        }
        partial[local] = sum;
        workgroupBarrier();
        let summed = first + local;
        if local < OUTPUTS && summed < VOCABULARY {
            logits[summed] = parameters[OUTPUT_BIAS + summed] + sum_of_lanes(local);
            activations[record + RECORD_LOGITS + summed] = logits[summed];
        }
        workgroupBarrier();
    }

    // Every invocation finds the largest logit and the sum for itself: for a small V that is quicker than a barrier.
    var largest = logits[0];
    for (var v = 1u; v < VOCABULARY; v++) {
        largest = max(largest, logits[v]);
    }
    let target_logit = logits[target_token];
    for (var v = local; v < VOCABULARY; v += WORKGROUP) {
        exponentials[v] = exp(logits[v] - largest);
    }
    workgroupBarrier();
    var sum_of_exponentials = 0.0;
    for (var v = 0u; v < VOCABULARY; v++) {
        sum_of_exponentials += exponentials[v];
    }
    if local == 0u {
        activations[record + RECORD_LOSS] = (largest - target_logit) + log(sum_of_exponentials);
    }
    for (var v = local; v < VOCABULARY; v += WORKGROUP) {
        let is_target = select(0.0, 1.0, v == target_token);
        logits[v] = (exponentials[v] / sum_of_exponentials - is_target) / f32(plan.batch);
        activations[record + RECORD_D_LOGITS + v] = logits[v];
    }
    workgroupBarrier();

    for (var j = local; j < HIDDEN; j += WORKGROUP) {
        var d_hidden = 0.0;
        for (var v = 0u; v < VOCABULARY; v++) {
            d_hidden += parameters[OUTPUT_WEIGHT + v * HIDDEN_STRIDE + j] * logits[v];
        }
        d_sum[j] = d_hidden * (1.0 - hidden[j] * hidden[j]);
        activations[record + RECORD_D_SUM + j] = d_sum[j];
    }
    workgroupBarrier();

    for (var first = 0u; first < INPUT; first += OUTPUTS) {
        var sum = 0.0;
        let i = first + output;
        if i < INPUT {
            for (var j = 4u * lane; j < HIDDEN; j = next_of_lane(j)) {
                sum += parameters[HIDDEN_WEIGHT + j * INPUT_STRIDE + i] * d_sum[j];
            }
            if DIRECT {
                for (var v = 4u * lane; v < VOCABULARY; v = next_of_lane(v)) {
                    sum += parameters[DIRECT_WEIGHT + v * INPUT_STRIDE + i] * logits[v];
                }
            }
        }
        partial[local] = sum;
        workgroupBarrier();
        let summed = first + local;
        if local < OUTPUTS && summed < INPUT {
            activations[record + RECORD_D_INPUT + summed] = sum_of_lanes(local);
        }
        workgroupBarrier();
    }
}
