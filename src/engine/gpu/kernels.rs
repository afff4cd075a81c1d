//! The table of kernels: each a WGSL file in `shaders/`, put together with its shared parts when the crate is compiled.
//! A kernel's name is the name of its file and of its entry point.

/// How a kernel uses one of its buffers; the place in [`Kernel::bindings`] is the binding's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// A small struct of sizes.
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
    /// The `override` constants that whoever makes a pipeline must give.
    pub constants: &'static [&'static str],
}

macro_rules! wgsl {
    ($($file:literal),+) => { concat!($(include_str!(concat!("../../../shaders/", $file, ".wgsl")), "\n"),+) };
}

/// A pass over activations that depends on the step.
macro_rules! activations {
    ($($file:literal),+) => {
        wgsl!("shared/random", "shared/batch", "shared/workgroup", "shared/activations", $($file),+)
    };
}

use Access::{Read, Uniform, Write};

const SMALL_SIZES: &[&str] = &["WORKGROUP", "VOCABULARY", "CONTEXT", "EMBEDDING", "HIDDEN", "DIRECT"];

/// Draws the batch of a step.
pub const DRAW_BATCH: Kernel = Kernel {
    name: "draw_batch",
    source: wgsl!("shared/random", "shared/batch", "shared/workgroup", "draw_batch"),
    bindings: &[Uniform, Read, Read, Write, Write, Write],
    constants: &["WORKGROUP"],
};

/// Contexts to concatenated embeddings, and the same transposed.
pub const EMBEDDING_GATHER: Kernel = Kernel {
    name: "embedding_gather",
    source: activations!("shared/table", "shared/dropout", "embedding_gather"),
    bindings: &[Uniform, Uniform, Uniform, Read, Read, Read, Write, Write],
    constants: &["WORKGROUP"],
};

/// The tiled matrix product; `LEFT_TRANSPOSED` is one of [`Left`].
pub const MATRIX_PRODUCT: Kernel = Kernel {
    name: "matrix_product",
    source: wgsl!("matrix_product"),
    bindings: &[Uniform, Read, Read, Read, Write],
    constants: &["ACROSS", "DOWN", "LEFT_TRANSPOSED"],
};

/// How the left matrix of a product lies in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// [rows, inner].
    Plain = 0,
    /// [inner, rows].
    Transposed = 1,
}

/// tanh, in place, and the same transposed.
pub const TANH_FORWARD: Kernel = Kernel {
    name: "tanh_forward",
    source: activations!("shared/dropout", "tanh_forward"),
    bindings: &[Uniform, Uniform, Read, Write, Write],
    constants: &["WORKGROUP"],
};

/// The gradient before tanh, in place.
pub const TANH_BACKWARD: Kernel = Kernel {
    name: "tanh_backward",
    source: activations!("shared/dropout", "tanh_backward"),
    bindings: &[Uniform, Uniform, Read, Read, Write],
    constants: &["WORKGROUP"],
};

