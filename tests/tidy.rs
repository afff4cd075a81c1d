//! The invariants that a reader relies on, read off the sources.

use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use gpu_mlp::cli::Cli;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn files(folder: &str, extensions: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(ROOT).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                // What is built below tests/fuzz is not ours.
                folders.extend((!path.ends_with("target")).then_some(path));
            } else if path.extension().is_some_and(|e| extensions.iter().any(|&extension| e == extension)) {
                let name = path.strip_prefix(ROOT).unwrap().to_string_lossy().replace('\\', "/");
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(!found.is_empty());
    found.sort();
    found
}

/// Lines of code that contain a text: comments do not count.
fn holders(text: &str, allowed: fn(&str) -> bool) -> Vec<String> {
    let code = |line: &&str| !line.trim_start().starts_with("//");
    let hits = |(name, content): (String, String)| {
        content.lines().filter(code).any(|line| line.contains(text)).then_some(name)
    };
    files("src", &["rs"]).into_iter().filter_map(hits).filter(|name| !allowed(name)).collect()
}

#[test]
fn only_the_gpu_engine_mentions_wgpu() {
    assert_eq!(holders("wgpu", |name| name.starts_with("src/engine/gpu/")), Vec::<String>::new());
}

#[test]
fn only_one_file_waits_for_the_device() {
    assert_eq!(holders(".poll(", |name| name == "src/engine/gpu/device.rs"), Vec::<String>::new());
}

#[test]
fn only_main_exits_and_only_the_command_line_and_reports_print() {
    assert_eq!(holders("process::exit", |name| name == "src/main.rs"), Vec::<String>::new());
    assert_eq!(holders("println!", prints), Vec::<String>::new());
}

/// Tests may say on stderr that they were skipped.
fn prints(name: &str) -> bool {
    let folders = ["src/cli/", "src/report/", "src/fuzzing/"];
    name == "src/main.rs" || name.ends_with("/tests.rs") || folders.iter().any(|folder| name.starts_with(folder))
}

#[test]
fn model_reference_and_schedule_do_no_input_or_output() {
    for text in ["std::fs", "std::io", "File::"] {
        let pure = |name: &str| {
            !(name.starts_with("src/model/") || name.starts_with("src/reference") || name == "src/train/schedule.rs")
        };
        assert_eq!(holders(text, pure), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn files_are_short_and_finished() {
    for (name, content) in [files("src", &["rs"]), files("tests", &["rs"]), files("shaders", &["wgsl"])].concat() {
        let lines = content.lines().count();
        assert!(lines <= 450, "{name} has {lines} lines: about 400 is the most that one reads with pleasure");
        for unfinished in [["TO", "DO"].concat(), ["FIX", "ME"].concat(), ["unimple", "mented!"].concat()] {
            assert!(!content.contains(&unfinished), "{name} holds {unfinished}");
        }
        assert!(!Path::new(&name).file_stem().unwrap().to_string_lossy().contains("util"), "{name}");
    }
}

#[test]
fn the_readme_names_every_command_and_invariant() {
    let readme = fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap();
    for command in Cli::command().get_subcommands().map(clap::Command::get_name) {
        assert!(readme.contains(&format!("gpu-mlp {command}")), "README.md does not show gpu-mlp {command}");
    }
    for (name, _) in files("shaders", &["wgsl"]) {
        if !name.contains("/shared/") {
            assert!(readme.contains(Path::new(&name).file_stem().unwrap().to_str().unwrap()), "README.md lacks {name}");
        }
    }
}

/// The licences of all crates that are built here, against the list that `cargo deny` reads.
#[test]
fn every_licence_is_allowed() {
    let deny: toml::Table = fs::read_to_string(Path::new(ROOT).join(".deny.toml")).unwrap().parse().unwrap();
    let allowed = deny["licenses"]["allow"].as_array().unwrap();
    let is_allowed = |requirement: &spdx::LicenseReq| {
        allowed.iter().any(|allowed| allowed.as_str() == Some(requirement.to_string().as_str()))
    };
    let output = std::process::Command::new(env!("CARGO"))
        .current_dir(ROOT)
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", "x86_64-unknown-linux-gnu"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 100);
    for package in packages {
        let licence = package["license"].as_str().unwrap_or_else(|| panic!("{} has no licence", package["name"]));
        let expression = spdx::Expression::parse_mode(licence, spdx::ParseMode::LAX).unwrap();
        assert!(expression.evaluate(is_allowed), "{} has the licence {licence}", package["name"]);
    }
    assert!(!spdx::Expression::parse("MPL-2.0").unwrap().evaluate(is_allowed));
}
