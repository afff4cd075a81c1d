//! Tokens and their ids. First what is no token of the text: the end mark of lines, or the mark `<text>` of a stream with
//! marks. Then characters by code point, or words by falling count with ties by code point. Last `<rare>`, if there is one.

use std::fmt;
use std::sync::Arc;

use hashbrown::HashTable;

use super::kind::{Kind, RARE, TokenKind, is_blank};
use super::types::hash;

/// The end mark as people see it.
const END: &str = "(end)";

/// The tokens of a model. The id of a token is its place. Copies share the memory.
#[derive(Clone)]
pub struct Vocabulary {
    kind: Kind,
    tokens: Arc<Vec<String>>,
    /// Ids by token, without the end mark and `<rare>`.
    ids: Arc<HashTable<u32>>,
    rare: Option<u32>,
}

impl Vocabulary {
    /// The vocabulary that a model file lists, or that was chosen. An error says which token is not one.
    pub fn from_tokens(tokens: Vec<String>, kind: Kind) -> Result<Self, String> {
        let first = kind.first_tokens();
        for (id, &expected) in first.iter().enumerate() {
            if tokens.get(id).map(String::as_str) != Some(expected) {
                let name = if kind.has_end() { "end mark" } else { "mark" };
                return Err(format!("its first token is {:?}, not the {name} {expected:?}", tokens.get(id)));
            }
        }
        let mut ids: HashTable<u32> = HashTable::with_capacity(tokens.len());
        let mut rare = None;
        // The end mark is written like a token of a text can be, but none of a text maps to it.
        for (id, token) in tokens.iter().enumerate().skip(usize::from(kind.has_end())) {
            if token == RARE {
                if rare.replace(id as u32).is_some() {
                    return Err(format!("token {token:?} stands there twice"));
                }
                continue;
            }
            let is_token = match kind.tokens {
                TokenKind::Chars => token.chars().count() == 1,
                TokenKind::Words => !token.is_empty() && !token.bytes().any(is_blank),
            };
            if !is_token {
                return Err(format!("token {id} is {token:?}, not one {}", kind.noun()));
            }
            let hash = hash(token);
            if ids.find(hash, |&other| tokens[other as usize] == *token).is_some() {
                return Err(format!("token {token:?} stands there twice"));
            }
            ids.insert_unique(hash, id as u32, |&id| super::types::hash(&tokens[id as usize]));
        }
        if tokens.is_empty() {
            return Err("it has no token".to_owned());
        }
        Ok(Vocabulary { kind, tokens: Arc::new(tokens), ids: Arc::new(ids), rare })
    }

    /// Number of tokens (V).
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// A vocabulary is never empty.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// How texts in it are read.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The tokens in the order of their ids.
    pub fn tokens(&self) -> &[String] {
        &self.tokens
    }

