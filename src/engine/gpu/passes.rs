//! The passes of the general path as dispatches: which kernel, how many workgroups.

use super::device::{Buffer, Device, Dispatch, MOST_WORKGROUPS, Part};
use super::kernels::{self, Kernel, Left, SoftmaxResult};
use super::uniforms::{Activations, Clip, Dropout, Extent, Product, Rule, Table};
use crate::Result;
use crate::engine::{Mask, Optimizer};

/// Rows of an invocation's tile in a matrix product, and its columns.
pub(super) const TILE: u32 = 8;
/// Invocations in a workgroup of the matrix product.
const PRODUCT_WORKGROUP: u32 = 64;

/// Workgroups for a pass with an invocation for each of `count` things; what is beyond them is walked to.
pub fn workgroups_for_each(count: usize, workgroup: u32) -> [u32; 3] {
    let workgroups = count.div_ceil(workgroup as usize).clamp(1, MOST_WORKGROUPS as usize);
    [workgroups as u32, 1, 1]
}

/// Workgroups for a pass with a workgroup for each of `rows` rows.
pub fn workgroups_for_rows(rows: u32) -> [u32; 3] {
    let x = rows.clamp(1, MOST_WORKGROUPS);
    [x, rows.div_ceil(x), 1]
}

/// How a matrix product is cut: the constants of its pipeline, and the workgroups.
pub fn cut_product(product: &Product, left: Left) -> ([(&'static str, f64); 3], [u32; 3]) {
    let across = product.columns.div_ceil(TILE).next_power_of_two().min(PRODUCT_WORKGROUP);
    let down = PRODUCT_WORKGROUP / across;
    let constants = [("ACROSS", across.into()), ("DOWN", down.into()), ("LEFT_TRANSPOSED", f64::from(left as u32))];
    let workgroups = [product.columns.div_ceil(TILE * across), product.rows.div_ceil(TILE * down), product.parts()];
    (constants, workgroups)
}

/// Makes dispatches on a device.
#[derive(Clone, Copy)]
pub(super) struct Passes<'a> {
    pub(super) device: &'a Device,
}

impl Passes<'_> {
    /// The batch of a step.
    pub(super) fn draw(&self, batch: usize, buffers: [&Buffer; 6]) -> Result<Dispatch> {
        self.pass(&kernels::DRAW_BATCH, &[], &buffers.map(Buffer::all), &[], self.for_each(batch))
    }

    /// The rows that a part of the table has of a chunk's contexts.
    pub(super) fn gather(
        &self,
        sizes: Activations,
        table: Table,
        mask: &Mask,
        parts: [Part<'_>; 5],
    ) -> Result<Dispatch> {
        let uniforms = [self.uniform(&sizes)?, self.uniform(&table)?, self.uniform(&Dropout::new(mask))?];
        self.pass(&kernels::EMBEDDING_GATHER, &uniforms, &parts, &[], self.for_each_number(sizes))
    }

    /// tanh forward or backward.
    pub(super) fn tanh(
        &self,
        kernel: &'static Kernel,
        sizes: Activations,
        mask: &Mask,
        buffers: [&Buffer; 3],
    ) -> Result<Dispatch> {
        let uniforms = [self.uniform(&sizes)?, self.uniform(&Dropout::new(mask))?];
        self.pass(kernel, &uniforms, &buffers.map(Buffer::all), &[], self.for_each_number(sizes))
    }

    /// Softmax, loss and what `result` says.
    pub(super) fn softmax(&self, result: SoftmaxResult, sizes: Activations, buffers: [&Buffer; 3]) -> Result<Dispatch> {
        let constants = [("RESULT", f64::from(result as u32))];
        let workgroups = workgroups_for_rows(sizes.rows);
        let parts = buffers.map(Buffer::all);
        self.pass(&kernels::SOFTMAX_CROSS_ENTROPY, &[self.uniform(&sizes)?], &parts, &constants, workgroups)
    }

    /// The sum of each column.
    pub(super) fn column_sum(&self, extent: Extent, matrix: Part<'_>, sums: Part<'_>) -> Result<Dispatch> {
        let workgroups = self.for_each(extent.columns as usize);
        self.pass(&kernels::COLUMN_SUM, &[self.uniform(&extent)?], &[matrix, sums], &[], workgroups)
    }

    /// The gradient or the update of a part of the embedding.
    pub(super) fn scatter(
        &self,
        sizes: Activations,
        table: Table,
        mask: &Mask,
        into_gradients: bool,
        parts: [Part<'_>; 5],
    ) -> Result<Dispatch> {
        let uniforms = [self.uniform(&sizes)?, self.uniform(&table)?, self.uniform(&Dropout::new(mask))?];
        let constants = [("INTO_GRADIENTS", f64::from(u8::from(into_gradients)))];
        let workgroups = workgroups_for_rows(sizes.rows * sizes.columns / table.columns);
        self.pass(&kernels::EMBEDDING_SCATTER, &uniforms, &parts, &constants, workgroups)
    }

    /// Sums of squares of some numbers, from place `first` of the sums on: one for each of so many workgroups.
    pub(super) fn square_sum(
        &self,
        workgroups: usize,
        first: usize,
        numbers: Part<'_>,
        sums: &Buffer,
    ) -> Result<Dispatch> {
        let extent = Extent { first: first as u32, ..Extent::new(1, numbers.len(), numbers.len()) };
        let parts = [numbers, sums.all()];
        self.pass(&kernels::SQUARE_SUM, &[self.uniform(&extent)?], &parts, &[], [workgroups as u32, 1, 1])
    }

    /// What the gradient is multiplied with.
    pub(super) fn clip_factor(&self, clip: Clip, buffers: [&Buffer; 2]) -> Result<Dispatch> {
        self.pass(&kernels::CLIP_FACTOR, &[self.uniform(&clip)?], &buffers.map(Buffer::all), &[], [1, 1, 1])
    }

    /// One step of an update rule, perhaps with an average.
    pub(super) fn update_rule(
        &self,
        optimizer: Optimizer,
        average: bool,
        rule: Rule,
        parts: [Part<'_>; 8],
    ) -> Result<Dispatch> {
        let constants = [("RULE", f64::from(optimizer as u32)), ("AVERAGE", f64::from(u8::from(average)))];
        let workgroups = self.for_each(rule.count as usize);
        self.pass(&kernels::UPDATE_RULE, &[self.uniform(&rule)?], &parts, &constants, workgroups)
    }

    /// The mean loss of the batch, and the cursor's step forward.
    pub(super) fn loss_mean(&self, buffers: [&Buffer; 4]) -> Result<Dispatch> {
        let pipeline = self.device.pipeline(&kernels::LOSS_MEAN, &[])?;
        self.device.dispatch(&pipeline, &buffers.map(Buffer::all), [1, 1, 1])
    }

    /// A matrix product, perhaps with a bias.
    pub(super) fn product(
        &self,
        product: Product,
        (layout, left): (Left, Part<'_>),
        right: Part<'_>,
        bias: Option<Part<'_>>,
        out: Part<'_>,
    ) -> Result<Dispatch> {
        let product = Product { bias: u32::from(bias.is_some()), ..product };
        let (constants, workgroups) = cut_product(&product, layout);
        let pipeline = self.device.pipeline(&kernels::MATRIX_PRODUCT, &constants)?;
        // Without a bias something has to be bound in its place.
        let bias = bias.unwrap_or_else(|| left.clone());
        let uniform = self.uniform(&product)?;
        self.device.dispatch(&pipeline, &[uniform.all(), left, right, bias, out], workgroups)
    }

    fn uniform<T: bytemuck::Pod>(&self, value: &T) -> Result<Buffer> {
        self.device.uniform("sizes", value)
    }

    fn for_each(&self, count: usize) -> [u32; 3] {
        workgroups_for_each(count, self.device.workgroup())
    }

    fn for_each_number(&self, sizes: Activations) -> [u32; 3] {
        self.for_each(sizes.rows as usize * sizes.columns as usize)
    }

    fn pass(
        &self,
        kernel: &'static Kernel,
        uniforms: &[Buffer],
        parts: &[Part<'_>],
        constants: &[(&str, f64)],
        workgroups: [u32; 3],
    ) -> Result<Dispatch> {
        let constants = [&[("WORKGROUP", f64::from(self.device.workgroup()))], constants].concat();
        let pipeline = self.device.pipeline(kernel, &constants)?;
        let parts: Vec<Part<'_>> = uniforms.iter().map(Buffer::all).chain(parts.iter().cloned()).collect();
        self.device.dispatch(&pipeline, &parts, workgroups)
    }
}
