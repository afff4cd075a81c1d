//! The tour says what the engines compute, in lines that fit.

mod common;
#[allow(dead_code)]
#[path = "common/program.rs"]
mod program;

use gpu_mlp::engine::Engine;
use gpu_mlp::model::Init;
use gpu_mlp::model::initial::initial;
use gpu_mlp::reference::Reference;
use gpu_mlp::text::{Corpus, Vocabulary};
use gpu_mlp::train::Preset;
use program::{Place, of};
use serde_json::Value;

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

/// The loss of the two names by the reference engine.
fn reference_loss() -> f64 {
    let settings = Preset::Notebook.settings().0;
    let tokens = std::iter::once('.').chain('a'..='z').map(String::from).collect();
    let vocabulary = Vocabulary::from_tokens(tokens, settings.kind()).unwrap();
    let names = ["emma", "olivia"].map(|name| vocabulary.encode(name).unwrap());
    let mut engine = Reference::default();
    engine.load(&initial(settings.shape(27), Init::Lecture, 42, &[])).unwrap();
    engine.examine(&Corpus::from_lines(&names, settings.context)).unwrap().loss
}

#[test]
fn every_number_holds_on_every_device() {
    let place = Place::new();
    let mut devices = vec!["cpu", "reference"];
    if common::gpu().is_some() {
        devices.push("gpu");
    }
    for device in devices {
        let events = place.events(&format!("tour --device {device}"));
        let steps = of(&events, "tour");
        assert_eq!(
            steps.iter().map(|step| step["step"].as_u64().unwrap()).collect::<Vec<_>>(),
            [1, 2, 3, 4, 5, 6, 7, 8, 9]
        );
        let examples = steps[0]["examples"].as_array().unwrap();
        assert_eq!(examples.len(), 12);
        assert_eq!(examples[3]["context"].as_str().unwrap(), "e m m");
        assert_eq!(examples[3]["target"].as_str().unwrap(), "a");
        assert!(steps[1]["equal"] == true && steps[2]["equal"] == true);
        assert!(floats(&steps[3]["hidden"]).iter().all(|value| value.abs() <= 1.0));

        let probabilities = floats(&steps[4]["probabilities"]);
        assert_eq!(probabilities.len(), 27);
        assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-5);
        let counts: Vec<f64> = floats(&steps[4]["logits"]).into_iter().map(f64::exp).collect();
        let sum: f64 = counts.iter().sum();
        for (count, probability) in counts.iter().zip(&probabilities) {
            assert!((count / sum - probability).abs() < 1e-4, "{device}: {count} / {sum} is not {probability}");
        }
        assert_eq!(steps[5]["overflows"], true);
        assert!((steps[5]["stable_loss"].as_f64().unwrap() - 103.0).abs() < 1e-4);

        let (loss, each) = (steps[6]["loss"].as_f64().unwrap(), floats(&steps[6]["losses"]));
        assert!((loss - reference_loss()).abs() < 1e-4, "{device}: {loss}");
        assert!((each.iter().sum::<f64>() / 12.0 - loss).abs() < 1e-4);
        let losses = floats(&steps[7]["losses"]);
        assert_eq!(losses.len(), 11);
        assert!((losses[0] - loss).abs() < 1e-4 && losses[10] < losses[0]);
        assert!(steps[7]["after"].as_f64() > steps[7]["before"].as_f64());
    }
}

#[test]
fn its_text_fits_a_terminal_and_shows_the_loss() {
    let place = Place::new();
    for seed in [42, 7, 123] {
        let output = place.run(&format!("tour --cpu --seed {seed}"));
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        for line in text.lines() {
            assert!(line.chars().count() <= 100, "{line}");
        }
        if seed == 42 {
            assert!(text.contains(&format!("The mean is {:.4}", reference_loss())));
        }
    }
    let one = String::from_utf8(place.run("tour --cpu --section 6").stdout).unwrap();
    assert!(one.starts_with("6. ") && !one.contains("\n7. "));
    place.error("tour --section 10", 2);
}
