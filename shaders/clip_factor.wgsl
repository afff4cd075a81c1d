// What the gradient is multiplied with so that its norm is at most so much, from the sums of its squares.
// Expects shared/workgroup.wgsl and shared/workgroup_sum.wgsl before it. One workgroup.

struct Clip {
    count: u32,
    norm: f32, // at most
}

@group(0) @binding(0) var<uniform> clip: Clip;
@group(0) @binding(1) var<storage, read> sums: array<f32>;          // [count]
@group(0) @binding(2) var<storage, read_write> factor: array<f32>;  // [1]

@compute @workgroup_size(WORKGROUP)
fn clip_factor(@builtin(local_invocation_index) local: u32) {
    var sum = 0.0;
    for (var i = local; i < clip.count; i += WORKGROUP) {
        sum += sums[i];
    }
    let squares = workgroup_sum(local, sum);
    if local == 0u {
        let norm = sqrt(squares);
        factor[0] = select(1.0, clip.norm / norm, norm > clip.norm);
    }
}
