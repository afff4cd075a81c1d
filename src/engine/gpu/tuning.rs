//! What was found out about an adapter by measuring, kept from one run of the program to the next: which variant of a
//! kernel is the fastest. The engine does not know where it is kept; whoever opens it gives a [`Store`]. Compiled pipelines
//! are kept by the drivers, in caches of their own (Mesa's llvmpipe: 1.8 s to the first step at first, then 14 ms). Vulkan's
//! cache for programs to keep, filled and read back with Mesa's own switched off, held 96 bytes and saved nothing.

use crate::Result;
use std::collections::{BTreeMap, BTreeSet};

use super::adapters::Adapter;

/// A place that outlives the program. Its owner promises nothing: what was kept may be gone or broken, and the engine
/// finds it out anew.
pub trait Store {
    /// The bytes that were kept under a name.
    fn load(&self, name: &str) -> Option<Vec<u8>>;

    /// Keeps bytes under a name, if it can.
    fn save(&self, name: &str, bytes: &[u8]);
}

/// Keeps nothing.
pub struct NoStore;

impl Store for NoStore {
    fn load(&self, _: &str) -> Option<Vec<u8>> {
        None
    }

    fn save(&self, _: &str, _: &[u8]) {}
}

/// Choices by key, for one adapter with one driver.
pub(super) struct Tuning {
    store: Box<dyn Store>,
    name: String,
    choices: BTreeMap<String, String>,
    used: BTreeSet<String>,
}

impl Tuning {
    /// What a store knows of an adapter.
    pub(super) fn of(adapter: &Adapter, store: Box<dyn Store>) -> Self {
        // Another release of this program has other kernels.
        let version = env!("CARGO_PKG_VERSION");
        let name = file_name(&[adapter.backend, &adapter.name, &adapter.driver, version]);
        let choices = store.load(&format!("{name}.toml")).map(read_choices).unwrap_or_default();
        Tuning { store, name, choices, used: BTreeSet::new() }
    }

    /// What was chosen under a key.
    pub(super) fn get(&mut self, key: &str) -> Option<String> {
        self.used.insert(key.to_owned());
        self.choices.get(key).cloned()
    }

    /// Keeps a choice.
    pub(super) fn set(&mut self, key: &str, value: &str) {
        self.used.insert(key.to_owned());
        self.choices.insert(key.to_owned(), value.to_owned());
        if let Ok(text) = toml::to_string(&self.choices) {
            self.store.save(&format!("{}.toml", self.name), text.as_bytes());
        }
    }

    /// Takes over what another one knows, without keeping it.
    pub(super) fn learn(&mut self, other: &Tuning) {
        self.choices.extend(other.choices.clone());
    }

    /// Every choice that was made or looked up, for people.
    pub(super) fn used(&self) -> Vec<String> {
        let choice = |key: &String| Some(format!("{key}: {}", self.choices.get(key)?));
        self.used.iter().filter_map(choice).collect()
    }
}

/// The choices that were kept; none where the bytes are broken.
pub(crate) fn read_choices(bytes: Vec<u8>) -> BTreeMap<String, String> {
    String::from_utf8(bytes).ok().and_then(|text| toml::from_str(&text).ok()).unwrap_or_default()
}

/// A name that every file system takes.
fn file_name(parts: &[&str]) -> String {
    let words = parts.iter().flat_map(|part| part.split(|c: char| !c.is_ascii_alphanumeric()));
    let words: Vec<String> = words.filter(|word| !word.is_empty()).map(str::to_lowercase).collect();
    let mut name = words.join("-");
    name.truncate(200);
    name
}

/// The variant whose trial takes the fewest seconds, the first of equals. Each is measured so often, and its shortest time
/// counts; they take turns, for a machine that is slower now and then.
pub(super) fn fastest<V: Copy, T>(
    trials: &[(V, T)],
    turns: usize,
    mut seconds: impl FnMut(&T) -> Result<f64>,
) -> Result<V> {
    let mut shortest = vec![f64::INFINITY; trials.len()];
    for _ in 0..turns {
        for (shortest, (_, trial)) in shortest.iter_mut().zip(trials) {
            *shortest = shortest.min(seconds(trial)?);
        }
    }
    let place = (0..trials.len()).min_by(|&a, &b| shortest[a].total_cmp(&shortest[b])).expect("there is a variant");
    Ok(trials[place].0)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Rc<RefCell<BTreeMap<String, Vec<u8>>>>);

    impl Store for Kept {
        fn load(&self, name: &str) -> Option<Vec<u8>> {
            self.0.borrow().get(name).cloned()
        }

        fn save(&self, name: &str, bytes: &[u8]) {
            self.0.borrow_mut().insert(name.to_owned(), bytes.to_vec());
        }
    }

    #[test]
    fn a_choice_is_there_the_next_time_and_a_broken_file_is_none() {
        let Some(adapter) = super::super::adapters(None).into_iter().next() else { return };
        let kept = Kept::default();
        let mut tuning = Tuning::of(&adapter, Box::new(kept.clone()));
        assert_eq!(tuning.get("small"), None);
        assert!(tuning.used().is_empty());
        tuning.set("small", "wide");
        assert_eq!(tuning.used(), ["small: wide"]);
        assert_eq!(Tuning::of(&adapter, Box::new(kept.clone())).get("small").as_deref(), Some("wide"));
        kept.0.borrow_mut().values_mut().for_each(|bytes| *bytes = b"small = [".to_vec());
        assert_eq!(Tuning::of(&adapter, Box::new(kept)).get("small"), None);
    }

    #[test]
    fn the_shortest_time_of_all_turns_counts_and_the_first_of_equals() {
        let times = |turn: usize| [[3.0, 9.0, 2.0], [2.0, 1.0, 9.0], [9.0, 1.0, 1.0]][turn];
        let trials = [("a", 0), ("b", 1), ("c", 2)];
        for (turns, expected) in [(1, "c"), (2, "b"), (3, "b")] {
            let mut measured = 0;
            let seconds = |&place: &usize| {
                measured += 1;
                Ok(times((measured - 1) / trials.len())[place])
            };
            assert_eq!(fastest(&trials, turns, seconds).unwrap(), expected);
            assert_eq!(measured, turns * trials.len());
        }
    }

    #[test]
    fn names_of_files_are_plain() {
        assert_eq!(file_name(&["vulkan", "llvmpipe (LLVM 15.0.6, 256 bits)"]), "vulkan-llvmpipe-llvm-15-0-6-256-bits");
    }
}
