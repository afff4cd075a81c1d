// Several whole steps in one dispatch, to the bit those of two dispatches each: a workgroup an example, then an invocation a
// parameter, and between the phases the workgroups wait for each other. For a GPU that starts a dispatch more slowly than its
// workgroups meet.
// Expects shared/random.wgsl, shared/batch.wgsl, shared/small.wgsl, shared/small_parameter.wgsl, shared/meeting.wgsl and
// shared/small_example.wgsl beside it.

@group(0) @binding(0) var<uniform> plan: Plan;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;
@group(0) @binding(2) var<storage, read> places: array<u32>;                  // of the targets in the stream, [examples]
@group(0) @binding(3) var<storage, read> factors: array<Factors>;             // by slot
@group(0) @binding(4) var<storage, read_write> meeting: Meeting;
@group(0) @binding(5) @coherent var<storage, read_write> contexts: array<u32>;          // [B, n]
@group(0) @binding(6) @coherent var<storage, read_write> activations: array<vec4<f32>>; // [B, RECORD]
@group(0) @binding(7) @coherent var<storage, read_write> parameters: array<vec4<f32>>;
@group(0) @binding(8) var<storage, read_write> losses: array<f32>;            // by slot

@compute @workgroup_size(WORKGROUP)
fn small_steps_wide(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    var position = meeting.cursor.next;
    var next = position;
    var place = places[example_of_lane(plan, position, workgroup.x % BATCH)];
    let before = meeting.before;
    var count = 0u;
    for (var step = 0u; step < STEPS; step++) {
        position = next;
        let rate = factors[position.slot].rate;
        for (var example = workgroup.x; example < BATCH; example += WORKGROUPS) {
            compute_example(example, place, local);
            place = places[example_of_lane(plan, position, (example + WORKGROUPS) % BATCH)];
        }
        next = position_after(plan, position);
        place = places[example_of_lane(plan, next, workgroup.x % BATCH)];
        count += WORKGROUPS;
        if !met(before, count, local) {
            return;
        }
        for (var i = workgroup.x * WORKGROUP + local; i < PARAMETERS; i += WORKGROUPS * WORKGROUP) {
            update_parameter(i, rate);
        }
        if workgroup.x == WORKGROUPS - 1u && local == WORKGROUP - 1u {
            losses[position.slot] = sum_over_batch(RECORD_LOSS) / f32(BATCH);
        }
        count += WORKGROUPS;
        if !met(before, count, local) {
            return;
        }
    }
    // Everyone has begun by now, and nobody looks at these any more.
    if workgroup.x == 0u && local == 0u {
        meeting.cursor = Cursor(position, next);
        meeting.before = before + count;
    }
}
