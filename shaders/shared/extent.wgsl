// The size of a matrix.
// Expects nothing of its includer.

struct Extent {
    rows: u32,
    columns: u32,
    stride: u32, // from one row to the next
}

override WORKGROUP: u32 = 64u;

// Passes with one workgroup for each row spread the rows over two dimensions: one dimension holds 65,535.
fn row_of(workgroup: vec3<u32>, workgroups: vec3<u32>) -> u32 {
    return workgroup.y * workgroups.x + workgroup.x;
}
