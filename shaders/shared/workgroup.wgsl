// The size of a workgroup.
// Expects nothing of its includer.

override WORKGROUP: u32 = 64u;

// Passes with one workgroup for each row spread the rows over two dimensions: one dimension holds 65,535.
fn row_of(workgroup: vec3<u32>, workgroups: vec3<u32>) -> u32 {
    return workgroup.y * workgroups.x + workgroup.x;
}
