//! language_model
