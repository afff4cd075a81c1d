//! Count models by the real program: `ngram`, and mixed with a network in `eval` and `sample`.

#[path = "common/program.rs"]
mod program;

use program::{Place, SHORT, bytes, of};

#[test]
fn ngram_counts_every_model_and_says_losses_and_perplexities() {
    let place = Place::new();
    let all = place.events("ngram --order 4");
    let models: Vec<_> =
        all.iter().map(|event| (event["model"].as_str().unwrap(), event["order"].as_u64().unwrap())).collect();
    assert_eq!(models, [("trigram", 3), ("kneser-ney", 4), ("backoff", 4)]);
    for event in &all {
        for part in ["train", "valid", "test"] {
            let (loss, perplexity) = (event[part].as_f64().unwrap(), event["perplexity"][part].as_f64().unwrap());
            assert!((loss.exp() - perplexity).abs() < 1e-9 && loss > 1.5 && loss < 2.4, "{event}");
        }
    }
    let one = place.events("ngram --model kneser-ney --order 4");
    assert_eq!(one[0]["test"], all[1]["test"]);
    let kept = place.events("ngram --model backoff --order 4 --cut-off 1");
    assert!(kept[0]["train"].as_f64() < all[2]["train"].as_f64());
    let text = place.run("ngram --model trigram --rounds 1");
    let (table, messages) = (String::from_utf8(text.stdout).unwrap(), String::from_utf8(text.stderr).unwrap());
    assert!(table.contains("trigram, order 3") && messages.contains("counting: trigram"), "{table} {messages}");
}

#[test]
fn ngram_takes_words_and_refuses_what_cannot_be() {
    let place = Place::new();
    place.write("text.txt", "the cat sat on the mat and the dog sat on the cat\n".repeat(20));
    let all = place.events("ngram text.txt --tokens words --text stream --order 3 --split 200/rest/30");
    assert!(all.iter().all(|event| event["perplexity"]["test"].as_f64().unwrap() < 3.0), "{all:?}");
    assert!(place.error("ngram text.txt --order 0", 2).contains("--order"));
    assert!(place.error("ngram no-such-file", 1).contains("no-such-file: cannot read"));
    assert!(place.error("ngram --marks", 2).contains("--text stream"));
}

#[test]
fn a_mixture_evaluates_and_draws() {
    let place = Place::new();
    let names: Vec<&str> = include_str!("../data/names.txt").lines().step_by(20).collect();
    place.write("names.txt", names.join("\n"));
    let trained = place.events(&format!("{SHORT} names.txt --out run"));
    let loss = |arguments: &str| place.events(&format!("eval run --cpu {arguments}"))[1]["loss"].as_f64().unwrap();
    let (network, half) = (loss(""), loss("--mix kneser-ney:0.5"));
    assert_eq!(network, of(&trained, "done")[0]["valid"].as_f64().unwrap());
    let learned = &place.events("eval run --cpu --mix kneser-ney:learn")[1];
    assert!(half < network && learned["loss"].as_f64().unwrap() < half);
    assert_eq!(learned["mixture"][0]["model"], "network");
    let weights = [0, 1].map(|model: usize| learned["mixture"][model]["weights"][0].as_f64().unwrap());
    assert!((weights[0] + weights[1] - 1.0).abs() < 1e-9 && weights[1] > 0.5, "{weights:?}");
    // ngram is the paper's trigram; the number is its weight.
    assert_eq!(loss("--mix ngram:0.3"), loss("--mix trigram:0.3"));
    assert!(loss("--mix ngram:0.000001") - network < 1e-4);
    assert!(loss("--mix trigram:bins --mix kneser-ney:bins") < learned["loss"].as_f64().unwrap() + 1e-6);
    // A mixture of a short context and a long one evaluates other texts as well, with the same counts.
    place.write("other.txt", "anna\nbea\n");
    assert_eq!(place.events("eval run other.txt --cpu --mix kneser-ney:0.5")[0]["tokens"], 9);
    let drawn = place.events("sample run --cpu --count 3 --mix kneser-ney:0.9");
    assert_eq!(drawn, place.events("sample run --cpu --count 3 --mix kneser-ney:0.9"));
    assert_ne!(drawn, place.events("sample run --cpu --count 3"));
    assert!(bytes(&place.path("run/metrics.jsonl")).len() > 100, "mixing leaves the run as it is");

    assert!(place.error("eval run --cpu --mix kneser-ney", 2).contains("has no weight"));
    assert!(place.error("eval run --cpu --mix neural:0.5", 2).contains("no count model"));
    assert!(place.error("eval run --cpu --mix trigram:0.5 --mix backoff:0.5", 2).contains("nothing to the network"));
    assert!(place.error("sample run --cpu --mix trigram:0.5 --mix backoff:learn", 2).contains("all models or to none"));
}

#[test]
fn a_mixture_needs_the_text_of_its_run() {
    let place = Place::new();
    place.write("names.txt", "anna\nbea\nclara\ndora\nemma\n".repeat(20));
    place.events(&format!("{SHORT} names.txt --out run"));
    std::fs::remove_file(place.path("names.txt")).unwrap();
    assert!(place.error("sample run --cpu --mix trigram:0.5", 1).contains("--mix counts it"));
    assert_eq!(place.events("sample run --cpu --count 1").len(), 1);
}
