// Which occurrences of tokens are of the same token: each knows the next one, and whether it is the first; or they are sorted.
// Expects shared/links.wgsl before it, and of its includer `contexts`, the tokens in fours, and `links`.

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

// The place of an occurrence among all, sorted by token and then by place; how many of its token come before it; and how many there
// are.
fn place_of(begin: u32, end: u32, occurrence: u32) -> vec3<u32> {
    let token = vec4<u32>(contexts[occurrence / 4u][occurrence % 4u]);
    var smaller = vec4<u32>();
    var earlier = vec4<u32>();
    var equal = vec4<u32>();
    for (var four = begin / 4u; four < (end + 3u) / 4u; four++) {
        let places = vec4<u32>(four * 4u) + vec4<u32>(0u, 1u, 2u, 3u);
        // No token is the largest number.
        let within = places - vec4<u32>(begin) < vec4<u32>(end - begin);
        let tokens = select(vec4<u32>(0xffffffffu), contexts[four], within);
        smaller += select(vec4<u32>(), vec4<u32>(1u), tokens < token);
        equal += select(vec4<u32>(), vec4<u32>(1u), tokens == token);
        earlier += select(vec4<u32>(), vec4<u32>(1u), (tokens == token) & (places < vec4<u32>(occurrence)));
    }
    let before = earlier.x + earlier.y + earlier.z + earlier.w;
    let first = smaller.x + smaller.y + smaller.z + smaller.w;
    return vec3<u32>(first + before, before, equal.x + equal.y + equal.z + equal.w);
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
