//! `gpu-mlp completions`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Cli;
use super::options::OutputOptions;
use crate::Result;

/// Completions for a shell: commands, options and their values, finished by the tab key.
///
/// bash: write them to ~/.local/share/bash-completion/completions/gpu-mlp. zsh: to _gpu-mlp in a folder of $fpath.
/// fish: to ~/.config/fish/completions/gpu-mlp.fish. PowerShell, elvish: into the profile or rc file.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CompletionsArgs {
    /// Which shell
    shell: Shell,
}

const EXAMPLES: &str = "\
Examples:
  gpu-mlp completions bash > gpu-mlp.bash
  gpu-mlp completions zsh > _gpu-mlp";

/// Runs the command.
pub fn run(args: CompletionsArgs) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "gpu-mlp", &mut script);
    // In its script for bash, clap_complete 4 names the commands of a program with a hyphen in one way where it finds them and
    // in another where it completes their options.
    let script = String::from_utf8_lossy(&script).replace("gpu__subcmd__mlp", "gpu__mlp");
    OutputOptions::default().output().lines(&script)
}
