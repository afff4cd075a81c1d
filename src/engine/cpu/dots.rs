//! Products of rows with a few rows, without turning one of the matrices.

use std::ops::Range;

use super::lanes::{InstructionSet, Job, LANES};
use super::threads::Numbers;
use super::vector::Vector;

/// `out[l][r]` = sum over some columns c of `left[l][c] right[r][c]`.
pub(super) struct Dots<'a> {
    /// [.., left stride].
    pub(super) left: &'a [f32],
    pub(super) left_stride: usize,
    /// [rows, right stride].
    pub(super) right: Numbers<'a>,
    pub(super) right_stride: usize,
    /// Of the right matrix, at least one.
    pub(super) rows: usize,
    /// They begin at a multiple of 16. Up to the next multiple the left rows hold numbers after their end, which do not count.
    pub(super) columns: Range<usize>,
    /// [.., out stride].
    pub(super) out: &'a mut [f32],
    pub(super) out_stride: usize,
    /// Whether the sums are added to what is there.
    pub(super) adds: bool,
}

impl Job for Dots<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: InstructionSet>(self) {
        let Dots { left, left_stride, right, right_stride, rows, columns, out, out_stride, adds } = self;
        // Two left rows with two right ones, for as many sums that do not wait for each other.
        for (left, out) in left.chunks(2 * left_stride).zip(out.chunks_mut(2 * out_stride)) {
            let mut tile =
                Tile { left, left_stride, right, right_stride, columns: columns.clone(), out, out_stride, adds };
            let mut row = 0;
            while row < rows {
                row += match (left.len() > left_stride, rows - row) {
                    (true, 1) => tile.sums::<I::Full, 2, 1>(row),
                    (true, _) => tile.sums::<I::Full, 2, 2>(row),
                    (false, 1) => tile.sums::<I::Full, 1, 1>(row),
                    (false, _) => tile.sums::<I::Full, 1, 2>(row),
                };
            }
        }
    }
}

/// One left row or two, and what becomes of them.
struct Tile<'a> {
    left: &'a [f32],
    left_stride: usize,
    right: Numbers<'a>,
    right_stride: usize,
    columns: Range<usize>,
    out: &'a mut [f32],
    out_stride: usize,
    adds: bool,
}

/// A vector from here has ones first, then zeros.
static ENDS: [f32; 2 * LANES] = {
    let mut ends = [0.0; 2 * LANES];
    let mut lane = 0;
    while lane < LANES {
        ends[lane] = 1.0;
        lane += 1;
    }
    ends
};

impl Tile<'_> {
    /// The sums of `L` left rows with `R` right ones from row `row` on; says how many these are.
    #[inline(always)]
    #[allow(unsafe_code)]
    fn sums<V: Vector, const L: usize, const R: usize>(&mut self, row: usize) -> usize {
        let Tile { left, left_stride, right, right_stride, ref columns, ref mut out, out_stride, adds } = *self;
        let end = columns.end.next_multiple_of(LANES);
        assert!(V::LANES == LANES && columns.start.is_multiple_of(LANES) && end <= left_stride);
        assert!(left.len() >= L * left_stride && (row + R - 1) * right_stride + end <= right.length);
        let mut sums = [[V::splat(0.0); R]; L];
        for column in (columns.start..end).step_by(LANES) {
            let counted = columns.end - column;
            // SAFETY: at least one number counts, so that the ones and zeros begin among the first sixteen.
            let counts = (counted < LANES).then(
                #[inline(always)]
                || unsafe { V::load(ENDS[LANES - counted..].as_ptr()) },
            );
            for (l, sums) in sums.iter_mut().enumerate() {
                // SAFETY: whole vectors up to the end lie within the rows, which was compared above.
                let mut value = unsafe { V::load(left.as_ptr().add(l * left_stride + column)) };
                if let Some(counts) = counts {
                    value = value.mul(counts);
                }
                for (r, sum) in sums.iter_mut().enumerate() {
                    // SAFETY: as above.
                    let weight = unsafe { V::load(right.start.add((row + r) * right_stride + column)) };
                    *sum = V::mul_add(value, weight, *sum);
                }
            }
        }
        for (l, sums) in sums.iter().enumerate() {
            for (sum, out) in sums.iter().zip(&mut out[l * out_stride + row..][..R]) {
                *out = if adds { *out + sum.sum() } else { sum.sum() };
            }
        }
        R
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::cpu::lanes::{Level, dispatch};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn they_are_what_loops_give(
            count in 1usize..6, rows in 1usize..6, first in 0usize..3, length in 1usize..60, more in 0usize..3, adds: bool,
        ) {
            let columns = LANES * first..LANES * first + length;
            let left_stride = columns.end.next_multiple_of(LANES) + 8 * more;
            let (right_stride, out_stride) = (left_stride + 8, rows + more);
            let number = |seed: usize| ((seed * 7919 + 13) % 101) as f32 / 50.0 - 1.0;
            let left: Vec<f32> = (0..count * left_stride).map(number).collect();
            let right: Vec<f32> = (0..rows * right_stride).map(|place| number(place + 1)).collect();
            for level in Level::available() {
                let mut out = vec![9.0; count * out_stride];
                dispatch(level, Dots {
                    left: &left, left_stride, right: right[..].into(), right_stride, rows, columns: columns.clone(),
                    out: &mut out, out_stride, adds,
                });
                for (place, &found) in out.iter().enumerate() {
                    let (l, r) = (place / out_stride, place % out_stride);
                    let product = |c: usize| left[l * left_stride + c] * right[r * right_stride + c];
                    let before = if adds { 9.0 } else { 0.0 };
                    let expected = if r < rows { before + columns.clone().map(product).sum::<f32>() } else { 9.0 };
                    prop_assert!((found - expected).abs() < 1e-4, "{} {} {}", place, found, expected);
                }
            }
        }
    }
}
