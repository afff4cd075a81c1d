// The activations of a chunk of a batch: a row for each example. Rows begin at multiples of 4 numbers.
// Expects nothing of its includer.

struct Activations {
    rows: u32,    // examples of the chunk
    columns: u32, // numbers of an example
    stride: u32,  // from one example to the next
    first: u32,   // the place in the batch of the chunk's first example
    batch: u32,   // B
}
