// For each pair of place and token the sum of the hidden units' gradients over the examples that have it: a workgroup a pair, and of a
// chunk of the batch a slab of SLAB examples.
// Expects shared/workgroup.wgsl, shared/activations.wgsl and shared/pairs.wgsl before it: columns of the activations = h. A line with
// {k} stands for four.

// Examples of a slab.
override SLAB: u32 = 128u;

@group(0) @binding(0) var<uniform> sizes: Activations;
@group(0) @binding(1) var<storage, read> contexts: array<u32>;         // [B, n]
@group(0) @binding(2) var<storage, read> d_hidden: array<vec4<f32>>;   // before tanh, [rows, h]
@group(0) @binding(3) var<storage, read_write> sums: array<vec4<f32>>; // [slabs, n, V, h]

// The tokens of the slab's examples at the place; then the examples that have the pair, one after the other.
var<workgroup> examples: array<u32, SLAB>;
// How many these are.
var<workgroup> found: u32;

@compute @workgroup_size(WORKGROUP)
fn pair_sums(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let token = workgroup.x;
    let place = workgroup.y;
    let begin = workgroup.z * SLAB;
    let count = min(SLAB, sizes.rows - begin);
    for (var i = local; i < count; i += WORKGROUP) {
        examples[i] = contexts[(sizes.first + begin + i) * CONTEXT + place];
    }
    workgroupBarrier();
    if local == 0u {
        var next = 0u;
        for (var i = 0u; i < count; i++) {
            if examples[i] == token {
                examples[next] = begin + i;
                next++;
            }
        }
        found = next;
    }
    workgroupBarrier();
    let fours = sizes.stride / 4u;
    let to = (workgroup.z * CONTEXT * VOCABULARY + pair_of(place, token)) * fours;
    for (var four = local; four < fours; four += WORKGROUP) {
        var sum = vec4<f32>();
        // Four are on their way at once; beyond the last one there is that one again.
        for (var first = 0u; first < found; first += 4u) {
            let gradient{k} = d_hidden[examples[min(first + {k}u, found - 1u)] * fours + four];
            sum += select(vec4<f32>(), gradient{k}, first + {k}u < found);
        }
        sums[to + four] = sum;
    }
}
