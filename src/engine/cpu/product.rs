//! The matrix product of all passes, as register tiles.
//!
//! A pass keeps every operand in the order in which it reads it: the right one as rows of vectors, the left one as
//! numbers that are spread over a vector. Each element of a result is one sum in the order of the inner index, whatever
//! the tiles and threads are.

use std::hint::black_box;
use std::time::{Duration, Instant};

use super::functions::tanh_slope;
use super::lanes::{InstructionSet, Job, LANES};
use super::threads::{Numbers, NumbersMut};
use super::vector::{Vector, ask_for};

/// `out[row][column] = sum over inner of left[row][inner] * right[inner][column]`, or what `change` makes of it.
pub(super) struct Product<'a> {
    pub(super) left: Left<'a>,
    pub(super) rows: usize,
    pub(super) inner: usize,
    /// [inner, right stride], of which the first `columns` are read.
    pub(super) right: Numbers<'a>,
    pub(super) right_stride: usize,
    /// A multiple of 8.
    pub(super) columns: usize,
    /// [rows, out stride].
    pub(super) out: NumbersMut<'a>,
    pub(super) out_stride: usize,
    pub(super) change: Change<'a>,
}

/// A product with a left operand by rows, during which memory is asked for what comes after it, so that it is in the
/// second-level cache when it is used. Without it the products of a step with 16,383 words waited a tenth of their time.
pub(super) struct ProductAhead<'a> {
    pub(super) product: Product<'a>,
    pub(super) next: [Numbers<'a>; 2],
}

/// The left operand.
#[derive(Clone, Copy)]
pub(super) enum Left<'a> {
    /// Element (row, inner) stands at `row * stride + inner`.
    Rows { values: Numbers<'a>, stride: usize },
    /// Element (row, inner) stands at `inner * stride + row`.
    Columns { values: Numbers<'a>, stride: usize },
}

/// What becomes of a sum.
#[derive(Clone, Copy)]
pub(super) enum Change<'a> {
    /// It is written.
    Write,
    /// It is added.
    Add,
    /// A gradient step of weights: weight -= rate * (sum + decay * weight), with the decay of each column.
    Step { rate: f32, decay: &'a [f32] },
    /// It is the gradient of hidden units, and becomes that before tanh.
    BeforeTanh(BeforeTanh<'a>),
}

/// What makes the gradient before tanh of that of hidden units. Made in the product's registers, a step of `notebook`
/// is 1 to 2 % faster than with a pass of its own, and one of `wide` some 3 % slower.
#[derive(Clone, Copy)]
pub(super) struct BeforeTanh<'a> {
    /// The hidden units, [rows, stride].
    pub(super) units: Numbers<'a>,
    pub(super) stride: usize,
    /// What dropout multiplied them with, [rows, stride], if it is on.
    pub(super) mask: Option<Numbers<'a>>,
    /// What dropout keeps.
    pub(super) share_kept: f32,
    /// Whether the sum is added to what is there first.
    pub(super) adds: bool,
}

/// Calls `function::<V, ROWS, ...>` with the number of rows as a constant, so that the tile stays in registers.
macro_rules! with_rows {
    ($rows:expr, $isa:ident, $function:ident::<$vector:ty, $($constant:ident),*>($($argument:expr),*)) => {
        with_rows!(
            @arms $rows, $isa, $function, $vector, [$($constant),*], ($($argument),*), 1 2 3 4 5 6 7 8 9 10 11 12
        )
    };
    (@arms $rows:expr, $isa:ident, $function:ident, $vector:ty, $constants:tt, $arguments:tt, $($n:literal)*) => {
        match $rows {
            $($n if $n <= $isa::ROWS => with_rows!(@call $function, $vector, $n, $constants, $arguments),)*
            rows => unreachable!("a tile of {rows} rows"),
        }
    };
    (@call $function:ident, $vector:ty, $n:literal, [$($constant:ident),*], ($($argument:expr),*)) => {
        $function::<$vector, $n, $($constant),*>($($argument),*)
    };
}

impl Job for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: InstructionSet>(self) {
        let nothing: [Numbers; 2] = [[].as_slice().into(); 2];
        match self.left {
            Left::Rows { values, stride } => self.tiles::<I, false, false>(values, stride, nothing),
            Left::Columns { values, stride } => self.tiles::<I, true, false>(values, stride, nothing),
        }
    }
}

impl Job for ProductAhead<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: InstructionSet>(self) {
        match self.product.left {
            Left::Rows { values, stride } => self.product.tiles::<I, false, true>(values, stride, self.next),
            Left::Columns { .. } => unreachable!("no caller has such a product"),
        }
    }
}

