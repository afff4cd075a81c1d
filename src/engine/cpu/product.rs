//! The two matrix products of a step, as register tiles without packing.
//!
//! Both keep every operand in the order in which its pass reads it, so nothing is copied into panels first: on the
//! small shapes that copying would cost as much as the product. Each element of a result is one sum in a fixed order,
//! whatever the tiles and threads are.

use std::hint::black_box;
use std::time::{Duration, Instant};

use super::lanes::{InstructionSet, Job, LANES, Lanes, tanh};
use super::vector::Vector;

/// A matrix of weights as the forward or the backward product reads it.
#[derive(Clone, Copy)]
pub(super) struct Weights<'a> {
    pub(super) values: &'a [f32],
    /// Numbers from one stored row to the next.
    pub(super) stride: usize,
    /// Element (row, inner) stands at `row * stride + inner`, or transposed at `inner * stride + row`.
    pub(super) transposed: bool,
}

impl Weights<'_> {
    fn index(&self, row: usize, inner: usize) -> usize {
        if self.transposed { inner * self.stride + row } else { row * self.stride + inner }
    }
}

/// Bytes of an operand block that should stay in the second-level cache while weights stream past it.
const CACHE_BLOCK: usize = 192 * 1024;
/// Inner elements of a block where the weights are read across their rows: so many rows stay in the first-level cache.
const INNER_BLOCK: usize = 64;

/// Calls `function::<I, ROWS>` with the number of rows as a constant, so that the tile stays in registers.
macro_rules! with_rows {
    ($rows:expr, $function:ident::<$isa:ident $(, $extra:literal)?>($($argument:expr),*)) => {
        with_rows!(@arms $rows, $function, $isa, [$($extra)?], ($($argument),*), 1 2 3 4 5 6 7 8 9 10 11 12)
    };
    (@arms $rows:expr, $function:ident, $isa:ident, [], $arguments:tt, $($n:literal)*) => {
        match $rows {
            $($n if $n <= $isa::ROWS => with_rows!(@call $function::<$isa, $n>, $arguments),)*
            rows => unreachable!("a tile of {rows} rows"),
        }
    };
    (@arms $rows:expr, $function:ident, $isa:ident, [$extra:literal], $arguments:tt, $($n:literal)*) => {
        match $rows {
            $($n if $n <= $isa::ROWS => with_rows!(@call $function::<$isa, $n, $extra>, $arguments),)*
            rows => unreachable!("a tile of {rows} rows"),
        }
    };
    (@call $function:expr, ($($argument:expr),*)) => {
        $function($($argument),*)
    };
}

/// `result[group][row] = sum over inner of weights[row][inner] * input[group][inner]`, plus what `result` held where
/// `accumulate` is set, with `finish` applied to each finished element.
pub(super) struct ExamplesProduct<'a> {
    pub(super) weights: Weights<'a>,
    /// Terms of each sum; may be less than `input_rows`.
    pub(super) inner: usize,
    /// [groups, input rows].
    pub(super) input: &'a [Lanes],
    pub(super) input_rows: usize,
    /// [groups, result rows], of which the first `rows` are computed.
    pub(super) result: &'a mut [Lanes],
    pub(super) result_rows: usize,
    pub(super) rows: usize,
    pub(super) accumulate: bool,
    pub(super) finish: Finish<'a>,
}

/// What becomes of a sum.
pub(super) enum Finish<'a> {
    /// It stays.
    Keep,
    /// tanh, and a copy by example: [groups * LANES, stride].
    /// Where `mask`, [groups, rows], is not empty, it is multiplied with that.
    Tanh { by_example: &'a mut [f32], stride: usize, mask: &'a [Lanes] },
    /// Times the slope of tanh, 1 - tanh^2; `hidden` is [groups, hidden rows]. Where `mask` is not empty, `hidden` is tanh
    /// times the mask, which is 0 or 1 / `share_kept`.
    TanhBackward { hidden: &'a [Lanes], hidden_rows: usize, mask: &'a [Lanes], share_kept: f32 },
}

