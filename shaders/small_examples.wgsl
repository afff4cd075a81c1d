// The first phase of a step in one dispatch, a workgroup an example: from the tokens that were drawn ahead to the hidden units, logits
// and loss, and back to the gradient of the input; meanwhile the example's tokens for the next step are drawn. Parameters are only
// read.
// Expects shared/random.wgsl, shared/batch.wgsl, shared/small.wgsl and shared/add_products.wgsl before it.
//
// Whoever waits for a GPU's memory waits for hundreds of operations. So parameters, which no example decides, are asked for
// first, some for each invocation and phase: they come while the example's input does. Loads are written out line by line, for
// a loop may wait in every round: a line with {q} stands for QUADS, one with {r} for NUMBERS, one with {k} for four. Only a larger
// network loads the rest, and direct connections all of theirs, when they need it.

// Rows in fours; a row of hidden units by so many rounds of its lanes.
override INPUT_QUADS: u32 = INPUT_STRIDE / 4u;
override HIDDEN_QUADS: u32 = HIDDEN_STRIDE / 4u;
override HIDDEN_ROUNDS: u32 = (HIDDEN_QUADS + LANES - 1u) / LANES;
override INPUT_ROUNDS: u32 = (INPUT_QUADS + LANES - 1u) / LANES;
// Outputs that are summed at a time, each by LANES invocations.
override OUTPUTS: u32 = WORKGROUP / LANES;
// From one lane to the next of the parts of such sums: four more than there are, so that neighbours write to different banks of memory.
override LANE_STRIDE: u32 = OUTPUTS + 4u;
override PARTIAL: u32 = LANES * LANE_STRIDE;

// Numbers and fours of numbers that are loaded at a time.
const QUADS = {quads}u;
const NUMBERS = 4u * {groups}u;
// Rounds of OUTPUTS gradients of the input between two barriers: the twin of TURNS in src/engine/gpu/small/limits.rs.
const TURNS = 4u;
// Invocations that draw for the next step.
const DRAWERS = 32u;

@group(0) @binding(0) var<uniform> plan: Plan;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;
@group(0) @binding(2) var<storage, read> places: array<u32>;                  // of the targets in the stream, [examples]
@group(0) @binding(3) var<storage, read> parameters: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> cursor: Cursor;
@group(0) @binding(5) var<storage, read_write> contexts: array<u32>;          // [B, n], then what is drawn, [2, B, n + 1]
@group(0) @binding(6) var<storage, read_write> activations: array<f32>;       // [B, RECORD], then logits, [B, V]
@group(0) @binding(7) var<storage, read> hidden_columns: array<vec4<f32>>;    // H once more, [n d, h], with rows filled up
@group(0) @binding(8) var<storage, read> factors: array<Factors>;             // by slot

// What fills rows up is zero.
var<workgroup> input: array<vec4<f32>, INPUT_QUADS>;
var<workgroup> hidden: array<f32, HIDDEN_STRIDE>; // by number: to write one of a vector may write the whole vector
var<workgroup> d_sum: array<f32, HIDDEN_STRIDE>;
var<workgroup> logits: array<f32, VOCABULARY>;       // later their gradients
var<workgroup> target_token: u32;
var<workgroup> exponentials: array<f32, VOCABULARY>;
var<workgroup> partial: array<f32, TURNS * PARTIAL>; // by lane, and then by output

fn parameter(at: u32) -> f32 {
    return parameters[at / 4u][at % 4u];
}

// Weights from the input to a hidden unit, from the `first` number on.
fn unit_from(unit: u32, first: u32) -> array<f32, NUMBERS> {
    return array<f32, NUMBERS>(
        hidden_columns[min(first + {r}u, INPUT_STRIDE - 1u) * HIDDEN_QUADS + unit / 4u][unit % 4u],
    );
}

// Weights from a lane's hidden units to a word's logit, from the `first` round of the lane on.
fn word_from(word: u32, lane: u32, first: u32) -> array<vec4<f32>, QUADS> {
    let row = (OUTPUT_WEIGHT + word * HIDDEN_STRIDE) / 4u;
    return array<vec4<f32>, QUADS>(
        parameters[row + min(lane + (first + {q}u) * LANES, HIDDEN_QUADS - 1u)],
    );
}

