// The gradient before tanh from the gradient after it and after dropout, in place: tanh' = 1 - tanh^2.
// Expects shared/random.wgsl, shared/batch.wgsl, shared/workgroup.wgsl, shared/activations.wgsl and shared/dropout.wgsl
// before it: columns = h. One invocation four numbers.

@group(0) @binding(0) var<uniform> sizes: Activations;
@group(0) @binding(1) var<uniform> dropout: Dropout;
@group(0) @binding(2) var<storage, read> cursor: Cursor;
@group(0) @binding(3) var<storage, read> hidden: array<vec4<f32>>;         // after tanh and dropout, [rows, h]
@group(0) @binding(4) var<storage, read_write> d_hidden: array<vec4<f32>>; // [rows, h]

@compute @workgroup_size(WORKGROUP)
fn tanh_backward(@builtin(global_invocation_id) invocation: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>) {
    let fours = sizes.stride / 4u;
    for (var i = invocation.x; i < sizes.rows * fours; i += workgroups.x * WORKGROUP) {
        let lane = sizes.first + i / fours;
        let kept = kept_of_four(dropout, cursor.current.step, lane, sizes.columns, i % fours * 4u);
        // A dropped number has the gradient 0, whatever its tanh was.
        let value = hidden[i] / dropout.kept;
        d_hidden[i] *= kept * (vec4<f32>(1.0) - value * value);
    }
}
