// The sum of one number of each invocation of a workgroup, always in the same order.
// Expects shared/workgroup.wgsl before it.

var<workgroup> partial: array<f32, WORKGROUP>;

// The sum is that of the first invocation; the others get a part of it. All invocations must call it.
fn workgroup_sum(local: u32, value: f32) -> f32 {
    partial[local] = value;
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if local < half {
            partial[local] += partial[local + half];
        }
    }
    return partial[local];
}
