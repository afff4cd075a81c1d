//! How fast engines are on named shapes. Nothing is timed before it is checked.
//!
//! Engines that are compared take turns within one run, so that whatever else the machine does meets all of them.

pub mod floor;
pub mod machine;
pub mod saved;
pub mod shapes;
pub mod spread;
mod verify;
pub mod work;

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::Result;
use crate::engine::{Engine, Hardware, PassTime, Profile};
use crate::language_model::Network;
use crate::model::Init;
use crate::model::initial::initial;

pub use floor::{Distance, Limits};
pub use saved::{Change, Saved};
pub use shapes::{BenchShape, SHAPES};
pub use spread::Spread;
pub use work::{Task, Unit};

use verify::Check;
use work::{Eval, Read, Sample, Score, Train, Work};

/// A measurement is the median of at least so many repeats.
const REPEATS: usize = 5;
/// The row that makes the passes add up to the step.
const UNACCOUNTED: &str = "unaccounted";
/// What a device that times its passes does between them: waiting for the pass before, and starting one.
const BETWEEN: &str = "between passes";

/// An engine that takes its turn, with what it reaches at most.
pub struct Lane {
    /// The engine.
    pub engine: Box<dyn Engine>,
    /// Its limits, where it can measure them.
    pub limits: Limits,
}

impl Lane {
    /// An engine whose limits are not measured yet.
    pub fn measured(mut engine: Box<dyn Engine>) -> Result<Self> {
        let (peak_gflops, peak_gigabytes_per_second) = (engine.peak_gflops()?, engine.peak_gigabytes_per_second()?);
        Ok(Lane { engine, limits: Limits { peak_gflops, peak_gigabytes_per_second } })
    }
}

/// The result for one task on one shape and one device.
#[derive(Clone, Debug, Serialize)]
pub struct Timing {
    /// What was timed.
    pub task: Task,
    /// The shape's name.
    pub shape: &'static str,
    /// Where it ran.
    #[serde(flatten)]
    pub hardware: Hardware,
    /// Whether results agreed with the reference before the timing; always true, since nothing else is timed.
    pub checked: bool,
    /// What is counted.
    pub unit: Unit,
    /// Units a second.
    pub per_second: Spread,
    /// The median over that of the first device of the same run.
    pub ratio: f64,
    /// What only training has.
    #[serde(flatten)]
    pub steps: Option<Steps>,
    /// How far that is from what the device can reach; reading a text has no such limit.
    #[serde(flatten)]
    pub distance: Option<Distance>,
}

/// The speed of training.
#[derive(Clone, Debug, Serialize)]
pub struct Steps {
    /// Median.
    pub steps_per_second: f64,
    /// The fastest repeat.
    pub best_steps_per_second: f64,
    /// The slowest repeat.
    pub worst_steps_per_second: f64,
    /// Median.
    pub examples_per_second: f64,
    /// Mean time of a step over all repeats, which is what the passes add up to.
    pub step_microseconds: f64,
    /// Mean times of the passes of a step, where they are measured, and last what they leave of it.
    pub passes: Vec<Pass>,
    /// Mean time of the steps whose passes were timed, where those were other ones, between passes included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profiled_step_microseconds: Option<f64>,
    /// Why there are no times of passes, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passes_unknown: Option<String>,
}

/// The time of one pass.
#[derive(Clone, Debug, Serialize)]
pub struct Pass {
    /// The pass.
    pub name: String,
    /// Mean time a step.
    pub microseconds: f64,
    /// Its share of the step.
    pub share: f64,
}

