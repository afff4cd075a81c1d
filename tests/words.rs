//! The real program on a running text of words: results, resume, sampling, errors.

#[path = "common/program.rs"]
mod program;

use program::{Place, SHORT, bytes, of};

const TEXT: &str = "the dog saw the cat .\nthe cat saw the dog .\n\na dog ran .\na cat ran to the dog .\n\n\n";
const TRAIN: &str = "train text.txt --tokens words --text stream --marks --min-count 5 --context 2 --embedding 4 --hidden 6 \
                     --batch 8 --steps 60 --cpu";

fn place() -> Place {
    let place = Place::new();
    place.write("text.txt", TEXT.repeat(20));
    place
}

#[test]
fn a_running_text_of_words_is_trained_resumed_evaluated_and_drawn_from() {
    let place = place();
    let all = place.events(&format!("{TRAIN} --split 400/60/rest --out run"));
    let (start, done) = (of(&all, "start")[0], of(&all, "done")[0]);
    // Twenty times 23 words and three marks.
    assert_eq!(start["tokens"], serde_json::json!({ "train": 400, "valid": 60, "test": 60 }));
    let model = bytes(&place.path("run/last.safetensors"));
    let resumed = place.events("train --resume run --cpu");
    assert!(place.error("train --resume run --marks", 2).contains("cannot be used with"));
    assert_eq!(of(&resumed, "done")[0]["test"], done["test"]);
    assert_eq!(bytes(&place.path("run/last.safetensors")), model);

    let evaluations = place.events("eval run --cpu");
    assert_eq!(evaluations[1]["loss"], done["valid"]);
    let (tokens, marks) = (evaluations[1]["tokens"].as_u64().unwrap(), evaluations[1]["marks"].as_u64().unwrap());
    assert_eq!(tokens, 60);
    assert_eq!(marks, 7);
    assert_eq!(evaluations[1]["perplexity_without_rare"], evaluations[1]["perplexity"]);
    place.write("other.txt", "the dog saw the cat .\n");
    let other = &place.events("eval run other.txt --cpu")[0];
    assert_eq!((other["tokens"].as_u64(), other["marks"].as_u64()), (Some(8), Some(2)));
    place.write("unknown.txt", "the dog saw Socrates .\n");
    let message = place.error("eval run unknown.txt --cpu", 1);
    assert!(message.contains("token 4 of the text holds the word \"Socrates\""), "{message}");

    for sample in place.events("sample run --cpu --count 3 --length 9 --prompt dog") {
        let text = sample["text"].as_str().unwrap();
        assert!(text.starts_with("dog ") && text.split(' ').count() == 9, "{text}");
        assert!(sample["known"].is_null());
    }
    assert!(place.error("sample run --cpu --prompt Plato", 2).contains("the word \"Plato\" is unknown"));
    let table = String::from_utf8(place.run("eval run --cpu").stdout).unwrap();
    assert!(table.contains("the marks <p> and <text> among them"), "{table}");
    assert!(String::from_utf8(place.run("inspect run").stdout).unwrap().contains("tokens: <text> "));
}

#[test]
fn lines_of_words_have_end_marks_and_rare_words() {
    let place = place();
    let all = place.events(&format!("{SHORT} text.txt --tokens words --split 60/20/20 --max-vocab 5 --out run"));
    assert_eq!(of(&all, "start")[0]["vocabulary"], 7, "an end mark, five words, and the rare one");
    let evaluation = &place.events("eval run --cpu")[2];
    assert!(evaluation["rare"].as_u64().unwrap() > 0);
    assert_eq!(evaluation["unknown"], 0);
    assert!(evaluation["loss_without_rare"].as_f64().unwrap() > 0.0);
    assert_eq!(evaluation["marks"], 16);
}

#[test]
fn an_option_that_cannot_be_is_found_before_the_text_is_read() {
    let place = Place::new();
    for (options, part) in [
        ("--marks", "--text stream"),
        ("--text stream --marks", "--tokens words"),
        ("--max-vocab 0", "--max-vocab is 0"),
        ("--split 10/10/rest", "--text stream"),
        ("--split rest/10/rest", "twice"),
        ("--text stream --split 10/10/rest --test x.txt", "test part has a file"),
    ] {
        let message = place.error(&format!("train missing.txt --cpu {options}"), 2);
        assert!(message.contains(part), "{options}: {message}");
    }
    place.write("text.txt", TEXT.repeat(5));
    let message = place.error("train text.txt --cpu --tokens words --min-count 99", 1);
    assert!(message.contains("--min-count 99 leaves no word"), "{message}");
    let message = place.error("train text.txt --cpu --tokens words --text stream --split 400/60/rest", 1);
    assert!(message.contains("--split 400/60/rest takes 460 tokens") && message.contains("has 115"), "{message}");
}
