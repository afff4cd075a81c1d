// hidden = tanh(hidden), in place, with a transposed copy.
// Expects shared/activations.wgsl before it: columns = h. One invocation a number.

@group(0) @binding(0) var<uniform> sizes: Activations;
@group(0) @binding(1) var<storage, read_write> hidden: array<f32>;      // [B, h]
@group(0) @binding(2) var<storage, read_write> transposed: array<f32>;  // [h, B]

@compute @workgroup_size(WORKGROUP)
fn tanh_forward(@builtin(global_invocation_id) invocation: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>) {
    let count = sizes.batch * sizes.columns;
    for (var i = invocation.x; i < count; i += workgroups.x * WORKGROUP) {
        let example = i / sizes.columns;
        let column = i % sizes.columns;
        let at = example * sizes.stride + column;
        // Some drivers make NaN of large arguments; beyond 15 the float32 result is 1 anyway.
        let value = tanh(clamp(hidden[at], -15.0, 15.0));
        hidden[at] = value;
        transposed[column * sizes.batch_stride + example] = value;
    }
}
