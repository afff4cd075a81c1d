//! Training: settings, schedule, the loop and the run directory.

#[cfg(test)]
mod crashes;
pub mod diagnostics;
pub mod directory;
pub mod files;
pub mod history;
pub mod preset;
pub mod range_test;
pub mod run;
pub mod schedule;
pub mod settings;
pub mod trainer;

pub use directory::{Config, RunDirectory};
pub use preset::{Length, Preset};
pub use run::{first_state, train};
pub use schedule::{Schedule, ScheduleKind};
pub use settings::{Best, Progress, Settings};
pub use trainer::{Live, Losses, Observer, Outcome, Report, Trainer, Wish, make_ready};
