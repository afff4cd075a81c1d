//! The structs that kernels read, as the shaders declare them; `tests/shaders.rs` compares the offsets.

use std::ops::Range;

use bytemuck::{Pod, Zeroable};

use super::layout::padded;
use crate::engine::{Mask, Recipe};
use crate::text::random::half_bits;
use crate::text::{self, BatchPlan};

/// `Plan` of shared/batch.wgsl.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Plan {
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
    /// The step's entry in the rings of factors and losses.
    pub slot: u32,
}

/// `Cursor` of shared/batch.wgsl.
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct Cursor {
    /// The step that is being taken.
    pub current: Position,
    /// The step after it.
    pub next: Position,
    /// The learning rate of the step that is being taken, where `small_examples.wgsl` takes it.
    pub rate: f32,
}

impl Cursor {
    /// About to take a step, with the rings' first entry.
    pub fn at(cursor: text::Cursor) -> Self {
        let position = Position { step: cursor.step, epoch: cursor.epoch, offset: cursor.offset, slot: 0 };
        Cursor { current: position, next: position, rate: 0.0 }
    }
}

/// `Factors` of shared/batch.wgsl: what differs from step to step of the update.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Factors {
    /// The learning rate.
    pub rate: f32,
    /// AdamW's correction of the mean gradient.
    pub velocity: f32,
    /// AdamW's correction of the squared gradient.
    pub squares: f32,
    /// What the average of the weights keeps of itself.
    pub keeps: f32,
}

impl Factors {
    /// Those of a step.
    pub fn new(recipe: &Recipe, step: u64, rate: f32) -> Self {
        let [velocity, squares] = recipe.corrections(step);
        Factors { rate, velocity, squares, keeps: recipe.average_keeps(step) }
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
    /// Where the result begins.
    pub first: u32,
}

impl Extent {
    /// A matrix whose rows lie so far apart; the result is written to the beginning of its binding.
    pub fn new(rows: usize, columns: usize, stride: usize) -> Self {
        Extent { rows: rows as u32, columns: columns as u32, stride: stride as u32, first: 0 }
    }
}

/// `Activations` of shared/activations.wgsl.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Activations {
    /// Examples of a chunk of the batch.
    pub rows: u32,
    /// Numbers of an example.
    pub columns: u32,
    /// From one example to the next.
    pub stride: u32,
    /// The place in the batch of the chunk's first example.
    pub first: u32,
    /// Examples in the batch (B).
    pub batch: u32,
}

/// `Table` of shared/table.wgsl.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Table {
    /// The token of the first row.
    pub first: u32,
    /// Rows of the embedding that are bound.
    pub rows: u32,
    /// Numbers of a row (d).
    pub columns: u32,
    /// From one row to the next.
    pub stride: u32,
}

/// `Dropout` of shared/dropout.wgsl.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Dropout {
    /// The run's seed.
    pub seed: u32,
    /// A [`crate::text::random::Purpose`].
    pub purpose: u32,
    /// The probability of dropping times 2^32.
    pub threshold: u32,
    /// What the kept numbers are multiplied with.
    pub kept: f32,
}

impl Dropout {
    /// The mask's numbers.
    pub fn new(mask: &Mask) -> Self {
        Dropout { seed: mask.seed, purpose: mask.purpose as u32, threshold: mask.threshold, kept: mask.kept }
    }
}

/// `Joined` of shared/joined.wgsl.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Joined {
    /// The first row of the workgroups that make the product.
    pub first_row: u32,
    /// Rows of them.
    pub rows: u32,
    /// The first layer of them.
    pub first_layer: u32,
    /// Layers of them.
    pub layers: u32,
    /// The first of the others, as workgroups are counted.
    pub others_first: u32,
    /// How many these are.
    pub others: u32,
    /// B.
    pub batch: u32,
    /// d.
    pub embedding: u32,
    /// From one row of C to the next.
    pub embedding_stride: u32,
    /// h.
    pub units: u32,
    /// From one example's hidden units to the next.
    pub hidden_stride: u32,
    /// n d.
    pub inputs: u32,
    /// From one example's input to the next.
    pub input_stride: u32,
    /// Where H begins behind C.
    pub hidden_weight: u32,
    /// Where its bias begins behind C.
    pub hidden_bias: u32,
    /// Parts of the sums over the vocabulary that make the hidden units' gradient.
    pub hidden_parts: u32,
    /// The same for the input's, which lie behind them.
    pub input_parts: u32,
    /// Where the input's gradient begins behind the hidden units'.
    pub d_input: u32,
}

