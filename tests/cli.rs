//! The real program in a fresh directory: results, resume, errors, streams, exit codes.

mod common;
#[path = "common/program.rs"]
mod program;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use program::{Place, SHORT, bytes, events, of};

#[test]
fn a_short_run_reports_saves_and_answers() {
    let place = Place::new();
    let all = place.events(&format!("{SHORT} --out run"));
    let (start, reports, done) = (of(&all, "start")[0], of(&all, "report"), of(&all, "done")[0]);
    assert_eq!(start["vocabulary"], 27);
    assert_eq!(start["device"], "cpu");
    assert_eq!(start["config"]["hidden"], 40);
    assert_eq!(reports.len(), 8);
    let steps: Vec<u64> = reports.iter().map(|report| report["step"].as_u64().unwrap()).collect();
    assert_eq!(steps, [50, 100, 150, 200, 250, 300, 350, 400]);
    let best = reports.iter().map(|report| report["valid"].as_f64().unwrap()).fold(f64::INFINITY, f64::min);
    assert_eq!(done["valid"].as_f64().unwrap(), best);
    assert!(best < 2.9, "worse than the frequencies of the letters: {best}");
    assert!((done["perplexity"]["valid"].as_f64().unwrap() - best.exp()).abs() < 1e-9);
    let tokens: u64 = ["train", "valid", "test"].iter().map(|part| start["tokens"][part].as_u64().unwrap()).sum();
    assert_eq!(tokens, 229_804, "every character and one end mark a line");
    let metrics = String::from_utf8(bytes(&place.path("run/metrics.jsonl"))).unwrap();
    assert_eq!(metrics.lines().count(), 8);
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let table =
        readme.split("Each line of `metrics.jsonl`").nth(1).unwrap().split("`train --tensorboard`").next().unwrap();
    let names = table.lines().filter_map(|row| row.strip_prefix("| `")?.split(" |").next());
    let mut documented: Vec<&str> = names.flat_map(|names| names.trim_end_matches('`').split("`, `")).collect();
    documented.sort_unstable();
    let line: Value = serde_json::from_str(metrics.lines().next().unwrap()).unwrap();
    assert_eq!(documented, line.as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>());

    let evaluations = place.events("eval run --cpu");
    let splits: Vec<_> = evaluations.iter().map(|event| event["split"].as_str().unwrap()).collect();
    assert_eq!(splits, ["train", "valid", "test"]);
    for evaluation in &evaluations {
        let split = evaluation["split"].as_str().unwrap();
        assert_eq!(evaluation["loss"], done[split], "{split}");
        assert_eq!(evaluation["tokens"], start["tokens"][split], "{split}");
    }
    let reference = place.events("eval run --device reference");
    let difference = reference[2]["loss"].as_f64().unwrap() - done["test"].as_f64().unwrap();
    assert!(difference.abs() < 1e-6, "{difference}");

    let samples = place.events("sample run --cpu --count 7 --seed 3");
    assert_eq!(samples.len(), 7);
    assert_eq!(samples, place.events("sample run/model.safetensors --cpu --count 7 --seed 3"));
    let inspected = &place.events("inspect run")[0];
    assert_eq!(inspected["shape"]["hidden"], 40);
    assert_eq!(inspected["tokens"].as_array().unwrap().len(), 27);
    let [began, ended] = inspected["history"].as_array().unwrap().as_slice() else {
        panic!("{}", inspected["history"])
    };
    assert_eq!((&began["event"], &began["step"], &began["backend"]), (&"began".into(), &0.into(), &"cpu".into()));
    assert!(began["command"].as_array().unwrap().contains(&"--out".into()));
    assert_eq!((&ended["event"], &ended["step"]), (&"ended".into(), &400.into()));
    assert_eq!(inspected["settings"]["text_sha256"][0].as_str().unwrap().len(), 64);
}

#[test]
fn the_seed_fixes_the_model_file_for_any_number_of_threads() {
    let place = Place::new();
    for threads in 1..=3 {
        place.events(&format!("{SHORT} --threads {threads} --out run{threads}"));
    }
    place.events(&format!("{SHORT} --seed 7 --out other"));
    let one = bytes(&place.path("run1/model.safetensors"));
    assert_eq!(one, bytes(&place.path("run2/model.safetensors")));
    assert_eq!(one, bytes(&place.path("run3/model.safetensors")));
    assert_ne!(one, bytes(&place.path("other/model.safetensors")));
}

