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

/// How often each variant is measured; its shortest time counts.
const TURNS: usize = 4;
/// What is behind by so many times after a turn is not measured again.
pub(super) const FAR: f64 = 3.0;

/// The seconds that the trial of each variant takes. They are measured in turns: a machine is slower now and then.
pub(super) fn in_turns<V: Copy, T>(
    trials: &[(V, T)],
    mut seconds: impl FnMut(&T) -> Result<f64>,
) -> Result<Vec<(f64, V)>> {
    let mut times: Vec<(f64, V)> = trials.iter().map(|(variant, _)| (f64::INFINITY, *variant)).collect();
    for turn in 0..TURNS {
        let shortest = fastest(&times).map_or(f64::INFINITY, |(seconds, _)| seconds);
        for (time, (_, trial)) in times.iter_mut().zip(trials) {
            if turn == 0 || time.0 < FAR * shortest {
                time.0 = time.0.min(seconds(trial)?);
            }
        }
    }
    Ok(times)
}

/// The variant that takes the fewest seconds, with them; the first of equals.
pub(super) fn fastest<V: Copy>(times: &[(f64, V)]) -> Option<(f64, V)> {
    times.iter().copied().min_by(|a, b| a.0.total_cmp(&b.0))
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
    fn the_shortest_of_all_turns_counts_and_what_lost_by_far_has_no_other() {
        let seconds = [[3.0, 2.0, 9.0, 9.0], [5.0, 9.0, 1.0, 9.0], [10.0, 1.0, 1.0, 1.0], [2.5, 9.0, 9.0, 1.0]];
        let trials = [("a", 0), ("b", 1), ("c", 2), ("d", 3)];
        let mut measured = [0; 4];
        let measure = |&place: &usize| {
            measured[place] += 1;
            Ok(seconds[place][measured[place] - 1])
        };
        let times = in_turns(&trials, measure).unwrap();
        assert_eq!(times, [(2.0, "a"), (1.0, "b"), (10.0, "c"), (1.0, "d")]);
        assert_eq!(measured, [4, 4, 1, 4]);
        assert_eq!(fastest(&times), Some((1.0, "b")));
        assert_eq!(fastest::<&str>(&[]), None);
    }

    #[test]
    fn names_of_files_are_plain() {
        assert_eq!(file_name(&["vulkan", "llvmpipe (LLVM 15.0.6, 256 bits)"]), "vulkan-llvmpipe-llvm-15-0-6-256-bits");
    }
}
