// The gradient of the hidden units in parts of the vocabulary, by a product; beside it, in workgroups of their own, what is known
// when the logits' gradient is: the mean loss and the cursor's step forward, and the links between the occurrences of a token.
// Expects shared/random.wgsl, shared/batch.wgsl, shared/product.wgsl, one of the first two ways to make it, shared/joined.wgsl,
// shared/mean_loss.wgsl, shared/links.wgsl and shared/find_links.wgsl beside it.

@group(0) @binding(0) var<uniform> product: Product;
@group(0) @binding(1) var<uniform> joined: Joined;
@group(0) @binding(2) var<uniform> plan: Plan;
@group(0) @binding(3) var<storage, read> left: array<vec4<f32>>;            // gradient of the logits, [B, V]
@group(0) @binding(4) var<storage, read> right: array<vec4<f32>>;           // U, [V, h]
@group(0) @binding(5) var<storage, read_write> out: array<vec4<f32>>;       // parts of [B, h]
@group(0) @binding(6) var<storage, read> example_losses: array<vec4<f32>>;  // [B]
@group(0) @binding(7) var<storage, read_write> cursor: Cursor;
@group(0) @binding(8) var<storage, read_write> losses: array<f32>;          // by slot
@group(0) @binding(9) var<storage, read> contexts: array<vec4<u32>>;        // [B, n], filled up to a multiple of 4
@group(0) @binding(10) var<storage, read_write> links: array<u32>;          // [B, n], twice where they are sorted

// What is there before does not count.
fn before(layer: u32, row: u32, column: u32) -> vec4<f32> {
    return vec4<f32>();
}

fn store(layer: u32, row: u32, column: u32, before: vec4<f32>, sums: vec4<f32>) {
    if row < product.rows && column < product.columns {
        out[place_of_result(layer, row, column)] = within(column, product.columns, sums);
    }
}

// Nobody asks for these.
fn store_row_sums(row: u32, sums: vec4<f32>) {}

@compute @workgroup_size(ACROSS * DOWN)
fn hidden_gradient_parts(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    if makes_product(workgroup, joined) {
        make_product(tile_of(workgroup, joined), local);
        return;
    }
    let others = others_of(workgroup, workgroups, joined);
    let occurrences = plan.batch * plan.context;
    let invocation = others.index * (ACROSS * DOWN) + local;
    let invocations = others.count * (ACROSS * DOWN);
    for (var occurrence = invocation; occurrence < occurrences; occurrence += invocations) {
        link(0u, occurrences, occurrence);
    }
    if invocation == invocations - 1u {
        var sum = 0.0;
        for (var first = invocations - 1u - invocation; first < plan.batch; first += PIECE) {
            sum += loss_of_piece(first, min(first + PIECE, plan.batch));
        }
        losses[cursor.current.slot] = sum / f32(plan.batch);
        cursor.next = position_after(plan, cursor.current);
    }
}
