// out = left right, straight from storage into registers: no workgroup memory, no barriers.
// Expects shared/product.wgsl before it, and of its includer `product`, `left` and `right`, and what becomes of the sums: `before`, `store` and
// `store_row_sums`. A line
// with {r} stands for ROWS lines, with {g} for a line for each four rows, with {q} for QUADS lines, with {k} for four
// (src/engine/gpu/unroll.rs).

fn make_product(tile: vec3<u32>, local: u32) {
    let across = local % ACROSS;
    let down = local / ACROSS;
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
    var sum{r}_{q} = vec4<f32>();
    var row_sum{g} = vec4<f32>();
    if LAYOUT == LEFT_TRANSPOSED {
        let left{g} = layer.left + min(row{g}, last_row) / 4u;
        let right{q} = layer.right + min(column{q}, last_column) / 4u;
        for (var k = first; k < end; k++) {
            let y{q} = right[k * right_stride + right{q}];
            let x{g} = left[k * left_stride + left{g}];
            sum{r}_{q} += x{r/4}.{r.} * y{q};
            if ROW_SUMS {
                row_sum{g} += x{g};
            }
        }
    } else if LAYOUT == PLAIN {
        let left{r} = layer.left + min(row{r/4} + {r%4}u, last_row) * left_stride;
        let right{q} = layer.right + min(column{q}, last_column) / 4u;
        for (var k = first; k < end; k += 4u) {
            let x{r} = left[left{r} + k / 4u];
            // repeat {k}
            let y{k}_{q} = right[min(k + {k}u, last_inner) * right_stride + right{q}];
            sum{r}_{q} += x{r}.{k.} * y{k}_{q};
            // end
        }
    } else {
        let left{r} = layer.left + min(row{r/4} + {r%4}u, last_row) * left_stride;
        let right{q}_{k} = layer.right + min(column{q} + {k}u, last_column) * right_stride;
        for (var k = first; k < end; k += 4u) {
            let x{r} = left[left{r} + k / 4u];
            // repeat {q}
            let z{q}_{k} = right[right{q}_{k} + k / 4u];
            let y{k}_{q} = vec4<f32>(z{q}_0.{k.}, z{q}_1.{k.}, z{q}_2.{k.}, z{q}_3.{k.});
            sum{r}_{q} += x{r}.{k.} * y{k}_{q};
            // end
        }
    }
    store(tile.z, row{r/4} + {r%4}u, column{q}, before(tile.z, row{r/4} + {r%4}u, column{q}), sum{r}_{q});
    if ROW_SUMS && tile.x + tile.z == 0u && across == 0u {
        store_row_sums(row{g}, row_sum{g});
    }
}
