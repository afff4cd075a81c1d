// What becomes of a product that is a gradient: a plain step of the parameters, and of the bias with the sums of the rows.
// Expects shared/random.wgsl, shared/batch.wgsl, shared/product.wgsl and shared/rate.wgsl before it, and of its includer `product`
// and `out`, which holds both, and that it begins with bring_rate.

fn take_step(at: u32, gradient: vec4<f32>) {
    out[at] -= rate * gradient;
}

fn store(part: u32, row: u32, column: u32, sums: vec4<f32>) {
    if row < product.rows && column < product.columns {
        take_step((product.out_first + row * product.out + column) / 4u, within(column, product.columns, sums));
    }
}

fn store_row_sums(row: u32, sums: vec4<f32>) {
    if row < product.rows {
        take_step((product.sums_first + row) / 4u, within(row, product.rows, sums));
    }
}
