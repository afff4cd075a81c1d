// x = the embeddings of the contexts' tokens, one after the other.
// Expects shared/activations.wgsl before it: columns = n d. One invocation a number.

@group(0) @binding(0) var<uniform> sizes: Activations;
@group(0) @binding(1) var<storage, read> contexts: array<u32>;           // [B, n]
@group(0) @binding(2) var<storage, read> embedding: array<f32>;          // C, [V, d]
@group(0) @binding(3) var<storage, read_write> input: array<f32>;        // x, [B, n d]
@group(0) @binding(4) var<storage, read_write> transposed: array<f32>;   // x, [n d, B]

@compute @workgroup_size(WORKGROUP)
fn embedding_gather(
    @builtin(global_invocation_id) invocation: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
) {
    let count = sizes.batch * sizes.columns;
    for (var i = invocation.x; i < count; i += workgroups.x * WORKGROUP) {
        let example = i / sizes.columns;
        let column = i % sizes.columns;
        let token = contexts[i / sizes.embedding];
        let value = embedding[token * sizes.embedding + i % sizes.embedding];
        input[example * sizes.stride + column] = value;
        transposed[column * sizes.batch_stride + example] = value;
    }
}
