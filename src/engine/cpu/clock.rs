//! The time that each pass of a step takes, on the first thread, of every so many steps or of all long ones.

use std::time::{Duration, Instant};

use crate::engine::PassTime;

/// Of short steps one in so many is timed, so that reading the clock costs nothing that could be measured.
const SAMPLED_STEPS: usize = 32;
/// Multiplications and additions of a long step. It takes more than a hundred microseconds, reading the clock less than one: all
/// such steps are timed. A repeat of a benchmark has but a few, of which those that try out one thread would count too much.
const LONG_STEP: f64 = 2e8;

/// One in how many steps of so many multiplications and additions is timed.
pub(super) fn sampled_steps(flops: f64) -> usize {
    if flops < LONG_STEP { SAMPLED_STEPS } else { 1 }
}

/// The passes in their order.
#[derive(Clone, Copy)]
pub(super) enum Pass {
    Draw,
    EmbeddingGather,
    HiddenForward,
    LogitsForward,
    SoftmaxCrossEntropy,
    HiddenBackward,
    InputBackward,
    ParametersUpdate,
    Wait,
}

const NAMES: [&str; 9] = [
    "draw_batch",
    "embedding_gather",
    "hidden_forward",
    "logits_forward",
    "softmax_cross_entropy",
    "hidden_backward",
    "input_backward",
    "parameters_update",
    "wait_for_threads",
];

/// Sums of the sampled times.
#[derive(Default)]
pub(super) struct Clock {
    steps: u32,
    sums: [Duration; NAMES.len()],
}

impl Clock {
    /// Mean times a step.
    pub(super) fn times(&self) -> Vec<PassTime> {
        let steps = self.steps;
        let time = |(name, sum): (&&str, &Duration)| PassTime {
            name: (*name).to_owned(),
            microseconds: sum.as_secs_f64() * 1e6 / f64::from(steps),
        };
        if steps == 0 { Vec::new() } else { NAMES.iter().zip(&self.sums).map(time).collect() }
    }
}

/// Times one step, or does nothing.
pub(super) struct Timer<'a> {
    clock: Option<(&'a mut Clock, Instant)>,
}

impl<'a> Timer<'a> {
    /// Starts a step.
    #[inline(always)]
    pub(super) fn new(clock: Option<&'a mut Clock>) -> Self {
        let clock = clock.map(|clock| {
            clock.steps += 1;
            (clock, Instant::now())
        });
        Timer { clock }
    }

    /// Ends a pass and starts the next.
    #[inline(always)]
    pub(super) fn end(&mut self, pass: Pass) {
        if let Some((clock, since)) = &mut self.clock {
            let now = Instant::now();
            clock.sums[pass as usize] += now - *since;
            *since = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::engine::cpu::Cpu;
    use crate::engine::{Engine, Recipe};
    use crate::model::{Parameters, Shape};
    use crate::text::{BatchPlan, Corpus, Order};

    #[test]
    fn all_long_steps_are_timed_and_some_short_ones() {
        let timed = |batch: u32| {
            let shape = Shape { vocabulary: 27, context: 3, embedding: 10, hidden: 1024, direct: false, tied: false };
            let mut engine = Cpu::new(1);
            engine.load(&Parameters::zeros(shape)).unwrap();
            let corpus = Arc::new(Corpus::from_examples(&[1; 30], &[2; 10], 3));
            let plan = BatchPlan { order: Order::Sampled, seed: 1, batch, examples: 10 };
            engine.prepare(corpus, plan, Recipe::default()).unwrap();
            engine.train(0, &[0.1; 34]).unwrap();
            engine.clock.steps
        };
        assert_eq!(timed(1024), 34);
        assert_eq!(timed(1), 2);
    }
}
