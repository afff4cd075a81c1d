//! What each pass of a step takes, by times that the device itself writes before and after it. That needs a pass for each
//! dispatch and a feature of the device, so some steps are taken for it alone, on another device of the same adapter: training
//! is never slowed by it.

use std::time::{Duration, Instant};

use super::device::{Device, Dispatch, Stamps};
use super::feed::{Feed, RING};
use super::uniforms::Factors;
use super::{Gpu, Training, nothing_to_train_on};
use crate::Result;
use crate::engine::{Engine, PassTime, Profile};

/// A submission takes about so long, if the times of its passes fit.
const SUBMISSION: Duration = Duration::from_millis(50);

/// The passes of the prepared training, with the kernels that it takes, timed for about so many seconds.
pub(super) fn profile(gpu: &mut Gpu, seconds: f64) -> Result<Profile> {
    let Some(device) = gpu.device.open_stamped()? else {
        let name = gpu.hardware().device;
        return Ok(Profile::Unknown(format!("{name} has no clock for passes (no timestamp queries)")));
    };
    let parameters = gpu.parameters()?;
    let Some(Training { corpus, feed, carried, .. }) = &gpu.training else { return Err(nothing_to_train_on()) };
    let mut other = Gpu { cut: gpu.cut, product: gpu.product, small: gpu.small, ..Gpu::on(device, gpu.path) };
    other.load(&parameters)?;
    let feed = other.feed(corpus, feed.batches)?;
    other.make_ready(corpus.clone(), feed, *carried.recipe())?;
    let Some(Training { feed, carried, step, .. }) = &other.training else { return Err(nothing_to_train_on()) };
    // At a rate of 0 the parameters stay where they are, however many steps are taken.
    let factors: Vec<Factors> = (0..).take(RING).map(|step| Factors::new(carried.recipe(), step, 0.0)).collect();
    if step.dispatches.len() > Stamps::PASSES {
        let (count, most) = (step.dispatches.len(), Stamps::PASSES);
        return Ok(Profile::Unknown(format!("a step has {count} passes, and the times of {most} can be kept at once")));
    }
    let device = &mut other.device;
    let stamps = device.stamps()?;
    let mut timed = Timed { device, feed, factors: &factors, dispatches: &step.dispatches, stamps: &stamps };
    timed.profile(Duration::from_secs_f64(seconds))
}

/// Steps that are timed.
struct Timed<'a> {
    device: &'a mut Device,
    feed: &'a Feed,
    factors: &'a [Factors],
    dispatches: &'a [Dispatch],
    stamps: &'a Stamps,
}

impl Timed<'_> {
    fn profile(&mut self, long: Duration) -> Result<Profile> {
        let most = (Stamps::PASSES / self.dispatches.len()).clamp(1, RING);
        // The first step waits for the driver's compiler.
        self.take(1)?;
        let (mut steps, mut taken) = (1, 0);
        let (mut sums, mut span) = (vec![0; self.dispatches.len()], 0);
        let begin = Instant::now();
        while taken == 0 || begin.elapsed() < long {
            let submitted = Instant::now();
            let times = self.take(steps)?;
            for step in times.chunks_exact(self.dispatches.len()) {
                sums.iter_mut().zip(step).for_each(|(sum, [begin, end])| *sum += end.saturating_sub(*begin));
            }
            span += times[times.len() - 1][1].saturating_sub(times[0][0]);
            taken += steps;
            if submitted.elapsed() < SUBMISSION / 2 {
                steps = (2 * steps).min(most);
            }
        }
        let microseconds = |sum: u64| sum as f64 * self.stamps.unit / taken as f64;
        let mut passes: Vec<PassTime> = Vec::new();
        for (dispatch, &sum) in self.dispatches.iter().zip(&sums) {
            // Chunks of a batch have the same passes, and so have blocks of a matrix.
            match passes.iter_mut().find(|pass| pass.name == dispatch.name) {
                Some(pass) => pass.microseconds += microseconds(sum),
                None => passes.push(PassTime { name: dispatch.name.to_string(), microseconds: microseconds(sum) }),
            }
        }
        Ok(Profile::Measured { passes, step_microseconds: microseconds(span) })
    }

    /// When each pass of some steps begins and ends, by the device's clock.
    fn take(&mut self, steps: usize) -> Result<Vec<[u64; 2]>> {
        self.feed.seek(self.device, 0, &self.factors[..steps]);
        let mut recording = self.device.record();
        recording.stamped_passes(self.dispatches, steps, self.stamps);
        self.device.submit(recording, steps)?;
        self.device.read(&self.stamps.times, 0..4 * steps * self.dispatches.len())
    }
}
