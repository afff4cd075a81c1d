// hidden = tanh(hidden) with dropout, in place.
// Expects shared/random.wgsl, shared/batch.wgsl, shared/workgroup.wgsl, shared/activations.wgsl and shared/dropout.wgsl
// before it: columns = h. One invocation a number.

@group(0) @binding(0) var<uniform> sizes: Activations;
@group(0) @binding(1) var<uniform> dropout: Dropout;
@group(0) @binding(2) var<storage, read> cursor: Cursor;
@group(0) @binding(3) var<storage, read_write> hidden: array<f32>; // [rows, h]

@compute @workgroup_size(WORKGROUP)
fn tanh_forward(@builtin(global_invocation_id) invocation: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>) {
    let count = sizes.rows * sizes.columns;
    for (var i = invocation.x; i < count; i += workgroups.x * WORKGROUP) {
        let example = i / sizes.columns;
        let column = i % sizes.columns;
        let at = example * sizes.stride + column;
        let kept = kept_of(dropout, cursor.current.step, sizes.first + example, sizes.columns, column);
        // Some drivers make NaN of large arguments; beyond 15 the float32 result is 1 anyway.
        hidden[at] = kept * tanh(clamp(hidden[at], -15.0, 15.0));
    }
}
