// The gradient before tanh from the gradient after it, in place: tanh' = 1 - tanh^2.
// Expects shared/extent.wgsl before it. One invocation an element.

@group(0) @binding(0) var<uniform> extent: Extent;
@group(0) @binding(1) var<storage, read> hidden: array<f32>;         // after tanh, [B, h]
@group(0) @binding(2) var<storage, read_write> d_hidden: array<f32>; // [B, h]

@compute @workgroup_size(WORKGROUP)
fn tanh_backward(@builtin(global_invocation_id) invocation: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>) {
    let count = extent.rows * extent.columns;
    for (var i = invocation.x; i < count; i += workgroups.x * WORKGROUP) {
        d_hidden[i] *= 1.0 - hidden[i] * hidden[i];
    }
}
