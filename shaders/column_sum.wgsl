// The sum of each column of a matrix, from the first row to the last: a matrix product from its parts; and what becomes of it.
// Expects shared/random.wgsl, shared/batch.wgsl, shared/rate.wgsl, shared/result.wgsl, shared/workgroup.wgsl and
// shared/extent.wgsl before it. One invocation four columns: rows, their beginnings and that of the result are multiples of
// 4 numbers.

@group(0) @binding(0) var<uniform> extent: Extent;
@group(0) @binding(1) var<storage, read> matrix: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> factors: array<Factors>;      // by slot, for a step
@group(0) @binding(3) var<storage, read> cursor: Cursor;               // for a step
@group(0) @binding(4) var<storage, read_write> sums: array<vec4<f32>>; // [columns], from extent.first on

@compute @workgroup_size(WORKGROUP)
fn column_sum(@builtin(global_invocation_id) invocation: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>) {
    bring_rate();
    let fours = (extent.columns + 3u) / 4u;
    for (var four = invocation.x; four < fours; four += workgroups.x * WORKGROUP) {
        var sum = vec4<f32>();
        for (var row = 0u; row < extent.rows; row++) {
            sum += matrix[row * (extent.stride / 4u) + four];
        }
        let at = extent.first / 4u + four;
        sums[at] = result_of(sums[at], sum);
    }
}
