//! Exports, neighbors and explanations by the real program; other programs load the exports in tests/exports.py.

#[path = "common/not_tested.rs"]
mod not_tested;
#[path = "common/program.rs"]
mod program;

use std::path::Path;
use std::process::Command;

use not_tested::not_tested;
use program::{Place, SHORT, bytes, of};
use serde_json::Value;

/// The Python of `GPU_MLP_PYTHON`, else `python3`, if it has the packages of tests/exports.txt. Where it has not: a loud line
/// and `None`, or a failure if the environment variable `GPU_MLP_REQUIRE_PYTHON` is set.
fn python() -> Option<String> {
    let python = std::env::var("GPU_MLP_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let imports = "import gensim, numpy, onnxruntime, safetensors";
    let found = Command::new(&python).args(["-c", imports]).output().is_ok_and(|output| output.status.success());
    if !found {
        let required = std::env::var("GPU_MLP_REQUIRE_PYTHON").is_ok_and(|value| !value.is_empty());
        assert!(!required, "GPU_MLP_REQUIRE_PYTHON is set, but {python} has not the packages of tests/exports.txt");
        not_tested(format!("{python} has not the packages of tests/exports.txt (GPU_MLP_PYTHON names another)"));
    }
    found.then_some(python)
}

#[test]
fn other_programs_read_the_exports_and_find_the_same_log_probabilities() {
    let Some(python) = python() else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exports.py");
    let output = Command::new(python).arg(script).arg(env!("CARGO_BIN_EXE_gpu-mlp")).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("networks agree within"), "{text}");
    text.lines().filter_map(|line| line.strip_prefix("NOT TESTED: ")).for_each(not_tested);
}

#[test]
fn exports_lie_beside_the_model_and_overwrite_nothing() {
    let place = Place::new();
    place.events(&format!("{SHORT} --out run"));
    let model = bytes(&place.path("run/model.safetensors"));
    for (format, files) in [
        ("word2vec", &["run/model.word2vec.txt"][..]),
        ("word2vec --vectors output", &["run/model.output.word2vec.txt"]),
        ("projector", &["run/model.vectors.tsv", "run/model.metadata.tsv"]),
        ("onnx", &["run/model.onnx"]),
        ("npz", &["run/model.npz"]),
        ("npz --out other.npz", &["other.npz"]),
        ("projector --out letters", &["letters.vectors.tsv", "letters.metadata.tsv"]),
    ] {
        let event = &place.events(&format!("export run --format {format}"))[0];
        assert_eq!(event["event"], "export");
        assert_eq!(event["files"], serde_json::json!(files), "{format}");
        let first = files.iter().map(|file| bytes(&place.path(file))).collect::<Vec<_>>();
        assert_eq!(event["bytes"], first.iter().map(Vec::len).sum::<usize>());
        let message = place.error(&format!("export run --format {format}"), 1);
        assert!(message.contains(files[0]) && message.contains("--force"), "{message}");
        place.events(&format!("export run/model.safetensors --format {format} --force"));
        assert_eq!(files.iter().map(|file| bytes(&place.path(file))).collect::<Vec<_>>(), first, "the same model");
    }
    let output = place.run("export run --format onnx --out third.onnx");
    assert!(String::from_utf8(output.stdout).unwrap().starts_with("wrote third.onnx ("));
    assert!(String::from_utf8(output.stderr).unwrap().contains("onnxruntime.InferenceSession(\"third.onnx\")"));

    // One of two files that is there already keeps the other from being written.
    place.write("half.metadata.tsv", "mine");
    assert!(place.error("export run --format projector --out half", 1).contains("half.metadata.tsv"));
    assert!(!place.path("half.vectors.tsv").exists());
    for (options, code, part) in [
        ("--format onnx --out run", 1, "is a folder"),
        ("--format npz --force --out run/model.safetensors", 1, "is the model itself"),
        ("--format npz --out absent/model.npz", 1, "absent/model.npz: cannot write"),
        ("--format npz --vectors output", 2, "all tensors"),
        ("--format gguf", 2, "word2vec, projector, onnx, npz"),
    ] {
        let message = place.error(&format!("export run {options}"), code);
        assert!(message.contains(part), "{options}: {message}");
    }
    assert_eq!(bytes(&place.path("run/model.safetensors")), model);

    place.events(&format!("{SHORT} --hidden 0 --direct --out direct").replace("--hidden 40", ""));
    for command in ["export direct --format word2vec --vectors output", "neighbors direct a --vectors output"] {
        assert!(place.error(command, 2).contains("no hidden units"), "{command}");
    }
}

