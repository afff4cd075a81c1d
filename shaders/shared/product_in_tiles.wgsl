// out = left right, tile by tile: a workgroup brings DEPTH k's of its rows and columns into its own memory, where its
// invocations read them many times. While they do, the next k's are on their way into registers.
// Expects what shared/product_in_registers.wgsl expects. Some lines are repeated as there.

// k's in the workgroup's memory, a multiple of 4; twice, for one set is filled while the other is read.
override DEPTH: u32 = 8u;
// Rows and columns of a workgroup, in fours: multiples of 8.
override ROW_FOURS: u32 = 16u;
override COLUMN_FOURS: u32 = 16u;
// Blocks of four k's by four rows, or four columns, of which an invocation brings at most one.
override ROW_BLOCKS: u32 = DEPTH / 4u * ROW_FOURS;
override COLUMN_BLOCKS: u32 = DEPTH / 4u * COLUMN_FOURS;
// Fours of different k's lie in other banks of memory where one workgroup writes them at once.
override SWIZZLE: u32 = 32u / DEPTH;

// Four rows of a k beside each other, ROW_FOURS times, for each k; and the same of columns.
var<workgroup> left_slab: array<vec4<f32>, 2u * DEPTH * ROW_FOURS>;
var<workgroup> right_slab: array<vec4<f32>, 2u * DEPTH * COLUMN_FOURS>;

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

    // The block of this invocation: neighbours load what lies beside each other.
    let of_rows = local < ROW_BLOCKS;
    let of_columns = !of_rows && local < ROW_BLOCKS + COLUMN_BLOCKS;
    let block = select(local - ROW_BLOCKS, local, of_rows);
    let fours = select(COLUMN_FOURS, ROW_FOURS, of_rows);
    let along = select(LAYOUT == RIGHT_TRANSPOSED, LAYOUT != LEFT_TRANSPOSED, of_rows);
    let four = select(block % fours, block / (DEPTH / 4u), along);
    let place = select(block / fours, block % (DEPTH / 4u), along) * 4u;
    let into = select(tile.x * COLUMN_FOURS, tile.y * ROW_FOURS, of_rows) * 4u + four * 4u;
    let last = select(last_column, last_row, of_rows);
    let stride = select(right_stride, left_stride, of_rows);
    // Where its four lines begin, if they go along k; else all lie in one line of each k.
    let line{k} = select(min(into, last) / 4u, min(into + {k}u, last) * stride, along);
    let slot = (place * fours) + (four ^ (place / 4u * SWIZZLE));

    var z{k} = vec4<f32>();
    var at = first + place;
    var half = 0u;
    for (var slab = first; slab < end + DEPTH; slab += DEPTH) {
        // What was loaded in the last round goes into the workgroup's memory, and is multiplied while the next is loaded.
        if slab > first {
            let to = slot + half * DEPTH * fours;
            let y{k} = vec4<f32>(z0.{k.}, z1.{k.}, z2.{k.}, z3.{k.});
            let x{k} = select(z{k}, y{k}, along);
            if of_rows {
                left_slab[to + {k}u * ROW_FOURS] = select(vec4<f32>(), x{k}, at + {k}u < end);
            } else if of_columns {
                right_slab[to + {k}u * COLUMN_FOURS] = x{k};
            }
            workgroupBarrier();
            at += DEPTH;
        }
        if slab < end {
            let k{k} = select(min(at + {k}u, last_inner) * stride, min(at, last_inner) / 4u, along);
            if of_rows {
                z{k} = left[left_first + line{k} + k{k}];
            } else if of_columns {
                z{k} = right[line{k} + k{k}];
            }
        }
        if slab > first {
            for (var k = 0u; k < DEPTH; k++) {
                let swizzle = k / 4u * SWIZZLE;
                let rows = (half * DEPTH + k) * ROW_FOURS;
                let columns = (half * DEPTH + k) * COLUMN_FOURS;
                let x{g} = left_slab[rows + (({g}u * DOWN + down) ^ swizzle)];
                let y{q} = right_slab[columns + (({q}u * ACROSS + across) ^ swizzle)];
                sum{r}_{q} += x{r/4}.{r.} * y{q};
                if ROW_SUMS {
                    row_sum{g} += x{g};
                }
            }
            half = 1u - half;
        }
    }
    store(tile.z, row{r/4} + {r%4}u, column{q}, sum{r}_{q});
    if ROW_SUMS && tile.x == 0u && across == 0u {
        store_row_sums(row{g}, row_sum{g});
    }
}
