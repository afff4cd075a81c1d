//! What dropout multiplies the activations of a batch with.

use std::ops::Range;

use super::home::Columns;
use super::lanes::{InstructionSet, Job, LANES};
use crate::engine::Mask;
use crate::text::random::threefry;

/// Draws the multipliers of some numbers of some examples: the same as [`Mask::of_example`] of each.
pub(super) struct DrawMask<'a> {
    pub(super) mask: Mask,
    pub(super) step: u64,
    pub(super) examples: Range<usize>,
    /// Which of an example's numbers is the first, an even one.
    pub(super) first: usize,
    /// Numbers of an example; those beyond get zero.
    pub(super) width: usize,
    /// The numbers from the first on, [B, columns]; these examples' are the caller's own.
    pub(super) result: Columns<'a>,
}

impl Job for DrawMask<'_> {
    type Output = ();

    #[inline(always)]
    #[allow(unsafe_code)]
    fn run<I: InstructionSet>(self) {
        let DrawMask { mask, step, examples, first, width, result } = self;
        let pairs = width.div_ceil(2) as u32;
        let key = [mask.seed, mask.purpose as u32];
        for example in examples {
            // SAFETY: they are the caller's own.
            let row = unsafe { result.write_row(example) };
            for (block, row) in row.chunks_mut(2 * LANES).enumerate() {
                let begin = first + block * 2 * LANES;
                let place = (example as u32).wrapping_mul(pairs).wrapping_add((begin / 2) as u32);
                // Loops of constant length, which become vector instructions.
                let mut words = [[0u32; LANES]; 2];
                for lane in 0..LANES {
                    let [even, odd] = threefry(key, [step as u32, place.wrapping_add(lane as u32)]);
                    (words[0][lane], words[1][lane]) = (even, odd);
                }
                let mut values = [0.0; 2 * LANES];
                for lane in 0..LANES {
                    for (odd, of_half) in words.iter().enumerate() {
                        values[2 * lane + odd] = if of_half[lane] >= mask.threshold { mask.kept } else { 0.0 };
                    }
                }
                let counted = width.saturating_sub(begin).min(row.len());
                let (inside, beyond) = row.split_at_mut(counted);
                inside.copy_from_slice(&values[..counted]);
                beyond.fill(0.0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Recipe;
    use crate::engine::cpu::lanes::{Lanes, Level, dispatch};
    use crate::engine::cpu::network::numbers;
    use crate::engine::cpu::threads::Shared;

    #[test]
    fn examples_get_their_multipliers() {
        let mask = Recipe { dropout_hidden: 0.4, ..Recipe::default() }.hidden_mask(9);
        for (level, width) in Level::available().into_iter().flat_map(|level| [(level, 7), (level, 70)]) {
            let mut result = Shared::new(Lanes::ZERO, 20);
            for columns in [0..32, 32..80] {
                let columns = columns.start.min(width + 1)..columns.end.min(width + 1);
                if !columns.is_empty() {
                    let (examples, first, result) = (1..4, columns.start, Columns::new(&result, 80, &columns));
                    dispatch(level, DrawMask { mask, step: 5, examples, first, width, result });
                }
            }
            for example in 1..4 {
                let found = &numbers(result.get_mut())[example * 80..][..width + 1];
                assert_eq!(found[..width], mask.of_example(5, example, width));
                assert_eq!(found[width], 0.0);
            }
        }
    }
}
