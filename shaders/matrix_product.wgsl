// out = left right, or += of it, or + bias: the tiled matrix product. Strides say how the operands lie in memory, so
// one kernel makes A B^T, A B and A^T B.
// Expects nothing before it. A workgroup of 8 x 8 invocations makes a tile of 64 x 64; an invocation every eighth row
// and column of it, in registers, so that 16 loads serve 64 multiplications and neighbours load what lies together.

struct Product {
    rows: u32,
    columns: u32,
    inner: u32,
    left_row: u32,     // left(row, k) is at row * left_row + k * left_inner
    left_inner: u32,
    right_inner: u32,  // right(k, column) is at k * right_inner + column * right_column
    right_column: u32,
    part: u32,         // k's that one workgroup sums; more than one part go one after the other into out
    bias: u32,         // 1: bias[column] is added
    accumulate: u32,   // 1: what out holds is added
}

@group(0) @binding(0) var<uniform> product: Product;
@group(0) @binding(1) var<storage, read> left: array<f32>;
@group(0) @binding(2) var<storage, read> right: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;          // [columns]; anything if there is none
@group(0) @binding(4) var<storage, read_write> out: array<f32>;     // [parts, rows, columns]

fn left_four(at: vec4<u32>) -> vec4<f32> {
    return vec4<f32>(left[at.x], left[at.y], left[at.z], left[at.w]);
}

fn right_four(at: vec4<u32>) -> vec4<f32> {
    return vec4<f32>(right[at.x], right[at.y], right[at.z], right[at.w]);
}

fn store(part: u32, row: u32, columns: vec4<u32>, sums: vec4<f32>) {
    if row >= product.rows {
        return;
    }
    for (var c = 0u; c < 4u; c++) {
        let column = columns[c];
        if column < product.columns {
            let at = (part * product.rows + row) * product.columns + column;
            var value = sums[c];
            if product.bias == 1u {
                value += bias[column];
            }
            if product.accumulate == 1u {
                value += out[at];
            }
            out[at] = value;
        }
    }
}

@compute @workgroup_size(8, 8)
fn matrix_product(@builtin(workgroup_id) tile: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let four = vec4<u32>(0u, 8u, 16u, 24u);
    let rows_a = tile.y * 64u + local.y + four;
    let rows_b = rows_a + 32u;
    let columns_a = tile.x * 64u + local.x + four;
    let columns_b = columns_a + 32u;

    // Beyond the edge the last row or column is loaded once more, and its sums are not stored.
    let last_row = vec4<u32>(product.rows - 1u);
    let last_column = vec4<u32>(product.columns - 1u);
    let first = tile.z * product.part;
    let end = min(first + product.part, product.inner);
    var left_a = min(rows_a, last_row) * product.left_row + first * product.left_inner;
    var left_b = min(rows_b, last_row) * product.left_row + first * product.left_inner;
    var right_a = min(columns_a, last_column) * product.right_column + first * product.right_inner;
    var right_b = min(columns_b, last_column) * product.right_column + first * product.right_inner;

    var s0a = vec4<f32>(); var s0b = vec4<f32>();
    var s1a = vec4<f32>(); var s1b = vec4<f32>();
    var s2a = vec4<f32>(); var s2b = vec4<f32>();
    var s3a = vec4<f32>(); var s3b = vec4<f32>();
    var s4a = vec4<f32>(); var s4b = vec4<f32>();
    var s5a = vec4<f32>(); var s5b = vec4<f32>();
    var s6a = vec4<f32>(); var s6b = vec4<f32>();
    var s7a = vec4<f32>(); var s7b = vec4<f32>();
    for (var k = first; k < end; k++) {
        let la = left_four(left_a);
        let lb = left_four(left_b);
        let ra = right_four(right_a);
        let rb = right_four(right_b);
        s0a += la.x * ra; s0b += la.x * rb;
        s1a += la.y * ra; s1b += la.y * rb;
        s2a += la.z * ra; s2b += la.z * rb;
        s3a += la.w * ra; s3b += la.w * rb;
        s4a += lb.x * ra; s4b += lb.x * rb;
        s5a += lb.y * ra; s5b += lb.y * rb;
        s6a += lb.z * ra; s6b += lb.z * rb;
        s7a += lb.w * ra; s7b += lb.w * rb;
        left_a += product.left_inner;
        left_b += product.left_inner;
        right_a += product.right_inner;
        right_b += product.right_inner;
    }
    store(tile.z, rows_a.x, columns_a, s0a); store(tile.z, rows_a.x, columns_b, s0b);
    store(tile.z, rows_a.y, columns_a, s1a); store(tile.z, rows_a.y, columns_b, s1b);
    store(tile.z, rows_a.z, columns_a, s2a); store(tile.z, rows_a.z, columns_b, s2b);
    store(tile.z, rows_a.w, columns_a, s3a); store(tile.z, rows_a.w, columns_b, s3b);
    store(tile.z, rows_b.x, columns_a, s4a); store(tile.z, rows_b.x, columns_b, s4b);
    store(tile.z, rows_b.y, columns_a, s5a); store(tile.z, rows_b.y, columns_b, s5b);
    store(tile.z, rows_b.z, columns_a, s6a); store(tile.z, rows_b.z, columns_b, s6b);
    store(tile.z, rows_b.w, columns_a, s7a); store(tile.z, rows_b.w, columns_b, s7b);
}
