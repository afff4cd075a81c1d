//! The shaders without a GPU, as the drivers of each system get them: SPIR-V for Vulkan, MSL for Metal, HLSL for DX12, GLSL for
//! GL. Kernels run in tests on Vulkan alone, wherever these have no other device; that the others can be written is held here.

use gpu_mlp::engine::gpu::kernels::{HIDDEN_GRADIENT_PARTS, INPUT_STEP, KERNELS, Kernel, OUTPUT_STEP};
use gpu_mlp::engine::gpu::product::{Form, Layout, Outcome, SLICED, VARIANTS};
use gpu_mlp::engine::gpu::uniforms::Product;
use naga::ShaderStage::Compute;
use naga::back::{PipelineConstants, glsl, hlsl, msl, pipeline_constants::process_overrides, spv};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};

/// Writes a kernel with some constants in every language.
fn translate(kernel: &Kernel, constants: &[(&str, f64)]) {
    let what = format!("{} {constants:?}", kernel.name);
    let (source, overrides) = kernel.compose(constants);
    let module = naga::front::wgsl::parse_str(&source).unwrap();
    let info = Validator::new(ValidationFlags::all(), Capabilities::empty()).validate(&module).unwrap();
    let constants: PipelineConstants = overrides.iter().map(|&(name, value)| (name.to_owned(), value)).collect();
    let entry = Some((Compute, kernel.name));
    let (module, info) = process_overrides(&module, &info, entry, &constants).unwrap_or_else(|e| panic!("{what}: {e}"));
    let (module, info): (&naga::Module, &ModuleInfo) = (&module, &info);

    let written = spv::write_vec(module, info, &spv::Options::default(), None);
    assert!(written.is_ok_and(|words| words.len() > 100), "{what}: SPIR-V");

    // The first version with everything that wgpu needs of it.
    let options = msl::Options { lang_version: (2, 0), ..msl::Options::default() };
    let (text, entries) = msl::write_string(module, info, &options, &msl::PipelineOptions::default())
        .unwrap_or_else(|error| panic!("{what}: MSL: {error}"));
    assert!(text.contains("kernel void") && entries.entry_point_names.iter().all(Result::is_ok), "{what}: MSL: {text}");

    for shader_model in [hlsl::ShaderModel::V5_1, hlsl::ShaderModel::V6_0] {
        let options = hlsl::Options { shader_model, ..hlsl::Options::default() };
        let mut text = String::new();
        let pipeline = hlsl::PipelineOptions::default();
        let entries = hlsl::Writer::new(&mut text, &options, &pipeline)
            .write(module, info, None)
            .unwrap_or_else(|error| panic!("{what}: HLSL: {error}"));
        assert!(text.contains("numthreads") && entries.entry_point_names.iter().all(Result::is_ok), "{what}: HLSL");
    }

    let options = glsl::Options { version: glsl::Version::new_gles(310), ..glsl::Options::default() };
    let pipeline =
        glsl::PipelineOptions { shader_stage: Compute, entry_point: kernel.name.to_owned(), multiview: None };
    let mut text = String::new();
    glsl::Writer::new(&mut text, module, info, &options, &pipeline, naga::proc::BoundsCheckPolicies::default())
        .and_then(|mut writer| writer.write())
        .unwrap_or_else(|error| panic!("{what}: GLSL: {error}"));
    assert!(text.contains("void main()"), "{what}: GLSL");
}

#[test]
fn every_kernel_can_be_written_for_every_system() {
    // What has no value of its own; and a workgroup with rows for all slices of a product.
    let values = [("LOGITS", 1.0), ("DOWN", 32.0)];
    for kernel in KERNELS {
        let its: Vec<_> = values.into_iter().filter(|(name, _)| kernel.constants.contains(name)).collect();
        translate(kernel, &its);
    }
}

#[test]
fn so_can_every_way_to_make_a_product() {
    let product = Product::new([100, 120, 256], 100, 120, 120);
    for variant in VARIANTS.into_iter().chain([SLICED]) {
        for layout in [Layout::Plain, Layout::RightTransposed, Layout::LeftTransposed] {
            let transposed = layout == Layout::LeftTransposed;
            if variant == SLICED && !transposed {
                continue;
            }
            let form = Form { layout, outcome: Outcome::Stepped, bias: !transposed, row_sums: transposed };
            let (mut constants, _) = variant.cut(&product, form);
            translate(variant.kernel, &constants);
            constants.retain(|(name, _)| !["RESULT", "BIAS"].contains(name));
            for joined in [&HIDDEN_GRADIENT_PARTS, &OUTPUT_STEP, &INPUT_STEP] {
                translate(variant.of(joined), &constants);
            }
        }
    }
}
