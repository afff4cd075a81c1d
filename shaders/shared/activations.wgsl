// The activations of a batch: a row for each example, and a transposed copy with a column for each example. Rows begin
// at multiples of 4 numbers.
// Expects nothing of its includer.

struct Activations {
    batch: u32,        // B
    columns: u32,      // numbers of an example
    stride: u32,       // from one example to the next
    batch_stride: u32, // from one row of the transposed copy to the next
    embedding: u32,    // d, where that matters
}

override WORKGROUP: u32 = 64u;
