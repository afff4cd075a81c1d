//! The real program with today's recipes: resumes to the same bytes, scores, predictions, the paper's table.

#[path = "common/program.rs"]
mod program;

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::time::Duration;

use program::{Place, SHORT, bytes, of};

/// Everything that a step can carry to the next.
const EVERYTHING: &str = "--optimizer adamw --rate 0.01 --schedule cosine --warm-up 20 --weight-decay 0.05 --dropout 0.2 \
                          --clip-norm 0.5 --average 0.95 --embedding 12 --hidden 12 --tied --batch 16 --cpu";
const TEXT: &str = "the dog saw the cat .\nthe cat saw the dog .\n\na dog ran .\na cat ran to the dog .\n\n\n";

fn word_text(place: &Place) {
    place.write("text.txt", TEXT.repeat(60));
}

/// A word model with everything on, killed and resumed, ends in the bytes of the run that was not.
#[test]
fn a_word_model_that_was_killed_ends_in_the_same_bytes() {
    let place = Place::new();
    word_text(&place);
    let train = format!(
        "train text.txt --preset words {EVERYTHING} --context 3 --split 1000/300/rest --steps 30000 --eval-every 1500 -q"
    );
    assert!(place.run(&format!("{train} --out whole")).status.success());
    let mut child = place.command(&format!("{train} --out killed")).stderr(Stdio::null()).spawn().unwrap();
    // It is past a few saves and far from the end.
    while !place.path("killed/model.safetensors").exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(60));
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success(), "the run was over before it was killed: it must be longer");
    place.events("train --resume killed --cpu");
    for file in ["model.safetensors", "last.safetensors"] {
        assert!(
            bytes(&place.path(&format!("killed/{file}"))) == bytes(&place.path(&format!("whole/{file}"))),
            "{file}"
        );
    }
}

#[test]
fn every_update_rule_and_shape_trains_and_goes_on() {
    for options in [
        "--optimizer momentum --rate 0.01 --weight-decay 1e-3",
        "--optimizer adagrad --rate 0.05",
        "--optimizer adamw --rate 0.003 --dropout-hidden 0.3",
        "--hidden 0 --direct --embedding 8",
        "--tied --embedding 16 --hidden 16 --direct",
        "--batch 1 --order sequential --schedule inverse --rate 0.03 --inverse-r 1e-3",
    ] {
        let place = Place::new();
        let events = place.events(&format!("train --cpu --steps 4000 --eval-every 500 {options} --out run"));
        let done = of(&events, "done")[0];
        // Better than the uniform guess of ln 27 by far, and than the unigram model of about 2.82.
        assert!(done["valid"].as_f64().unwrap() < 2.82, "{options}: {done}");
        let last = bytes(&place.path("run/last.safetensors"));
        place.events("train --resume run --cpu");
        assert!(bytes(&place.path("run/last.safetensors")) == last, "{options}");
        assert_eq!(place.events("eval run --cpu")[2]["loss"], done["test"], "{options}");
    }
}

#[test]
fn impossible_networks_are_refused_before_work() {
    let place = Place::new();
    for (options, part) in [
        ("--hidden 0", "needs --direct"),
        ("--tied --embedding 10 --hidden 20", "--hidden (20) must be equal to --embedding (10)"),
        ("--tied --direct --hidden 0", "--hidden (0) must be equal"),
        ("--dropout 1", "below 1"),
        ("--weight-decay -1", "0 or more"),
        ("--average 1", "below 1"),
        ("--optimizer adamw --epsilon 0", "--epsilon is 0"),
        ("--preset words --tokens chars --marks", "--tokens words"),
    ] {
        let message = place.error(&format!("train --cpu --out run {options}"), 2);
        assert!(message.contains(part), "{options}: {message}");
        assert!(!place.path("run").exists(), "{options}");
    }
}

#[test]
fn scores_of_tokens_and_lines_sum_to_the_loss() {
    let place = Place::new();
    place.events(&format!("{SHORT} --out run"));
    place.write("some.txt", "emma\n\nolivia\r\nava");
    let evaluation = &place.events("eval run some.txt --cpu")[0];
    let total = -evaluation["loss"].as_f64().unwrap() * evaluation["tokens"].as_f64().unwrap();
    let tokens = place.events("score run some.txt --cpu");
    assert_eq!(tokens.len() as u64, evaluation["tokens"].as_u64().unwrap());
    let sum = |events: &[serde_json::Value]| -> f64 {
        events.iter().map(|event| event["log_probability"].as_f64().unwrap()).sum()
    };
    assert!((sum(&tokens) - total).abs() < 1e-4, "{} {total}", sum(&tokens));
    let lines = place.events("score run some.txt --cpu --level line");
    assert!((sum(&lines) - total).abs() < 1e-4);
    let numbers: Vec<_> = lines.iter().map(|line| (line["line"].as_u64(), line["tokens"].as_u64())).collect();
    assert_eq!(numbers, [(Some(1), Some(5)), (Some(3), Some(7)), (Some(4), Some(4))]);
    assert_eq!(tokens[5]["token"], "o");
    assert!(tokens.iter().all(|token| (1..=27).contains(&token["rank"].as_u64().unwrap())));
    assert!(place.error("score run nowhere.txt --cpu", 1).contains("nowhere.txt"));
    place.write("bad.txt", b"emma\nb\xE9a\n");
    assert!(place.error("score run bad.txt --cpu", 1).contains("line 2, byte 2 of the line"));
    place.write("empty.txt", "\n\n");
    assert!(place.error("score run empty.txt --cpu", 1).contains("empty"));
}

