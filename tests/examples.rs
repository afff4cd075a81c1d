#![cfg(unix)]
//! Every example runs: those of each command's help, found by walking the commands, and every `gpu-mlp` command in
//! README.md, in code blocks and between backticks.
//!
//! An example runs through the shell in a copy of a prepared folder. Nothing here lists the examples: a new one is found
//! by itself, and fails where it names a file that the preparation does not have (then add it to [`prepare`]) or a device
//! that this machine has not (then it is skipped, loudly).

#[path = "common/not_tested.rs"]
mod not_tested;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use clap::CommandFactory;
use gpu_mlp::cli::Cli;
use gpu_mlp::engine::gpu::adapters;
use not_tested::not_tested;

/// Values that make a long command short, for commands that have the option.
const SHORTER: [(&str, &str); 3] = [("--steps", "100"), ("--seconds", "0.05"), ("--shape", "notebook")];
/// The same where a length has no other option.
const SHORTER_EPOCHS: (&str, &str) = ("--epochs", "0.05");

/// Files in the prepared folder. All texts hold something that a model can learn in seconds.
fn prepare(folder: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = fs::read_to_string(root.join("data/names.txt")).unwrap();
    let names: Vec<&str> = names.lines().step_by(16).collect();
    let write = |name: &str, content: String| fs::write(folder.join(name), content).unwrap();
    write("names.txt", names.join("\n"));
    for name in ["other.txt", "other-names.txt"] {
        write(name, names[..200].join("\n"));
    }
    let words = "he said that the dog saw the cat .\nthe cat sat on the mat , and she said so .\n\n\
                 the king and the queen saw a man .\na woman ran to the dog on monday .\n";
    for name in ["words.txt", "brown.txt", "book.txt"] {
        write(name, words.repeat(150));
    }
    write("report.txt", words.to_owned());
    fs::create_dir_all(folder.join("tests")).unwrap();
    copy(&root.join("tests/golden"), &folder.join("tests/golden"));
    for folders in [".local/share/bash-completion/completions", ".config/fish/completions", ".zfunc"] {
        fs::create_dir_all(folder.join(folders)).unwrap();
    }
    let prepared = [
        "train names.txt --cpu --steps 300 --hidden 40 --out runs/first",
        "train names.txt --cpu --steps 100 --preset notebook --out runs/notebook",
        "train words.txt --cpu --steps 40 --preset words --out runs/words",
        "train --cpu --steps 100 --hidden 40 --out runs/wide",
        "bench --cpu --shape notebook --seconds 0.05 --save old.json",
        "bench --cpu --shape notebook --seconds 0.05 --save before.json",
    ];
    each_of(&prepared.map(String::from), |arguments| {
        let output = shell(&format!("gpu-mlp {arguments}"), folder, folder);
        assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    });
}

/// Two at a time: most of the time of an example is that of its start.
fn each_of(list: &[String], work: impl Fn(&str) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(item) = list.get(next.fetch_add(1, Ordering::Relaxed)) {
                    work(item);
                }
            });
        }
    });
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A line of the shell in a folder that is also the home; what is measured on a GPU is kept in `cache`.
fn shell(line: &str, folder: &Path, cache: &Path) -> Output {
    let programs = Path::new(env!("CARGO_BIN_EXE_gpu-mlp")).parent().unwrap().to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(programs).chain(std::env::split_paths(&path))).unwrap();
    // What draws on a terminal gets one.
    let on_terminal = format!("TERM=xterm script -qec '{line}' /dev/null </dev/null");
    let line = if line.contains("--dashboard") { &on_terminal } else { line };
    Command::new("sh")
        .args(["-c", line])
        .current_dir(folder)
        .envs([("PATH", path.as_os_str()), ("HOME", folder.as_os_str())])
        .env("GPU_MLP_CACHE_DIR", cache.join("cache"))
        .output()
        .unwrap()
}

/// The part of a line that is a command: without a comment or the prompt of a shell.
fn command_of(line: &str) -> Option<String> {
    let line = line.trim().trim_start_matches("$ ");
    let line = line.split("  #").next().unwrap_or(line).trim();
    let line = line.replace("cargo run --release -- ", "gpu-mlp ");
    let starts = line.starts_with("gpu-mlp ") || line.contains("| gpu-mlp ");
    (starts && !line.contains("gpu-mlp --help")).then_some(line)
}

fn help_of(command: &clap::Command) -> String {
    command.get_after_long_help().or(command.get_after_help()).map(ToString::to_string).unwrap_or_default()
}

/// The examples of a command's help: lines with two blanks before them. What follows two blanks or more says what it does.
fn examples(command: &clap::Command) -> Vec<String> {
    let help = help_of(command);
    let lines = help.lines().filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')));
    lines.filter_map(|line| command_of(line.split("   ").next().unwrap_or(line))).collect()
}

/// Commands of code blocks and between backticks, but names of commands alone (`gpu-mlp` or with an ellipsis).
fn readme_commands(text: &str) -> Vec<String> {
    let (mut found, mut in_block) = (Vec::new(), false);
    for line in text.lines() {
        if line.starts_with("```") {
            in_block = !in_block;
        } else if in_block {
            found.extend(command_of(line));
        } else {
            found.extend(line.split('`').skip(1).step_by(2).filter_map(command_of));
        }
    }
    found.retain(|command| !command.contains("..."));
    found
}

