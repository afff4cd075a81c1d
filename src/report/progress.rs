//! Training as it goes: a progress bar on a terminal, a line a validation elsewhere, JSON Lines for programs.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

use super::Output;
use super::output::grouped;
use crate::Result;
use crate::train::{Live, Observer, Report};

/// Shows a run on stderr, and its reports on stdout with `--json`.
pub struct Display {
    output: Output,
    bar: Option<ProgressBar>,
    steps: u64,
}

impl Display {
    /// A display for a run of `steps` steps of which `done` are done.
    pub fn new(output: Output, steps: u64, done: u64) -> Self {
        let bar = (std::io::stderr().is_terminal() && !output.quiet).then(|| {
            let style = ProgressStyle::with_template("{wide_bar} {human_pos}/{human_len}, {msg}, {eta} left");
            let bar = ProgressBar::new(steps).with_style(style.expect("a valid template"));
            bar.set_position(done);
            bar.reset_eta();
            bar
        });
        Display { output, bar, steps }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Observer for Display {
    fn live(&mut self, live: Live) {
        if let Some(bar) = &self.bar {
            bar.set_position(live.step);
            bar.set_message(format!(
                "loss {:.4}, rate {}, {} examples/s",
                live.loss,
                live.rate,
                grouped(live.examples_per_second as usize)
            ));
        }
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
        match &self.bar {
            Some(bar) => bar.println(line),
            None => self.output.message(line),
        }
        Ok(())
    }
}
