//! From a text file to token ids on which an engine trains.

pub mod batches;
pub mod corpus;
pub mod data;
pub mod random;
pub mod source;
pub mod split;
pub mod vocabulary;

pub use batches::{BatchPlan, Cursor, Order};
pub use corpus::Corpus;
pub use data::Data;
pub use source::Lines;
pub use split::Split;
pub use vocabulary::Vocabulary;
