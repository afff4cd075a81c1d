// hidden = tanh(hidden), in place.
// Expects shared/extent.wgsl before it. One invocation an element.

@group(0) @binding(0) var<uniform> extent: Extent;
@group(0) @binding(1) var<storage, read_write> hidden: array<f32>; // [B, h]

@compute @workgroup_size(WORKGROUP)
fn tanh_forward(@builtin(global_invocation_id) invocation: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>) {
    let count = extent.rows * extent.columns;
    for (var i = invocation.x; i < count; i += workgroups.x * WORKGROUP) {
        // Some drivers make NaN of large arguments; beyond 15 the float32 result is 1 anyway.
        hidden[i] = tanh(clamp(hidden[i], -15.0, 15.0));
    }
}
