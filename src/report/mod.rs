//! What people and programs see: results on stdout, progress and messages on stderr.

pub mod dashboard;
pub mod output;
pub mod paper;
pub mod plot;
pub mod progress;
pub mod summary;
pub mod tensorboard;
pub mod timings;

pub use output::Output;
pub use progress::Display;
