//! The kernels that make matrix products: in three ways, each by itself and with other passes beside it.

use super::kernels::Access::{Read, Uniform, Write};
use super::kernels::{Kernel, wgsl};

/// A product by itself, in one of the ways to make it.
macro_rules! alone {
    ($name:literal, $way:literal, [$($constant:literal),*]) => {
        Kernel {
            name: $name,
            source: wgsl!(
                "shared/random",
                "shared/batch",
                "shared/product",
                "shared/rate",
                "shared/result",
                "shared/product_alone",
                $way,
                $name
            ),
            bindings: &[Uniform, Read, Read, Read, Read, Read, Write, Write],
            constants: &["ACROSS", "DOWN", "LAYOUT", "ROW_SUMS", "RESULT", "BIAS", $($constant),*],
            unrolled: true,
        }
    };
}

/// The matrix product in registers; its constants are those of `product.rs`.
pub const MATRIX_PRODUCT: Kernel = alone!("matrix_product", "shared/product_in_registers", []);

/// The matrix product in tiles that a workgroup brings into its memory.
pub const MATRIX_PRODUCT_TILED: Kernel = alone!(
    "matrix_product_tiled",
    "shared/product_in_tiles",
    ["DEPTH", "SLABS", "ROW_FOURS", "COLUMN_FOURS", "COLUMNS_FROM", "ONES"]
);

/// The matrix product in slices of its k's, whose sums meet in a workgroup's memory.
pub const MATRIX_PRODUCT_SLICED: Kernel = alone!("matrix_product_sliced", "shared/product_in_slices", []);

/// A kernel that makes a product and something else beside it, with all ways to make a product.
#[derive(Debug)]
pub struct Joined {
    /// As [`MATRIX_PRODUCT`] makes it.
    pub in_registers: Kernel,
    /// As [`MATRIX_PRODUCT_TILED`] makes it.
    pub in_tiles: Kernel,
    /// As [`MATRIX_PRODUCT_SLICED`] makes it: for those whose left matrix lies transposed.
    pub in_slices: Kernel,
}

// Arrays that overrides measure (those of product_in_tiles and product_in_slices) come after all overrides: naga 30 fails otherwise.
macro_rules! joined {
    ($name:literal, $bindings:expr, [$($constant:literal),*], $($file:literal),+) => {
        Joined {
            in_registers: joined!(@kernel $name, $bindings, "shared/product_in_registers", [$($constant),*], $($file),+),
            in_tiles: joined!(
                @kernel $name, $bindings, "shared/product_in_tiles",
                ["DEPTH", "SLABS", "ROW_FOURS", "COLUMN_FOURS", "COLUMNS_FROM", "ONES", $($constant),*],
                $($file),+
            ),
            in_slices: joined!(@kernel $name, $bindings, "shared/product_in_slices", [$($constant),*], $($file),+),
        }
    };
    (@kernel $name:literal, $bindings:expr, $way:literal, [$($constant:literal),*], $($file:literal),+) => {
        Kernel {
            name: $name,
            source: wgsl!("shared/random", "shared/batch", "shared/product", "shared/joined", $($file),+, $way, $name),
            bindings: $bindings,
            constants: &["ACROSS", "DOWN", "LAYOUT", "ROW_SUMS", $($constant),*],
            unrolled: true,
        }
    };
}

/// The gradient of the hidden units in parts; the mean loss, the cursor's step forward, and links between occurrences.
pub static HIDDEN_GRADIENT_PARTS: Joined = joined!(
    "hidden_gradient_parts",
    &[Uniform, Uniform, Uniform, Read, Read, Write, Read, Write, Write, Read, Write],
    ["SORTED"],
    "shared/mean_loss",
    "shared/links",
    "shared/find_links"
);

/// A plain step of the output weights; the gradient of the hidden units from its parts, and that of the input.
pub static OUTPUT_STEP: Joined = joined!(
    "output_step",
    &[Uniform, Uniform, Uniform, Read, Read, Read, Read, Write, Read, Write, Write],
    ["DROPS", "WIDE", "HIDDEN_STRIDE", "HELD", "AT_ONCE", "HIDDEN_PARTS", "INPUT_PARTS"],
    "shared/rate",
    "shared/product_step",
    "shared/dropout",
    "shared/back_to_input",
    "shared/back_to_input_wide"
);

/// A plain step of the hidden weights, and of the embedding.
pub static INPUT_STEP: Joined = joined!(
    "input_step",
    &[Uniform, Uniform, Uniform, Uniform, Uniform, Read, Read, Read, Read, Write, Write, Read, Read],
    ["DROPS", "SORTED", "SPREAD", "SHARES"],
    "shared/rate",
    "shared/product_step",
    "shared/activations",
    "shared/table",
    "shared/dropout",
    "shared/links",
    "shared/scatter"
);
