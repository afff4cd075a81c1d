//! The table of kernels: each a WGSL file in `shaders/`, put together with its shared parts when the crate is compiled.
//! A kernel's name is the name of its file and of its entry point.

use std::borrow::Cow;

pub use super::product_kernels::{
    HIDDEN_GRADIENT_PARTS, INPUT_STEP, Joined, MATRIX_PRODUCT, MATRIX_PRODUCT_SLICED, MATRIX_PRODUCT_TILED, OUTPUT_STEP,
};
use super::unroll::unrolled;

/// How a kernel uses one of its buffers; the place in [`Kernel::bindings`] is the binding's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// A small struct of sizes, or what is read as such because all of it fits.
    Uniform,
    /// A storage buffer that is only read.
    Read,
    /// A storage buffer that is read and written.
    Write,
}

/// One pass over the data.
#[derive(Debug)]
pub struct Kernel {
    /// Name of the file and of the entry point.
    pub name: &'static str,
    /// The composed WGSL.
    pub source: &'static str,
    /// Its buffers.
    pub bindings: &'static [Access],
    /// The `override` constants that whoever makes a pipeline gives, all or those that matter.
    pub constants: &'static [&'static str],
    /// Whether lines of the source stand for several (`unroll.rs`); ROWS and QUADS are 4 where they are not
    /// given.
    pub unrolled: bool,
}

impl Kernel {
    /// The WGSL for some constants, and those of them that are overrides in it.
    pub fn compose<'a>(&self, constants: &[(&'a str, f64)]) -> (Cow<'static, str>, Vec<(&'a str, f64)>) {
        if !self.unrolled {
            return (Cow::Borrowed(self.source), constants.to_vec());
        }
        let size = |name| constants.iter().find(|(known, _)| *known == name).map_or(4, |(_, value)| *value as u32);
        let overrides = constants.iter().copied().filter(|(name, _)| !TILE.contains(name)).collect();
        (unrolled(self.source, size(TILE[0]), size(TILE[1])), overrides)
    }
}

/// The constants that are written into an unrolled source, as so many lines: of a product in registers or tiles the rows of an
/// invocation's tile, and fours of its columns. (Of `small_examples_uniform` and `small_parameters_uniform` the fours are those of
/// the uniform buffer.)
const TILE: [&str; 2] = ["ROWS", "QUADS"];

macro_rules! wgsl {
    ($($file:literal),+) => { concat!($(include_str!(concat!("../../../shaders/", $file, ".wgsl")), "\n"),+) };
}

pub(super) use wgsl;

/// A pass over activations that depends on the step.
macro_rules! activations {
    ($($file:literal),+) => {
        wgsl!("shared/random", "shared/batch", "shared/workgroup", "shared/activations", $($file),+)
    };
}

/// A pass from the draw to the hidden units.
macro_rules! forward {
    ($($file:literal),+) => {
        wgsl!("shared/random", "shared/batch", "shared/workgroup", "shared/draw", "shared/dropout", "shared/joined", $($file),+)
    };
}

/// The constants of a kernel of the small path, and more of its own.
macro_rules! small_sizes {
    ($($more:literal),*) => {
        &["WORKGROUP", "ORDER", "VOCABULARY", "CONTEXT", "EMBEDDING", "HIDDEN", "DIRECT", "BATCH", "LOGITS", $($more),*]
    };
}

use Access::{Read, Uniform, Write};

/// Draws the batch of a step.
pub const DRAW_BATCH: Kernel = Kernel {
    name: "draw_batch",
    source: wgsl!("shared/random", "shared/batch", "shared/workgroup", "shared/draw", "draw_batch"),
    bindings: &[Uniform, Read, Read, Write, Write, Write],
    constants: &["WORKGROUP", "ORDER"],
    unrolled: false,
};

/// Contexts to concatenated embeddings.
pub const EMBEDDING_GATHER: Kernel = Kernel {
    name: "embedding_gather",
    source: activations!("shared/table", "shared/dropout", "embedding_gather"),
    bindings: &[Uniform, Uniform, Uniform, Read, Read, Read, Write],
    constants: &["WORKGROUP", "DROPS"],
    unrolled: false,
};

