//! The three parts of a run's text as corpora, the vocabulary, and what is counted in each part.

use std::sync::Arc;

use super::source::Source;
use super::types::Types;
use super::{Corpus, Kind, TextKind, TextSettings, Texts, TokenKind, Vocabulary, VocabularyFrom};

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
    /// What is counted in training, validation and test part.
    pub counts: [Counts; 3],
}

/// What is counted in a part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Predicted tokens: every token, and the end marks of lines.
    pub tokens: usize,
    /// Those that are marks: end marks of lines, `<p>` and `<text>` of a stream.
    pub marks: usize,
    /// Those that are `<rare>`.
    pub rare: usize,
    /// Those of the rare ones whose type does not occur at all where the vocabulary comes from.
    pub unknown: usize,
    /// Unicode scalar values of the predicted tokens in the text, with one blank or line end after each word, and one line
    /// end a line and a mark: what bits per character are divided by.
    pub characters: usize,
}

/// The tokens of a part among those of its source.
enum Place {
    /// Lines by their index.
    Lines(Vec<u32>),
    /// A part of a stream.
    Tokens(std::ops::Range<usize>),
}

/// Which source a part comes from, and where in it.
struct Part {
    source: usize,
    place: Place,
}

impl Data {
    /// Cuts the texts by the settings, but for held-out parts that are given as texts of their own. With `vocabulary` (a
    /// model's) they are encoded in that one. An error is a sentence without the file's name.
    pub fn new(
        mut texts: Texts,
        settings: &TextSettings,
        context: usize,
        vocabulary: Option<&Vocabulary>,
    ) -> Result<Self, String> {
        let parts = cut(&texts, settings)?;
        if let Place::Tokens(range) = &parts[0].place
            && range.len() <= context
        {
            return Err(format!(
                "the training part has {} tokens, which is not more than the context of {context}: give more text or a \
                 shorter context (--context; of count models --order, --mix-order)",
                range.len()
            ));
        }
        let counted = [0, 1, 2].map(|index| count_types(&texts, &parts[index]));
        let all: Vec<u64> =
            (0..texts.types.len()).map(|number| counted.iter().map(|part| part[number]).sum()).collect();
        let source = match settings.vocabulary_from {
            VocabularyFrom::Train => &counted[0],
            VocabularyFrom::All => &all,
        };
        let vocabulary = match vocabulary {
            Some(vocabulary) => vocabulary.clone(),
            None => settings.vocabulary(&texts.types, source, &all)?,
        };
        let ids = Ids::new(&texts, &vocabulary)?;
        let counts = [0, 1, 2].map(|index| ids.counts(&texts.types, &counted[index], source, parts[index].lines()));
        texts.sources.iter_mut().flatten().for_each(|source| ids.replace(&mut source.tokens));
        let [train, valid, test] = corpora(&mut texts.sources, &parts, context)?;
        let given = |corpus: Corpus| (!corpus.is_empty()).then_some(corpus);
        Ok(Data { vocabulary, train: Arc::new(train), valid: given(valid), test: given(test), counts })
    }

    /// How many tokens the training part predicts.
    pub(super) fn train_predictions(texts: &Texts, settings: &TextSettings) -> Result<usize, String> {
        let [train, ..] = cut(texts, settings)?;
        let tokens: u64 = count_types(texts, &train).iter().sum();
        Ok(tokens as usize + train.lines())
    }

    /// The text as a whole, in a model's vocabulary: every type that it lacks is unknown.
    pub(super) fn encoded(
        mut texts: Texts,
        vocabulary: &Vocabulary,
        context: usize,
    ) -> Result<(Corpus, Counts), String> {
        let part = || whole(&texts, 0);
        let counted = count_types(&texts, &part());
        let ids = Ids::new(&texts, vocabulary)?;
        let counts = ids.counts(&texts.types, &counted, &vec![0; texts.types.len()], part().lines());
        let parts = [part(), nothing(texts.kind), nothing(texts.kind)];
        ids.replace(&mut texts.sources[0].as_mut().expect("a text").tokens);
        let [corpus, ..] = corpora(&mut texts.sources, &parts, context)?;
        Ok((corpus, counts))
    }

    /// The same parts for a shorter context; they share the memory.
    pub fn shortened(&self, context: usize) -> Self {
        let shortened = |corpus: &Option<Corpus>| corpus.as_ref().map(|corpus| corpus.shortened(context));
        Data {
            vocabulary: self.vocabulary.clone(),
            train: Arc::new(self.train.shortened(context)),
            valid: shortened(&self.valid),
            test: shortened(&self.test),
            counts: self.counts,
        }
    }

