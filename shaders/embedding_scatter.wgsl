// The gradient of the embedding from the input's, in place and in a fixed order without atomics. An occurrence of a token
// in the batch leads if no earlier one is of the same token; a leader sums the gradients of all occurrences of its token,
// in order, and takes a plain step with the sum, or adds it to the gradients.
// Expects shared/random.wgsl, shared/batch.wgsl, shared/workgroup.wgsl, shared/activations.wgsl, shared/table.wgsl and
// shared/dropout.wgsl before it: rows of the activations = B, columns = n d. One workgroup an occurrence.

// Whether the sum is added to what is there, and not multiplied with the rate and subtracted.
override INTO_GRADIENTS: bool = false;

@group(0) @binding(0) var<uniform> sizes: Activations;
@group(0) @binding(1) var<uniform> table: Table;
@group(0) @binding(2) var<uniform> dropout: Dropout;
@group(0) @binding(3) var<storage, read> contexts: array<u32>;        // [B, n]
@group(0) @binding(4) var<storage, read> d_input: array<f32>;         // after dropout, [B, n d]
@group(0) @binding(5) var<storage, read> factors: array<Factors>;     // by slot
@group(0) @binding(6) var<storage, read> cursor: Cursor;
@group(0) @binding(7) var<storage, read_write> embedding: array<f32>; // some rows of C or of its gradient

var<workgroup> earlier: atomic<u32>;

@compute @workgroup_size(WORKGROUP)
fn embedding_scatter(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let occurrence = row_of(workgroup, workgroups);
    let occurrences = sizes.rows * sizes.columns / table.columns;
    if occurrence >= occurrences {
        return;
    }
    let token = contexts[occurrence];
    // A token before the first row wraps around to a large number.
    let row = token - table.first;
    if row >= table.rows {
        return;
    }
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
    let step = cursor.current.step;
    let rate = factors[cursor.current.slot].rate;
    for (var k = local; k < table.columns; k += WORKGROUP) {
        var sum = 0.0;
        for (var other = occurrence; other < occurrences; other++) {
            if contexts[other] == token {
                let at = other * table.columns + k;
                sum += kept_of(dropout, step, at / sizes.columns, sizes.columns, at % sizes.columns) * d_input[at];
            }
        }
        let place = row * table.stride + k;
        if INTO_GRADIENTS {
            embedding[place] += sum;
        } else {
            embedding[place] -= rate * sum;
        }
    }
}
