//! Shared by the tests.

mod not_tested;

use gpu_mlp::engine::gpu::{Adapter, adapters};

pub(crate) use not_tested::not_tested;

/// The best GPU adapter, software ones among them, but for OpenGL made of the CPU: tests try kernels for GPUs, too, which
/// Mesa's compiles for many minutes. Where there is none: a loud line and `None`, or a failure if the environment variable
/// `GPU_MLP_REQUIRE_GPU` is set.
pub(crate) fn gpu() -> Option<Adapter> {
    let adapter = adapters(None).into_iter().find(|adapter| !(adapter.is_software() && adapter.backend == "gl"));
    if adapter.is_none() {
        let required = std::env::var("GPU_MLP_REQUIRE_GPU").is_ok_and(|value| !value.is_empty());
        assert!(!required, "GPU_MLP_REQUIRE_GPU is set, but there is no GPU adapter, nor a software Vulkan device");
        not_tested("this machine has no GPU adapter, nor a software Vulkan device");
    }
    adapter
}
