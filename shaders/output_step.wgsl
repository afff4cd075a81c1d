// A plain step of the output weights and their bias, by a product; beside it, in workgroups of their own, the gradient of the
// hidden units from its parts, before tanh, and that of the input: column_sum, tanh_backward and a product. Everything comes out as of
// those, to the bit.
// Expects shared/random.wgsl, shared/batch.wgsl, shared/product.wgsl, one of the two ways to make it, shared/product_step.wgsl,
// shared/joined.wgsl and shared/dropout.wgsl beside it. A line with {k} stands for four: one for each example of a workgroup.

@group(0) @binding(0) var<uniform> product: Product;
@group(0) @binding(1) var<uniform> joined: Joined;
@group(0) @binding(2) var<uniform> dropout: Dropout;
@group(0) @binding(3) var<storage, read> left: array<vec4<f32>>;                 // gradient of the logits, [B, V]
@group(0) @binding(4) var<storage, read> right: array<vec4<f32>>;                // hidden, after tanh and dropout, [B, h]
@group(0) @binding(5) var<storage, read> factors: array<Factors>;                // by slot
@group(0) @binding(6) var<storage, read> cursor: Cursor;
@group(0) @binding(7) var<storage, read_write> out: array<vec4<f32>>;            // U and its bias
@group(0) @binding(8) var<storage, read> parts: array<vec4<f32>>;                // of [B, h], then of [B, n d]
@group(0) @binding(9) var<storage, read_write> d_activations: array<vec4<f32>>;  // [B, h], then [B, n d]
// H, [h, n d]. It is only read, but may lie in the buffer that `out` is of, and then both must be bound alike.
@group(0) @binding(10) var<storage, read_write> hidden_weight: array<vec4<f32>>;

// The sum of four numbers of so many parts, from the first part to the last.
fn sum_of_parts(count: u32, first: u32, distance: u32) -> vec4<f32> {
    var sum = vec4<f32>();
    for (var at = first; at < first + count * distance; at += distance) {
        sum += parts[at];
    }
    return sum;
}

// Four examples by the invocations of a workgroup.
fn back_to_input(first: u32, local: u32) {
    let units = joined.hidden_stride / 4u;
    let inputs = joined.input_stride / 4u;
    let examples = min(4u, joined.batch - first);
    for (var i = local; i < examples * units; i += ACROSS * DOWN) {
        let at = first * units + i;
        let kept = kept_of_four(dropout, cursor.current.step, at / units, joined.units, at % units * 4u);
        let value = right[at] / dropout.kept;
        let d_hidden = sum_of_parts(joined.hidden_parts, at, joined.batch * units);
        d_activations[at] = d_hidden * (kept * (vec4<f32>(1.0) - value * value));
    }
    storageBarrier();
    let input_parts = joined.hidden_parts * joined.batch * units;
    // Beyond the batch the last example again.
    let lane{k} = min(first + {k}u, joined.batch - 1u);
    for (var four = local; four < inputs; four += ACROSS * DOWN) {
        var sum{k} = vec4<f32>();
        for (var at = lane0 * units; at < lane0 * units + units; at++) {
            let last = joined.units - 1u;
            let unit = (at - lane0 * units) * 4u;
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
        let more{k} = sum_of_parts(joined.input_parts, input_parts + lane{k} * inputs + four, joined.batch * inputs);
        d_activations[to + lane{k} * inputs] = sum{k} + more{k};
    }
}

@compute @workgroup_size(ACROSS * DOWN)
fn output_step(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    if makes_product(workgroup, joined) {
        make_product(tile_of(workgroup, joined), local);
        return;
    }
    let others = others_of(workgroup, workgroups, joined);
    for (var first = others.index * 4u; first < joined.batch; first += others.count * 4u) {
        back_to_input(first, local);
    }
}
