//! What dropout multiplies the activations of a batch with.

use super::lanes::{InstructionSet, Job, LANES, Lanes};
use crate::engine::Mask;
use crate::text::random::threefry;

/// Draws the multipliers of some groups, 16 examples side by side: the same numbers as [`Mask::of_example`] of each.
pub(super) struct DrawMask<'a> {
    pub(super) mask: Mask,
    pub(super) step: u64,
    /// The place in the batch of the first group's first example.
    pub(super) first_lane: usize,
    /// [groups, width].
    pub(super) result: &'a mut [Lanes],
    pub(super) width: usize,
}

impl Job for DrawMask<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: InstructionSet>(self) {
        let DrawMask { mask, step, first_lane, result, width } = self;
        let pairs = width.div_ceil(2);
        let key = [mask.seed, mask.purpose as u32];
        for (group, rows) in result.chunks_exact_mut(width).enumerate() {
            let lane = (first_lane + group * LANES) as u32;
            for (pair, rows) in rows.chunks_mut(2).enumerate() {
                let mut words = [[0u32; LANES]; 2];
                for offset in 0..LANES {
                    let place = (lane + offset as u32).wrapping_mul(pairs as u32).wrapping_add(pair as u32);
                    let [even, odd] = threefry(key, [step as u32, place]);
                    (words[0][offset], words[1][offset]) = (even, odd);
                }
                for (row, words) in rows.iter_mut().zip(words) {
                    for offset in 0..LANES {
                        row.0[offset] = if words[offset] < mask.threshold { 0.0 } else { mask.kept };
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Recipe;
    use crate::engine::cpu::lanes::{Level, dispatch};

    #[test]
    fn groups_get_the_multipliers_of_their_examples() {
        let mask = Recipe { dropout_hidden: 0.4, ..Recipe::default() }.hidden_mask(9);
        for (level, width) in Level::available().into_iter().flat_map(|level| [(level, 7), (level, 10)]) {
            let mut result = vec![Lanes::ZERO; 2 * width];
            dispatch(level, DrawMask { mask, step: 5, first_lane: 32, result: &mut result, width });
            for lane in 0..2 * LANES {
                let expected = mask.of_example(5, 32 + lane, width);
                let found: Vec<f32> =
                    (0..width).map(|unit| result[lane / LANES * width + unit].0[lane % LANES]).collect();
                assert_eq!(found, expected);
            }
        }
    }
}