/// tanh, in place.
pub const TANH_FORWARD: Kernel = Kernel {
    name: "tanh_forward",
    source: activations!("shared/dropout", "tanh_forward"),
    bindings: &[Uniform, Uniform, Read, Write],
    constants: &["WORKGROUP", "DROPS"],
    unrolled: false,
};

/// The gradient before tanh, in place.
pub const TANH_BACKWARD: Kernel = Kernel {
    name: "tanh_backward",
    source: activations!("shared/dropout", "tanh_backward"),
    bindings: &[Uniform, Uniform, Read, Read, Write],
    constants: &["WORKGROUP", "DROPS"],
    unrolled: false,
};

/// Softmax with its loss and gradient, a workgroup a row, of which each invocation holds `QUADS` fours; `RESULT` is one of
/// [`SoftmaxResult`].
pub const SOFTMAX_CROSS_ENTROPY: Kernel = Kernel {
    name: "softmax_cross_entropy",
    source: wgsl!("shared/workgroup", "shared/workgroup_sum", "shared/activations", "softmax_cross_entropy"),
    bindings: &[Uniform, Read, Write, Write],
    constants: &["WORKGROUP", "RESULT"],
    unrolled: true,
};

/// What the softmax pass makes of the logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SoftmaxResult {
    /// Nothing: only the losses are wanted.
    Loss = 0,
    /// The gradient of the mean loss.
    Gradient = 1,
    /// The probabilities.
    Probabilities = 2,
}

/// The sum of each column of a matrix; `RESULT` is an [`crate::engine::gpu::product::Outcome`].
pub const COLUMN_SUM: Kernel = Kernel {
    name: "column_sum",
    source: wgsl!(
        "shared/random",
        "shared/batch",
        "shared/rate",
        "shared/result",
        "shared/workgroup",
        "shared/extent",
        "column_sum"
    ),
    bindings: &[Uniform, Read, Read, Read, Write],
    constants: &["WORKGROUP", "RESULT"],
    unrolled: false,
};

/// The hidden units of contexts from what each pair of place and token adds to them.
pub const PAIR_HIDDEN: Kernel = Kernel {
    name: "pair_hidden",
    source: activations!("shared/dropout", "shared/pairs", "pair_hidden"),
    bindings: &[Uniform, Uniform, Read, Read, Read, Read, Write],
    constants: &["WORKGROUP", "DROPS", "CONTEXT", "VOCABULARY"],
    unrolled: false,
};

/// For each pair of place and token the sum of the hidden units' gradients, a workgroup a pair and `SLAB` examples.
pub const PAIR_SUMS: Kernel = Kernel {
    name: "pair_sums",
    source: wgsl!("shared/workgroup", "shared/activations", "shared/pairs", "pair_sums"),
    bindings: &[Uniform, Read, Read, Write],
    constants: &["WORKGROUP", "CONTEXT", "VOCABULARY", "SLAB"],
    unrolled: true,
};

/// Which occurrences of tokens in a chunk of a batch are of the same token.
pub const EMBEDDING_LINKS: Kernel = Kernel {
    name: "embedding_links",
    source: wgsl!(
        "shared/workgroup",
        "shared/activations",
        "shared/table",
        "shared/links",
        "shared/find_links",
        "embedding_links"
    ),
    bindings: &[Uniform, Uniform, Read, Write],
    constants: &["WORKGROUP", "SORTED"],
    unrolled: true,
};

/// The gradient or the update of the embedding, by the first occurrence of each token; `INTO_GRADIENTS` is 1 for the
/// gradient.
pub const EMBEDDING_SCATTER: Kernel = Kernel {
    name: "embedding_scatter",
    source: activations!(
        "shared/rate",
        "shared/table",
        "shared/dropout",
        "shared/links",
        "shared/scatter",
        "embedding_scatter"
    ),
    bindings: &[Uniform, Uniform, Uniform, Read, Read, Read, Read, Read, Write],
    constants: &["WORKGROUP", "INTO_GRADIENTS", "DROPS", "SORTED", "SPREAD", "SHARES"],
    unrolled: true,
};

