// What the occurrences of a token do to its row of the embedding, in a fixed order without atomics: the first one in a chunk of the
// batch sums the gradients of all, in order, and takes a plain step with the sum, or adds it to the gradients.
// Expects shared/random.wgsl, shared/batch.wgsl, shared/activations.wgsl, shared/table.wgsl, shared/dropout.wgsl and
// shared/links.wgsl before it: rows of the activations = examples, columns = n d. And of its includer `sizes`, `table`, `dropout`,
// `contexts`, `links`, `embedding`, `cursor`, `factors`, and a number of the input's gradient at some place.

// Whether the sum is added to what is there, and not multiplied with the rate and subtracted.
override INTO_GRADIENTS: bool = false;

// Occurrences of a token whose gradients are on their way at once, at most MOST_HOPS.
override HOPS: u32 = 1u;
const MOST_HOPS = 32u;

// Fours of numbers that the chunk's occurrences have.
fn fours_of_occurrences() -> u32 {
    return sizes.rows * (sizes.columns / table.columns) * ((table.columns + 3u) / 4u);
}

// One of them.
fn scatter(i: u32) {
    let context = sizes.columns / table.columns;
    let fours = (table.columns + 3u) / 4u;
    let occurrences = sizes.rows * context;
    var place = i / fours;
    var link = links[place];
    let occurrence = select(place, link & NO_MORE, SORTED);
    // Beyond the last number it is summed again, and not stored.
    let k = min(vec4<u32>(i % fours * 4u) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(table.columns - 1u));
    // A token before the first row wraps around to a large number.
    let row = contexts[sizes.first * context + occurrence] - table.first;
    if row >= table.rows || link >= NOT_FIRST {
        return;
    }
    let step = cursor.current.step;
    var sum = vec4<f32>();
    var other = occurrence;
    var more = true;
    while more {
        var others = array<u32, MOST_HOPS>();
        var numbers = array<vec4<f32>, MOST_HOPS>();
        var count = 0u;
        // Beyond the last occurrence it comes again, and does not count.
        for (var hop = 0u; hop < HOPS; hop++) {
            others[hop] = other;
            count += select(0u, 1u, more);
            if SORTED {
                place += 1u;
                link = links[min(place, occurrences - 1u)];
                more = more && place < occurrences && link >= NOT_FIRST;
                other = select(other, link & NO_MORE, more);
            } else {
                more = more && link != NO_MORE;
                other = select(other, link, more);
                link = select(NO_MORE, links[other] & NO_MORE, more);
            }
        }
        for (var hop = 0u; hop < HOPS; hop++) {
            let example = sizes.first + others[hop] / context;
            let first = others[hop] % context * table.columns;
            let kept = kept_of_four(dropout, step, example, sizes.columns, first + k.x);
            let at = vec4<u32>(example * sizes.stride + first) + k;
            numbers[hop] = kept * vec4<f32>(d_input_at(at.x), d_input_at(at.y), d_input_at(at.z), d_input_at(at.w));
        }
        for (var hop = 0u; hop < HOPS; hop++) {
            sum += select(vec4<f32>(), numbers[hop], hop < count);
        }
    }
    let rate = factors[cursor.current.slot].rate;
    let step_of_four = select(-rate, 1.0, INTO_GRADIENTS) * sum;
    let to = row * table.stride + k.x;
    // The smaller one of 4 and another number as the end of this loop crashes a compiler (Mesa 22.3, llvmpipe).
    for (var j = 0u; j < 4u; j++) {
        if k.x + j < table.columns {
            embedding[to + j] += step_of_four[j];
        }
    }
}
