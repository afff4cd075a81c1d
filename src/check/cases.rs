//! The built-in cases: small shapes chosen for what goes wrong in kernels.

use crate::engine::{Optimizer, Recipe};
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
    /// How its steps change the parameters.
    pub recipe: Recipe,
    /// The learning rate of its steps.
    pub rate: f32,
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
/// | `words` | a vocabulary of some thousands, with direct connections |
/// | `words-plain`, `words-tied` | the same without them: weight decay; the embeddings as output weights, momentum, dropout, clipping |
/// | `direct-alone` | no hidden layer |
/// | `tied` | the embeddings as output weights; hidden units in two blocks of the CPU engine |
/// | `tied-direct` | the same with direct connections |
/// | `decay` | weight decay |
/// | `momentum`, `adagrad`, `adamw` | the update rules, with decay |
/// | `dropout` | dropped inputs and hidden units |
/// | `clipped` | a gradient much longer than its largest norm |
/// | `average` | the average of the weights |
/// | `blocks` | hidden units in eight blocks of the CPU engine, a vocabulary in several chunks |
/// | `blocks-dropout`, `blocks-average`, `blocks-adamw` | hidden units in several blocks, with plain steps and with others |
/// | `few-logits`, `many-logits` | each thread of the CPU engine takes the softmax of all examples, of several chunks; threads share them out, of one |
/// | `whole-dropout`, `whole-momentum` | embeddings of two numbers and of one: the CPU engine takes whole contexts as inputs; two blocks |
/// | `few-words` | embeddings of two numbers, but too many examples for each word for that |
/// | `pairs`, `pairs-adamw` | few tokens at many places: the GPU engine's general path takes each pair of place and token once |
/// | `everything` | tied, direct, AdamW, decay, dropout, clipping and average at once |
pub fn built_in_cases() -> Vec<Case> {
    let shape = |vocabulary, context, embedding, hidden, direct| Shape {
        vocabulary,
        context,
        embedding,
        hidden,
        direct,
        tied: false,
    };
    let case = |name: &str, shape, batch, tokens, init| Case {
        name: name.to_owned(),
        parameters: initial(shape, init, 1, &[]),
        corpus: random_corpus(shape, batch, tokens, 7),
        recipe: Recipe::default(),
        rate: 0.1,
    };
    let tied_direct = Shape { tied: true, ..shape(61, 4, 19, 19, true) };
    // The steps of AdaGrad and AdamW have the sign of the gradient, however small it is: a larger epsilon and a smaller
    // rate keep the rounding of float32 from deciding them.
    let plain = Recipe { epsilon: 1e-3, ..Recipe::default() };
    let with = |name: &str, rate: f32, recipe: Recipe| Case {
        recipe,
        rate,
        ..case(name, shape(47, 3, 9, 30, true), 21, 47, Init::Scaled)
    };
    let decay = Recipe { weight_decay: 0.1, ..plain };
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
        Case { recipe: decay, ..case("words-plain", shape(2503, 3, 11, 37, false), 37, 2503, Init::Scaled) },
        Case {
            recipe: Recipe { optimizer: Optimizer::Momentum, dropout_hidden: 0.3, clip_norm: 0.01, ..decay },
            ..case("words-tied", Shape { tied: true, ..shape(2111, 3, 19, 19, false) }, 21, 2111, Init::Scaled)
        },
        case("direct-alone", shape(53, 4, 7, 0, true), 18, 53, Init::Lecture),
        case("tied", Shape { tied: true, ..shape(61, 4, 99, 99, false) }, 27, 61, Init::Scaled),
        case("tied-direct", tied_direct, 27, 61, Init::Scaled),
        with("decay", 0.1, decay),
        with("momentum", 0.1, Recipe { optimizer: Optimizer::Momentum, ..decay }),
        with("adagrad", 0.02, Recipe { optimizer: Optimizer::Adagrad, ..decay }),
        with("adamw", 0.02, Recipe { optimizer: Optimizer::Adamw, ..decay }),
        with("dropout", 0.1, Recipe { dropout_embedding: 0.2, dropout_hidden: 0.4, ..plain }),
        with("clipped", 0.1, Recipe { clip_norm: 0.01, ..plain }),
        with("average", 0.1, Recipe { average: 0.9, ..plain }),
        case("blocks", shape(300, 3, 9, 420, false), 24, 300, Init::Scaled),
        Case {
            recipe: Recipe { dropout_embedding: 0.2, dropout_hidden: 0.4, ..decay },
            ..case("blocks-dropout", shape(27, 3, 10, 200, false), 32, 27, Init::Scaled)
        },
        Case {
            recipe: Recipe { dropout_embedding: 0.2, dropout_hidden: 0.4, ..decay },
            ..case("whole-dropout", shape(29, 5, 2, 100, false), 21, 29, Init::Scaled)
        },
        Case {
            recipe: Recipe { dropout_hidden: 0.4, ..decay },
            ..case("few-logits", shape(150, 3, 9, 100, false), 9, 150, Init::Scaled)
        },
        case("many-logits", shape(27, 3, 10, 200, false), 150, 27, Init::Scaled),
        case("few-words", shape(5, 3, 2, 100, false), 21, 5, Init::Scaled),
        Case {
            recipe: Recipe { optimizer: Optimizer::Momentum, dropout_embedding: 0.2, ..decay },
            ..case("whole-momentum", shape(150, 9, 1, 100, false), 19, 150, Init::Scaled)
        },
        Case {
            recipe: Recipe { average: 0.9, ..plain },
            ..case("blocks-average", shape(27, 3, 2, 100, false), 32, 27, Init::Scaled)
        },
        Case {
            recipe: Recipe { optimizer: Optimizer::Adamw, dropout_hidden: 0.3, clip_norm: 0.5, ..decay },
            rate: 0.02,
            ..case("blocks-adamw", shape(27, 3, 10, 200, false), 32, 27, Init::Scaled)
        },
        case("pairs", shape(13, 8, 16, 150, false), 301, 13, Init::Scaled),
        Case {
            recipe: Recipe { optimizer: Optimizer::Adamw, dropout_hidden: 0.3, clip_norm: 0.5, average: 0.9, ..decay },
            rate: 0.02,
            ..case("pairs-adamw", shape(13, 8, 16, 150, false), 301, 7, Init::Scaled)
        },
        Case {
            recipe: Recipe {
                optimizer: Optimizer::Adamw,
                dropout_embedding: 0.1,
                dropout_hidden: 0.3,
                clip_norm: 0.5,
                average: 0.9,
                ..decay
            },
            rate: 0.02,
            ..case("everything", tied_direct, 33, 61, Init::Scaled)
        },
    ]
}

/// Examples with uniform tokens below `tokens`; the first context is one token alone, the last target the last token.
pub(super) fn random_corpus(shape: Shape, batch: usize, tokens: u32, seed: u32) -> Corpus {
    let draw = |lane: usize| below(threefry([seed, Purpose::Synthetic as u32], [0, lane as u32])[0], tokens);
    let mut contexts: Vec<u32> = (0..batch * shape.context).map(draw).collect();
    let first = contexts[0];
    contexts[..shape.context].fill(first);
    let mut targets: Vec<u32> = (0..batch).map(|example| draw(batch * shape.context + example)).collect();
    targets[batch - 1] = shape.vocabulary as u32 - 1;
    Corpus::from_examples(&contexts, &targets, shape.context)
}
