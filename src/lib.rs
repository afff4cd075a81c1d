//! Train and use the neural probabilistic language model of Bengio, Ducharme, Vincent and Jauvin (JMLR 2003)
//! on whatever GPU a machine has, through wgpu compute shaders, or on its CPU.
//!
//! The modules in the order in which data flows, which is also the order to read them in:
//!
//! | module | holds |
//! | --- | --- |
//! | [`text`] | files to lines, lines to token ids, splits, the order of the examples |
//! | [`model`] | shape, parameters, initial values, the model file's bytes |
//! | [`mod@reference`] | the equations as plain `f64` loops: read this first |
//! | [`engine`] | the boundary between training and the hardware; the CPU and the GPU engine behind it |
//! | [`train`] | the loop, the schedule, the run directory |
//! | [`language_model`] | evaluation, sampling and the count models to compare with |
//! | [`export`] | a model in the formats of other programs |
//! | [`check`], [`mod@bench`] | does a device compute right, and how fast |
//! | [`report`], [`cli`] | what people and programs see |

pub mod bench;
pub mod check;
pub mod cli;
pub mod engine;
pub mod error;
pub mod export;
pub mod language_model;
pub mod model;
pub mod reference;
pub mod report;
pub mod text;
pub mod train;

pub use error::{Error, Result};