#[test]
fn the_gpu_gives_the_same_model_file_twice_and_the_losses_of_the_cpu() {
    if common::gpu().is_none() {
        return;
    }
    let place = Place::new();
    let train = "train --steps 60 --eval-every 30 --report-every 1 --hidden 40";
    let first = place.events(&format!("{train} --device gpu --out one"));
    place.events(&format!("{train} --device gpu --out two"));
    assert_eq!(bytes(&place.path("one/model.safetensors")), bytes(&place.path("two/model.safetensors")));
    let cpu = place.events(&format!("{train} --cpu --out three"));
    let losses = |all: &[Value]| -> Vec<f64> {
        of(all, "report").iter().map(|report| report["loss"].as_f64().unwrap()).collect()
    };
    let (gpu, cpu) = (losses(&first), losses(&cpu));
    assert_eq!(gpu.len(), 60);
    for (gpu, cpu) in gpu.into_iter().zip(cpu) {
        assert!((gpu - cpu).abs() < 1e-4, "{gpu} {cpu}");
    }
    let (gpu, cpu) = (place.events("eval one --device gpu"), place.events("eval one --cpu"));
    let difference = gpu[1]["loss"].as_f64().unwrap() - cpu[1]["loss"].as_f64().unwrap();
    assert!(difference.abs() < 1e-6, "{difference}");
}

/// Steps enough that the run can be caught in its midst.
const LONG: &str = "train --cpu --threads 1 --steps 20000 --hidden 60 --eval-every 1000";

#[test]
#[cfg(unix)]
fn a_run_that_was_stopped_or_killed_ends_in_the_same_bytes() {
    let place = Place::new();
    place.events(&format!("{LONG} --out straight"));
    let expected = ["model.safetensors", "last.safetensors"].map(|file| bytes(&place.path("straight").join(file)));
    // Stopped after so many of the twenty reports: moments by the clock would be others on a busy machine.
    for (signal, reports) in [("INT", 8), ("KILL", 6), ("KILL", 1)] {
        let run = format!("run-{signal}-{reports}");
        let reported =
            || std::fs::read_to_string(place.path(&run).join("metrics.jsonl")).map_or(0, |m| m.lines().count());
        for round in 0..50 {
            let resumed = place.path(&run).join("config.toml").exists();
            let arguments = if resumed { format!("train --resume {run} --cpu") } else { format!("{LONG} --out {run}") };
            let before = reported();
            let mut child = place.command(&arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
            while reported() < before + reports && child.try_wait().unwrap().is_none() {
                std::thread::sleep(Duration::from_millis(1));
            }
            let id = child.id().to_string();
            Command::new("kill").args(["-s", signal, &id]).status().unwrap();
            let output = child.wait_with_output().unwrap();
            if output.status.success() {
                assert!(round > 0, "the run was over before it could be stopped");
                break;
            }
            if signal == "INT" {
                let message = String::from_utf8_lossy(&output.stderr).into_owned();
                assert_eq!(output.status.code(), Some(130), "{message}");
                assert!(message.contains(&format!("gpu-mlp train --resume {run}")), "{message}");
            }
        }
        place.events(&format!("train --resume {run} --cpu"));
        let found = ["model.safetensors", "last.safetensors"].map(|file| bytes(&place.path(&run).join(file)));
        assert!(found == expected, "{run}");
        let metrics = String::from_utf8(bytes(&place.path(&run).join("metrics.jsonl"))).unwrap();
        let steps: Vec<u64> = metrics
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["step"].as_u64().unwrap())
            .collect();
        assert_eq!(steps, (1..=20).map(|report| report * 1000).collect::<Vec<_>>(), "{run}");
    }
}

#[test]
fn bad_texts_are_named_and_leave_nothing_behind() {
    let place = Place::new();
    place.write("empty.txt", "");
    place.write("blank.txt", "\n\n\n");
    place.write("latin.txt", b"anna\nb\xE9a\n");
    place.write("same.txt", "aaa\n".repeat(100));
    place.write("short.txt", "anna\nbea\n");
    let missing = place.error("train no-such-file --cpu", 1);
    assert!(missing.contains("no-such-file: cannot read"), "{missing}");
    assert!(place.error("train empty.txt --cpu", 1).contains("empty.txt: the text is empty"));
    assert!(place.error("train blank.txt --cpu", 1).contains("empty"));
    let latin = place.error("train latin.txt --cpu", 1);
    assert!(
        latin.contains("latin.txt: line 2, byte 2") && latin.contains("0xE9") && latin.contains("iconv"),
        "{latin}"
    );
    assert!(place.error("train same.txt --cpu", 1).contains("only one character"));
    assert!(place.error("train short.txt --cpu", 1).contains("validation part"));
    assert!(place.error("train . --cpu", 1).contains("folder"));
    assert!(!place.path("runs").exists());
}

