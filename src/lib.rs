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
//!
//! # From Rust
//!
//! Train on the built-in names, draw new ones, and score a name of your own:
//!
//! ```
//! use gpu_mlp::engine::cpu::Cpu;
//! use gpu_mlp::language_model::{Network, Sampler, Scorer};
//! use gpu_mlp::text::Sources;
//! use gpu_mlp::train::{Preset, Settings, train};
//!
//! # let folder = tempfile::tempdir().unwrap();
//! # let directory = folder.path().join("first");
//! // Any engine will do. `engine::open` takes what `--device` names, a GPU for instance.
//! let mut engine = Cpu::new(2);
//! let settings = Settings { hidden: 40, steps: 200, eval_every: 100, ..Preset::Makemore.settings().0 };
//! let model = train(&directory, &Sources::default(), settings, &mut engine, &mut ())?;
//!
//! let mut network = Network::new(&mut engine, model.state.best())?;
//! let end = model.vocabulary.end();
//! let sampler = Sampler { temperature: 0.8, top_k: 0, top_p: 1.0, end, length: 20, seed: 1 };
//! for sample in sampler.draw(&mut network, &[], 0..5)? {
//!     println!("{}", model.vocabulary.decode(&sample.tokens));
//! }
//!
//! let mut tokens = model.vocabulary.encode("emma").unwrap();
//! tokens.extend(end);
//! let scores = Scorer::new(&mut network, end, true).score(&tokens)?;
//! let log_probability: f64 = scores.iter().map(|score| score.log_probability).sum();
//! assert!(log_probability < 0.0 && scores[0].rank.is_some());
//! # Ok::<(), gpu_mlp::Error>(())
//! ```
//!
//! A model that was saved is read with [`train::files::read_model`]. Anything that gives distributions can stand in a
//! network's place: see [`language_model::LanguageModel`]. An [`engine::Engine`] takes single steps, and gives gradients
//! and activations ([`engine::Engine::examine`]).

// What the tests of the whole program share calls the crate by its name.
#[cfg(test)]
extern crate self as gpu_mlp;

pub mod bench;
pub mod check;
pub mod cli;
pub mod engine;
pub mod error;
pub mod export;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod language_model;
pub mod model;
pub mod reference;
pub mod report;
#[cfg(test)]
mod testing;
pub mod text;
pub mod train;

pub use error::{Error, Result};
