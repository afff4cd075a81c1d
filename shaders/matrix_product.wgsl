// out = left right, or += of it, or + bias: the tiled matrix product, in registers.
// Expects nothing before it.
//
// An invocation makes 8 rows of twice 4 columns in registers: 4 loads of four numbers serve 64 multiplications.
// Invocations side by side have columns side by side; ACROSS of them times DOWN make a workgroup. Rows of the left and
// the right matrix begin at multiples of 4 numbers, and what fills them up is zero.

override ACROSS: u32 = 16u;
override DOWN: u32 = 4u;
// Whether the left matrix lies in memory as [inner, rows] and not as [rows, inner].
override LEFT_TRANSPOSED: bool = false;

struct Product {
    rows: u32,
    columns: u32,
    inner: u32,
    left: u32,         // from one row of the left matrix to the next, as it lies in memory
    right: u32,        // the same of the right matrix, [inner, columns]
    out_row: u32,      // out(row, column) is at row * out_row + column * out_column
    out_column: u32,
    part: u32,         // k's that one workgroup sums, a multiple of 4; results of parts lie one after the other
    out_part: u32,     // from one part's result to the next one's
    bias: u32,         // 1: bias[row] is added
    accumulate: u32,   // 1: what out holds is added
    left_first: u32,   // where the left matrix begins in its binding, a multiple of 4
    bias_first: u32,   // where the bias begins
    out_first: u32,    // where the result begins
}

@group(0) @binding(0) var<uniform> product: Product;
@group(0) @binding(1) var<storage, read> left: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> right: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;       // [rows]; anything if there is none
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

fn store(part: u32, row: u32, first_column: u32, sums: vec4<f32>) {
    if row >= product.rows {
        return;
    }
    for (var c = 0u; c < 4u; c++) {
        let column = first_column + c;
        if column < product.columns {
            let at = product.out_first + part * product.out_part + row * product.out_row + column * product.out_column;
            var value = sums[c];
            if product.bias == 1u {
                value += bias[product.bias_first + row];
            }
            if product.accumulate == 1u {
                value += out[at];
            }
            out[at] = value;
        }
    }
}