// Weights from the words back to a hidden unit, from the `first` word on.
fn unit_back_from(unit: u32, first: u32) -> array<f32, NUMBERS> {
    return array<f32, NUMBERS>(
        parameter(OUTPUT_WEIGHT + unit + min(first + {r}u, VOCABULARY - 1u) * HIDDEN_STRIDE),
    );
}

// Weights from a lane's hidden units back to a number of the input, from the `first` round of the lane on.
fn column_back_from(column: u32, lane: u32, first: u32) -> array<vec4<f32>, QUADS> {
    let row = column * HIDDEN_QUADS;
    return array<vec4<f32>, QUADS>(
        hidden_columns[row + min(lane + (first + {q}u) * LANES, HIDDEN_QUADS - 1u)],
    );
}

// A token of an example that was drawn: those of even and of odd steps are both asked for, because the cursor that says which it is
// comes no sooner. What an example's own workgroup writes meanwhile is multiplied with zero. (A choice between two loads would be made
// a load from the place that is chosen.)
fn token_at(example: u32, place: u32, parity: u32) -> u32 {
    let even = contexts[drawn_at(0u, example) + place];
    let odd = contexts[drawn_at(1u, example) + place];
    return even * (1u - parity) + odd * parity;
}

// The tokens of four numbers of its input, and those numbers.
fn tokens_of(example: u32, quad: u32, parity: u32) -> vec4<u32> {
    return vec4<u32>(
        token_at(example, min(4u * quad + {k}u, INPUT - 1u) / EMBEDDING, parity),
    );
}

fn input_of(token: vec4<u32>, quad: u32) -> vec4<f32> {
    return vec4<f32>(
        select(0.0, parameter(token.{k.} * EMBEDDING + min(4u * quad + {k}u, INPUT - 1u) % EMBEDDING), 4u * quad + {k}u < INPUT),
    );
}

fn hidden_of(quad: u32) -> vec4<f32> {
    return vec4<f32>(hidden[4u * quad], hidden[4u * quad + 1u], hidden[4u * quad + 2u], hidden[4u * quad + 3u]);
}

fn d_sum_of(quad: u32) -> vec4<f32> {
    return vec4<f32>(d_sum[4u * quad], d_sum[4u * quad + 1u], d_sum[4u * quad + 2u], d_sum[4u * quad + 3u]);
}

// The next four go on with sums by such weights, which begin at `first`.
fn add_to_unit(sum: f32, weights: array<f32, NUMBERS>, first: u32) -> f32 {
    var total = sum;
    // repeat {r}
    if first + {r}u < INPUT_STRIDE {
        total += weights[{r}] * input[first / 4u + {r/4}u].{r.};
    }
    // end
    return total;
}

fn add_to_word(sum: f32, weights: array<vec4<f32>, QUADS>, lane: u32, first: u32) -> f32 {
    var total = sum;
    // repeat {q}
    if first + {q}u < HIDDEN_ROUNDS {
        let quad = lane + (first + {q}u) * LANES;
        let inside = select(vec4<f32>(), weights[{q}], quad < HIDDEN_QUADS);
        total = add_products(total, inside, hidden_of(min(quad, HIDDEN_QUADS - 1u)));
    }
    // end
    return total;
}

fn add_back_to_unit(sum: f32, weights: array<f32, NUMBERS>, first: u32) -> f32 {
    var total = sum;
    // repeat {r}
    if first + {r}u < VOCABULARY {
        total += weights[{r}] * logits[first + {r}u];
    }
    // end
    return total;
}

fn add_back_to_column(sum: f32, weights: array<vec4<f32>, QUADS>, lane: u32, first: u32) -> f32 {
    var total = sum;
    // repeat {q}
    if first + {q}u < HIDDEN_ROUNDS {
        let quad = lane + (first + {q}u) * LANES;
        let inside = select(vec4<f32>(), weights[{q}], quad < HIDDEN_QUADS);
        total = add_products(total, inside, d_sum_of(min(quad, HIDDEN_QUADS - 1u)));
    }
    // end
    return total;
}

fn largest_logit(largest: f32, first: u32) -> f32 {
    var result = largest;
    result = max(result, logits[min(first + {r}u, VOCABULARY - 1u)]);
    return result;
}

fn add_exponentials(sum: f32, first: u32) -> f32 {
    var total = sum;
    // repeat {r}
    if first + {r}u < VOCABULARY {
        total += exponentials[first + {r}u];
    }
    // end
    return total;
}

