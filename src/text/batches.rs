//! Which examples make the batch of a step: a pure function of the seed and the step, so that nothing has to be sent
//! to a device while it trains, and a run is resumed by its step number alone. `shaders/shared/batch.wgsl` is the twin.

use serde::{Deserialize, Serialize};

use super::Corpus;
use super::random::{Permutation, Purpose, below, threefry};

/// The order in which examples are met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
#[repr(u32)]
pub enum Order {
    /// Drawn with replacement at every step.
    Sampled = 0,
    /// Every example once an epoch, each epoch in another order.
    Shuffled = 1,
    /// As they stand in the text, epoch after epoch.
    Sequential = 2,
}

/// Everything that fixes the batches of a run.
#[derive(Clone, Copy, Debug)]
pub struct BatchPlan {
    /// The order of the examples.
    pub order: Order,
    /// The run's seed.
    pub seed: u32,
    /// Examples in a batch (B).
    pub batch: u32,
    /// Examples in the training part.
    pub examples: u32,
}

/// Where a step begins in the endless sequence of epochs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The step, from 0.
    pub step: u32,
    /// The epoch of the step's first example, from 0.
    pub epoch: u32,
    /// That example's place in its epoch.
    pub offset: u32,
}

impl BatchPlan {
    /// All of a corpus as one batch, in its order.
    pub fn whole(corpus: &Corpus) -> Self {
        let examples = corpus.len() as u32;
        BatchPlan { order: Order::Sequential, seed: 0, batch: examples, examples }
    }

    /// Where a step begins.
    pub fn cursor(&self, step: u64) -> Cursor {
        let first = step * u64::from(self.batch);
        let examples = u64::from(self.examples);
        Cursor { step: step as u32, epoch: (first / examples) as u32, offset: (first % examples) as u32 }
    }

    /// The examples of a step from lane `first_lane` on, by their index in the training part.
    #[inline(always)]
    pub fn fill(&self, step: u64, first_lane: u32, batch: &mut [u32]) {
        let cursor = self.cursor(step);
        match self.order {
            Order::Sampled => {
                // Sixteen at a time, which become vector instructions.
                for (block, batch) in batch.chunks_mut(16).enumerate() {
                    let mut words = [0; 16];
                    for (lane, word) in words.iter_mut().enumerate() {
                        let lane = first_lane + (block * 16 + lane) as u32;
                        *word = threefry([self.seed, Purpose::Batch as u32], [cursor.step, lane])[0];
                    }
                    for (example, word) in batch.iter_mut().zip(words) {
                        *example = below(word, self.examples);
                    }
                }
            }
            Order::Shuffled => {
                let place = u64::from(cursor.offset) + u64::from(first_lane);
                let mut epoch = cursor.epoch.wrapping_add((place / u64::from(self.examples)) as u32);
                let mut place = (place % u64::from(self.examples)) as u32;
                let mut left = batch;
                while !left.is_empty() {
                    let in_epoch = left.len().min((self.examples - place) as usize);
                    let (now, later) = left.split_at_mut(in_epoch);
                    let permutation = Permutation::new(self.seed, Purpose::Epoch, epoch, self.examples);
                    permutation.apply_to_all(place, now);
                    (left, place, epoch) = (later, 0, epoch.wrapping_add(1));
                }
            }
            Order::Sequential => {
                for (lane, example) in batch.iter_mut().enumerate() {
                    *example = (cursor.offset + first_lane + lane as u32) % self.examples;
                }
            }
        }
    }

    /// The examples of a step in a new vector.
    pub fn batch(&self, step: u64) -> Vec<u32> {
        let mut batch = vec![0; self.batch as usize];
        self.fill(step, 0, &mut batch);
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plan(order: Order, batch: u32, examples: u32) -> BatchPlan {
        BatchPlan { order, seed: 42, batch, examples }
    }

    proptest! {
        #[test]
        fn shuffled_meets_each_example_once_an_epoch(batch in 1u32..40, examples in 1u32..200, epochs in 1u32..4) {
            let plan = plan(Order::Shuffled, batch, examples);
            let steps = (u64::from(examples) * u64::from(epochs)).div_ceil(u64::from(batch));
            let met: Vec<u32> = (0..steps).flat_map(|step| plan.batch(step)).collect();
            for epoch in met.chunks_exact(examples as usize) {
                let mut epoch = epoch.to_vec();
                epoch.sort_unstable();
                prop_assert_eq!(epoch, (0..examples).collect::<Vec<_>>());
            }
        }

        #[test]
        fn sampled_stays_in_range(batch in 1u32..40, examples in 1u32..200, step: u32) {
            prop_assert!(plan(Order::Sampled, batch, examples).batch(step.into()).iter().all(|&e| e < examples));
        }
    }

    proptest! {
        #[test]
        fn a_batch_can_be_drawn_in_pieces(batch in 2u32..40, examples in 1u32..60, step in 0u64..1000, cut in 1u32..40) {
            for order in [Order::Sampled, Order::Shuffled, Order::Sequential] {
                let plan = plan(order, batch, examples);
                let cut = cut.min(batch - 1) as usize;
                let mut pieces = vec![0; batch as usize];
                plan.fill(step, 0, &mut pieces[..cut]);
                plan.fill(step, cut as u32, &mut pieces[cut..]);
                prop_assert_eq!(pieces, plan.batch(step));
            }
        }
    }

    #[test]
    fn sequential_goes_round_and_round() {
        let plan = plan(Order::Sequential, 3, 5);
        assert_eq!(plan.batch(0), [0, 1, 2]);
        assert_eq!(plan.batch(1), [3, 4, 0]);
        assert_eq!(plan.cursor(1_000_000_000_000), Cursor { step: 3_567_587_328, epoch: 2_999_545_856, offset: 0 });
    }

    #[test]
    fn sampled_draws_evenly() {
        let plan = plan(Order::Sampled, 100, 10);
        let mut counts = [0u32; 10];
        (0..1000).flat_map(|step| plan.batch(step)).for_each(|e| counts[e as usize] += 1);
        // 100,000 draws: ten thousand each, with a standard deviation of 95.
        assert!(counts.iter().all(|&c| c.abs_diff(10_000) < 500), "{counts:?}");
    }
}