@compute @workgroup_size(ACROSS, DOWN)
fn matrix_product(@builtin(workgroup_id) tile: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let row = (tile.y * DOWN + local.y) * 8u;
    let column_a = (tile.x * ACROSS * 2u + local.x) * 4u;
    let column_b = column_a + ACROSS * 4u;
    let first = tile.z * product.part;
    let end = min(first + product.part, product.inner);

    // Beyond the edge the last row or column is loaded once more, and its sums are not stored.
    let last_row = product.rows - 1u;
    let last_inner = product.inner - 1u;
    let last_column = product.columns - 1u;
    let left_stride = product.left / 4u;
    let right_stride = product.right / 4u;
    let left_first = product.left_first / 4u;
    let at_a = min(column_a, last_column) / 4u;
    let at_b = min(column_b, last_column) / 4u;

    var s0a = vec4<f32>();
    var s0b = vec4<f32>();
    var s1a = vec4<f32>();
    var s1b = vec4<f32>();
    var s2a = vec4<f32>();
    var s2b = vec4<f32>();
    var s3a = vec4<f32>();
    var s3b = vec4<f32>();
    var s4a = vec4<f32>();
    var s4b = vec4<f32>();
    var s5a = vec4<f32>();
    var s5b = vec4<f32>();
    var s6a = vec4<f32>();
    var s6b = vec4<f32>();
    var s7a = vec4<f32>();
    var s7b = vec4<f32>();
    if LEFT_TRANSPOSED {
        let at_low = min(row, last_row) / 4u;
        let at_high = min(row + 4u, last_row) / 4u;
        for (var k = first; k < end; k++) {
            let l = left_first + k * left_stride;
            let r = k * right_stride;
            let low = left[l + at_low];
            let high = left[l + at_high];
            let a = right[r + at_a];
            let b = right[r + at_b];
            s0a += low.x * a;
            s0b += low.x * b;
            s1a += low.y * a;
            s1b += low.y * b;
            s2a += low.z * a;
            s2b += low.z * b;
            s3a += low.w * a;
            s3b += low.w * b;
            s4a += high.x * a;
            s4b += high.x * b;
            s5a += high.y * a;
            s5b += high.y * b;
            s6a += high.z * a;
            s6b += high.z * b;
            s7a += high.w * a;
            s7b += high.w * b;
        }
    } else {
        let l0 = left_first + min(row, last_row) * left_stride;
        let l1 = left_first + min(row + 1u, last_row) * left_stride;
        let l2 = left_first + min(row + 2u, last_row) * left_stride;
        let l3 = left_first + min(row + 3u, last_row) * left_stride;
        let l4 = left_first + min(row + 4u, last_row) * left_stride;
        let l5 = left_first + min(row + 5u, last_row) * left_stride;
        let l6 = left_first + min(row + 6u, last_row) * left_stride;
        let l7 = left_first + min(row + 7u, last_row) * left_stride;
        for (var k = first; k < end; k += 4u) {
            let l = k / 4u;
            let x0 = left[l0 + l];
            let x1 = left[l1 + l];
            let x2 = left[l2 + l];
            let x3 = left[l3 + l];
            let x4 = left[l4 + l];
            let x5 = left[l5 + l];
            let x6 = left[l6 + l];
            let x7 = left[l7 + l];
            // Past the last k the left numbers are zero; the right ones only have to be within their matrix.
            var r = k * right_stride;
            var a = right[r + at_a];
            var b = right[r + at_b];
            s0a += x0.x * a;
            s0b += x0.x * b;
            s1a += x1.x * a;
            s1b += x1.x * b;
            s2a += x2.x * a;
            s2b += x2.x * b;
            s3a += x3.x * a;
            s3b += x3.x * b;
            s4a += x4.x * a;
            s4b += x4.x * b;
            s5a += x5.x * a;
            s5b += x5.x * b;
            s6a += x6.x * a;
            s6b += x6.x * b;
            s7a += x7.x * a;
            s7b += x7.x * b;
            r = min(k + 1u, last_inner) * right_stride;
            a = right[r + at_a];
            b = right[r + at_b];
            s0a += x0.y * a;
            s0b += x0.y * b;
            s1a += x1.y * a;
            s1b += x1.y * b;
            s2a += x2.y * a;
            s2b += x2.y * b;
            s3a += x3.y * a;
            s3b += x3.y * b;
            s4a += x4.y * a;
            s4b += x4.y * b;
            s5a += x5.y * a;
            s5b += x5.y * b;
            s6a += x6.y * a;
            s6b += x6.y * b;
            s7a += x7.y * a;
            s7b += x7.y * b;
            r = min(k + 2u, last_inner) * right_stride;
            a = right[r + at_a];
            b = right[r + at_b];
            s0a += x0.z * a;
            s0b += x0.z * b;
            s1a += x1.z * a;
            s1b += x1.z * b;
            s2a += x2.z * a;
            s2b += x2.z * b;
            s3a += x3.z * a;
            s3b += x3.z * b;
            s4a += x4.z * a;
            s4b += x4.z * b;
            s5a += x5.z * a;
            s5b += x5.z * b;
            s6a += x6.z * a;
            s6b += x6.z * b;
            s7a += x7.z * a;
            s7b += x7.z * b;
            r = min(k + 3u, last_inner) * right_stride;
            a = right[r + at_a];
            b = right[r + at_b];
            s0a += x0.w * a;
            s0b += x0.w * b;
            s1a += x1.w * a;
            s1b += x1.w * b;
            s2a += x2.w * a;
            s2b += x2.w * b;
            s3a += x3.w * a;
            s3b += x3.w * b;
            s4a += x4.w * a;
            s4b += x4.w * b;
            s5a += x5.w * a;
            s5b += x5.w * b;
            s6a += x6.w * a;
            s6b += x6.w * b;
            s7a += x7.w * a;
            s7b += x7.w * b;
        }
    }
    store(tile.z, row, column_a, s0a);
    store(tile.z, row, column_b, s0b);
    store(tile.z, row + 1u, column_a, s1a);
    store(tile.z, row + 1u, column_b, s1b);
    store(tile.z, row + 2u, column_a, s2a);
    store(tile.z, row + 2u, column_b, s2b);
    store(tile.z, row + 3u, column_a, s3a);
    store(tile.z, row + 3u, column_b, s3b);
    store(tile.z, row + 4u, column_a, s4a);
    store(tile.z, row + 4u, column_b, s4b);
    store(tile.z, row + 5u, column_a, s5a);
    store(tile.z, row + 5u, column_b, s5b);
    store(tile.z, row + 6u, column_a, s6a);
    store(tile.z, row + 6u, column_b, s6b);
    store(tile.z, row + 7u, column_a, s7a);
    store(tile.z, row + 7u, column_b, s7b);
}
