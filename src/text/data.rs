//! The three parts of a run's text as corpora, and the vocabulary.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Corpus, Lines, Split, Vocabulary};

/// Where the vocabulary comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum VocabularyFrom {
    /// The training part; a character that only a held-out part has becomes `<rare>`.
    Train,
    /// All three parts.
    All,
}

/// A text cut into its parts.
#[derive(Clone, Debug)]
pub struct Data {
    /// The tokens.
    pub vocabulary: Vocabulary,
    /// The training part.
    pub train: Arc<Corpus>,
    /// The validation part; `None` where the split gives it no share.
    pub valid: Option<Corpus>,
    /// The test part; `None` where the split gives it no share.
    pub test: Option<Corpus>,
    /// The lines of the training part as token ids: what a sample is known from.
    pub train_lines: Vec<Vec<u32>>,
}

/// How to cut a text.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// Shares of the parts that come from the text itself.
    pub split: Split,
    /// Shuffles the lines.
    pub seed: u32,
    /// Where the vocabulary comes from.
    pub vocabulary_from: VocabularyFrom,
    /// Tokens of context (n).
    pub context: usize,
}

impl Data {
    /// Cuts `text` by the split, but for held-out parts that are given as texts of their own. With `vocabulary` (a
    /// model's) the text is encoded in that one. An error is a sentence without the file's name.
    pub fn new(
        text: &Lines,
        valid: Option<&Lines>,
        test: Option<&Lines>,
        cut: Cut,
        vocabulary: Option<&Vocabulary>,
    ) -> Result<Self, String> {
        let lines: Vec<&str> = text.iter().collect();
        if lines.len() > u32::MAX as usize / 2 {
            return Err(format!("{} lines are more than the {} that fit", lines.len(), u32::MAX / 2));
        }
        let parts = cut.split.without(valid.is_some(), test.is_some()).cut(lines.len(), cut.seed)?;
        let part = |index: usize, file: Option<&Lines>| -> Vec<String> {
            match file {
                Some(file) => file.iter().map(str::to_owned).collect(),
                None => parts.lines[index].iter().map(|&line| lines[line as usize].to_owned()).collect(),
            }
        };
        let parts = [part(0, None), part(1, valid), part(2, test)];
        let vocabulary = match vocabulary {
            Some(vocabulary) => vocabulary.clone(),
            None => vocabulary_of(&parts, cut.vocabulary_from),
        };
        if vocabulary.len() < 3 {
            return Err(format!(
                "the training part has only one character ({:?}), so there is nothing to learn: give a text with more",
                vocabulary.tokens().last().expect("a token")
            ));
        }
        let [train_lines, valid, test] = [0, 1, 2].map(|index| encode(&parts[index], &vocabulary));
        let (train_lines, valid, test) = (train_lines?, valid?, test?);
        for part in [&train_lines, &valid, &test] {
            Corpus::check_size(part, cut.context)?;
        }
        let corpus = |lines: Vec<Vec<u32>>| (!lines.is_empty()).then(|| Corpus::from_lines(&lines, cut.context));
        Ok(Data {
            train: Arc::new(Corpus::from_lines(&train_lines, cut.context)),
            valid: corpus(valid),
            test: corpus(test),
            vocabulary,
            train_lines,
        })
    }

    /// The three parts by name.
    pub fn parts(&self) -> [(&'static str, Option<&Corpus>); 3] {
        [("train", Some(&self.train)), ("valid", self.valid.as_ref()), ("test", self.test.as_ref())]
    }
}

fn vocabulary_of(parts: &[Vec<String>; 3], from: VocabularyFrom) -> Vocabulary {
    let all = || parts.iter().flatten().map(String::as_str);
    match from {
        VocabularyFrom::All => Vocabulary::of_lines(all(), false),
        VocabularyFrom::Train => {
            let train = || parts[0].iter().map(String::as_str);
            let vocabulary = Vocabulary::of_lines(train(), false);
            let unknown = all().flat_map(str::chars).any(|character| !vocabulary.contains(character));
            if unknown { Vocabulary::of_lines(train(), true) } else { vocabulary }
        }
    }
}

fn encode(lines: &[String], vocabulary: &Vocabulary) -> Result<Vec<Vec<u32>>, String> {
    lines
        .iter()
        .map(|line| {
            vocabulary.encode(line).map_err(|character| {
                format!(
                    "the character {character:?} (in {line:?}) is unknown to the model, which was trained on a text \
                     without it: leave it out, or train on a text that has it"
                )
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Lines {
        Lines::from_bytes(text.as_bytes().to_vec()).unwrap()
    }

    fn cut(vocabulary_from: VocabularyFrom) -> Cut {
        Cut { split: Split::default(), seed: 42, vocabulary_from, context: 3 }
    }

    #[test]
    fn a_character_of_the_held_out_part_alone_is_rare_or_a_token() {
        let (text, valid, test) = (lines("ab\nba\n"), lines("aü\n"), lines("b\n"));
        let data = |from| Data::new(&text, Some(&valid), Some(&test), cut(from), None).unwrap();
        assert_eq!(data(VocabularyFrom::Train).vocabulary.tokens(), [".", "a", "b", "<rare>"]);
        assert_eq!(data(VocabularyFrom::All).vocabulary.tokens(), [".", "a", "b", "ü"]);
        assert_eq!(data(VocabularyFrom::Train).valid.unwrap().target_of(1), 3);
    }

    #[test]
    fn a_vocabulary_of_one_character_is_an_error() {
        let text = lines("aaa\naa\n");
        let error = Data::new(&text, Some(&text), Some(&text), cut(VocabularyFrom::Train), None).unwrap_err();
        assert!(error.contains("only one character"), "{error}");
    }

    #[test]
    fn a_character_unknown_to_a_model_is_named() {
        let (text, model) = (lines("xyz\n"), Vocabulary::of_lines(["xy"], false));
        let error = Data::new(&text, Some(&text), Some(&text), cut(VocabularyFrom::Train), Some(&model)).unwrap_err();
        assert!(error.contains("'z' (in \"xyz\")"), "{error}");
    }
}
