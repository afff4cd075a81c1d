// A batch from its draw to its hidden units: draw_batch, embedding_gather, the product with the hidden weights and tanh_forward in
// one dispatch. Sums and everything else come out as of those, to the bit.
// Expects shared/random.wgsl, shared/batch.wgsl, shared/workgroup.wgsl, shared/draw.wgsl, shared/dropout.wgsl and shared/joined.wgsl
// beside it. One workgroup four examples; a line with {k} stands for four.

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
@group(0) @binding(11) var<storage, read_write> hidden: array<vec4<f32>>; // [B, h]

// A number of an example's input before dropout; zero where it only fills the row up.
fn input_of(lane: u32, column: u32) -> f32 {
    let within = min(column, joined.inputs - 1u);
    let token = contexts[lane * plan.context + within / joined.embedding];
    let place = token * joined.embedding_stride + within % joined.embedding;
    return select(0.0, parameters[place / 4u][place % 4u], column < joined.inputs);
}

@compute @workgroup_size(WORKGROUP)
fn hidden_forward(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let position = cursor.next;
    let first = workgroup.x * 4u;
    let examples = min(4u, joined.batch - first);
    if first == 0u && local == 0u {
        cursor.current = position;
    }
    for (var i = local; i < examples * plan.context; i += WORKGROUP) {
        draw(position, first * plan.context + i);
    }
    storageBarrier();
    let fours = joined.input_stride / 4u;
    for (var i = local; i < examples * fours; i += WORKGROUP) {
        let lane = first + i / fours;
        let column = i % fours * 4u;
        let kept = kept_of_four(input_dropout, position.step, lane, joined.inputs, column);
        let x{k} = input_of(lane, column + {k}u);
        input[lane * fours + i % fours] = kept * vec4<f32>(x0, x1, x2, x3);
    }
    storageBarrier();
    // Four examples by four units at a time; beyond the batch the last example again, and beyond the units nothing.
    let lane{k} = min(first + {k}u, joined.batch - 1u);
    for (var four_units = local; four_units < joined.hidden_stride / 4u; four_units += WORKGROUP) {
        let units = vec4<u32>(four_units * 4u) + vec4<u32>(0u, 1u, 2u, 3u);
        let rows = joined.hidden_weight / 4u + min(units, vec4<u32>(joined.units - 1u)) * fours;
        var sum{k} = vec4<f32>();
        for (var at = lane0 * fours; at < lane0 * fours + fours; at++) {
            let four = at - lane0 * fours;
            let y{k} = parameters[rows[{k}] + four];
            let x{k} = input[lane{k} * fours + four];
            sum{k} += x{k}.x * vec4<f32>(y0.x, y1.x, y2.x, y3.x);
            sum{k} += x{k}.y * vec4<f32>(y0.y, y1.y, y2.y, y3.y);
            sum{k} += x{k}.z * vec4<f32>(y0.z, y1.z, y2.z, y3.z);
            sum{k} += x{k}.w * vec4<f32>(y0.w, y1.w, y2.w, y3.w);
        }
        let bias = parameters[joined.hidden_bias / 4u + four_units];
        let at{k} = lane{k} * (joined.hidden_stride / 4u) + four_units;
        let kept{k} = kept_of_four(hidden_dropout, position.step, lane{k}, joined.units, units.x);
        let value{k} = kept{k} * tanh(clamp(sum{k} + bias, vec4<f32>(-15.0), vec4<f32>(15.0)));
        hidden[at{k}] = select(vec4<f32>(), value{k}, units < vec4<u32>(joined.units));
    }
}
