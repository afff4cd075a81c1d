// Which occurrences of tokens are of the same token: each knows the next one, and whether it is the first; or they are sorted.
// Expects shared/links.wgsl before it, and of its includer `contexts`, the tokens in fours, and `links`. A line with {k} stands for
// four.

// Links one of the occurrences from `begin` on to `end`; others are counted from the first of them.
fn link(begin: u32, end: u32, occurrence: u32) {
    if SORTED {
        let place = place_of(begin, end, occurrence);
        links[place.x] = (occurrence - begin) | select(0u, NOT_FIRST, place.y > 0u);
        if place.y == 0u {
            links[end - begin + place.x] = place.z;
        }
    } else {
        links[occurrence - begin] = link_of(begin, end, occurrence);
    }
}

// What is counted of all occurrences for one of them, in fours.
struct Counts {
    smaller: vec4<u32>, // tokens that are smaller
    earlier: vec4<u32>, // the same token before it
    equal: vec4<u32>,   // the same token
}

fn counted(before: Counts, tokens: vec4<u32>, four: u32, range: vec2<u32>, token: u32, occurrence: u32) -> Counts {
    let places = vec4<u32>(four * 4u) + vec4<u32>(0u, 1u, 2u, 3u);
    // No token is the largest number.
    let within = places - vec4<u32>(range.x) < vec4<u32>(range.y - range.x);
    let known = select(vec4<u32>(0xffffffffu), tokens, within);
    let equal = known == vec4<u32>(token);
    return Counts(
        before.smaller + select(vec4<u32>(), vec4<u32>(1u), known < vec4<u32>(token)),
        before.earlier + select(vec4<u32>(), vec4<u32>(1u), equal & (places < vec4<u32>(occurrence))),
        before.equal + select(vec4<u32>(), vec4<u32>(1u), equal),
    );
}

fn sum_of(counts: vec4<u32>) -> u32 {
    return counts.x + counts.y + counts.z + counts.w;
}

// Four fours of tokens; beyond the last one there is that one again.
fn tokens_from(four: u32, last: u32) -> array<vec4<u32>, 4> {
    return array<vec4<u32>, 4>(
        contexts[min(four + {k}u, last)],
    );
}

// The place of an occurrence among all, sorted by token and then by place; how many of its token come before it; and how many there
// are. Sixteen fours of tokens are on their way at once: one by one each came from memory in some 200 cycles of an H100.
fn place_of(begin: u32, end: u32, occurrence: u32) -> vec3<u32> {
    let token = contexts[occurrence / 4u][occurrence % 4u];
    let range = vec2<u32>(begin, end);
    let last = (end - 1u) / 4u;
    var counts = Counts();
    for (var four = begin / 4u; four <= last; four += 16u) {
        let tokens{k} = tokens_from(four + 4u * {k}u, last);
        // repeat {k}
        counts = counted(counts, tokens{k}[0], four + 4u * {k}u, range, token, occurrence);
        counts = counted(counts, tokens{k}[1], four + 4u * {k}u + 1u, range, token, occurrence);
        counts = counted(counts, tokens{k}[2], four + 4u * {k}u + 2u, range, token, occurrence);
        counts = counted(counts, tokens{k}[3], four + 4u * {k}u + 3u, range, token, occurrence);
        // end
    }
    let before = sum_of(counts.earlier);
    return vec3<u32>(sum_of(counts.smaller) + before, before, sum_of(counts.equal));
}

// The link of an occurrence. What it reads grows with the square of the occurrences, but a token that is frequent is soon found again.
fn link_of(begin: u32, end: u32, occurrence: u32) -> u32 {
    let own = occurrence / 4u;
    let token = contexts[own][occurrence % 4u];
    var first = true;
    for (var four = begin / 4u; four <= own && first; four++) {
        let places = vec4<u32>(four * 4u) + vec4<u32>(0u, 1u, 2u, 3u);
        let earlier = (places >= vec4<u32>(begin)) & (places < vec4<u32>(occurrence));
        first = !any((contexts[four] == vec4<u32>(token)) & earlier);
    }
    var next = NO_MORE;
    for (var four = own; four < (end + 3u) / 4u && next == NO_MORE; four++) {
        let places = vec4<u32>(four * 4u) + vec4<u32>(0u, 1u, 2u, 3u);
        let later = (places > vec4<u32>(occurrence)) & (places < vec4<u32>(end));
        let found = select(vec4<u32>(NO_MORE), places - vec4<u32>(begin), (contexts[four] == vec4<u32>(token)) & later);
        next = min(min(found.x, found.y), min(found.z, found.w));
    }
    return select(next | NOT_FIRST, next, first);
}
