// The bindings of a product that has a dispatch of its own, and what becomes of its sums.
// Expects shared/random.wgsl, shared/batch.wgsl, shared/product.wgsl, shared/rate.wgsl and shared/result.wgsl before it, and
// of its includer that it begins with bring_rate.

// Whether each column's bias is added to it.
override BIAS: bool = false;

@group(0) @binding(0) var<uniform> product: Product;
@group(0) @binding(1) var<storage, read> left: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> right: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;      // [columns], if there is one
@group(0) @binding(4) var<storage, read> factors: array<Factors>;     // by slot, for a step
@group(0) @binding(5) var<storage, read> cursor: Cursor;              // for a step
@group(0) @binding(6) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> row_sums: array<vec4<f32>>; // [rows], if they are wanted

// What is there before, where that counts.
fn before(layer: u32, row: u32, column: u32) -> vec4<f32> {
    if RESULT == WRITTEN {
        return vec4<f32>();
    }
    return out[place_of_result(layer, row, column)];
}

// Four columns of a row.
fn store(layer: u32, row: u32, column: u32, before: vec4<f32>, sums: vec4<f32>) {
    if row >= product.rows || column >= product.columns {
        return;
    }
    var value = within(column, product.columns, sums);
    if BIAS {
        value += within(column, product.columns, bias[(product.bias_first + column) / 4u]);
    }
    out[place_of_result(layer, row, column)] = result_of(before, value);
}

// The sums of four rows.
fn store_row_sums(row: u32, sums: vec4<f32>) {
    if row >= product.rows {
        return;
    }
    let at = (product.sums_first + row) / 4u;
    row_sums[at] = result_of(row_sums[at], within(row, product.rows, sums));
}
