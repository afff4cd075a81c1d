//! Tables of `bench`.

use super::Output;
use super::output::{grouped, table};
use crate::Result;
use crate::bench::machine::Machine;
use crate::bench::{Change, Distance, Task, Timing, Unit};
use crate::engine::Hardware;

/// Speeds, how far they are from the floor, and with `passes` what each pass takes.
pub fn print(output: &Output, timings: &[Timing], passes: bool) -> Result<()> {
    let (trained, others): (Vec<&Timing>, Vec<&Timing>) = timings.iter().partition(|t| t.task == Task::Train);
    let mut tables = Vec::new();
    if !trained.is_empty() {
        tables.push(training(&trained));
        tables.push(distances(&trained));
    }
    if passes {
        tables.extend(pass_table(&trained));
        for timing in &trained {
            let unknown = timing.steps.as_ref().and_then(|steps| steps.passes_unknown.as_ref());
            tables.extend(unknown.map(|reason| format!("no times of passes for {}: {reason}", timing.shape)));
        }
    }
    if !others.is_empty() {
        tables.push(other_tasks(&others));
    }
    tables.extend(peaks(timings));
    output.text(tables.join("\n\n"))
}

/// Results beside earlier ones.
pub fn print_changes(output: &Output, changes: &[Change], earlier: &Machine) -> Result<()> {
    let row = |change: &Change| {
        let [old, new] = [change.old, change.new].map(|speed| speed_in(change.unit, speed));
        let verdict = match change.apart {
            true if change.ratio > 1.0 => "faster",
            true => "slower",
            false => "within the spread",
        };
        vec![
            task_name(change.task).to_owned(),
            change.shape.to_owned(),
            device(&change.hardware),
            old,
            new,
            unit_name(change.unit).to_owned(),
            format!("{:.3}", change.ratio),
            verdict.to_owned(),
        ]
    };
    let rows: Vec<_> = changes.iter().map(row).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let header = ["task", "shape", "device", "old", "new", "", "new / old", ""];
    let Machine { version, date, .. } = earlier;
    output.text(format!("\nold: version {version}, {date}\n{}", table(&header, &rows)))
}

fn training(timings: &[&Timing]) -> String {
    let rows: Vec<_> = timings
        .iter()
        .map(|timing| {
            let speed = |steps| speed_in(Unit::Steps, steps);
            let spread = timing.per_second;
            vec![
                timing.shape.to_owned(),
                device(&timing.hardware),
                speed(spread.median),
                format!("{} to {}", speed(spread.lower_quartile), speed(spread.upper_quartile)),
                format!("{:.2}", timing.ratio),
                timing.steps.as_ref().map_or("-".to_owned(), |steps| grouped(steps.examples_per_second as usize)),
            ]
        })
        .collect();
    table(&["shape", "device", "steps/s", "quartiles", "to the first", "examples/s"], &rows)
}

fn distances(timings: &[&Timing]) -> String {
    let row = |timing: &&Timing| {
        let distance = timing.distance?;
        let known = |value: Option<f64>, digits: usize| value.map_or("-".to_owned(), |v| format!("{v:.digits$}"));
        Some(vec![
            timing.shape.to_owned(),
            device(&timing.hardware),
            format!("{:.2}", distance.operations / 1e6),
            format!("{:.3}", distance.bytes / 1e6),
            known(distance.floor_microseconds, 1),
            format!("{:.1}", 1e6 / timing.per_second.median),
            known(distance.times_the_floor, 2),
            format!("{:.1}", distance.gflops),
            percent(distance.fraction_of_peak),
            format!("{:.1}", distance.gigabytes_per_second),
            percent(distance.fraction_of_bandwidth),
        ])
    };
    let header = [
        "shape",
        "device",
        "MFLOP a step",
        "MB a step",
        "floor, us",
        "a step, us",
        "times the floor",
        "GFLOP/s",
        "of peak",
        "GB/s",
        "of peak",
    ];
    table(&header, &timings.iter().filter_map(row).collect::<Vec<_>>())
}

fn pass_table(timings: &[&Timing]) -> Option<String> {
    let mut rows = Vec::new();
    for timing in timings {
        let Some(steps) = &timing.steps else { continue };
        let mut row = |name: &str, microseconds: f64, share: f64| {
            rows.push(vec![
                timing.shape.to_owned(),
                device(&timing.hardware),
                name.to_owned(),
                format!("{microseconds:.2}"),
                percent(Some(share)),
            ]);
        };
        steps.passes.iter().for_each(|pass| row(&pass.name, pass.microseconds, pass.share));
        if steps.passes.is_empty() {
            continue;
        }
        row("the whole step, mean", steps.step_microseconds, 1.0);
    }
    (!rows.is_empty()).then(|| table(&["shape", "device", "pass", "us", "share"], &rows))
}

