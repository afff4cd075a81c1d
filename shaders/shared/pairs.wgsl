// Pairs of a place in the context and the token there.
// Expects nothing of its includer.

override CONTEXT: u32 = 1u;
override VOCABULARY: u32 = 1u;

fn pair_of(place: u32, token: u32) -> u32 {
    return place * VOCABULARY + token;
}
