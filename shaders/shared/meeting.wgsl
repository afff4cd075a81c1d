// Where the workgroups of a dispatch wait for each other. WGSL promises neither that they all run at the same time nor that one sees
// what another has written: it is so on many GPUs. Who uses it tries it first, against a way that promises both; nobody waits for
// ever; and who waited in vain leaves a mark.
// Expects shared/batch.wgsl before it, and of its includer `meeting`.

// Steps of a dispatch, and its workgroups.
override STEPS: u32 = 1u;
override WORKGROUPS: u32 = 1u;
// Looks at the others' arrivals, at most: hundreds of milliseconds.
override PATIENCE: u32 = 1048576u;

struct Meeting {
    cursor: Cursor,
    arrived: atomic<u32>, // workgroups, ever
    missed: atomic<u32>,  // whether one waited in vain
    before: u32,          // workgroups that arrived before this dispatch
}

var<workgroup> missed_one: bool;

// Waits until so many workgroups have arrived since `before`, and says whether they have. All invocations must come here. Whoever
// waits looks at one number only: each look takes most of a microsecond.
fn met(before: u32, count: u32, local: u32) -> bool {
    storageBarrier();
    if local == 0u {
        var arrived = atomicAdd(&meeting.arrived, 1u) + 1u - before;
        for (var looks = 0u; arrived < count && looks < PATIENCE; looks++) {
            arrived = atomicLoad(&meeting.arrived) - before;
        }
        missed_one = arrived < count;
        if missed_one {
            atomicStore(&meeting.missed, 1u);
        }
    }
    storageBarrier();
    workgroupBarrier();
    return !missed_one;
}
