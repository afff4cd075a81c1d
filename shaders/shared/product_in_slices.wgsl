// out = left right where the result is small: SLICES invocations share the k's of a tile of 4 rows by 4 columns,
// one slice each, so that a GPU has asked for all numbers after a few rounds. Their sums meet in the workgroup's memory, where they are
// added up in the order of k. Only for a left matrix that lies transposed, and one layer.
// Expects what shared/product_in_registers.wgsl expects. Some lines are repeated as there: those with {k} and {r} for 8 k's.

const SLICES = 16u;

// Fours of rows of a workgroup's tile; it has ACROSS fours of columns.
override ROW_FOURS: u32 = DOWN / SLICES;
// Fours of numbers of the tile, and those of all slices; the same of its rows' sums.
override TILE_FOURS: u32 = 4u * ROW_FOURS * ACROSS;
override SLICED_FOURS: u32 = SLICES * TILE_FOURS;
override SLICED_ROW_FOURS: u32 = SLICES * ROW_FOURS;

var<workgroup> slice_sums: array<vec4<f32>, SLICED_FOURS>;
var<workgroup> slice_row_sums: array<vec4<f32>, SLICED_ROW_FOURS>;

fn make_product(tile: vec3<u32>, local: u32) {
    let across = local % ACROSS;
    let down = local / ACROSS % ROW_FOURS;
    let slice = local / (ACROSS * ROW_FOURS);
    let length = (product.inner + SLICES - 1u) / SLICES;
    let first = slice * length;
    let end = min(first + length, product.inner);
    // Beyond the edge the last row, column or k is loaded once more; sums are not stored, or what they meet is zero.
    let row = (tile.y * ROW_FOURS + down) * 4u;
    let column = (tile.x * ACROSS + across) * 4u;
    let last_inner = product.inner - 1u;
    let left_place = product.left_first / 4u + min(row, product.rows - 1u) / 4u;
    let left_stride = product.left / 4u;
    let right_place = min(column, product.columns - 1u) / 4u;
    let right_stride = product.right / 4u;
    var sum{k} = vec4<f32>();
    var row_sum = vec4<f32>();
    for (var k = first; k < end; k += {rows}u) {
        let loaded{r} = left[left_place + min(k + {r}u, last_inner) * left_stride];
        let y{r} = right[right_place + min(k + {r}u, last_inner) * right_stride];
        let x{r} = select(vec4<f32>(), loaded{r}, k + {r}u < end);
        // repeat {r}
        sum{k} += x{r}.{k.} * y{r};
        // end
        if ROW_SUMS && tile.x == 0u {
            row_sum += x{r};
        }
    }
    let place = slice * TILE_FOURS + down * ACROSS + across;
    slice_sums[place + {k}u * ROW_FOURS * ACROSS] = sum{k};
    if across == 0u {
        slice_row_sums[slice * ROW_FOURS + down] = row_sum;
    }
    workgroupBarrier();
    // From here on an invocation has four numbers of the tile, whose sums it adds up, or four sums of rows.
    if local < TILE_FOURS {
        var sum = vec4<f32>();
        for (var other = 0u; other < SLICES; other++) {
            sum += slice_sums[other * TILE_FOURS + local];
        }
        let its_row = (tile.y * ROW_FOURS + local / ACROSS % ROW_FOURS) * 4u + local / (ACROSS * ROW_FOURS);
        store(tile.z, its_row, column, before(tile.z, its_row, column), sum);
    } else if ROW_SUMS && tile.x == 0u && local < TILE_FOURS + ROW_FOURS {
        var sum = vec4<f32>();
        for (var other = 0u; other < SLICES; other++) {
            sum += slice_row_sums[other * ROW_FOURS + local - TILE_FOURS];
        }
        store_row_sums((tile.y * ROW_FOURS + local - TILE_FOURS) * 4u, sum);
    }
}
