//! The two streams. Results go to stdout, as text for people or as JSON Lines for programs; messages go to stderr.

use std::io::{ErrorKind, Write};

use comfy_table::{CellAlignment, ContentArrangement, Table};
use serde::Serialize;

use crate::{Error, Result};

/// Where a command writes.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// Results as JSON Lines.
    pub json: bool,
    /// No messages.
    pub quiet: bool,
    /// More messages.
    pub verbose: bool,
}

impl Output {
    /// A result for people; nothing with `--json`.
    pub fn text(&self, text: impl AsRef<str>) -> Result<()> {
        if self.json { Ok(()) } else { write_line(text.as_ref()) }
    }

    /// A result for programs, an object with an `event` field; nothing without `--json`.
    pub fn event(&self, event: &str, fields: &impl Serialize) -> Result<()> {
        if self.json { write_line(&Self::event_line(event, fields)) } else { Ok(()) }
    }

    /// Whole lines of results, as they are, written at once.
    pub fn lines(&self, lines: &str) -> Result<()> {
        write(lines)
    }

    /// One line for programs, in the form of [`Output::event`].
    pub fn event_line(event: &str, fields: &impl Serialize) -> String {
        #[derive(Serialize)]
        struct Line<'a, T> {
            event: &'a str,
            #[serde(flatten)]
            fields: &'a T,
        }
        serde_json::to_string(&Line { event, fields }).expect("plain data becomes JSON")
    }

    /// A message on stderr, but for `--quiet`.
    pub fn message(&self, text: impl AsRef<str>) {
        if !self.quiet {
            // Whoever closed stderr does not want messages; the run goes on.
            let _ = writeln!(std::io::stderr(), "{}", text.as_ref());
        }
    }

    /// A message on stderr for `-v`.
    pub fn detail(&self, text: impl AsRef<str>) {
        if self.verbose {
            self.message(text);
        }
    }
}

fn write_line(text: &str) -> Result<()> {
    write(&format!("{text}\n"))
}

fn write(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    written.map_err(|source| match source.kind() {
        ErrorKind::BrokenPipe => Error::Closed,
        _ => Error::file(std::path::Path::new("standard output"), "write", source),
    })
}

/// A plain table; a column of which every cell begins with a digit or a sign is set to the right.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let number = |cell: &String| cell.starts_with(|first: char| first.is_ascii_digit() || "+-".contains(first));
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header);
    table.add_rows(rows);
    for (index, column) in table.column_iter_mut().enumerate() {
        if rows.iter().all(|row| row.get(index).is_some_and(number)) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.to_string().lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// A whole number with its thousands apart: 182,625.
pub fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut result = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            result.push(',');
        }
        result.push(digit);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        assert_eq!([0, 999, 1000, 182_625, 1_000_000].map(grouped), ["0", "999", "1,000", "182,625", "1,000,000"]);
    }

    #[test]
    fn a_table_has_its_numbers_to_the_right() {
        let text = table(&["", "loss"], &[vec!["train".into(), "2.1".into()], vec!["t".into(), "12.25".into()]]);
        assert_eq!(text.lines().nth(1).unwrap().trim_end(), " train    2.1");
        assert_eq!(text.lines().nth(2).unwrap().trim_end(), " t      12.25");
    }
}
