//! The vectors of tokens, and which of them lie near each other.

use serde::Serialize;

use super::parameters::Parameters;
use super::shape::{EMBEDDING_WEIGHT, OUTPUT_WEIGHT};

/// Which vectors of the tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Vectors {
    /// The embeddings C: what a token is as part of a context.
    #[default]
    Input,
    /// The rows of the output weights U: what a token is as a prediction. The embeddings again where they are tied.
    Output,
}

/// A vector for each token.
#[derive(Clone, Copy, Debug)]
pub struct TokenVectors<'a> {
    values: &'a [f32],
    width: usize,
}

impl Vectors {
    /// The vectors of a network. Errors: a network without hidden units has no output weights.
    pub fn of(self, parameters: &Parameters) -> Result<TokenVectors<'_>, String> {
        let shape = parameters.shape();
        let (name, width) = match self {
            Vectors::Output if shape.hidden == 0 => {
                return Err(
                    "--vectors output: the network has no hidden units, and so no output weights: take --vectors \
                            input"
                        .to_owned(),
                );
            }
            Vectors::Output if !shape.tied => (OUTPUT_WEIGHT, shape.hidden),
            Vectors::Input | Vectors::Output => (EMBEDDING_WEIGHT, shape.embedding),
        };
        Ok(TokenVectors { values: parameters.tensor(name), width })
    }
}

impl<'a> TokenVectors<'a> {
    /// Numbers in a vector.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The vectors in the order of the tokens' ids.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &'a [f32]> {
        self.values.chunks_exact(self.width)
    }

    /// A token's vector at length one; zero stays zero.
    fn unit(&self, token: u32) -> Vec<f64> {
        let row: Vec<f64> =
            self.values[token as usize * self.width..][..self.width].iter().map(|&x| x.into()).collect();
        let length = length(&row);
        if length == 0.0 { row } else { row.iter().map(|x| x / length).collect() }
    }

    /// The tokens whose vectors are nearest to that of a token, the nearest first, each with the cosine of the angle
    /// between them; at most `count`, the token itself left out.
    pub fn nearest(&self, token: u32, count: usize) -> Vec<(u32, f64)> {
        self.nearest_to(&self.unit(token), &[token], count)
    }

    /// What is to `c` as `b` is to `a`: the tokens nearest to b - a + c, of vectors at length one, the three left out.
    pub fn analogy(&self, [a, b, c]: [u32; 3], count: usize) -> Vec<(u32, f64)> {
        let units = [a, b, c].map(|token| self.unit(token));
        let sought: Vec<f64> = (0..self.width).map(|i| units[1][i] - units[0][i] + units[2][i]).collect();
        self.nearest_to(&sought, &[a, b, c], count)
    }

    fn nearest_to(&self, sought: &[f64], left_out: &[u32], count: usize) -> Vec<(u32, f64)> {
        let length_sought = length(sought);
        let cosine = |row: &[f32]| {
            let product: f64 = row.iter().zip(sought).map(|(&x, y)| f64::from(x) * y).sum();
            let lengths = row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt() * length_sought;
            if lengths == 0.0 { 0.0 } else { product / lengths }
        };
        let mut found: Vec<(u32, f64)> = (0..)
            .zip(self.rows())
            .filter(|(token, _)| !left_out.contains(token))
            .map(|(token, row)| (token, cosine(row)))
            .collect();
        found.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        found.truncate(count);
        found
    }
}

fn length(vector: &[f64]) -> f64 {
    vector.iter().map(|x| x * x).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Shape;

    const SHAPE: Shape = Shape { vocabulary: 5, context: 1, embedding: 2, hidden: 3, direct: true, tied: false };

    fn parameters() -> Parameters {
        let mut parameters = Parameters::zeros(SHAPE);
        let rows = [1.0, 0.0, 0.0, 2.0, 3.0, 3.0, -5.0, 0.1, 0.0, 0.0];
        parameters.tensor_mut(EMBEDDING_WEIGHT).copy_from_slice(&rows);
        parameters
    }

    #[test]
    fn the_angle_counts_and_not_the_length() {
        let parameters = parameters();
        let found = Vectors::Input.of(&parameters).unwrap().nearest(0, 9);
        assert_eq!(found.iter().map(|found| found.0).collect::<Vec<_>>(), [2, 1, 4, 3]);
        assert!((found[0].1 - 0.5f64.sqrt()).abs() < 1e-12 && found[1].1 == 0.0 && found[2].1 == 0.0);
        assert!(found[3].1 < -0.99);
        assert_eq!(Vectors::Input.of(&parameters).unwrap().nearest(0, 1).len(), 1);
    }

    #[test]
    fn an_analogy_adds_the_step_from_a_to_b() {
        // b - a + c = (0, 1) - (-1, 0.02) + (1, 0): far along the first axis and a bit along the second.
        let found = Vectors::Input.of(&parameters()).unwrap().analogy([3, 1, 0], 9);
        assert_eq!(found.iter().map(|found| found.0).collect::<Vec<_>>(), [2, 4]);
        assert!((found[0].1 - 2.98 / (2f64.sqrt() * (4.0f64 + 0.98 * 0.98).sqrt())).abs() < 1e-3, "{found:?}");
    }

    #[test]
    fn output_vectors_are_those_of_the_output_weights() {
        let parameters = parameters();
        assert_eq!(Vectors::Output.of(&parameters).unwrap().width(), 3);
        assert_eq!(Vectors::Output.of(&parameters).unwrap().rows().len(), 5);
        let tied = Parameters::zeros(Shape { hidden: 2, tied: true, ..SHAPE });
        assert_eq!(Vectors::Output.of(&tied).unwrap().width(), 2);
        let without = Parameters::zeros(Shape { hidden: 0, ..SHAPE });
        assert!(Vectors::Output.of(&without).unwrap_err().contains("--vectors input"));
    }
}
