//! How a step is cut: into workgroups that suit a device; and where it cannot see its tensors whole, or would go round in a
//! loop too often, the batch into chunks whose logits fit one binding, and the rows of the vocabulary's matrices into blocks.

use std::ops::Range;

use super::device::{Device, MOST_WORKGROUPS, WORKGROUP_BYTES};
use super::layout::{ALIGNMENT, Placed, padded};
use super::product::{FEWEST_INVOCATIONS, SLICED, SMALLEST_TILE, Variant};
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
    /// invocation, or a few, add up what all of them give.
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

/// Turns of a workgroup of a software device that works beside a product, at most.
const TURNS: usize = 16;

/// Bytes of a workgroup's memory that a GPU keeps free beside the tiles of a product: with 48 KiB it has room for the largest ones
/// then, and with 32 KiB, as some have, for all but those.
const BYTES_BESIDE: u32 = 15 << 10;

/// How work is cut for a device.
impl Device {
    /// Invocations in the workgroups of most kernels: a software device works through them one after the other, and
    /// finer workgroups spread better over its threads.
    pub fn workgroup(&self) -> u32 {
        if self.is_software() { 64 } else { 256 }
    }

    /// Invocations of a workgroup that goes along a row and comes back to its beginning: on a software device those of one
    /// vector register, which read the row in one run each time, where many walk in strides past a core's cache (lavapipe,
    /// softmax of 16,383 logits a row: 8.8 ms in 8, 11.5 in 32, 15.6 in 64). Sums depend on it in their last bits, so that it
    /// is a rule and no measurement: a seed fixes a run. Rows that are so long that the rounds would be too many
    /// ([`Device::rounds`]) take more.
    pub(super) fn row_workgroup(&self, columns: u32) -> u32 {
        const PASSES: u32 = 3;
        if self.is_software() && PASSES * columns.div_ceil(4 * 8) < self.rounds() { 8 } else { 256 }
    }

    /// Fours of a row that each invocation holds in registers, of those it has: on a GPU all of them up to 20, with which a core still
    /// has room for two workgroups. A software device has few registers, and the row in its cache.
    pub(super) fn held(&self, fours: u32) -> u32 {
        if self.is_software() { 0 } else { fours.min(20) }
    }

    /// Workgroups that do something else beside those of a product, where there is work for so many. Mesa's llvmpipe goes
    /// through both branches of every `if`, so each of them goes through the product's code in vain, in 40 microseconds:
    /// there they are fewer, and take turns.
    pub(super) fn workgroups_beside(&self, needed: usize) -> usize {
        const FEWEST: usize = 4;
        if self.is_software() { needed.div_ceil(TURNS).max(FEWEST) } else { needed }
    }

    /// Turns that such a workgroup takes, at most.
    pub(super) fn turns_beside(&self) -> usize {
        if self.is_software() { TURNS } else { 1 }
    }

    /// Whether the occurrences of tokens are sorted, not linked: a GPU, which waits for each answer, is not led from one to the
    /// next, but a software device finds links with far fewer comparisons.
    pub(super) fn sorts(&self) -> bool {
        !self.is_software()
    }

    /// Invocations that share the occurrences of a token: no more than the smallest workgroup has. Sums depend on it in their
    /// last bits, so that it is a rule and no measurement.
    pub(super) fn spread(&self) -> u32 {
        // What they share comes on top of the tiles of a product.
        if self.sorts() && self.limits().workgroup_storage_bytes >= 2 * WORKGROUP_BYTES {
            FEWEST_INVOCATIONS as u32
        } else {
            1
        }
    }

    /// Whether each example has invocations of its own that take it back to the input beside a product: for a GPU, where it is done the
    /// sooner, if there is room for so many numbers of an example beside the tiles of a product.
    pub(super) fn goes_back_wide(&self, numbers: u32) -> bool {
        4 * numbers <= self.bytes_beside()
    }

    /// Whether a product can be made this way, whatever stands beside it: what was found for it counts for both.
    pub(super) fn has_room_for(&self, variant: &Variant) -> bool {
        variant.workgroup_bytes() + self.bytes_beside() <= self.limits().workgroup_storage_bytes
    }

    /// Bytes of a workgroup's memory that are kept free beside the tiles of a product.
    fn bytes_beside(&self) -> u32 {
        let untried = Variant::usual(self.is_software()).workgroup_bytes().max(SLICED.workgroup_bytes());
        let rest = self.limits().workgroup_storage_bytes.saturating_sub(untried);
        if self.is_software() || rest < BYTES_BESIDE { 0 } else { BYTES_BESIDE }
    }

    /// Tokens of a part of a long sum over the vocabulary: a GPU has more cores to make parts side by side. Sums depend on it in
    /// their last bits, so that it is a rule and no measurement.
    pub(super) fn part(&self) -> usize {
        if self.is_software() { 512 } else { 256 }
    }

    /// Rounds that the loops of an invocation may take, all together: Mesa's llvmpipe ends loops after 65,535, without a
    /// word, and what they would have added is missing. A GPU is only to be done with a dispatch soon.
    pub(super) fn rounds(&self) -> u32 {
        if self.is_software() { 48 << 10 } else { 1 << 18 }
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
