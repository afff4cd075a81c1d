//! The two streams. Results go to stdout, as text for people or as JSON Lines for programs; messages go to stderr.

use std::borrow::Cow;
use std::fmt::Write as _;
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
        if self.json { Ok(()) } else { write_line(&plain(text.as_ref())) }
    }

    /// A result for programs, an object with an `event` field; nothing without `--json`.
    pub fn event(&self, event: &str, fields: &impl Serialize) -> Result<()> {
        if self.json { write_line(&Self::event_line(event, fields)) } else { Ok(()) }
    }

    /// Whole lines of results, written at once.
    pub fn lines(&self, lines: &str) -> Result<()> {
        if self.json { write(lines) } else { write(&plain(lines)) }
    }

    /// One line for programs, in the form of [`Output::event`].
    pub fn event_line(event: &str, fields: &impl Serialize) -> String {
        #[derive(Serialize)]
        struct Line<'a, T> {
            event: &'a str,
            #[serde(flatten)]
            fields: &'a T,
        }
        let line = serde_json::to_string(&Line { event, fields }).expect("plain data becomes JSON");
        // JSON leaves these as they are, and a terminal may obey them. Outside of strings there are none.
        escaped(&line, char::is_control, |control, line| {
            write!(line, "\\u{:04x}", u32::from(control)).expect("a string takes all");
        })
        .into_owned()
    }

    /// A message on stderr, but for `--quiet`.
    pub fn message(&self, text: impl AsRef<str>) {
        if !self.quiet {
            // Whoever closed stderr does not want messages; the run goes on.
            let _ = writeln!(std::io::stderr(), "{}", plain(text.as_ref()));
        }
    }

    /// A message on stderr for `-v`.
    pub fn detail(&self, text: impl AsRef<str>) {
        if self.verbose {
            self.message(text);
        }
    }
}

/// A text for people in which no character gives orders to the terminal: a model or a text of someone else could clear the
/// screen or set the window's title. Control characters other than a line's end and a tab stand there as in Rust's
/// strings, `\u{1b}`. With `--json` a program gets all tokens as they are.
pub fn plain(text: &str) -> Cow<'_, str> {
    let commands = |character: char| character.is_control() && !matches!(character, '\n' | '\t');
    escaped(text, commands, |character, plain| plain.extend(character.escape_default()))
}

/// A text with some characters written in another way.
fn escaped(text: &str, chosen: impl Fn(char) -> bool, escape: impl Fn(char, &mut String)) -> Cow<'_, str> {
    if !text.contains(&chosen) {
        return Cow::Borrowed(text);
    }
    let mut result = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if chosen(character) { escape(character, &mut result) } else { result.push(character) }
    }
    Cow::Owned(result)
}

fn write_line(text: &str) -> Result<()> {
    write(&format!("{text}\n"))
}

fn write(text: &str) -> Result<()> {
    if cfg!(test) {
        // What a unit test prints is only shown where it fails.
        print!("{text}");
        return Ok(());
    }
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

/// A number to so many digits, at least one: what lies beyond them is noise, or how a float32 is written in float64.
pub fn rounded(value: f64, digits: usize) -> f64 {
    format!("{value:.*e}", digits - 1).parse().expect("a number that was just written")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_gives_orders_to_the_terminal() {
        assert_eq!(plain("a\tb\n\u{1b}[2J\r\u{9b}\0é\u{202e}"), "a\tb\n\\u{1b}[2J\\r\\u{9b}\\u{0}é\u{202e}");
        let fields = [("token", "\u{1b}\u{7f}\u{9b}2J\n")].into_iter().collect::<std::collections::BTreeMap<_, _>>();
        let line = Output::event_line("token", &fields);
        assert!(!line.contains(char::is_control), "{line:?}");
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["token"], fields["token"]);
    }

    #[test]
    fn thousands_stand_apart() {
        assert_eq!([0, 999, 1000, 182_625, 1_000_000].map(grouped), ["0", "999", "1,000", "182,625", "1,000,000"]);
    }

    #[test]
    fn digits_beyond_those_asked_for_are_gone() {
        assert_eq!([1, 2, 3].map(|digits| rounded(1.2345e-7, digits)), [1e-7, 1.2e-7, 1.23e-7]);
        assert_eq!(
            [f64::from(0.1_f32), 0.0, -99.96, 1500.0].map(|value| rounded(value, 3)),
            [0.1, 0.0, -100.0, 1500.0]
        );
    }

    #[test]
    fn a_table_has_its_numbers_to_the_right() {
        let text = table(&["", "loss"], &[vec!["train".into(), "2.1".into()], vec!["t".into(), "12.25".into()]]);
        assert_eq!(text.lines().nth(1).unwrap().trim_end(), " train    2.1");
        assert_eq!(text.lines().nth(2).unwrap().trim_end(), " t      12.25");
    }
}
