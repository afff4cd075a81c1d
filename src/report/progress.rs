//! Training as it goes: a progress bar on a terminal, a line a validation elsewhere, JSON Lines for programs.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

use super::Output;
use super::output::grouped;
use crate::Result;
use crate::train::{Live, Observer, Report};

/// A bar on stderr; one that shows nothing where that is no terminal, or no messages are wanted. The template is indicatif's.
pub fn bar(output: &Output, length: u64, template: &str) -> ProgressBar {
    if output.quiet || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(template);
    ProgressBar::new(length).with_style(style.expect("a valid template"))
}

/// Shows a run on stderr, and its reports on stdout with `--json`.
pub struct Display {
    output: Output,
    bar: ProgressBar,
    steps: u64,
}

impl Display {
    /// A display for a run of `steps` steps of which `done` are done.
    pub fn new(output: Output, steps: u64, done: u64) -> Self {
        let bar = bar(&output, steps, "{wide_bar} {human_pos}/{human_len}, {msg}, {eta} left");
        bar.set_position(done);
        bar.reset_eta();
        Display { output, bar, steps }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Observer for Display {
    fn live(&mut self, live: Live) {
        self.bar.set_position(live.step);
        self.bar.set_message(format!(
            "loss {:.4}, rate {}, {} examples/s",
            live.loss,
            live.rate,
            grouped(live.examples_per_second as usize)
        ));
    }

    fn report(&mut self, report: &Report, best: bool) -> Result<()> {
        self.output.event("report", report)?;
        let Some(valid) = report.valid else { return Ok(()) };
        let width = grouped(self.steps as usize).len();
        let line = format!(
            "step {:>width$}  epoch {:>6.2}  train {:.4}  valid {valid:.4}{}",
            grouped(report.step as usize),
            report.epoch,
            report.loss,
            if best { "  best" } else { "" },
        );
        if self.bar.is_hidden() {
            self.output.message(line);
        } else {
            self.bar.println(line);
        }
        Ok(())
    }
}
