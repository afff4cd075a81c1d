// The same as small_examples.wgsl to the bit, an invocation two examples, without barriers. A device that computes on
// the CPU takes eight invocations at once and reads memory number by number for each: so every four numbers that are
// read are multiplied with several others.
// Expects shared/random.wgsl, shared/batch.wgsl and shared/small.wgsl before it.

@group(0) @binding(0) var<uniform> plan: Plan;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;
@group(0) @binding(2) var<storage, read> places: array<u32>;                  // of the targets in the stream, [examples]
@group(0) @binding(3) var<storage, read> parameters: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> cursor: Cursor;
@group(0) @binding(5) var<storage, read_write> contexts: array<u32>;          // [B, n]
@group(0) @binding(6) var<storage, read_write> activations: array<vec4<f32>>; // [B, RECORD]

// Outputs that are summed at once.
const TILE = 8u;

// Outputs of two examples.
struct Outputs {
    first: array<f32, TILE>,
    second: array<f32, TILE>,
}

fn parameter(at: u32) -> f32 {
    return parameters[at / 4u][at % 4u];
}

// Adds products of the numbers of one lane to sums: outputs are rows of the weight. `start` is the place of the weight,
// `inputs` are those of the two examples' numbers.
fn add_rows(
    outputs: ptr<function, Outputs>,
    start: u32,
    stride: u32,
    row: u32,
    rows: u32,
    inputs: vec2<u32>,
    lane: u32,
    lanes: u32,
    inner: u32,
) {
    var weight: array<u32, TILE>;
    for (var t = 0u; t < TILE; t++) {
        weight[t] = (start + min(row + t, rows - 1u) * stride) / 4u;
    }
    let input = inputs / 4u;
    for (var quad = lane; 4u * quad < inner; quad += lanes) {
        let x = activations[input.x + quad];
        let y = activations[input.y + quad];
        for (var t = 0u; t < TILE; t++) {
            let w = parameters[weight[t] + quad];
            (*outputs).first[t] = (((*outputs).first[t] + w.x * x.x) + w.y * x.y + w.z * x.z) + w.w * x.w;
            (*outputs).second[t] = (((*outputs).second[t] + w.x * y.x) + w.y * y.y + w.z * y.z) + w.w * y.w;
        }
    }
}

// The same where outputs are columns of the weight.
fn add_columns(
    outputs: ptr<function, Outputs>,
    start: u32,
    stride: u32,
    column: u32,
    inputs: vec2<u32>,
    lane: u32,
    lanes: u32,
    inner: u32,
) {
    let input = inputs / 4u;
    // Beyond the last column nothing is made of the sums.
    let second_quad = select(0u, 1u, column + 4u < stride);
    for (var quad = lane; 4u * quad < inner; quad += lanes) {
        let x = activations[input.x + quad];
        let y = activations[input.y + quad];
        for (var k = 0u; k < 4u; k++) {
            // Beyond the last row the number is 0.
            let weight = (start + min(4u * quad + k, inner - 1u) * stride + column) / 4u;
            let v = parameters[weight];
            let w = parameters[weight + second_quad];
            for (var t = 0u; t < 4u; t++) {
                (*outputs).first[t] += v[t] * x[k];
                (*outputs).first[t + 4u] += w[t] * x[k];
                (*outputs).second[t] += v[t] * y[k];
                (*outputs).second[t + 4u] += w[t] * y[k];
            }
        }
    }
}

fn add_outputs(totals: ptr<function, Outputs>, outputs: Outputs) {
    for (var t = 0u; t < TILE; t++) {
        (*totals).first[t] += outputs.first[t];
        (*totals).second[t] += outputs.second[t];
    }
}

// Four of a tile's outputs, zeros from `count` on.
fn quad_of(outputs: array<f32, TILE>, first: u32, count: u32) -> vec4<f32> {
    var quad: vec4<f32>;
    for (var t = 0u; t < 4u; t++) {
        quad[t] = select(0.0, outputs[first + t], first + t < count);
    }
    return quad;
}

// Writes outputs to the two records; beyond `count` the record is filled up with zeros.
fn write_outputs(outputs: Outputs, places: vec2<u32>, first: u32, count: u32) {
    for (var t = 0u; t < TILE; t += 4u) {
        if first + t < count {
            activations[(places.x + first + t) / 4u] = quad_of(outputs.first, t, count - first);
            activations[(places.y + first + t) / 4u] = quad_of(outputs.second, t, count - first);
        }
    }
}

// Some drivers make NaN of large arguments; beyond 15 the float32 result is 1 anyway.
fn tanh_of(sums: array<f32, TILE>) -> array<f32, TILE> {
    var result: array<f32, TILE>;
    for (var t = 0u; t < TILE; t++) {
        result[t] = tanh(clamp(sums[t], -15.0, 15.0));
    }
    return result;
}

