// The gradient before tanh from the gradient after it and after dropout, in place: tanh' = 1 - tanh^2.
// Expects shared/random.wgsl, shared/batch.wgsl, shared/workgroup.wgsl, shared/activations.wgsl and shared/dropout.wgsl
// before it: columns = h. One invocation a number.

@group(0) @binding(0) var<uniform> sizes: Activations;
@group(0) @binding(1) var<uniform> dropout: Dropout;
@group(0) @binding(2) var<storage, read> cursor: Cursor;
@group(0) @binding(3) var<storage, read> hidden: array<f32>;         // after tanh and dropout, [rows, h]
@group(0) @binding(4) var<storage, read_write> d_hidden: array<f32>; // [rows, h]

@compute @workgroup_size(WORKGROUP)
fn tanh_backward(@builtin(global_invocation_id) invocation: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>) {
    let count = sizes.rows * sizes.columns;
    for (var i = invocation.x; i < count; i += workgroups.x * WORKGROUP) {
        let example = i / sizes.columns;
        let column = i % sizes.columns;
        let at = example * sizes.stride + column;
        let kept = kept_of(dropout, cursor.current.step, sizes.first + example, sizes.columns, column);
        // A dropped number has the gradient 0, whatever its tanh was.
        let value = hidden[at] / dropout.kept;
        d_hidden[at] *= kept * (1.0 - value * value);
    }
}
