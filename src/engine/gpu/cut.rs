//! How a step is cut where a device cannot see its tensors whole, or would go round in a loop too often: the batch into
//! chunks whose logits fit one binding, and the rows of the vocabulary's matrices into blocks.

use std::ops::Range;

use super::device::{Device, MOST_WORKGROUPS};
use super::layout::{ALIGNMENT, Placed, padded};
use super::product::SMALLEST_TILE;
use crate::Result;
use crate::model::Shape;

/// What a device cannot see at once is cut anyway; tests cut more finely than the device asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    /// Examples of a chunk, at most.
    pub(super) examples: usize,
    /// Rows of a block, at most; blocks have to begin where a buffer can be bound, so it may be a few more.
    pub(super) rows: usize,
}

impl Default for Cut {
    fn default() -> Self {
        Cut {
            // Gradients are sums over the examples of a chunk, one after the other, and lose bits on the way: of a batch of
            // 100,000 they were 1.5 times as far from the reference as they may be in chunks of 4,096, 0.6 times in these.
            examples: 2048,
            // A dispatch has no more rows or columns of tiles than that.
            rows: MOST_WORKGROUPS as usize * SMALLEST_TILE as usize,
        }
    }
}

impl Cut {
    /// Chunks of a batch, all of the same size but perhaps the last. A token may be at every place of a chunk, and one
    /// invocation adds up what all of them give.
    pub(super) fn chunks(&self, device: &Device, shape: Shape, batch: usize) -> Vec<Range<usize>> {
        let widest = padded(shape.vocabulary).max(padded(shape.input())).max(padded(shape.hidden));
        let added_up = device.rounds() as usize / shape.context;
        ranges(batch, self.examples.min(device.binding_words() / widest).min(added_up), 1)
    }

    /// Blocks of the rows of a matrix. A matrix that cannot be cut finely enough is an error.
    pub(super) fn blocks(&self, device: &Device, placed: &Placed) -> Result<Vec<Range<usize>>> {
        let rows = placed.range.len() / placed.stride;
        // A block's columns of the logits are read four at a time.
        let step = (ALIGNMENT / common_divisor(ALIGNMENT, placed.stride)).max(4);
        let blocks = ranges(rows, self.rows.min(device.binding_words() / placed.stride), step);
        device.check_binding(placed.tensor.name, blocks[0].len() * placed.stride)?;
        Ok(blocks)
    }
}

/// `count` things in ranges of at most `most`, all of the same size but perhaps the last; all begin at multiples of `step`,
/// which is the smallest size.
fn ranges(count: usize, most: usize, step: usize) -> Vec<Range<usize>> {
    let most = (most / step).max(1) * step;
    let size = count.div_ceil(count.div_ceil(most).max(1)).next_multiple_of(step);
    (0..count).step_by(size.max(1)).map(|start| start..count.min(start + size)).collect()
}

fn common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ranges_cover_everything_once_and_are_small_enough(count in 1usize..5000, most in 0usize..600, power in 0u32..7) {
            let step = 1 << power;
            let found = ranges(count, most, step);
            prop_assert_eq!(found.iter().cloned().flatten().collect::<Vec<_>>(), (0..count).collect::<Vec<_>>());
            for range in &found {
                prop_assert!(range.start % step == 0 && range.len() <= most.max(step) && range.len() <= found[0].len());
            }
        }
    }

    #[test]
    fn ranges_are_of_one_size() {
        assert_eq!(ranges(320, 279, 1), [0..160, 160..320]);
        assert_eq!(ranges(101, 16, 16), [0..16, 16..32, 32..48, 48..64, 64..80, 80..96, 96..101]);
        assert_eq!(ranges(100, usize::MAX, 16).len(), 1);
        assert_eq!(common_divisor(64, 300), 4);
        assert_eq!(common_divisor(64, 7), 1);
    }
}