fn draw(position: Position, example: u32) -> u32 {
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
    return tokens[place];
}

// From logits to the loss and their gradients.
fn softmax(record: u32, target_token: u32) {
    let logits = (record + RECORD_LOGITS) / 4u;
    let gradients = (record + RECORD_D_LOGITS) / 4u;
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
    activations[(record + RECORD_LOSS) / 4u] = vec4<f32>((largest - target_logit) + log(sum_of_exponentials), 0.0, 0.0, 0.0);
    for (var v = 0u; v < VOCABULARY; v += 4u) {
        let units = vec4<u32>(v, v + 1u, v + 2u, v + 3u);
        let is_target = select(vec4<f32>(), vec4<f32>(1.0), units == vec4<u32>(target_token));
        let gradient = (activations[gradients + v / 4u] / sum_of_exponentials - is_target) / f32(plan.batch);
        activations[gradients + v / 4u] = select(vec4<f32>(), gradient, units < vec4<u32>(VOCABULARY));
    }
}

@compute @workgroup_size(WORKGROUP)
fn small_examples_across(@builtin(global_invocation_id) invocation: vec3<u32>) {
    // In an odd batch the last invocation takes its example twice.
    let examples = min(vec2<u32>(2u * invocation.x, 2u * invocation.x + 1u), vec2<u32>(plan.batch - 1u));
    if 2u * invocation.x >= plan.batch {
        return;
    }
    let record = examples * RECORD;
    let position = cursor.next;
    if examples.x == 0u {
        cursor.current = position;
    }
    let targets = vec2<u32>(draw(position, examples.x), draw(position, examples.y));

    for (var first = 0u; first < HIDDEN; first += TILE) {
        var sums: Outputs;
        for (var t = 0u; t < TILE; t++) {
            sums.first[t] = parameter(HIDDEN_BIAS + min(first + t, HIDDEN - 1u));
        }
        sums.second = sums.first;
        add_rows(&sums, HIDDEN_WEIGHT, INPUT_STRIDE, first, HIDDEN, record, 0u, 1u, INPUT);
        write_outputs(Outputs(tanh_of(sums.first), tanh_of(sums.second)), record + RECORD_HIDDEN, first, HIDDEN);
    }

    for (var first = 0u; first < VOCABULARY; first += TILE) {
        var totals: Outputs;
        for (var lane = 0u; lane < LANES; lane++) {
            var sums: Outputs;
            add_rows(
                &sums, OUTPUT_WEIGHT, HIDDEN_STRIDE, first, VOCABULARY, record + RECORD_HIDDEN, lane, LANES, HIDDEN
            );
            if DIRECT {
                add_rows(&sums, DIRECT_WEIGHT, INPUT_STRIDE, first, VOCABULARY, record, lane, LANES, INPUT);
            }
            add_outputs(&totals, sums);
        }
        var biases: Outputs;
        for (var t = 0u; t < TILE; t++) {
            biases.first[t] = parameter(OUTPUT_BIAS + min(first + t, VOCABULARY - 1u));
        }
        biases.second = biases.first;
        add_outputs(&biases, totals);
        write_outputs(biases, record + RECORD_LOGITS, first, VOCABULARY);
    }

    softmax(record.x, targets.x);
    softmax(record.y, targets.y);

    for (var first = 0u; first < HIDDEN; first += TILE) {
        var sums: Outputs;
        add_columns(&sums, OUTPUT_WEIGHT, HIDDEN_STRIDE, first, record + RECORD_D_LOGITS, 0u, 1u, VOCABULARY);
        for (var t = 0u; t < TILE; t += 4u) {
            let quad = min(first + t, HIDDEN_STRIDE - 4u);
            let hidden = activations[(record.x + RECORD_HIDDEN + quad) / 4u];
            let other = activations[(record.y + RECORD_HIDDEN + quad) / 4u];
            for (var k = 0u; k < 4u; k++) {
                sums.first[t + k] *= 1.0 - hidden[k] * hidden[k];
                sums.second[t + k] *= 1.0 - other[k] * other[k];
            }
        }
        write_outputs(sums, record + RECORD_D_SUM, first, HIDDEN);
    }

    for (var first = 0u; first < INPUT; first += TILE) {
        var totals: Outputs;
        for (var lane = 0u; lane < LANES; lane++) {
            var sums: Outputs;
            add_columns(&sums, HIDDEN_WEIGHT, INPUT_STRIDE, first, record + RECORD_D_SUM, lane, LANES, HIDDEN);
            if DIRECT {
                add_columns(&sums, DIRECT_WEIGHT, INPUT_STRIDE, first, record + RECORD_D_LOGITS, lane, LANES, VOCABULARY);
            }
            add_outputs(&totals, sums);
        }
        write_outputs(totals, record + RECORD_D_INPUT, first, INPUT);
    }
}
