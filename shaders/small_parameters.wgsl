// The second phase of a step in one dispatch, an invocation a parameter: sums the parameter's gradient over the batch
// in the examples' order and updates it at once. One more workgroup writes the mean loss and moves the cursor on.
// Expects shared/random.wgsl, shared/batch.wgsl and shared/small.wgsl before it.
//
// As in small_examples.wgsl, many numbers are asked for at once, each by a line of its own: one with {r} stands for NUMBERS, one with
// {g} for LOOKED_AT, one with {k} for four.

// Numbers that are loaded at a time.
const NUMBERS = 4u * {groups}u;
// Examples whose occurrences are looked at at a time.
const LOOKED_AT = {groups}u;

// Examples of which the gradients of the input and the tokens are held at a time.
override HELD: u32 = 1u;
override HELD_QUADS: u32 = HELD * INPUT_STRIDE / 4u;

@group(0) @binding(0) var<uniform> plan: Plan;
@group(0) @binding(1) var<storage, read> contexts: array<u32>;           // [B, n]
@group(0) @binding(2) var<storage, read> activations: array<vec4<f32>>;  // [B, RECORD]
@group(0) @binding(3) var<storage, read_write> cursor: Cursor;
@group(0) @binding(4) var<storage, read_write> parameters: array<f32>;
@group(0) @binding(5) var<storage, read_write> losses: array<f32>;       // by slot
@group(0) @binding(6) var<storage, read_write> hidden_columns: array<f32>; // H once more, [n d, h], with rows filled up

var<workgroup> held: array<vec4<f32>, HELD_QUADS>;
var<workgroup> held_tokens: array<u32, HELD * CONTEXT>;

fn activation(at: u32) -> f32 {
    return activations[at / 4u][at % 4u];
}

// One number of the record, of the examples from the `first` on; those beyond the batch are its last.
fn numbers_of(at: u32, first: u32) -> array<f32, NUMBERS> {
    return array<f32, NUMBERS>(
        activation(min(first + {r}u, BATCH - 1u) * RECORD + at),
    );
}

// The sum over the batch of one number of the record: a bias's gradient.
fn sum_over_batch(at: u32) -> f32 {
    var sum = 0.0;
    for (var first = 0u; first < BATCH; first += NUMBERS) {
        let numbers = numbers_of(at, first);
        // repeat {r}
        if first + {r}u < BATCH {
            sum += numbers[{r}];
        }
        // end
    }
    return sum;
}

// The sum over the batch of the product of two numbers of the record: a weight's gradient.
fn sum_of_products(gradient: u32, activation: u32) -> f32 {
    var sum = 0.0;
    for (var first = 0u; first < BATCH; first += NUMBERS) {
        let gradients = numbers_of(gradient, first);
        let numbers = numbers_of(activation, first);
        // repeat {r}
        if first + {r}u < BATCH {
            sum += gradients[{r}] * numbers[{r}];
        }
        // end
    }
    return sum;
}

// Four numbers of the input's gradients of the examples from the `first` on, as they are held; beyond the last there are its own.
fn d_input_of(first: u32, quad: u32) -> vec4<f32> {
    let example = min(first + quad / (INPUT_STRIDE / 4u), BATCH - 1u);
    return activations[(example * RECORD + RECORD_D_INPUT) / 4u + quad % (INPUT_STRIDE / 4u)];
}

// Adds number `k` of the gradients of a token among those of an example that is held, if it is `inside` the batch.
fn add_of_token(sum: f32, token: u32, k: u32, example: u32, inside: bool) -> f32 {
    var total = sum;
    for (var place = 0u; place < CONTEXT; place++) {
        let at = example * INPUT_STRIDE + place * EMBEDDING + k;
        total += select(0.0, held[at / 4u][at % 4u], inside & (held_tokens[example * CONTEXT + place] == token));
    }
    return total;
}

