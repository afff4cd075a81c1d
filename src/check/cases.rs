//! The built-in cases: small shapes chosen for what goes wrong in kernels.

use crate::model::initial::initial;
use crate::model::shape::{HIDDEN_BIAS, OUTPUT_BIAS};
use crate::model::{Init, Parameters, Shape};
use crate::text::Corpus;
use crate::text::random::{Purpose, below, threefry};

/// A network and a batch.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name in reports.
    pub name: String,
    /// The network before the first step.
    pub parameters: Parameters,
    /// The batch: all examples of the corpus.
    pub corpus: Corpus,
}

/// The cases that `check` runs on a device.
///
/// | case | what it is for |
/// | --- | --- |
/// | `lecture` | the lecture's network and its batch of 32 |
/// | `notebook` | an embedding of 2: rows shorter than a vector |
/// | `odd` | sizes that no tile divides |
/// | `direct` | direct connections |
/// | `single` | a batch of one |
/// | `repeated` | the same few tokens all over every context: the embedding's gradient sums many terms |
/// | `extreme` | logits of +-2000: softmax must neither overflow nor lose its gradient |
/// | `saturated` | hidden units with sums far outside the range of tanh |
/// | `words` | a vocabulary of some thousands |
pub fn built_in_cases() -> Vec<Case> {
    let shape =
        |vocabulary, context, embedding, hidden, direct| Shape { vocabulary, context, embedding, hidden, direct };
    let case = |name: &str, shape, batch, tokens, init| Case {
        name: name.to_owned(),
        parameters: initial(shape, init, 1),
        corpus: random_corpus(shape, batch, tokens),
    };
    let mut extreme = case("extreme", shape(27, 3, 10, 50, false), 16, 27, Init::Scaled);
    let bias = extreme.parameters.tensor_mut(OUTPUT_BIAS);
    (bias[3], bias[5]) = (2000.0, -2000.0);
    let mut saturated = case("saturated", shape(27, 3, 10, 50, false), 16, 27, Init::Lecture);
    let bias = saturated.parameters.tensor_mut(HIDDEN_BIAS);
    (bias[0], bias[1], bias[2]) = (100.0, -100.0, 1e30);
    vec![
        case("lecture", shape(27, 3, 10, 200, false), 32, 27, Init::Lecture),
        case("notebook", shape(27, 3, 2, 100, false), 32, 27, Init::Lecture),
        case("odd", shape(31, 5, 7, 33, false), 13, 31, Init::Scaled),
        case("direct", shape(101, 4, 6, 17, true), 29, 101, Init::Lecture),
        case("single", shape(27, 3, 10, 200, false), 1, 27, Init::Lecture),
        case("repeated", shape(27, 8, 16, 64, false), 64, 2, Init::Scaled),
        extreme,
        saturated,
        case("words", shape(3001, 4, 30, 50, true), 20, 3001, Init::Scaled),
    ]
}

/// Examples with uniform tokens below `tokens`; the first context is one token alone, the last target the last token.
fn random_corpus(shape: Shape, batch: usize, tokens: u32) -> Corpus {
    let draw = |lane: usize| below(threefry([7, Purpose::Synthetic as u32], [0, lane as u32])[0], tokens);
    let mut contexts: Vec<u32> = (0..batch * shape.context).map(draw).collect();
    let first = contexts[0];
    contexts[..shape.context].fill(first);
    let mut targets: Vec<u32> = (0..batch).map(|example| draw(batch * shape.context + example)).collect();
    targets[batch - 1] = shape.vocabulary as u32 - 1;
    Corpus::from_examples(&contexts, &targets, shape.context)
}
