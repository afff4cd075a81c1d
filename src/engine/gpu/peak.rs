//! What a device reaches at most: multiplications and additions in registers, and bytes to and from memory. Each kernel's
//! results are looked at before its time counts.

use super::buffer::Buffer;
use super::device::{Device, Recording};
use super::kernels;
use crate::{Error, Result};

/// A measurement takes so long at least, in seconds: the clock sees nothing shorter.
const SECONDS: f64 = 0.02;
/// How often; the shortest time counts, for the device may do something else at times.
const REPEATS: usize = 5;
/// Workgroups of the arithmetic: several for each core of the largest GPUs.
const WORKGROUPS: u32 = 1024;
/// Rounds of its loop.
const ROUNDS: u32 = 128;
/// How often a round multiplies and adds.
const REPEATED: u32 = 32;
/// Operations of that, and of an invocation.
const OPERATIONS: u32 = 2 * 12;
/// Bytes of an array that is copied, if the device can see so many at once: more than caches hold.
const ARRAY: usize = 128 << 20;
/// Fours that an invocation copies.
const RUN: u32 = 8;
/// Words that are looked at, at either end of a copy.
const LOOKED_AT: usize = 1 << 14;

/// Thousand million multiplications and additions a second.
pub(super) fn gflops(device: &mut Device) -> Result<f64> {
    let invocations = WORKGROUPS * device.workgroup();
    let workgroup = f64::from(device.workgroup());
    let constants = [("WORKGROUP", workgroup), ("ROUNDS", ROUNDS.into()), ("ROWS", REPEATED.into())];
    let pipeline = device.pipeline(&kernels::PEAK_ARITHMETIC, &constants)?;
    let factors = device.tensor_of("factors", &[1.0f32; 16])?;
    let numbers = device.tensor("numbers", 4 * invocations as usize)?;
    let dispatches = [device.dispatch(&pipeline, &[factors.all(), numbers.all()], [WORKGROUPS, 1, 1])?];
    let (seconds, _) = shortest(device, |recording, times| recording.pass("arithmetic", &dispatches, times))?;
    // Three numbers that begin at i, i + 1 and i + 2 and grow by 1 each time.
    let expected = |i: usize| (3 * (i / 4 % 64) + 3 + 3 * (ROUNDS * REPEATED) as usize) as f32;
    let found: Vec<f32> = device.read(&numbers, 0..4 * invocations as usize)?;
    expect(device, kernels::PEAK_ARITHMETIC.name, found.iter().enumerate().all(|(i, &x)| x == expected(i)))?;
    Ok(f64::from(invocations) * f64::from(ROUNDS * REPEATED * OPERATIONS) / seconds / 1e9)
}

/// Reads and writes of copies in thousand million bytes a second.
pub(super) fn gigabytes_per_second(device: &mut Device) -> Result<f64> {
    let words = (ARRAY / 4).min(device.binding_words());
    let [here, there] = [device.tensor("an array", words)?, device.tensor("its copy", words)?];
    let constants = [("WORKGROUP", f64::from(device.workgroup())), ("RUN", f64::from(RUN))];
    let pipeline = device.pipeline(&kernels::PEAK_MEMORY, &constants)?;
    let workgroups = [(words / 4).div_ceil((device.workgroup() * RUN) as usize) as u32, 1, 1];
    let copy = |from: &Buffer, to: &Buffer| device.dispatch(&pipeline, &[from.all(), to.all()], workgroups);
    // There and back.
    let dispatches = [copy(&here, &there)?, copy(&there, &here)?];
    let (by_kernel, times) = shortest(device, |recording, times| recording.pass("memory", &dispatches, times))?;
    for ends in [0..LOOKED_AT.min(words), words - LOOKED_AT.min(words)..words] {
        let found: Vec<f32> = device.read(&here, ends)?;
        expect(device, kernels::PEAK_MEMORY.name, found.iter().all(|&x| x == 2.0 * times as f32))?;
    }
    // Some devices copy faster than their kernels can (lavapipe, which reads a kernel's numbers one by one).
    let (by_command, _) = shortest(device, |recording, times| {
        for _ in 0..times {
            recording.copy(&here, &there, 0, words);
            recording.copy(&there, &here, 0, words);
        }
    })?;
    Ok(dispatches.len() as f64 * 8.0 * words as f64 / by_kernel.min(by_command) / 1e9)
}

/// The least time of some work, and how often it was done in all.
fn shortest(device: &Device, work: impl Fn(&mut Recording, usize)) -> Result<(f64, usize)> {
    let (mut all, mut times) = (0, 1);
    let mut run = |times: usize| {
        all += times;
        let mut recording = device.record();
        work(&mut recording, times);
        device.time(recording)
    };
    // The first run waits for the driver's compiler, and perhaps for memory.
    run(1)?;
    let mut seconds = run(times)?;
    while seconds < SECONDS {
        times *= 2;
        seconds = run(times)?;
    }
    for _ in 1..REPEATS {
        seconds = seconds.min(run(times)?);
    }
    Ok((seconds / times as f64, all))
}

fn expect(device: &Device, kernel: &str, holds: bool) -> Result<()> {
    if holds {
        return Ok(());
    }
    Err(Error::Device(format!(
        "{} computes wrongly: the kernel {kernel} left other numbers than it must. `gpu-mlp check` tells what else fails",
        device.hardware().device
    )))
}
