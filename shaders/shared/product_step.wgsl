// What becomes of a product that is a gradient: a plain step of the parameters, and of the bias with the sums of the rows.
// Expects shared/random.wgsl, shared/batch.wgsl and shared/product.wgsl before it, and of its includer `product`, `factors`,
// `cursor` and `out`, which holds both.

fn stepped(old: vec4<f32>, gradient: vec4<f32>) -> vec4<f32> {
    return old - factors[cursor.current.slot].rate * gradient;
}

fn stored(part: u32, row: u32, column: u32) -> vec4<f32> {
    if row >= product.rows || column >= product.columns {
        return vec4<f32>();
    }
    return out[(product.out_first + row * product.out + column) / 4u];
}

fn store(part: u32, row: u32, column: u32, sums: vec4<f32>, old: vec4<f32>) {
    if row < product.rows && column < product.columns {
        out[(product.out_first + row * product.out + column) / 4u] = stepped(old, within(column, product.columns, sums));
    }
}

fn store_row_sums(row: u32, sums: vec4<f32>) {
    if row < product.rows {
        let at = (product.sums_first + row) / 4u;
        out[at] = stepped(out[at], within(row, product.rows, sums));
    }
}
