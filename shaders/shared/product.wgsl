// What every matrix product has in common: where its matrices lie, its sizes, and the shape of its tiles.
// Expects `product` of its includer. Rows of all matrices begin at multiples of 4 numbers; what fills rows up is zero, in the
// result as well.

// Which of its matrices lie in memory as they stand, and which transposed.
override LAYOUT: u32 = 0u;
const PLAIN = 0u;            // left [rows, inner], right [inner, columns]
const RIGHT_TRANSPOSED = 1u; // left [rows, inner], right [columns, inner]
const LEFT_TRANSPOSED = 2u;  // left [inner, rows], right [inner, columns]

// Whether the rows of a transposed left matrix are summed as well.
override ROW_SUMS: bool = false;

// The shape of a workgroup. Each of its invocations makes a tile of ROWS rows in fours, and QUADS times 4 columns; in slices of 4 rows
// and 4 columns.
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
    parts: u32,      // parts of a product
    products: u32,   // alike, at once: the parts of the next one come after those of one
    left_next: u32,  // from one product's left matrix to the next one's; these two are multiples of 4 as well
    right_next: u32, // the same of the right matrix
    left_first: u32, // where the left matrix begins in its binding; all beginnings are multiples of 4
    bias_first: u32, // where the bias begins
    out_first: u32,  // where the result begins
    sums_first: u32, // where the sums of the rows begin
}

// The k's that a layer of workgroups sums, from the first to the one behind the last; and where its matrices begin, in
// fours.
struct Layer {
    first: u32,
    end: u32,
    left: u32,
    right: u32,
}

fn layer_of(z: u32) -> Layer {
    let which = z / product.parts;
    let first = z % product.parts * product.part;
    return Layer(
        first,
        min(first + product.part, product.inner),
        (product.left_first + which * product.left_next) / 4u,
        which * product.right_next / 4u,
    );
}

// Where four columns of a row of a layer's result are; beyond the last row or column there is that one again. What is loaded from
// there may be half changed by its owner, and is not used.
fn place_of_result(layer: u32, row: u32, column: u32) -> u32 {
    let rows = min(row, product.rows - 1u) * product.out;
    return (product.out_first + layer * product.out_part + rows + min(column, product.columns - 1u)) / 4u;
}

// Those of four numbers that are before the end.
fn within(first: u32, end: u32, numbers: vec4<f32>) -> vec4<f32> {
    return select(vec4<f32>(), numbers, vec4<u32>(first) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(end));
}