/// Sums of squares of the gradient, one for each workgroup.
pub const SQUARE_SUM: Kernel = Kernel {
    name: "square_sum",
    source: wgsl!("shared/workgroup", "shared/workgroup_sum", "shared/extent", "square_sum"),
    bindings: &[Uniform, Read, Write],
    constants: &["WORKGROUP"],
    unrolled: false,
};

/// What the gradient is multiplied with so that its norm is at most so much.
pub const CLIP_FACTOR: Kernel = Kernel {
    name: "clip_factor",
    source: wgsl!("shared/workgroup", "shared/workgroup_sum", "clip_factor"),
    bindings: &[Uniform, Read, Write],
    constants: &["WORKGROUP"],
    unrolled: false,
};

/// The update rule and the average of the weights; `RULE` is an [`crate::engine::Optimizer`], `AVERAGE` is 1 where there
/// is an average.
pub const UPDATE_RULE: Kernel = Kernel {
    name: "update_rule",
    source: wgsl!("shared/random", "shared/batch", "shared/workgroup", "update_rule"),
    bindings: &[Uniform, Read, Read, Read, Write, Write, Write, Write, Write],
    constants: &["WORKGROUP", "RULE", "AVERAGE"],
    unrolled: false,
};

/// The batch's mean loss into the ring, and the cursor's step forward.
pub const LOSS_MEAN: Kernel = Kernel {
    name: "loss_mean",
    source: wgsl!("shared/random", "shared/batch", "shared/workgroup", "shared/mean_loss", "loss_mean"),
    bindings: &[Uniform, Read, Write, Write],
    constants: &["WORKGROUP"],
    unrolled: false,
};

/// A batch from its draw to its hidden units.
pub const HIDDEN_FORWARD: Kernel = Kernel {
    name: "hidden_forward",
    source: forward!("hidden_forward"),
    bindings: &[Uniform, Uniform, Uniform, Uniform, Read, Read, Write, Write, Write, Read, Write, Write],
    constants: &["WORKGROUP", "ORDER", "DROPS"],
    unrolled: true,
};

/// The same for a GPU.
pub const HIDDEN_FORWARD_WIDE: Kernel = Kernel {
    name: "hidden_forward_wide",
    source: forward!("shared/add_products", "hidden_forward_wide"),
    bindings: HIDDEN_FORWARD.bindings,
    constants: &["WORKGROUP", "ORDER", "DROPS", "INPUT_QUADS"],
    unrolled: true,
};

/// What the small path's first dispatch finds made when a step begins.
pub const SMALL_AHEAD: Kernel = Kernel {
    name: "small_ahead",
    source: wgsl!("shared/random", "shared/batch", "shared/small", "small_ahead"),
    bindings: &[Uniform, Read, Read, Read, Read, Write, Write],
    constants: small_sizes!(),
    unrolled: false,
};

/// The small path's first dispatch, a workgroup an example.
pub const SMALL_EXAMPLES: Kernel = Kernel {
    name: "small_examples",
    source: wgsl!("shared/random", "shared/batch", "shared/small", "shared/add_products", "small_examples"),
    bindings: &[Uniform, Read, Read, Read, Write, Write, Write, Read, Read],
    constants: small_sizes!(),
    unrolled: true,
};

/// The same, `PARTS` invocations four examples.
pub const SMALL_EXAMPLES_ACROSS: Kernel = Kernel {
    name: "small_examples_across",
    source: wgsl!("shared/random", "shared/batch", "shared/small", "shared/small_across", "small_examples_across"),
    bindings: &[Uniform, Read, Read, Read, Write, Write, Write],
    constants: small_sizes!("PARTS"),
    unrolled: false,
};

/// The same with all parameters, `QUADS` fours, in a uniform buffer.
pub const SMALL_EXAMPLES_UNIFORM: Kernel = Kernel {
    name: "small_examples_uniform",
    source: wgsl!("shared/random", "shared/batch", "shared/small", "shared/small_across", "small_examples_uniform"),
    bindings: &[Uniform, Read, Read, Uniform, Write, Write, Write],
    constants: SMALL_EXAMPLES_ACROSS.constants,
    unrolled: true,
};

