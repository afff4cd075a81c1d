// The second phase of a step in one dispatch, an invocation a parameter: sums the parameter's gradient over the batch
// in the examples' order and updates it at once. One more workgroup writes the mean loss and moves the cursor on.
// Expects shared/random.wgsl, shared/batch.wgsl and shared/small.wgsl before it.
//
// As in small_examples.wgsl, many numbers are asked for at once, each by a line of its own: one with {r} stands for NUMBERS.

// B once more: the places of all examples are then known.
override BATCH: u32 = 32u;
override OCCURRENCES: u32 = BATCH * CONTEXT;

// Numbers that are loaded at a time.
const NUMBERS = 4u * {groups}u;
// Occurrences of tokens that are looked at at a time.
const LOOKED_AT = 3u * NUMBERS;

@group(0) @binding(0) var<uniform> plan: Plan;
@group(0) @binding(1) var<storage, read> contexts: array<u32>;           // [B, n]
@group(0) @binding(2) var<storage, read> activations: array<f32>;        // [B, RECORD]
@group(0) @binding(3) var<storage, read> factors: array<Factors>;        // by slot
@group(0) @binding(4) var<storage, read_write> cursor: Cursor;
@group(0) @binding(5) var<storage, read_write> parameters: array<f32>;
@group(0) @binding(6) var<storage, read_write> losses: array<f32>;       // by slot

var<workgroup> looked_at: array<u32, LOOKED_AT>; // their tokens

// One number of the record, of the examples from the `first` on; those beyond the batch are its last.
fn numbers_of(at: u32, first: u32) -> array<f32, NUMBERS> {
    return array<f32, NUMBERS>(
        activations[min(first + {r}u, BATCH - 1u) * RECORD + at],
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

// Number `k` of the gradient of an occurrence of a token.
fn d_input_of(occurrence: u32, k: u32) -> f32 {
    let inside = min(occurrence, OCCURRENCES - 1u);
    return activations[inside / CONTEXT * RECORD + RECORD_D_INPUT + inside % CONTEXT * EMBEDDING + k];
}

fn d_inputs_from(first: u32, k: u32) -> array<f32, NUMBERS> {
    return array<f32, NUMBERS>(
        d_input_of(first + {r}u, k),
    );
}

// Adds those of a token among the occurrences from the `first` on, the `place`th of those that are looked at.
fn add_of_token(sum: f32, d_inputs: array<f32, NUMBERS>, token: u32, first: u32, place: u32) -> f32 {
    var total = sum;
    total += select(0.0, d_inputs[{r}], (first + {r}u < OCCURRENCES) & (looked_at[place + {r}u] == token));
    return total;
}

// The sum over the occurrences of a token in the batch of number `k` of their gradients. Every number is loaded, so that
// no load waits for a comparison. All invocations of a workgroup must come here at once.
fn sum_over_occurrences(token: u32, k: u32, local: u32) -> f32 {
    var sum = 0.0;
    for (var first = 0u; first < OCCURRENCES; first += LOOKED_AT) {
        let first_third = d_inputs_from(first, k);
        let second_third = d_inputs_from(first + NUMBERS, k);
        let last_third = d_inputs_from(first + 2u * NUMBERS, k);
        for (var i = local; i < LOOKED_AT; i += WORKGROUP) {
            looked_at[i] = contexts[min(first + i, OCCURRENCES - 1u)];
        }
        workgroupBarrier();
        sum = add_of_token(sum, first_third, token, first, 0u);
        sum = add_of_token(sum, second_third, token, first + NUMBERS, NUMBERS);
        sum = add_of_token(sum, last_third, token, first + 2u * NUMBERS, 2u * NUMBERS);
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
    let rate = factors[current.slot].rate;
    if workgroup.x == workgroups.x - 1u {
        if local == 0u {
            losses[current.slot] = sum_over_batch(RECORD_LOSS) / f32(plan.batch);
            cursor.next = position_after(plan, current);
        }
        return;
    }

    // Tensors begin at multiples of WORKGROUP, so that a workgroup lies in one. Between the rows of a weight and between tensors
    // there may be numbers of no meaning.
    let parameter = invocation.x;
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
    parameters[parameter] -= rate * gradient;
}
