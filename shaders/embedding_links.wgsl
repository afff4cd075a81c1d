// Which occurrences of tokens in a chunk of the batch are of the same token: each knows the next one, and whether it is the
// first. All are counted from the chunk's first one.
// Expects shared/workgroup.wgsl, shared/activations.wgsl, shared/table.wgsl and shared/links.wgsl before it: rows of the
// activations = examples, columns = n d. One invocation an occurrence. What it reads grows with the square of the occurrences, but
// a token that is frequent is soon found again.

@group(0) @binding(0) var<uniform> sizes: Activations;
@group(0) @binding(1) var<uniform> table: Table;
@group(0) @binding(2) var<storage, read> contexts: array<vec4<u32>>;  // [B, n], filled up to a multiple of 4
@group(0) @binding(3) var<storage, read_write> links: array<u32>;     // [examples, n]

@compute @workgroup_size(WORKGROUP)
fn embedding_links(@builtin(global_invocation_id) invocation: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>) {
    let context = sizes.columns / table.columns;
    let begin = sizes.first * context;
    let end = begin + sizes.rows * context;
    for (var occurrence = begin + invocation.x; occurrence < end; occurrence += workgroups.x * WORKGROUP) {
        let own = occurrence / 4u;
        let token = contexts[own][occurrence % 4u];
        var first = true;
        for (var four = begin / 4u; four <= own && first; four++) {
            let places = vec4<u32>(four * 4u) + vec4<u32>(0u, 1u, 2u, 3u);
            let earlier = (places >= vec4<u32>(begin)) & (places < vec4<u32>(occurrence));
            first = !any((contexts[four] == vec4<u32>(token)) & earlier);
        }
        var next = NO_MORE;
        for (var four = own; four < (end + 3u) / 4u && next == NO_MORE; four++) {
            let places = vec4<u32>(four * 4u) + vec4<u32>(0u, 1u, 2u, 3u);
            let later = (places > vec4<u32>(occurrence)) & (places < vec4<u32>(end));
            let found = select(vec4<u32>(NO_MORE), places - vec4<u32>(begin), (contexts[four] == vec4<u32>(token)) & later);
            next = min(min(found.x, found.y), min(found.z, found.w));
        }
        links[occurrence - begin] = select(next | NOT_FIRST, next, first);
    }
}
