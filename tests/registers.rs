//! What AMD's compiler makes of the kernels, without a card: Mesa's Vulkan driver compiles for any of its GPUs where
//! `RADV_FORCE_FAMILY` names one, on a "null device" that computes nothing. A kernel whose numbers do not fit into the registers
//! writes them to memory and reads them back, which no other test would notice.

#![cfg(target_os = "linux")]
// Vulkan itself: wgpu does not open a null device, and does not tell what a compiler found.
#![allow(unsafe_code)]

#[path = "common/composed.rs"]
mod composed;
#[path = "common/not_tested.rs"]
mod not_tested;

use std::collections::BTreeMap;
use std::ffi::CString;
use std::process::Command;

use ash::{Entry, Instance, khr, vk};
use composed::Composed;
use gpu_mlp::engine::gpu::kernels::{Access, HIDDEN_GRADIENT_PARTS, INPUT_STEP, KERNELS, Kernel, OUTPUT_STEP};
use gpu_mlp::engine::gpu::product::{Form, Layout, Outcome, SLICED, Shared, VARIANTS, Variant};
use gpu_mlp::engine::gpu::uniforms::Product;
use not_tested::not_tested;

/// GPUs of three generations: GCN of 2017 and RDNA 2 of 2020, which have 256 registers for an invocation, of 64 and of 32 or 64 side by
/// side. The driver of Debian 12 knows younger ones, but compiles for them as if they had half their registers.
const FAMILIES: [&str; 3] = ["polaris10", "vega10", "navi21"];
/// Where the child process finds its family.
const FAMILY: &str = "RADV_FORCE_FAMILY";
/// What the child says where that driver is not there.
const ABSENT: &str = "there is no such driver";
/// An invocation that takes no more registers leaves room for another workgroup of its size.
const HALF: u64 = 128;

#[test]
fn what_a_gpu_runs_fits_into_its_registers() {
    for family in FAMILIES {
        let test = std::env::current_exe().expect("it runs");
        let output = Command::new(test)
            .args(["--ignored", "--exact", "compiled_for_one_family", "--nocapture"])
            .env(FAMILY, family)
            .env("RADV_DEBUG", "nocache")
            .output()
            .expect("it starts again");
        let said = String::from_utf8_lossy(&output.stdout);
        println!("{family}:\n{said}");
        assert!(output.status.success(), "{family}: {said}{}", String::from_utf8_lossy(&output.stderr));
        if said.contains(ABSENT) {
            let required = std::env::var("GPU_MLP_REQUIRE_RADV").is_ok_and(|value| !value.is_empty());
            assert!(!required, "GPU_MLP_REQUIRE_RADV is set, but Mesa's driver for AMD's GPUs is not there");
            not_tested(format!("Mesa's driver for AMD's GPUs is not there, so kernels are not compiled for {family}"));
        }
    }
}

