// out = left right, tile by tile: a workgroup brings DEPTH k's of its rows and columns into its own memory, where its
// invocations read them many times. While they do, the next k's are on their way into registers.
// Expects what shared/product_in_registers.wgsl expects. Some lines are repeated as there.

// k's of a slab, a multiple of 4 and at most 32.
override DEPTH: u32 = 16u;
// Slabs in the workgroup's memory: while some invocations still work on one, others already bring the next one, if it is not the same.
override SLABS: u32 = 1u;
// Rows and columns of a workgroup, in fours, and the room for them in its memory: multiples of 8, within which SWIZZLE moves them.
override ROW_FOURS: u32 = 16u;
override COLUMN_FOURS: u32 = 16u;
override ROW_ROOM: u32 = (ROW_FOURS + 7u) / 8u * 8u;
override COLUMN_ROOM: u32 = (COLUMN_FOURS + 7u) / 8u * 8u;
// Blocks of four k's by four rows, and by four columns, of which an invocation brings at most one each.
override ROW_BLOCKS: u32 = DEPTH / 4u * ROW_FOURS;
override COLUMN_BLOCKS: u32 = DEPTH / 4u * COLUMN_FOURS;
// The invocation that brings the first block of columns: behind those that bring rows, where there are so many.
override COLUMNS_FROM: u32 = 0u;
// A column beyond those of the result, a multiple of 4, that is one in every k: its sums are those of the rows of the left matrix. 0
// where there is no room for it; then each invocation adds them up beside its products, an eighth more work.
override ONES: u32 = 0u;
// How far the fours of a k are moved for each four k's, so that what is written at once lies in different banks of memory.
override SWIZZLE: u32 = 32u / DEPTH;

// Four rows of a k beside each other, ROW_FOURS times, with places for ROW_ROOM, for each k; and the same of columns.
var<workgroup> left_slab: array<vec4<f32>, SLABS * DEPTH * ROW_ROOM>;
var<workgroup> right_slab: array<vec4<f32>, SLABS * DEPTH * COLUMN_ROOM>;

// Which four of rows or columns, and which four k's, a block has; neighbours load what lies beside each other, which is along k
// where a row in memory goes along k.
fn block_of(local: u32, fours: u32, along: bool) -> vec2<u32> {
    if along {
        return vec2<u32>(local / (DEPTH / 4u), local % (DEPTH / 4u));
    }
    return vec2<u32>(local % fours, local / fours);
}

// The place of an invocation among ACROSS by DOWN, multiples of 8 and 4: 32 neighbours, which many GPUs take at a time, are 8 across and
// 4 down, and by turns beside and below each other. Of four, two then want the same rows, and two the same columns; where all want
// different ones, an NVIDIA GPU takes a load of 16 bytes from a workgroup's memory in four times instead of two.
fn across_and_down(local: u32) -> vec2<u32> {
    let group = local / 32u;
    let across = (local & 1u) | ((local >> 1u) & 2u) | ((local >> 2u) & 4u);
    let down = ((local >> 1u) & 1u) | ((local >> 2u) & 2u);
    return vec2<u32>(group % (ACROSS / 8u) * 8u + across, group / (ACROSS / 8u) * 4u + down);
}

