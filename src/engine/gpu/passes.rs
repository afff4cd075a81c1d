//! The passes of the general path as dispatches: which kernel, how many workgroups.

use super::device::{Buffer, Device, Dispatch, Part};
use super::kernels::{self, Kernel, Left, SoftmaxResult};
use super::layout::padded;
use super::uniforms::{Activations, Extent, Product};
use crate::Result;

/// Workgroups in one dimension of a dispatch, at most.
const MOST_WORKGROUPS: u32 = 65_535;
/// Rows of an invocation's tile in a matrix product, and its columns.
const TILE: u32 = 8;
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
pub(super) struct Passes<'a> {
    pub(super) device: &'a Device,
}

impl Passes<'_> {
    /// A pass with an invocation an element of a matrix.
    pub(super) fn for_each(&self, kernel: &'static Kernel, extent: Extent, parts: Vec<Part<'_>>) -> Result<Dispatch> {
        let count = extent.rows as usize * extent.columns as usize;
        let workgroups = workgroups_for_each(count, self.device.workgroup());
        self.pass(kernel, &extent, parts, &[], workgroups)
    }

    /// A pass with an invocation a number of a batch's activations.
    pub(super) fn activations(
        &self,
        kernel: &'static Kernel,
        activations: Activations,
        parts: Vec<Part<'_>>,
    ) -> Result<Dispatch> {
        let count = activations.batch as usize * activations.columns as usize;
        let workgroups = workgroups_for_each(count, self.device.workgroup());
        self.pass(kernel, &activations, parts, &[], workgroups)
    }

    /// The sum of each column.
    pub(super) fn column_sum(&self, extent: Extent, matrix: Part<'_>, sums: Part<'_>) -> Result<Dispatch> {
        let workgroups = workgroups_for_each(extent.columns as usize, self.device.workgroup());
        self.pass(&kernels::COLUMN_SUM, &extent, vec![matrix, sums], &[], workgroups)
    }

    /// Softmax, loss and what `result` says.
    pub(super) fn softmax(
        &self,
        result: SoftmaxResult,
        extent: Extent,
        [targets, logits, losses]: [&Buffer; 3],
    ) -> Result<Dispatch> {
        self.pass(
            &kernels::SOFTMAX_CROSS_ENTROPY,
            &extent,
            vec![targets.all(), logits.all(), losses.all()],
            &[("RESULT", f64::from(result as u32))],
            workgroups_for_rows(extent.rows),
        )
    }

    /// The update of the embedding.
    pub(super) fn scatter(&self, occurrences: usize, embedding: usize, parts: Vec<Part<'_>>) -> Result<Dispatch> {
        let workgroups = workgroups_for_rows(occurrences as u32);
        self.pass(&kernels::EMBEDDING_SCATTER, &extent(occurrences, embedding), parts, &[], workgroups)
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
        let uniform = self.device.uniform("product", &product)?;
        let (constants, workgroups) = cut_product(&product, layout);
        let pipeline = self.device.pipeline(&kernels::MATRIX_PRODUCT, &constants)?;
        // Without a bias something has to be bound in its place.
        let bias = bias.unwrap_or_else(|| left.clone());
        let parts = [uniform.all(), left, right, bias, out];
        self.device.dispatch(&pipeline, &parts, workgroups)
    }

    fn pass<T: bytemuck::Pod>(
        &self,
        kernel: &'static Kernel,
        sizes: &T,
        parts: Vec<Part<'_>>,
        constants: &[(&str, f64)],
        workgroups: [u32; 3],
    ) -> Result<Dispatch> {
        let uniform = self.device.uniform(kernel.name, sizes)?;
        let constants = [&[("WORKGROUP", f64::from(self.device.workgroup()))], constants].concat();
        let pipeline = self.device.pipeline(kernel, &constants)?;
        let parts: Vec<Part<'_>> = std::iter::once(uniform.all()).chain(parts).collect();
        self.device.dispatch(&pipeline, &parts, workgroups)
    }
}

/// The size of a matrix whose rows lie one after the other.
pub(super) fn extent(rows: usize, columns: usize) -> Extent {
    Extent { rows: rows as u32, columns: columns as u32, stride: columns as u32 }
}

/// The size of a matrix whose rows begin at multiples of 4 numbers.
pub(super) fn padded_extent(rows: usize, columns: usize) -> Extent {
    Extent { stride: padded(columns) as u32, ..extent(rows, columns) }
}
