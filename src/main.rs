//! The program: parse, run, print the error, give the exit code.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use gpu_mlp::Error;
use gpu_mlp::cli::{self, Cli};
use gpu_mlp::report::output::plain;

fn main() -> ExitCode {
    quiet_graphics_libraries();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = error.exit_code() as u8;
            // A closed pipe is no reason to complain: the help was for whoever closed it.
            let _ = cli::with_tip(error).print();
            return ExitCode::from(code);
        }
    };
    // The first Ctrl-C asks the training loop to save and stop; the second ends the program as it is.
    let handler = || {
        if cli::STOP.swap(true, std::sync::atomic::Ordering::Relaxed) {
            say("stopped at once: what was not saved yet is lost");
            std::process::exit(130);
        }
    };
    if cli.trains()
        && let Err(error) = ctrlc::set_handler(handler)
    {
        say(&format!("warning: Ctrl-C will not save the run: {error}"));
    }
    match cli::run(cli) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            if !matches!(error, Error::Closed) {
                say(&format!("error: {error}"));
            }
            ExitCode::from(error.exit_code())
        }
    }
}

/// A line on stderr; a closed stderr is no error.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", plain(text));
}

/// Without this variable, as on most servers, Mesa's drivers print an error that is none whenever adapters are listed.
fn quiet_graphics_libraries() {
    if cfg!(target_os = "linux") && std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        // SAFETY: the program has one thread yet.
        #[allow(unsafe_code)]
        unsafe {
            std::env::set_var("XDG_RUNTIME_DIR", std::env::temp_dir());
        }
    }
}
