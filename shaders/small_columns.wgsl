// The hidden weights once more, column by column, for small_examples.wgsl: its invocations, of which each has a hidden unit, then load
// what lies side by side. small_parameters.wgsl keeps both up.
// Expects shared/small.wgsl before it.

@group(0) @binding(0) var<storage, read> parameters: array<f32>;
@group(0) @binding(1) var<storage, read_write> hidden_columns: array<f32>; // [n d, h], with rows filled up

@compute @workgroup_size(WORKGROUP)
fn small_columns(@builtin(global_invocation_id) invocation: vec3<u32>) {
    let unit = invocation.x % HIDDEN_STRIDE;
    let i = invocation.x / HIDDEN_STRIDE;
    if unit < HIDDEN && i < INPUT {
        hidden_columns[invocation.x] = parameters[HIDDEN_WEIGHT + unit * INPUT_STRIDE + i];
    }
}
