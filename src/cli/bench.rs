//! `gpu-mlp bench`.

use std::path::{Path, PathBuf};

use clap::Args;

use super::cache::Cache;
use super::options::OutputOptions;
use crate::bench::floor::Limits;
use crate::bench::{self, BenchShape, Lane, SHAPES, Saved, Task, Timing, saved};
use crate::engine::{DeviceChoice, gpu, open};
use crate::error::did_you_mean;
use crate::report::{Output, timings};
use crate::{Error, Result};

/// How fast is this machine? Training steps and other work on named shapes: checked against the reference, then timed.
///
/// Speeds are medians of at least five repeats, with the quartiles beside them. Several devices take turns within one
/// run, and the ratio is to the first of them.
///
/// GFLOP/s count the operations of the definition: 6 for each weight and example of a training step, 2 for each weight of
/// a prediction. An engine may do with fewer, by adding up first what examples have in common, so a share of the peak above
/// 100 % is possible. GB/s count what a step must move at least if nothing stays in a cache: every parameter read
/// twice and written once, of the embedding the rows of the batch; input, hidden units and logits written and read once.
/// The floor is the longer of the two times at the measured peaks: multiplications and additions on numbers in
/// registers, and a copy of large arrays.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, allow_negative_numbers = true)]
pub struct BenchArgs {
    /// What is timed [default: train]
    ///
    /// all is every one of them. Speeds are in steps, tokens (end marks among them) or bytes a second.
    #[arg(long, value_name = "TASK", num_args = 1.., value_delimiter = ',', value_parser = parse_tasks, help_heading = "Work")]
    task: Vec<Tasks>,

    /// Which shapes: notebook, makemore, wide, brown, brown-direct [default: all; of other tasks than train makemore, brown]
    #[arg(long, value_name = "NAME", num_args = 1.., value_delimiter = ',', value_parser = parse_shape, help_heading = "Work")]
    shape: Vec<&'static BenchShape>,

    /// About how long each task, shape and device is timed
    #[arg(long, value_name = "S", default_value_t = 3.0, help_heading = "Work")]
    seconds: f64,

    /// Where to compute: one or several of auto, cpu, reference, gpu, vulkan, ..., as other commands take them [default: auto]
    #[arg(long, value_name = "D", num_args = 1.., value_delimiter = ',', help_heading = "Device")]
    device: Vec<DeviceChoice>,

    /// Short for --device cpu
    #[arg(long, conflicts_with = "device", help_heading = "Device")]
    cpu: bool,

    /// Threads of the CPU engine, one or several numbers; steps take those that pay [default: the physical cores]
    #[arg(long, value_name = "N", num_args = 1.., value_delimiter = ',', help_heading = "Device",
          value_parser = clap::value_parser!(u32).range(1..=256))]
    threads: Vec<u32>,

    /// Write the results, with the machine's facts, to FILE
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    save: Option<PathBuf>,

    /// Print what became of the results in FILE, which an earlier --save wrote
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    compare: Option<PathBuf>,

    /// Print the time of each pass of a step, too; -v does the same
    ///
    /// The CPU engine times its passes in ordinary steps. A GPU times them by its own clock, where its driver lets it, in
    /// steps taken for that alone between the repeats, a pass for each dispatch. So "unaccounted", which makes the sum that
    /// of an ordinary step, is what the host adds to it, and below zero where timing costs more than that.
    #[arg(long, help_heading = "Results")]
    passes: bool,

    #[command(flatten)]
    output: OutputOptions,
}

const EXAMPLES: &str = "\
Examples:
  gpu-mlp bench --cpu
  gpu-mlp bench --shape makemore brown --device cpu vulkan --threads 1 2 --passes
      one thread, two threads and the GPU in turns, with the time of each pass
  gpu-mlp bench --task all --cpu --json
  gpu-mlp bench --cpu --save before.json
  gpu-mlp bench --cpu --compare before.json";