#[test]
fn wrong_usage_ends_with_two_and_says_what_is_right() {
    let place = Place::new();
    assert!(place.error("train --hidden 0 --cpu", 2).contains("--hidden is 0"));
    assert!(place.error("train --context 0 --cpu", 2).contains("--context is 0"));
    assert!(place.error("train --embedding 99999999999999 --cpu", 2).contains("--embedding"));
    assert!(place.error("train --batch 0 --cpu", 2).contains("--batch is 0"));
    assert!(place.error("train --rate -1 --cpu", 2).contains("--rate"));
    assert!(place.error("train --rate nan --cpu", 2).contains("--rate"));
    assert!(place.error("train --split 80/20 --cpu", 2).contains("80/10/10"));
    assert!(place.error("train --device cuda", 2).contains("expected one of auto, cpu"));
    assert!(place.error("train --preset makemor --cpu", 2).contains("makemore"));
    assert!(place.error("trian", 2).contains("train"));
    assert!(place.error("train --resume x --hidden 3", 2).contains("cannot be used with"));
    assert!(place.error("bench --shape tiny --cpu", 2).contains("brown-direct"));
    assert!(!place.path("runs").exists());
}

#[test]
#[cfg(target_os = "linux")]
fn a_device_that_is_not_there_lists_those_that_are() {
    let place = Place::new();
    for device in ["metal", "dx12", "vulkan:7", "vulkan:no-such-card"] {
        let message = place.error(&format!("train --device {device}"), 1);
        assert!(message.contains(&format!("no device {device}")) && message.contains("cpu, reference"), "{message}");
    }
    assert!(!place.path("runs").exists());
}

#[test]
fn a_run_is_never_overwritten() {
    let place = Place::new();
    place.events(&format!("{SHORT} --out run"));
    let model = bytes(&place.path("run/model.safetensors"));
    assert!(place.error(&format!("{SHORT} --seed 1 --out run"), 1).contains("--resume run"));
    assert_eq!(bytes(&place.path("run/model.safetensors")), model);
    assert!(place.error("train --resume nowhere --cpu", 1).contains("nowhere: is not the directory of a run"));
    // A finished run that is resumed says its result again and changes nothing.
    let again = place.events("train --resume run --cpu");
    assert_eq!(of(&again, "done").len(), 1);
    assert_eq!(bytes(&place.path("run/model.safetensors")), model);
}

#[test]
fn a_run_goes_on_only_with_its_own_text() {
    let place = Place::new();
    let text = "anna\nbea\nclara\ndora\nemma\n".repeat(20);
    place.write("names.txt", &text);
    place.events(&format!("{SHORT} names.txt --out run"));
    place.write("names.txt", text + "frieda\n");
    assert!(place.error("train --resume run --cpu", 1).contains("not the text that the run was trained on"));
    assert!(place.error("eval run --cpu", 1).contains("give TEXT"));
    assert!(place.error("eval run names.txt --cpu", 1).contains("line 101 holds the character 'f'"));
    std::fs::rename(place.path("names.txt"), place.path("moved.txt")).unwrap();
    let gone = place.error("train --resume run --cpu", 1);
    assert!(gone.contains("not there any more") && gone.contains("gpu-mlp train TEXT --resume run"), "{gone}");
    std::fs::rename(place.path("moved.txt"), place.path("names.txt")).unwrap();
    // Sampling needs no text, and reads it only to say in JSON whether a sample is known; here that cannot be told.
    assert!(place.events("sample run --cpu --count 2")[0]["known"].is_null());
    let says = |arguments: &str| String::from_utf8(place.run(arguments).stderr).unwrap().contains("cannot be told");
    assert!(says("sample run --cpu --count 2 -v --json") && !says("sample run --cpu --count 2 -v"));
    assert!(place.error("sample run --cpu --prompt anx", 2).contains("'x' is unknown"));
}

