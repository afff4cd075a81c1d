// Multiplications and additions on numbers in registers and nothing else: what no pass can exceed.
// Expects shared/workgroup.wgsl before it. An invocation has 12 numbers, each of which waits for itself only. What it
// multiplies with and adds comes from memory, so that no compiler knows the result. Lines up to the end of a repetition
// come ROWS times (src/engine/gpu/unroll.rs), for the loop itself is to cost nothing.

override ROUNDS: u32 = 1u;

@group(0) @binding(0) var<storage, read> factors: array<f32>;               // what is multiplied with; what is added
@group(0) @binding(1) var<storage, read_write> numbers: array<vec4<f32>>;   // an invocation's numbers, summed

@compute @workgroup_size(WORKGROUP)
fn peak_arithmetic(@builtin(global_invocation_id) invocation: vec3<u32>) {
    let factor = vec4<f32>(factors[0]);
    let addend = vec4<f32>(factors[1]);
    let i = invocation.x;
    var a = vec4<f32>(f32(i % 64u));
    var b = a + addend;
    var c = b + addend;
    for (var round = 0u; round < ROUNDS; round++) {
        // repeat {r}
        a = fma(a, factor, addend);
        b = fma(b, factor, addend);
        c = fma(c, factor, addend);
        // end
    }
    if i < arrayLength(&numbers) {
        numbers[i] = a + b + c;
    }
}
