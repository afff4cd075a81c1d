// From the parts of the hidden units' gradient to the gradient before tanh, and to that of the input.
// Expects shared/joined.wgsl and shared/dropout.wgsl before it, and of its includer `joined`, `dropout`, `cursor`, `right` (the
// hidden units), `parts`, `d_activations` and `hidden_weight`. A line with {k} stands for four: one for each example of a workgroup.

// Examples of a workgroup: the twin of EXAMPLES in src/engine/gpu/general/joined.rs.
const TOGETHER = 4u;

// The sum of four numbers of so many parts, from the first part to the last.
fn sum_of_parts(count: u32, first: u32, distance: u32) -> vec4<f32> {
    var sum = vec4<f32>();
    for (var at = first; at < first + count * distance; at += distance) {
        sum += parts[at];
    }
    return sum;
}

// A few examples by the invocations of a workgroup.
fn back_to_input(first: u32, local: u32) {
    let units = joined.hidden_stride / 4u;
    let inputs = joined.input_stride / 4u;
    let examples = min(TOGETHER, joined.batch - first);
    for (var i = local; i < examples * units; i += ACROSS * DOWN) {
        let at = first * units + i;
        let kept = kept_of_four(dropout, cursor.current.step, at / units, joined.units, at % units * 4u);
        let value = right[at] / dropout.kept;
        let d_hidden = sum_of_parts(joined.hidden_parts, at, joined.batch * units);
        d_activations[at] = d_hidden * (kept * (vec4<f32>(1.0) - value * value));
    }
    storageBarrier();
    let input_parts = joined.hidden_parts * joined.batch * units;
    // Beyond these the last example again.
    let lane{k} = min(first + {k}u, joined.batch - 1u);
    let begin = lane0 * units;
    for (var four = local; four < inputs; four += ACROSS * DOWN) {
        var sum{k} = vec4<f32>();
        for (var at = begin; at < begin + units; at++) {
            let last = joined.units - 1u;
            let unit = (at - begin) * 4u;
            let y0 = hidden_weight[unit * inputs + four];
            let y1 = hidden_weight[min(unit + 1u, last) * inputs + four];
            let y2 = hidden_weight[min(unit + 2u, last) * inputs + four];
            let y3 = hidden_weight[min(unit + 3u, last) * inputs + four];
            let x{k} = d_activations[lane{k} * units + unit / 4u];
            sum{k} += x{k}.x * y0;
            sum{k} += x{k}.y * y1;
            sum{k} += x{k}.z * y2;
            sum{k} += x{k}.w * y3;
        }
        let to = joined.d_input / 4u + four;
        let place{k} = input_parts + lane{k} * inputs + four;
        let more{k} = sum_of_parts(joined.input_parts, place{k}, joined.batch * inputs);
        d_activations[to + lane{k} * inputs] = sum{k} + more{k};
    }
}
