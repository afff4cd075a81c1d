//! The two matrix products of a step, as register tiles without packing.
//!
//! Both keep every operand in the order in which its pass reads it, so nothing is copied into panels first: on the
//! small shapes that copying would cost as much as the product. Each element of a result is one sum in a fixed order,
//! whatever the tiles and threads are.

use std::hint::black_box;
use std::time::{Duration, Instant};

use super::lanes::{InstructionSet, Job, LANES, Lanes};

/// A matrix of weights as the forward or the backward product reads it: element (row, inner) stands at
/// `row * row_stride + inner * inner_stride`.
#[derive(Clone, Copy)]
pub(super) struct Weights<'a> {
    pub(super) values: &'a [f32],
    pub(super) row_stride: usize,
    pub(super) inner_stride: usize,
}

/// Bytes of an operand block that should stay in the second-level cache while weights stream past it.
const CACHE_BLOCK: usize = 192 * 1024;
/// Inner elements of a block where the weights are read across their rows: so many rows stay in the first-level cache.
const INNER_BLOCK: usize = 64;

/// Calls `function::<I, ROWS>` with the number of rows as a constant, so that the tile stays in registers.
macro_rules! with_rows {
    ($rows:expr, $function:ident::<$isa:ident $(, $extra:literal)?>($($argument:expr),*)) => {
        match $rows {
            1 => $function::<$isa, 1 $(, $extra)?>($($argument),*),
            2 => $function::<$isa, 2 $(, $extra)?>($($argument),*),
            3 => $function::<$isa, 3 $(, $extra)?>($($argument),*),
            4 => $function::<$isa, 4 $(, $extra)?>($($argument),*),
            5 => $function::<$isa, 5 $(, $extra)?>($($argument),*),
            6 => $function::<$isa, 6 $(, $extra)?>($($argument),*),
            7 => $function::<$isa, 7 $(, $extra)?>($($argument),*),
            8 => $function::<$isa, 8 $(, $extra)?>($($argument),*),
            9 => $function::<$isa, 9 $(, $extra)?>($($argument),*),
            10 => $function::<$isa, 10 $(, $extra)?>($($argument),*),
            11 => $function::<$isa, 11 $(, $extra)?>($($argument),*),
            12 => $function::<$isa, 12 $(, $extra)?>($($argument),*),
            rows => unreachable!("a tile of {rows} rows"),
        }
    };
}
/// `result[group][row] = sum over inner of weights[row][inner] * input[group][inner]`, plus what `result` held where
/// `accumulate` is set. `inner` may be less than `input_rows`, the rows of an input group. `finish` is called with
/// (group, row, values) for each finished element.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
pub(super) fn examples_product<I: InstructionSet>(
    weights: Weights,
    inner: usize,
    input: &[Lanes],
    input_rows: usize,
    result: &mut [Lanes],
    result_rows: usize,
    rows: usize,
    accumulate: bool,
    mut finish: impl FnMut(usize, usize, Lanes) -> Lanes,
) {
    let groups = input.len() / input_rows;
    let inner_block = if weights.inner_stride == 1 { inner } else { INNER_BLOCK.min(inner) };
    let group_block = (CACHE_BLOCK / (inner_block * LANES * size_of::<f32>()).max(1)).max(1);
    for first_group in (0..groups).step_by(group_block) {
        let block = first_group..groups.min(first_group + group_block);
        for first_inner in (0..inner).step_by(inner_block.max(1)) {
            let inner_count = inner_block.min(inner - first_inner);
            let last = first_inner + inner_count == inner;
            let continued = accumulate || first_inner > 0;
            for (row, tile_rows) in even_tiles(rows, I::ROWS) {
                for group in block.clone() {
                    let x = &input[group * input_rows + first_inner..][..inner_count];
                    let out = &mut result[group * result_rows + row..][..tile_rows];
                    let w = Weights {
                        values: &weights.values[row * weights.row_stride + first_inner * weights.inner_stride..],
                        ..weights
                    };
                    with_rows!(tile_rows, examples_tile::<I>(w, x, out, continued));
                    if last {
                        for (place, value) in out.iter_mut().enumerate() {
                            *value = finish(group, row + place, *value);
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

#[inline(always)]
#[allow(unsafe_code)]
fn examples_tile<I: InstructionSet, const ROWS: usize>(
    weights: Weights,
    x: &[Lanes],
    result: &mut [Lanes],
    accumulate: bool,
) {
    let Weights { values, row_stride, inner_stride } = weights;
    let result: &mut [Lanes; ROWS] = result.try_into().expect("a row of results for each row of the tile");
    if x.is_empty() {
        return;
    }
    assert!((ROWS - 1) * row_stride + (x.len() - 1) * inner_stride < values.len());
    let mut sums = if accumulate { *result } else { [Lanes::ZERO; ROWS] };
    for (inner, x) in x.iter().enumerate() {
        for row in 0..ROWS {
            // SAFETY: the largest index was compared with the length above; a check here costs a fifth of the time.
            let weight = unsafe { *values.get_unchecked(row * row_stride + inner * inner_stride) };
            for lane in 0..LANES {
                sums[row].0[lane] = I::mul_add(weight, x.0[lane], sums[row].0[lane]);
            }
        }
    }
    *result = sums;
}

/// `weights[row][column] -= rate * sum over the batch of delta[example][row] * input[example][column]`, for all rows of
/// `weights`: gradient and update in one, without a gradient in memory.
///
/// `weights` is [rows, stride]; `deltas` holds [groups, delta_rows] and the row `first_row` belongs to the first row of
/// `weights`; `input` is [batch, stride]. The stride is a multiple of 8.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
pub(super) fn parameters_product<I: InstructionSet>(
    weights: &mut [f32],
    stride: usize,
    deltas: &[Lanes],
    delta_rows: usize,
    first_row: usize,
    input: &[f32],
    batch: usize,
    rate: f32,
) {
    for (row, tile_rows) in even_tiles(weights.len() / stride, I::ROWS) {
        let weights = &mut weights[row * stride..][..tile_rows * stride];
        let source = Deltas { values: deltas, rows: delta_rows, first: first_row + row };
        let wide = stride / LANES * LANES;
        for column in (0..wide).step_by(LANES) {
            with_rows!(tile_rows, parameters_tile::<I, 16>(weights, stride, column, source, input, batch, rate));
        }
        if wide < stride {
            with_rows!(tile_rows, parameters_tile::<I, 8>(weights, stride, wide, source, input, batch, rate));
        }
    }
}

#[derive(Clone, Copy)]
struct Deltas<'a> {
    values: &'a [Lanes],
    rows: usize,
    first: usize,
}

#[inline(always)]
#[allow(unsafe_code)]
fn parameters_tile<I: InstructionSet, const ROWS: usize, const COLUMNS: usize>(
    weights: &mut [f32],
    stride: usize,
    column: usize,
    deltas: Deltas,
    input: &[f32],
    batch: usize,
    rate: f32,
) {
    let mut sums = [[0.0; COLUMNS]; ROWS];
    assert!(batch * stride <= input.len() && column + COLUMNS <= stride);
    for group in 0..batch.div_ceil(LANES) {
        let delta: &[Lanes; ROWS] =
            deltas.values[group * deltas.rows + deltas.first..][..ROWS].try_into().expect("as many rows as the tile");
        for lane in 0..LANES.min(batch - group * LANES) {
            // SAFETY: the last row of `input` was compared with its length above, and lanes are below LANES.
            let x = unsafe { input.get_unchecked((group * LANES + lane) * stride + column..).get_unchecked(..COLUMNS) };
            for row in 0..ROWS {
                let delta = unsafe { *delta[row].0.get_unchecked(lane) };
                for c in 0..COLUMNS {
                    sums[row][c] = I::mul_add(delta, x[c], sums[row][c]);
                }
            }
        }
    }
    for row in 0..ROWS {
        let weights = &mut weights[row * stride + column..][..COLUMNS];
        for c in 0..COLUMNS {
            weights[c] = I::mul_add(-rate, sums[row][c], weights[c]);
        }
    }
}

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
    let (factor, mut sums) = (black_box(Lanes([0.999; LANES])), black_box([Lanes::ONE; ROWS]));
    for _ in 0..turns {
        for row in 0..ROWS {
            for lane in 0..LANES {
                sums[row].0[lane] = I::mul_add(sums[row].0[lane], factor.0[lane], factor.0[lane]);
            }
        }
    }
    black_box(sums);
}