fn make_product(tile: vec3<u32>, local: u32) {
    let across = across_and_down(local).x;
    let down = across_and_down(local).y;
    let layer = layer_of(tile.z);
    let first = layer.first;
    let end = layer.end;
    // Beyond the edge the last row, column or k is loaded once more; sums are not stored, or what they meet is zero.
    let last_row = product.rows - 1u;
    let last_column = product.columns - 1u;
    let last_inner = product.inner - 1u;
    let left_stride = product.left / 4u;
    let right_stride = product.right / 4u;
    let row{g} = ((tile.y * {groups}u + {g}u) * DOWN + down) * 4u;
    let column{q} = ((tile.x * {quads}u + {q}u) * ACROSS + across) * 4u;
    var sum{r/4}_{r%4}_{q} = vec4<f32>();
    var row_sum{g} = vec4<f32>();

    let left_block = block_of(local, ROW_FOURS, LAYOUT != LEFT_TRANSPOSED);
    // Before the first one it wraps around to a large number.
    let right_local = local - COLUMNS_FROM;
    let right_block = block_of(right_local, COLUMN_FOURS, LAYOUT == RIGHT_TRANSPOSED);
    let left_row = (tile.y * ROW_FOURS + left_block.x) * 4u;
    let right_column = (tile.x * COLUMN_FOURS + right_block.x) * 4u;
    let left_slot = left_block.y * 4u * ROW_ROOM + (left_block.x ^ (left_block.y * SWIZZLE));
    let right_slot = right_block.y * 4u * COLUMN_ROOM + (right_block.x ^ (right_block.y * SWIZZLE));
    // Where the lines of a block begin that go along k; or the one place of a block in the line of each k.
    let left_line{k} = layer.left + min(left_row + {k}u, last_row) * left_stride;
    let left_place = layer.left + min(left_row, last_row) / 4u;
    let right_line{k} = layer.right + min(right_column + {k}u, last_column) * right_stride;
    let right_place = layer.right + min(right_column, last_column) / 4u;

    // On their way: what an invocation brings of rows, and of columns. Where none brings both, one name has either: 16 registers
    // less, of which a GPU has at most 128 or 256 for an invocation, and more room for other workgroups the fewer it takes.
    var x{k} = vec4<f32>();
    var y{k} = vec4<f32>();
    var left_k = first + left_block.y * 4u;
    var right_k = first + right_block.y * 4u;
    for (var slab = first; slab < end + DEPTH; slab += DEPTH) {
        let slab_of_memory = (slab - first) / DEPTH % SLABS;
        let left_slab_first = slab_of_memory * DEPTH * ROW_ROOM;
        let right_slab_first = slab_of_memory * DEPTH * COLUMN_ROOM;
        // What was loaded in the last round goes into the workgroup's memory.
        if slab > first {
            if local < ROW_BLOCKS {
                if LAYOUT == LEFT_TRANSPOSED {
                    left_slab[left_slab_first + left_slot + {k}u * ROW_ROOM] = select(vec4<f32>(), x{k}, left_k + {k}u < end);
                } else {
                    let turned{k} = vec4<f32>(x0.{k.}, x1.{k.}, x2.{k.}, x3.{k.});
                    left_slab[left_slab_first + left_slot + {k}u * ROW_ROOM] = select(vec4<f32>(), turned{k}, left_k + {k}u < end);
                }
            }
            if right_local < COLUMN_BLOCKS {
                let brought{k} = select(y{k}, x{k}, COLUMNS_FROM > 0u);
                if LAYOUT == RIGHT_TRANSPOSED {
                    right_slab[right_slab_first + right_slot + {k}u * COLUMN_ROOM] = vec4<f32>(brought0.{k.}, brought1.{k.}, brought2.{k.}, brought3.{k.});
                } else {
                    let is_ones = ONES > 0u && right_column == ONES;
                    right_slab[right_slab_first + right_slot + {k}u * COLUMN_ROOM] = select(brought{k}, vec4<f32>(1.0, 0.0, 0.0, 0.0), is_ones);
                }
            }
            left_k += DEPTH;
            right_k += DEPTH;
            workgroupBarrier();
        }
        if slab < end {
            if local < ROW_BLOCKS {
                if LAYOUT == LEFT_TRANSPOSED {
                    x{k} = left[left_place + min(left_k + {k}u, last_inner) * left_stride];
                } else {
                    x{k} = left[left_line{k} + min(left_k, last_inner) / 4u];
                }
            }
            if right_local < COLUMN_BLOCKS {
                var next{k} = vec4<f32>();
                if LAYOUT == RIGHT_TRANSPOSED {
                    next{k} = right[right_line{k} + min(right_k, last_inner) / 4u];
                } else {
                    next{k} = right[right_place + min(right_k + {k}u, last_inner) * right_stride];
                }
                if COLUMNS_FROM > 0u { x{k} = next{k}; } else { y{k} = next{k}; }
            }
        }
        if slab > first {
            for (var four = 0u; four < DEPTH / 4u; four++) {
                let left_at{g} = left_slab_first + four * 4u * ROW_ROOM + (({g}u * DOWN + down) ^ (four * SWIZZLE));
                let right_at{q} = right_slab_first + four * 4u * COLUMN_ROOM + (({q}u * ACROSS + across) ^ (four * SWIZZLE));
                // repeat {k}
                let a{g}_{k} = left_slab[left_at{g} + {k}u * ROW_ROOM];
                let b{q}_{k} = right_slab[right_at{q} + {k}u * COLUMN_ROOM];
                sum{r/4}_{r%4}_{q} += a{r/4}_{k}.{r.} * b{q}_{k};
                // end
                if ROW_SUMS && ONES == 0u && tile.x + tile.z == 0u {
                    // repeat {k}
                    row_sum{g} += a{g}_{k};
                    // end
                }
            }
            // Of two slabs the next round writes the other one.
            if SLABS == 1u {
                workgroupBarrier();
            }
        }
    }
    // Eight loads at once: after a store, a compiler waits for it with the next load, which may be of the same place.
    // repeat {g}
    let before{g}_{k}_{q} = before(tile.z, row{g} + {k}u, column{q});
    store(tile.z, row{g} + {k}u, column{q}, before{g}_{k}_{q}, sum{g}_{k}_{q});
    // end
    if ONES > 0u {
        if column{q} == ONES && tile.z == 0u { store_row_sums(row{g}, vec4<f32>(sum{g}_0_{q}.x, sum{g}_1_{q}.x, sum{g}_2_{q}.x, sum{g}_3_{q}.x)); }
    } else if ROW_SUMS && tile.x + tile.z == 0u && across == 0u {
        store_row_sums(row{g}, row_sum{g});
    }
}