/// Checks a task on each engine, then times it for about `seconds` an engine. `passes`: an engine that times its passes only
/// in steps of their own takes such steps as well.
pub fn run(
    task: Task,
    shape: &'static BenchShape,
    lanes: &mut [Lane],
    seconds: f64,
    passes: bool,
) -> Result<Vec<Timing>> {
    let parameters = initial(shape.shape, Init::Scaled, 1, &[]);
    let (corpus, text) = (Arc::new(shape.corpus()), shape.text());
    let check = Check { shape, parameters: &parameters, corpus: &corpus, text: &text };
    // No engine takes part in reading: whichever is first stands for it.
    let count = if task == Task::Read { 1 } else { lanes.len() };
    let lanes = &mut lanes[..count];
    for lane in lanes.iter_mut() {
        check.engine(task, lane.engine.as_mut())?;
    }
    let hardware: Vec<(Hardware, Limits)> = lanes
        .iter()
        .map(|lane| (if task == Task::Read { host() } else { lane.engine.hardware() }, lane.limits))
        .collect();
    let context = shape.shape.context;
    let mut works: Vec<Box<dyn Work + '_>> = Vec::new();
    for lane in lanes {
        let engine = lane.engine.as_mut();
        let text = &text;
        works.push(match task {
            Task::Train => Box::new(Train::new(engine, shape, &parameters, &corpus)?),
            Task::Eval => Box::new(Eval { network: Network::new(engine, &parameters)?, text, context, corpus: None }),
            Task::Score => {
                Box::new(Score { network: Network::new(engine, &parameters)?, text, written: String::new() })
            }
            Task::Sample => {
                let network = Network::new(engine, &parameters)?;
                Box::new(Sample { network, sampler: work::sampler(text), items: 0 })
            }
            Task::Read => Box::new(Read { text, context, written: Arc::from([]) }),
        });
    }
    let measured = measure(&mut works, task.few(), seconds, passes)?;
    let mut timings: Vec<Timing> = Vec::new();
    for (measured, (hardware, limits)) in measured.into_iter().zip(hardware) {
        let per_second = Spread::of(measured.speeds.clone());
        let demand = task.demand(shape);
        timings.push(Timing {
            task,
            shape: shape.name,
            hardware,
            checked: true,
            unit: task.unit(),
            per_second,
            ratio: per_second.median / timings.first().map_or(per_second.median, |first| first.per_second.median),
            steps: (task == Task::Train).then(|| measured.steps(per_second, shape.batch)),
            distance: demand.map(|demand| Distance::new(demand, limits, per_second.median)),
        });
    }
    Ok(timings)
}

/// Where a text is read: on a thread that reads and digests, and one that takes it apart.
fn host() -> Hardware {
    Hardware { device: "host".into(), backend: "host".into(), driver: String::new(), threads: 2 }
}

/// What the repeats of one engine took.
struct Measured {
    /// Units a second of each repeat.
    speeds: Vec<f64>,
    /// Units and seconds of all of them.
    units: usize,
    seconds: f64,
    passes: Vec<PassTime>,
    /// Of steps that were taken for their passes alone, if there were any.
    profile: Option<Profile>,
}

impl Measured {
    fn steps(&self, per_second: Spread, batch: usize) -> Steps {
        let step_microseconds = self.seconds * 1e6 / self.units as f64;
        let (passes, profiled, unknown) = match &self.profile {
            None => (adding_up(&self.passes, UNACCOUNTED, step_microseconds), None, None),
            Some(Profile::Measured { passes, step_microseconds: profiled }) => {
                let sum: f64 = passes.iter().map(|pass| pass.microseconds).sum();
                let between = PassTime { name: BETWEEN.to_owned(), microseconds: profiled - sum };
                let passes = [&passes[..], &[between]].concat();
                (adding_up(&passes, UNACCOUNTED, step_microseconds), Some(*profiled), None)
            }
            Some(Profile::Unknown(reason)) => (Vec::new(), None, Some(reason.clone())),
        };
        Steps {
            steps_per_second: per_second.median,
            best_steps_per_second: per_second.fastest,
            worst_steps_per_second: per_second.slowest,
            examples_per_second: per_second.median * batch as f64,
            step_microseconds,
            passes,
            profiled_step_microseconds: profiled,
            passes_unknown: unknown,
        }
    }
}

