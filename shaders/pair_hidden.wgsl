// The hidden units from what each place of the context adds to them, which its token decides: hidden = tanh(bias + the sum
// of the terms), with dropout.
// Expects shared/random.wgsl, shared/batch.wgsl, shared/workgroup.wgsl, shared/activations.wgsl, shared/dropout.wgsl and
// shared/pairs.wgsl before it: columns of the activations = h. One invocation four numbers.

@group(0) @binding(0) var<uniform> sizes: Activations;
@group(0) @binding(1) var<uniform> dropout: Dropout;
@group(0) @binding(2) var<storage, read> contexts: array<u32>;           // [B, n]
@group(0) @binding(3) var<storage, read> terms: array<vec4<f32>>;        // [n, V, h]
@group(0) @binding(4) var<storage, read> bias: array<vec4<f32>>;         // [h]
@group(0) @binding(5) var<storage, read> cursor: Cursor;
@group(0) @binding(6) var<storage, read_write> hidden: array<vec4<f32>>; // [rows, h]

@compute @workgroup_size(WORKGROUP)
fn pair_hidden(@builtin(global_invocation_id) invocation: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>) {
    let fours = sizes.stride / 4u;
    for (var i = invocation.x; i < sizes.rows * fours; i += workgroups.x * WORKGROUP) {
        let lane = sizes.first + i / fours;
        let four = i % fours;
        var sum = bias[four];
        for (var place = 0u; place < CONTEXT; place++) {
            sum += terms[pair_of(place, contexts[lane * CONTEXT + place]) * fours + four];
        }
        let kept = kept_of_four(dropout, cursor.current.step, lane, sizes.columns, four * 4u);
        // Some drivers make NaN of large arguments; beyond 15 the float32 result is 1 anyway.
        hidden[i] = kept * tanh(clamp(sum, vec4<f32>(-15.0), vec4<f32>(15.0)));
    }
}
