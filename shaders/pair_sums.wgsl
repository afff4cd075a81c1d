// For each pair of place and token the sum of the hidden units' gradients over the examples that have it: a workgroup for each
// pair and each slab of SLAB examples of the chunk.
// Expects shared/workgroup.wgsl, shared/activations.wgsl and shared/pairs.wgsl before it: columns of the activations = h.
// A line with {r} stands for ROWS lines.

// Examples of a slab.
override SLAB: u32 = 128u;

@group(0) @binding(0) var<uniform> sizes: Activations;
@group(0) @binding(1) var<storage, read> contexts: array<u32>;         // [B, n]
@group(0) @binding(2) var<storage, read> d_hidden: array<vec4<f32>>;   // before tanh, [rows, h]
@group(0) @binding(3) var<storage, read_write> sums: array<vec4<f32>>; // [slabs, n, V, h]

// How many of its examples each invocation has found; and all that were found, one after the other.
var<workgroup> counts: array<u32, WORKGROUP>;
var<workgroup> found: array<u32, SLAB>;

fn has_pair(example: u32, place: u32, token: u32) -> bool {
    return contexts[(sizes.first + example) * CONTEXT + place] == token;
}

@compute @workgroup_size(WORKGROUP)
fn pair_sums(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let token = workgroup.x;
    let place = workgroup.y;
    // The slab's examples, of which each invocation looks through as many as the others.
    let each = (SLAB + WORKGROUP - 1u) / WORKGROUP;
    let own = workgroup.z * SLAB + local * each;
    let own_end = min(min(own + each, workgroup.z * SLAB + SLAB), sizes.rows);
    var count = 0u;
    for (var example = own; example < own_end; example++) {
        count += select(0u, 1u, has_pair(example, place, token));
    }
    counts[local] = count;
    workgroupBarrier();
    var next = 0u;
    var total = 0u;
    for (var other = 0u; other < min(WORKGROUP, SLAB); other++) {
        next += select(0u, counts[other], other < local);
        total += counts[other];
    }
    for (var example = own; example < own_end; example++) {
        if has_pair(example, place, token) {
            found[next] = example;
            next++;
        }
    }
    workgroupBarrier();
    let fours = sizes.stride / 4u;
    let to = (workgroup.z * CONTEXT * VOCABULARY + pair_of(place, token)) * fours;
    for (var four = local; four < fours; four += WORKGROUP) {
        var sum = vec4<f32>();
        // So many are on their way at once; beyond the last one there is that one again.
        for (var first = 0u; first < total; first += {rows}u) {
            let gradient{r} = d_hidden[found[min(first + {r}u, total - 1u)] * fours + four];
            sum += select(vec4<f32>(), gradient{r}, first + {r}u < total);
        }
        sums[to + four] = sum;
    }
}