impl Finish<'_> {
    #[inline(always)]
    fn apply<I: InstructionSet>(&mut self, rows: usize, group: usize, first_row: usize, values: &mut [Lanes]) {
        match self {
            Finish::Keep => {}
            Finish::Tanh { by_example, stride, mask } => {
                for (place, value) in values.iter_mut().enumerate() {
                    *value = value.map(
                        #[inline(always)]
                        |x| tanh::<I>(x),
                    );
                    if !mask.is_empty() {
                        *value = value.zip(
                            mask[group * rows + first_row + place],
                            #[inline(always)]
                            |a, mask| a * mask,
                        );
                    }
                    for lane in 0..LANES {
                        by_example[(group * LANES + lane) * *stride + first_row + place] = value.0[lane];
                    }
                }
            }
            Finish::TanhBackward { hidden, hidden_rows, mask, share_kept } if !mask.is_empty() => {
                let hidden = &hidden[group * *hidden_rows + first_row..][..values.len()];
                let mask = &mask[group * rows + first_row..][..values.len()];
                let share_kept = *share_kept;
                for ((value, hidden), mask) in values.iter_mut().zip(hidden).zip(mask) {
                    let slope = hidden.map(
                        #[inline(always)]
                        |a| 1.0 - (a * share_kept) * (a * share_kept),
                    );
                    let slope = slope.zip(
                        *mask,
                        #[inline(always)]
                        |slope, mask| slope * mask,
                    );
                    *value = value.zip(
                        slope,
                        #[inline(always)]
                        |d, slope| d * slope,
                    );
                }
            }
            Finish::TanhBackward { hidden, hidden_rows, .. } => {
                let hidden = &hidden[group * *hidden_rows + first_row..][..values.len()];
                for (value, hidden) in values.iter_mut().zip(hidden) {
                    *value = value.zip(
                        *hidden,
                        #[inline(always)]
                        |d, a| d * (1.0 - a * a),
                    );
                }
            }
        }
    }
}

impl Job for ExamplesProduct<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: InstructionSet>(self) {
        let ExamplesProduct { weights, inner, input, input_rows, result, result_rows, rows, .. } = self;
        let mut finish = self.finish;
        if inner == 0 {
            // A network without hidden units.
            return;
        }
        let groups = input.len() / input_rows;
        let inner_block = if weights.transposed { INNER_BLOCK.min(inner) } else { inner };
        let group_block = (CACHE_BLOCK / (inner_block * size_of::<Lanes>()).max(1)).max(1);
        for first_group in (0..groups).step_by(group_block) {
            for first_inner in (0..inner).step_by(inner_block.max(1)) {
                let inner_count = inner_block.min(inner - first_inner);
                let continued = self.accumulate || first_inner > 0;
                for (row, tile_rows) in even_tiles(rows, I::ROWS) {
                    let start = weights.index(row, first_inner);
                    let tile = &weights.values[start..];
                    for group in first_group..groups.min(first_group + group_block) {
                        let x = &input[group * input_rows + first_inner..][..inner_count];
                        let out = &mut result[group * result_rows + row..][..tile_rows];
                        if weights.transposed {
                            with_rows!(tile_rows, examples_tile::<I, true>(tile, weights.stride, x, out, continued));
                        } else {
                            with_rows!(tile_rows, examples_tile::<I, false>(tile, weights.stride, x, out, continued));
                        }
                        if first_inner + inner_count == inner {
                            finish.apply::<I>(rows, group, row, out);
                        }
                    }
                }
            }
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

/// A tile of sums in registers: each input is read once for all its rows.
#[inline(always)]
#[allow(unsafe_code)]
fn examples_tile<I: InstructionSet, const ROWS: usize, const TRANSPOSED: bool>(
    weights: &[f32],
    stride: usize,
    x: &[Lanes],
    result: &mut [Lanes],
    accumulate: bool,
) {
    let (rows, columns) = if TRANSPOSED { (x.len(), ROWS) } else { (ROWS, x.len()) };
    assert!(!x.is_empty() && (rows - 1) * stride + columns <= weights.len() && result.len() == ROWS);
    let mut sums = [I::Full::splat(0.0); ROWS];
    // SAFETY: the largest index into the weights was compared with their length above (a check at each would cost a
    // fifth of the time), and a `Lanes` holds as many numbers as a full vector.
    unsafe {
        if accumulate {
            for row in 0..ROWS {
                sums[row] = I::Full::load(result[row].0.as_ptr());
            }
        }
        for (inner, x) in x.iter().enumerate() {
            let x = I::Full::load(x.0.as_ptr());
            for row in 0..ROWS {
                let index = if TRANSPOSED { inner * stride + row } else { row * stride + inner };
                sums[row] = I::Full::mul_add(I::Full::splat(*weights.get_unchecked(index)), x, sums[row]);
            }
        }
        for row in 0..ROWS {
            sums[row].store(result[row].0.as_mut_ptr());
        }
    }
}

/// The gradient of some weights, `sum over the batch of delta[example][row] * input[example][column]`, and what it does to
/// them while it is in registers.
pub(super) struct ParametersProduct<'a> {
    /// [rows, stride].
    pub(super) weights: &'a mut [f32],
    /// A multiple of 8.
    pub(super) stride: usize,
    pub(super) deltas: Deltas<'a>,
    /// [batch, stride].
    pub(super) input: &'a [f32],
    pub(super) batch: usize,
    pub(super) change: Change<'a>,
}

/// What becomes of a gradient.
#[derive(Clone, Copy)]
pub(super) enum Change<'a> {
    /// It is written over the weights.
    Write,
    /// weight -= rate * (gradient + decay * weight), with the decay of each column.
    Step { rate: f32, decay: &'a [f32] },
}

/// Gradients by group: [groups, rows], where row `first` belongs to the first row of the weights.
#[derive(Clone, Copy)]
pub(super) struct Deltas<'a> {
    pub(super) values: &'a [Lanes],
    pub(super) rows: usize,
    pub(super) first: usize,
}