#[test]
fn damaged_model_files_are_refused_with_a_reason() {
    let place = Place::new();
    place.events(&format!("{SHORT} --out run"));
    let whole = bytes(&place.path("run/model.safetensors"));
    for length in [0, 4, 100, 600, whole.len() - 1] {
        place.write("cut.safetensors", &whole[..length]);
        for command in ["sample", "eval", "inspect"] {
            assert!(
                place.error(&format!("{command} cut.safetensors"), 1).contains("not a whole model file"),
                "{length}"
            );
        }
    }
    let changed = |from: &str, to: &str| {
        assert_eq!(from.len(), to.len());
        let found = whole.windows(from.len()).position(|part| part == from.as_bytes());
        let start = found.unwrap_or_else(|| panic!("no {from}"));
        let mut bytes = whole.clone();
        bytes[start..start + to.len()].copy_from_slice(to.as_bytes());
        place.write("changed.safetensors", bytes);
        place.error("inspect changed.safetensors", 1)
    };
    assert!(changed(r#"\"format\":2"#, r#"\"format\":9"#).contains("format 9"));
    assert!(changed(r#"\"hidden\":40"#, r#"\"hidden\":41"#).contains("tensor"));
    assert!(changed("gpu_mlp", "gpu_xyz").contains("not one of gpu-mlp"));
    assert!(place.error("sample nowhere.safetensors", 1).contains("nowhere.safetensors: cannot read"));
}

#[test]
fn check_passes_on_golden_files_and_fails_on_a_changed_value() {
    let place = Place::new();
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/odd.safetensors");
    let all = place.events(&format!("check --cpu {golden}"));
    assert_eq!(of(&all, "done")[0]["ok"], true);
    let mut changed = bytes(Path::new(golden));
    let file = safetensors::SafeTensors::deserialize(&changed).unwrap();
    let place_of_value = file.tensor("grad.W1").unwrap().data()[40..].as_ptr() as usize - changed.as_ptr() as usize;
    // The exponent's lowest bit: twice the value, or half of it.
    changed[place_of_value + 2] ^= 0x80;
    place.write("changed.safetensors", changed);
    let output = place.run("check --cpu changed.safetensors --json");
    assert_eq!(output.status.code(), Some(1));
    let all = events(&output.stdout);
    assert_eq!(of(&all, "done")[0]["ok"], false);
    assert_eq!(of(&all, "tensor").iter().filter(|tensor| tensor["ok"] == false).count(), 1);
}

#[test]
fn check_draws_cases() {
    let place = Place::new();
    let all = place.events("check --cpu --random 3");
    assert_eq!((&of(&all, "done")[0]["cases"], &of(&all, "done")[0]["ok"]), (&3.into(), &true.into()));
    let others = place.events("check --cpu --random 3 --seed 7");
    assert_ne!(of(&all, "tensor")[0]["case"], of(&others, "tensor")[0]["case"]);
    let many = place.run("check --cpu --random 12");
    let text = String::from_utf8(many.stdout).unwrap();
    assert!(text.starts_with("the 10 cases that come nearest"), "{text}");
    assert_eq!(text.lines().filter(|line| line.contains("random-42-")).count(), 10, "{text}");
    assert!(text.trim_end().ends_with("of 12 cases are within their tolerances"), "{text}");
    assert!(place.error("check --device reference --random 3", 2).contains("choose another one by --device"));
}

#[test]
fn check_passes_on_every_device_of_this_machine() {
    let place = Place::new();
    let mut devices = vec!["cpu", "reference"];
    if common::gpu().is_some() {
        devices.push("gpu");
    }
    for device in devices {
        let all = place.events(&format!("check --device {device}"));
        assert_eq!(of(&all, "done")[0]["ok"], true, "{device}");
        assert!(of(&all, "tensor").len() >= 87, "{device}");
    }
}

#[test]
fn bench_checks_and_times() {
    let timing = &Place::new().events("bench --cpu --shape notebook --seconds 0.2")[0];
    assert_eq!(timing["shape"], "notebook");
    assert_eq!(timing["checked"], true);
    assert!(timing["steps_per_second"].as_f64().unwrap() > 0.0);
    let share: f64 = timing["passes"].as_array().unwrap().iter().map(|pass| pass["share"].as_f64().unwrap()).sum();
    assert!((share - 1.0).abs() < 1e-9);
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let place = Place::new();
    place.events(&format!("{SHORT} --out run"));
    let mut child = place
        .command("sample run --cpu --count 20000 --quiet")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_diverging_run_says_so_and_keeps_its_best_model() {
    let place = Place::new();
    let message = place.error("train --cpu --steps 400 --hidden 40 --rate 1e30 --out run", 1);
    assert!(message.contains("not finite at step") && message.contains("--rate"), "{message}");
    assert!(place.path("run/last.safetensors").exists());
}

#[test]
fn held_out_files_and_other_scripts_work() {
    let place = Place::new();
    place.write("train.txt", "\u{feff}анна\r\nбелла\r\nвера\r\n𝄞𝄞\r\n".repeat(10).replacen("\r\n\u{feff}", "\r\n", 99));
    place.write("valid.txt", "анна\n");
    place.write("test.txt", "вера\n\u{1F600}\n");
    let train = format!("{SHORT} train.txt --valid valid.txt --test test.txt --out run");
    let all = place.events(&train);
    // The end mark, seven letters, a clef, and <rare> for the face in the test part.
    assert_eq!(of(&all, "start")[0]["vocabulary"], 10);
    assert_eq!(of(&all, "start")[0]["tokens"]["valid"], 5);
    let test = &place.events("eval run --cpu")[2];
    assert_eq!((test["tokens"].as_u64(), test["rare"].as_u64()), (Some(7), Some(1)));
    assert!(place.events("sample run --cpu --count 3 --prompt а")[0]["text"].as_str().unwrap().starts_with('а'));
}

#[test]
fn a_run_on_a_gpu_says_which_kernels_take_its_steps() {
    if common::gpu().is_none() {
        return;
    }
    let place = Place::new();
    let run = |arguments: &str| {
        let mut command = place.command(arguments);
        let output = command.env("GPU_MLP_CACHE_DIR", place.path("cache")).output().unwrap();
        assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
        program::events(&output.stdout)
    };
    let short = "train --device gpu --hidden 20 --batch 8 --steps 6 --json";
    let kernels = |events: &[Value]| of(events, "start")[0]["kernels"].clone();
    let general = kernels(&run(&format!("{short} --optimizer adamw --out general")));
    assert_eq!(general["path"], "general");
    let small = kernels(&run(&format!("{short} --out small")));
    assert_eq!(small["path"], "small");
    assert!(!small["variant"].as_str().unwrap().is_empty(), "{small}");
    // A run that goes on takes them, too.
    assert_eq!(kernels(&run("train --resume small --json")), small);
    assert_eq!(kernels(&run(&format!("{SHORT} --json --out cpu"))), Value::Null);
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn may_have_a_gpu() -> bool {
    let gpus = ["dri", "nv", "kfd", "dxg", "kgsl", "mali", "pvr", "galcore"];
    let is_gpu = |file: &str| gpus.iter().any(|gpu| file.starts_with(gpu));
    let mut files = std::fs::read_dir("/dev").unwrap().flatten();
    files.any(|file| is_gpu(&file.file_name().to_string_lossy()))
        || !std::path::Path::new("/proc/sys/kernel/random/boot_id").exists()
        || std::env::vars_os().any(|(name, _)| name.to_string_lossy().starts_with("VK_"))
}

/// glibc says which libraries a program loads.
#[test]
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn that_there_is_no_gpu_is_kept_until_the_environment_is_another() {
    let place = Place::new();
    place.run(&format!("{SHORT} --out run"));
    let run = |environment: &str| {
        let mut command = place.command("predict run emm");
        command
            .env("GPU_MLP_CACHE_DIR", place.path("cache"))
            .env("LD_DEBUG", "files")
            .env("MESA_OF_A_TEST", environment);
        let output = command.output().unwrap();
        assert!(output.status.success());
        (String::from_utf8_lossy(&output.stderr).contains("libvulkan"), output.stdout)
    };
    let (looked, first) = run("one");
    assert!(looked, "the first run looks for a GPU");
    // Where there may be one, each run looks.
    let is_known = place.path("cache/no-gpu.txt").exists();
    assert!(is_known || may_have_a_gpu(), "no GPU was found, and that is not kept");
    let (looked, second) = run("one");
    assert_eq!(looked, !is_known);
    assert_eq!(second, first);
    assert!(run("another").0);
}

#[test]
fn a_loss_beyond_all_bounds_ends_a_run_on_the_gpu_and_leaves_no_best_model() {
    if common::gpu().is_none() {
        return;
    }
    let place = Place::new();
    let message = place.error("train --device gpu --steps 200 --hidden 40 --rate 1e30 --out run", 1);
    assert!(message.contains("training diverged") && message.contains("--rate"), "{message}");
    assert!(place.path("run/last.safetensors").exists() && !place.path("run/model.safetensors").exists());
}
