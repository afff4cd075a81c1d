//! What a thread has of the hidden layer, and the sums of what all of them add to the logits and to the gradient of the input.
//!
//! Sums over hidden units are taken block by block, and over blocks pair by pair, whoever has them: so their bits do not
//! depend on the number of threads.

use std::ops::Range;

use super::lanes::LANES;
use super::network::Layout;
use super::threads::part;
use super::vector::Vector;

/// What a thread has of the hidden layer.
#[derive(Clone)]
pub(super) struct Share {
    pub(super) blocks: Range<usize>,
    pub(super) columns: Range<usize>,
    /// Whether the blocks go to the threads in pairs.
    pub(super) in_pairs: bool,
}

impl Share {
    /// The share of thread `index` of `threads`.
    pub(super) fn new(layout: Layout, (index, threads): (usize, usize)) -> Self {
        if layout.blocks == 0 {
            let lines = part(layout.hidden_stride.div_ceil(LANES), index, threads);
            let columns = lines.start * LANES..(lines.end * LANES).min(layout.hidden_stride);
            return Share { blocks: 0..0, columns, in_pairs: false };
        }
        let blocks = part(layout.blocks, index, threads);
        Share { columns: layout.columns_of(blocks.clone()), blocks, in_pairs: in_pairs(layout, threads) }
    }

    /// The place of what a block adds, and whether it is added to what is there: a thread that has both blocks of a pair
    /// leaves their sum in the place of the first, so that half as much goes between threads.
    pub(super) fn place_of(&self, block: usize) -> (usize, bool) {
        if self.in_pairs && block % 2 == 1 { (block - 1, true) } else { (block, false) }
    }

    /// How many of its columns passes work on, see [`Layout::counted`].
    pub(super) fn counted(&self, layout: Layout) -> usize {
        layout.counted(self.columns.start, self.columns.len())
    }

    /// For each block, its columns among those of the share, of which the first `most` of the layer count.
    pub(super) fn blocks(&self, layout: Layout, most: usize) -> impl Iterator<Item = (usize, Range<usize>)> {
        let first = self.columns.start;
        self.blocks.clone().map(move |block| {
            let columns = layout.columns_of(block..block + 1);
            (block, columns.start - first..columns.end.min(most) - first)
        })
    }
}

/// Whether so many threads have the blocks of hidden units in pairs.
fn in_pairs(layout: Layout, threads: usize) -> bool {
    layout.blocks > 1 && (0..threads).all(|index| part(layout.blocks, index, threads).start.is_multiple_of(2))
}

/// The sum of what the blocks add to the numbers from a place on, pair after pair; what a pair adds is summed first, by the
/// thread that has it or here.
///
/// # Safety
/// The numbers of every block lie within the terms: from one block's to the next one's are `stride` numbers.
#[inline(always)]
#[allow(unsafe_code)]
pub(super) unsafe fn sum_of_blocks<V: Vector>(
    terms: &[f32],
    stride: usize,
    place: usize,
    blocks: usize,
    in_pairs: bool,
) -> V {
    // SAFETY: the caller's promise.
    unsafe {
        let term = |block: usize| {
            debug_assert!(block * stride + place + V::LANES <= terms.len());
            V::load(terms.as_ptr().add(block * stride + place))
        };
        let pair = |first: usize| {
            if in_pairs || first + 1 == blocks { term(first) } else { term(first).add(term(first + 1)) }
        };
        let mut sum = pair(0);
        for first in (2..blocks).step_by(2) {
            sum = sum.add(pair(first));
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Shape;

    #[test]
    fn blocks_go_in_pairs_where_no_pair_is_cut() {
        let shape = Shape { vocabulary: 27, context: 3, embedding: 10, hidden: 200, direct: false, tied: false };
        let layout = Layout::new(shape);
        assert_eq!(layout.blocks, 4);
        let in_pairs = [1, 2, 3, 4, 5].map(|threads| in_pairs(layout, threads));
        assert_eq!(in_pairs, [true, true, false, false, false]);
        let places = |threads: usize| -> Vec<usize> {
            let shares = (0..threads).map(|index| Share::new(layout, (index, threads)));
            shares.flat_map(|share| share.blocks.clone().map(move |block| share.place_of(block).0)).collect()
        };
        assert_eq!(places(2), [0, 0, 2, 2]);
        assert_eq!(places(3), [0, 1, 2, 3]);
    }

    #[test]
    fn sums_have_the_same_bits_in_pairs_and_apart() {
        for blocks in [1, 2, 4, 8, 16] {
            // Numbers whose sum depends on the order.
            let apart: Vec<f32> = (0..blocks * 8).map(|place| 1.0 / (place * place + 3) as f32).collect();
            let mut in_pairs = apart.clone();
            for first in (0..blocks - 1).step_by(2) {
                for lane in 0..8 {
                    in_pairs[first * 8 + lane] += in_pairs[(first + 1) * 8 + lane];
                    in_pairs[(first + 1) * 8 + lane] = f32::NAN;
                }
            }
            for place in 0..8 {
                // SAFETY: each block has eight numbers.
                #[allow(unsafe_code)]
                let sums = unsafe {
                    [
                        sum_of_blocks::<f32>(&apart, 8, place, blocks, false),
                        sum_of_blocks::<f32>(&in_pairs, 8, place, blocks, blocks > 1),
                    ]
                };
                assert_eq!(sums[0].to_bits(), sums[1].to_bits());
            }
        }
    }
}
