// A part of a sum of products, in the order in which every way of making it goes.
// Expects nothing of its includer.

// `sum` and four more products, one after the other.
fn add_products(sum: f32, a: vec4<f32>, b: vec4<f32>) -> f32 {
    return sum + a.x * b.x + a.y * b.y + a.z * b.z + a.w * b.w;
}
