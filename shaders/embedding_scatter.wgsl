// The gradient of the embedding from the input's, in place and in a fixed order without atomics: the first occurrence of a
// token in a chunk of the batch sums the gradients of all occurrences of its token, in order, and takes a plain step with the sum, or
// adds it to the gradients.
// Expects shared/random.wgsl, shared/batch.wgsl, shared/workgroup.wgsl, shared/activations.wgsl, shared/table.wgsl,
// shared/dropout.wgsl and shared/links.wgsl before it: rows of the activations = examples, columns = n d. One invocation four
// numbers of an occurrence.

// Whether the sum is added to what is there, and not multiplied with the rate and subtracted.
override INTO_GRADIENTS: bool = false;

@group(0) @binding(0) var<uniform> sizes: Activations;
@group(0) @binding(1) var<uniform> table: Table;
@group(0) @binding(2) var<uniform> dropout: Dropout;
@group(0) @binding(3) var<storage, read> contexts: array<u32>;        // [B, n]
@group(0) @binding(4) var<storage, read> links: array<u32>;           // [examples, n]
@group(0) @binding(5) var<storage, read> d_input: array<f32>;         // after dropout, [B, n d]
@group(0) @binding(6) var<storage, read> factors: array<Factors>;     // by slot
@group(0) @binding(7) var<storage, read> cursor: Cursor;
@group(0) @binding(8) var<storage, read_write> embedding: array<f32>; // some rows of C or of its gradient

@compute @workgroup_size(WORKGROUP)
fn embedding_scatter(
    @builtin(global_invocation_id) invocation: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
) {
    let context = sizes.columns / table.columns;
    let step = cursor.current.step;
    let rate = factors[cursor.current.slot].rate;
    let fours = (table.columns + 3u) / 4u;
    for (var i = invocation.x; i < sizes.rows * context * fours; i += workgroups.x * WORKGROUP) {
        let occurrence = i / fours;
        // Beyond the last number it is summed again, and not stored.
        let k = min(vec4<u32>(i % fours * 4u) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(table.columns - 1u));
        // A token before the first row wraps around to a large number.
        let row = contexts[sizes.first * context + occurrence] - table.first;
        var link = links[occurrence];
        if row >= table.rows || link >= NOT_FIRST {
            continue;
        }
        var sum = vec4<f32>();
        var other = occurrence;
        loop {
            let example = sizes.first + other / context;
            let first = other % context * table.columns;
            let kept = kept_of_four(dropout, step, example, sizes.columns, first + k.x);
            let at = vec4<u32>(example * sizes.stride + first) + k;
            sum += kept * vec4<f32>(d_input[at.x], d_input[at.y], d_input[at.z], d_input[at.w]);
            if link == NO_MORE {
                break;
            }
            other = link;
            link = links[other] & NO_MORE;
        }
        let step_of_four = select(-rate, 1.0, INTO_GRADIENTS) * sum;
        let place = row * table.stride + k.x;
        for (var j = 0u; j < min(4u, table.columns - k.x); j++) {
            embedding[place + j] += step_of_four[j];
        }
    }
}
