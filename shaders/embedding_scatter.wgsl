// The update of the embedding, in place and in a fixed order without atomics. An occurrence of a token in the batch
// leads if no earlier one is of the same token; a leader sums the gradients of all occurrences of its token, in order.
// Expects shared/random.wgsl, shared/batch.wgsl and shared/extent.wgsl before it: rows = B n, columns = d.
// One workgroup an occurrence.

@group(0) @binding(0) var<uniform> extent: Extent;
@group(0) @binding(1) var<storage, read> contexts: array<u32>;        // [B, n]
@group(0) @binding(2) var<storage, read> d_input: array<f32>;         // [B, n d]
@group(0) @binding(3) var<storage, read> rates: array<f32>;           // by slot
@group(0) @binding(4) var<storage, read> cursor: Cursor;
@group(0) @binding(5) var<storage, read_write> embedding: array<f32>; // C, [V, d]

var<workgroup> earlier: atomic<u32>;

@compute @workgroup_size(WORKGROUP)
fn embedding_scatter(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let occurrence = row_of(workgroup, workgroups);
    if occurrence >= extent.rows {
        return;
    }
    let token = contexts[occurrence];
    if local == 0u {
        atomicStore(&earlier, 0u);
    }
    workgroupBarrier();
    for (var other = local; other < occurrence; other += WORKGROUP) {
        if contexts[other] == token {
            atomicStore(&earlier, 1u);
            break;
        }
    }
    workgroupBarrier();
    if atomicLoad(&earlier) != 0u {
        return;
    }
    let rate = rates[cursor.current.slot];
    for (var k = local; k < extent.columns; k += WORKGROUP) {
        var sum = 0.0;
        for (var other = occurrence; other < extent.rows; other++) {
            if contexts[other] == token {
                sum += d_input[other * extent.columns + k];
            }
        }
        embedding[token * extent.columns + k] -= rate * sum;
    }
}
