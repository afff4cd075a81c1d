// Which occurrences of tokens in a chunk of the batch are of the same token.
// Expects shared/workgroup.wgsl, shared/activations.wgsl, shared/table.wgsl, shared/links.wgsl and shared/find_links.wgsl before
// it: rows of the activations = examples, columns = n d. One invocation an occurrence.

@group(0) @binding(0) var<uniform> sizes: Activations;
@group(0) @binding(1) var<uniform> table: Table;
@group(0) @binding(2) var<storage, read> contexts: array<vec4<u32>>;  // [B, n], filled up to a multiple of 4
@group(0) @binding(3) var<storage, read_write> links: array<u32>;     // [examples, n], twice where they are sorted

@compute @workgroup_size(WORKGROUP)
fn embedding_links(@builtin(global_invocation_id) invocation: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>) {
    let context = sizes.columns / table.columns;
    let begin = sizes.first * context;
    let end = begin + sizes.rows * context;
    for (var occurrence = begin + invocation.x; occurrence < end; occurrence += workgroups.x * WORKGROUP) {
        link(begin, end, occurrence);
    }
}
