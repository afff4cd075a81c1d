// out = left right, in registers.
// Expects shared/random.wgsl, shared/batch.wgsl, shared/product.wgsl, shared/rate.wgsl, shared/result.wgsl,
// shared/product_alone.wgsl and shared/product_in_registers.wgsl beside it.

@compute @workgroup_size(ACROSS * DOWN)
fn matrix_product(@builtin(workgroup_id) tile: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    bring_rate();
    make_product(tile, local);
}
