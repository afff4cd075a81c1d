// The gradient of the embedding from the input's, or a plain step with it.
// Expects shared/workgroup.wgsl, shared/rate.wgsl and shared/scatter.wgsl beside it, and what these expect. SPREAD invocations four
// numbers of an occurrence.

@group(0) @binding(0) var<uniform> sizes: Activations;
@group(0) @binding(1) var<uniform> table: Table;
@group(0) @binding(2) var<uniform> dropout: Dropout;
@group(0) @binding(3) var<storage, read> contexts: array<u32>;        // [B, n]
@group(0) @binding(4) var<storage, read> links: array<u32>;           // [examples, n], twice where they are sorted
@group(0) @binding(5) var<storage, read> d_input: array<f32>;         // after dropout, [B, n d]
@group(0) @binding(6) var<storage, read> factors: array<Factors>;     // by slot
@group(0) @binding(7) var<storage, read> cursor: Cursor;
@group(0) @binding(8) var<storage, read_write> embedding: array<f32>; // some rows of C or of its gradient

var<workgroup> shares: array<vec4<f32>, SHARES>;

fn d_input_at(place: u32) -> f32 {
    return d_input[place];
}

@compute @workgroup_size(WORKGROUP)
fn embedding_scatter(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    bring_rate();
    let invocations = workgroups.x * WORKGROUP;
    for (var first = workgroup.x * WORKGROUP; first < invocations_of_occurrences(); first += invocations) {
        scatter(first + local, local);
    }
}
