//! Texts to data as a whole, on small texts and on the Brown corpus where it is at hand.

use std::io::Write;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::source::Source;
use super::types::Types;
use super::*;

const WORDS: Kind = Kind { tokens: TokenKind::Words, text: TextKind::Stream, marks: false };
const MARKED: Kind = Kind { marks: true, ..WORDS };
const WORD_LINES: Kind = Kind { text: TextKind::Lines, ..WORDS };

/// A data set beside the crate, which is not part of it.
fn shared_data(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(name);
    if !path.exists() {
        crate::testing::not_tested(format!("{} is not there", path.display()));
        return None;
    }
    Some(path)
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

/// A text and held-out texts as files, read.
fn texts(text: &str, held_out: Option<[&str; 2]>, kind: Kind) -> Texts {
    let files = [text].into_iter().chain(held_out.into_iter().flatten()).map(file).collect::<Vec<_>>();
    let path = |index: usize| files.get(index).map(|file| file.path().to_owned());
    Sources { text: path(0), valid: path(1), test: path(2) }.read(kind).unwrap()
}

fn settings(kind: Kind) -> TextSettings {
    TextSettings { kind, seed: 42, ..TextSettings::default() }
}

fn shares(split: &str, kind: Kind) -> TextSettings {
    TextSettings { split: split.parse().unwrap(), ..settings(kind) }
}

fn listed(data: &Data) -> String {
    data.vocabulary.tokens().join(" ")
}

fn error(text: &str, settings: &TextSettings) -> String {
    texts(text, None, settings.kind).data(settings, 1, None).unwrap_err().to_string()
}

#[test]
fn characters_stand_by_code_point_after_the_end_mark() {
    let data = texts("ба\naz\n𝄞b\n", None, Kind::default()).data(&shares("1/0/0", Kind::default()), 3, None).unwrap();
    assert_eq!(listed(&data), ". a b z а б 𝄞");
    assert_eq!(data.train.len(), 9);
    assert_eq!(data.counts[0], Counts { tokens: 9, marks: 3, rare: 0, unknown: 0, characters: 9 });
}

#[test]
fn a_character_of_the_held_out_part_alone_is_rare_or_a_token() {
    let of = |vocabulary_from| {
        let settings = TextSettings { vocabulary_from, ..settings(Kind::default()) };
        texts("ab\nba\n", Some(["aü\n", "b\n"]), settings.kind).data(&settings, 3, None).unwrap()
    };
    assert_eq!(listed(&of(VocabularyFrom::Train)), ". a b <rare>");
    assert_eq!(listed(&of(VocabularyFrom::All)), ". a b ü");
    let valid = of(VocabularyFrom::Train);
    assert_eq!(valid.valid.as_ref().unwrap().target_of(1), 3);
    assert_eq!(valid.counts[1], Counts { tokens: 3, marks: 1, rare: 1, unknown: 1, characters: 3 });
}

#[test]
fn words_stand_by_falling_count_then_by_code_point() {
    let text = "b b a a c c c d\n\ne";
    let of = |min_count, max_vocab, kind| {
        let settings = TextSettings { min_count, max_vocab, ..shares("1/0/0", kind) };
        texts(text, None, kind).data(&settings, 1, None).unwrap()
    };
    assert_eq!(listed(&of(1, None, WORDS)), "c a b d e");
    assert_eq!(listed(&of(2, None, WORDS)), "c a b <rare>");
    assert_eq!(listed(&of(1, Some(2), WORDS)), "c a <rare>");
    assert_eq!(listed(&of(1, None, MARKED)), "<text> c <p> a b d e");
    assert_eq!(listed(&of(3, None, MARKED)), "<text> c <p> <rare>");
    assert_eq!(listed(&of(1, Some(3), MARKED)), "<text> c <p> <rare>");
    assert_eq!(listed(&of(1, Some(1), WORD_LINES)), "</s> c <rare>");
}

#[test]
fn rare_and_unknown_words_marks_and_characters_are_counted() {
    let settings = TextSettings { min_count: 2, ..settings(MARKED) };
    let data =
        texts("to be to be x\n", Some(["be zwölf x\n", "to\n\n\nbe\n"]), MARKED).data(&settings, 1, None).unwrap();
    assert_eq!(listed(&data), "<text> be to <p> <rare>");
    assert_eq!(data.counts[0], Counts { tokens: 7, marks: 2, rare: 1, unknown: 0, characters: 3 * 4 + 2 + 2 });
    assert_eq!(data.counts[1], Counts { tokens: 5, marks: 2, rare: 2, unknown: 1, characters: 3 + 6 + 2 + 2 });
    assert_eq!(data.counts[2], Counts { tokens: 6, marks: 4, rare: 0, unknown: 0, characters: 2 * 3 + 4 });
    for (counts, (_, corpus)) in data.counts.iter().zip(data.parts()) {
        assert_eq!(corpus.unwrap().len(), counts.tokens);
    }
    // A text of another kind of reader: everything that the vocabulary lacks is unknown.
    let (corpus, counts) = texts("be x x\n", None, MARKED).encoded(&data.vocabulary, 2).unwrap();
    assert_eq!(counts, Counts { tokens: 5, marks: 2, rare: 2, unknown: 2, characters: 3 + 4 + 2 });
    assert_eq!((corpus.context_of(0), corpus.context_of(3)), (&[0, 0][..], &[4, 4][..]));
    let (_, counts) = texts("to be\nx\n", None, WORD_LINES)
        .encoded(&Vocabulary::from_tokens(["</s>", "to", "<rare>"].map(str::to_owned).to_vec(), WORD_LINES).unwrap(), 2)
        .unwrap();
    assert_eq!(counts, Counts { tokens: 5, marks: 2, rare: 2, unknown: 2, characters: 8 });
}

#[test]
fn a_text_may_hold_the_rare_token_itself() {
    let data = texts("a b <rare> a b", None, WORDS).data(&shares("1/0/0", WORDS), 1, None).unwrap();
    assert_eq!(listed(&data), "a b <rare>");
    assert_eq!(data.counts[0].rare, 1);
}

#[test]
fn what_cannot_be_is_an_error_that_says_what_to_do() {
    assert!(error("aaa\naa\naa", &shares("1/0/0", Kind::default())).contains("only one character ('a')"));
    assert!(error("a a\na a", &shares("1/0/0", WORDS)).contains("only one word (\"a\")"));
    let too_rare = error("a b b", &TextSettings { min_count: 3, ..shares("1/0/0", WORDS) });
    assert!(too_rare.contains("--min-count 3 leaves no word: the most frequent, \"b\", is seen 2 times"), "{too_rare}");
    let only_marks = error("a b", &TextSettings { max_vocab: Some(2), ..shares("1/0/0", MARKED) });
    assert!(only_marks.contains("--max-vocab 2 leaves no word beside the marks"), "{only_marks}");
    let short = error("a", &shares("1/0/0", WORDS));
    assert!(short.contains("has 1 tokens, which is not more than the context of 1"), "{short}");
    let check = |settings: TextSettings| settings.check(false, false).unwrap_err();
    assert!(check(TextSettings { max_vocab: Some(0), ..settings(WORDS) }).contains("--max-vocab is 0"));
    assert!(check(settings(Kind { marks: true, ..WORD_LINES })).contains("--text stream"));
    assert!(check(settings(Kind { tokens: TokenKind::Chars, ..MARKED })).contains("--tokens words"));
}

#[test]
fn a_token_unknown_to_a_model_is_named_with_its_place() {
    let model = |tokens: &[&str], kind| {
        Vocabulary::from_tokens(tokens.iter().map(|token| token.to_string()).collect(), kind).unwrap()
    };
    let lines = texts("xy\n\nyxz\n", None, Kind::default());
    let error = lines.encoded(&model(&[".", "x", "y"], Kind::default()), 3).unwrap_err().to_string();
    assert!(error.contains("text line 2 holds the character 'z'") && error.contains("knows xy"), "{error}");
    let error = texts("to be or", None, WORDS).encoded(&model(&["be", "to"], WORDS), 3).unwrap_err().to_string();
    assert!(error.contains("token 3 of the text holds the word \"or\""), "{error}");
}

proptest! {
    #[test]
    fn decoding_undoes_encoding(lines in proptest::collection::vec("\\PC{1,9}", 2..8)) {
        for tokens in [TokenKind::Chars, TokenKind::Words] {
            let kind = Kind { tokens, ..WORD_LINES };
            let text = lines.join("\n") + "\nto be\n";
            let data = texts(&text, None, kind).data(&shares("1/0/0", kind), 1, None).unwrap();
            let expected = |line: &str| match tokens {
                TokenKind::Chars => line.to_owned(),
                TokenKind::Words => line.split_ascii_whitespace().collect::<Vec<_>>().join(" "),
            };
            let mut found: Vec<String> = data.train.lines().map(|line| data.vocabulary.decode(line)).collect();
            let mut lines: Vec<String> = text.lines().map(expected).filter(|line| !line.is_empty()).collect();
            found.sort();
            lines.sort();
            prop_assert_eq!(&found, &lines);
            for line in &lines {
                prop_assert_eq!(&data.vocabulary.decode(&data.vocabulary.encode(line).unwrap()), line);
            }
            let again = Vocabulary::from_tokens(data.vocabulary.tokens().to_vec(), kind);
            prop_assert_eq!(again, Ok(data.vocabulary));
        }
    }

    #[test]
    fn the_parts_of_a_stream_hold_each_token_once(
        words in proptest::collection::vec("[a-c]{1,2}", 30..80), context in 1usize..5
    ) {
        prop_assume!(words.iter().any(|word| *word != words[0]));
        let settings = TextSettings { vocabulary_from: VocabularyFrom::All, ..shares("10/10/rest", WORDS) };
        prop_assume!(words.len() > 20);
        let data = texts(&words.join(" "), None, WORDS).data(&settings, context, None).unwrap();
        let (valid, test) = (data.valid.as_ref().unwrap(), data.test.as_ref().unwrap());
        let parts = [&*data.train, valid, test];
        let targets = parts.iter().flat_map(|part| (0..part.len()).map(|example| part.target_of(example)));
        let targets: Vec<u32> = targets.collect();
        prop_assert_eq!(data.vocabulary.decode(&targets), words.join(" "));
        prop_assert_eq!(valid.context_of(0), &targets[10 - context..10]);
        prop_assert_eq!(data.train.context_of(0), vec![0; context]);
    }
}

#[test]
fn the_brown_corpus_is_cut_as_published() {
    let Some(path) = shared_data("brown.txt") else { return };
    let mut types = Types::default();
    let source = Source::read(&path, MARKED, &mut types).unwrap();
    assert_eq!((source.tokens.len(), types.len()), (1_177_359, 56_059));
    assert_eq!(source.sha256, "0517fad7f63d4a2fcc6b93645e62293cac49b747110d45861f3ba301ec55063d");
    let stream: String = source.tokens.iter().flat_map(|&number| [types.text(number), "\n"]).collect();
    let digest: String = Sha256::digest(&stream).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digest, "27083c8d9f65607affe5699f460ed55e1ba223e4b9dbe6fad720365628588954");

    let settings =
        TextSettings { min_count: 4, vocabulary_from: VocabularyFrom::All, ..shares("800000/200000/rest", MARKED) };
    let sources = Sources { text: Some(path), ..Sources::default() };
    let data = sources.read(MARKED).unwrap().data(&settings, 4, None).unwrap();
    assert_eq!(data.vocabulary.len(), 17_907);
    assert_eq!(data.counts.map(|counts| counts.tokens), [800_000, 200_000, 177_359]);
    assert_eq!(data.parts().map(|(_, part)| part.unwrap().len()), [800_000, 200_000, 177_359]);
    assert_eq!(data.counts.iter().map(|counts| counts.rare).sum::<usize>(), 55_182);
    assert_eq!(data.counts.iter().map(|counts| counts.marks).sum::<usize>(), 15_667 + 500);
    assert_eq!(data.counts.map(|counts| counts.unknown), [0; 3]);
}