#[test]
#[ignore = "the test above starts it, once for each family"]
fn compiled_for_one_family() {
    let family = std::env::var(FAMILY).unwrap_or_default();
    let Some(compiler) = Compiler::open() else {
        println!("{ABSENT}");
        return;
    };
    let mut spilled = Vec::new();
    let mut compile = |what: String, kernel: &Kernel, constants: &[(&str, f64)]| {
        let found = compiler.compile(kernel, &Composed::new(kernel, constants).spirv(false));
        let [registers, memory] = ["VGPRs", "Scratch size"].map(|name| found[name]);
        let waves = found["Subgroups per SIMD"];
        println!("{registers:4} registers, {waves:2} times on a SIMD, {memory} bytes of memory: {what}");
        if memory > 0 || found["Spilled VGPRs"] + found["Spilled SGPRs"] > 0 {
            spilled.push(what);
        }
        registers
    };
    for kernel in KERNELS.into_iter().filter(|kernel| !is_of_product(kernel)) {
        // As many as the engine gives it.
        let invocations = if kernel.name == "hidden_forward_wide" { 128 } else { 256 };
        let sizes = sizes(invocations).into_iter().chain([("QUADS", 16.0)]);
        let constants: Vec<_> = sizes.filter(|(name, _)| kernel.constants.contains(name)).collect();
        compile(kernel.name.to_owned(), kernel, &constants);
    }
    for variant in VARIANTS.into_iter().chain([SLICED]).filter(|variant| !is_for_a_cpu(variant)) {
        for (layout, kernels) in products_of(&variant) {
            let transposed = layout == Layout::LeftTransposed;
            let outcome = if transposed { Outcome::Stepped } else { Outcome::Written };
            let form = Form { layout, outcome, bias: layout == Layout::RightTransposed, row_sums: transposed };
            // Their matrices are large enough for every variant, and have an unused column in the last tile.
            let (constants, _) = variant.cut(&Product::new([1024, 1020, 1024], 1024, 1024, 1024), form);
            for kernel in kernels {
                let takes = |(name, _): &(&'static str, f64)| {
                    ["ROWS", "QUADS"].contains(name) || kernel.constants.contains(name)
                };
                let constants: Vec<_> =
                    constants.iter().copied().chain(sizes(variant.invocations)).filter(takes).collect();
                let what = format!("{} {} {}", kernel.name, variant.name, layout.formula());
                let registers = compile(what.clone(), kernel, &constants);
                // Of rows and columns each invocation brings either.
                if ["tiled-128x64", "tiled-128x128"].contains(&variant.name) && kernel.name == variant.kernel.name {
                    assert!(registers <= HALF, "{family}: {what} takes {registers} registers");
                }
            }
        }
    }
    assert!(spilled.is_empty(), "{family} has too few registers for {spilled:#?}");
}

