//! Files from strangers: what a model or a golden file says is never obeyed, only checked.

#[allow(dead_code)]
#[path = "common/program.rs"]
mod program;

use program::{Place, bytes, of};

/// Orders to a terminal: clear the screen, set the title, and both again by single characters.
const ORDERS: &str = "\u{1b}[2J\u{1b}]0;title\u{7}\u{9b}2J\u{7f}\u{8}";

/// A run on lines of which each has orders to the terminal as characters.
fn run_on_orders(place: &Place) {
    place.write("orders.txt", format!("a{ORDERS}b\n").repeat(60));
    place.events("train orders.txt --cpu --threads 1 --steps 300 --hidden 10 --rate 0.5 --out run");
}

fn commands(text: &[u8]) -> Vec<char> {
    let text = String::from_utf8(text.to_vec()).unwrap();
    text.chars().filter(|&character| character.is_control() && character != '\n' && character != '\t').collect()
}

#[test]
fn tokens_give_no_orders_to_the_terminal() {
    let place = Place::new();
    run_on_orders(&place);
    place.write("line.txt", format!("a{ORDERS}b\n"));
    for arguments in [
        "sample run --cpu",
        "predict run a --cpu",
        "predict run x --cpu",
        "score run line.txt --cpu",
        "eval run --cpu",
        "inspect run",
        "explain run a --cpu",
        "neighbors run a",
        "neighbors run x",
        "train orders.txt --cpu --steps 20 --hidden 4 --out other",
    ] {
        for json in ["", " --json"] {
            let output = place.run(&format!("{arguments}{json}"));
            assert!(!(output.stdout.is_empty() && output.stderr.is_empty()), "{arguments}");
            assert_eq!(commands(&output.stdout), [], "stdout of {arguments}{json}");
            assert_eq!(commands(&output.stderr), [], "stderr of {arguments}{json}");
        }
    }
}

#[test]
fn json_has_the_tokens_as_they_are() {
    let place = Place::new();
    run_on_orders(&place);
    place.write("line.txt", format!("a{ORDERS}b\n"));
    let scored = place.events("score run line.txt --cpu");
    let tokens = of(&scored, "token");
    let text: String = tokens[..tokens.len() - 1].iter().map(|event| event["token"].as_str().unwrap()).collect();
    assert_eq!(text, format!("a{ORDERS}b"));
}

/// A safetensors file of a header and as many zeros as it needs.
fn safetensors(header: &str, zeros: usize) -> Vec<u8> {
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header.as_bytes());
    file.resize(file.len() + zeros, 0);
    file
}

#[test]
fn sizes_that_a_header_claims_take_no_memory() {
    let place = Place::new();
    // No contexts, but five hundred million tokens in each.
    let header = r#"{"X":{"dtype":"I32","shape":[0,500000000],"data_offsets":[0,0]},
        "Y":{"dtype":"I32","shape":[0],"data_offsets":[0,0]},
        "W1":{"dtype":"F32","shape":[0,1],"data_offsets":[0,0]},
        "C":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]}}"#;
    place.write("golden.safetensors", safetensors(header, 8));
    let message = place.error("check golden.safetensors --device reference", 1);
    assert!(message.contains("golden.safetensors") && message.contains("\"X\""), "{message}");

    for length in [0, 7, 8, 100_000_001, u64::MAX / 2, u64::MAX] {
        let mut file = length.to_le_bytes().to_vec();
        file.extend_from_slice(b"{}");
        place.write("header.safetensors", file);
        assert!(place.error("inspect header.safetensors", 1).contains("header.safetensors"), "{length}");
    }
    for shape in ["[18446744073709551615,2]", "[4294967296,4294967296]", "[9223372036854775807]"] {
        let header = format!(r#"{{"embedding.weight":{{"dtype":"F32","shape":{shape},"data_offsets":[0,8]}}}}"#);
        place.write("shape.safetensors", safetensors(&header, 8));
        assert!(place.error("inspect shape.safetensors", 1).contains("not a whole model file"), "{shape}");
    }
}

#[test]
fn a_golden_file_without_examples_is_refused() {
    let place = Place::new();
    let whole = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/notebook.safetensors");
    let file = bytes(whole.as_ref());
    let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let mut header: serde_json::Value = serde_json::from_slice(&file[8..8 + length]).unwrap();
    let hidden = header["hidden"]["shape"][1].as_u64().unwrap();
    let vocabulary = header["C"]["shape"][0].as_u64().unwrap();
    let context = header["X"]["shape"][1].as_u64().unwrap();
    // Every tensor at zeros, those of the examples empty.
    let mut at = 0;
    for (name, entry) in header.as_object_mut().unwrap().iter_mut().filter(|(name, _)| *name != "__metadata__") {
        entry["shape"] = match name.as_str() {
            "X" => serde_json::json!([0, context]),
            "Y" => serde_json::json!([0]),
            "hidden" => serde_json::json!([0, hidden]),
            "logits" => serde_json::json!([0, vocabulary]),
            _ => entry["shape"].clone(),
        };
        let count: u64 = entry["shape"].as_array().unwrap().iter().map(|size| size.as_u64().unwrap()).product();
        let bytes = count * if entry["dtype"] == "F64" { 8 } else { 4 };
        entry["data_offsets"] = serde_json::json!([at, at + bytes]);
        at += bytes;
    }
    place.write("empty.safetensors", safetensors(&header.to_string(), at as usize));
    for device in ["reference", "cpu"] {
        let message = place.error(&format!("check empty.safetensors --device {device}"), 1);
        assert!(message.contains("empty.safetensors") && message.contains("no example"), "{message}");
    }
}
