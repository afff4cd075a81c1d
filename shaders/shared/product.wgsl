// What every matrix product has in common: its sizes and bindings, and what becomes of the sums.
// Expects nothing of its includer. Rows of all matrices begin at multiples of 4 numbers; what fills rows up is zero, in the
// result as well.

// Which of its matrices lie in memory as they stand, and which transposed.
override LAYOUT: u32 = 0u;
const PLAIN = 0u;            // left [rows, inner], right [inner, columns]
const RIGHT_TRANSPOSED = 1u; // left [rows, inner], right [columns, inner]
const LEFT_TRANSPOSED = 2u;  // left [inner, rows], right [inner, columns]

// What becomes of the sums: they are written, or added to what is there, or multiplied with the rate and subtracted.
override RESULT: u32 = 0u;
const WRITTEN = 0u;
const ADDED = 1u;
// Whether each column's bias is added to it.
override BIAS: bool = false;
// Whether the rows of a transposed left matrix are summed as well, and become what the result becomes.
override ROW_SUMS: bool = false;

// The shape of a workgroup, and of the tile that each of its invocations makes: ROWS rows in fours, and QUADS times 4
// columns.
override ACROSS: u32 = 8u;
override DOWN: u32 = 8u;

struct Product {
    rows: u32,
    columns: u32,
    inner: u32,
    left: u32,       // from one row of the left matrix to the next, as it lies in memory
    right: u32,      // the same of the right matrix
    out: u32,        // from one row of the result to the next
    part: u32,       // k's that one workgroup sums, a multiple of 4; results of parts lie one after the other
    out_part: u32,   // from one part's result to the next one's
    left_first: u32, // where the left matrix begins in its binding; all beginnings are multiples of 4
    bias_first: u32, // where the bias begins
    out_first: u32,  // where the result begins
    sums_first: u32, // where the sums of the rows begin
}

@group(0) @binding(0) var<uniform> product: Product;
@group(0) @binding(1) var<storage, read> left: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> right: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;      // [columns], if there is one
@group(0) @binding(4) var<storage, read> factors: array<Factors>;     // by slot, for a step
@group(0) @binding(5) var<storage, read> cursor: Cursor;              // for a step
@group(0) @binding(6) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> row_sums: array<vec4<f32>>; // [rows], if they are wanted

// Those of four numbers that are before the end.
fn within(first: u32, end: u32, numbers: vec4<f32>) -> vec4<f32> {
    return select(vec4<f32>(), numbers, vec4<u32>(first) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(end));
}

// Four numbers of the result from what was there and from their sums.
fn result_of(before: vec4<f32>, sums: vec4<f32>) -> vec4<f32> {
    if RESULT == WRITTEN {
        return sums;
    } else if RESULT == ADDED {
        return before + sums;
    }
    return before - factors[cursor.current.slot].rate * sums;
}

// Four columns of a row.
fn store(part: u32, row: u32, column: u32, sums: vec4<f32>) {
    if row >= product.rows || column >= product.columns {
        return;
    }
    var value = within(column, product.columns, sums);
    if BIAS {
        value += within(column, product.columns, bias[(product.bias_first + column) / 4u]);
    }
    let at = (product.out_first + part * product.out_part + row * product.out + column) / 4u;
    if RESULT != WRITTEN {
        value = result_of(out[at], value);
    }
    out[at] = value;
}

// The sums of four rows.
fn store_row_sums(row: u32, sums: vec4<f32>) {
    if row >= product.rows {
        return;
    }
    let at = (product.sums_first + row) / 4u;
    row_sums[at] = result_of(row_sums[at], within(row, product.rows, sums));
}
