// Passes that share a dispatch: how large their matrices are and where these lie, and which workgroups of a product's dispatch
// make the product. The others come first: what they do takes longer, for each of them.
// Loops of these passes begin at a number that differs from workgroup to workgroup, even where 0 would do: where a uniform says how
// often a loop goes round, lavapipe writes it out, anew for each dispatch, in a millisecond.
// Expects nothing of its includer. Strides and beginnings are multiples of 4 numbers, but for the embedding's.

struct Joined {
    rows_beside: u32,      // the first rows of workgroups do something else
    layers_beside: u32,    // or the first layers of them
    batch: u32,            // B
    embedding: u32,        // d
    embedding_stride: u32, // from one row of C to the next
    units: u32,            // h
    hidden_stride: u32,    // from one example's hidden units to the next
    inputs: u32,           // n d
    input_stride: u32,     // from one example's input to the next
    hidden_weight: u32,    // where H begins behind C
    hidden_bias: u32,      // where its bias begins behind C
    hidden_parts: u32,     // parts of the sums over the vocabulary that make the hidden units' gradient
    input_parts: u32,      // the same for the input's, which lie behind them
    d_input: u32,          // where the input's gradient begins behind the hidden units'
}

// The workgroups of a dispatch that do not make its product.
struct Others {
    index: u32, // of one of them
    count: u32,
}

fn makes_product(workgroup: vec3<u32>, joined: Joined) -> bool {
    return workgroup.y >= joined.rows_beside && workgroup.z >= joined.layers_beside;
}

fn tile_of(workgroup: vec3<u32>, joined: Joined) -> vec3<u32> {
    return workgroup - vec3<u32>(0u, joined.rows_beside, joined.layers_beside);
}

fn others_of(workgroup: vec3<u32>, workgroups: vec3<u32>, joined: Joined) -> Others {
    let index = (workgroup.z * workgroups.y + workgroup.y) * workgroups.x + workgroup.x;
    return Others(index, workgroups.x * (joined.rows_beside + workgroups.y * joined.layers_beside));
}
