// The size of a matrix that is summed.
// Expects nothing of its includer.

struct Extent {
    rows: u32,
    columns: u32,
    stride: u32, // from one row to the next
    first: u32,  // where the result begins
}
