//! Faults of the world around the program: closed streams, two programs at once, files that were tampered with, too
//! little memory, kills, a long run. Each was seen to go wrong before it was mended, or with a planted error.

mod common;
#[path = "common/program.rs"]
mod program;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use serde_json::Value;

use program::{Place, SHORT, bytes, events, of};

#[test]
fn a_closed_stderr_does_not_stop_a_run() {
    let place = Place::new();
    let mut child = place
        .command(&format!("{SHORT} --out run --json"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(of(&events(&output.stdout), "done").len(), 1);
}

#[test]
#[cfg(unix)]
fn two_programs_do_not_train_in_one_directory() {
    let place = Place::new();
    let mut child = place
        .command("train --cpu --threads 1 --steps 100000000 --eval-every 1000 --out run --quiet")
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while !place.path("run/last.safetensors").exists() && start.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let message = place.error("train --resume run", 1);
    Command::new("kill").args(["-s", "INT", &child.id().to_string()]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(message.contains("another program trains in this directory"), "{message}");
}

#[test]
fn a_resume_takes_the_device_that_the_run_began_on() {
    let place = Place::new();
    place.events("train --device reference --steps 3 --hidden 5 --eval-every 1000 --split 1/499/500 --out run");
    let config = String::from_utf8(bytes(&place.path("run/config.toml"))).unwrap();
    assert!(config.contains("device = \"reference\""), "{config}");
    let all = place.events("train --resume run");
    assert_eq!(of(&all, "start")[0]["device"], "reference");
    let output = place.run("train --resume run --cpu");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains("the run began on reference; on cpu"), "{message}");
}

#[test]
fn a_model_file_whose_parts_do_not_fit_each_other_is_refused() {
    let place = Place::new();
    place.events(&format!("{SHORT} --out run"));
    let whole = bytes(&place.path("run/model.safetensors"));
    let text = String::from_utf8_lossy(&whole).into_owned();
    let changed = |from: &str, to: &str| {
        assert_eq!(from.len(), to.len());
        // The last place is the settings', after the shape.
        let start = text.rfind(from).unwrap_or_else(|| panic!("no {from}"));
        let mut bytes = whole.clone();
        bytes[start..start + to.len()].copy_from_slice(to.as_bytes());
        place.write("changed.safetensors", bytes);
        place.error("eval changed.safetensors --cpu", 1)
    };
    assert!(changed(r#"\"context\":3"#, r#"\"context\":5"#).contains("do not fit each other"));
    assert!(changed(r#"\"context\":3"#, r#"\"context\":0"#).contains("--context is 0"));
    assert!(changed(r#"\"batch\":16"#, r#"\"batch\":00"#).contains("cannot be read"));
    assert!(changed(r#"\"eval_every\":50"#, r#"\"eval_every\":0 "#).contains("--eval-every is 0"));
    let mut infinite = whole.clone();
    let end = infinite.len();
    infinite[end - 4..].copy_from_slice(&f32::INFINITY.to_le_bytes());
    place.write("infinite.safetensors", infinite);
    assert!(place.error("sample infinite.safetensors --cpu", 1).contains("holds inf, which is no parameter"));
}

#[test]
fn sizes_beyond_the_machine_are_refused_before_anything_is_written() {
    let place = Place::new();
    assert!(place.error("train --cpu --batch 1048576", 2).contains("at most 65536"));
    assert!(place.error("train --cpu --hidden 99999999", 2).contains("choose smaller sizes"));
    assert!(place.error("train --cpu --threads 1000", 2).contains("256"));
    assert!(place.error("train --cpu --split 1e308/1e308/1e308", 2).contains("80/10/10"));
    assert!(place.error("train --cpu --rate 1e30 --decay-factor 1e30", 2).contains("too large"));
    assert!(!place.path("runs").exists());
}

#[test]
#[cfg(target_os = "linux")]
fn too_little_memory_and_endless_files_are_messages_and_not_aborts() {
    let place = Place::new();
    let error = |arguments: &str| {
        let limited = format!("ulimit -v 1000000; exec \"$0\" {arguments}");
        let program = env!("CARGO_BIN_EXE_gpu-mlp");
        let output = Command::new("sh").current_dir(place.path(".")).args(["-c", &limited, program]).output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{arguments}: {message}");
        message
    };
    let message = error("train --cpu --batch 65536 --hidden 4000");
    assert!(message.contains("out of memory: training needs about") && message.contains("--batch"), "{message}");
    for arguments in
        ["train /dev/zero --cpu", "inspect /dev/zero", "check /dev/zero --cpu", "bench --cpu --compare /dev/zero"]
    {
        let message = error(arguments);
        assert!(message.contains("/dev/zero: is a device without end, not a"), "{message}");
    }
    assert!(!place.path("runs").exists());
}

#[test]
fn a_run_that_diverges_on_a_gpu_ends_and_keeps_what_was_saved() {
    if common::gpu().is_none() {
        return;
    }
    let place = Place::new();
    let message = place.error("train --device gpu --steps 50 --hidden 20 --rate 1e30 --out run --quiet", 1);
    assert!(message.contains("training diverged") && message.contains("--rate"), "{message}");
    assert_eq!(of(&place.events("inspect run/last.safetensors"), "inspect").len(), 1);
    assert!(place.error("train --resume run --quiet", 1).contains("training diverged"));
}

#[test]
fn a_model_that_diverged_in_the_last_step_is_not_the_best() {
    let place = Place::new();
    let message = place.error("train --cpu --threads 1 --steps 1 --hidden 20 --rate 1e15 --out run --quiet", 1);
    assert!(message.contains("training diverged") && message.contains("--rate"), "{message}");
    assert!(place.path("run/last.safetensors").exists() && !place.path("run/model.safetensors").exists());
}

#[test]
#[cfg(unix)]
fn results_go_into_a_pipe_and_through_a_link() {
    let place = Place::new();
    place.events(&format!("{SHORT} --out run"));
    std::os::unix::fs::symlink("tensors.npz", place.path("link")).unwrap();
    place.events("export run --format npz --out link --force");
    assert!(place.path("link").is_symlink());
    assert!(Command::new("mkfifo").arg(place.path("pipe")).status().unwrap().success());
    let pipe = place.path("pipe");
    let reader = std::thread::spawn(move || bytes(&pipe));
    place.events("export run --format npz --out pipe --force");
    assert_eq!(reader.join().unwrap(), bytes(&place.path("tensors.npz")));
    std::os::unix::fs::symlink("/dev/stdout", place.path("out")).unwrap();
    assert!(place.error("export run --format npz --out out --force", 1).contains("Name a file"));
    assert!(place.path("out").is_symlink());
}

#[test]
fn more_threads_than_cores_end_soon_and_with_the_same_bytes() {
    let place = Place::new();
    place.events(&format!("{SHORT} --threads 1 --out one"));
    place.events(&format!("{SHORT} --threads 100 --out many"));
    assert_eq!(bytes(&place.path("one/model.safetensors")), bytes(&place.path("many/model.safetensors")));
}

/// A run of some tenths of a second that saves sixty times.
#[cfg(unix)]
const RUN: &str = "train --cpu --threads 1 --steps 3000 --hidden 60 --eval-every 50 --split 8/1/91 --average 0.99";
/// How often it is killed, unless `GPU_MLP_KILLS` says otherwise.
#[cfg(unix)]
const KILLS: u32 = 20;

#[test]
#[cfg(unix)]
fn a_run_killed_at_any_moment_goes_on_to_the_same_bytes() {
    let kills = std::env::var("GPU_MLP_KILLS").map_or(KILLS, |kills| kills.parse().expect("a number of kills"));
    let place = Place::new();
    let start = Instant::now();
    place.events(&format!("{RUN} --out straight"));
    let straight = start.elapsed();
    let expected = ["model.safetensors", "last.safetensors"].map(|file| bytes(&place.path("straight").join(file)));
    let expected_metrics = metrics(&place, "straight");

    let mut random = ChaCha12Rng::seed_from_u64(1);
    let (mut killed, mut before_first_save, mut runs) = (0, 0, 0);
    while killed < kills {
        let run = format!("run{runs}");
        runs += 1;
        // Each run is killed until it ends by itself: the later it is, the less there is left to be killed in.
        loop {
            let begun = place.path(&run).join("config.toml").exists();
            let arguments = if begun { format!("train --resume {run}") } else { format!("{RUN} --out {run}") };
            let mut child = place.command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(straight.mul_f64(random.random::<f64>()));
            if let Some(status) = child.try_wait().unwrap() {
                assert!(status.success(), "{arguments}: {status}");
                break;
            }
            child.kill().unwrap();
            child.wait().unwrap();
            killed += 1;
            before_first_save += u32::from(!place.path(&run).join("last.safetensors").exists());
        }
        let found = ["model.safetensors", "last.safetensors"].map(|file| bytes(&place.path(&run).join(file)));
        assert!(found == expected, "{run} of {killed} kills ended in other bytes");
        assert_eq!(metrics(&place, &run), expected_metrics, "{run}");
        std::fs::remove_dir_all(place.path(&run)).unwrap();
    }
    println!(
        "{killed} kills in {runs} runs, {before_first_save} of them before the first save: all ended in the same bytes"
    );
}

/// The reports, without their times.
#[cfg(unix)]
fn metrics(place: &Place, run: &str) -> Vec<Value> {
    let text = String::from_utf8(bytes(&place.path(run).join("metrics.jsonl"))).unwrap();
    let line = |line: &str| {
        let mut report: Value = serde_json::from_str(line).unwrap();
        for time in ["seconds", "examples_per_second"] {
            report.as_object_mut().unwrap().remove(time).unwrap();
        }
        report
    };
    text.lines().map(line).collect()
}

/// What a killed program leaves beside the files: temporary ones, which the next program takes away.
#[test]
fn unfinished_files_of_a_killed_program_do_not_pile_up() {
    let place = Place::new();
    place.events("train --cpu --threads 1 --steps 20 --hidden 5 --split 1/1/98 --out run");
    place.write("run/.unfinished-abc123", vec![0; 1000]);
    std::thread::sleep(Duration::from_millis(10));
    place.events("train --resume run");
    assert!(!place.path("run/.unfinished-abc123").exists());
}

/// A million steps with a hundred validations, each of which saves.
#[cfg(target_os = "linux")]
const LONG_RUN: &str = "train --cpu --steps 1000000 --eval-every 10000";
/// Growth of memory that is none: what a system's allocator may keep from time to time.
#[cfg(target_os = "linux")]
const SLACK: u64 = 2 << 20;

/// Bytes of memory that a program has now.
#[cfg(target_os = "linux")]
fn resident(child: &std::process::Child) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
}

#[test]
#[cfg(target_os = "linux")]
#[ignore = "it takes minutes: cargo test --release --test faults -- --ignored --nocapture"]
fn a_million_steps_take_no_more_memory_and_stops_change_nothing() {
    let place = Place::new();
    let mut child = place
        .command(&format!("{LONG_RUN} --out straight"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut seen = Vec::new();
    while child.try_wait().unwrap().is_none() {
        seen.extend(resident(&child));
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(child.wait().unwrap().success());
    // The first tenth is the warm-up, and the end evaluates and counts.
    let training = &seen[seen.len() / 10..seen.len() * 9 / 10];
    let (early, late) = training.split_at(training.len() / 4);
    let most = |values: &[u64]| values.iter().copied().max().unwrap();
    println!("memory: at most {} bytes in the first quarter, {} after it", most(early), most(late));
    assert!(most(late) <= most(early) + SLACK, "{} grew to {}", most(early), most(late));

    let mut stops = 0;
    loop {
        let begun = place.path("stopped/config.toml").exists();
        let arguments = if begun { "train --resume stopped".to_owned() } else { format!("{LONG_RUN} --out stopped") };
        let mut child = place.command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        for _ in 0..20 {
            std::thread::sleep(Duration::from_millis(100));
            if child.try_wait().unwrap().is_some() {
                break;
            }
        }
        if child.try_wait().unwrap().is_none() {
            // In turns asked to stop, and killed.
            let signal = if stops % 2 == 0 { "INT" } else { "KILL" };
            Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap();
            stops += 1;
        }
        if child.wait().unwrap().success() {
            break;
        }
        assert!(stops < 200, "the run does not come to its end");
    }
    for file in ["model.safetensors", "last.safetensors"] {
        assert!(bytes(&place.path("straight").join(file)) == bytes(&place.path("stopped").join(file)), "{file}");
    }
    println!("{stops} stops and kills: the same bytes");
}
