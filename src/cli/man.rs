//! `gpu-mlp man`.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;

use super::Cli;
use super::options::OutputOptions;
use crate::train::files::write_whole;
use crate::{Error, Result};

/// Man pages: that of the program on standard output, or those of all commands into a folder.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ManArgs {
    /// Write a page for the program and for each command to this folder, which is made
    #[arg(long, value_name = "DIR", help_heading = "Results")]
    out: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  gpu-mlp man --out man/man1
      then: man --manpath man gpu-mlp-train; ~/.local/share/man/man1 is where man looks by itself
  gpu-mlp man > gpu-mlp.1";

/// Runs the command.
pub fn run(args: ManArgs) -> Result<()> {
    let output = OutputOptions::default().output();
    let mut program = Cli::command();
    // Global names: the usage lines of commands begin with that of the program.
    program.build();
    let Some(folder) = args.out else { return output.lines(&page(program)?) };
    fs::create_dir_all(&folder).map_err(|source| Error::file(&folder, "create the folder", source))?;
    for command in program.get_subcommands().filter(|command| command.get_name() != "help") {
        let name = format!("gpu-mlp-{}", command.get_name());
        write_whole(&folder.join(format!("{name}.1")), page(command.clone())?.as_bytes())?;
    }
    write_whole(&folder.join("gpu-mlp.1"), page(program)?.as_bytes())?;
    output.message(format!("man pages: {}", folder.display()));
    Ok(())
}

fn page(command: Command) -> Result<String> {
    let mut page = Vec::new();
    let source = concat!("gpu-mlp ", env!("CARGO_PKG_VERSION"));
    Man::new(command)
        .source(source)
        .render(&mut page)
        .map_err(|source| Error::file(Path::new("the man page"), "render", source))?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}
