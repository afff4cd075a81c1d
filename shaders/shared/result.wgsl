// What becomes of sums: they are written, or added to what is there, or multiplied with the rate and subtracted.
// Expects shared/rate.wgsl before it.

override RESULT: u32 = 0u;
const WRITTEN = 0u;
const ADDED = 1u;

// Four numbers of the result from what was there and from their sums.
fn result_of(before: vec4<f32>, sums: vec4<f32>) -> vec4<f32> {
    if RESULT == WRITTEN {
        return sums;
    } else if RESULT == ADDED {
        return before + sums;
    }
    return before - rate * sums;
}
