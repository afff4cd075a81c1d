// Sums of squares of a row of numbers, one for each workgroup, always in the same order.
// Expects shared/workgroup.wgsl, shared/workgroup_sum.wgsl and shared/extent.wgsl before it. One invocation some numbers.

@group(0) @binding(0) var<uniform> extent: Extent;
@group(0) @binding(1) var<storage, read> numbers: array<f32>;    // [columns]
@group(0) @binding(2) var<storage, read_write> sums: array<f32>; // [workgroups], from extent.first on

@compute @workgroup_size(WORKGROUP)
fn square_sum(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    var sum = 0.0;
    for (var i = workgroup.x * WORKGROUP + local; i < extent.columns; i += workgroups.x * WORKGROUP) {
        sum += numbers[i] * numbers[i];
    }
    let squares = workgroup_sum(local, sum);
    if local == 0u {
        sums[extent.first + workgroup.x] = squares;
    }
}