/// Softmax with its loss and gradient, a workgroup a row; `RESULT` is one of [`SoftmaxResult`].
pub const SOFTMAX_CROSS_ENTROPY: Kernel = Kernel {
    name: "softmax_cross_entropy",
    source: wgsl!("shared/workgroup", "shared/workgroup_sum", "shared/activations", "softmax_cross_entropy"),
    bindings: &[Uniform, Read, Write, Write],
    constants: &["WORKGROUP", "RESULT"],
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

/// The sum of each column of a matrix.
pub const COLUMN_SUM: Kernel = Kernel {
    name: "column_sum",
    source: wgsl!("shared/workgroup", "shared/extent", "column_sum"),
    bindings: &[Uniform, Read, Write],
    constants: &["WORKGROUP"],
};

/// The gradient or the update of the embedding by its leader scan, a workgroup an occurrence; `INTO_GRADIENTS` is 1 for
/// the gradient.
pub const EMBEDDING_SCATTER: Kernel = Kernel {
    name: "embedding_scatter",
    source: activations!("shared/table", "shared/dropout", "embedding_scatter"),
    bindings: &[Uniform, Uniform, Uniform, Read, Read, Read, Read, Write],
    constants: &["WORKGROUP", "INTO_GRADIENTS"],
};

/// Sums of squares of the gradient, one for each workgroup.
pub const SQUARE_SUM: Kernel = Kernel {
    name: "square_sum",
    source: wgsl!("shared/workgroup", "shared/workgroup_sum", "shared/extent", "square_sum"),
    bindings: &[Uniform, Read, Write],
    constants: &["WORKGROUP"],
};

/// What the gradient is multiplied with so that its norm is at most so much.
pub const CLIP_FACTOR: Kernel = Kernel {
    name: "clip_factor",
    source: wgsl!("shared/workgroup", "shared/workgroup_sum", "clip_factor"),
    bindings: &[Uniform, Read, Write],
    constants: &["WORKGROUP"],
};

/// The update rule and the average of the weights; `RULE` is an [`crate::engine::Optimizer`], `AVERAGE` is 1 where there
/// is an average.
pub const UPDATE_RULE: Kernel = Kernel {
    name: "update_rule",
    source: wgsl!("shared/random", "shared/batch", "shared/workgroup", "update_rule"),
    bindings: &[Uniform, Read, Read, Read, Write, Write, Write, Write, Write],
    constants: &["WORKGROUP", "RULE", "AVERAGE"],
};

/// The batch's mean loss into the ring, and the cursor's step forward.
pub const LOSS_MEAN: Kernel = Kernel {
    name: "loss_mean",
    source: wgsl!("shared/random", "shared/batch", "loss_mean"),
    bindings: &[Uniform, Read, Write, Write],
    constants: &[],
};

/// The small path's first dispatch, a workgroup an example.
pub const SMALL_EXAMPLES: Kernel = Kernel {
    name: "small_examples",
    source: wgsl!("shared/random", "shared/batch", "shared/small", "small_examples"),
    bindings: &[Uniform, Read, Read, Read, Write, Write, Write],
    constants: SMALL_SIZES,
};

/// The same, `PARTS` invocations four examples.
pub const SMALL_EXAMPLES_ACROSS: Kernel = Kernel {
    name: "small_examples_across",
    source: wgsl!("shared/random", "shared/batch", "shared/small", "small_examples_across"),
    bindings: SMALL_EXAMPLES.bindings,
    constants: &["WORKGROUP", "VOCABULARY", "CONTEXT", "EMBEDDING", "HIDDEN", "DIRECT", "PARTS"],
};

/// The small path's second dispatch, an invocation a parameter.
pub const SMALL_PARAMETERS: Kernel = Kernel {
    name: "small_parameters",
    source: wgsl!("shared/random", "shared/batch", "shared/small", "small_parameters"),
    bindings: &[Uniform, Read, Read, Read, Write, Write, Write],
    constants: SMALL_SIZES,
};

/// The same, an invocation a tile of parameters.
pub const SMALL_PARAMETERS_TILED: Kernel = Kernel {
    name: "small_parameters_tiled",
    source: wgsl!("shared/random", "shared/batch", "shared/small", "small_parameters_tiled"),
    bindings: SMALL_PARAMETERS.bindings,
    constants: SMALL_SIZES,
};

/// Every kernel.
pub const KERNELS: [&Kernel; 16] = [
    &DRAW_BATCH,
    &EMBEDDING_GATHER,
    &MATRIX_PRODUCT,
    &TANH_FORWARD,
    &TANH_BACKWARD,
    &SOFTMAX_CROSS_ENTROPY,
    &COLUMN_SUM,
    &EMBEDDING_SCATTER,
    &SQUARE_SUM,
    &CLIP_FACTOR,
    &UPDATE_RULE,
    &LOSS_MEAN,
    &SMALL_EXAMPLES,
    &SMALL_EXAMPLES_ACROSS,
    &SMALL_PARAMETERS,
    &SMALL_PARAMETERS_TILED,
];