/// One task, or all.
#[derive(Clone, Debug)]
struct Tasks(Vec<Task>);

const TASKS: [(&str, Task); 5] = [
    ("train", Task::Train),
    ("eval", Task::Eval),
    ("score", Task::Score),
    ("sample", Task::Sample),
    ("read", Task::Read),
];

fn parse_tasks(name: &str) -> Result<Tasks, String> {
    match TASKS.iter().find(|(known, _)| *known == name) {
        Some(&(_, task)) => Ok(Tasks(vec![task])),
        None if name == "all" => Ok(Tasks(TASKS.map(|(_, task)| task).to_vec())),
        None => {
            let names = TASKS.map(|(name, _)| name);
            Err(format!("the tasks are {}, all{}", names.join(", "), did_you_mean(name, names)))
        }
    }
}

fn parse_shape(name: &str) -> Result<&'static BenchShape, String> {
    let unknown = || {
        let names = SHAPES.map(|shape| shape.name);
        format!("the shapes are {}{}", names.join(", "), did_you_mean(name, names))
    };
    SHAPES.iter().find(|shape| shape.name == name).ok_or_else(unknown)
}

/// A device, and for the CPU engine its threads.
type Place = (DeviceChoice, usize);

impl BenchArgs {
    fn tasks(&self) -> Vec<Task> {
        let mut tasks = Vec::new();
        for &task in self.task.iter().flat_map(|tasks| &tasks.0) {
            if !tasks.contains(&task) {
                tasks.push(task);
            }
        }
        if tasks.is_empty() { vec![Task::Train] } else { tasks }
    }

    fn shapes(&self) -> Vec<&'static BenchShape> {
        if self.shape.is_empty() { SHAPES.iter().collect() } else { self.shape.clone() }
    }

    /// Whether a task is timed on a shape.
    fn wants(&self, task: Task, shape: &BenchShape) -> bool {
        let is_usual = task == Task::Train || ["makemore", "brown"].contains(&shape.name);
        is_usual || !self.shape.is_empty()
    }

    /// Where to compute, the CPU engine once for each number of threads.
    fn places(&self) -> Vec<Place> {
        let mut choices = self.device.clone();
        if choices.is_empty() {
            choices.push(if self.cpu { DeviceChoice::Cpu } else { DeviceChoice::Auto });
        }
        let threads: Vec<usize> = self.threads.iter().map(|&threads| threads as usize).collect();
        let mut places = Vec::new();
        for choice in choices {
            match choice {
                DeviceChoice::Cpu if !threads.is_empty() => {
                    places.extend(threads.iter().map(|&threads| (DeviceChoice::Cpu, threads)));
                }
                choice => places.push((choice, threads.first().copied().unwrap_or(0))),
            }
        }
        places
    }
}

/// Runs the command.
pub fn run(args: BenchArgs) -> Result<()> {
    let output = args.output.output();
    if !(args.seconds > 0.0 && args.seconds.is_finite()) {
        return Err(Error::usage(format!("--seconds is {}: it must be a number above 0", args.seconds)));
    }
    if args.threads.len() > 1 && !args.cpu && !args.device.contains(&DeviceChoice::Cpu) {
        return Err(Error::usage("--threads with several numbers is for the CPU engine: add --cpu or --device cpu"));
    }
    // What would fail after minutes of work is tried before.
    let earlier = args.compare.as_deref().map(Saved::read).transpose()?;
    args.save.as_deref().map_or(Ok(()), check_target)?;
    let passes = args.passes || output.verbose;
    let mut lanes = Lanes { places: args.places(), limits: Vec::new(), output };
    let mut all: Vec<Timing> = Vec::new();
    for shape in args.shapes() {
        let tasks: Vec<Task> = args.tasks().into_iter().filter(|&task| args.wants(task, shape)).collect();
        if tasks.is_empty() {
            continue;
        }
        let mut lanes = lanes.open()?;
        for task in tasks {
            for timing in bench::run(task, shape, &mut lanes, args.seconds, passes || output.json)? {
                output.event("bench", &timing)?;
                all.push(timing);
            }
        }
        for choice in lanes.iter().flat_map(|lane| lane.engine.choices()) {
            output.detail(format!("{:<13} {choice}", shape.name));
        }
    }
    timings::print(&output, &all, passes)?;
    if let Some(earlier) = &earlier {
        compare(&output, earlier, &all)?;
    }
    args.save.as_deref().map_or(Ok(()), |path| saved::save(path, &all))
}

