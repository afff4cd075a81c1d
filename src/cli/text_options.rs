//! The options that say how a text is read, cut, and made into a vocabulary.

use std::path::PathBuf;

use clap::Args;

use crate::text::{Data, Kind, Sources, Split, TextKind, TextSettings, TokenKind, VocabularyFrom};
use crate::{Error, Result};

/// How a text is read, cut, and made into a vocabulary.
// Help texts name tokens as they are written.
#[allow(rustdoc::invalid_html_tags)]
#[derive(Clone, Debug, Args)]
pub struct TextOptions {
    /// What a token is: a character (a Unicode scalar value), or a run of non-blanks
    #[arg(long, value_name = "KIND", help_heading = "Text")]
    tokens: Option<TokenKind>,

    /// Every line an item of its own with an end mark, or one running text
    #[arg(long = "text", value_name = "KIND", help_heading = "Text")]
    text_kind: Option<TextKind>,

    /// In a stream of words a blank line becomes the token <p>, two or more become <p> <text>, and so does the end
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    #[arg(help_heading = "Text")]
    marks: Option<bool>,

    /// Tokens seen fewer than N times become <rare> [default: 1; words, mlp1 to mlp10: 4]
    #[arg(long, value_name = "N", help_heading = "Text")]
    min_count: Option<u64>,

    /// Keep the N most frequent tokens; the others become <rare> [default: all]
    #[arg(long, value_name = "N", help_heading = "Text")]
    max_vocab: Option<u64>,

    /// Where the vocabulary and its counts come from [default: train; words, mlp1 to mlp10: all]
    #[arg(long, value_name = "PART", help_heading = "Text")]
    vocab_from: Option<VocabularyFrom>,

    /// Shares for training, validation and test (lines are shuffled by the seed, a stream is cut in order), or token counts
    /// of a stream with `rest` for one of them: 800000/200000/rest. `paper` is that for a text of the size of the Brown corpus and 80/10/10 for others
    /// [default: 80/10/10; words, mlp1 to mlp10: paper]
    #[arg(long, value_name = "A/B/C", help_heading = "Text")]
    split: Option<Split>,

    /// A validation part of its own, instead of a share of TEXT
    #[arg(long, value_name = "FILE", help_heading = "Text")]
    valid: Option<PathBuf>,

    /// A test part of its own, instead of a share of TEXT
    #[arg(long, value_name = "FILE", help_heading = "Text")]
    test: Option<PathBuf>,
}

impl TextOptions {
    /// The files: TEXT (`None`: the built-in names) and the held-out parts.
    pub fn sources(&self, text: Option<PathBuf>) -> Sources {
        Sources { text, valid: self.valid.clone(), test: self.test.clone() }
    }

    /// The settings after defaults, checked: those of a preset where the options do not say; the seed shuffles lines. An
    /// error names the option.
    pub fn settings(&self, default: TextSettings, seed: u32) -> Result<TextSettings> {
        let tokens = self.tokens.unwrap_or(default.kind.tokens);
        let text = self.text_kind.unwrap_or(default.kind.text);
        // Other tokens or lines than a preset's leave its marks behind.
        let is_presets = tokens == default.kind.tokens && text == default.kind.text;
        let settings = TextSettings {
            kind: Kind { tokens, text, marks: self.marks.unwrap_or(default.kind.marks && is_presets) },
            min_count: self.min_count.unwrap_or(default.min_count),
            max_vocab: self.max_vocab.or(default.max_vocab),
            vocabulary_from: self.vocab_from.unwrap_or(default.vocabulary_from),
            split: self.split.unwrap_or(default.split),
            seed,
        };
        settings.check(self.valid.is_some(), self.test.is_some()).map_err(Error::usage)?;
        Ok(settings)
    }

    /// Reads and cuts TEXT with the settings that these options give, for examples with `context` tokens.
    pub fn data(&self, text: Option<PathBuf>, settings: &TextSettings, context: usize) -> Result<Data> {
        self.sources(text).read(settings.kind)?.data(settings, context, None)
    }
}