    /// The id of a token of a text: its own, or that of `<rare>` where there is one.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.own_id(token).or(self.rare)
    }

    /// Whether a token of a text has an id of its own.
    pub fn contains(&self, token: &str) -> bool {
        self.own_id(token).is_some()
    }

    fn own_id(&self, token: &str) -> Option<u32> {
        self.ids.find(hash(token), |&id| self.tokens[id as usize] == token).copied()
    }

    /// The id of the token for types that are not in the vocabulary, if the model has one.
    pub fn rare(&self) -> Option<u32> {
        self.rare
    }

    /// The id of the end mark, which lines have and streams have not.
    pub fn end(&self) -> Option<u32> {
        self.kind.has_end().then_some(0)
    }

    /// The ids of a piece of text, without an end mark. An error names the first token that is unknown and says what to
    /// do.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, String> {
        self.kind.split(text).map(|token| self.id(token).ok_or_else(|| self.unknown(token))).collect()
    }

    /// The id of the token that a user names: one of a text, `<rare>`, or the end mark as it is written or shown. An error
    /// lists tokens that are like it.
    pub fn find(&self, name: &str) -> Result<u32, String> {
        let end = || self.end().filter(|&end| name == END || name == self.tokens[end as usize]);
        let rare = || self.rare.filter(|_| name == RARE);
        self.own_id(name).or_else(rare).or_else(end).ok_or_else(|| match (self.kind.tokens, self.like(name)) {
            (TokenKind::Words, like) if !like.is_empty() => {
                format!("the model has no token {name:?}. It has {}", like.join(", "))
            }
            (TokenKind::Words, _) => format!("the model has no token {name:?} among its {}", self.len()),
            (TokenKind::Chars, _) => format!("the model has no token {name:?}. It knows {}", self.listed(200)),
        })
    }

    /// A few tokens that are written like a name, the most similar first.
    fn like(&self, name: &str) -> Vec<&str> {
        let name = name.to_lowercase();
        let likeness = |token: &str| strsim::jaro_winkler(&name, &token.to_lowercase());
        let mut like: Vec<(f64, &str)> = self.tokens.iter().map(|token| (likeness(token), token.as_str())).collect();
        like.retain(|(likeness, _)| *likeness > 0.8);
        like.sort_by(|a, b| b.0.total_cmp(&a.0));
        like.into_iter().take(5).map(|(_, token)| token).collect()
    }

    /// A token as people see it: between quotation marks, or `(end)`.
    pub fn shown(&self, id: u32) -> String {
        if Some(id) == self.end() { END.to_owned() } else { format!("{:?}", self.tokens[id as usize]) }
    }

    /// Why a token cannot be encoded, and what to do.
    fn unknown(&self, token: &str) -> String {
        let (noun, token) = (self.kind.noun(), self.kind.quoted(token));
        format!("the {noun} {token} is unknown to the model, which {}", self.known())
    }

    /// The same for a token at a place in a text.
    pub(super) fn unknown_at(&self, place: &str, token: &str) -> String {
        let (noun, token) = (self.kind.noun(), self.kind.quoted(token));
        format!("{place} holds the {noun} {token}, which is unknown to the model. It {}", self.known())
    }

    fn known(&self) -> String {
        let known = match self.kind.tokens {
            TokenKind::Chars => format!("knows {}", self.listed(200)),
            TokenKind::Words => format!("knows {} tokens and has no {RARE}", self.len()),
        };
        format!("{known}: leave the unknown out, or train on a text that has it (or with --min-count, for {RARE})")
    }

    /// The text of some ids, end marks left out: characters side by side, words with a blank between.
    pub fn decode(&self, ids: &[u32]) -> String {
        let shown = ids.iter().filter(|&&id| Some(id) != self.end()).map(|&id| self.tokens[id as usize].as_str());
        match self.kind.tokens {
            TokenKind::Chars => shown.collect(),
            TokenKind::Words => shown.collect::<Vec<_>>().join(" "),
        }
    }

    /// The first tokens for people, without the end mark, and how many are left out.
    pub fn listed(&self, most: usize) -> String {
        let tokens = &self.tokens[usize::from(self.kind.has_end())..];
        let shown = &tokens[..most.min(tokens.len())];
        let text = match self.kind.tokens {
            TokenKind::Chars => shown.concat().replace('\n', "\\n"),
            TokenKind::Words => shown.join(" "),
        };
        match tokens.len() - shown.len() {
            0 => text,
            more => format!("{text} ... and {more} more"),
        }
    }
}

impl PartialEq for Vocabulary {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && self.tokens == other.tokens
    }
}

impl fmt::Debug for Vocabulary {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Vocabulary").field("kind", &self.kind).field("tokens", &self.tokens).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::TextKind;

    const LINES: Kind = Kind { tokens: TokenKind::Chars, text: TextKind::Lines, marks: false };
    const WORD_LINES: Kind = Kind { tokens: TokenKind::Words, ..LINES };
    const STREAM: Kind = Kind { text: TextKind::Stream, ..WORD_LINES };

