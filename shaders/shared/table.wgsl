// Some rows of the embedding C: one binding may not hold all of it.
// Expects nothing of its includer.

struct Table {
    first: u32,   // the token of the first row
    rows: u32,
    columns: u32, // d
    stride: u32,  // from one row to the next
}
