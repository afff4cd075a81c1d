//! The sizes of a network and the tensors that follow from them.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// The sizes of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Tokens in the vocabulary (V).
    pub vocabulary: usize,
    /// Tokens of context (n; the paper's n - 1).
    pub context: usize,
    /// Numbers in a token's embedding (d; the paper's m).
    pub embedding: usize,
    /// Hidden units (h); 0 leaves the direct connections alone (Table 1's MLP3).
    pub hidden: usize,
    /// Whether the input is connected to the output directly (the paper's W).
    pub direct: bool,
    /// Whether the output weights are the embeddings themselves (U = C), which needs h = d.
    #[serde(default)]
    pub tied: bool,
}

/// One of the network's tensors, in the shape that PyTorch's `Embedding` and `Linear` use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// Its name in a model file.
    pub name: &'static str,
    /// Its sizes; one for a bias, two for a matrix, rows first.
    pub sizes: Vec<usize>,
    /// Its place in the flat parameters.
    pub range: Range<usize>,
}

impl Tensor {
    /// Whether it is a bias: biases do not decay (the paper's footnote 3).
    pub fn is_bias(&self) -> bool {
        self.sizes.len() == 1
    }
}

/// The token embeddings C, [V, d].
pub const EMBEDDING_WEIGHT: &str = "embedding.weight";
/// Input to hidden (W1 transposed; the paper's H), [h, n*d].
pub const HIDDEN_WEIGHT: &str = "hidden.weight";
/// Bias of the hidden units (b1; the paper's d), `[h]`.
pub const HIDDEN_BIAS: &str = "hidden.bias";
/// Hidden to output (W2 transposed; the paper's U), [V, h].
pub const OUTPUT_WEIGHT: &str = "output.weight";
/// Bias of the logits (b2; the paper's b), `[V]`.
pub const OUTPUT_BIAS: &str = "output.bias";
/// Input to output (W_direct transposed; the paper's W), [V, n*d].
pub const DIRECT_WEIGHT: &str = "direct.weight";

/// More parameters than this do not fit the 32-bit indices of a GPU.
const MOST_PARAMETERS: usize = 1 << 30;

impl Shape {
    /// Width of the network's input: the embeddings of the context, one after the other (n*d).
    pub fn input(&self) -> usize {
        self.context * self.embedding
    }

    /// The tensors in the order in which they stand in the flat parameters.
    pub fn tensors(&self) -> Vec<Tensor> {
        let (vocabulary, hidden, input) = (self.vocabulary, self.hidden, self.input());
        let mut list = vec![(EMBEDDING_WEIGHT, vec![vocabulary, self.embedding])];
        if hidden > 0 {
            list.extend([(HIDDEN_WEIGHT, vec![hidden, input]), (HIDDEN_BIAS, vec![hidden])]);
            if !self.tied {
                list.push((OUTPUT_WEIGHT, vec![vocabulary, hidden]));
            }
        }
        list.push((OUTPUT_BIAS, vec![vocabulary]));
        if self.direct {
            list.push((DIRECT_WEIGHT, vec![vocabulary, input]));
        }
        let mut start = 0;
        list.into_iter()
            .map(|(name, sizes)| {
                let range = start..start + sizes.iter().product::<usize>();
                start = range.end;
                Tensor { name, sizes, range }
            })
            .collect()
    }

    /// Number of parameters.
    pub fn parameters(&self) -> usize {
        self.tensors().last().map_or(0, |tensor| tensor.range.end)
    }

    /// Multiplications and additions of one training step on `batch` examples: 6 for each weight and example.
    pub fn step_flops(&self, batch: usize) -> f64 {
        let direct = if self.direct { self.input() * self.vocabulary } else { 0 };
        let weights = self.input() * self.hidden + self.hidden * self.vocabulary + direct;
        6.0 * batch as f64 * weights as f64
    }

