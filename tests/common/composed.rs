//! Kernels with their constants, as naga's modules and as SPIR-V.

use gpu_mlp::engine::gpu::kernels::Kernel;
use naga::back::pipeline_constants::process_overrides;
use naga::back::{PipelineConstants, spv};
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};

/// A kernel, valid, of which all constants are numbers.
pub(crate) struct Composed {
    /// Its name and constants, for messages.
    pub(crate) what: String,
    pub(crate) module: naga::Module,
    pub(crate) info: ModuleInfo,
}

impl Composed {
    pub(crate) fn new(kernel: &Kernel, constants: &[(&str, f64)]) -> Self {
        let what = format!("{} {constants:?}", kernel.name);
        let (source, overrides) = kernel.compose(constants);
        let module = naga::front::wgsl::parse_str(&source).unwrap_or_else(|error| panic!("{what}: {error}"));
        let info = Validator::new(ValidationFlags::all(), Capabilities::empty())
            .validate(&module)
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        let constants: PipelineConstants = overrides.iter().map(|&(name, value)| (name.to_owned(), value)).collect();
        let entry = Some((naga::ShaderStage::Compute, kernel.name));
        let (module, info) =
            process_overrides(&module, &info, entry, &constants).unwrap_or_else(|error| panic!("{what}: {error}"));
        let (module, info) = (module.into_owned(), info.into_owned());
        Composed { what, module, info }
    }

    /// As SPIR-V, with runtime checks or without, as it runs.
    pub(crate) fn spirv(&self, checked: bool) -> Vec<u32> {
        let zeros = match checked {
            true => spv::ZeroInitializeWorkgroupMemoryMode::Polyfill,
            false => spv::ZeroInitializeWorkgroupMemoryMode::None,
        };
        let options = spv::Options {
            bounds_check_policies: bounds_checks(checked),
            force_loop_bounding: checked,
            zero_initialize_workgroup_memory: zeros,
            ..spv::Options::default()
        };
        spv::write_vec(&self.module, &self.info, &options, None)
            .unwrap_or_else(|error| panic!("{}: SPIR-V: {error}", self.what))
    }
}

/// What becomes of an index beyond the end.
pub(crate) fn bounds_checks(checked: bool) -> BoundsCheckPolicies {
    let policy = if checked { BoundsCheckPolicy::Restrict } else { BoundsCheckPolicy::Unchecked };
    BoundsCheckPolicies { index: policy, buffer: policy, image_load: policy, binding_array: policy }
}
