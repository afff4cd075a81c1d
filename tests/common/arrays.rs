//! Arrays for kernels that run by themselves. Not every test needs all of it.
#![allow(dead_code)]

use std::ops::Range;

use bytemuck::{bytes_of_mut, cast_slice_mut};
use gpu_mlp::engine::gpu::alone::run_alone;
use gpu_mlp::engine::gpu::uniforms::{Activations, Cursor, Dropout, Factors, Table};
use gpu_mlp::engine::gpu::{Device, kernels, workgroups_for_each};
use gpu_mlp::text::{BatchPlan, Order};

/// A plan of which only the cursor counts.
pub(crate) const PLAN: BatchPlan = BatchPlan { order: Order::Sampled, seed: 0, batch: 1, examples: 1 };

/// Nothing is dropped.
pub(crate) const NO_DROPOUT: Dropout = Dropout { seed: 0, purpose: 0, threshold: 0, kept: 1.0 };

/// Invocations in a workgroup here; small, so that walks over several workgroups happen.
pub(crate) const WORKGROUP: u32 = 64;
pub(crate) const SIZE: [(&str, f64); 1] = [("WORKGROUP", WORKGROUP as f64)];

/// A device whose kernels are checked, where there is an adapter.
pub(crate) fn device() -> Option<Device> {
    super::common::gpu().map(|adapter| Device::open(adapter, true).unwrap())
}

/// Numbers between -1 and 1 that are no round fractions.
pub(crate) fn numbers(count: usize, seed: usize) -> Vec<f32> {
    (0..count).map(|i| (((i + seed * 1013) * 7919) as f32 * 0.618).sin()).collect()
}

/// Rows that begin at multiples of 4 numbers.
pub(crate) fn padded(columns: usize) -> usize {
    columns.next_multiple_of(4)
}

/// A whole batch.
pub(crate) fn activations(batch: usize, columns: usize) -> Activations {
    Activations {
        rows: batch as u32,
        columns: columns as u32,
        stride: padded(columns) as u32,
        first: 0,
        batch: batch as u32,
    }
}

/// Some rows of an embedding.
pub(crate) fn table(rows: &Range<usize>, columns: usize, stride: usize) -> Table {
    Table { first: rows.start as u32, rows: rows.len() as u32, columns: columns as u32, stride: stride as u32 }
}

/// The rows of a padded matrix without what fills them up.
pub(crate) fn trimmed(padded_rows: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    padded_rows.chunks_exact(padded(columns)).take(rows).flat_map(|row| row[..columns].to_vec()).collect()
}

/// What the links' kernel makes of the contexts of a batch.
pub(crate) fn linked(device: &mut Device, contexts: &[u32], mut sizes: Activations, embedding: usize) -> Vec<u32> {
    let mut links = vec![u32::MAX; contexts.len()];
    let mut filled = contexts.to_vec();
    filled.resize(padded(contexts.len()), 0);
    let mut nothing = table(&(0..0), embedding, embedding);
    let arrays = &mut [
        bytes_of_mut(&mut sizes),
        bytes_of_mut(&mut nothing),
        cast_slice_mut(&mut filled),
        cast_slice_mut(&mut links),
    ];
    run_alone(device, &kernels::EMBEDDING_LINKS, &SIZE, for_each(contexts.len().div_ceil(2)), arrays).unwrap();
    links
}

/// The slot of the current step, and its rate: other slots have other ones.
pub(crate) fn rates(rate: f32) -> ([Factors; 3], Cursor) {
    let mut cursor = Cursor::at(PLAN.cursor(0));
    cursor.current.slot = 2;
    ([9.0, 9.0, rate].map(|rate| Factors { rate, velocity: 7.0, squares: 7.0, keeps: 7.0 }), cursor)
}

pub(crate) fn for_each(count: usize) -> [u32; 3] {
    workgroups_for_each(count, WORKGROUP)
}

#[track_caller]
pub(crate) fn assert_close(what: &str, found: &[f32], expected: &[f64], tolerance: f64) {
    let largest = expected.iter().fold(1e-30f64, |largest, x| largest.max(x.abs()));
    for (place, (&x, &y)) in found.iter().zip(expected).enumerate() {
        let difference = (f64::from(x) - y).abs() / largest;
        assert!(difference <= tolerance, "{what} [{place}]: {x}, expected {y}: {difference:e} of the largest");
    }
}