/// Passes as parts of a step, and what they leave of it; nothing where no pass was measured.
fn adding_up(times: &[PassTime], rest: &str, step_microseconds: f64) -> Vec<Pass> {
    if times.is_empty() {
        return Vec::new();
    }
    let sum: f64 = times.iter().map(|time| time.microseconds).sum();
    let pass = |name: &str, microseconds: f64| Pass {
        name: name.to_owned(),
        microseconds,
        share: microseconds / step_microseconds,
    };
    let measured = times.iter().map(|time| pass(&time.name, time.microseconds));
    measured.chain([pass(rest, step_microseconds - sum)]).collect()
}

/// Repeats each work in turn until each had its seconds.
fn measure(works: &mut [Box<dyn Work + '_>], few: usize, seconds: f64, passes: bool) -> Result<Vec<Measured>> {
    let repeat = Duration::from_secs_f64(seconds / REPEATS as f64);
    let timed = |work: &mut dyn Work| -> Result<(usize, f64)> {
        let start = Instant::now();
        let units = work.run()?;
        Ok((units, start.elapsed().as_secs_f64()))
    };
    let mut all = Vec::new();
    for work in works.iter_mut() {
        // Warm-up: doubles the work until it takes a good part of a repeat.
        let mut units = few;
        work.prepare(units)?;
        while timed(work.as_mut())?.1 < repeat.as_secs_f64() / 4.0 {
            units *= 2;
            work.prepare(units)?;
        }
        work.pass_times();
        all.push(Measured { speeds: Vec::new(), units: 0, seconds: 0.0, passes: Vec::new(), profile: None });
    }
    let start = Instant::now();
    let total = seconds * works.len() as f64;
    while all[0].speeds.len() < REPEATS || start.elapsed().as_secs_f64() < total {
        for (work, measured) in works.iter_mut().zip(&mut all) {
            let (units, seconds) = timed(work.as_mut())?;
            measured.speeds.push(units as f64 / seconds);
            measured.units += units;
            measured.seconds += seconds;
        }
    }
    for (work, measured) in works.iter_mut().zip(&mut all) {
        measured.passes = work.pass_times();
        if passes && measured.passes.is_empty() {
            measured.profile = work.profile(repeat.as_secs_f64())?;
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::rc::Rc;

    /// Notes whose turn it is.
    struct Turn(char, Rc<RefCell<String>>);

    impl Work for Turn {
        fn prepare(&mut self, _: usize) -> Result<()> {
            Ok(())
        }

        fn run(&mut self) -> Result<usize> {
            std::thread::sleep(Duration::from_millis(2));
            self.1.borrow_mut().push(self.0);
            Ok(1)
        }
    }

    #[test]
    fn engines_take_turns() {
        let order = Rc::new(RefCell::new(String::new()));
        let mut works: Vec<Box<dyn Work>> =
            vec![Box::new(Turn('a', order.clone())), Box::new(Turn('b', order.clone()))];
        let measured = measure(&mut works, 1, 0.01, false).unwrap();
        let order = order.borrow();
        assert!(order.starts_with("abababababab"), "{order}");
        assert!(measured.iter().all(|one| one.speeds.len() >= REPEATS && one.units == one.speeds.len()));
    }

    #[test]
    fn passes_add_up_to_the_step() {
        let time = |name: &str, microseconds| PassTime { name: name.into(), microseconds };
        let passes = adding_up(&[time("a", 3.0), time("b", 5.0)], UNACCOUNTED, 10.0);
        let found: Vec<_> = passes.iter().map(|pass| (pass.name.as_str(), pass.microseconds, pass.share)).collect();
        assert_eq!(found, [("a", 3.0, 0.3), ("b", 5.0, 0.5), (UNACCOUNTED, 2.0, 0.2)]);
        assert!(adding_up(&[], UNACCOUNTED, 10.0).is_empty());
    }
}
