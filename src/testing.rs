//! What tests of several modules need.

use crate::engine::gpu::{Adapter, adapters};

/// The best GPU adapter, software ones among them. Where there is none: a loud line and `None`, or a failure if the
/// environment variable `GPU_MLP_REQUIRE_GPU` is set.
pub(crate) fn gpu() -> Option<Adapter> {
    let adapter = adapters(None).into_iter().next();
    if adapter.is_none() {
        let required = std::env::var("GPU_MLP_REQUIRE_GPU").is_ok_and(|value| !value.is_empty());
        assert!(!required, "GPU_MLP_REQUIRE_GPU is set, but there is no GPU adapter");
        eprintln!("NOT TESTED: there is no GPU adapter on this machine");
    }
    adapter
}

/// A text of 200 lines, each one of four names.
pub(crate) fn names() -> String {
    (0..200).map(|line| format!("{}\n", ["anna", "bob", "carla", "dan"][line % 4])).collect()
}