// The sum over the occurrences of a token in the batch of number `k` of their gradients, which all invocations of the workgroup bring
// into its memory: they must come here at once. Loaded by each invocation for itself, they come one by one from an H200, whose
// compiler puts a load where its number is used.
fn sum_over_occurrences(token: u32, k: u32, local: u32) -> f32 {
    var sum = 0.0;
    for (var first = 0u; first < BATCH; first += HELD) {
        for (var quad = local; quad < HELD_QUADS; quad += 4u * WORKGROUP) {
            let d_input{k} = d_input_of(first, quad + {k}u * WORKGROUP);
            // repeat {k}
            if quad + {k}u * WORKGROUP < HELD_QUADS {
                held[quad + {k}u * WORKGROUP] = d_input{k};
            }
            // end
        }
        for (var i = local; i < HELD * CONTEXT; i += WORKGROUP) {
            held_tokens[i] = contexts[min(first * CONTEXT + i, BATCH * CONTEXT - 1u)];
        }
        workgroupBarrier();
        for (var example = 0u; example < HELD; example += LOOKED_AT) {
            // repeat {g}
            if example + {g}u < HELD {
                sum = add_of_token(sum, token, k, example + {g}u, first + example + {g}u < BATCH);
            }
            // end
        }
        workgroupBarrier();
    }
    return sum;
}

@compute @workgroup_size(WORKGROUP)
fn small_parameters(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(global_invocation_id) invocation: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let current = cursor.current;
    let rate = cursor.rate;
    let parameter = invocation.x;
    // It is asked for before all else, also by those who have none.
    let before = parameters[min(parameter, arrayLength(&parameters) - 1u)];
    if workgroup.x == workgroups.x - 1u {
        if local == 0u {
            losses[current.slot] = sum_over_batch(RECORD_LOSS) / f32(plan.batch);
            cursor.next = position_after(plan, current);
        }
        return;
    }

    // Tensors begin at multiples of WORKGROUP, so that a workgroup lies in one. Between the rows of a weight and between tensors
    // there may be numbers of no meaning.
    var gradient = 0.0;
    if workgroup.x * WORKGROUP < HIDDEN_WEIGHT {
        gradient = sum_over_occurrences(parameter / EMBEDDING, parameter % EMBEDDING, local);
        if parameter >= VOCABULARY * EMBEDDING {
            return;
        }
    } else if parameter < HIDDEN_BIAS {
        let index = parameter - HIDDEN_WEIGHT;
        if index >= HIDDEN * INPUT_STRIDE || index % INPUT_STRIDE >= INPUT {
            return;
        }
        gradient = sum_of_products(RECORD_D_SUM + index / INPUT_STRIDE, index % INPUT_STRIDE);
    } else if parameter < OUTPUT_WEIGHT {
        let index = parameter - HIDDEN_BIAS;
        if index >= HIDDEN {
            return;
        }
        gradient = sum_over_batch(RECORD_D_SUM + index);
    } else if parameter < OUTPUT_BIAS {
        let index = parameter - OUTPUT_WEIGHT;
        if index >= VOCABULARY * HIDDEN_STRIDE || index % HIDDEN_STRIDE >= HIDDEN {
            return;
        }
        let unit = index % HIDDEN_STRIDE;
        gradient = sum_of_products(RECORD_D_LOGITS + index / HIDDEN_STRIDE, RECORD_HIDDEN + unit);
    } else if parameter < DIRECT_WEIGHT {
        let index = parameter - OUTPUT_BIAS;
        if index >= VOCABULARY {
            return;
        }
        gradient = sum_over_batch(RECORD_D_LOGITS + index);
    } else {
        let index = parameter - DIRECT_WEIGHT;
        if !DIRECT || index >= VOCABULARY * INPUT_STRIDE || index % INPUT_STRIDE >= INPUT {
            return;
        }
        gradient = sum_of_products(RECORD_D_LOGITS + index / INPUT_STRIDE, index % INPUT_STRIDE);
    }
    let after = before - rate * gradient;
    parameters[parameter] = after;
    if parameter >= HIDDEN_WEIGHT && parameter < HIDDEN_BIAS {
        let index = parameter - HIDDEN_WEIGHT;
        hidden_columns[index % INPUT_STRIDE * HIDDEN_STRIDE + index / INPUT_STRIDE] = after;
    }
}