/// The engines of a run.
struct Lanes {
    places: Vec<Place>,
    /// What each reaches; measured once.
    limits: Vec<Limits>,
    output: Output,
}

impl Lanes {
    /// Engines of their own for each shape: the first load fixes an engine's shape.
    fn open(&mut self) -> Result<Vec<Lane>> {
        let is_first = self.limits.is_empty();
        let mut lanes = Vec::new();
        for (index, (choice, threads)) in self.places.iter().enumerate() {
            let opened = open(choice, *threads, gpu::Path::Automatic, Box::new(Cache))?;
            if is_first {
                self.output.message(format!("device: {}", opened.reason));
                let lane = Lane::measured(opened.engine)?;
                self.limits.push(lane.limits);
                lanes.push(lane);
            } else {
                lanes.push(Lane { engine: opened.engine, limits: self.limits[index] });
            }
        }
        Ok(lanes)
    }
}

fn check_target(path: &Path) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Err(Error::usage(format!("--save {}: there is no folder {}", path.display(), folder.display())));
    }
    if path.is_dir() {
        return Err(Error::usage(format!("--save {}: this is a folder; give the name of a file", path.display())));
    }
    Ok(())
}

fn compare(output: &Output, earlier: &Saved, timings: &[Timing]) -> Result<()> {
    for difference in earlier.differences(timings) {
        output.message(format!("warning: not the same machine as in the earlier results: {difference}"));
    }
    let changes = earlier.changes(timings);
    if changes.len() < timings.len() {
        output.message(format!(
            "{} of {} results have no earlier one of the same task, shape, device and threads",
            timings.len() - changes.len(),
            timings.len()
        ));
    }
    for change in &changes {
        output.event("change", change)?;
    }
    timings::print_changes(output, &changes, &earlier.machine)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        bench: BenchArgs,
    }

    fn args(line: &str) -> BenchArgs {
        Line::try_parse_from(["bench"].into_iter().chain(line.split_whitespace())).unwrap().bench
    }

    #[test]
    fn devices_and_threads_come_in_lists_of_either_form() {
        let expected = [(DeviceChoice::Cpu, 1), (DeviceChoice::Cpu, 2), (DeviceChoice::Reference, 1)];
        for line in [
            "--device cpu reference --threads 1 2",
            "--device cpu,reference --threads 1,2",
            "--device cpu --device reference --threads 1 --threads 2",
        ] {
            assert_eq!(args(line).places(), expected, "{line}");
        }
        assert_eq!(args("--cpu").places(), [(DeviceChoice::Cpu, 0)]);
        assert_eq!(args("").places(), [(DeviceChoice::Auto, 0)]);
    }

    #[test]
    fn tasks_beside_training_have_two_usual_shapes() {
        let all = args("--task all");
        assert_eq!(all.tasks().len(), 5);
        assert_eq!(args("--task read all read").tasks().len(), 5);
        assert_eq!(args("").tasks(), [Task::Train]);
        assert!(all.wants(Task::Train, &SHAPES[0]) && !all.wants(Task::Eval, &SHAPES[0]));
        assert!(all.wants(Task::Eval, &SHAPES[1]));
        assert!(args("--task eval --shape notebook").wants(Task::Eval, &SHAPES[0]));
    }
}
