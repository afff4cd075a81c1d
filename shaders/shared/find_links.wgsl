// Which occurrences of tokens are of the same token: each knows the next one, and whether it is the first.
// Expects shared/links.wgsl before it, and of its includer `contexts`, the tokens in fours.

// The link of one of the occurrences from `begin` on to `end`; others are counted from the first of them. What it reads grows with
// the square of the occurrences, but a token that is frequent is soon found again.
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
