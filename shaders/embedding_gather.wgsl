// x = the embeddings of the contexts' tokens, one after the other, with dropout; those that this part of the table has.
// Expects shared/random.wgsl, shared/batch.wgsl, shared/workgroup.wgsl, shared/activations.wgsl, shared/table.wgsl and
// shared/dropout.wgsl before it: columns of the activations = n d. One invocation four numbers, for fewer divisions.

@group(0) @binding(0) var<uniform> sizes: Activations;
@group(0) @binding(1) var<uniform> table: Table;
@group(0) @binding(2) var<uniform> dropout: Dropout;
@group(0) @binding(3) var<storage, read> contexts: array<u32>;    // [B, n]
@group(0) @binding(4) var<storage, read> embedding: array<f32>;   // some rows of C
@group(0) @binding(5) var<storage, read> cursor: Cursor;
@group(0) @binding(6) var<storage, read_write> input: array<f32>; // x, [rows, n d]

@compute @workgroup_size(WORKGROUP)
fn embedding_gather(
    @builtin(global_invocation_id) invocation: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
) {
    let fours = sizes.stride / 4u;
    let context = sizes.columns / table.columns;
    for (var i = invocation.x; i < sizes.rows * fours; i += workgroups.x * WORKGROUP) {
        let lane = sizes.first + i / fours;
        let first = i % fours * 4u;
        // The place in the context, and the number of its token's embedding.
        var place = first / table.columns;
        var k = first % table.columns;
        for (var column = first; column < min(first + 4u, sizes.columns); column++) {
            // A token before the first row wraps around to a large number.
            let row = contexts[lane * context + place] - table.first;
            if row < table.rows {
                let kept = kept_of(dropout, cursor.current.step, lane, sizes.columns, column);
                input[i * 4u + column - first] = kept * embedding[row * table.stride + k];
            }
            k++;
            if k == table.columns {
                k = 0u;
                place++;
            }
        }
    }
}
