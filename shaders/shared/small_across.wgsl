// The first phase of a step in tiles, an invocation four examples and a part of their outputs: every four numbers that are
// read are multiplied with many others.
// Expects shared/small.wgsl and shared/batch.wgsl before it, and of its includer `plan`, `tokens`, `places`, `parameters`,
// `contexts` and `activations`, the floats among them in vectors of four.

// Invocations that share the outputs of the same four examples.
override PARTS: u32 = 2u;

// Examples of an invocation.
const EXAMPLES = 4u;
// Outputs of the examples.
alias Outputs = array<array<f32, TILE>, EXAMPLES>;

fn parameter(at: u32) -> f32 {
    return parameters[at / 4u][at % 4u];
}

// Four numbers of each example.
fn quads(place: u32) -> array<vec4<f32>, EXAMPLES> {
    var result: array<vec4<f32>, EXAMPLES>;
    for (var e = 0u; e < EXAMPLES; e++) {
        result[e] = activations[(place + e * RECORD) / 4u];
    }
    return result;
}

// Adds products of the numbers of one lane to sums: outputs are rows of the weight. `start` is the place of the weight,
// `input` that of the first example's numbers.
fn add_rows(
    outputs: ptr<function, Outputs>,
    start: u32,
    stride: u32,
    row: u32,
    rows: u32,
    input: u32,
    lane: u32,
    lanes: u32,
    inner: u32,
) {
    for (var quad = lane; 4u * quad < inner; quad += lanes) {
        let x = quads(input + 4u * quad);
        for (var t = 0u; t < TILE; t++) {
            // Beyond the last row it is the last one, of which nothing is made.
            let w = parameters[(start + min(row + t, rows - 1u) * stride) / 4u + quad];
            for (var e = 0u; e < EXAMPLES; e++) {
                let sum = (*outputs)[e][t];
                (*outputs)[e][t] = sum + w.x * x[e].x + w.y * x[e].y + w.z * x[e].z + w.w * x[e].w;
            }
        }
    }
}

// The same where outputs are columns of the weight.
fn add_columns(
    outputs: ptr<function, Outputs>,
    start: u32,
    stride: u32,
    column: u32,
    input: u32,
    lane: u32,
    lanes: u32,
    inner: u32,
) {
    // Beyond the last column nothing is made of the sums.
    let second_quad = select(0u, 1u, column + 4u < stride);
    for (var quad = lane; 4u * quad < inner; quad += lanes) {
        let x = quads(input + 4u * quad);
        for (var k = 0u; k < 4u; k++) {
            // Beyond the last row the number is 0.
            let weight = (start + min(4u * quad + k, inner - 1u) * stride + column) / 4u;
            let v = parameters[weight];
            let w = parameters[weight + second_quad];
            for (var e = 0u; e < EXAMPLES; e++) {
                for (var t = 0u; t < 4u; t++) {
                    (*outputs)[e][t] += v[t] * x[e][k];
                    (*outputs)[e][t + 4u] += w[t] * x[e][k];
                }
            }
        }
    }
}

fn sum_of(a: Outputs, b: Outputs) -> Outputs {
    var result: Outputs;
    for (var e = 0u; e < EXAMPLES; e++) {
        for (var t = 0u; t < TILE; t++) {
            result[e][t] = a[e][t] + b[e][t];
        }
    }
    return result;
}

// The same bias for each example.
fn biases(start: u32, first: u32, count: u32) -> Outputs {
    var result: Outputs;
    for (var t = 0u; t < TILE; t++) {
        let bias = parameter(start + min(first + t, count - 1u));
        for (var e = 0u; e < EXAMPLES; e++) {
            result[e][t] = bias;
        }
    }
    return result;
}

// Writes outputs of examples that are `stride` apart; what fills them up beyond `count` is zero.
fn write_outputs(outputs: Outputs, place: u32, stride: u32, first: u32, count: u32) {
    for (var e = 0u; e < EXAMPLES; e++) {
        for (var t = 0u; t < TILE; t += 4u) {
            if first + t < count {
                let units = vec4<u32>(first + t) + vec4<u32>(0u, 1u, 2u, 3u);
                let quad = vec4<f32>(outputs[e][t], outputs[e][t + 1u], outputs[e][t + 2u], outputs[e][t + 3u]);
                let within = select(vec4<f32>(), quad, units < vec4<u32>(count));
                activations[(place + e * stride + first + t) / 4u] = within;
            }
        }
    }
}

// Draws an example; its target goes beside its loss.
fn draw(position: Position, example: u32) {
    let record = example * RECORD;
    let place = places[example_of_lane(plan, position, example)];
    var quad: vec4<f32>;
    for (var i = 0u; i < CONTEXT; i++) {
        let token = tokens[place - CONTEXT + i];
        contexts[example * CONTEXT + i] = token;
        for (var k = 0u; k < EMBEDDING; k++) {
            let unit = i * EMBEDDING + k;
            quad[unit % 4u] = parameter(token * EMBEDDING + k);
            if unit % 4u == 3u || unit == INPUT - 1u {
                activations[(record + unit) / 4u] = quad;
                quad = vec4<f32>();
            }
        }
    }
    activations[(record + RECORD_LOSS) / 4u] = vec4<f32>(0.0, f32(tokens[place]), 0.0, 0.0);
}

