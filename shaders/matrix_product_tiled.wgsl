// out = left right, from tiles in the workgroup's memory.
// Expects shared/random.wgsl, shared/batch.wgsl, shared/product.wgsl, shared/rate.wgsl, shared/result.wgsl,
// shared/product_alone.wgsl and shared/product_in_tiles.wgsl beside it.

@compute @workgroup_size(ACROSS * DOWN)
fn matrix_product_tiled(@builtin(workgroup_id) tile: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    bring_rate();
    make_product(tile, local);
}