/// `Clip` of clip_factor.wgsl.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Clip {
    /// Sums of squares.
    pub count: u32,
    /// The largest norm.
    pub norm: f32,
}

/// `Rule` of update_rule.wgsl.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Rule {
    /// The place among all parameters of the first number that is bound.
    pub first: u32,
    /// Numbers that are bound.
    pub count: u32,
    /// A gradient at a place before this one is zero afterwards.
    pub cleared: u32,
    /// μ.
    pub momentum: f32,
    /// β1.
    pub beta1: f32,
    /// β2.
    pub beta2: f32,
    /// ε.
    pub epsilon: f32,
    /// λ.
    pub decay: f32,
    /// For each tensor its first place, its columns, the distance of its rows, and 1 where it decays.
    pub tensors: [[u32; 4]; 6],
}

impl Rule {
    /// The rule of a recipe for the numbers at `places`; `tensors` as in the struct, in the order of their places.
    pub fn new(recipe: &Recipe, places: Range<usize>, cleared: usize, tensors: &[[u32; 4]]) -> Self {
        // No place is beyond this one.
        let mut all = [[u32::MAX, 1, 1, 0]; 6];
        all[..tensors.len()].copy_from_slice(tensors);
        Rule {
            first: places.start as u32,
            count: places.len() as u32,
            cleared: cleared as u32,
            momentum: recipe.momentum,
            beta1: recipe.beta1,
            beta2: recipe.beta2,
            epsilon: recipe.epsilon,
            decay: recipe.weight_decay,
            tensors: all,
        }
    }
}

/// `Product` of shared/product.wgsl.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Product {
    /// Rows of the result.
    pub rows: u32,
    /// Columns of the result.
    pub columns: u32,
    /// Numbers that are summed for each element.
    pub inner: u32,
    /// From one row of the left matrix to the next, as it lies in memory; all these distances are multiples of 4.
    pub left: u32,
    /// From one row of the right matrix to the next.
    pub right: u32,
    /// From one row of the result to the next.
    pub out: u32,
    /// Summands that one workgroup sums; a multiple of 4.
    pub part: u32,
    /// From one part's result to the next one's.
    pub out_part: u32,
    /// Parts of a product.
    pub parts: u32,
    /// Products that are alike, at once: the parts of the next one come after those of one.
    pub products: u32,
    /// From one product's left matrix to the next one's; these two are multiples of 4 as well.
    pub left_next: u32,
    /// From one product's right matrix to the next one's.
    pub right_next: u32,
    /// Where the left matrix begins in its binding; all these beginnings are multiples of 4.
    pub left_first: u32,
    /// Where the bias begins.
    pub bias_first: u32,
    /// Where the result begins.
    pub out_first: u32,
    /// Where the sums of the left matrix's rows begin.
    pub sums_first: u32,
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
            out: out as u32,
            part: padded(inner) as u32,
            out_part: 0,
            parts: 1,
            products: 1,
            left_next: 0,
            right_next: 0,
            left_first: 0,
            bias_first: 0,
            out_first: 0,
            sums_first: 0,
        }
    }

    /// The same in parts of so many summands; each has its own result, `out_part` after the one before.
    pub fn in_parts(self, part: usize, out_part: usize) -> Self {
        let parts = self.inner.div_ceil(part as u32);
        Product { part: part as u32, out_part: out_part as u32, parts, ..self }
    }

    /// So many products at once that are alike: their matrices lie so far apart, and their results as those of parts.
    pub fn at_once(self, products: usize, left_next: usize, right_next: usize) -> Self {
        Product { products: products as u32, left_next: left_next as u32, right_next: right_next as u32, ..self }
    }

    /// Layers of workgroups: one for each part of each product.
    pub fn layers(&self) -> u32 {
        self.parts * self.products
    }

    /// The same with a left matrix that begins so many numbers into its binding.
    pub fn left_from(self, first: usize) -> Self {
        Product { left_first: first as u32, ..self }
    }

    /// The same with a bias that begins so many numbers into its binding.
    pub fn bias_from(self, first: usize) -> Self {
        Product { bias_first: first as u32, ..self }
    }

    /// The same with a result that begins so many numbers into its binding.
    pub fn out_from(self, first: usize) -> Self {
        Product { out_first: first as u32, ..self }
    }

    /// The same with sums of the left matrix's rows that begin so many numbers into their binding.
    pub fn sums_from(self, first: usize) -> Self {
        Product { sums_first: first as u32, ..self }
    }
}