    fn vocabulary(tokens: &[&str], kind: Kind) -> Result<Vocabulary, String> {
        Vocabulary::from_tokens(tokens.iter().map(|token| token.to_string()).collect(), kind)
    }

    #[test]
    fn a_full_stop_in_the_text_is_not_the_end_mark() {
        let characters = vocabulary(&[".", ".", "a", "b"], LINES).unwrap();
        assert_eq!(characters.encode("a.b"), Ok(vec![2, 1, 3]));
        assert_eq!(characters.decode(&[2, 1, 3, 0]), "a.b");
        let words = vocabulary(&["</s>", "a", "</s>"], WORD_LINES).unwrap();
        assert_eq!(words.encode(" a  </s>"), Ok(vec![1, 2]));
        assert_eq!(words.decode(&[1, 2, 0]), "a </s>");
    }

    #[test]
    fn unknown_tokens_become_rare_where_the_model_has_it() {
        let with = vocabulary(&[".", "a", "b", "<rare>"], LINES).unwrap();
        assert_eq!(with.encode("a?"), Ok(vec![1, 3]));
        assert_eq!(with.decode(&[1, 3]), "a<rare>");
        assert!(!with.contains("?"));
        let words = vocabulary(&["the", "<rare>"], STREAM).unwrap();
        assert_eq!(words.encode("the <rare> <p>"), Ok(vec![0, 1, 1]));
        let error = vocabulary(&["the", "a"], STREAM).unwrap().encode("the dog").unwrap_err();
        assert!(error.contains("the word \"dog\" is unknown"), "{error}");
        assert!(vocabulary(&[".", "a"], LINES).unwrap().encode("a?").unwrap_err().contains("'?' is unknown"));
    }

    #[test]
    fn a_token_is_found_by_its_name() {
        let characters = vocabulary(&[".", ".", "a", "<rare>"], LINES).unwrap();
        assert_eq!([".", "a", "(end)", "<rare>"].map(|name| characters.find(name).unwrap()), [1, 2, 0, 3]);
        assert_eq!(characters.shown(0), "(end)");
        assert_eq!(characters.shown(1), "\".\"");
        assert!(characters.find("b").unwrap_err().ends_with("It knows .a<rare>"));
        let words = vocabulary(&["</s>", "house", "horse", "tree"], WORD_LINES).unwrap();
        assert_eq!(words.find("</s>"), Ok(0));
        assert!(words.find("Hose").unwrap_err().ends_with("It has house, horse"));
        assert!(words.find("qqq").unwrap_err().ends_with("among its 4"));
        assert!(vocabulary(&["the"], STREAM).unwrap().find("(end)").is_err());
    }

    #[test]
    fn a_bad_list_of_tokens_is_refused() {
        let marked = Kind { marks: true, ..STREAM };
        assert!(vocabulary(&[], LINES).is_err());
        assert!(vocabulary(&[], STREAM).is_err());
        assert!(vocabulary(&["a"], LINES).is_err());
        assert!(vocabulary(&["."], WORD_LINES).is_err());
        assert!(vocabulary(&["the"], marked).unwrap_err().contains("<text>"));
        assert!(vocabulary(&[".", "a", "a"], LINES).unwrap_err().contains("twice"));
        assert!(vocabulary(&[".", "<rare>", "<rare>"], LINES).unwrap_err().contains("twice"));
        assert!(vocabulary(&[".", "ab"], LINES).unwrap_err().contains("not one character"));
        assert!(vocabulary(&["</s>", "a b"], WORD_LINES).unwrap_err().contains("not one word"));
        assert!(vocabulary(&["</s>", ""], WORD_LINES).is_err());
        assert!(vocabulary(&["a", "\n"], Kind { tokens: TokenKind::Chars, ..STREAM }).is_ok());
    }
}
