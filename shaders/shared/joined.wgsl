// Passes that share a dispatch: how large their matrices are and where these lie, and which workgroups of a product's dispatch
// make the product.
// Expects nothing of its includer. Strides and beginnings are multiples of 4 numbers, but for the embedding's.

struct Joined {
    tiles_across: u32,     // workgroups of the product beside each other; those after them in each row do something else
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

// The number of a workgroup among those that do not make the product.
fn beside(workgroup: vec3<u32>, workgroups: vec3<u32>, tiles_across: u32) -> u32 {
    let row = workgroup.z * workgroups.y + workgroup.y;
    return row * (workgroups.x - tiles_across) + workgroup.x - tiles_across;
}