fn other_tasks(timings: &[&Timing]) -> String {
    let rows: Vec<_> = timings
        .iter()
        .map(|timing| {
            let (unit, spread) = (timing.unit, timing.per_second);
            let of = |value: fn(&Distance) -> Option<f64>| timing.distance.as_ref().and_then(value);
            let speed = |value: f64| speed_in(unit, value);
            vec![
                task_name(timing.task).to_owned(),
                timing.shape.to_owned(),
                device(&timing.hardware),
                speed(spread.median),
                unit_name(unit).to_owned(),
                format!("{} to {}", speed(spread.lower_quartile), speed(spread.upper_quartile)),
                format!("{:.2}", timing.ratio),
                of(|distance| Some(distance.gflops)).map_or("-".to_owned(), |gflops| format!("{gflops:.1}")),
                percent(of(|distance| distance.fraction_of_peak)),
            ]
        })
        .collect();
    let header = ["task", "shape", "device", "speed", "", "quartiles", "to the first", "GFLOP/s", "of peak"];
    table(&header, &rows)
}

/// What each device was measured to reach.
fn peaks(timings: &[Timing]) -> Option<String> {
    let mut lines: Vec<String> = Vec::new();
    for timing in timings {
        let Some(limits) = timing.distance.map(|distance| distance.limits) else { continue };
        let arithmetic = limits.peak_gflops.map(|peak| format!("{peak:.1} GFLOP/s"));
        let memory = limits.peak_gigabytes_per_second.map(|peak| format!("{peak:.1} GB/s"));
        let found: Vec<String> = arithmetic.into_iter().chain(memory).collect();
        let found = if found.is_empty() { "not measured".to_owned() } else { found.join(", ") };
        let line = format!("peak of {}: {found}", device(&timing.hardware));
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// A device in a column: `cpu, 2 threads`, `vulkan llvmpipe`.
fn device(hardware: &Hardware) -> String {
    let Hardware { device, backend, threads, .. } = hardware;
    match (backend.as_str(), threads) {
        _ if device == "reference" => device.clone(),
        ("cpu", 1) => format!("{device}, 1 thread"),
        ("cpu", _) => format!("{device}, {threads} threads"),
        ("host", _) => device.clone(),
        // What stands in brackets is the driver's.
        _ => format!("{backend} {}", device.split(" (").next().unwrap_or(device)),
    }
}

fn task_name(task: Task) -> &'static str {
    match task {
        Task::Train => "train",
        Task::Eval => "eval",
        Task::Score => "score",
        Task::Sample => "sample",
        Task::Read => "read",
    }
}

fn unit_name(unit: Unit) -> &'static str {
    match unit {
        Unit::Steps => "steps/s",
        Unit::Tokens => "tokens/s",
        Unit::Bytes => "MB/s",
    }
}

/// Units a second with at least three digits; bytes as megabytes.
fn speed_in(unit: Unit, per_second: f64) -> String {
    let value = if unit == Unit::Bytes { per_second / 1e6 } else { per_second };
    match value {
        _ if value < 10.0 => format!("{value:.2}"),
        _ if value < 100.0 => format!("{value:.1}"),
        _ => grouped(value.round() as usize),
    }
}

fn percent(share: Option<f64>) -> String {
    share.map_or("-".to_owned(), |share| format!("{:.0} %", share * 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_have_three_digits_at_least() {
        let found = [0.614, 12.34, 123.4, 25_214.3].map(|speed| speed_in(Unit::Steps, speed));
        assert_eq!(found, ["0.61", "12.3", "123", "25,214"]);
        assert_eq!(speed_in(Unit::Bytes, 150e6), "150");
    }

    #[test]
    fn devices_are_named_shortly() {
        let hardware = |device: &str, backend: &str, threads| Hardware {
            device: device.into(),
            backend: backend.into(),
            driver: String::new(),
            threads,
        };
        assert_eq!(device(&hardware("cpu", "cpu", 2)), "cpu, 2 threads");
        assert_eq!(device(&hardware("cpu", "cpu", 1)), "cpu, 1 thread");
        assert_eq!(device(&hardware("reference", "cpu", 1)), "reference");
        assert_eq!(device(&hardware("llvmpipe (LLVM 15.0.6, 256 bits)", "vulkan", 1)), "vulkan llvmpipe");
    }
}
