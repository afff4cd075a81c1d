// The same as hidden_forward.wgsl to the bit, for a GPU: an invocation a unit of a few examples, whose input waits in the
// workgroup's memory. As in small_examples.wgsl, weights are asked for before the examples are drawn, many at once, each by a
// line of its own: one with {s} stands for 32.
// Expects shared/random.wgsl, shared/batch.wgsl, shared/workgroup.wgsl, shared/draw.wgsl, shared/dropout.wgsl, shared/joined.wgsl
// and shared/add_products.wgsl beside it.

// Examples of a workgroup: the twin of WIDE_EXAMPLES in src/engine/gpu/general/joined.rs.
const EXAMPLES = 2u;
// Fours of numbers in an example's input.
override INPUT_QUADS: u32 = 8u;
// Fours of a unit's weights that are loaded at a time.
const QUADS = 32u;

@group(0) @binding(0) var<uniform> plan: Plan;
@group(0) @binding(1) var<uniform> joined: Joined;
@group(0) @binding(2) var<uniform> input_dropout: Dropout;
@group(0) @binding(3) var<uniform> hidden_dropout: Dropout;
@group(0) @binding(4) var<storage, read> tokens: array<u32>;
@group(0) @binding(5) var<storage, read> places: array<u32>;              // of the targets in the stream, [examples]
@group(0) @binding(6) var<storage, read_write> cursor: Cursor;
@group(0) @binding(7) var<storage, read_write> contexts: array<u32>;      // [B, n]
@group(0) @binding(8) var<storage, read_write> targets: array<u32>;       // [B]
@group(0) @binding(9) var<storage, read> parameters: array<vec4<f32>>;    // C, H and its bias
@group(0) @binding(10) var<storage, read_write> input: array<vec4<f32>>;  // x, [B, n d]
@group(0) @binding(11) var<storage, read_write> hidden: array<f32>;       // [B, h]

var<workgroup> inputs: array<vec4<f32>, 2u * INPUT_QUADS>; // of EXAMPLES

// A number of the input before dropout of an example whose context begins at some place of the stream; zero where it only fills
// the row up.
fn input_of(start: u32, column: u32) -> f32 {
    let within = min(column, joined.inputs - 1u);
    let place = tokens[start + within / joined.embedding] * joined.embedding_stride + within % joined.embedding;
    return select(0.0, parameters[place / 4u][place % 4u], column < joined.inputs);
}

fn bias_of(unit: u32) -> f32 {
    let at = joined.hidden_bias + min(unit, joined.units - 1u);
    return parameters[at / 4u][at % 4u];
}

// Weights of a unit from the `first` four on; beyond its last there is that one again.
fn weights_of(unit: u32, first: u32) -> array<vec4<f32>, QUADS> {
    let row = joined.hidden_weight / 4u + min(unit, joined.units - 1u) * INPUT_QUADS;
    return array<vec4<f32>, QUADS>(
        parameters[row + min(first + {s}u, INPUT_QUADS - 1u)],
    );
}

fn add_to_units(sums: array<f32, EXAMPLES>, weights: array<vec4<f32>, QUADS>, first: u32) -> array<f32, EXAMPLES> {
    var result = sums;
    // repeat {s}
    if first + {s}u < INPUT_QUADS {
        result[0] = add_products(result[0], inputs[first + {s}u], weights[{s}]);
        result[1] = add_products(result[1], inputs[INPUT_QUADS + first + {s}u], weights[{s}]);
    }
    // end
    return result;
}

@compute @workgroup_size(WORKGROUP)
fn hidden_forward_wide(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    var weights = weights_of(local, 0u);
    var bias = bias_of(local);
    let position = cursor.next;
    let first = workgroup.x * EXAMPLES;
    if first == 0u && local == 0u {
        cursor.current = position;
    }
    for (var i = local; i < EXAMPLES * INPUT_QUADS; i += WORKGROUP) {
        // Beyond the batch the last example again.
        let lane = min(first + i / INPUT_QUADS, joined.batch - 1u);
        let column = i % INPUT_QUADS * 4u;
        let start = places[example_of_lane(plan, position, lane)] - plan.context;
        let numbers = vec4<f32>(
            input_of(start, column),
            input_of(start, column + 1u),
            input_of(start, column + 2u),
            input_of(start, column + 3u),
        );
        let x = kept_of_four(input_dropout, position.step, lane, joined.inputs, column) * numbers;
        inputs[i] = x;
        input[lane * INPUT_QUADS + i % INPUT_QUADS] = x;
    }
    // The last invocations, for the first ones have to do with the input.
    let examples = min(EXAMPLES, joined.batch - first);
    for (var i = WORKGROUP - 1u - local; i < examples * plan.context; i += WORKGROUP) {
        draw(position, first * plan.context + i);
    }
    workgroupBarrier();
    for (var unit = local; unit < joined.hidden_stride; unit += WORKGROUP) {
        if unit != local {
            weights = weights_of(unit, 0u);
            bias = bias_of(unit);
        }
        var sums = add_to_units(array<f32, EXAMPLES>(), weights, 0u);
        for (var quad = QUADS; quad < INPUT_QUADS; quad += QUADS) {
            sums = add_to_units(sums, weights_of(unit, quad), quad);
        }
        for (var e = 0u; e < EXAMPLES; e++) {
            let lane = min(first + e, joined.batch - 1u);
            let kept = kept_of(hidden_dropout, position.step, lane, joined.units, unit);
            let value = kept * tanh(clamp(sums[e] + bias, -15.0, 15.0));
            hidden[lane * joined.hidden_stride + unit] = select(0.0, value, unit < joined.units);
        }
    }
}
