//! The structs that kernels read, as the shaders declare them; `tests/shaders.rs` compares the offsets.

use bytemuck::{Pod, Zeroable};

use crate::text::random::half_bits;
use crate::text::{self, BatchPlan};

/// `Plan` of shared/batch.wgsl.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Plan {
    /// An [`crate::text::Order`].
    pub order: u32,
    /// The run's seed.
    pub seed: u32,
    /// B.
    pub batch: u32,
    /// Examples in the corpus.
    pub examples: u32,
    /// Half the bits of the domain of the epochs' permutations.
    pub half_bits: u32,
    /// n.
    pub context: u32,
}

impl Plan {
    /// A plan for contexts of `context` tokens.
    pub fn new(plan: &BatchPlan, context: usize) -> Self {
        Plan {
            order: plan.order as u32,
            seed: plan.seed,
            batch: plan.batch,
            examples: plan.examples,
            half_bits: half_bits(plan.examples),
            context: context as u32,
        }
    }
}

/// `Position` of shared/batch.wgsl.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Position {
    /// The step, from 0.
    pub step: u32,
    /// The epoch of the step's first example.
    pub epoch: u32,
    /// That example's place in its epoch.
    pub offset: u32,
    /// The step's entry in the rings of rates and losses.
    pub slot: u32,
}

/// `Cursor` of shared/batch.wgsl.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Cursor {
    /// The step that is being taken.
    pub current: Position,
    /// The step after it.
    pub next: Position,
}

impl Cursor {
    /// About to take a step, with the rings' first entry.
    pub fn at(cursor: text::Cursor) -> Self {
        let position = Position { step: cursor.step, epoch: cursor.epoch, offset: cursor.offset, slot: 0 };
        Cursor { current: position, next: position }
    }
}

/// `Extent` of shared/extent.wgsl.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Extent {
    /// Rows of a matrix.
    pub rows: u32,
    /// Its columns.
    pub columns: u32,
}

/// `Product` of matrix_product.wgsl.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Product {
    /// Rows of the result.
    pub rows: u32,
    /// Columns of the result.
    pub columns: u32,
    /// Numbers that are summed for each element.
    pub inner: u32,
    /// From one row of the left matrix to the next.
    pub left_row: u32,
    /// From one summand to the next in the left matrix.
    pub left_inner: u32,
    /// From one summand to the next in the right matrix.
    pub right_inner: u32,
    /// From one column of the right matrix to the next.
    pub right_column: u32,
    /// Summands that one workgroup sums.
    pub part: u32,
    /// 1: a bias is added to each row.
    pub bias: u32,
    /// 1: the result is added to what is there.
    pub accumulate: u32,
}

impl Product {
    /// A [rows, inner] times B [inner, columns].
    pub fn plain(rows: usize, columns: usize, inner: usize) -> Self {
        Product {
            rows: rows as u32,
            columns: columns as u32,
            inner: inner as u32,
            left_row: inner as u32,
            left_inner: 1,
            right_inner: columns as u32,
            right_column: 1,
            part: inner as u32,
            bias: 0,
            accumulate: 0,
        }
    }

    /// A [rows, inner] times the transpose of B [columns, inner].
    pub fn right_transposed(rows: usize, columns: usize, inner: usize) -> Self {
        Product { right_inner: 1, right_column: inner as u32, ..Self::plain(rows, columns, inner) }
    }

    /// The transpose of A [inner, rows] times B [inner, columns].
    pub fn left_transposed(rows: usize, columns: usize, inner: usize) -> Self {
        Product { left_row: 1, left_inner: rows as u32, ..Self::plain(rows, columns, inner) }
    }

    /// The same, added to what is there.
    pub fn accumulating(self) -> Self {
        Product { accumulate: 1, ..self }
    }

    /// Parts into which the sums are split.
    pub fn parts(&self) -> u32 {
        self.inner.div_ceil(self.part)
    }
}
