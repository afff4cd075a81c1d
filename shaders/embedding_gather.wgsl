// x = the embeddings of the contexts' tokens, one after the other.
// Expects shared/extent.wgsl before it: rows = B n, columns = d. One invocation an element.

@group(0) @binding(0) var<uniform> extent: Extent;
@group(0) @binding(1) var<storage, read> contexts: array<u32>;      // [B, n]
@group(0) @binding(2) var<storage, read> embedding: array<f32>;     // C, [V, d]
@group(0) @binding(3) var<storage, read_write> input: array<f32>;   // x, [B, n d]

@compute @workgroup_size(WORKGROUP)
fn embedding_gather(
    @builtin(global_invocation_id) invocation: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
) {
    let count = extent.rows * extent.columns;
    for (var i = invocation.x; i < count; i += workgroups.x * WORKGROUP) {
        let token = contexts[i / extent.columns];
        input[i] = embedding[token * extent.columns + i % extent.columns];
    }
}
