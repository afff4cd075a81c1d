//! Which networks and batches the small path takes, and for which of them it pays.

use super::{EXAMPLES, LANES, NARROW, WIDE};
use crate::engine::Recipe;
use crate::engine::gpu::device::WORKGROUP_BYTES;
use crate::engine::gpu::layout::padded;
use crate::model::Shape;

/// Parameters, at most: beyond, the second dispatch reads each activation too often.
const MOST_PARAMETERS: usize = 1 << 16;
/// Examples in a batch, at most: every parameter sums over them one after the other.
const MOST_EXAMPLES: usize = 256;

/// Why a network or a batch does not fit this path, if it does not. An invocation takes at most so many rounds of loops.
pub(in crate::engine::gpu) fn unfit(shape: Shape, batch: usize, recipe: &Recipe, most_rounds: u32) -> Option<String> {
    if !recipe.is_plain() {
        return Some("it takes plain gradient steps only".to_owned());
    } else if shape.tied || shape.hidden == 0 {
        return Some("it takes networks with hidden units and output weights of their own only".to_owned());
    }
    let (needed, memory) = (needed_bytes(shape), WORKGROUP_BYTES as usize);
    if needed > memory {
        Some(format!("the activations of an example need {needed} bytes of workgroup memory; there are {memory}"))
    } else if shape.parameters() > MOST_PARAMETERS {
        Some(format!("the network has {} parameters; at most {MOST_PARAMETERS} fit", shape.parameters()))
    } else if batch > MOST_EXAMPLES {
        Some(format!("a batch has {batch} examples; at most {MOST_EXAMPLES} fit"))
    } else if rounds_of_examples(shape, batch) + rounds_of_tiles(shape, batch) > most_rounds as usize {
        Some(format!("its loops may take more rounds than the {most_rounds} that the device does"))
    } else {
        None
    }
}

/// Comparisons of a step from which a software device takes the general path: see [`pays`].
const MOST_COMPARISONS: usize = 3 << 17;

/// Whether this path is the faster one where it can be taken. The two paths add in different orders, so the choice changes a
/// run's last bits: it is a rule of what the run is, never a measurement, and a resumed run goes on as it began.
///
/// Here every number of the embedding looks at every token of the batch ([`comparisons`]). A GPU makes millions of
/// them in a microsecond, while the general path starts six dispatches, one after the other. On lavapipe (two cores)
/// these start in 0.3 ms, and a comparison takes 0.85 ns. Measured there, time of the general path over that of this one:
///
/// | V, n, d, h | B 8 | 32 | 128 | 256 |
/// | --- | --- | --- | --- | --- |
/// | 27, 3, 10, 200 | 2.53 | 2.42 | 1.58 | 1.49 |
/// | 27, 8, 24, 200 | 2.10 | 1.56 | unfit | unfit |
/// | 60, 5, 16, 400 | 1.55 | 1.59 | unfit | unfit |
/// | 250, 3, 10, 150 | 1.34 | 1.20 | unfit | unfit |
/// | 250, 4, 30, 100 | 0.87 | 0.71, beyond | unfit | unfit |
/// | 500, 4, 16, 90 | 1.28 | 0.73, beyond | unfit | unfit |
pub(in crate::engine::gpu) fn pays(on_software: bool, shape: Shape, batch: usize) -> bool {
    !on_software || comparisons(shape, batch) <= MOST_COMPARISONS
}

/// Comparisons of a step: every number of the embedding looks at every token of the batch.
fn comparisons(shape: Shape, batch: usize) -> usize {
    shape.vocabulary * shape.embedding * batch * shape.context
}

/// Rounds of loops, at most, in which an invocation of [`NARROW`] computes its examples of a batch, if it has to do with all
/// outputs. Loops over the numbers of a tile do not count: every driver writes them out.
pub(super) fn rounds_of_examples(shape: Shape, batch: usize) -> usize {
    /// Of the permutation that draws an example.
    const DRAW: usize = 64;
    let Shape { context, vocabulary, hidden, .. } = shape;
    let inputs = shape.input();
    let eights = |count: usize| count.div_ceil(8);
    let quads = |count: usize| count.div_ceil(4);
    // Products along columns go through the four rows of a quad.
    let across = |rows: usize| 5 * quads(rows) + LANES;
    let each = EXAMPLES * (context + inputs + DRAW + 3 * vocabulary)
        + eights(hidden) * (quads(inputs) + across(vocabulary))
        + eights(vocabulary) * (across(hidden) + across(inputs))
        + eights(inputs) * (across(hidden) + across(vocabulary));
    batch.div_ceil(NARROW * EXAMPLES) * each
}

/// The same for one tile of parameters. Neighbours take their turns where they have different things to do: three matrices,
/// two biases, the loss, and four numbers of the embedding, which look at every token of the batch and may add all of them up.
pub(super) fn rounds_of_tiles(shape: Shape, batch: usize) -> usize {
    batch * (6 + 4 * shape.context) + 4 * batch * shape.context + batch * shape.context.div_ceil(8)
}

/// Bytes that a workgroup of the widest variant needs, in either dispatch: the twin of `small_examples.wgsl`, with TURNS sums of each
/// invocation and four more places a lane, and of `small_parameters.wgsl`.
pub(in crate::engine::gpu) fn needed_bytes(shape: Shape) -> usize {
    const TURNS: usize = 4;
    let sums = TURNS * (WIDE + 4 * LANES);
    let first = padded(shape.input()) + 2 * padded(shape.hidden) + 2 * shape.vocabulary + 4 + sums;
    4 * first.max(padded(shape.input()) + shape.context)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::SHAPES;

    #[test]
    fn a_software_device_takes_the_general_path_where_the_embedding_is_searched_too_often() {
        let [notebook, makemore] = [&SHAPES[0], &SHAPES[1]];
        for (shape, batch) in
            [(notebook.shape, notebook.batch), (makemore.shape, makemore.batch), (makemore.shape, 256)]
        {
            assert!(pays(true, shape, batch));
        }
        let shape = Shape { vocabulary: 500, context: 4, embedding: 16, hidden: 90, direct: false, tied: false };
        assert!(pays(true, shape, 8) && !pays(true, shape, 32) && pays(false, shape, 256));
    }
}
