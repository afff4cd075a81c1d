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
    let mut other = Gpu { cut: gpu.cut, general: gpu.general, small: gpu.small, ..Gpu::on(device, gpu.path) };
    other.load(&parameters)?;
    let feed = other.feed(corpus, feed.batches)?;
    other.make_ready(corpus.clone(), feed, *carried.recipe())?;
    let Some(Training { feed, carried, step, .. }) = &other.training else { return Err(nothing_to_train_on()) };
    // At a rate of 0 the parameters stay where they are, however many steps are taken.
    let factors: Vec<Factors> = (0..).take(RING).map(|step| Factors::new(carried.recipe(), step, 0.0)).collect();
    let dispatches = step.of_together();
    if dispatches.len() > Stamps::PASSES {
        let (count, most) = (dispatches.len(), Stamps::PASSES);
        return Ok(Profile::Unknown(format!("a step has {count} passes, and the times of {most} can be kept at once")));
    }
    let device = &mut other.device;
    let stamps = device.stamps()?;
    let mut timed = Timed { device, feed, factors: &factors, dispatches, together: step.together(), stamps: &stamps };
    timed.profile(Duration::from_secs_f64(seconds))
}

/// Steps that are timed.
struct Timed<'a> {
    device: &'a mut Device,
    feed: &'a Feed,
    factors: &'a [Factors],
    dispatches: &'a [Dispatch],
    /// Steps that the dispatches take.
    together: usize,
    stamps: &'a Stamps,
}

impl Timed<'_> {
    fn profile(&mut self, long: Duration) -> Result<Profile> {
        let most = (Stamps::PASSES / self.dispatches.len()).clamp(1, RING / self.together);
        // The first time waits for the driver's compiler.
        self.take(1)?;
        let (mut times, mut taken) = (1, 0);
        let (mut sums, mut span) = (vec![0; self.dispatches.len()], 0);
        let begin = Instant::now();
        while taken == 0 || begin.elapsed() < long {
            let submitted = Instant::now();
            let stamps = self.take(times)?;
            for passes in stamps.chunks_exact(self.dispatches.len()) {
                sums.iter_mut().zip(passes).for_each(|(sum, [begin, end])| *sum += end.saturating_sub(*begin));
            }
            span += stamps[stamps.len() - 1][1].saturating_sub(stamps[0][0]);
            taken += times * self.together;
            if submitted.elapsed() < SUBMISSION / 2 {
                times = (2 * times).min(most);
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

    /// When each pass begins and ends, by the device's clock, if the dispatches are taken so many times.
    fn take(&mut self, times: usize) -> Result<Vec<[u64; 2]>> {
        let steps = times * self.together;
        self.feed.seek(self.device, 0, &self.factors[..steps]);
        let mut recording = self.device.record();
        recording.stamped_passes(self.dispatches, times, self.stamps);
        self.device.submit(recording, steps)?;
        self.device.read(&self.stamps.times, 0..4 * times * self.dispatches.len())
    }
}
