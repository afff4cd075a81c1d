// The first phase of a step in one dispatch, a workgroup an example: draws the example, computes its hidden units,
// logits and loss, and the gradients back to the input. Parameters are only read.
// Expects shared/random.wgsl, shared/batch.wgsl and shared/small.wgsl before it.

// Rows in fours; a row of hidden units by so many rounds of its lanes.
override INPUT_QUADS: u32 = INPUT_STRIDE / 4u;
override HIDDEN_QUADS: u32 = HIDDEN_STRIDE / 4u;
override HIDDEN_ROUNDS: u32 = (HIDDEN_QUADS + LANES - 1u) / LANES;
override INPUT_ROUNDS: u32 = (INPUT_QUADS + LANES - 1u) / LANES;
// Outputs that are summed at a time, each by LANES invocations: logits, or fours of gradients of the input.
override OUTPUTS: u32 = WORKGROUP / LANES;

@group(0) @binding(0) var<uniform> plan: Plan;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;
@group(0) @binding(2) var<storage, read> places: array<u32>;                  // of the targets in the stream, [examples]
@group(0) @binding(3) var<storage, read> parameters: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> cursor: Cursor;
@group(0) @binding(5) var<storage, read_write> contexts: array<u32>;          // [B, n]
@group(0) @binding(6) var<storage, read_write> activations: array<f32>;       // [B, RECORD]

// What fills rows up is zero.
var<workgroup> input: array<vec4<f32>, INPUT_QUADS>;
var<workgroup> hidden: array<f32, HIDDEN_STRIDE>; // by number: to write one of a vector may write the whole vector
var<workgroup> d_sum: array<f32, HIDDEN_STRIDE>;
var<workgroup> logits: array<f32, VOCABULARY>;       // later their gradients
var<workgroup> exponentials: array<f32, VOCABULARY>;
var<workgroup> partial: array<vec4<f32>, WORKGROUP>;

fn parameter(at: u32) -> f32 {
    return parameters[at / 4u][at % 4u];
}

fn hidden_of(quad: u32) -> vec4<f32> {
    return vec4<f32>(hidden[4u * quad], hidden[4u * quad + 1u], hidden[4u * quad + 2u], hidden[4u * quad + 3u]);
}

// `sum` and four more products, one after the other.
fn add_products(sum: f32, a: vec4<f32>, b: vec4<f32>) -> f32 {
    return sum + a.x * b.x + a.y * b.y + a.z * b.z + a.w * b.w;
}

