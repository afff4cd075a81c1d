//! `gpu-mlp devices`.

use clap::Args;

use super::options::OutputOptions;
use crate::Result;

/// Every device of this machine, which one `auto` takes, and why not the others.
#[derive(Debug, Args)]
pub struct DevicesArgs {
    #[command(flatten)]
    output: OutputOptions,
}

/// Runs the command.
pub fn run(_args: DevicesArgs) -> Result<()> {
    Ok(())
}
