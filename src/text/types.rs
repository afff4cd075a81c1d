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
    table: HashTable<u32>,
    /// The number of each character that was met, by its code point: characters need no hashing.
    characters: Vec<u32>,
}

/// No number.
const NONE: u32 = u32::MAX;

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
        text_of(&self.arena, &self.ends, number)
    }

    /// The number of a word; the next free one where it is new.
    pub fn word(&mut self, word: &str) -> u32 {
        let Types { arena, ends, table, .. } = self;
        let hash = hash(word);
        if let Some(&number) = table.find(hash, |&number| text_of(arena, ends, number) == word) {
            return number;
        }
        arena.push_str(word);
        ends.push(arena.len());
        let number = ends.len() as u32 - 1;
        table.insert_unique(hash, number, |&number| self::hash(text_of(arena, ends, number)));
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
        self.table.find(hash(word), |&number| self.text(number) == word).copied()
    }
}

fn text_of<'a>(arena: &'a str, ends: &[usize], number: u32) -> &'a str {
    let number = number as usize;
    let start = if number == 0 { 0 } else { ends[number - 1] };
    &arena[start..ends[number]]
}

/// A fast hash of a token; the same in every run.
pub(super) fn hash(word: &str) -> u64 {
    let mut hasher = FixedState::with_seed(0).build_hasher();
    hasher.write(word.as_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_word_keeps_its_number(words in proptest::collection::vec("[a-cä]{0,3}", 1..200)) {
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
