//! The distinct tokens of texts while they are read, numbered as they are met.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;
use hashbrown::HashTable;

/// A set of strings with small numbers: one arena of characters, and a table of numbers that looks into it.
#[derive(Clone, Debug, Default)]
pub struct Types {
    arena: String,
    /// Where each string ends in the arena.
    ends: Vec<usize>,
    table: HashTable<Entry>,
    /// The words of at most eight bytes that were met last: most words of a text are found here.
    recent: Vec<Recent>,
    /// The number of each character that was met, by its code point: characters need no hashing.
    characters: Vec<u32>,
}

/// A word in the table. Its hash and its place in the arena are kept so that a look-up goes to memory twice at most.
#[derive(Clone, Copy, Debug)]
struct Entry {
    hash: u64,
    start: usize,
    length: u32,
    number: u32,
}

impl Entry {
    fn is(&self, hash: u64, word: &str, arena: &str) -> bool {
        self.hash == hash
            && self.length as usize == word.len()
            && arena.as_bytes()[self.start..].starts_with(word.as_bytes())
    }
}

/// No number.
const NONE: u32 = u32::MAX;
/// Places for recent words, as a power of two: 64 KiB, which stay in a core's cache.
const RECENT_BITS: u32 = 12;

/// A short word and its number. The default stands for none: no word has length 0 here.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Short {
    bytes: u64,
    length: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Recent {
    word: Short,
    number: u32,
}

impl Short {
    /// A word of one to eight bytes as a number; with its length it fixes the word.
    fn of(word: &[u8]) -> Option<Self> {
        let length = word.len();
        let four = |at: usize| word[at..].first_chunk().map_or(0, |&bytes| u64::from(u32::from_le_bytes(bytes)));
        let bytes = match length {
            1..=3 => u64::from(word[0]) | u64::from(word[length / 2]) << 8 | u64::from(word[length - 1]) << 16,
            4..=8 => four(0) | four(length - 4) << 32,
            _ => return None,
        };
        Some(Short { bytes, length: length as u32 })
    }

    fn place(self) -> usize {
        let mixed = (self.bytes ^ u64::from(self.length)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> (u64::BITS - RECENT_BITS)) as usize
    }
}

impl Types {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The string with a number.
    pub fn text(&self, number: u32) -> &str {
        let number = number as usize;
        let start = if number == 0 { 0 } else { self.ends[number - 1] };
        &self.arena[start..self.ends[number]]
    }

    /// The number of a word; the next free one where it is new.
    pub fn word(&mut self, word: &str) -> u32 {
        let Some(short) = Short::of(word.as_bytes()) else { return self.any_word(word) };
        if self.recent.is_empty() {
            self.recent = vec![Recent::default(); 1 << RECENT_BITS];
        }
        let recent = self.recent[short.place()];
        if recent.word == short {
            return recent.number;
        }
        let number = self.any_word(word);
        self.recent[short.place()] = Recent { word: short, number };
        number
    }

    fn any_word(&mut self, word: &str) -> u32 {
        let Types { arena, ends, table, .. } = self;
        let hash = hash(word);
        if let Some(entry) = table.find(hash, |entry| entry.is(hash, word, arena)) {
            return entry.number;
        }
        let (start, number) = (arena.len(), ends.len() as u32);
        arena.push_str(word);
        ends.push(arena.len());
        let length = word.len() as u32;
        table.insert_unique(hash, Entry { hash, start, length, number }, |entry| entry.hash);
        number
    }

    /// The number of a character; the next free one where it is new.
    pub fn character(&mut self, character: char) -> u32 {
        let place = character as usize;
        match self.characters.get(place) {
            Some(&number) if number != NONE => number,
            _ => {
                let number = self.word(character.encode_utf8(&mut [0; 4]));
                if place >= self.characters.len() {
                    self.characters.resize(place + 1, NONE);
                }
                self.characters[place] = number;
                number
            }
        }
    }

    /// The number of a word, if it was met.
    pub fn find(&self, word: &str) -> Option<u32> {
        let hash = hash(word);
        self.table.find(hash, |entry| entry.is(hash, word, &self.arena)).map(|entry| entry.number)
    }
}

/// A fast hash of a token; the same in every run.
pub(super) fn hash(word: &str) -> u64 {
    const STATE: FixedState = FixedState::with_seed(0);
    let mut hasher = STATE.build_hasher();
    hasher.write(word.as_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_word_keeps_its_number(words in proptest::collection::vec("[a-cä\\x00]{0,9}", 1..200)) {
            let mut types = Types::default();
            let numbers: Vec<u32> = words.iter().map(|word| types.word(word)).collect();
            for (word, &number) in words.iter().zip(&numbers) {
                prop_assert_eq!(types.text(number), word);
                prop_assert_eq!(types.word(word), number);
                prop_assert_eq!(types.find(word), Some(number));
            }
            let distinct: std::collections::BTreeSet<_> = words.iter().collect();
            prop_assert_eq!(types.len(), distinct.len());
        }
    }

    #[test]
    fn a_character_is_the_word_of_it() {
        let mut types = Types::default();
        let numbers = [types.word("ä"), types.character('𝄞'), types.character('ä'), types.word("𝄞")];
        assert_eq!(numbers, [0, 1, 0, 1]);
        assert_eq!(types.find("x"), None);
    }
}
