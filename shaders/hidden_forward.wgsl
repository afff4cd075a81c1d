// A batch from its draw to its hidden units: draw_batch, embedding_gather, the product with the hidden weights and tanh_forward in
// one dispatch. Sums and everything else come out as of those, to the bit.
// Expects shared/random.wgsl, shared/batch.wgsl, shared/workgroup.wgsl, shared/dropout.wgsl and shared/joined.wgsl before it. One
// workgroup four examples.

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

@compute @workgroup_size(WORKGROUP)
fn hidden_forward(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let position = cursor.next;
    let first = workgroup.x * 4u;
    let examples = min(4u, joined.batch - first);
    if first == 0u && local == 0u {
        cursor.current = position;
    }
    for (var i = local; i < examples * plan.context; i += WORKGROUP) {
        let lane = first + i / plan.context;
        let k = i % plan.context;
        let place = places[example_of_lane(plan, position, lane)];
        contexts[lane * plan.context + k] = tokens[place - plan.context + k];
        if k == 0u {
            targets[lane] = tokens[place];
        }
    }
    storageBarrier();
    for (var i = local; i < examples * joined.inputs; i += WORKGROUP) {
        let lane = first + i / joined.inputs;
        let column = i % joined.inputs;
        let token = contexts[lane * plan.context + column / joined.embedding];
        let number = token * joined.embedding_stride + column % joined.embedding;
        let at = lane * joined.input_stride + column;
        let kept = kept_of(input_dropout, position.step, lane, joined.inputs, column);
        input[at / 4u][at % 4u] = kept * parameters[number / 4u][number % 4u];
    }
    storageBarrier();
    // Four examples at a time with one unit; beyond the batch the last one again.
    let lanes = min(vec4<u32>(first) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(joined.batch - 1u));
    let fours = joined.input_stride / 4u;
    for (var unit = local; unit < joined.units; unit += WORKGROUP) {
        let row = joined.hidden_weight / 4u + unit * fours;
        var sums = vec4<f32>();
        for (var at = row; at < row + fours; at++) {
            let four = at - row;
            let weights = parameters[at];
            let x0 = input[lanes.x * fours + four];
            let x1 = input[lanes.y * fours + four];
            let x2 = input[lanes.z * fours + four];
            let x3 = input[lanes.w * fours + four];
            sums += vec4<f32>(x0.x, x1.x, x2.x, x3.x) * weights.x;
            sums += vec4<f32>(x0.y, x1.y, x2.y, x3.y) * weights.y;
            sums += vec4<f32>(x0.z, x1.z, x2.z, x3.z) * weights.z;
            sums += vec4<f32>(x0.w, x1.w, x2.w, x3.w) * weights.w;
        }
        let bias = joined.hidden_bias + unit;
        sums += parameters[bias / 4u][bias % 4u];
        let activations = tanh(clamp(sums, vec4<f32>(-15.0), vec4<f32>(15.0)));
        for (var example = 0u; example < examples; example++) {
            let lane = first + example;
            let at = lane * joined.hidden_stride + unit;
            let kept = kept_of(hidden_dropout, position.step, lane, joined.units, unit);
            hidden[at / 4u][at % 4u] = kept * activations[example];
        }
    }
}