#[test]
fn a_pipe_is_scored_as_it_comes_in() {
    let place = Place::new();
    place.events(&format!("{SHORT} --out run"));
    let mut command = place.command("score run --cpu --level line -q");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut lines = BufReader::new(output).lines();
    // The second line is sent only once the first is answered.
    input.write_all(b"emma\n").unwrap();
    let first = lines.next().unwrap().unwrap();
    assert!(first.starts_with("1\t5\t-"), "{first}");
    input.write_all(b"olivia").unwrap();
    drop(input);
    let second = lines.next().unwrap().unwrap();
    assert!(second.starts_with("2\t7\t-"), "{second}");
    assert!(lines.next().is_none() && child.wait().unwrap().success());
}

#[test]
fn all_lines_before_one_that_is_wrong_are_scored() {
    let place = Place::new();
    place.events(&format!("{SHORT} --out lines"));
    place.events(&format!("{SHORT} --text stream --out stream"));
    place.write("bad.txt", "emma\nolivia\n".repeat(50) + "\u{d1}\nmia\n");
    for run in ["lines", "stream"] {
        let output = place.run(&format!("score {run} bad.txt --cpu --level line -q"));
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 100, "{run}");
        assert!(String::from_utf8(output.stderr).unwrap().contains("line 101"));
    }
}

#[cfg(unix)]
#[test]
fn a_run_is_not_trained_on_a_pipe_which_nobody_can_read_again() {
    let place = Place::new();
    let mut command = place.command("train /dev/stdin --cpu --steps 10 --out run");
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"emma\nolivia\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && message.contains("Save it as a file first"), "{message}");
    assert!(!place.path("run").exists());
}

#[test]
fn predictions_are_sorted_and_sum_to_one() {
    let place = Place::new();
    place.events(&format!("{SHORT} --out run"));
    let predictions = place.events("predict run emm --cpu --top 0");
    let probabilities: Vec<f64> = predictions.iter().map(|event| event["probability"].as_f64().unwrap()).collect();
    assert_eq!(probabilities.len(), 27);
    assert!(probabilities.is_sorted_by(|a, b| a >= b));
    assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-5);
    // The last three characters are the context, and nothing but they.
    assert_eq!(place.events("predict run xxemm --cpu --top 0"), predictions);
    assert!(place.error("predict run e?m --cpu", 2).contains("'?'"));
}

/// The table on a small text: rows of a pair share a network, a second call trains nothing again.
#[test]
fn the_papers_table_on_a_small_text() {
    let place = Place::new();
    word_text(&place);
    let table = "table1 text.txt --cpu --epochs 3 --rows mlp9,mlp10,trigram,back-off-3";
    let rows = place.events(table);
    let names: Vec<_> = rows.iter().map(|row| row["row"].as_str().unwrap()).collect();
    assert_eq!(names, ["mlp9", "mlp10", "trigram", "back-off-3"]);
    for row in &rows {
        // Eight words and two marks.
        let test = row["test"].as_f64().unwrap();
        assert!(test > 1.0 && test < 10.0, "{row}");
        assert!(row["paper"]["test"].as_f64().unwrap() > 200.0);
    }
    assert!(rows[0]["epochs"].as_f64().unwrap() < 3.2 && rows[2]["epochs"].is_null());
    let markdown = String::from_utf8(place.run(table).stdout).unwrap();
    assert!(markdown.contains("| mlp10 | 5 |") && markdown.contains("| 265 | 252 |"), "{markdown}");
    let metrics = bytes(&place.path("runs/table1/mlp9/metrics.jsonl"));
    let again = place.events(table);
    assert_eq!(again[1]["test"], rows[1]["test"]);
    assert_eq!(bytes(&place.path("runs/table1/mlp9/metrics.jsonl")), metrics);
    let message = place.error("table1 text.txt --cpu --epochs 4 --rows mlp9", 1);
    assert!(message.contains("other settings"), "{message}");
    assert!(place.error("table1 text.txt --rows mlp11", 2).contains("mlp11"));
}
