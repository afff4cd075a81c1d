// Random numbers as a pure function of a key and a counter: the twin of src/text/random.rs, equal to it bit for bit.
// Expects nothing of its includer.

// Threefry-2x32 with 20 rounds (Salmon, Moraes, Dror, Shaw 2011): two random words for a key and a counter.
fn threefry(key: vec2<u32>, counter: vec2<u32>) -> vec2<u32> {
    let parity = 0x1BD11BDAu ^ key.x ^ key.y;
    var x = counter + key;
    x = threefry_rounds(x, vec4<u32>(13u, 15u, 26u, 6u)) + vec2<u32>(key.y, parity + 1u);
    x = threefry_rounds(x, vec4<u32>(17u, 29u, 16u, 24u)) + vec2<u32>(parity, key.x + 2u);
    x = threefry_rounds(x, vec4<u32>(13u, 15u, 26u, 6u)) + vec2<u32>(key.x, key.y + 3u);
    x = threefry_rounds(x, vec4<u32>(17u, 29u, 16u, 24u)) + vec2<u32>(key.y, parity + 4u);
    x = threefry_rounds(x, vec4<u32>(13u, 15u, 26u, 6u)) + vec2<u32>(parity, key.x + 5u);
    return x;
}

fn threefry_rounds(start: vec2<u32>, rotations: vec4<u32>) -> vec2<u32> {
    var x = start;
    for (var round = 0u; round < 4u; round++) {
        let rotation = rotations[round];
        x.x += x.y;
        x.y = ((x.y << rotation) | (x.y >> (32u - rotation))) ^ x.x;
    }
    return x;
}

// A number in 0..count: the high half of word * count. WGSL has no 64-bit product, so it is made of 16-bit pieces.
fn below(word: u32, count: u32) -> u32 {
    let low = (word & 0xFFFFu) * (count & 0xFFFFu);
    let middle = (word >> 16u) * (count & 0xFFFFu) + (low >> 16u);
    let other = (word & 0xFFFFu) * (count >> 16u) + (middle & 0xFFFFu);
    return (word >> 16u) * (count >> 16u) + (middle >> 16u) + (other >> 16u);
}

// Where permutation number `index` of 0..count sends `place`: a keyed Feistel network of six rounds on the next even
// power of two, walked along its cycles until it comes back into the range.
fn permuted(key: vec2<u32>, index: u32, count: u32, half_bits: u32, place: u32) -> u32 {
    var keys: array<vec2<u32>, 3>;
    for (var pair = 0u; pair < 3u; pair++) {
        keys[pair] = threefry(key, vec2<u32>(index, pair));
    }
    let mask = (1u << half_bits) - 1u;
    var value = place;
    loop {
        var left = value >> half_bits;
        var right = value & mask;
        for (var pair = 0u; pair < 3u; pair++) {
            left ^= mixed(right ^ keys[pair].x) & mask;
            right ^= mixed(left ^ keys[pair].y) & mask;
        }
        value = (left << half_bits) | right;
        if value < count {
            break;
        }
    }
    return value;
}

// The finalizer of MurmurHash3.
fn mixed(word: u32) -> u32 {
    var bits = word;
    bits = (bits ^ (bits >> 16u)) * 0x85EBCA6Bu;
    bits = (bits ^ (bits >> 13u)) * 0xC2B2AE35u;
    return bits ^ (bits >> 16u);
}
