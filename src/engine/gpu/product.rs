//! Matrix products: the ways in which they can be made, how each is cut into workgroups, and which is the fastest here.
//!
//! Every way that is chosen by measuring sums each number of the result in the same order, from the first k of its part to the last.
//! So the choice changes no results, but for what a driver makes of a sum (fused or not), and only speed depends on it. [`SLICED`]
//! adds up in another order, and is taken by a rule.

use super::kernels::{self, Joined, Kernel};
use super::uniforms::Product;

/// One way to make products: a kernel and the sizes of its tiles.
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    /// What it is called where choices are kept.
    pub name: &'static str,
    /// The kernel.
    pub kernel: &'static Kernel,
    /// Rows that an invocation makes, a multiple of 4; in slices the k's that it asks for at once.
    pub rows: u32,
    /// Columns that an invocation makes, in fours.
    pub quads: u32,
    /// Invocations of a workgroup.
    pub invocations: u32,
    /// What the invocations of a workgroup share.
    pub shared: Shared,
}

/// What the invocations of a workgroup share of a product.
#[derive(Clone, Copy, Debug)]
pub enum Shared {
    /// Nothing; it takes the shape that fits the result best.
    Nothing,
    /// Rows and columns in the workgroup's memory.
    Tiles {
        /// Invocations beside each other.
        across: u32,
        /// k's of a slab.
        depth: u32,
        /// Slabs that the memory holds.
        slabs: u32,
    },
    /// The sums of a tile of 4 rows by 4 columns an invocation: each takes one of `SLICES` slices of the k's.
    Slices {
        /// Invocations beside each other.
        across: u32,
    },
}

const fn registers(name: &'static str, rows: u32, quads: u32, invocations: u32) -> Variant {
    Variant { name, kernel: &kernels::MATRIX_PRODUCT, rows, quads, invocations, shared: Shared::Nothing }
}

const fn tiled(
    name: &'static str,
    [rows, quads]: [u32; 2],
    [across, down]: [u32; 2],
    [depth, slabs]: [u32; 2],
) -> Variant {
    let invocations = across * down;
    Variant {
        name,
        kernel: &kernels::MATRIX_PRODUCT_TILED,
        rows,
        quads,
        invocations,
        shared: Shared::Tiles { across, depth, slabs },
    }
}

/// The ways from which the fastest is chosen.
///
/// Measured on lavapipe (two cores; GFLOP/s of logits, output weights, hidden gradients of V 16,383, h 100, B 256): 17, 14, 17
/// for `registers-8x8`, 21, 21, 19 for `registers-8x16`, 22, 27, 24 for `registers-16x20`, and less for those with
/// workgroup memory. Large tiles in registers want few invocations there: their rows then stay in a core's cache.
/// Larger tiles (24x20, 24x24, 32x20, 32x32) win one of the three and lose another: their sums no longer stay near.
///
/// Measured on an H100 (microseconds of logits, hidden gradients in 64 parts, output weights; and of a product 100x120x256):
/// 35, 35, 39, 38 for `tiled-128x128`, 46, 39, 39, 23 for `tiled-64x64`, 51, 54, 55, 10 for `tiled-32x32`, and 116 for the logits by
/// `registers-8x8`. On an H200 34, 34, 38, 36 for `tiled-128x128`, 36, 32, 35, 33 for `tiled-128x128-deep`, which goes through k in
/// half as many rounds. Others (tiles of 32 to 256 by 32 to 256, 4x4 to 16x8 numbers an invocation, 8 by 4 invocations in a warp)
/// gained 1 at most. `tiled-128x128-turns`, whose invocations wait for each other once a round, is not measured yet; nor is
/// `tiled-128x64`, the largest that an Intel GPU has registers for.
///
/// Registers of an invocation for the logits, by the compilers of Mesa 25.0.7 for an AMD GPU (RDNA 3), an NVIDIA GPU (Ampere) and an
/// Intel GPU (Gen 12, which has 128; those that it lacks it keeps in memory): 96, 100, 104 for `tiled-32x32`, 156, 208, 212 for
/// `tiled-64x64`, 84, 124, 128 for `tiled-128x64`, 120, 194, 198 for `tiled-128x128`, 156, 208, 212 for `tiled-128x128-deep`. Those of
/// `registers-16x20` are too many for each of them.
pub const VARIANTS: [Variant; 9] = [
    registers("registers-8x8", 8, 2, 64),
    registers("registers-8x16", 8, 4, 8),
    registers("registers-16x20", 16, 5, 8),
    tiled("tiled-32x32", [4, 1], [8, 8], [32, 1]),
    tiled("tiled-64x64", [8, 2], [8, 8], [16, 1]),
    tiled("tiled-128x64", [8, 1], [16, 16], [16, 1]),
    tiled("tiled-128x128", [8, 2], [16, 16], [16, 1]),
    tiled("tiled-128x128-turns", [8, 2], [16, 16], [16, 2]),
    tiled("tiled-128x128-deep", [8, 2], [16, 16], [32, 1]),
];

