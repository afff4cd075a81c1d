// A plain step of the hidden weights and their bias, by a product; beside it, in workgroups of their own, that of the embedding.
// Expects shared/random.wgsl, shared/batch.wgsl, shared/product.wgsl, one of the three ways to make it, shared/rate.wgsl,
// shared/product_step.wgsl, shared/joined.wgsl, shared/activations.wgsl, shared/table.wgsl, shared/dropout.wgsl, shared/links.wgsl
// and shared/scatter.wgsl beside it.

@group(0) @binding(0) var<uniform> product: Product;
@group(0) @binding(1) var<uniform> joined: Joined;
@group(0) @binding(2) var<uniform> sizes: Activations;
@group(0) @binding(3) var<uniform> table: Table;
@group(0) @binding(4) var<uniform> dropout: Dropout;
@group(0) @binding(5) var<storage, read> left: array<vec4<f32>>;       // gradients of the hidden units, [B, h], and of x, [B, n d]
@group(0) @binding(6) var<storage, read> right: array<vec4<f32>>;      // x, [B, n d]
@group(0) @binding(7) var<storage, read> factors: array<Factors>;      // by slot
@group(0) @binding(8) var<storage, read> cursor: Cursor;
@group(0) @binding(9) var<storage, read_write> out: array<vec4<f32>>;  // H and its bias
@group(0) @binding(10) var<storage, read_write> embedding: array<f32>; // C
@group(0) @binding(11) var<storage, read> contexts: array<u32>;        // [B, n]
@group(0) @binding(12) var<storage, read> links: array<u32>;           // [B, n], twice where they are sorted

var<workgroup> shares: array<vec4<f32>, SHARES>;

fn d_input_at(place: u32) -> f32 {
    let at = joined.d_input + place;
    return left[at / 4u][at % 4u];
}

@compute @workgroup_size(ACROSS * DOWN)
fn input_step(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    bring_rate();
    if makes_product(workgroup, joined) {
        make_product(tile_of(workgroup, joined), local);
        return;
    }
    let others = others_of(workgroup, workgroups, joined);
    let invocations = others.count * (ACROSS * DOWN);
    for (var first = others.index * (ACROSS * DOWN); first < invocations_of_occurrences(); first += invocations) {
        scatter(first + local, local);
    }
}
