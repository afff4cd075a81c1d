//! Tokens and their ids. For characters of lines: the end mark `.` is 0, then the characters sorted by code point.

use std::collections::{BTreeSet, HashMap};

/// How the end of a line is written where a token is shown.
pub const END: &str = ".";
/// The token that stands for every character that the training part does not hold.
pub const RARE: &str = "<rare>";

/// The tokens of a model. The id of a token is its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Vocabulary {
    tokens: Vec<String>,
    ids: HashMap<char, u32>,
    rare: Option<u32>,
}

impl Vocabulary {
    /// The vocabulary of some lines; with `rare`, one token more that stands for characters which are not in them.
    pub fn of_lines<'a>(lines: impl IntoIterator<Item = &'a str>, rare: bool) -> Self {
        let characters: BTreeSet<char> = lines.into_iter().flat_map(str::chars).collect();
        let tokens = std::iter::once(END.to_owned())
            .chain(characters.into_iter().map(String::from))
            .chain(rare.then(|| RARE.to_owned()));
        Self::from_tokens(tokens.collect()).expect("distinct characters")
    }

    /// The vocabulary that a model file lists. An error says which token is not one.
    pub fn from_tokens(tokens: Vec<String>) -> Result<Self, String> {
        if tokens.first().map(String::as_str) != Some(END) {
            return Err(format!("its first token is {:?}, not the end mark {END:?}", tokens.first()));
        }
        let mut ids = HashMap::new();
        let mut rare = None;
        // The end mark is written like a full stop, but no character of a text maps to it.
        for (id, token) in tokens.iter().enumerate().skip(1) {
            let mut characters = token.chars();
            match (characters.next(), characters.next()) {
                (Some(character), None) => {
                    if ids.insert(character, id as u32).is_some() {
                        return Err(format!("token {token:?} stands there twice"));
                    }
                }
                _ if token == RARE && rare.is_none() => rare = Some(id as u32),
                _ => return Err(format!("token {id} is {token:?}, not one character")),
            }
        }
        Ok(Vocabulary { tokens, ids, rare })
    }

    /// Number of tokens (V).
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// A vocabulary is never empty: it holds the end mark.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The tokens in the order of their ids.
    pub fn tokens(&self) -> &[String] {
        &self.tokens
    }

    /// The id of a character: its own, or that of the rare token where there is one.
    pub fn id(&self, character: char) -> Option<u32> {
        self.ids.get(&character).copied().or(self.rare)
    }

    /// Whether a character has an id of its own.
    pub fn contains(&self, character: char) -> bool {
        self.ids.contains_key(&character)
    }

    /// The id of the token for characters that are not in the vocabulary, if the model has one.
    pub fn rare(&self) -> Option<u32> {
        self.rare
    }

    /// The ids of a line's characters, without an end mark. `Err` is the first character that is unknown.
    pub fn encode(&self, line: &str) -> Result<Vec<u32>, char> {
        line.chars().map(|character| self.id(character).ok_or(character)).collect()
    }

    /// The text of some ids, the end mark left out.
    pub fn decode(&self, ids: &[u32]) -> String {
        ids.iter().filter(|&&id| id != 0).map(|&id| self.tokens[id as usize].as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_end_mark_comes_first_then_code_points() {
        let vocabulary = Vocabulary::of_lines(["ба", "az", "𝄞"], false);
        assert_eq!(vocabulary.tokens(), [".", "a", "z", "а", "б", "𝄞"]);
        assert_eq!(vocabulary.encode("az"), Ok(vec![1, 2]));
        assert_eq!(vocabulary.encode("a?"), Err('?'));
    }

    #[test]
    fn a_full_stop_in_the_text_is_not_the_end_mark() {
        let vocabulary = Vocabulary::of_lines(["a.b"], false);
        assert_eq!(vocabulary.tokens(), [".", ".", "a", "b"]);
        assert_eq!(vocabulary.encode("a.b"), Ok(vec![2, 1, 3]));
        assert_eq!(vocabulary.decode(&[2, 1, 3, 0]), "a.b");
    }

    #[test]
    fn unknown_characters_become_rare_where_the_model_has_it() {
        let vocabulary = Vocabulary::of_lines(["ab"], true);
        assert_eq!(vocabulary.encode("a?"), Ok(vec![1, 3]));
        assert_eq!(vocabulary.decode(&[1, 3]), "a<rare>");
    }

    #[test]
    fn a_bad_list_of_tokens_is_refused() {
        let refused = |tokens: &[&str]| Vocabulary::from_tokens(tokens.iter().map(|t| t.to_string()).collect());
        assert!(refused(&[]).is_err());
        assert!(refused(&["a"]).is_err());
        assert!(refused(&[".", "a", "a"]).is_err());
        assert!(refused(&[".", "ab"]).is_err());
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(lines in proptest::collection::vec("\\PC*", 1..8)) {
            let vocabulary = Vocabulary::of_lines(lines.iter().map(String::as_str), false);
            for line in &lines {
                prop_assert_eq!(&vocabulary.decode(&vocabulary.encode(line).unwrap()), line);
            }
            let again = Vocabulary::from_tokens(vocabulary.tokens().to_vec());
            prop_assert_eq!(again, Ok(vocabulary));
        }
    }
}
