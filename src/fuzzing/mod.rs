//! The readers of files, fed with broken ones: whatever the bytes, a reader answers with a value or an error, and takes no
//! more memory than the bytes account for. The unit tests change whole files at random and read again what is kept in
//! `tests/corpus`; the targets in `tests/fuzz` let libFuzzer search for what no file had before.

pub mod allocations;
#[cfg(test)]
mod mutate;
pub mod readers;
#[cfg(test)]
mod tests;
