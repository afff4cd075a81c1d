//! The passes of the general path as dispatches: which kernel, how many workgroups.

use super::device::{Buffer, Device, Dispatch, Part};
use super::kernels::{self, Kernel, SoftmaxResult};
use super::uniforms::{Extent, Product};
use crate::Result;

/// Workgroups in one dimension of a dispatch, at most.
const MOST_WORKGROUPS: u32 = 65_535;
/// Rows and columns of the tile that a workgroup of the matrix product makes.
const TILE: u32 = 64;

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

/// Workgroups for a matrix product.
pub fn workgroups_for_product(product: &Product) -> [u32; 3] {
    [product.columns.div_ceil(TILE), product.rows.div_ceil(TILE), product.parts()]
}

/// Makes dispatches on a device.
pub(super) struct Passes<'a> {
    pub(super) device: &'a Device,
}

impl Passes<'_> {
    /// A pass with an invocation an element of a matrix.
    pub(super) fn for_each(&self, kernel: &'static Kernel, extent: Extent, parts: Vec<Part<'_>>) -> Result<Dispatch> {
        let count = extent.rows as usize * extent.columns as usize;
        self.extent_pass(kernel, extent, parts, &[], workgroups_for_each(count, self.device.workgroup()))
    }

    /// The sum of each column.
    pub(super) fn column_sum(&self, rows: usize, columns: usize, matrix: Part<'_>, sums: Part<'_>) -> Result<Dispatch> {
        let workgroups = workgroups_for_each(columns, self.device.workgroup());
        self.extent_pass(&kernels::COLUMN_SUM, extent(rows, columns), vec![matrix, sums], &[], workgroups)
    }

    /// Softmax, loss and what `result` says.
    pub(super) fn softmax(
        &self,
        result: SoftmaxResult,
        rows: usize,
        columns: usize,
        [targets, logits, losses]: [&Buffer; 3],
    ) -> Result<Dispatch> {
        self.extent_pass(
            &kernels::SOFTMAX_CROSS_ENTROPY,
            extent(rows, columns),
            vec![targets.all(), logits.all(), losses.all()],
            &[("RESULT", f64::from(result as u32))],
            workgroups_for_rows(rows as u32),
        )
    }

    /// The update of the embedding.
    pub(super) fn scatter(&self, occurrences: usize, embedding: usize, parts: Vec<Part<'_>>) -> Result<Dispatch> {
        let workgroups = workgroups_for_rows(occurrences as u32);
        self.extent_pass(&kernels::EMBEDDING_SCATTER, extent(occurrences, embedding), parts, &[], workgroups)
    }

    /// A matrix product, perhaps with a bias.
    pub(super) fn product(
        &self,
        product: Product,
        left: Part<'_>,
        right: Part<'_>,
        bias: Option<Part<'_>>,
        out: Part<'_>,
    ) -> Result<Dispatch> {
        let product = Product { bias: u32::from(bias.is_some()), ..product };
        let uniform = self.device.uniform("product", &product)?;
        let pipeline = self.device.pipeline(&kernels::MATRIX_PRODUCT, &[])?;
        // Without a bias something has to be bound in its place.
        let bias = bias.unwrap_or_else(|| left.clone());
        let parts = [uniform.all(), left, right, bias, out];
        Ok(self.device.dispatch(&pipeline, &parts, workgroups_for_product(&product)))
    }

    fn extent_pass(
        &self,
        kernel: &'static Kernel,
        extent: Extent,
        parts: Vec<Part<'_>>,
        constants: &[(&str, f64)],
        workgroups: [u32; 3],
    ) -> Result<Dispatch> {
        let uniform = self.device.uniform("extent", &extent)?;
        let constants = [&[("WORKGROUP", f64::from(self.device.workgroup()))], constants].concat();
        let pipeline = self.device.pipeline(kernel, &constants)?;
        let parts: Vec<Part<'_>> = std::iter::once(uniform.all()).chain(parts).collect();
        Ok(self.device.dispatch(&pipeline, &parts, workgroups))
    }
}

/// The size of a matrix.
pub(super) fn extent(rows: usize, columns: usize) -> Extent {
    Extent { rows: rows as u32, columns: columns as u32 }
}
