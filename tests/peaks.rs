//! The kernels that find out what a device reaches at most, and what the engine makes of them.

#[path = "common/arrays.rs"]
mod arrays;
mod common;

use arrays::{device, numbers};
use bytemuck::cast_slice_mut;
use gpu_mlp::engine::Engine;
use gpu_mlp::engine::gpu::alone::run_alone;
use gpu_mlp::engine::gpu::{Gpu, Path, kernels};

#[test]
fn arithmetic_is_that_of_a_plain_loop() {
    let Some(mut device) = device() else { return };
    // More invocations than numbers.
    let (count, rounds, rows) = (150, 3, 4);
    let (factor, addend) = (0.75f32, 0.5f32);
    let mut found = vec![f32::NAN; 4 * count];
    let constants = [("WORKGROUP", 64.0), ("ROUNDS", f64::from(rounds)), ("ROWS", f64::from(rows))];
    let mut factors = [factor, addend];
    let arrays: &mut [&mut [u8]] = &mut [cast_slice_mut(&mut factors), cast_slice_mut(&mut found)];
    run_alone(&mut device, &kernels::PEAK_ARITHMETIC, &constants, [3, 1, 1], arrays).unwrap();
    for (i, &found) in found.iter().enumerate() {
        let of = |mut x: f32| {
            (0..rounds * rows).for_each(|_| x = x * factor + addend);
            f64::from(x)
        };
        let first = (i / 4 % 64) as f32;
        let expected = of(first) + of(first + addend) + of(first + 2.0 * addend);
        assert!((f64::from(found) / expected - 1.0).abs() < 1e-6, "{i}: {found}, not {expected}");
    }
}

#[test]
fn a_copy_has_every_number_and_one_more() {
    let Some(mut device) = device() else { return };
    for count in [1, 64, 500, 1024] {
        let mut original = numbers(4 * count, 1);
        let expected: Vec<f32> = original.iter().map(|x| x + 1.0).collect();
        let mut copy = vec![f32::NAN; 4 * count];
        let workgroups = [count.div_ceil(64 * 3) as u32, 1, 1];
        let arrays: &mut [&mut [u8]] = &mut [cast_slice_mut(&mut original), cast_slice_mut(&mut copy)];
        run_alone(&mut device, &kernels::PEAK_MEMORY, &[("WORKGROUP", 64.0), ("RUN", 3.0)], workgroups, arrays)
            .unwrap();
        assert_eq!(copy, expected);
    }
}

#[test]
fn a_gpu_has_peaks_that_can_be() {
    let Some(adapter) = common::gpu() else { return };
    let mut gpu = Gpu::open(adapter, Path::Automatic).unwrap();
    let arithmetic = gpu.peak_gflops().unwrap().unwrap();
    let memory = gpu.peak_gigabytes_per_second().unwrap().unwrap();
    println!("{arithmetic} GFLOP/s, {memory} GB/s");
    // A thousandth of an old CPU's core to ten times the fastest GPU of today.
    assert!((0.01..1e6).contains(&arithmetic) && (0.01..1e5).contains(&memory), "{arithmetic} {memory}");
}
