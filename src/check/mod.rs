//! Does a device compute right? Every tensor of a forward pass, a backward pass and ten steps, against the f64
//! reference on built-in cases, or against golden files.

pub mod cases;
pub mod compare;
pub mod golden;
pub mod random;

pub use cases::{Case, built_in_cases};
pub use compare::{Comparison, Expected, compare, expected_of_reference};
pub use random::random_case;
