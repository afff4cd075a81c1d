//! What helps to find one's way: the meant name, completions, man pages.

#[path = "common/not_tested.rs"]
mod not_tested;
#[allow(dead_code)]
#[path = "common/program.rs"]
mod program;

use std::fs;
use std::process::Command;

use clap::CommandFactory;
use gpu_mlp::cli::Cli;
use not_tested::not_tested;
use program::Place;

#[test]
fn a_name_that_is_nearly_right_brings_the_right_one() {
    let place = Place::new();
    let cases = [
        ("trian", "'train'"),
        ("train --optimiser sgd", "'--optimizer'"),
        ("train --preset makmore", "'makemore'"),
        ("train --schedule linar", "'linear'"),
        ("train --device vulcan", "Did you mean vulkan?"),
        ("train --device vulcan:1", "Did you mean vulkan?"),
        ("bench --shape broun", "Did you mean brown?"),
        ("bench --task trian", "Did you mean train?"),
        ("eval model --mix kneserney:0.5", "Did you mean kneser-ney?"),
        ("table1 brown.txt --rows trigramm", "Did you mean trigram?"),
        ("completions bsh", "'bash'"),
    ];
    for (arguments, meant) in cases {
        let message = place.error(arguments, 2);
        assert!(message.contains(meant), "{arguments}: {message}");
    }
    let far = place.error("train --device quantum", 2);
    assert!(!far.contains("Did you mean"), "nothing is near: {far}");
}

#[test]
fn completions_know_every_command_for_every_shell() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = place.run(&format!("completions {shell}"));
        assert!(output.status.success());
        let script = String::from_utf8(output.stdout).unwrap();
        for command in Cli::command().get_subcommands() {
            assert!(script.contains(command.get_name()), "{shell} lacks {}", command.get_name());
        }
        assert!(script.contains("makemore"), "{shell} lacks the presets");
    }
}

/// bash itself completes a line's last word.
#[test]
fn bash_completes_commands_options_and_values() {
    if !Command::new("bash").arg("--version").output().is_ok_and(|output| output.status.success()) {
        return not_tested("there is no bash");
    }
    let place = Place::new();
    place.write("script", place.run("completions bash").stdout);
    let completed = |words: &str| {
        let line = format!(
            "source ./script; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             $(complete -p gpu-mlp | grep -o '_gpu[^ ]*') gpu-mlp \"${{COMP_WORDS[COMP_CWORD]}}\" \
             \"${{COMP_WORDS[COMP_CWORD - 1]}}\"; echo \"${{COMPREPLY[@]}}\""
        );
        let output = Command::new("bash").args(["-c", &line]).current_dir(place.path("")).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(completed("gpu-mlp neigh"), "neighbors");
    assert_eq!(completed("gpu-mlp train --pre"), "--preset");
    assert_eq!(completed("gpu-mlp train --order seq"), "sequential");
    assert_eq!(completed("gpu-mlp export run --format on"), "onnx");
}

#[test]
fn every_command_has_a_man_page_with_its_examples() {
    let place = Place::new();
    assert!(place.run("man --out pages").status.success());
    for command in Cli::command().get_subcommands() {
        let name = command.get_name();
        let page = fs::read_to_string(place.path(&format!("pages/gpu-mlp-{name}.1"))).unwrap();
        assert!(page.contains("Examples:") && page.contains("gpu-mlp"), "{name}: {page}");
    }
    let program = String::from_utf8(place.run("man").stdout).unwrap();
    assert_eq!(program, fs::read_to_string(place.path("pages/gpu-mlp.1")).unwrap());
    assert!(program.contains("gpu\\-mlp\\-train(1)"), "{program}");
}
