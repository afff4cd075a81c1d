// A plain step of the output weights and their bias, by a product; beside it, in workgroups of their own, the gradient of the
// hidden units from its parts, before tanh, and that of the input: column_sum, tanh_backward and a product. Everything comes out as of
// those, to the bit.
// Expects shared/random.wgsl, shared/batch.wgsl, shared/product.wgsl, one of the three ways to make it, shared/rate.wgsl,
// shared/product_step.wgsl, shared/joined.wgsl, shared/dropout.wgsl, shared/back_to_input.wgsl and shared/back_to_input_wide.wgsl
// beside it.

@group(0) @binding(0) var<uniform> product: Product;
@group(0) @binding(1) var<uniform> joined: Joined;
@group(0) @binding(2) var<uniform> dropout: Dropout;
@group(0) @binding(3) var<storage, read> left: array<vec4<f32>>;                 // gradient of the logits, [B, V]
@group(0) @binding(4) var<storage, read> right: array<vec4<f32>>;                // hidden, after tanh and dropout, [B, h]
@group(0) @binding(5) var<storage, read> factors: array<Factors>;                // by slot
@group(0) @binding(6) var<storage, read> cursor: Cursor;
@group(0) @binding(7) var<storage, read_write> out: array<vec4<f32>>;            // U and its bias
@group(0) @binding(8) var<storage, read> parts: array<vec4<f32>>;                // of [B, h], then of [B, n d]
@group(0) @binding(9) var<storage, read_write> d_activations: array<vec4<f32>>;  // [B, h], then [B, n d]
// H, [h, n d]. It is only read, but may lie in the buffer that `out` is of, and then both must be bound alike.
@group(0) @binding(10) var<storage, read_write> hidden_weight: array<vec4<f32>>;

var<workgroup> held: array<f32, ALL_HELD>;

@compute @workgroup_size(ACROSS * DOWN)
fn output_step(
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
    if WIDE {
        for (var first = others.index * AT_ONCE; first < joined.batch; first += others.count * AT_ONCE) {
            back_to_input_wide(first, local);
        }
        return;
    }
    for (var first = others.index * TOGETHER; first < joined.batch; first += others.count * TOGETHER) {
        back_to_input(first, local);
    }
}
