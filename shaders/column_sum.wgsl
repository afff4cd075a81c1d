// The sum of each column of a matrix, from the first row to the last: a bias gradient from the gradients of a batch,
// or a matrix product from its parts.
// Expects shared/workgroup.wgsl and shared/extent.wgsl before it. One invocation a column.

@group(0) @binding(0) var<uniform> extent: Extent;
@group(0) @binding(1) var<storage, read> matrix: array<f32>;
@group(0) @binding(2) var<storage, read_write> sums: array<f32>; // [columns], from extent.first on

@compute @workgroup_size(WORKGROUP)
fn column_sum(@builtin(global_invocation_id) invocation: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>) {
    for (var column = invocation.x; column < extent.columns; column += workgroups.x * WORKGROUP) {
        var sum = 0.0;
        for (var row = 0u; row < extent.rows; row++) {
            sum += matrix[row * extent.stride + column];
        }
        if extent.accumulate == 1u {
            sum += sums[extent.first + column];
        }
        sums[extent.first + column] = sum;
    }
}
