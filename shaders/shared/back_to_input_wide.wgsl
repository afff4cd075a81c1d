// The same as shared/back_to_input.wgsl to the bit, for a GPU: as many examples in a workgroup as it has invocations for, each of
// which has a hidden unit and then a number of the input. As in small_examples.wgsl, many numbers are asked for at once, each by a
// line of its own: one with {s} stands for 32.
// Expects what shared/back_to_input.wgsl expects, and of its includer `held`, ALL_HELD numbers of a workgroup.

// Whether this way is taken; where it is not, the other constants do not matter.
override WIDE: bool = false;
// An example's hidden units with what fills their row up, and all the numbers of it that are held.
override HIDDEN_STRIDE: u32 = 4u;
override HELD: u32 = 4u;
// Examples of a workgroup, and the invocations of each.
override AT_ONCE: u32 = 1u;
override SHARE: u32 = ACROSS * DOWN / AT_ONCE;
override ALL_HELD: u32 = AT_ONCE * HELD;
// Parts of the sums for the hidden units, and for the input.
override HIDDEN_PARTS: u32 = 1u;
override INPUT_PARTS: u32 = 0u;

// Numbers that are loaded at a time.
const NUMBERS = 32u;

fn part_at(at: u32) -> f32 {
    return parts[at / 4u][at % 4u];
}

fn hidden_weight_at(at: u32) -> f32 {
    return hidden_weight[at / 4u][at % 4u];
}

// The sum of a number of so many parts, from the first part to the last.
fn sum_of_numbers(count: u32, first: u32, distance: u32) -> f32 {
    var sum = 0.0;
    for (var part = 0u; part < count; part += NUMBERS) {
        let numbers = array<f32, NUMBERS>(
            part_at(first + min(part + {s}u, count - 1u) * distance),
        );
        // repeat {s}
        if part + {s}u < count {
            sum += numbers[{s}];
        }
        // end
    }
    return sum;
}

// Weights of a number of the input from the `first` unit on; beyond the last one there is that one again.
fn weights_from(first: u32, column: u32) -> array<f32, NUMBERS> {
    return array<f32, NUMBERS>(
        hidden_weight_at(min(first + {s}u, joined.units - 1u) * joined.input_stride + column),
    );
}

fn add_weights(sum: f32, weights: array<f32, NUMBERS>, begin: u32, first: u32) -> f32 {
    var total = sum;
    // repeat {s}
    if first + {s}u < HIDDEN_STRIDE {
        total += held[begin + first + {s}u] * weights[{s}];
    }
    // end
    return total;
}

fn held_at(four: u32) -> vec4<f32> {
    return vec4<f32>(held[four * 4u], held[four * 4u + 1u], held[four * 4u + 2u], held[four * 4u + 3u]);
}

fn back_to_input_wide(first: u32, local: u32) {
    let inputs = joined.input_stride;
    let example = first + local / SHARE;
    let begin = local / SHARE * HELD;
    // Whoever has no example takes no round of any loop.
    let own = select(0xffffffffu, local % SHARE, local / SHARE < AT_ONCE && example < joined.batch);
    var weights = weights_from(0u, min(own, inputs - 1u));
    for (var unit = own; unit < HIDDEN_STRIDE; unit += SHARE) {
        let at = example * HIDDEN_STRIDE + unit;
        let kept = kept_of(dropout, cursor.current.step, example, joined.units, unit);
        let value = right[at / 4u][at % 4u] / dropout.kept;
        let d_hidden = sum_of_numbers(HIDDEN_PARTS, at, joined.batch * HIDDEN_STRIDE);
        held[begin + unit] = d_hidden * (kept * (1.0 - value * value));
    }
    workgroupBarrier();
    let first_input = HIDDEN_PARTS * joined.batch * HIDDEN_STRIDE + example * inputs;
    for (var column = own; column < inputs; column += SHARE) {
        if column != own {
            weights = weights_from(0u, column);
        }
        var sum = add_weights(0.0, weights, begin, 0u);
        for (var unit = NUMBERS; unit < HIDDEN_STRIDE; unit += NUMBERS) {
            sum = add_weights(sum, weights_from(unit, column), begin, unit);
        }
        held[begin + HIDDEN_STRIDE + column] = sum + sum_of_numbers(INPUT_PARTS, first_input + column, joined.batch * inputs);
    }
    workgroupBarrier();
    for (var four = own; four < HIDDEN_STRIDE / 4u; four += SHARE) {
        d_activations[example * HIDDEN_STRIDE / 4u + four] = held_at(begin / 4u + four);
    }
    for (var four = own; four < inputs / 4u; four += SHARE) {
        d_activations[(joined.d_input + example * inputs) / 4u + four] = held_at((begin + HIDDEN_STRIDE) / 4u + four);
    }
    workgroupBarrier();
}
