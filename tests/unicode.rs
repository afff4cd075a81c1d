//! Texts of every script: what goes in comes out, through training, scoring, sampling and prediction.

#[allow(dead_code)]
#[path = "common/program.rs"]
mod program;

use std::collections::BTreeSet;

use program::{Place, of};

/// Beyond the BMP, combining marks, from right to left, joined emoji, a zero byte, a no-break space, a line separator.
const LINES: [&str; 7] = [
    "\u{1d4d0}\u{10348}\u{1f600}",
    "e\u{301}a\u{308}o",
    "שלום עולם",
    "مرحبا",
    "\u{1f469}\u{200d}\u{1f4bb}",
    "a\0b",
    "a\u{a0}b\u{2028}c",
];
const TRAIN: &str = "--cpu --threads 1 --steps 300 --hidden 16 --split 100/0/0";

/// The lines many times, with an end of line, and with or without one at the end.
fn text(end: &str, last: bool) -> String {
    let lines = LINES.map(|line| format!("{line}{end}")).concat().repeat(20);
    if last { lines } else { lines.strip_suffix(end).unwrap().to_owned() }
}

#[test]
fn every_script_comes_back_as_it_went_in() {
    let place = Place::new();
    place.write("text.txt", text("\n", true));
    for (tokens, rate) in [("chars", "0.5"), ("words", "0.5")] {
        place.events(&format!("train text.txt {TRAIN} --tokens {tokens} --text lines --rate {rate} --out {tokens}"));
        let scored = place.events(&format!("score {tokens} text.txt --cpu"));
        let found = of(&scored, "token");
        let mut lines = vec![Vec::new(); LINES.len()];
        for event in &found {
            let line = event["line"].as_u64().unwrap() as usize;
            if line <= LINES.len() {
                lines[line - 1].push(event["token"].as_str().unwrap().to_owned());
            }
        }
        let (joint, end) = if tokens == "chars" { ("", ".") } else { (" ", "</s>") };
        for (line, mut found) in LINES.iter().zip(lines) {
            assert_eq!(found.pop().as_deref(), Some(end), "{line:?}");
            assert_eq!(found.join(joint), *line);
        }
        let known: BTreeSet<char> = LINES.concat().chars().chain([' ']).collect();
        for sample in of(&place.events(&format!("sample {tokens} --cpu --count 30")), "sample") {
            let text = sample["text"].as_str().unwrap();
            assert!(text.chars().all(|character| known.contains(&character)), "{text:?}");
        }
        let predicted = place.events(&format!("predict {tokens} שלום --cpu --top 0"));
        let total: f64 = of(&predicted, "prediction").iter().map(|event| event["probability"].as_f64().unwrap()).sum();
        assert!((total - 1.0).abs() < 1e-5, "{total}");
    }
}

#[test]
fn line_ends_and_a_byte_order_mark_make_no_difference() {
    let place = Place::new();
    let mark = "\u{feff}";
    let texts = [
        ("plain", text("\n", true)),
        ("windows", text("\r\n", true)),
        ("marked", format!("{mark}{}", text("\n", true))),
        ("open", text("\n", false)),
        ("all", format!("{mark}{}", text("\r\n", false))),
    ];
    let mut losses = Vec::new();
    for (name, text) in &texts {
        place.write(name, text);
        let all = place.events(&format!("train {name} {TRAIN} --out run-{name}"));
        losses.push((of(&all, "done")[0]["train"].clone(), of(&all, "start")[0]["vocabulary"].clone()));
        let scored = place.events(&format!("score run-plain {name} --cpu --level line"));
        losses.push((of(&scored, "line").len().into(), of(&scored, "line").last().unwrap()["tokens"].clone()));
    }
    for pair in losses.chunks(2) {
        assert_eq!(pair, &losses[..2]);
    }
}

#[test]
fn a_line_of_megabytes_is_read_in_pieces() {
    let place = Place::new();
    place.write("names.txt", "ab\nba\n".repeat(50));
    place.events("train names.txt --cpu --steps 50 --hidden 4 --out run");
    place.write("long.txt", "ab".repeat(1_000_000));
    for (kind, count) in [("lines", 2_000_001), ("stream", 2_000_000)] {
        let all = place.events(&format!(
            "train long.txt --cpu --steps 5 --hidden 2 --split 100/0/0 --tokens chars --text {kind} --out {kind}"
        ));
        assert_eq!(of(&all, "start")[0]["tokens"]["train"], count, "{kind}");
    }
    let scored = place.events("score run long.txt --cpu --level line");
    assert_eq!(of(&scored, "line")[0]["tokens"], 2_000_001);
}