// The sum of the parts that the invocations of output `output` of this round left.
fn sum_of_lanes(output: u32) -> vec4<f32> {
    var sum = vec4<f32>();
    for (var lane = 0u; lane < LANES; lane++) {
        sum += partial[output * LANES + lane];
    }
    return sum;
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
    for (var quad = local; quad < INPUT_QUADS; quad += WORKGROUP) {
        var x = vec4<f32>();
        for (var k = 0u; k < 4u; k++) {
            let i = min(4u * quad + k, INPUT - 1u);
            let token = tokens[place - CONTEXT + i / EMBEDDING];
            x[k] = select(0.0, parameter(token * EMBEDDING + i % EMBEDDING), 4u * quad + k < INPUT);
        }
        input[quad] = x;
        for (var k = 0u; k < 4u; k++) {
            activations[record + 4u * quad + k] = x[k];
        }
    }
    workgroupBarrier();

    for (var j = local; j < HIDDEN_STRIDE; j += WORKGROUP) {
        let row = (HIDDEN_WEIGHT + min(j, HIDDEN - 1u) * INPUT_STRIDE) / 4u;
        var sum = parameter(HIDDEN_BIAS + min(j, HIDDEN - 1u));
        for (var quad = 0u; quad < INPUT_QUADS; quad++) {
            sum = add_products(sum, parameters[row + quad], input[quad]);
        }
        // Some drivers make NaN of large arguments; beyond 15 the float32 result is 1 anyway.
        let value = select(0.0, tanh(clamp(sum, -15.0, 15.0)), j < HIDDEN);
        hidden[j] = value;
        activations[record + RECORD_HIDDEN + j] = value;
    }
    workgroupBarrier();

    let output = local / LANES;
    let lane = local % LANES;
    for (var first = 0u; first < VOCABULARY; first += OUTPUTS) {
        var sum = 0.0;
        let v = min(first + output, VOCABULARY - 1u);
        for (var round = 0u; round < HIDDEN_ROUNDS; round++) {
            let quad = min(lane + round * LANES, HIDDEN_QUADS - 1u);
            let w = parameters[(OUTPUT_WEIGHT + v * HIDDEN_STRIDE) / 4u + quad];
            sum = add_products(sum, select(vec4<f32>(), w, lane + round * LANES < HIDDEN_QUADS), hidden_of(quad));
        }
        if DIRECT {
            for (var round = 0u; round < INPUT_ROUNDS; round++) {
                let quad = min(lane + round * LANES, INPUT_QUADS - 1u);
                let w = parameters[(DIRECT_WEIGHT + v * INPUT_STRIDE) / 4u + quad];
                sum = add_products(sum, select(vec4<f32>(), w, lane + round * LANES < INPUT_QUADS), input[quad]);
            }
        }
        partial[local] = vec4<f32>(sum);
        workgroupBarrier();
        let summed = first + local;
        if local < OUTPUTS && summed < VOCABULARY {
            let logit = parameter(OUTPUT_BIAS + summed) + sum_of_lanes(local).x;
            logits[summed] = logit;
            activations[record + RECORD_LOGITS + summed] = logit;
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
        let gradient = (exponentials[v] / sum_of_exponentials - is_target) / f32(plan.batch);
        logits[v] = gradient;
        activations[record + RECORD_D_LOGITS + v] = gradient;
    }
    workgroupBarrier();

    for (var j = local; j < HIDDEN_STRIDE; j += WORKGROUP) {
        var d_hidden = 0.0;
        for (var v = 0u; v < VOCABULARY; v++) {
            d_hidden += parameter(OUTPUT_WEIGHT + v * HIDDEN_STRIDE + j) * logits[v];
        }
        let value = hidden[j];
        let gradient = select(0.0, d_hidden * (1.0 - value * value), j < HIDDEN);
        d_sum[j] = gradient;
        activations[record + RECORD_D_SUM + j] = gradient;
    }
    workgroupBarrier();

    for (var first = 0u; first < INPUT_QUADS; first += OUTPUTS) {
        var sum = vec4<f32>();
        let four = min(first + output, INPUT_QUADS - 1u);
        for (var round = 0u; round < HIDDEN_ROUNDS; round++) {
            let quad = lane + round * LANES;
            for (var k = 0u; k < 4u; k++) {
                let j = min(4u * quad + k, HIDDEN - 1u);
                let w = parameters[(HIDDEN_WEIGHT + j * INPUT_STRIDE) / 4u + four];
                sum += w * select(0.0, d_sum[j], 4u * quad + k < HIDDEN);
            }
        }
        if DIRECT {
            for (var quad = lane; 4u * quad < VOCABULARY; quad += LANES) {
                for (var k = 0u; k < 4u; k++) {
                    let v = min(4u * quad + k, VOCABULARY - 1u);
                    let w = parameters[(DIRECT_WEIGHT + v * INPUT_STRIDE) / 4u + four];
                    sum += w * select(0.0, logits[v], 4u * quad + k < VOCABULARY);
                }
            }
        }
        partial[local] = sum;
        workgroupBarrier();
        let summed = first + local;
        if local < OUTPUTS && summed < INPUT_QUADS {
            let gradients = sum_of_lanes(local);
            for (var k = 0u; k < 4u; k++) {
                activations[record + RECORD_D_INPUT + 4u * summed + k] = gradients[k];
            }
        }
        workgroupBarrier();
    }
}