// From logits to the loss and their gradients.
fn softmax(example: u32) {
    let record = example * RECORD;
    let logits = (LOGITS + example * VOCABULARY_STRIDE) / 4u;
    let gradients = (record + RECORD_D_LOGITS) / 4u;
    let target_token = u32(activations[(record + RECORD_LOSS) / 4u].y);
    var largest = activations[logits].x;
    for (var v = 1u; v < VOCABULARY; v++) {
        largest = max(largest, activations[logits + v / 4u][v % 4u]);
    }
    var sum_of_exponentials = 0.0;
    for (var v = 0u; v < VOCABULARY; v += 4u) {
        let exponentials = exp(activations[logits + v / 4u] - largest);
        activations[gradients + v / 4u] = exponentials;
        for (var t = 0u; t < min(VOCABULARY - v, 4u); t++) {
            sum_of_exponentials += exponentials[t];
        }
    }
    let target_logit = activations[logits + target_token / 4u][target_token % 4u];
    activations[(record + RECORD_LOSS) / 4u].x = (largest - target_logit) + log(sum_of_exponentials);
    for (var v = 0u; v < VOCABULARY; v += 4u) {
        let units = vec4<u32>(v) + vec4<u32>(0u, 1u, 2u, 3u);
        let is_target = select(vec4<f32>(), vec4<f32>(1.0), units == vec4<u32>(target_token));
        let gradient = (activations[gradients + v / 4u] / sum_of_exponentials - is_target) / f32(plan.batch);
        activations[gradients + v / 4u] = select(vec4<f32>(), gradient, units < vec4<u32>(VOCABULARY));
    }
}

// Part `part` of the phase for four examples from `example` on; whole workgroups come here at once. The buffers have
// room for them: examples beyond the batch are computed and never looked at.
fn examples_across(position: Position, example: u32, part: u32) {
    let record = example * RECORD;
    for (var e = part; e < EXAMPLES; e += PARTS) {
        draw(position, example + e);
    }
    storageBarrier();

    let begin = part * TILE;
    let next = PARTS * TILE;
    for (var first = begin; first < HIDDEN; first += next) {
        var sums = biases(HIDDEN_BIAS, first, HIDDEN);
        add_rows(&sums, HIDDEN_WEIGHT, INPUT_STRIDE, first, HIDDEN, record, 0u, 1u, INPUT);
        for (var e = 0u; e < EXAMPLES; e++) {
            for (var t = 0u; t < TILE; t++) {
                // Some drivers make NaN of large arguments; beyond 15 the float32 result is 1 anyway.
                sums[e][t] = tanh(clamp(sums[e][t], -15.0, 15.0));
            }
        }
        write_outputs(sums, record + RECORD_HIDDEN, RECORD, first, HIDDEN);
    }
    storageBarrier();

    for (var first = begin; first < VOCABULARY; first += next) {
        var totals: Outputs;
        for (var lane = 0u; lane < LANES; lane++) {
            var sums: Outputs;
            add_rows(
                &sums, OUTPUT_WEIGHT, HIDDEN_STRIDE, first, VOCABULARY, record + RECORD_HIDDEN, lane, LANES, HIDDEN
            );
            if DIRECT {
                add_rows(&sums, DIRECT_WEIGHT, INPUT_STRIDE, first, VOCABULARY, record, lane, LANES, INPUT);
            }
            totals = sum_of(totals, sums);
        }
        let logits = sum_of(biases(OUTPUT_BIAS, first, VOCABULARY), totals);
        write_outputs(logits, LOGITS + example * VOCABULARY_STRIDE, VOCABULARY_STRIDE, first, VOCABULARY);
    }
    storageBarrier();

    for (var e = part; e < EXAMPLES; e += PARTS) {
        softmax(example + e);
    }
    storageBarrier();

    for (var first = begin; first < HIDDEN; first += next) {
        var sums: Outputs;
        add_columns(&sums, OUTPUT_WEIGHT, HIDDEN_STRIDE, first, record + RECORD_D_LOGITS, 0u, 1u, VOCABULARY);
        for (var t = 0u; t < TILE; t += 4u) {
            let hidden = quads(record + RECORD_HIDDEN + min(first + t, HIDDEN_STRIDE - 4u));
            for (var e = 0u; e < EXAMPLES; e++) {
                for (var k = 0u; k < 4u; k++) {
                    sums[e][t + k] *= 1.0 - hidden[e][k] * hidden[e][k];
                }
            }
        }
        write_outputs(sums, record + RECORD_D_SUM, RECORD, first, HIDDEN);
    }
    storageBarrier();

    for (var first = begin; first < INPUT; first += next) {
        var totals: Outputs;
        for (var lane = 0u; lane < LANES; lane++) {
            var sums: Outputs;
            add_columns(&sums, HIDDEN_WEIGHT, INPUT_STRIDE, first, record + RECORD_D_SUM, lane, LANES, HIDDEN);
            if DIRECT {
                add_columns(&sums, DIRECT_WEIGHT, INPUT_STRIDE, first, record + RECORD_D_LOGITS, lane, LANES, VOCABULARY);
            }
            totals = sum_of(totals, sums);
        }
        write_outputs(totals, record + RECORD_D_INPUT, RECORD, first, INPUT);
    }
}
