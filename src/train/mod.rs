//! Training: settings, schedule, the loop and the run directory.

pub mod schedule;
pub mod settings;

pub use schedule::{Schedule, ScheduleKind};
pub use settings::{Best, Optimizer, Preset, Progress, Settings};
