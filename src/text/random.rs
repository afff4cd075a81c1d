//! Random numbers as a pure function of a key and a counter, equal bit for bit in Rust and in WGSL
//! (`shaders/shared/random.wgsl`), so that a batch is known from the seed and the step alone.
//!
//! Threefry-2x32 with 20 rounds: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).

/// What a stream of random numbers is for: the second half of the key, so that no two uses share a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Purpose {
    /// Which examples make a batch, drawn with replacement.
    Batch = 1,
    /// The order of the examples in an epoch.
    Epoch = 2,
    /// Which lines are for training, validation and test.
    Split = 3,
    /// Tokens of the benchmark's synthetic text.
    Synthetic = 4,
    /// Which numbers of the input are dropped.
    DropoutEmbedding = 5,
    /// Which hidden units are dropped.
    DropoutHidden = 6,
}

const ROTATIONS: [[u32; 4]; 2] = [[13, 15, 26, 6], [17, 29, 16, 24]];
const PARITY: u32 = 0x1BD1_1BDA;

/// Two random words for a key and a counter.
#[inline(always)]
pub fn threefry(key: [u32; 2], counter: [u32; 2]) -> [u32; 2] {
    let schedule = [key[0], key[1], PARITY ^ key[0] ^ key[1]];
    let mut x = [counter[0].wrapping_add(schedule[0]), counter[1].wrapping_add(schedule[1])];
    for group in 0..5 {
        for rotation in ROTATIONS[group % 2] {
            x[0] = x[0].wrapping_add(x[1]);
            x[1] = x[1].rotate_left(rotation) ^ x[0];
        }
        x[0] = x[0].wrapping_add(schedule[(group + 1) % 3]);
        x[1] = x[1].wrapping_add(schedule[(group + 2) % 3]).wrapping_add(group as u32 + 1);
    }
    x
}

/// A number in `0..count`, from the high half of a product with a random word; its bias is below `count / 2^32`.
#[inline(always)]
pub fn below(word: u32, count: u32) -> u32 {
    ((u64::from(word) * u64::from(count)) >> 32) as u32
}

const FEISTEL_ROUNDS: usize = 6;

/// A permutation of `0..count` without a table: a keyed Feistel network on the next even power of two, walked along
/// its cycles until it comes back into the range (Black and Rogaway, "Ciphers with arbitrary finite domains", 2002).
#[derive(Clone, Debug)]
pub struct Permutation {
    keys: [u32; FEISTEL_ROUNDS],
    half_bits: u32,
    count: u32,
}

impl Permutation {
    /// The permutation number `index` (an epoch, say) of `count` things for a seed and a purpose.
    pub fn new(seed: u32, purpose: Purpose, index: u32, count: u32) -> Self {
        let mut keys = [0; FEISTEL_ROUNDS];
        for (round, pair) in keys.chunks_exact_mut(2).enumerate() {
            pair.copy_from_slice(&threefry([seed, purpose as u32], [index, round as u32]));
        }
        Permutation { keys, half_bits: half_bits(count), count }
    }

    /// Where `index` goes. `index` must be below the count.
    pub fn apply(&self, index: u32) -> u32 {
        debug_assert!(index < self.count);
        let mut value = self.step(index);
        while value >= self.count {
            value = self.step(value);
        }
        value
    }

    /// Where the numbers from `first` on go. They must be below the count.
    #[inline(always)]
    pub fn apply_to_all(&self, first: u32, results: &mut [u32]) {
        // Sixteen at a time, which become vector instructions: as many cycles for all as the longest way of one takes.
        for (block, results) in results.chunks_mut(16).enumerate() {
            let first = first + block as u32 * 16;
            debug_assert!(results.len() as u32 <= self.count - first);
            let mut values: [u32; 16] = std::array::from_fn(
                #[inline(always)]
                |lane| self.step(first.saturating_add(lane as u32).min(self.count - 1)),
            );
            while values.iter().any(
                #[inline(always)]
                |&value| value >= self.count,
            ) {
                for value in &mut values {
                    let next = self.step(*value);
                    *value = if *value >= self.count { next } else { *value };
                }
            }
            results.copy_from_slice(&values[..results.len()]);
        }
    }

    /// The number that follows on a cycle of the whole network.
    #[inline(always)]
    fn step(&self, value: u32) -> u32 {
        let mask = (1 << self.half_bits) - 1;
        let (mut left, mut right) = (value >> self.half_bits, value & mask);
        for key in self.keys {
            (left, right) = (right, left ^ (mix(right ^ key) & mask));
        }
        (left << self.half_bits) | right
    }
}

/// Half the bits of the Feistel network's domain, the smallest even power of two that holds `count`.
pub fn half_bits(count: u32) -> u32 {
    (32 - count.saturating_sub(1).leading_zeros()).div_ceil(2).max(1)
}

/// The finalizer of MurmurHash3 (Appleby, public domain): every input bit moves every output bit.
#[inline(always)]
fn mix(mut word: u32) -> u32 {
    word ^= word >> 16;
    word = word.wrapping_mul(0x85EB_CA6B);
    word ^= word >> 13;
    word = word.wrapping_mul(0xC2B2_AE35);
    word ^ (word >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn threefry_gives_the_known_answers_of_random123() {
        assert_eq!(threefry([0, 0], [0, 0]), [0x6b20_0159, 0x99ba_4efe]);
        assert_eq!(threefry([u32::MAX; 2], [u32::MAX; 2]), [0x1cb9_96fc, 0xbb00_2be7]);
        assert_eq!(threefry([0x1319_8a2e, 0x0370_7344], [0x243f_6a88, 0x85a3_08d3]), [0xc492_3a9c, 0x483d_f7a0]);
    }

    #[test]
    fn below_covers_its_range_and_never_leaves_it() {
        assert_eq!(below(u32::MAX, 27), 26);
        assert_eq!(below(0, 27), 0);
        assert_eq!(below(u32::MAX, 1), 0);
    }

    proptest! {
        #[test]
        fn a_permutation_meets_each_number_once(seed: u32, index: u32, count in 1u32..3000) {
            let permutation = Permutation::new(seed, Purpose::Epoch, index, count);
            let mut met = vec![false; count as usize];
            for i in 0..count {
                met[permutation.apply(i) as usize] = true;
            }
            prop_assert!(met.into_iter().all(|x| x));
        }

        #[test]
        fn many_at_once_go_where_each_goes(seed: u32, count in 1u32..3000, first: u32, length in 0u32..60) {
            let permutation = Permutation::new(seed, Purpose::Epoch, 0, count);
            let first = first % count;
            let mut all = vec![0; length.min(count - first) as usize];
            permutation.apply_to_all(first, &mut all);
            for (index, found) in (first..).zip(all) {
                prop_assert_eq!(found, permutation.apply(index));
            }
        }
    }

    #[test]
    fn permutations_of_two_epochs_and_of_two_seeds_differ() {
        let order = |seed, epoch| -> Vec<u32> {
            let permutation = Permutation::new(seed, Purpose::Epoch, epoch, 1000);
            (0..1000).map(|i| permutation.apply(i)).collect()
        };
        assert_ne!(order(1, 0), order(1, 1));
        assert_ne!(order(1, 0), order(2, 0));
        // A shuffled order leaves about one number in a thousand in its place, not many.
        let fixed = order(1, 0).iter().enumerate().filter(|&(i, &x)| i as u32 == x).count();
        assert!(fixed < 10, "{fixed} fixed points");
    }
}
