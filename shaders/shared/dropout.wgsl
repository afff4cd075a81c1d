// Which numbers of an activation are dropped: the twin of `Mask` in src/engine/recipe.rs, equal to it bit for bit.
// Expects shared/random.wgsl before it.

// Whether anything can be dropped: false where the threshold is 0. A constant, for not every device skips what an `if`
// leaves out (lavapipe does not), and random numbers are most of what the passes with dropout compute.
override DROPS: bool = true;

struct Dropout {
    seed: u32,
    purpose: u32,
    threshold: u32, // 0: nothing is dropped, and `kept` is 1
    kept: f32,      // what the kept numbers are multiplied with
}

// What number `unit` of the `width` numbers of example `lane` of the batch is multiplied with in a step.
fn kept_of(dropout: Dropout, step: u32, lane: u32, width: u32, unit: u32) -> f32 {
    if !DROPS {
        return 1.0;
    }
    let place = lane * ((width + 1u) / 2u) + unit / 2u;
    let words = threefry(vec2<u32>(dropout.seed, dropout.purpose), vec2<u32>(step, place));
    let word = select(words.y, words.x, unit % 2u == 0u);
    return select(dropout.kept, 0.0, word < dropout.threshold);
}

// The same of the four numbers from `unit` on, for which random numbers may be drawn beyond the width; nobody looks at those.
fn kept_of_four(dropout: Dropout, step: u32, lane: u32, width: u32, unit: u32) -> vec4<f32> {
    return vec4<f32>(
        kept_of(dropout, step, lane, width, unit),
        kept_of(dropout, step, lane, width, unit + 1u),
        kept_of(dropout, step, lane, width, unit + 2u),
        kept_of(dropout, step, lane, width, unit + 3u),
    );
}
