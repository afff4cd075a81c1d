//! The adapters of this machine.

use std::sync::{Mutex, PoisonError};

use serde::Serialize;

/// What kind of hardware an adapter is, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A graphics card with its own memory.
    Discrete,
    /// A GPU that shares the memory of the CPU.
    Integrated,
    /// A GPU of a virtual machine.
    Virtual,
    /// The driver does not say.
    Other,
    /// The CPU.
    Software,
}

/// How large things may be on an adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Bytes of a buffer that a kernel sees at once: what is larger is taken in pieces.
    pub storage_binding_bytes: u64,
    /// Bytes of a buffer: all parameters must fit in one.
    pub buffer_bytes: u64,
    /// Bytes of memory that a workgroup shares.
    pub workgroup_storage_bytes: u32,
    /// Invocations in a workgroup.
    pub invocations_per_workgroup: u32,
    /// Storage buffers of a kernel.
    pub storage_buffers: u32,
}

/// An adapter as wgpu lists it.
#[derive(Clone)]
pub struct Adapter {
    /// Its place among the adapters of its backend, from 0.
    pub index: usize,
    /// Its name.
    pub name: String,
    /// `vulkan`, `metal`, `dx12` or `gl`.
    pub backend: &'static str,
    /// What kind of hardware it is.
    pub kind: Kind,
    /// The driver's name and version.
    pub driver: String,
    /// What it can hold.
    pub limits: Limits,
    pub(super) handle: wgpu::Adapter,
}

impl Adapter {
    /// Whether it computes on the CPU.
    pub fn is_software(&self) -> bool {
        self.kind == Kind::Software
    }
}

/// The adapters of one backend, or of all, the best first. `None` asks for the older OpenGL only where no other
/// backend has an adapter: what OpenGL lists then are the same devices again.
pub fn adapters(backend: Option<&str>) -> Vec<Adapter> {
    let mut list = match backend {
        Some("vulkan") => enumerate(wgpu::Backends::VULKAN),
        Some("metal") => enumerate(wgpu::Backends::METAL),
        Some("dx12") => enumerate(wgpu::Backends::DX12),
        Some("gl") => enumerate(wgpu::Backends::GL),
        Some(_) => Vec::new(),
        None => {
            let modern = enumerate(wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12);
            if modern.is_empty() { enumerate(wgpu::Backends::GL) } else { modern }
        }
    };
    list.sort_by_key(|adapter| adapter.kind);
    list
}

/// The way to some backends: opened once, for as long as the program runs. Only OpenGL has one for each call: all that comes
/// of an instance shares a context, which two threads cannot use at once.
fn instance(backends: wgpu::Backends) -> wgpu::Instance {
    static INSTANCES: Mutex<Vec<(wgpu::Backends, wgpu::Instance)>> = Mutex::new(Vec::new());
    let open = || {
        wgpu::Instance::new(wgpu::InstanceDescriptor {
            backends,
            // Said explicitly, so that a debug build measures and behaves as a release build does.
            flags: wgpu::InstanceFlags::empty(),
            ..wgpu::InstanceDescriptor::new_without_display_handle()
        })
    };
    if backends.contains(wgpu::Backends::GL) {
        return open();
    }
    let mut instances = INSTANCES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, instance)) = instances.iter().find(|(known, _)| *known == backends) {
        return instance.clone();
    }
    let instance = open();
    instances.push((backends, instance.clone()));
    instance
}

fn enumerate(backends: wgpu::Backends) -> Vec<Adapter> {
    if !wgpu::Instance::enabled_backend_features().intersects(backends) {
        return Vec::new();
    }
    let instance = instance(backends);
    let mut list: Vec<Adapter> = Vec::new();
    for handle in pollster::block_on(instance.enumerate_adapters(backends)) {
        let info = handle.get_info();
        let Some(backend) = backend_name(info.backend) else { continue };
        let has = handle.limits();
        let limits = Limits {
            storage_binding_bytes: has.max_storage_buffer_binding_size,
            buffer_bytes: has.max_buffer_size,
            workgroup_storage_bytes: has.max_compute_workgroup_storage_size,
            invocations_per_workgroup: has.max_compute_invocations_per_workgroup,
            storage_buffers: has.max_storage_buffers_per_shader_stage,
        };
        #[cfg(test)]
        let limits = super::trouble::limits(limits);
        list.push(Adapter {
            index: list.iter().filter(|other| other.backend == backend).count(),
            name: info.name,
            backend,
            kind: kind(info.device_type),
            driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
            limits,
            handle,
        });
    }
    list
}

fn backend_name(backend: wgpu::Backend) -> Option<&'static str> {
    match backend {
        wgpu::Backend::Vulkan => Some("vulkan"),
        wgpu::Backend::Metal => Some("metal"),
        wgpu::Backend::Dx12 => Some("dx12"),
        wgpu::Backend::Gl => Some("gl"),
        wgpu::Backend::Noop | wgpu::Backend::BrowserWebGpu => None,
    }
}

fn kind(device_type: wgpu::DeviceType) -> Kind {
    match device_type {
        wgpu::DeviceType::DiscreteGpu => Kind::Discrete,
        wgpu::DeviceType::IntegratedGpu => Kind::Integrated,
        wgpu::DeviceType::VirtualGpu => Kind::Virtual,
        wgpu::DeviceType::Other => Kind::Other,
        wgpu::DeviceType::Cpu => Kind::Software,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Device;
    use super::*;

    #[test]
    fn two_threads_can_use_opengl_at_once() {
        let writes_and_reads = || {
            for round in 0..10 {
                let Some(adapter) = adapters(Some("gl")).into_iter().next() else {
                    return crate::testing::not_tested("there is no OpenGL adapter on this machine");
                };
                let Ok(mut device) = Device::open(adapter, false) else { return };
                let numbers = vec![round as f32; 100];
                let buffer = device.tensor_of("numbers", &numbers).unwrap();
                assert_eq!(device.read::<f32>(&buffer, 0..100).unwrap(), numbers);
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(writes_and_reads);
            scope.spawn(writes_and_reads);
        });
    }
}