/// Slices of the k's of a product: the twin of SLICES in `product_in_slices.wgsl`.
const SLICES: u32 = 16;

/// The way of small results on a GPU: the gradient of the hidden weights of `brown`, 100 x 120 numbers of 256 summands, is
/// a few tiles for 132 cores, which wait for memory in each of 8 rounds; 104 workgroups in slices wait twice.
pub const SLICED: Variant = Variant {
    name: "sliced-8x16",
    kernel: &kernels::MATRIX_PRODUCT_SLICED,
    rows: 8,
    quads: 1,
    invocations: 2 * 4 * SLICES,
    shared: Shared::Slices { across: 4 },
};

/// Numbers of a result, at most, for it.
const MOST_SLICED: u64 = 1 << 16;

/// Where nothing was measured: on a device that computes on the CPU, and on a GPU, which measures all but small products and those of
/// short evaluations.
pub(super) const UNMEASURED: [&str; 2] = ["registers-8x16", "tiled-32x32"];

/// Invocations of the smallest workgroups.
pub(super) const FEWEST_INVOCATIONS: usize = 8;

/// Rows and columns of the smallest tile of a workgroup.
pub(super) const SMALLEST_TILE: u32 = 8;

/// How the matrices of a product lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Left [rows, inner], right [inner, columns].
    Plain = 0,
    /// Left [rows, inner], right [columns, inner].
    RightTransposed = 1,
    /// Left [inner, rows], right [inner, columns].
    LeftTransposed = 2,
}

impl Layout {
    /// As matrices are written: `AB'` has the right one transposed.
    pub fn formula(self) -> &'static str {
        match self {
            Layout::Plain => "AB",
            Layout::RightTransposed => "AB'",
            Layout::LeftTransposed => "A'B",
        }
    }
}

/// What becomes of the sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// They are written.
    Written = 0,
    /// They are added to what is there.
    Added = 1,
    /// They are multiplied with the step's rate and subtracted from what is there.
    Stepped = 2,
}

/// What a product computes beside its sizes.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// Where its matrices lie.
    pub layout: Layout,
    /// What becomes of its sums.
    pub outcome: Outcome,
    /// Whether a bias is added to each column.
    pub bias: bool,
    /// Whether the rows of the left matrix, which must lie transposed, are summed as well.
    pub row_sums: bool,
}

impl PartialEq for Variant {
    fn eq(&self, other: &Variant) -> bool {
        self.name == other.name
    }
}

impl Variant {
    /// The variant of a name, if there is one.
    pub fn named(name: &str) -> Option<Variant> {
        VARIANTS.into_iter().find(|variant| variant.name == name)
    }

    /// Bytes of a workgroup's memory that it needs, with four numbers beside the tiles.
    pub(super) fn workgroup_bytes(&self) -> u32 {
        let room = |numbers: u32| numbers.next_multiple_of(32);
        let numbers = match self.shared {
            Shared::Nothing => 0,
            Shared::Tiles { across, depth, slabs } => {
                slabs * depth * (room(self.rows * (self.invocations / across)) + room(4 * self.quads * across))
            }
            Shared::Slices { across } => 16 * self.invocations + 4 * self.invocations / across,
        };
        4 * (numbers + 4)
    }

    /// The one that is taken where nothing was measured.
    pub(super) fn usual(on_software: bool) -> Variant {
        Variant::named(UNMEASURED[usize::from(!on_software)]).unwrap_or(VARIANTS[0])
    }

    /// Whether a product is made in slices on a GPU. The order of its sums depends on it, so that it is a rule and no measurement.
    pub(super) fn slices(product: &Product, layout: Layout) -> bool {
        let numbers = u64::from(product.rows) * u64::from(product.columns);
        layout == Layout::LeftTransposed && product.layers() == 1 && numbers <= MOST_SLICED
    }