impl Job for ParametersProduct<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: InstructionSet>(self) {
        let ParametersProduct { weights, stride, deltas, input, batch, change } = self;
        let wide = stride / LANES * LANES;
        for (row, tile_rows) in even_tiles(weights.len() / stride, I::ROWS) {
            let weights = &mut weights[row * stride..][..tile_rows * stride];
            let deltas = Deltas { first: deltas.first + row, ..deltas };
            for column in (0..wide).step_by(LANES) {
                with_rows!(tile_rows, full_tile::<I>(weights, stride, column, deltas, input, batch, change));
            }
            if wide < stride {
                with_rows!(tile_rows, half_tile::<I>(weights, stride, wide, deltas, input, batch, change));
            }
        }
    }
}

macro_rules! parameters_tile {
    ($name:ident, $vector:ident) => {
        #[inline(always)]
        #[allow(unsafe_code)]
        fn $name<I: InstructionSet, const ROWS: usize>(
            weights: &mut [f32],
            stride: usize,
            column: usize,
            deltas: Deltas,
            input: &[f32],
            batch: usize,
            change: Change,
        ) {
            let mut sums = [I::$vector::splat(0.0); ROWS];
            assert!(batch * stride <= input.len() && column + I::$vector::LANES <= stride);
            assert!(weights.len() == ROWS * stride);
            for group in 0..batch.div_ceil(LANES) {
                let delta = &deltas.values[group * deltas.rows + deltas.first..][..ROWS];
                for lane in 0..LANES.min(batch - group * LANES) {
                    // SAFETY: the last row of `input` was compared with its length above; lanes are below LANES, rows
                    // below the length of `delta`.
                    unsafe {
                        let x = I::$vector::load(input.as_ptr().add((group * LANES + lane) * stride + column));
                        for row in 0..ROWS {
                            let delta = *delta.get_unchecked(row).0.get_unchecked(lane);
                            sums[row] = I::$vector::mul_add(I::$vector::splat(delta), x, sums[row]);
                        }
                    }
                }
            }
            if let Change::Step { rate, decay } = change {
                assert!(decay.len() == stride);
                let rate = I::$vector::splat(-rate);
                for row in 0..ROWS {
                    // SAFETY: `weights` holds ROWS rows of `stride` numbers and `decay` one, compared above.
                    unsafe {
                        let weight = I::$vector::load(weights.as_ptr().add(row * stride + column));
                        let decay = I::$vector::load(decay.as_ptr().add(column));
                        let gradient = I::$vector::mul_add(decay, weight, sums[row]);
                        sums[row] = I::$vector::mul_add(rate, gradient, weight);
                    }
                }
            }
            for row in 0..ROWS {
                // SAFETY: as above.
                unsafe { sums[row].store(weights.as_mut_ptr().add(row * stride + column)) };
            }
        }
    };
}

parameters_tile!(full_tile, Full);
parameters_tile!(half_tile, Half);

/// Measures what the register tile of a product would reach if its operands cost nothing, in GFLOP/s of one thread.
pub(super) struct Peak;

impl Job for Peak {
    type Output = f64;

    #[inline(always)]
    fn run<I: InstructionSet>(self) -> f64 {
        const TURNS: usize = 20_000;
        let (start, mut best) = (Instant::now(), 0f64);
        // The best of many short loops: the machine may be busy for a while.
        while start.elapsed() < Duration::from_millis(150) {
            let turn = Instant::now();
            with_rows!(I::ROWS, peak_tile::<I>(TURNS));
            let operations = 2 * I::ROWS * LANES * TURNS;
            best = best.max(operations as f64 / turn.elapsed().as_secs_f64() / 1e9);
        }
        best
    }
}

#[inline(always)]
fn peak_tile<I: InstructionSet, const ROWS: usize>(turns: usize) {
    let factor = I::Full::splat(black_box(0.999));
    let mut sums = [factor; ROWS];
    for _ in 0..turns {
        for row in 0..ROWS {
            sums[row] = I::Full::mul_add(sums[row], factor, factor);
        }
    }
    black_box(sums);
}