/// The constants of `makemore` for the small path and of `brown` for the others, as a GPU has them, in workgroups of so many
/// invocations.
fn sizes(invocations: u32) -> [(&'static str, f64); 15] {
    [
        ("WORKGROUP", invocations.into()),
        ("VOCABULARY", 27.0),
        ("CONTEXT", 3.0),
        ("EMBEDDING", 10.0),
        ("HIDDEN", 200.0),
        ("BATCH", 32.0),
        ("LOGITS", 15_872.0),
        ("INPUT_QUADS", 30.0),
        ("WIDE", 1.0),
        ("HIDDEN_STRIDE", 100.0),
        ("HIDDEN_PARTS", 64.0),
        ("HELD", 220.0),
        ("SORTED", 1.0),
        ("SPREAD", 8.0),
        ("SHARES", invocations.into()),
    ]
}

/// Whether a kernel makes a product: then its tiles come from a variant.
fn is_of_product(kernel: &Kernel) -> bool {
    let variants = || VARIANTS.into_iter().chain([SLICED]);
    let joined = [&HIDDEN_GRADIENT_PARTS, &OUTPUT_STEP, &INPUT_STEP];
    variants().any(|variant| variant.kernel.name == kernel.name)
        || joined.iter().any(|of| of.in_tiles.name == kernel.name)
}

/// Whether the tiles of a variant are meant for a CPU's cache: a GPU tries it once, and it loses.
fn is_for_a_cpu(variant: &Variant) -> bool {
    variant.name == "registers-16x20"
}

/// The layouts in which a variant makes products, and the kernels that do.
fn products_of(variant: &Variant) -> Vec<(Layout, Vec<&'static Kernel>)> {
    let steps = vec![variant.kernel, variant.of(&OUTPUT_STEP), variant.of(&INPUT_STEP)];
    let transposed = (Layout::LeftTransposed, steps);
    if matches!(variant.shared, Shared::Slices { .. }) {
        return vec![transposed];
    }
    let plain = (Layout::Plain, vec![variant.kernel, variant.of(&HIDDEN_GRADIENT_PARTS)]);
    vec![plain, (Layout::RightTransposed, vec![variant.kernel]), transposed]
}

/// A Vulkan device that only compiles.
struct Compiler {
    device: ash::Device,
    statistics: khr::pipeline_executable_properties::Device,
    // Must outlive the device.
    _instance: Instance,
    _entry: Entry,
}

impl Compiler {
    /// The null device; `None` where its driver is not there.
    fn open() -> Option<Self> {
        // SAFETY: every structure and what it points to lives until the call returns. Nothing is destroyed: the process ends soon.
        unsafe {
            let entry = Entry::load().ok()?;
            let application = vk::ApplicationInfo::default().api_version(vk::API_VERSION_1_1);
            let instance = vk::InstanceCreateInfo::default().application_info(&application);
            let instance = entry.create_instance(&instance, None).ok()?;
            let is_null = |device: &vk::PhysicalDevice| {
                let properties = instance.get_physical_device_properties(*device);
                let name = properties.device_name_as_c_str().unwrap_or_default().to_string_lossy();
                name.contains("RADV") && name.contains("Null")
            };
            let adapter = instance.enumerate_physical_devices().ok()?.into_iter().find(is_null)?;
            let queues = [vk::DeviceQueueCreateInfo::default().queue_family_index(0).queue_priorities(&[1.0])];
            let extensions = [khr::pipeline_executable_properties::NAME.as_ptr()];
            let mut features =
                vk::PhysicalDevicePipelineExecutablePropertiesFeaturesKHR::default().pipeline_executable_info(true);
            let device = vk::DeviceCreateInfo::default()
                .queue_create_infos(&queues)
                .enabled_extension_names(&extensions)
                .push_next(&mut features);
            let device = instance.create_device(adapter, &device, None).expect("a null device");
            let statistics = khr::pipeline_executable_properties::Device::new(&instance, &device);
            Some(Compiler { device, statistics, _instance: instance, _entry: entry })
        }
    }

    /// What the compiler says of a kernel.
    fn compile(&self, kernel: &Kernel, spirv: &[u32]) -> BTreeMap<String, u64> {
        let binding = |(number, access): (u32, &Access)| {
            let kind = match access {
                Access::Uniform => vk::DescriptorType::UNIFORM_BUFFER,
                Access::Read | Access::Write => vk::DescriptorType::STORAGE_BUFFER,
            };
            let stages = vk::ShaderStageFlags::COMPUTE;
            vk::DescriptorSetLayoutBinding::default()
                .binding(number)
                .descriptor_count(1)
                .descriptor_type(kind)
                .stage_flags(stages)
        };
        let bindings: Vec<_> = (0..).zip(kernel.bindings).map(binding).collect();
        let name = CString::new(kernel.name).expect("a plain name");
        // SAFETY: as in `open`; the SPIR-V is naga's, of a module that it found valid.
        unsafe {
            let module = vk::ShaderModuleCreateInfo::default().code(spirv);
            let module = self.device.create_shader_module(&module, None).expect("a module");
            let layout = vk::DescriptorSetLayoutCreateInfo::default().bindings(&bindings);
            let layouts = [self.device.create_descriptor_set_layout(&layout, None).expect("a layout")];
            let layout = vk::PipelineLayoutCreateInfo::default().set_layouts(&layouts);
            let layout = self.device.create_pipeline_layout(&layout, None).expect("a layout");
            let stage = vk::PipelineShaderStageCreateInfo::default();
            let stage = stage.stage(vk::ShaderStageFlags::COMPUTE).module(module).name(&name);
            let pipeline = vk::ComputePipelineCreateInfo::default()
                .stage(stage)
                .layout(layout)
                .flags(vk::PipelineCreateFlags::CAPTURE_STATISTICS_KHR);
            let made = self.device.create_compute_pipelines(vk::PipelineCache::null(), &[pipeline], None);
            let pipeline = made.unwrap_or_else(|(_, error)| panic!("{}: {error}", kernel.name))[0];
            let of = vk::PipelineExecutableInfoKHR::default().pipeline(pipeline);
            let found = self.statistics.get_pipeline_executable_statistics(&of).expect("statistics");
            let named = |found: &vk::PipelineExecutableStatisticKHR<'_>| {
                assert_eq!(found.format, vk::PipelineExecutableStatisticFormatKHR::UINT64);
                (found.name_as_c_str().expect("a name").to_string_lossy().into_owned(), found.value.u64)
            };
            found.iter().map(named).collect()
        }
    }
}
