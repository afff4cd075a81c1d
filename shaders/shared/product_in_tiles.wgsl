// out = left right, tile by tile: a workgroup brings DEPTH k's of its rows and columns into its own memory, where its
// invocations read them many times.
// Expects what shared/product_in_registers.wgsl expects. Some lines are repeated as there.

// k's in the workgroup's memory, a multiple of 4.
override DEPTH: u32 = 16u;
// Rows and columns of a workgroup, in fours.
override ROW_FOURS: u32 = 16u;
override COLUMN_FOURS: u32 = 16u;

// Four rows of a k beside each other, ROW_FOURS times, for each k; and the same of columns.
var<workgroup> left_slab: array<vec4<f32>, DEPTH * ROW_FOURS>;
var<workgroup> right_slab: array<vec4<f32>, DEPTH * COLUMN_FOURS>;

fn make_product(tile: vec3<u32>, local: u32) {
    let across = local % ACROSS;
    let down = local / ACROSS;
    let first = tile.z * product.part;
    let end = min(first + product.part, product.inner);
    // Beyond the edge the last row, column or k is loaded once more; sums are not stored, or what they meet is zero.
    let last_row = product.rows - 1u;
    let last_column = product.columns - 1u;
    let last_inner = product.inner - 1u;
    let left_first = product.left_first / 4u;
    let left_stride = product.left / 4u;
    let right_stride = product.right / 4u;
    let row{g} = ((tile.y * {groups}u + {g}u) * DOWN + down) * 4u;
    let column{q} = ((tile.x * {quads}u + {q}u) * ACROSS + across) * 4u;
    var sum{r}_{q} = vec4<f32>();
    var row_sum{g} = vec4<f32>();
    for (var slab = first; slab < end; slab += DEPTH) {
        // Blocks of four k's by four rows; neighbours load what lies beside each other.
        for (var block = local; block < DEPTH / 4u * ROW_FOURS; block += ACROSS * DOWN) {
            var four = block / (DEPTH / 4u);
            var place = block % (DEPTH / 4u) * 4u;
            if LAYOUT == LEFT_TRANSPOSED {
                four = block % ROW_FOURS;
                place = block / ROW_FOURS * 4u;
            }
            let row = (tile.y * ROW_FOURS + four) * 4u;
            let k = slab + place;
            var x{k} = vec4<f32>();
            if LAYOUT == LEFT_TRANSPOSED {
                x{k} = left[left_first + min(k + {k}u, last_inner) * left_stride + min(row, last_row) / 4u];
            } else {
                let z{k} = left[left_first + min(row + {k}u, last_row) * left_stride + min(k, last_inner) / 4u];
                x{k} = vec4<f32>(z0.{k.}, z1.{k.}, z2.{k.}, z3.{k.});
            }
            left_slab[(place + {k}u) * ROW_FOURS + four] = select(vec4<f32>(), x{k}, k + {k}u < end);
        }
        for (var block = local; block < DEPTH / 4u * COLUMN_FOURS; block += ACROSS * DOWN) {
            var four = block % COLUMN_FOURS;
            var place = block / COLUMN_FOURS * 4u;
            if LAYOUT == RIGHT_TRANSPOSED {
                four = block / (DEPTH / 4u);
                place = block % (DEPTH / 4u) * 4u;
            }
            let column = (tile.x * COLUMN_FOURS + four) * 4u;
            let k = slab + place;
            var y{k} = vec4<f32>();
            if LAYOUT == RIGHT_TRANSPOSED {
                let z{k} = right[min(column + {k}u, last_column) * right_stride + min(k, last_inner) / 4u];
                y{k} = vec4<f32>(z0.{k.}, z1.{k.}, z2.{k.}, z3.{k.});
            } else {
                y{k} = right[min(k + {k}u, last_inner) * right_stride + min(column, last_column) / 4u];
            }
            right_slab[(place + {k}u) * COLUMN_FOURS + four] = y{k};
        }
        workgroupBarrier();
        for (var k = 0u; k < DEPTH; k++) {
            let x{g} = left_slab[k * ROW_FOURS + {g}u * DOWN + down];
            let y{q} = right_slab[k * COLUMN_FOURS + {q}u * ACROSS + across];
            sum{r}_{q} += x{r/4}.{r.} * y{q};
            if ROW_SUMS {
                row_sum{g} += x{g};
            }
        }
        workgroupBarrier();
    }
    store(tile.z, row{r/4} + {r%4}u, column{q}, sum{r}_{q});
    if ROW_SUMS && tile.x == 0u && across == 0u {
        store_row_sums(row{g}, row_sum{g});
    }
}
