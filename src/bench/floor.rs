//! What a piece of work asks of a machine at least, and the time that the machine needs for that.
//!
//! **Operations** are those of the definition: a multiplication and an addition for each weight and example forward, twice
//! as many backward: 6 B (n d h + h V), and 6 B n d V more with direct connections. An engine may execute fewer (it can add
//! up what examples have in common first), so a share of the peak may be above 1. What is of a lower order is left out: tanh,
//! exponentials, biases, the update itself.
//!
//! **Bytes** are those that pass by the caches at least, if nothing of a step stays in them until the next use: every
//! parameter is read forward, read backward and written (12 bytes a number; of the embedding the rows of the batch, B n at
//! most), and the input, the hidden units and the logits of every example are written and read once (8 bytes a number). What
//! does stay in a cache moves faster, so a small network may be under this part of its floor, too.

use serde::Serialize;

use crate::model::Shape;

/// What one unit of work asks for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Demand {
    /// Multiplications and additions of the definition.
    pub operations: f64,
    /// Bytes from and to memory.
    pub bytes: f64,
}

/// What a device reaches at most, where it can measure it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Limits {
    /// Multiplications and additions a second on numbers in registers, in thousand millions.
    pub peak_gflops: Option<f64>,
    /// Bytes a second that a copy of large arrays reads and writes, in thousand millions.
    pub peak_gigabytes_per_second: Option<f64>,
}

impl Demand {
    /// Of a training step.
    pub fn of_step(shape: Shape, batch: usize) -> Self {
        let embedding = shape.vocabulary * shape.embedding;
        let rows = (batch * shape.context).min(shape.vocabulary);
        // The embedding is read as a whole where it is the output's weights.
        let touched = if shape.tied { 0 } else { embedding - rows * shape.embedding };
        let parameters = shape.parameters() - touched;
        let activations = batch * (shape.input() + shape.hidden + shape.vocabulary);
        Demand { operations: shape.step_flops(batch), bytes: (12 * parameters + 8 * activations) as f64 }
    }

    /// Of a prediction among many: the parameters are read once for all of them, so they do not count.
    pub fn of_prediction(shape: Shape) -> Self {
        Demand { operations: shape.step_flops(1) / 3.0, bytes: 0.0 }
    }

    /// The least time in seconds: the longer of the two, where the arithmetic's limit is known.
    pub fn seconds(&self, limits: Limits) -> Option<f64> {
        let arithmetic = self.operations / (limits.peak_gflops? * 1e9);
        let memory = limits.peak_gigabytes_per_second.map_or(0.0, |peak| self.bytes / (peak * 1e9));
        Some(arithmetic.max(memory))
    }
}

/// How far a measured speed is from the floor.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Distance {
    /// Operations of one unit.
    pub operations: f64,
    /// Bytes of one unit.
    pub bytes: f64,
    /// Operations of the definition a second, in thousand millions.
    pub gflops: f64,
    /// What the device was measured to reach at most.
    #[serde(flatten)]
    pub limits: Limits,
    /// `gflops` over `peak_gflops`. It may be above 1, see [`Demand`].
    pub fraction_of_peak: Option<f64>,
    /// Bytes of the floor a second, in thousand millions.
    pub gigabytes_per_second: f64,
    /// That over its peak.
    pub fraction_of_bandwidth: Option<f64>,
    /// The least time of a unit.
    pub floor_microseconds: Option<f64>,
    /// The measured time over the least one.
    pub times_the_floor: Option<f64>,
}

impl Distance {
    /// Of so many units a second.
    pub fn new(demand: Demand, limits: Limits, per_second: f64) -> Self {
        let Demand { operations, bytes } = demand;
        let (gflops, gigabytes) = (operations * per_second / 1e9, bytes * per_second / 1e9);
        let floor = demand.seconds(limits);
        Distance {
            operations,
            bytes,
            gflops,
            limits,
            fraction_of_peak: limits.peak_gflops.map(|peak| gflops / peak),
            gigabytes_per_second: gigabytes,
            fraction_of_bandwidth: limits.peak_gigabytes_per_second.map(|peak| gigabytes / peak),
            floor_microseconds: floor.map(|seconds| seconds * 1e6),
            times_the_floor: floor.map(|seconds| 1.0 / (per_second * seconds)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::SHAPES;

    #[test]
    fn the_lectures_network_has_the_operations_and_bytes_of_the_formula() {
        let demand = Demand::of_step(SHAPES[1].shape, 32);
        assert_eq!(demand.operations, 6.0 * 32.0 * (30.0 * 200.0 + 200.0 * 27.0));
        // All of its 27 embeddings may stand in a batch.
        assert_eq!(demand.bytes, (12 * 11_897 + 8 * 32 * (30 + 200 + 27)) as f64);
    }

    #[test]
    fn a_large_embedding_counts_by_the_rows_of_a_batch() {
        let shape = SHAPES[3].shape;
        let dense = 120 * 100 + 100 + 16_383 * 101;
        let expected = 12 * (dense + 256 * 4 * 30) + 8 * 256 * (120 + 100 + 16_383);
        assert_eq!(Demand::of_step(shape, 256).bytes, expected as f64);
        let tied = Shape { embedding: 100, tied: true, ..shape };
        assert_eq!(Demand::of_step(tied, 256).bytes, (12 * tied.parameters() + 8 * 256 * (400 + 100 + 16_383)) as f64);
    }

    #[test]
    fn the_floor_is_the_longer_of_arithmetic_and_memory() {
        let demand = Demand { operations: 2e9, bytes: 1e9 };
        let limits = |peak_gflops, peak_gigabytes_per_second| Limits { peak_gflops, peak_gigabytes_per_second };
        assert_eq!(demand.seconds(limits(Some(100.0), Some(100.0))), Some(0.02));
        assert_eq!(demand.seconds(limits(Some(100.0), Some(10.0))), Some(0.1));
        assert_eq!(demand.seconds(limits(Some(100.0), None)), Some(0.02));
        assert_eq!(demand.seconds(limits(None, Some(10.0))), None);
        let distance = Distance::new(demand, limits(Some(100.0), Some(10.0)), 5.0);
        assert_eq!((distance.gflops, distance.gigabytes_per_second), (10.0, 5.0));
        assert_eq!((distance.fraction_of_peak, distance.fraction_of_bandwidth), (Some(0.1), Some(0.5)));
        assert_eq!((distance.floor_microseconds, distance.times_the_floor), (Some(1e5), Some(2.0)));
    }
}
