// Passes that share a dispatch: how large their matrices are and where these lie, and which workgroups of a product's dispatch
// make the product. On a software device the others come first, for what they do takes longer, for each of them; on a GPU they come
// last, so that the product's workgroups spread evenly over its cores.
// Loops of these passes begin at a number that differs from workgroup to workgroup, even where 0 would do: where a uniform says how
// often a loop goes round, lavapipe writes it out, anew for each dispatch, in a millisecond.
// Expects nothing of its includer. Strides and beginnings are multiples of 4 numbers, but for the embedding's.

struct Joined {
    first_row: u32,        // of the workgroups that make the product
    rows: u32,
    first_layer: u32,
    layers: u32,
    others_first: u32,     // the first of the others, as workgroups are counted
    others: u32,           // how many these are
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
    // What is before the first one wraps around to a large number.
    return workgroup.y - joined.first_row < joined.rows && workgroup.z - joined.first_layer < joined.layers;
}

fn tile_of(workgroup: vec3<u32>, joined: Joined) -> vec3<u32> {
    return workgroup - vec3<u32>(0u, joined.first_row, joined.first_layer);
}

fn others_of(workgroup: vec3<u32>, workgroups: vec3<u32>, joined: Joined) -> Others {
    let index = (workgroup.z * workgroups.y + workgroup.y) * workgroups.x + workgroup.x;
    return Others(index - joined.others_first, joined.others);
}
