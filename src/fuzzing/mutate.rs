//! Broken files from whole ones.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Makes a file from whole ones.
pub(super) type Mutation = fn(&[Vec<u8>], &mut ChaCha8Rng) -> Vec<u8>;

/// Numbers at which sizes go wrong.
const NUMBERS: [&str; 14] = [
    "0",
    "1",
    "2",
    "-1",
    "255",
    "65536",
    "1e308",
    "0.5",
    "2147483648",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "99999999999999999999",
];
/// Pieces that a reader may take for something.
const PIECES: [&[u8]; 16] = [
    b"\r\n",
    b"\n\n\n",
    b"\0",
    b"\xef\xbb\xbf",
    b"\xff",
    b"\xc3",
    b"\xf0\x9f\x98\x80",
    b"\xed\xa0\x80",
    b"\"",
    b"[[[[[[[[[",
    b"{\"a\":",
    b"null",
    b"<rare>",
    b"<p>",
    b"\\u0000",
    b" ",
];

/// Some changes anywhere.
pub(super) fn text(seeds: &[Vec<u8>], random: &mut ChaCha8Rng) -> Vec<u8> {
    let (mut bytes, other) = (pick(seeds, random).clone(), pick(seeds, random));
    change(&mut bytes, other, random);
    bytes
}

/// Some changes in the header of a safetensors file, mostly with its right length before it, so that the reader gets to see
/// what it says.
pub(super) fn safetensors(seeds: &[Vec<u8>], random: &mut ChaCha8Rng) -> Vec<u8> {
    let (seed, other) = (pick(seeds, random), pick(seeds, random));
    if random.random_range(0..8) == 0 {
        return text(seeds, random);
    }
    let parts = |file: &[u8]| {
        let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
        (file[8..8 + length].to_vec(), file[8 + length..].to_vec())
    };
    let ((mut header, mut data), (other, _)) = (parts(seed), parts(other));
    change(&mut header, &other, random);
    if random.random_range(0..4) == 0 {
        change(&mut data, &[], random);
    }
    [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat()
}

/// A safetensors file of zeros with tensors of some names, types and sizes.
pub(super) fn zeros(tensors: impl Iterator<Item = (String, &'static str, &'static str)>) -> Vec<u8> {
    let mut at = 0;
    let entries = tensors.map(|(name, kind, sizes)| {
        let count: usize = sizes.split(',').map(|size| size.parse::<usize>().unwrap()).product();
        let start = at;
        at += count * if kind == "F64" { 8 } else { 4 };
        format!(r#""{name}":{{"dtype":"{kind}","shape":[{sizes}],"data_offsets":[{start},{at}]}}"#)
    });
    let header = format!("{{{}}}", entries.collect::<Vec<_>>().join(","));
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &vec![0; at]].concat()
}

fn pick<'a, T>(list: &'a [T], random: &mut ChaCha8Rng) -> &'a T {
    &list[random.random_range(0..list.len())]
}

fn change(bytes: &mut Vec<u8>, other: &[u8], random: &mut ChaCha8Rng) {
    for _ in 0..random.random_range(1..5) {
        let at = random.random_range(0..=bytes.len());
        let end = (at + random.random_range(1..24)).min(bytes.len());
        match random.random_range(0..10) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.random_range(0..8),
            1 if at < bytes.len() => bytes[at] = random.random(),
            2 => drop(bytes.drain(at..end)),
            3 => {
                let piece = bytes[at..end].to_vec();
                let to = random.random_range(0..=bytes.len());
                bytes.splice(to..to, piece);
            }
            4 => drop(bytes.splice(at..at, pick(&PIECES, random).iter().copied())),
            5 => bytes.truncate(at),
            6 if !other.is_empty() => {
                let start = random.random_range(0..other.len());
                let piece = &other[start..(start + random.random_range(1..64)).min(other.len())];
                bytes.splice(at..end, piece.iter().copied());
            }
            _ => {
                // The next number becomes another one.
                let Some(start) = bytes[at..].iter().position(u8::is_ascii_digit).map(|first| at + first) else {
                    continue;
                };
                let length = bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                bytes.splice(start..start + length, pick(&NUMBERS, random).bytes());
            }
        }
    }
}
