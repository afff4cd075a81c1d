//! From a text file to token ids on which an engine trains.

pub mod batches;
pub mod blocks;
pub mod corpus;
pub mod data;
pub mod kind;
pub mod random;
pub mod settings;
pub mod source;
pub mod split;
pub mod texts;
pub mod types;
pub mod vocabulary;

#[cfg(test)]
mod tests;

pub use batches::{BatchPlan, Cursor, Order};
pub use corpus::Corpus;
pub use data::{Counts, Data};
pub use kind::{Kind, TextKind, TokenKind};
pub use settings::{TextSettings, VocabularyFrom};
pub use split::Split;
pub use texts::{Sources, Texts};
pub use vocabulary::Vocabulary;