impl Product<'_> {
    #[inline(always)]
    #[allow(unsafe_code)]
    fn tiles<I: InstructionSet, const ACROSS: bool, const AHEAD: bool>(
        self,
        left: Numbers,
        left_stride: usize,
        next: [Numbers; 2],
    ) {
        let Product { rows, inner, right, right_stride, columns, out, out_stride, change, .. } = self;
        if rows == 0 || columns == 0 {
            return;
        }
        // What the tiles read and write without further checks: one at each index would cost a fifth of the time.
        let (major, minor) = if ACROSS { (inner, rows) } else { (rows, inner) };
        assert!(columns.is_multiple_of(LANES / 2) && columns <= right_stride && columns <= out_stride);
        assert!(minor <= left_stride && major.max(1) * left_stride <= left.length + left_stride - minor);
        assert!(inner.max(1) * right_stride <= right.length + right_stride - columns);
        assert!(rows * out_stride <= out.length + out_stride - columns);
        match change {
            Change::Write | Change::Add => {}
            Change::Step { decay, .. } => assert!(columns <= decay.len()),
            Change::BeforeTanh(BeforeTanh { units, stride, mask, .. }) => {
                let least = units.length.min(mask.map_or(units.length, |mask| mask.length));
                assert!(columns <= stride && rows * stride <= least + stride - columns);
            }
        }
        // Each tile asks for its share of what comes next, a little with each inner index: too much rather than too little.
        let mut ahead = next.map(
            #[inline(always)]
            |next| {
                let passes = (columns / LANES).div_ceil(I::COLUMNS) + usize::from(!columns.is_multiple_of(LANES));
                let share =
                    if AHEAD { (next.length * size_of::<f32>()).div_ceil(rows.div_ceil(I::ROWS) * passes) } else { 0 };
                Ahead { place: next.start.cast(), share, step: if AHEAD { share.div_ceil(inner.max(1)) } else { 0 } }
            },
        );
        let mut column = 0;
        while column < columns {
            let left_columns = (columns - column) / LANES;
            let width = left_columns.min(I::COLUMNS);
            for (row, tile_rows) in even_tiles(rows, I::ROWS) {
                // SAFETY: the tile lies within what the asserts compared with the lengths.
                unsafe {
                    let place = Place {
                        left: left.start.add(if ACROSS { row } else { row * left_stride }),
                        left_stride,
                        right: right.start.add(column),
                        right_stride,
                        inner,
                        out: out.start.add(row * out_stride + column),
                        out_stride,
                        row,
                        column,
                        ahead,
                    };
                    match width {
                        2 => with_rows!(tile_rows, I, tile::<[I::Full; 2], ACROSS, AHEAD>(place, change)),
                        1 => with_rows!(tile_rows, I, tile::<I::Full, ACROSS, AHEAD>(place, change)),
                        _ => with_rows!(tile_rows, I, tile::<I::Half, ACROSS, AHEAD>(place, change)),
                    }
                }
                if AHEAD {
                    ahead.iter_mut().for_each(
                        #[inline(always)]
                        |ahead| ahead.place = ahead.place.wrapping_add(ahead.share),
                    );
                }
            }
            column += if width == 0 { LANES / 2 } else { width * LANES };
        }
    }
}

/// Cuts `rows` into tiles of nearly equal height, at most `most` rows each: no last tile of one row, which would leave
/// the multipliers waiting for one another.
#[inline(always)]
fn even_tiles(rows: usize, most: usize) -> impl Iterator<Item = (usize, usize)> {
    let tiles = rows.div_ceil(most);
    (0..tiles).map(move |tile| {
        let first = tile * rows / tiles;
        (first, (tile + 1) * rows / tiles - first)
    })
}

/// Where a tile's operands and its result begin.
#[derive(Clone, Copy)]
struct Place {
    left: *const f32,
    left_stride: usize,
    right: *const f32,
    right_stride: usize,
    inner: usize,
    out: *mut f32,
    out_stride: usize,
    row: usize,
    column: usize,
    ahead: [Ahead; 2],
}

/// Where memory is asked for numbers with the first inner index, how many bytes belong to a tile, and how many further it is
/// with each inner index.
#[derive(Clone, Copy)]
struct Ahead {
    place: *const u8,
    share: usize,
    step: usize,
}

/// A tile of sums in registers: each vector of the right operand is read once for all its rows.
///
/// # Safety
/// All that the place and the number of rows name lies within its buffers.
#[inline(always)]
#[allow(unsafe_code)]
unsafe fn tile<V: Vector, const ROWS: usize, const ACROSS: bool, const AHEAD: bool>(place: Place, change: Change) {
    let Place { left, left_stride, right, right_stride, inner, out, out_stride, row: first, column, ahead } = place;
    let mut sums = [V::splat(0.0); ROWS];
    // SAFETY: the caller's promise.
    unsafe {
        for inner in 0..inner {
            if AHEAD {
                for Ahead { place, step, .. } in ahead {
                    ask_for(place.wrapping_add(inner * step));
                }
            }
            let x = V::load(right.add(inner * right_stride));
            for row in 0..ROWS {
                let index = if ACROSS { inner * left_stride + row } else { row * left_stride + inner };
                sums[row] = V::mul_add(V::splat(*left.add(index)), x, sums[row]);
            }
        }
        match change {
            Change::Write => {}
            Change::Add => {
                for row in 0..ROWS {
                    sums[row] = V::load(out.add(row * out_stride)).add(sums[row]);
                }
            }
            Change::Step { rate, decay } => {
                let (rate, decay) = (V::splat(-rate), V::load(decay.as_ptr().add(column)));
                for row in 0..ROWS {
                    let weight = V::load(out.add(row * out_stride));
                    sums[row] = V::mul_add(rate, V::mul_add(decay, weight, sums[row]), weight);
                }
            }
            Change::BeforeTanh(BeforeTanh { units, stride, mask, share_kept, adds }) => {
                let place = first * stride + column;
                if adds {
                    for row in 0..ROWS {
                        sums[row] = V::load(out.add(row * out_stride)).add(sums[row]);
                    }
                }
                for row in 0..ROWS {
                    let unit = V::load(units.start.add(place + row * stride));
                    sums[row] = sums[row].mul(tanh_slope(unit, V::splat(share_kept)));
                }
                if let Some(mask) = mask {
                    for row in 0..ROWS {
                        sums[row] = sums[row].mul(V::load(mask.start.add(place + row * stride)));
                    }
                }
            }
        }
        for row in 0..ROWS {
            sums[row].store(out.add(row * out_stride));
        }
    }
}

