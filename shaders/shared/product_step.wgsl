// What becomes of a product that is a gradient: a plain step of the parameters, and of the bias with the sums of the rows.
// Expects shared/random.wgsl, shared/batch.wgsl, shared/product.wgsl and shared/rate.wgsl before it, and of its includer `product`
// and `out`, which holds both, and that it begins with bring_rate.

fn before(layer: u32, row: u32, column: u32) -> vec4<f32> {
    return out[place_of_result(layer, row, column)];
}

fn store(layer: u32, row: u32, column: u32, before: vec4<f32>, sums: vec4<f32>) {
    if row < product.rows && column < product.columns {
        out[place_of_result(layer, row, column)] = before - rate * within(column, product.columns, sums);
    }
}

fn store_row_sums(row: u32, sums: vec4<f32>) {
    if row < product.rows {
        out[(product.sums_first + row) / 4u] -= rate * within(row, product.rows, sums);
    }
}
