//! What each pass of a step takes, by times that the device itself writes before and after it. That needs a pass for each
//! dispatch and a feature of the device, so some steps are taken for it alone, on another device of the same adapter: training
//! is never slowed by it.

use std::time::{Duration, Instant};

use super::device::Stamps;
use super::feed::RING;
use super::uniforms::Factors;
use super::{Gpu, Training};
use crate::Result;
use crate::engine::demands::prepared;
use crate::engine::{Engine, PassTime, PerhapsProfiler, Profile, Profiler};

/// A submission takes about so long, if the times of its passes fit.
const SUBMISSION: Duration = Duration::from_millis(50);

/// Steps whose passes are timed, on a device of their own.
pub(super) struct StampedSteps {
    gpu: Gpu,
    stamps: Stamps,
    factors: Vec<Factors>,
    /// How often a submission takes the dispatches of the step.
    times: usize,
}

/// Steps of the prepared training, with the kernels that it takes.
pub(super) fn profiler(gpu: &mut Gpu) -> Result<PerhapsProfiler> {
    let Some(device) = gpu.device.open_stamped()? else {
        let name = gpu.hardware().device;
        return Ok(Err(format!("{name} has no clock for passes (no timestamp queries)")));
    };
    let parameters = gpu.parameters()?;
    let Training { corpus, feed, carried, .. } = prepared(gpu.training.as_ref())?;
    let mut other = Gpu { cut: gpu.cut, general: gpu.general, small: gpu.small, ..Gpu::on(device, gpu.path) };
    other.load(&parameters)?;
    let feed = other.feed(corpus, feed.batches)?;
    other.make_ready(corpus.clone(), feed, *carried.recipe())?;
    let Training { carried, step, .. } = prepared(other.training.as_ref())?;
    let (passes, most) = (step.of_together().len(), Stamps::PASSES);
    if passes > most {
        return Ok(Err(format!("a step has {passes} passes, and the times of {most} can be kept at once")));
    }
    // At a rate of 0 the parameters stay where they are, however many steps are taken.
    let factors = (0..).take(RING).map(|step| Factors::new(carried.recipe(), step, 0.0)).collect();
    let mut steps = StampedSteps { stamps: other.device.stamps()?, factors, gpu: other, times: 1 };
    // The first time waits for the driver's compiler.
    steps.take()?;
    Ok(Ok(Box::new(steps)))
}

impl StampedSteps {
    /// When each pass begins and ends, by the device's clock; and how many steps they are.
    fn take(&mut self) -> Result<(Vec<[u64; 2]>, usize)> {
        let Training { feed, step, .. } = prepared(self.gpu.training.as_ref())?;
        let (device, dispatches) = (&mut self.gpu.device, step.of_together());
        let steps = self.times * step.together();
        feed.seek(device, 0, &self.factors[..steps]);
        let mut recording = device.record();
        recording.stamped_passes(dispatches, self.times, &self.stamps);
        device.submit(recording, steps)?;
        Ok((device.read(&self.stamps.times, 0..4 * self.times * dispatches.len())?, steps))
    }
}

impl Profiler for StampedSteps {
    fn profile(&mut self, seconds: f64) -> Result<Profile> {
        let Training { step, .. } = prepared(self.gpu.training.as_ref())?;
        let names: Vec<_> = step.of_together().iter().map(|dispatch| dispatch.name.clone()).collect();
        let most = (Stamps::PASSES / names.len()).clamp(1, RING / step.together());
        let (mut sums, mut span, mut taken) = (vec![0; names.len()], 0, 0);
        let begin = Instant::now();
        while taken == 0 || begin.elapsed().as_secs_f64() < seconds {
            let submitted = Instant::now();
            let (stamps, steps) = self.take()?;
            for passes in stamps.chunks_exact(names.len()) {
                sums.iter_mut().zip(passes).for_each(|(sum, [begin, end])| *sum += end.saturating_sub(*begin));
            }
            span += stamps[stamps.len() - 1][1].saturating_sub(stamps[0][0]);
            taken += steps;
            if submitted.elapsed() < SUBMISSION / 2 {
                self.times = (2 * self.times).min(most);
            }
        }
        let microseconds = |sum: u64| sum as f64 * self.stamps.unit / taken as f64;
        let mut passes: Vec<PassTime> = Vec::new();
        for (name, &sum) in names.iter().zip(&sums) {
            // Chunks of a batch have the same passes, and so have blocks of a matrix.
            match passes.iter_mut().find(|pass| pass.name == **name) {
                Some(pass) => pass.microseconds += microseconds(sum),
                None => passes.push(PassTime { name: name.to_string(), microseconds: microseconds(sum) }),
            }
        }
        Ok(Profile { passes, step_microseconds: microseconds(span) })
    }
}
