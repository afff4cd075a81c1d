//! What tests of several modules need.

#[path = "../tests/common/mod.rs"]
mod common;
#[path = "../tests/common/numbers.rs"]
mod numbers;

pub(crate) use common::{gpu, not_tested};
pub(crate) use numbers::numbers;

/// A text of 200 lines, each one of four names.
pub(crate) fn names() -> String {
    (0..200).map(|line| format!("{}\n", ["anna", "bob", "carla", "dan"][line % 4])).collect()
}