/// The small path's second dispatch, an invocation a parameter.
pub const SMALL_PARAMETERS: Kernel = Kernel {
    name: "small_parameters",
    source: wgsl!("shared/random", "shared/batch", "shared/small", "small_parameters"),
    bindings: &[Uniform, Read, Read, Write, Write, Write, Write],
    constants: small_sizes!("HELD"),
    unrolled: true,
};

/// The same, an invocation a tile of parameters.
pub const SMALL_PARAMETERS_TILED: Kernel = Kernel {
    name: "small_parameters_tiled",
    source: wgsl!("shared/random", "shared/batch", "shared/small", "shared/small_tiled", "small_parameters_tiled"),
    bindings: &[Uniform, Read, Read, Read, Write, Write, Write],
    constants: small_sizes!(),
    unrolled: false,
};

/// The same with all records, `QUADS` fours, in a uniform buffer.
pub const SMALL_PARAMETERS_UNIFORM: Kernel = Kernel {
    name: "small_parameters_uniform",
    source: wgsl!("shared/random", "shared/batch", "shared/small", "shared/small_tiled", "small_parameters_uniform"),
    bindings: &[Uniform, Read, Uniform, Read, Write, Write, Write],
    constants: small_sizes!(),
    unrolled: true,
};

/// Both dispatches of `STEPS` steps, in one workgroup.
pub const SMALL_STEPS: Kernel = Kernel {
    name: "small_steps",
    source: wgsl!(
        "shared/random",
        "shared/batch",
        "shared/small",
        "shared/small_across",
        "shared/small_tiled",
        "small_steps"
    ),
    bindings: &[Uniform, Read, Read, Read, Write, Write, Write, Write, Write],
    constants: small_sizes!("PARTS", "STEPS"),
    unrolled: false,
};

/// Multiplications and additions, to see how many a device makes a second.
pub const PEAK_ARITHMETIC: Kernel = Kernel {
    name: "peak_arithmetic",
    source: wgsl!("shared/workgroup", "peak_arithmetic"),
    bindings: &[Read, Write],
    constants: &["WORKGROUP", "ROUNDS"],
    unrolled: true,
};

/// A copy, to see how fast memory moves.
pub const PEAK_MEMORY: Kernel = Kernel {
    name: "peak_memory",
    source: wgsl!("shared/workgroup", "peak_memory"),
    bindings: &[Read, Write],
    constants: &["WORKGROUP", "RUN"],
    unrolled: false,
};

/// Every kernel.
pub const KERNELS: [&Kernel; 37] = [
    &DRAW_BATCH,
    &EMBEDDING_GATHER,
    &MATRIX_PRODUCT,
    &MATRIX_PRODUCT_TILED,
    &MATRIX_PRODUCT_SLICED,
    &TANH_FORWARD,
    &TANH_BACKWARD,
    &SOFTMAX_CROSS_ENTROPY,
    &COLUMN_SUM,
    &PAIR_HIDDEN,
    &PAIR_SUMS,
    &EMBEDDING_LINKS,
    &EMBEDDING_SCATTER,
    &SQUARE_SUM,
    &CLIP_FACTOR,
    &UPDATE_RULE,
    &LOSS_MEAN,
    &HIDDEN_FORWARD,
    &HIDDEN_FORWARD_WIDE,
    &HIDDEN_GRADIENT_PARTS.in_registers,
    &HIDDEN_GRADIENT_PARTS.in_tiles,
    &OUTPUT_STEP.in_registers,
    &OUTPUT_STEP.in_tiles,
    &OUTPUT_STEP.in_slices,
    &INPUT_STEP.in_registers,
    &INPUT_STEP.in_tiles,
    &INPUT_STEP.in_slices,
    &SMALL_AHEAD,
    &SMALL_EXAMPLES,
    &SMALL_EXAMPLES_ACROSS,
    &SMALL_EXAMPLES_UNIFORM,
    &SMALL_PARAMETERS,
    &SMALL_PARAMETERS_TILED,
    &SMALL_PARAMETERS_UNIFORM,
    &SMALL_STEPS,
    &PEAK_ARITHMETIC,
    &PEAK_MEMORY,
];
