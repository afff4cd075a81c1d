// Sums of squares of a row of numbers, one for each workgroup, always in the same order.
// Expects shared/workgroup.wgsl and shared/extent.wgsl before it. One invocation some numbers.

@group(0) @binding(0) var<uniform> extent: Extent;
@group(0) @binding(1) var<storage, read> numbers: array<f32>;    // [columns]
@group(0) @binding(2) var<storage, read_write> sums: array<f32>; // [workgroups], from extent.first on

var<workgroup> partial: array<f32, WORKGROUP>;

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
    partial[local] = sum;
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if local < half {
            partial[local] += partial[local + half];
        }
    }
    if local == 0u {
        sums[extent.first + workgroup.x] = partial[0];
    }
}
