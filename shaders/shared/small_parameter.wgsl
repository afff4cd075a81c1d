// The second phase of a step for one parameter: its gradient, summed over the batch in the examples' order, and its update.
// Expects shared/small.wgsl before it, and of its includer `contexts`, `activations`, `parameters`, the floats among them in vectors of
// four.

// B once more: a loop whose rounds are known loads ahead.
override BATCH: u32 = 32u;

fn activation(at: u32) -> f32 {
    return activations[at / 4u][at % 4u];
}

// The sum over the batch of one number of the record: a bias's gradient.
fn sum_over_batch(at: u32) -> f32 {
    var sum = 0.0;
    for (var example = 0u; example < BATCH; example++) {
        sum += activation(example * RECORD + at);
    }
    return sum;
}

// The sum over the batch of the product of two numbers of the record: a weight's gradient.
fn sum_of_products(gradient: u32, factor: u32) -> f32 {
    var sum = 0.0;
    for (var example = 0u; example < BATCH; example++) {
        sum += activation(example * RECORD + gradient) * activation(example * RECORD + factor);
    }
    return sum;
}

// The sum over the occurrences of a token in the batch of number `k` of their gradients.
fn sum_over_occurrences(token: u32, k: u32) -> f32 {
    var sum = 0.0;
    for (var example = 0u; example < BATCH; example++) {
        for (var place = 0u; place < CONTEXT; place++) {
            // Every number is loaded, so that no load waits for a comparison.
            let d_input = activation(example * RECORD + RECORD_D_INPUT + place * EMBEDDING + k);
            sum += select(0.0, d_input, contexts[example * CONTEXT + place] == token);
        }
    }
    return sum;
}

// The parameter at a place of the buffer; beyond the last one nothing.
fn update_parameter(parameter: u32, rate: f32) {
    // Between the rows of a weight and between tensors there may be numbers of no meaning.
    var gradient = 0.0;
    if parameter < HIDDEN_WEIGHT {
        if parameter >= VOCABULARY * EMBEDDING {
            return;
        }
        gradient = sum_over_occurrences(parameter / EMBEDDING, parameter % EMBEDDING);
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
    parameters[parameter / 4u][parameter % 4u] -= rate * gradient;
}
