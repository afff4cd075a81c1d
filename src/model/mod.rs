//! The network: its shape, its parameters, their initial values, and the bytes of a model file.
//!
//! ```text
//! x      = C[w1] . C[w2] ... C[wn]        concatenated, oldest token first       [B, n*d]
//! hidden = tanh(x W1 + b1)                                                       [B, h]
//! logits = hidden W2 + b2  (+ x W_direct)                                        [B, V]
//! loss   = mean over the batch of -log softmax(logits)[target]                   nats
//! ```
//!
//! | letter | meaning | the paper's | name in code |
//! | --- | --- | --- | --- |
//! | V | tokens in the vocabulary | \|V\| | `vocabulary` |
//! | n | tokens of context | n - 1 | `context` |
//! | d | embedding size | m | `embedding` |
//! | h | hidden units | h | `hidden` |
//! | B | examples in a batch | | `batch` |
//!
//! The paper puts the nearest token first, we the oldest.

pub mod explanation;
pub mod file;
pub mod initial;
pub mod parameters;
pub mod principal;
pub mod shape;
pub mod vectors;

pub use explanation::{Contributions, Explanation};
pub use file::ModelFile;
pub use initial::Init;
pub use parameters::Parameters;
pub use shape::{Shape, Tensor};
pub use vectors::{TokenVectors, Vectors};
