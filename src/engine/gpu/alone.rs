//! Any kernel by itself: tests and checks give it arrays, run it once and look at what it wrote.

use super::device::Device;
use super::kernels::{Access, Kernel};
use crate::Result;

/// Runs a kernel once. `arrays` are the bytes of its buffers in the order of its bindings; those that it writes hold
/// afterwards what it wrote.
pub fn run_alone(
    device: &mut Device,
    kernel: &'static Kernel,
    constants: &[(&str, f64)],
    workgroups: [u32; 3],
    arrays: &mut [&mut [u8]],
) -> Result<()> {
    let pipeline = device.pipeline(kernel, constants)?;
    let mut buffers = Vec::with_capacity(arrays.len());
    for (access, bytes) in kernel.bindings.iter().zip(arrays.iter()) {
        let words: &[u32] = &bytemuck::pod_collect_to_vec(bytes);
        let buffer = match access {
            Access::Uniform => device.uniform_of(kernel.name, words)?,
            Access::Read | Access::Write => device.tensor_of(kernel.name, words)?,
        };
        buffers.push(buffer);
    }
    let parts: Vec<_> = buffers.iter().map(|buffer| buffer.all()).collect();
    let dispatch = device.dispatch(&pipeline, &parts, workgroups)?;
    let mut recording = device.record();
    recording.pass(kernel.name, &[dispatch], 1);
    device.submit(recording, 0)?;
    for ((access, buffer), bytes) in kernel.bindings.iter().zip(&buffers).zip(arrays.iter_mut()) {
        if *access == Access::Write {
            let words: Vec<u32> = device.read(buffer, 0..bytes.len() / 4)?;
            bytes.copy_from_slice(bytemuck::cast_slice(&words));
        }
    }
    Ok(())
}