    /// The three parts by name.
    pub fn parts(&self) -> [(&'static str, Option<&Corpus>); 3] {
        [("train", Some(&self.train)), ("valid", self.valid.as_ref()), ("test", self.test.as_ref())]
    }
}

/// The three parts of some texts.
fn cut(texts: &Texts, settings: &TextSettings) -> Result<[Part; 3], String> {
    let [Some(text), valid, test] = &texts.sources else { unreachable!("texts hold a text") };
    settings.check(valid.is_some(), test.is_some())?;
    let split = settings.split.without(valid.is_some(), test.is_some());
    let places = match texts.kind.text {
        TextKind::Lines => split.cut(text.line_ends.len(), settings.seed)?.lines.map(Place::Lines),
        TextKind::Stream => {
            let [train, valid, test] = split.cut_stream(text.tokens.len())?;
            [0..train, train..train + valid, train + valid..train + valid + test].map(Place::Tokens)
        }
    };
    let [mut train, mut valid, mut test] = places.map(|place| Part { source: 0, place });
    for (index, part) in [&mut train, &mut valid, &mut test].into_iter().enumerate().skip(1) {
        if texts.sources[index].is_some() {
            *part = whole(texts, index);
        }
    }
    Ok([train, valid, test])
}

/// All of one text.
fn whole(texts: &Texts, source: usize) -> Part {
    let text = texts.sources[source].as_ref().expect("the text is given");
    let place = match texts.kind.text {
        TextKind::Lines => Place::Lines((0..text.line_ends.len() as u32).collect()),
        TextKind::Stream => Place::Tokens(0..text.tokens.len()),
    };
    Part { source, place }
}

fn nothing(kind: Kind) -> Part {
    let place = if kind.has_end() { Place::Lines(Vec::new()) } else { Place::Tokens(0..0) };
    Part { source: 0, place }
}

impl Part {
    /// How many end marks it has.
    fn lines(&self) -> usize {
        match &self.place {
            Place::Lines(lines) => lines.len(),
            Place::Tokens(_) => 0,
        }
    }
}

/// How often each type stands in a part.
fn count_types(texts: &Texts, part: &Part) -> Vec<u64> {
    let source = texts.sources[part.source].as_ref().expect("a part has a source");
    let mut counts = vec![0; texts.types.len()];
    let mut count = |tokens: &[u32]| tokens.iter().for_each(|&number| counts[number as usize] += 1);
    match &part.place {
        Place::Lines(lines) => lines.iter().for_each(|&line| count(source.line(line as usize))),
        Place::Tokens(range) => count(&source.tokens[range.clone()]),
    }
    counts
}

/// The corpora of the parts, from sources whose tokens are ids by now. Streams are moved, not copied.
fn corpora(sources: &mut [Option<Source>; 3], parts: &[Part; 3], context: usize) -> Result<[Corpus; 3], String> {
    let mut corpora = parts.each_ref().map(|_| None);
    let mut lengths = [0; 3];
    for (index, part) in parts.iter().enumerate() {
        let source = sources[part.source].as_mut().expect("a part has a source");
        match &part.place {
            Place::Lines(lines) => {
                let lines: Vec<&[u32]> = lines.iter().map(|&line| source.line(line as usize)).collect();
                Corpus::check_size(&lines, context)?;
                corpora[index] = Some(Corpus::from_lines(&lines, context));
            }
            Place::Tokens(range) if part.source == 0 => lengths[index] = range.len(),
            Place::Tokens(range) => {
                Corpus::check_stream(range.len(), context)?;
                let [corpus] = Corpus::stream_parts(std::mem::take(&mut source.tokens), context, [range.len()]);
                corpora[index] = Some(corpus);
            }
        }
    }
    let text = std::mem::take(&mut sources[0].as_mut().expect("a text").tokens);
    Corpus::check_stream(text.len(), context)?;
    let of_text = if lengths == [0; 3] { None } else { Some(Corpus::stream_parts(text, context, lengths)) };
    let mut of_text = of_text.map_or_else(|| [None, None, None], |parts| parts.map(Some));
    Ok([0, 1, 2].map(|index| corpora[index].take().or_else(|| of_text[index].take()).expect("each part is made")))
}

/// From numbers of types to ids of a vocabulary.
struct Ids {
    kind: Kind,
    rare: Option<u32>,
    ids: Vec<u32>,
}

impl Ids {
    /// An error locates a token that the vocabulary has no id for.
    fn new(texts: &Texts, vocabulary: &Vocabulary) -> Result<Self, String> {
        let id = |number: u32| vocabulary.id(texts.types.text(number));
        let ids: Vec<Option<u32>> = (0..texts.types.len() as u32).map(id).collect();
        if let Some(number) = ids.iter().position(Option::is_none) {
            let token = texts.types.text(number as u32);
            let place = texts.sources.iter().flatten().find_map(|source| source.place_of(number as u32, texts.kind));
            return Err(vocabulary.unknown_at(&place.unwrap_or_else(|| "the text".to_owned()), token));
        }
        Ok(Ids { kind: texts.kind, rare: vocabulary.rare(), ids: ids.into_iter().flatten().collect() })
    }

    fn replace(&self, tokens: &mut [u32]) {
        tokens.iter_mut().for_each(|token| *token = self.ids[*token as usize]);
    }

    /// What is counted in a part with so many of each type and so many lines; `source` is how often each type stands where
    /// the vocabulary comes from.
    fn counts(&self, types: &Types, counted: &[u64], source: &[u64], lines: usize) -> Counts {
        let mut counts = Counts { tokens: lines, marks: lines, ..Counts::default() };
        if self.kind.tokens == TokenKind::Chars {
            counts.characters = lines;
        }
        for (number, &count) in counted.iter().enumerate().filter(|(_, count)| **count > 0) {
            let (token, count) = (types.text(number as u32), count as usize);
            let is_mark = self.kind.is_mark(token);
            let is_rare = Some(self.ids[number]) == self.rare;
            counts.tokens += count;
            counts.marks += if is_mark { count } else { 0 };
            counts.rare += if is_rare { count } else { 0 };
            counts.unknown += if is_rare && source[number] == 0 { count } else { 0 };
            counts.characters += count
                * match self.kind.tokens {
                    TokenKind::Chars => 1,
                    TokenKind::Words if is_mark => 1,
                    TokenKind::Words => token.chars().count() + 1,
                };
        }
        counts
    }
}