/// Measures what the register tile of a product would reach if its operands cost nothing, in GFLOP/s of one thread.
pub(super) struct Peak;

impl Job for Peak {
    type Output = f64;

    #[inline(always)]
    fn run<I: InstructionSet>(self) -> f64 {
        // Machines differ in which registers multiply the most, and sets in how many there are.
        [peak::<I::Full, 12>(), peak::<I::Half, 12>(), peak::<I::Half, 6>()].into_iter().fold(0.0, f64::max)
    }
}

/// The same with so many accumulators, which should keep all multipliers busy and fit into the registers.
#[inline(always)]
fn peak<V: Vector, const SUMS: usize>() -> f64 {
    const TURNS: usize = 20_000;
    let (start, mut best) = (Instant::now(), 0f64);
    // The best of many short loops: the machine may be busy for a while.
    while start.elapsed() < Duration::from_millis(60) {
        let turn = Instant::now();
        let factor = V::splat(black_box(0.999));
        let mut sums = [factor; SUMS];
        for _ in 0..TURNS {
            for sum in &mut sums {
                *sum = V::mul_add(*sum, factor, factor);
            }
        }
        black_box(sums);
        let operations = 2 * SUMS * V::LANES * TURNS;
        best = best.max(operations as f64 / turn.elapsed().as_secs_f64() / 1e9);
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::cpu::lanes::{Level, dispatch};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn products_are_what_loops_give(rows in 1usize..40, inner in 1usize..9, eights in 1usize..9, across: bool) {
            let columns = 8 * eights;
            let number = |seed: usize| ((seed * 7919 + 13) % 101) as f32 / 50.0 - 1.0;
            let left: Vec<f32> = (0..rows * inner).map(number).collect();
            let right: Vec<f32> = (0..inner * columns).map(|place| number(place + 1)).collect();
            let decay = vec![0.25; columns];
            let units: Vec<f32> = (0..rows * columns).map(|place| number(place + 3)).collect();
            let mask: Vec<f32> = (0..rows * columns).map(|place| (place % 3) as f32).collect();
            for level in Level::available() {
                let before_tanh = BeforeTanh {
                    units: units[..].into(), stride: columns, mask: None, share_kept: 1.0, adds: false,
                };
                let dropped = BeforeTanh { mask: Some(mask[..].into()), share_kept: 0.5, adds: true, ..before_tanh };
                let changes = [
                    Change::Write, Change::Add, Change::Step { rate: 0.5, decay: &decay },
                    Change::BeforeTanh(before_tanh), Change::BeforeTanh(dropped),
                ];
                for change in changes {
                    let mut out: Vec<f32> = (0..rows * columns).map(|place| number(place + 2)).collect();
                    let before = out.clone();
                    let of_tile = if across {
                        Left::Columns { values: left[..].into(), stride: rows }
                    } else {
                        Left::Rows { values: left[..].into(), stride: inner }
                    };
                    dispatch(level, Product {
                        left: of_tile, rows, inner, right: right[..].into(), right_stride: columns, columns,
                        out: (&mut out[..]).into(),
                        out_stride: columns, change,
                    });
                    for row in 0..rows {
                        for column in 0..columns {
                            let of_left = |k: usize| left[if across { k * rows + row } else { row * inner + k }];
                            let sum: f32 = (0..inner).map(|k| of_left(k) * right[k * columns + column]).sum();
                            let old = before[row * columns + column];
                            let expected = match change {
                                Change::Write => sum,
                                Change::Add => old + sum,
                                Change::Step { rate, .. } => old - rate * (sum + 0.25 * old),
                                Change::BeforeTanh(BeforeTanh { mask: dropout, share_kept, adds, .. }) => {
                                    let tanh = units[row * columns + column] * share_kept;
                                    let kept = if dropout.is_some() { mask[row * columns + column] } else { 1.0 };
                                    (sum + if adds { old } else { 0.0 }) * (1.0 - tanh * tanh) * kept
                                }
                            };
                            prop_assert!((out[row * columns + column] - expected).abs() < 1e-5);
                        }
                    }
                }
            }
        }
    }
}
