// What the occurrences of a token do to its row of the embedding, in a fixed order without atomics: the first one in a chunk of the
// batch sums the gradients of all, in order or in shares, and takes a plain step with the sum, or adds it to the gradients.
// Expects shared/random.wgsl, shared/batch.wgsl, shared/rate.wgsl, shared/activations.wgsl, shared/table.wgsl, shared/dropout.wgsl
// and shared/links.wgsl before it: rows of the activations = examples, columns = n d. And of its includer `sizes`, `table`,
// `dropout`, `contexts`, `links`, `embedding`, `cursor`, `shares` (four numbers of each invocation of a workgroup, if SPREAD is more
// than 1), a number of the input's gradient at some place, and that it begins with bring_rate.

// Whether the sum is added to what is there, and not multiplied with the rate and subtracted.
override INTO_GRADIENTS: bool = false;

// Invocations, one after the other, that share the occurrences of a token: more than one only where these are sorted.
override SPREAD: u32 = 1u;
// Sums that a workgroup holds for it: one for each of its invocations, if SPREAD is more than 1.
override SHARES: u32 = 1u;
// Gradients that each of them asks for at once: as many as a line that names {k} stands for.
const HOPS = 4u;

// Invocations for the fours of numbers that the chunk's occurrences have.
fn invocations_of_occurrences() -> u32 {
    return sizes.rows * (sizes.columns / table.columns) * ((table.columns + 3u) / 4u) * SPREAD;
}

// Four numbers of an occurrence's gradient.
fn gradient_of(occurrence: u32, k: vec4<u32>) -> vec4<f32> {
    let context = sizes.columns / table.columns;
    let example = sizes.first + occurrence / context;
    let first = occurrence % context * table.columns;
    let kept = kept_of_four(dropout, cursor.current.step, example, sizes.columns, first + k.x);
    let at = vec4<u32>(example * sizes.stride + first) + k;
    return kept * vec4<f32>(d_input_at(at.x), d_input_at(at.y), d_input_at(at.z), d_input_at(at.w));
}

// The sum over an occurrence and those that follow its link.
fn sum_of_linked(occurrence: u32, first_link: u32, k: vec4<u32>) -> vec4<f32> {
    var sum = vec4<f32>();
    var other = occurrence;
    var link = first_link;
    loop {
        sum += gradient_of(other, k);
        if link == NO_MORE {
            break;
        }
        other = link;
        link = links[other] & NO_MORE;
    }
    return sum;
}

// The sum over every SPREADth of `count` sorted occurrences. Their gradients have names, not places in an array: of a loop that one
// compiler wrote out (AMD's) another made an array in memory (Mesa's for NVIDIA), into which they went one by one.
fn sum_of_sorted(place: u32, share: u32, count: u32, k: vec4<u32>) -> vec4<f32> {
    var sum = vec4<f32>();
    for (var first = share; first < count; first += HOPS * SPREAD) {
        let gradient{k} = gradient_of(links[place + min(first + {k}u * SPREAD, count - 1u)] & NO_MORE, k);
        sum += select(vec4<f32>(), gradient{k}, first + {k}u * SPREAD < count);
    }
    return sum;
}

// What invocation `i` of them does. All invocations of a workgroup must come here at once.
fn scatter(i: u32, local: u32) {
    let occurrences = sizes.rows * (sizes.columns / table.columns);
    let fours = (table.columns + 3u) / 4u;
    let four = min(i / SPREAD, occurrences * fours - 1u);
    let place = four / fours;
    // Beyond the last number it is summed again, and not stored.
    let k = min(vec4<u32>(four % fours * 4u) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(table.columns - 1u));
    let link = links[place];
    // How many there are of the token, which is asked for beside the link.
    let count = links[select(place, occurrences + place, SORTED)];
    let occurrence = select(place, link & NO_MORE, SORTED);
    // A token before the first row wraps around to a large number.
    let row = contexts[sizes.first * (sizes.columns / table.columns) + occurrence] - table.first;
    let wanted = i < invocations_of_occurrences() && row < table.rows && link < NOT_FIRST;
    var sum = vec4<f32>();
    if wanted {
        if SORTED {
            sum = sum_of_sorted(place, i % SPREAD, count, k);
        } else {
            sum = sum_of_linked(occurrence, link, k);
        }
    }
    if SPREAD > 1u {
        shares[local] = sum;
        workgroupBarrier();
        sum = vec4<f32>();
        for (var share = 0u; share < SPREAD; share++) {
            sum += shares[local / SPREAD * SPREAD + share];
        }
        workgroupBarrier();
    }
    if !wanted || i % SPREAD > 0u {
        return;
    }
    let step_of_four = select(-rate, 1.0, INTO_GRADIENTS) * sum;
    let to = row * table.stride + k.x;
    // The smaller one of 4 and another number as the end of this loop crashes a compiler (Mesa 22.3, llvmpipe).
    for (var j = 0u; j < 4u; j++) {
        if k.x + j < table.columns {
            embedding[to + j] += step_of_four[j];
        }
    }
}