@compute @workgroup_size(WORKGROUP)
fn small_examples(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    // Neighbours have the lanes of a word or of a number of the input: they read what lies side by side.
    let lane = local % LANES;
    let own_unit = min(local, HIDDEN - 1u);
    let own_word = min(local / LANES, VOCABULARY - 1u);
    let own_part = lane * LANE_STRIDE + local / LANES;
    let example = workgroup.x;
    let record = example * RECORD;
    let position = cursor.next;
    let parity = position.step % 2u;
    let own_quad = min(local, INPUT_QUADS - 1u);
    let own_tokens = tokens_of(example, own_quad, parity);
    var unit_bias = parameter(HIDDEN_BIAS + own_unit);
    var to_unit = unit_from(own_unit, 0u);
    var own_input = input_of(own_tokens, own_quad);
    var word_bias = parameter(OUTPUT_BIAS + min(local, VOCABULARY - 1u));
    var to_word = word_from(own_word, lane, 0u);
    var back_to_unit = unit_back_from(own_unit, 0u);
    var back_to_column = column_back_from(min(local / LANES, INPUT_STRIDE - 1u), lane, 0u);
    // The last ones draw the example's tokens for the next step: each answer is there when its turn comes.
    let own_place = WORKGROUP - 1u - local;
    var next_target = 0u;
    if own_place < DRAWERS {
        next_target = places[example_of_lane(plan, position_after(plan, position), example)];
    }
    // The rate is asked for now, for the next dispatch: there it would come from memory in two answers, one after the other.
    let keeps_cursor = example == 0u && local == 0u;
    var rate = 0.0;
    if keeps_cursor {
        cursor.current = position;
        rate = factors[position.slot].rate;
    }
    // Of the example's tokens the last one is the target.
    for (var i = own_place; i <= CONTEXT; i += WORKGROUP) {
        let token = token_at(example, i, parity);
        if i < CONTEXT {
            contexts[example * CONTEXT + i] = token;
        } else {
            target_token = token;
        }
    }
    for (var quad = local; quad < INPUT_QUADS; quad += WORKGROUP) {
        if quad != local {
            own_input = input_of(tokens_of(example, quad, parity), quad);
        }
        input[quad] = own_input;
        activations[record + 4u * quad + {k}u] = own_input.{k.};
    }
    workgroupBarrier();

    var next_token = 0u;
    if own_place < DRAWERS && own_place <= CONTEXT {
        next_token = tokens[next_target - CONTEXT + own_place];
    }

    for (var j = local; j < HIDDEN_STRIDE; j += WORKGROUP) {
        let unit = min(j, HIDDEN - 1u);
        if j != local {
            unit_bias = parameter(HIDDEN_BIAS + unit);
            to_unit = unit_from(unit, 0u);
        }
        var sum = add_to_unit(unit_bias, to_unit, 0u);
        for (var first = NUMBERS; first < INPUT_STRIDE; first += NUMBERS) {
            sum = add_to_unit(sum, unit_from(unit, first), first);
        }
        // Some drivers make NaN of large arguments; beyond 15 the float32 result is 1 anyway.
        let value = select(0.0, tanh(clamp(sum, -15.0, 15.0)), j < HIDDEN);
        hidden[j] = value;
        activations[record + RECORD_HIDDEN + j] = value;
    }
    workgroupBarrier();

    for (var words = 0u; words < VOCABULARY; words += OUTPUTS) {
        let v = min(words + local / LANES, VOCABULARY - 1u);
        let summed = words + local;
        if words > 0u {
            word_bias = parameter(OUTPUT_BIAS + min(summed, VOCABULARY - 1u));
            to_word = word_from(v, lane, 0u);
        }
        var sum = add_to_word(0.0, to_word, lane, 0u);
        for (var first = QUADS; first < HIDDEN_ROUNDS; first += QUADS) {
            sum = add_to_word(sum, word_from(v, lane, first), lane, first);
        }
        if DIRECT {
            for (var round = 0u; round < INPUT_ROUNDS; round++) {
                let quad = min(lane + round * LANES, INPUT_QUADS - 1u);
                let w = parameters[(DIRECT_WEIGHT + v * INPUT_STRIDE) / 4u + quad];
                sum = add_products(sum, select(vec4<f32>(), w, lane + round * LANES < INPUT_QUADS), input[quad]);
            }
        }
        partial[own_part] = sum;
        workgroupBarrier();
        if local < OUTPUTS && summed < VOCABULARY {
            var total = 0.0;
            for (var part = 0u; part < LANES; part++) {
                total += partial[part * LANE_STRIDE + local];
            }
            let logit = word_bias + total;
            logits[summed] = logit;
            activations[LOGITS + example * VOCABULARY_STRIDE + summed] = logit;
        }
        workgroupBarrier();
    }

    // Whoever has a logit finds the largest one and the sum for itself: for a small V that is quicker than a barrier.
    var largest = 0.0;
    if local < VOCABULARY {
        largest = largest_logit(logits[0], 0u);
        for (var first = NUMBERS; first < VOCABULARY; first += NUMBERS) {
            largest = largest_logit(largest, first);
        }
    }
    let target_logit = logits[target_token];
    for (var v = local; v < VOCABULARY; v += WORKGROUP) {
        exponentials[v] = exp(logits[v] - largest);
    }
    workgroupBarrier();
    var sum_of_exponentials = 0.0;
    if local < VOCABULARY {
        sum_of_exponentials = add_exponentials(0.0, 0u);
        for (var first = NUMBERS; first < VOCABULARY; first += NUMBERS) {
            sum_of_exponentials = add_exponentials(sum_of_exponentials, first);
        }
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
    if keeps_cursor {
        cursor.rate = rate;
    }
    if own_place < DRAWERS && own_place <= CONTEXT {
        let drawn = drawn_at(1u - parity, example);
        contexts[drawn + own_place] = next_token;
        for (var i = own_place + DRAWERS; i <= CONTEXT; i += DRAWERS) {
            contexts[drawn + i] = tokens[next_target - CONTEXT + i];
        }
    }

    for (var j = local; j < HIDDEN_STRIDE; j += WORKGROUP) {
        let unit = min(j, HIDDEN - 1u);
        if j != local {
            back_to_unit = unit_back_from(unit, 0u);
        }
        var d_hidden = add_back_to_unit(0.0, back_to_unit, 0u);
        for (var first = NUMBERS; first < VOCABULARY; first += NUMBERS) {
            d_hidden = add_back_to_unit(d_hidden, unit_back_from(unit, first), first);
        }
        let value = hidden[j];
        let gradient = select(0.0, d_hidden * (1.0 - value * value), j < HIDDEN);
        d_sum[j] = gradient;
        activations[record + RECORD_D_SUM + j] = gradient;
    }
    workgroupBarrier();

    for (var columns = 0u; columns < INPUT_STRIDE; columns += TURNS * OUTPUTS) {
        for (var turn = 0u; turn < TURNS && columns + turn * OUTPUTS < INPUT_STRIDE; turn++) {
            let column = min(columns + turn * OUTPUTS + local / LANES, INPUT_STRIDE - 1u);
            if columns + turn > 0u {
                back_to_column = column_back_from(column, lane, 0u);
            }
            var sum = add_back_to_column(0.0, back_to_column, lane, 0u);
            for (var first = QUADS; first < HIDDEN_ROUNDS; first += QUADS) {
                sum = add_back_to_column(sum, column_back_from(column, lane, first), lane, first);
            }
            if DIRECT {
                for (var quad = lane; 4u * quad < VOCABULARY; quad += LANES) {
                    for (var k = 0u; k < 4u; k++) {
                        let v = min(4u * quad + k, VOCABULARY - 1u);
                        let w = parameter(DIRECT_WEIGHT + v * INPUT_STRIDE + column);
                        sum += w * select(0.0, logits[v], 4u * quad + k < VOCABULARY);
                    }
                }
            }
            partial[turn * PARTIAL + own_part] = sum;
        }
        workgroupBarrier();
        let summed = columns + local;
        if local < TURNS * OUTPUTS && summed < INPUT_STRIDE {
            var total = 0.0;
            for (var part = 0u; part < LANES; part++) {
                total += partial[local / OUTPUTS * PARTIAL + part * LANE_STRIDE + local % OUTPUTS];
            }
            activations[record + RECORD_D_INPUT + summed] = total;
        }
        workgroupBarrier();
    }
}
