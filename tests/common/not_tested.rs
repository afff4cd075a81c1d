//! What a machine has not, and a test needs.

use std::fmt::Display;
use std::io::Write;

/// Says that this test tests nothing here, and why: past cargo, which keeps what a test that passes prints with `eprintln!`.
pub(crate) fn not_tested(reason: impl Display) {
    let thread = std::thread::current();
    let _ = writeln!(std::io::stderr(), "NOT TESTED by {}: {reason}", thread.name().unwrap_or("a thread"));
}
