//! The shaders without a GPU, in the languages of each system's drivers: SPIR-V for Vulkan, MSL for Metal, HLSL for DX12, GLSL
//! for GL; with runtime checks and without. Whether those drivers take them, only a machine that has them can show; of AMD's on
//! Linux `registers.rs` shows it.

#[path = "common/composed.rs"]
mod composed;

use composed::{Composed, bounds_checks};
use gpu_mlp::engine::gpu::kernels::{HIDDEN_GRADIENT_PARTS, INPUT_STEP, KERNELS, Kernel, OUTPUT_STEP};
use gpu_mlp::engine::gpu::product::{Form, Layout, Outcome, SLICED, VARIANTS};
use gpu_mlp::engine::gpu::uniforms::Product;
use naga::ShaderStage::Compute;
use naga::back::{glsl, hlsl, msl};

/// Writes a kernel with some constants in every language.
fn translate(kernel: &Kernel, constants: &[(&str, f64)]) {
    let composed = Composed::new(kernel, constants);
    for checked in [true, false] {
        write(&composed, kernel.name, checked);
    }
}

/// Writes it with runtime checks or without.
fn write(composed: &Composed, name: &str, checked: bool) {
    let Composed { what, module, info } = composed;
    let bounds_check_policies = bounds_checks(checked);
    assert!(composed.spirv(checked).len() > 100, "{what}: SPIR-V");

    let options = msl::Options {
        lang_version: (2, 0),
        bounds_check_policies,
        force_loop_bounding: checked,
        zero_initialize_workgroup_memory: checked,
        ..msl::Options::default()
    };
    let (text, entries) = msl::write_string(module, info, &options, &msl::PipelineOptions::default())
        .unwrap_or_else(|error| panic!("{what}: MSL: {error}"));
    assert!(text.contains("kernel void"), "{what}: MSL");
    assert!(entries.entry_point_names.iter().all(Result::is_ok), "{what}: MSL: {:?}", entries.entry_point_names);

    for shader_model in [hlsl::ShaderModel::V5_1, hlsl::ShaderModel::V6_0] {
        let options = hlsl::Options {
            shader_model,
            restrict_indexing: checked,
            force_loop_bounding: checked,
            zero_initialize_workgroup_memory: checked,
            ..hlsl::Options::default()
        };
        let mut text = String::new();
        let entries = hlsl::Writer::new(&mut text, &options, &hlsl::PipelineOptions::default())
            .write(module, info, None)
            .unwrap_or_else(|error| panic!("{what}: HLSL: {error}"));
        assert!(text.contains("numthreads"), "{what}: HLSL");
        assert!(entries.entry_point_names.iter().all(Result::is_ok), "{what}: HLSL: {:?}", entries.entry_point_names);
    }

    let options = glsl::Options {
        version: glsl::Version::new_gles(310),
        zero_initialize_workgroup_memory: checked,
        ..glsl::Options::default()
    };
    let pipeline = glsl::PipelineOptions { shader_stage: Compute, entry_point: name.to_owned(), multiview: None };
    let mut text = String::new();
    glsl::Writer::new(&mut text, module, info, &options, &pipeline, bounds_check_policies)
        .and_then(|mut writer| writer.write())
        .unwrap_or_else(|error| panic!("{what}: GLSL: {error}"));
    assert!(text.contains("void main()"), "{what}: GLSL");
}

#[test]
fn every_kernel_can_be_written_for_every_system() {
    // A constant without a value of its own, and a workgroup with rows for all slices of a product.
    let needed = [("LOGITS", 1.0), ("DOWN", 32.0)];
    // As a software device has it, and a GPU.
    let devices =
        [[("WORKGROUP", 8.0), ("ROWS", 4.0), ("QUADS", 4.0)], [("WORKGROUP", 256.0), ("ROWS", 8.0), ("QUADS", 20.0)]];
    for kernel in KERNELS {
        let known = |(name, _): &(&str, f64)| kernel.constants.contains(name);
        for device in devices {
            let lines = device.into_iter().filter(|constant| kernel.unrolled || known(constant));
            let lines = lines.filter(|constant| known(constant) || constant.0 != "WORKGROUP");
            translate(kernel, &needed.into_iter().filter(known).chain(lines).collect::<Vec<_>>());
        }
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
