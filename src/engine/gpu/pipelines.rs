//! Kernels, compiled for a device: each once for each set of its constants.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;

use super::kernels::{Access, Kernel};

/// A kernel, compiled for a device and some constants.
#[derive(Clone)]
pub(super) struct Pipeline {
    pub(super) kernel: &'static Kernel,
    pub(super) pipeline: wgpu::ComputePipeline,
    pub(super) layout: wgpu::BindGroupLayout,
}

/// Those of a device.
pub(super) struct Pipelines {
    /// Whether kernels stay within their buffers even if they are wrong.
    pub(super) checked: bool,
    /// The order in which a test has their invocations run.
    #[cfg(test)]
    pub(super) order: std::cell::Cell<Option<super::disorder::Disorder>>,
    made: RefCell<HashMap<String, Pipeline>>,
}

impl Pipelines {
    pub(super) fn new(checked: bool) -> Self {
        Pipelines {
            checked,
            #[cfg(test)]
            order: std::cell::Cell::default(),
            made: RefCell::default(),
        }
    }

    /// Compiles a kernel, once for each set of constants.
    pub(super) fn get(&self, device: &wgpu::Device, kernel: &'static Kernel, constants: &[(&str, f64)]) -> Pipeline {
        // Kernels that make a product in other ways have the same name.
        let key = format!("{} {:p} {constants:?}", kernel.name, kernel.source);
        if let Some(pipeline) = self.made.borrow().get(&key) {
            return pipeline.clone();
        }
        let label = Some(kernel.name);
        let (source, overrides) = kernel.compose(constants);
        #[cfg(test)]
        let source = match self.order.get() {
            Some(disorder) => Cow::Owned(super::disorder::disordered(&source, kernel.name, disorder)),
            None => source,
        };
        let entries: Vec<_> =
            (0..).zip(kernel.bindings).map(|(binding, access)| layout_entry(binding, *access)).collect();
        let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label, entries: &entries });
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label,
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label,
            layout: Some(&pipeline_layout),
            module: &self.module(device, kernel, source),
            entry_point: label,
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &overrides,
                zero_initialize_workgroup_memory: self.checked,
            },
            cache: None,
        });
        let pipeline = Pipeline { kernel, pipeline, layout };
        self.made.borrow_mut().insert(key, pipeline.clone());
        pipeline
    }

    #[allow(unsafe_code)]
    fn module(&self, device: &wgpu::Device, kernel: &Kernel, source: Cow<'static, str>) -> wgpu::ShaderModule {
        let descriptor =
            wgpu::ShaderModuleDescriptor { label: Some(kernel.name), source: wgpu::ShaderSource::Wgsl(source) };
        if self.checked {
            return device.create_shader_module(descriptor);
        }
        // SAFETY: the kernels are this crate's own. They guard every load and store by the sizes in their uniforms,
        // which are those of the buffers, or by a buffer's length; token ids, the only indices that are data, are
        // checked when a corpus is prepared; every loop ends. Tests run each kernel with checks as well.
        unsafe { device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked()) }
    }
}

fn layout_entry(binding: u32, access: Access) -> wgpu::BindGroupLayoutEntry {
    let ty = match access {
        Access::Uniform => wgpu::BufferBindingType::Uniform,
        Access::Read => wgpu::BufferBindingType::Storage { read_only: true },
        Access::Write => wgpu::BufferBindingType::Storage { read_only: false },
    };
    wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
        count: None,
    }
}
