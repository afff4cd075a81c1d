// hidden = tanh(hidden) with dropout, in place.
// Expects shared/random.wgsl, shared/batch.wgsl, shared/workgroup.wgsl, shared/activations.wgsl and shared/dropout.wgsl
// before it: columns = h. One invocation four numbers: fewer divisions, and what fills a row up stays zero.

@group(0) @binding(0) var<uniform> sizes: Activations;
@group(0) @binding(1) var<uniform> dropout: Dropout;
@group(0) @binding(2) var<storage, read> cursor: Cursor;
@group(0) @binding(3) var<storage, read_write> hidden: array<vec4<f32>>; // [rows, h]

@compute @workgroup_size(WORKGROUP)
fn tanh_forward(@builtin(global_invocation_id) invocation: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>) {
    let fours = sizes.stride / 4u;
    for (var i = invocation.x; i < sizes.rows * fours; i += workgroups.x * WORKGROUP) {
        let lane = sizes.first + i / fours;
        let kept = kept_of_four(dropout, cursor.current.step, lane, sizes.columns, i % fours * 4u);
        // Some drivers make NaN of large arguments; beyond 15 the float32 result is 1 anyway.
        hidden[i] = kept * tanh(clamp(hidden[i], vec4<f32>(-15.0), vec4<f32>(15.0)));
    }
}