#[test]
fn neighbors_are_sorted_and_questions_that_cannot_be_are_refused() {
    let place = Place::new();
    place.write("words.txt", "the house saw the horse .\nthe hare ran to the house .\n".repeat(40));
    place.events(&format!("{SHORT} words.txt --tokens words --text stream --split 300/40/rest --out run"));
    let all = place.events("neighbors run house --top 0");
    assert_eq!(all.len(), 7, "all words but the word itself");
    let similarity: Vec<f64> = all.iter().map(|event| event["similarity"].as_f64().unwrap()).collect();
    assert!(similarity.is_sorted_by(|a, b| a >= b) && similarity.iter().all(|s| s.abs() <= 1.0), "{similarity:?}");
    assert_eq!(all[6]["rank"], 7);
    assert_eq!(place.events("neighbors run house --top 3"), all[..3]);
    let analogy = place.events("neighbors run house horse the --top 0");
    assert_eq!(analogy.len(), 5);
    assert!(
        of(&analogy, "neighbor")
            .iter()
            .all(|event| !["house", "horse", "the"].map(Value::from).contains(&event["token"]))
    );
    let message = place.error("neighbors run hose", 2);
    assert!(message.contains("no token \"hose\". It has house, horse"), "{message}");
    assert!(place.error("neighbors run house the", 2).contains("one for its neighbors, or three"));
    assert!(place.error("neighbors run", 2).contains("<TOKEN>"));
}

#[test]
fn an_explanation_adds_up_to_what_predict_says() {
    let place = Place::new();
    place.events(&format!("{SHORT} --direct --out run"));
    let predicted = place.events("predict run emm --cpu --top 4");
    let number = |event: &Value, field: &str| event[field].as_f64().unwrap();
    for options in ["", "--baseline end"] {
        let explained = place.events(&format!("explain run emm --top 4 {options}"));
        assert_eq!(explained.len(), 4);
        for (explained, predicted) in explained.iter().zip(&predicted) {
            assert_eq!(explained["token"], predicted["token"]);
            let difference = number(explained, "log_probability") - number(predicted, "log_probability");
            assert!(difference.abs() < 1e-5, "{explained} {predicted}");
            let positions = explained["positions"].as_array().unwrap();
            assert_eq!(positions.iter().map(|p| p["token"].as_str().unwrap()).collect::<String>(), "emm");
            let sum: f64 = positions.iter().map(|position| number(position, "contribution")).sum();
            assert!((sum - (number(explained, "logit") - number(explained, "baseline_logit"))).abs() < 1e-9);
            for position in positions {
                let parts = number(position, "hidden") + number(position, "direct");
                assert!((parts - number(position, "contribution")).abs() < 1e-12 && number(position, "direct") != 0.0);
            }
        }
        // The logits of two tokens are as far apart as their log-probabilities.
        let apart = |field: &str| number(&explained[0], field) - number(&explained[1], field);
        assert!((apart("logit") - apart("log_probability")).abs() < 1e-9);
        let (token, other) = (explained[0]["token"].as_str().unwrap(), explained[1]["token"].as_str().unwrap());
        let odds = &place.events(&format!("explain run emm --target {token} --against {other} {options}"))[0];
        assert!((number(odds, "logit") - apart("logit")).abs() < 1e-9, "{odds}");
    }
    // Where nothing but end marks has been seen, the end mark as a baseline leaves nothing to explain.
    let output = place.command("explain run --baseline end --json").arg("").output().unwrap();
    for event in program::events(&output.stdout) {
        assert_eq!(number(&event, "logit"), number(&event, "baseline_logit"));
    }
    assert_eq!(place.events("explain run emm --target (end) --target a").len(), 2);
    let table = String::from_utf8(place.run("explain run emm").stdout).unwrap();
    assert!(table.lines().next().unwrap().ends_with("logit  of it direct") && table.lines().count() == 6, "{table}");
    for (options, part) in [
        ("--target ?", "--target: the model has no token \"?\""),
        ("--against ?", "--against: the model has no token \"?\""),
        ("--target a --top 3", "cannot be used with"),
        ("--top 0", "1.."),
    ] {
        assert!(place.error(&format!("explain run emm {options}"), 2).contains(part), "{options}");
    }
    place.events(&format!("{SHORT} --context 17 --out long"));
    assert!(place.error("explain long emm", 1).contains("at most 16 tokens"));
}
