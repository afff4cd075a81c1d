// What becomes of a product that is a gradient: a plain step of the parameters, and of the bias with the sums of the rows.
// Expects shared/random.wgsl, shared/batch.wgsl and shared/product.wgsl before it, and of its includer `product`, `factors`,
// `cursor` and `out`, which holds both.

fn take_step(at: u32, gradient: vec4<f32>) {
    out[at] -= factors[cursor.current.slot].rate * gradient;
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