/// Whether the machine lacks a device that a command names.
fn lacks_device(words: &[String]) -> Option<String> {
    let backends = ["vulkan", "metal", "dx12", "gl", "gpu"];
    let place = words.iter().position(|word| word == "--device")?;
    let given = words[place + 1..].iter().take_while(|word| !word.starts_with("--"));
    let gpus = given.filter_map(|word| backends.into_iter().find(|backend| word.split(':').next() == Some(backend)));
    let missing = |backend: &&str| adapters(Some(*backend).filter(|backend| *backend != "gpu")).is_empty();
    let lacking = gpus.into_iter().find(missing)?;
    assert!(
        lacking != "vulkan" || std::env::var_os("GPU_MLP_REQUIRE_GPU").is_none(),
        "GPU_MLP_REQUIRE_GPU is set, but there is no Vulkan device for: {}",
        words.join(" ")
    );
    Some(lacking.to_owned())
}

/// The command with short lengths.
fn shortened(line: &str, program: &clap::Command) -> String {
    let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let Some(first) = words.iter().position(|word| word == "gpu-mlp") else { return line.to_owned() };
    let name = words[first + 1].clone();
    let Some(command) = program.find_subcommand(&name) else { return line.to_owned() };
    let has = |option: &str| command.get_arguments().any(|argument| argument.get_long() == option.strip_prefix("--"));
    let epochs = (!has("--steps")).then_some(SHORTER_EPOCHS);
    for (option, value) in SHORTER.into_iter().chain(epochs).filter(|(option, _)| has(option)) {
        match words.iter().position(|word| word == option) {
            // Which shapes an example names is its own affair.
            Some(_) if option == "--shape" => {}
            Some(place) => words[place + 1] = value.to_owned(),
            None if words.iter().any(|word| word == "--resume" || (word == "--epochs" && option == "--steps")) => {}
            None => {
                let end = words[first..].iter().position(|word| word == ">" || word == "|");
                let end = end.map_or(words.len(), |place| first + place);
                words.splice(end..end, [option.to_owned(), value.to_owned()]);
            }
        }
    }
    words.join(" ")
}

/// Runs an example; the reason if it does not go well, or where it cannot be run.
fn fault(line: &str, program: &clap::Command, prepared: &Path) -> Option<String> {
    let line = shortened(line, program);
    let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    if let Some(device) = lacks_device(&words) {
        not_tested(format!("there is no {device} device for: {line}"));
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    copy(prepared, folder.path());
    // What an example makes must not be there yet.
    if let Some(place) = words.iter().position(|word| word == "--out") {
        let out: PathBuf = folder.path().join(&words[place + 1]);
        let _ = if out.is_dir() { fs::remove_dir_all(out) } else { fs::remove_file(out) };
    }
    let output = shell(&line, folder.path(), prepared);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code() != Some(0)).then(|| format!("{line}\n  {:?}: {message}", output.status))
}

fn run_all(commands: BTreeSet<String>, program: &clap::Command) {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let faults = Mutex::new(Vec::new());
    let commands: Vec<String> = commands.into_iter().collect();
    each_of(&commands, |line| {
        let start = std::time::Instant::now();
        let fault = fault(line, program, folder.path());
        println!("{:>6.2} s  {line}", start.elapsed().as_secs_f64());
        faults.lock().unwrap().extend(fault);
    });
    let faults = faults.into_inner().unwrap();
    assert!(faults.is_empty(), "{} of {} examples fail:\n{}", faults.len(), commands.len(), faults.join("\n"));
}

#[test]
fn every_example_of_help_and_readme_runs() {
    let program = Cli::command();
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let mut commands: BTreeSet<String> = examples(&program).into_iter().chain(readme_commands(&readme)).collect();
    commands.extend(program.get_subcommands().flat_map(examples));
    assert!(commands.len() > 40, "{commands:?}");
    run_all(commands, &program);
}

#[test]
fn every_command_has_a_sentence_two_examples_and_options_in_groups() {
    let program = Cli::command();
    let mut ungrouped = Vec::new();
    for command in program.get_subcommands() {
        let name = command.get_name();
        assert!(command.get_about().is_some_and(|about| about.to_string().len() > 10), "{name} has no sentence");
        assert!(help_of(command).starts_with("Examples:"), "{name}: the help does not end with examples");
        let examples = examples(command);
        assert!(examples.len() >= 2, "{name} has {} examples: two are the least", examples.len());
        for example in &examples {
            assert!(example.contains(&format!("gpu-mlp {name}")), "{name}: {example} is of another command");
        }
        let options = command.get_arguments().filter(|argument| !argument.is_positional());
        let alone = options.filter(|argument| argument.get_help_heading().is_none());
        ungrouped.extend(alone.map(|argument| format!("{name} --{}", argument.get_id())));
    }
    assert!(ungrouped.is_empty(), "give these options a help_heading: {ungrouped:#?}");
}

#[test]
fn commands_are_found_in_help_and_in_markdown() {
    let markdown =
        "Try `gpu-mlp devices` or `x`.\n```sh\ncargo run --release -- train   # learns\necho a | gpu-mlp score m\n```";
    assert_eq!(readme_commands(markdown), ["gpu-mlp devices", "gpu-mlp train", "echo a | gpu-mlp score m"]);
    let program = Cli::command();
    assert_eq!(shortened("gpu-mlp train a.txt --steps 20000 --cpu", &program), "gpu-mlp train a.txt --steps 100 --cpu");
    assert_eq!(shortened("echo a | gpu-mlp score m", &program), "echo a | gpu-mlp score m");
    let missing =
        fault("gpu-mlp eval no-such-run", &program, &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden"));
    assert!(missing.unwrap().contains("no-such-run"), "a missing file is a fault");
}
