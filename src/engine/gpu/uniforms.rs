//! The structs that kernels read, as the shaders declare them; `tests/shaders.rs` compares the offsets.

use bytemuck::{Pod, Zeroable};

use super::layout::padded;
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
    /// From one row to the next.
    pub stride: u32,
}

/// `Activations` of shared/activations.wgsl.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Activations {
    /// Examples (B).
    pub batch: u32,
    /// Numbers of an example.
    pub columns: u32,
    /// From one example to the next.
    pub stride: u32,
    /// From one row of the transposed copy to the next.
    pub batch_stride: u32,
    /// Numbers of a token's embedding (d), where that matters.
    pub embedding: u32,
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
    /// From one row of the left matrix to the next, as it lies in memory; a multiple of 4.
    pub left: u32,
    /// From one row of the right matrix to the next; a multiple of 4.
    pub right: u32,
    /// From one row of the result to the next.
    pub out_row: u32,
    /// From one column of the result to the next.
    pub out_column: u32,
    /// Summands that one workgroup sums; a multiple of 4.
    pub part: u32,
    /// From one part's result to the next one's.
    pub out_part: u32,
    /// 1: a bias is added to each row.
    pub bias: u32,
    /// 1: the result is added to what is there.
    pub accumulate: u32,
}

impl Product {
    /// `left` [rows, inner] times `right` [inner, columns]; each matrix is given by its stride from row to row.
    pub fn new([rows, columns, inner]: [usize; 3], left: usize, right: usize, out: usize) -> Self {
        Product {
            rows: rows as u32,
            columns: columns as u32,
            inner: inner as u32,
            left: left as u32,
            right: right as u32,
            out_row: out as u32,
            out_column: 1,
            part: padded(inner) as u32,
            out_part: 0,
            bias: 0,
            accumulate: 0,
        }
    }

    /// The same with a result that lies in memory as [columns, rows].
    pub fn out_transposed(self) -> Self {
        Product { out_row: self.out_column, out_column: self.out_row, ..self }
    }

    /// The same in parts of so many summands; each has its own result, `out_part` after the one before.
    pub fn in_parts(self, part: usize, out_part: usize) -> Self {
        Product { part: part as u32, out_part: out_part as u32, ..self }
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
