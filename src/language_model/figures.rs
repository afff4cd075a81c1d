//! The figures that other programs find on the same texts.
use super::*;
use crate::engine::mean_negative;
use crate::text::Corpus;

fn brown(context: usize) -> (Vec<Corpus>, usize) {
    let text = std::fs::read_to_string("../shared/data/brown.txt").unwrap();
    let mut words: Vec<&str> = vec![];
    let mut blanks = 0;
    for line in text.lines() {
        if line.trim().is_empty() {
            blanks += 1;
            continue;
        }
        if blanks > 0 && !words.is_empty() {
            words.push("<p>");
            if blanks > 1 {
                words.push("<text>");
            }
        }
        blanks = 0;
        words.extend(line.split_whitespace());
    }
    words.extend(["<p>", "<text>"]);
    assert_eq!(words.len(), 1_177_359);
    let mut counts = std::collections::HashMap::new();
    for w in &words {
        *counts.entry(*w).or_insert(0) += 1;
    }
    let mut ids = std::collections::HashMap::new();
    let tokens: Vec<u32> = words
        .iter()
        .map(|w| {
            if counts[w] > 3 {
                let n = ids.len() as u32 + 1;
                *ids.entry(*w).or_insert(n)
            } else {
                0
            }
        })
        .collect();
    let v = ids.len() + 1;
    assert_eq!(v, 17_907);
    (Corpus::stream_parts(tokens, context, [800_000, 200_000, 177_359]).to_vec(), v)
}

fn names(context: usize) -> (Vec<Corpus>, usize) {
    let parts = ["train", "dev", "test"].map(|p| {
        let text = std::fs::read_to_string(format!("/tmp/w/names-{p}.txt")).unwrap();
        let lines: Vec<Vec<u32>> = text.lines().map(|l| l.bytes().map(|b| u32::from(b - b'a') + 1).collect()).collect();
        Corpus::from_lines(&lines, context)
    });
    (parts.to_vec(), 27)
}

#[test]
fn explore() {
    let ppl = |m: &mut dyn LanguageModel, parts: &[Corpus]| -> Vec<f64> {
        parts.iter().map(|p| mean_negative(&m.log_probabilities(p).unwrap()).exp()).collect()
    };
    let (parts, v) = brown(6);
    for rounds in [5, 100] {
        let mut m = Trigram::new(&parts[0], Some(&parts[1]), v, rounds);
        eprintln!("trigram {rounds} {:.2?}", ppl(&mut m, &parts));
    }
    for cut in 1..=2 {
        for n in 3..=5 {
            let mut m = KneserNey::back_off(&parts[0], n, v, cut);
            eprintln!("back-off {n} {cut} {:.2?}", ppl(&mut m, &parts));
        }
    }
}
