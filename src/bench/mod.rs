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
#[derive(Default)]
struct Measured {
    /// Units a second of each repeat.
    speeds: Vec<f64>,
    /// Units and seconds of all of them.
    units: usize,
    seconds: f64,
    passes: Vec<PassTime>,
    /// One after each repeat, of steps that were taken for their passes alone, if there were any.
    profiles: Vec<Profile>,
    /// Why there are none, where they were asked for.
    unknown: Option<String>,
}

impl Measured {
    fn steps(&self, per_second: Spread, batch: usize) -> Steps {
        let step_microseconds = self.seconds * 1e6 / self.units as f64;
        let (times, profiled) = match mean(&self.profiles) {
            None => (self.passes.clone(), None),
            Some(Profile { mut passes, step_microseconds: profiled }) => {
                let sum: f64 = passes.iter().map(|pass| pass.microseconds).sum();
                passes.push(PassTime { name: BETWEEN.to_owned(), microseconds: profiled - sum });
                (passes, Some(profiled))
            }
        };
        Steps {
            steps_per_second: per_second.median,
            best_steps_per_second: per_second.fastest,
            worst_steps_per_second: per_second.slowest,
            examples_per_second: per_second.median * batch as f64,
            step_microseconds,
            passes: adding_up(&times, UNACCOUNTED, step_microseconds),
            profiled_step_microseconds: profiled,
            passes_unknown: self.unknown.clone(),
        }
    }
}

/// The mean of profiles of the same step.
fn mean(profiles: &[Profile]) -> Option<Profile> {
    let over = |of: &dyn Fn(&Profile) -> f64| profiles.iter().map(of).sum::<f64>() / profiles.len() as f64;
    let passes = profiles.first()?.passes.iter().enumerate();
    Some(Profile {
        passes: passes
            .map(|(i, pass)| PassTime {
                name: pass.name.clone(),
                microseconds: over(&|one| one.passes[i].microseconds),
            })
            .collect(),
        step_microseconds: over(&|one| one.step_microseconds),
    })
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

/// Repeats each work in turn until each had its seconds. Steps that are taken for their passes alone come between the repeats,
/// about a fifth of their time but at least a step, so that a machine that changes its speed changes it for both.
fn measure(works: &mut [Box<dyn Work + '_>], few: usize, seconds: f64, passes: bool) -> Result<Vec<Measured>> {
    let repeat = Duration::from_secs_f64(seconds / REPEATS as f64);
    let timed = |work: &mut dyn Work| -> Result<(usize, f64)> {
        let start = Instant::now();
        let units = work.run()?;
        Ok((units, start.elapsed().as_secs_f64()))
    };
    let (mut all, mut profilers) = (Vec::new(), Vec::new());
    for work in works.iter_mut() {
        // Warm-up: doubles the work until it takes a good part of a repeat.
        let mut units = few;
        work.prepare(units)?;
        while timed(work.as_mut())?.1 < repeat.as_secs_f64() / 4.0 {
            units *= 2;
            work.prepare(units)?;
        }
        // The times of the warm-up count no longer.
        let known = !work.pass_times().is_empty();
        let profiler = if known || !passes { None } else { work.profiler()? };
        let (profiler, unknown) = match profiler.transpose() {
            Ok(profiler) => (profiler, None),
            Err(reason) => (None, Some(reason)),
        };
        profilers.push(profiler);
        all.push(Measured { unknown, ..Measured::default() });
    }
    let total = seconds * works.len() as f64;
    while all[0].speeds.len() < REPEATS || all.iter().map(|measured| measured.seconds).sum::<f64>() < total {
        for ((work, profiler), measured) in works.iter_mut().zip(&mut profilers).zip(&mut all) {
            let (units, seconds) = timed(work.as_mut())?;
            measured.speeds.push(units as f64 / seconds);
            measured.units += units;
            measured.seconds += seconds;
            if let Some(profiler) = profiler {
                measured.profiles.push(profiler.profile(seconds / 5.0)?);
            }
        }
    }
    for (work, measured) in works.iter_mut().zip(&mut all) {
        measured.passes = work.pass_times();
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{PerhapsProfiler, Profiler};
    use std::cell::RefCell;
    use std::rc::Rc;

    /// Notes whose turn it is, and where its passes are timed.
    struct Turn(char, Rc<RefCell<String>>);

    impl Profiler for Turn {
        fn profile(&mut self, seconds: f64) -> Result<Profile> {
            // A fifth of the repeat before, which is at least what it sleeps.
            assert!(seconds >= 4e-4, "{seconds}");
            self.1.borrow_mut().push(self.0.to_ascii_uppercase());
            let microseconds = self.1.borrow().len() as f64;
            let pass = PassTime { name: "pass".into(), microseconds };
            Ok(Profile { passes: vec![pass], step_microseconds: microseconds + 1.0 })
        }
    }

    impl Work for Turn {
        fn prepare(&mut self, _: usize) -> Result<()> {
            Ok(())
        }

        fn run(&mut self) -> Result<usize> {
            std::thread::sleep(Duration::from_millis(2));
            self.1.borrow_mut().push(self.0);
            Ok(1)
        }

        fn profiler(&mut self) -> Result<Option<PerhapsProfiler>> {
            Ok(Some(if self.0 == 'c' {
                Err("c has no clock".into())
            } else {
                Ok(Box::new(Turn(self.0, Rc::clone(&self.1))))
            }))
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
    fn passes_are_timed_between_repeats() {
        let order = Rc::new(RefCell::new(String::new()));
        let mut works: Vec<Box<dyn Work>> =
            "abc".chars().map(|name| Box::new(Turn(name, order.clone())) as Box<dyn Work>).collect();
        let measured = measure(&mut works, 1, 0.01, true).unwrap();
        // Each of them is run once before.
        let order = order.borrow();
        assert!(order.starts_with("abcaAbBcaAbBcaAbBcaAbBcaAbBc"), "{order}");
        assert_eq!(measured.iter().map(|one| one.unknown.is_some()).collect::<Vec<_>>(), [false, false, true]);
        // The times count on: the first is after five letters, each later one five further.
        let Profile { passes, step_microseconds } = mean(&measured[0].profiles).unwrap();
        let expected = 5.0 + 5.0 * (measured[0].profiles.len() - 1) as f64 / 2.0;
        assert_eq!((passes[0].microseconds, step_microseconds), (expected, expected + 1.0));
        assert_eq!(mean(&measured[2].profiles), None);
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