    /// The kernel that makes a product this way, and something else beside it.
    pub fn of(&self, joined: &'static Joined) -> &'static Kernel {
        match self.shared {
            Shared::Nothing => &joined.in_registers,
            Shared::Tiles { .. } => &joined.in_tiles,
            Shared::Slices { .. } => &joined.in_slices,
        }
    }

    /// The constants of the pipeline for a product, and its workgroups. [`SLICED`] is for a transposed left matrix and one layer.
    pub fn cut(&self, product: &Product, form: Form) -> (Vec<(&'static str, f64)>, [u32; 3]) {
        let (tiles_across, tiles_down) = match self.shared {
            Shared::Slices { .. } => {
                debug_assert!(form.layout == Layout::LeftTransposed && product.layers() == 1);
                (product.columns.div_ceil(4), product.rows.div_ceil(4) * SLICES)
            }
            _ => (product.columns.div_ceil(4 * self.quads), product.rows.div_ceil(self.rows)),
        };
        let across = match self.shared {
            Shared::Nothing => self.fitting(tiles_across, tiles_down),
            Shared::Tiles { across, .. } | Shared::Slices { across } => across,
        };
        let down = self.invocations / across;
        let mut constants = vec![
            ("ROWS", self.rows.into()),
            ("QUADS", self.quads.into()),
            ("ACROSS", across.into()),
            ("DOWN", down.into()),
            ("LAYOUT", f64::from(form.layout as u32)),
            ("RESULT", f64::from(form.outcome as u32)),
            ("BIAS", f64::from(u8::from(form.bias))),
            ("ROW_SUMS", f64::from(u8::from(form.row_sums))),
        ];
        if let Shared::Tiles { depth, slabs, .. } = self.shared {
            let (row_fours, column_fours) = (self.rows / 4 * down, self.quads * across);
            let [row_blocks, column_blocks] = [row_fours, column_fours].map(|fours| depth / 4 * fours);
            let apart = row_blocks + column_blocks <= self.invocations;
            constants.push(("DEPTH", depth.into()));
            constants.push(("SLABS", slabs.into()));
            constants.push(("ROW_FOURS", row_fours.into()));
            constants.push(("COLUMN_FOURS", column_fours.into()));
            constants.push(("COLUMNS_FROM", if apart { row_blocks.into() } else { 0.0 }));
            let (columns, width) = (product.columns.next_multiple_of(4), 4 * self.quads * across);
            let room = form.row_sums && columns < columns.next_multiple_of(width);
            constants.push(("ONES", if room { columns.into() } else { 0.0 }));
        }
        (constants, [tiles_across.div_ceil(across), tiles_down.div_ceil(down), product.layers()])
    }

    /// Invocations beside each other for which the fewest have nothing to do; the widest of these, because neighbours
    /// then load what lies beside each other.
    fn fitting(&self, tiles_across: u32, tiles_down: u32) -> u32 {
        let launched = |across: u32| {
            let down = self.invocations / across;
            tiles_across.next_multiple_of(across) as u64 * tiles_down.next_multiple_of(down) as u64
        };
        let shapes = (0..=self.invocations.ilog2()).rev().map(|power| 1 << power);
        shapes.min_by_key(|&across| launched(across)).unwrap_or(self.invocations)
    }
}

#[cfg(test)]
mod tests {
    use super::super::device::WORKGROUP_BYTES;
    use super::*;

    #[test]
    fn an_invocation_brings_at_most_one_block_of_a_tile_and_the_memory_suffices() {
        for variant in VARIANTS {
            let Variant { rows, quads, invocations, shared, name, .. } = variant;
            // llvmpipe (Mesa 22.3) runs those that would fill its registers up as well: embeddings were changed twice.
            assert!((invocations as usize).is_multiple_of(FEWEST_INVOCATIONS), "{name}");
            let Shared::Tiles { across, depth, slabs } = shared else { continue };
            let down = invocations / across;
            assert!(across % 8 == 0 && down % 4 == 0, "{name}: places are given to 8 by 4 invocations at a time");
            let (row_fours, column_fours) = (rows / 4 * down, quads * across);
            assert!(32 % depth == 0 && depth / 4 * row_fours.max(column_fours) <= invocations, "{name}");
            let room = row_fours.next_multiple_of(8) + column_fours.next_multiple_of(8);
            assert_eq!(variant.workgroup_bytes(), 16 * (slabs * depth * room + 1), "{name}");
        }
        // These are taken untried, on every device.
        let fits = |variant: Variant| variant.workgroup_bytes() <= WORKGROUP_BYTES;
        assert!(UNMEASURED.iter().all(|name| Variant::named(name).is_some_and(fits)) && fits(SLICED));
    }

    #[test]
    fn workgroups_fit_the_result() {
        let form = Form { layout: Layout::Plain, outcome: Outcome::Written, bias: false, row_sums: false };
        let cut = |name, rows, columns| {
            let product = Product::new([rows, columns, 8], 8, columns, columns);
            let (constants, workgroups) = Variant::named(name).unwrap().cut(&product, form);
            let value = |name| constants.iter().find(|(known, _)| *known == name).unwrap().1 as u32;
            ([value("ACROSS"), value("DOWN")], workgroups)
        };
        assert_eq!(cut("registers-16x20", 16_384, 100), ([1, 8], [5, 128, 1]));
        assert_eq!(cut("registers-16x20", 256, 16_384), ([4, 2], [205, 8, 1]));
        assert_eq!(cut("registers-8x8", 8, 1000), ([64, 1], [2, 1, 1]));
        assert_eq!(cut("tiled-128x128", 65, 129), ([16, 16], [2, 1, 1]));
        assert_eq!(cut("tiled-128x128-deep", 17_907, 100), ([16, 16], [1, 140, 1]));
        assert!(Variant::named("none").is_none());
    }
}
