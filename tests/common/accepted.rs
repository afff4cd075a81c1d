//! Counts that were accepted, in a file that the tests hold the program to.
//!
//! A change that is meant is accepted by running the test once with `GPU_MLP_ACCEPT_COUNTS=1`, which rewrites the file.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

/// Counts by name.
pub(crate) type Counts = BTreeMap<String, u64>;

const ACCEPT: &str = "GPU_MLP_ACCEPT_COUNTS";

/// A file in `tests/golden` with accepted counts.
pub(crate) struct Accepted {
    /// Its name.
    pub(crate) file: &'static str,
    /// The test that it belongs to.
    pub(crate) test: &'static str,
    /// What it holds, as comment lines.
    pub(crate) about: &'static str,
    /// By which share a count may be off.
    pub(crate) band: f64,
}

impl Accepted {
    /// Fails where a count is not the accepted one, or rewrites the file if that is asked for.
    pub(crate) fn hold(&self, found: &Counts) {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(self.file);
        if std::env::var(ACCEPT).is_ok_and(|value| !value.is_empty()) {
            let mut text = self.about.lines().fold(String::new(), |text, line| text + "# " + line + "\n");
            found.iter().for_each(|(name, count)| writeln!(text, "{name} = {count}").unwrap());
            std::fs::write(&path, text).unwrap();
            eprintln!("accepted: {}", path.display());
            return;
        }
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let accepted: Counts = toml::from_str(&text).unwrap();
        let complaints = complaints(&accepted, found, self.band);
        assert!(
            complaints.is_empty(),
            "{}\nIf this is meant, accept it: {ACCEPT}=1 cargo test --release --test {}\nand commit tests/golden/{}",
            complaints.join("\n"),
            self.test,
            self.file
        );
    }
}

/// What is not as accepted, a line each.
fn complaints(accepted: &Counts, found: &Counts, band: f64) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, &new) in found {
        match accepted.get(name) {
            None => lines.push(format!("{name}: {new}, and no count is accepted yet")),
            Some(&old) => {
                let off = new as f64 - old as f64;
                if off.abs() > band * old as f64 {
                    let (percent, band) = (off / old as f64 * 100.0, band * 100.0);
                    lines.push(format!(
                        "{name}: {old} was accepted, {new} was found: {percent:+.1} %, the band is {band} %"
                    ));
                }
            }
        }
    }
    let gone = accepted.keys().filter(|name| !found.contains_key(*name));
    lines.extend(gone.map(|name| format!("{name} is accepted, but nothing counts it any more")));
    lines
}

#[test]
fn a_count_beyond_the_band_is_told_with_old_and_new() {
    let counts =
        |pairs: &[(&str, u64)]| pairs.iter().map(|&(name, count)| (name.to_owned(), count)).collect::<Counts>();
    let accepted = counts(&[("a", 1000), ("b", 10)]);
    assert!(complaints(&accepted, &counts(&[("a", 1030), ("b", 10)]), 0.03).is_empty());
    let found = complaints(&accepted, &counts(&[("a", 1031), ("c", 1)]), 0.03);
    assert_eq!(found[0], "a: 1000 was accepted, 1031 was found: +3.1 %, the band is 3 %");
    assert!(found[1].contains("c: 1") && found[2].contains("b is accepted") && found.len() == 3);
    assert_eq!(complaints(&accepted, &counts(&[("a", 999), ("b", 9)]), 0.0).len(), 2, "less is a change, too");
}