    /// About how many bytes training takes: the parameters in the forms that an engine, a save and a gradient need, and
    /// the activations of a batch with their gradients.
    pub fn training_bytes(&self, batch: usize) -> usize {
        let activations = 3 * self.input() + 3 * self.hidden + 2 * self.vocabulary;
        let numbers = self.parameters().saturating_mul(4).saturating_add(batch.saturating_mul(activations));
        numbers.saturating_mul(size_of::<f32>()).min(isize::MAX as usize)
    }

    /// Whether a network of this shape can be. An error names the size and says what to do.
    pub fn check(&self) -> Result<(), String> {
        let sizes = [("context", self.context), ("embedding", self.embedding), ("hidden", self.hidden)];
        for (name, size) in sizes {
            if size == 0 {
                return Err(match (name, self.direct) {
                    ("hidden", true) => continue,
                    ("hidden", false) => {
                        "--hidden is 0: without hidden units the network needs --direct, else it must \
                                          be at least 1"
                            .to_owned()
                    }
                    _ => format!("--{name} is 0: it must be at least 1"),
                });
            }
        }
        if self.tied && self.hidden != self.embedding {
            return Err(format!(
                "--tied takes the embeddings as output weights, so --hidden ({}) must be equal to --embedding ({})",
                self.hidden, self.embedding
            ));
        }
        if self.vocabulary < 2 {
            return Err(format!(
                "a vocabulary of {} leaves nothing to predict: it must be at least 2",
                self.vocabulary
            ));
        }
        let product = |sizes: &[usize]| sizes.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
        let total = [
            product(&[self.vocabulary, self.embedding]),
            product(&[self.hidden, self.context, self.embedding]),
            product(&[self.vocabulary, self.hidden]),
            product(&[self.vocabulary, self.context, self.embedding, usize::from(self.direct)]),
            self.hidden.checked_add(self.vocabulary),
        ]
        .into_iter()
        .try_fold(0usize, |total, size| total.checked_add(size?));
        match total {
            Some(total) if total <= MOST_PARAMETERS => Ok(()),
            _ => Err(format!(
                "a network with {} tokens in the vocabulary, --context {}, --embedding {} and --hidden {} has more than the {} \
                 parameters that fit: choose smaller sizes, or keep fewer tokens (--max-vocab, --min-count)",
                self.vocabulary, self.context, self.embedding, self.hidden, MOST_PARAMETERS
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lectures_network_has_its_11_897_parameters() {
        let shape = Shape { vocabulary: 27, context: 3, embedding: 10, hidden: 200, direct: false, tied: false };
        assert_eq!(shape.parameters(), 11_897);
        assert_eq!(shape.check(), Ok(()));
    }

    #[test]
    fn the_papers_formula_counts_the_same() {
        // V(1 + nm + h) + h(1 + (n-1)m) with the paper's n = context + 1, page 1143.
        let shape = Shape { vocabulary: 16_383, context: 4, embedding: 60, hidden: 50, direct: true, tied: false };
        assert_eq!(shape.parameters(), 5_762_483);
        // Without hidden units V(1 + nm).
        assert_eq!(Shape { hidden: 0, ..shape }.parameters(), 4_931_283);
        // Tied to the output: V(1 + m) + h(1 + (n-1)m) with h = m.
        let tied = Shape { hidden: 60, direct: false, tied: true, ..shape };
        assert_eq!(tied.parameters(), 16_383 * 61 + 60 * 241);
    }

    #[test]
    fn impossible_sizes_are_named() {
        let shape = Shape { vocabulary: 27, context: 3, embedding: 10, hidden: 200, direct: true, tied: false };
        assert_eq!(Shape { hidden: 0, ..shape }.check(), Ok(()));
        assert!(Shape { hidden: 0, direct: false, ..shape }.check().unwrap_err().contains("--hidden is 0"));
        assert!(Shape { tied: true, ..shape }.check().unwrap_err().contains("--tied"));
        assert!(Shape { context: 0, ..shape }.check().unwrap_err().contains("--context"));
        assert!(Shape { embedding: usize::MAX, ..shape }.check().unwrap_err().contains("--embedding"));
        assert!(Shape { hidden: 1 << 30, ..shape }.check().is_err());
        assert!(Shape { vocabulary: 1, ..shape }.check().is_err());
    }
}
