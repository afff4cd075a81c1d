// A copy of an array that adds 1 to each of its numbers, so that what was copied how often can be seen: how fast memory moves.
// Expects shared/workgroup.wgsl before it. A workgroup copies a run of fours.

// Fours of an invocation.
override RUN: u32 = 1u;

@group(0) @binding(0) var<storage, read> original: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> copy: array<vec4<f32>>; // of the same length

@compute @workgroup_size(WORKGROUP)
fn peak_memory(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let count = arrayLength(&original);
    for (var four = 0u; four < RUN; four++) {
        let i = (workgroup.x * RUN + four) * WORKGROUP + local;
        if i < count {
            copy[i] = original[i] + vec4<f32>(1.0);
        }
    }
}
