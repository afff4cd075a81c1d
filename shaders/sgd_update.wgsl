// parameters -= rate * gradients, with the rate of the step.
// Expects shared/random.wgsl, shared/batch.wgsl and shared/extent.wgsl before it. One invocation an element.

@group(0) @binding(0) var<uniform> extent: Extent;
@group(0) @binding(1) var<storage, read> gradients: array<f32>;
@group(0) @binding(2) var<storage, read> rates: array<f32>; // by slot
@group(0) @binding(3) var<storage, read> cursor: Cursor;
@group(0) @binding(4) var<storage, read_write> parameters: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn sgd_update(@builtin(global_invocation_id) invocation: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>) {
    let rate = rates[cursor.current.slot];
    let count = extent.rows * extent.columns;
    for (var i = invocation.x; i < count; i += workgroups.x * WORKGROUP) {
        parameters[i] -= rate * gradients[i];
    }
}
