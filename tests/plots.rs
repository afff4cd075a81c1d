//! Pictures of a run.

#[path = "common/program.rs"]
mod program;

use std::path::Path;

use ab_glyph::{Font, FontRef, PxScale, ScaleFont};
use gpu_mlp::engine::{Engine, Examination};
use gpu_mlp::model::Parameters;
use gpu_mlp::model::parameters::mean_and_deviation;
use gpu_mlp::reference::Reference;
use gpu_mlp::text::{Corpus, Sources};
use gpu_mlp::train::files::read_model;
use program::{Place, SHORT, bytes, events, of};

/// Width, height, and the share of pixels that are not white.
fn picture(path: &Path) -> (u32, u32, f64) {
    let decoder = png::Decoder::new(std::io::Cursor::new(bytes(path)));
    let mut reader = decoder.read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    let drawn = pixels.chunks_exact(3).filter(|pixel| pixel.iter().any(|&part| part < 250)).count();
    (info.width, info.height, drawn as f64 / f64::from(info.width * info.height))
}

#[test]
fn a_run_has_its_pictures_with_their_numbers() {
    let place = Place::new();
    place.events(&format!("{SHORT} --out run"));
    let output = place.run("plot run --cpu --json");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let plots = events(&output.stdout);
    let names: Vec<_> = plots.iter().map(|plot| plot["picture"].as_str().unwrap()).collect();
    assert_eq!(names, ["losses", "embedding", "hidden", "saturation", "gradients", "updates"]);
    assert_eq!(of(&plots, "plot").len(), 6);
    for name in names {
        let (width, _, drawn) = picture(&place.path(&format!("run/{name}.png")));
        assert_eq!(width, 800);
        // Black is where a unit is not flat.
        let most = if name == "saturation" { 0.8 } else { 0.6 };
        assert!((0.003..most).contains(&drawn), "{name}: {drawn} of it is drawn");
        let svg = String::from_utf8(bytes(&place.path(&format!("run/{name}.svg")))).unwrap();
        assert!(svg.starts_with("<svg") && svg.contains("<text"), "{name}");
    }
    let losses = String::from_utf8(bytes(&place.path("run/losses.svg"))).unwrap();
    assert_eq!(plots[0]["baselines"].as_array().unwrap().len(), 4);
    for text in ["validation", "best: ", "learning rate"] {
        assert!(losses.contains(text), "{text}");
    }
    let embedding = String::from_utf8(bytes(&place.path("run/embedding.svg"))).unwrap();
    for letter in 'a'..='z' {
        assert!(embedding.lines().any(|line| line.trim() == letter.to_string()), "{letter}");
    }
    assert_eq!((&plots[1]["labelled"], &plots[1]["without_glyphs"]), (&27.into(), &0.into()));
    let [first, second] = [0, 1].map(|axis| plots[1]["variance"][axis].as_f64().unwrap());
    assert!(first >= second && second > 0.0 && first + second <= 1.0, "{first} {second}");
    assert!((0.0..=1.0).contains(&plots[2]["saturated"].as_f64().unwrap()));
    let start = plots[2]["loss_at_start"].as_f64().unwrap();
    assert!((start - 27f64.ln()).abs() < 0.2, "scaled weights begin near a uniform guess: {start}");
    place.events(&format!("{SHORT} --init lecture --out lecture"));
    let lecture = place.events("plot lecture --cpu --format svg");
    assert!(lecture[2]["loss_at_start"].as_f64().unwrap() > 2.0 * 27f64.ln(), "the lecture's are too large");
    assert_eq!(plots[5]["log10_update_to_weight"].as_array().unwrap().len(), 3);
}

/// Every text of a picture with its size in pixels: left, right, and the height of its font.
fn texts(svg: &str) -> Vec<(String, f32, f32, f32)> {
    let font = FontRef::try_from_slice(dejavu::sans::regular()).unwrap();
    svg.split("<text ")
        .skip(1)
        .map(|element| {
            let field = |name: &str| element.split(&format!("{name}=\"")).nth(1).unwrap().split('"').next().unwrap();
            let [x, height] = ["x", "font-size"].map(|name| field(name).parse::<f32>().unwrap());
            let text = element.split('>').nth(1).unwrap().split('<').next().unwrap().trim();
            // The font's height that the letters' size stands for.
            let scaled = font.as_scaled(PxScale::from(height * font.height_unscaled() / font.units_per_em().unwrap()));
            let width: f32 = text.chars().map(|letter| scaled.h_advance(scaled.glyph_id(letter))).sum();
            let left = match field("text-anchor") {
                "start" => x,
                "middle" => x - width / 2.0,
                _ => x - width,
            };
            (text.to_owned(), left, left + width, height)
        })
        .collect()
}

#[test]
fn all_texts_can_be_read() {
    let place = Place::new();
    place.write("words.txt", "the quick brown fox jumps over the lazy dog and the cat sat on the mat\n".repeat(60));
    place.events(&format!("{SHORT} --out run"));
    place.events("train words.txt --cpu --preset words --steps 20 --direct --out words");
    place.events("rate --cpu --steps 100 --hidden 20 --out run --format svg");
    for run in ["run", "words"] {
        place.events(&format!("plot {run} --cpu --format svg"));
        let names = ["losses", "embedding", "hidden", "saturation", "gradients", "updates", "rate"];
        for name in names.iter().filter(|name| run == "run" || **name != "rate") {
            let found = texts(&String::from_utf8(bytes(&place.path(&format!("{run}/{name}.svg")))).unwrap());
            assert!(found.len() > 3, "{name}");
            for (text, left, right, height) in found {
                assert!(height >= 11.0, "{run} {name}: {text:?} is {height} pixels high");
                assert!(left >= 0.0 && right <= 800.0, "{run} {name}: {text:?} goes from {left} to {right}");
            }
        }
    }
}

/// Names of count models stand right of all curves, and none on another.
#[test]
fn no_curve_crosses_the_name_of_a_count_model() {
    let place = Place::new();
    place.events(&format!("{SHORT} --out run"));
    place.events("plot run --cpu --format svg");
    let svg = String::from_utf8(bytes(&place.path("run/losses.svg"))).unwrap();
    let names: Vec<_> = texts(&svg).into_iter().filter(|text| text.0.contains("-gram, ")).collect();
    assert_eq!(names.len(), 4);
    let curves = svg.split("<polyline ").skip(1).filter(|line| line.contains("#1F77B4") || line.contains("#FF7F0E"));
    let mut points = 0;
    for curve in curves {
        for point in curve.split("points=\"").nth(1).unwrap().split('"').next().unwrap().split_whitespace() {
            let x: f32 = point.split(',').next().unwrap().parse().unwrap();
            assert!(names.iter().all(|name| x < name.1), "{point}");
            points += 1;
        }
    }
    assert!(points > 10);
}

#[test]
fn letters_that_the_font_lacks_are_told() {
    let place = Place::new();
    place.write("han.txt", "中文\n大中\n文大a\n".repeat(40));
    place.events("train han.txt --cpu --steps 20 --hidden 8 --eval-every 20 --out run");
    let output = place.run("plot run --cpu --json");
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && message.contains("lacks characters of 3 of 5 tokens"), "{message}");
    assert!(message.contains("U+") && message.contains("--format svg"), "{message}");
    let plots = events(&output.stdout);
    assert_eq!((&plots[1]["without_glyphs"], &plots[1]["tokens"]), (&3.into(), &5.into()));
    let svg = String::from_utf8(bytes(&place.path("run/embedding.svg"))).unwrap();
    assert!(svg.contains("\n中\n"));
    let output = place.run("plot run --cpu --format svg");
    assert!(!String::from_utf8(output.stderr).unwrap().contains("lacks"), "an SVG lacks nothing");
}

/// The reference engine's forward and backward pass over so many examples of the training part of a run's text, with the
/// run's best model, which it returns, too.
fn examined(model: &Path, examples: usize) -> (Examination, Parameters) {
    let model = read_model(model).unwrap();
    let texts = Sources::default().read(model.settings.kind()).unwrap();
    let train = texts.data(&model.settings.text_settings(), 3, Some(&model.vocabulary)).unwrap().train;
    let chosen = || (0..examples).map(|number| number * train.len() / examples);
    let contexts: Vec<u32> = chosen().flat_map(|example| train.context_of(example).to_vec()).collect();
    let targets: Vec<u32> = chosen().map(|example| train.target_of(example)).collect();
    let mut engine = Reference::default();
    engine.load(&model.state.parameters).unwrap();
    (engine.examine(&Corpus::from_examples(&contexts, &targets, 3)).unwrap(), model.state.parameters)
}

#[test]
fn dead_units_are_counted_and_marked() {
    let place = Place::new();
    // A rate that drives units into the flat parts of tanh for good.
    place.events("train --cpu --steps 60 --hidden 30 --batch 16 --eval-every 60 --init lecture --rate 15 --out run");
    let plots = place.events("plot run --cpu --format svg");
    let saturation = plots.iter().find(|plot| plot["picture"] == "saturation").unwrap();
    let hidden = examined(&place.path("run/model.safetensors"), 1000).0.hidden;
    let is_dead = |unit: &usize| hidden.iter().skip(*unit).step_by(30).all(|activation| activation.abs() > 0.99);
    let dead: Vec<usize> = (0..30).filter(is_dead).collect();
    assert!(!dead.is_empty() && dead.len() < 30, "{dead:?}");
    assert_eq!(saturation["dead_units"], serde_json::json!(dead));
    assert_eq!(saturation["dead"], dead.len());
    let svg = String::from_utf8(bytes(&place.path("run/saturation.svg"))).unwrap();
    assert!(svg.contains(&format!("{} of 30 units dead", dead.len())));
    assert_eq!(svg.matches("#FF7F0E").count(), dead.len(), "each dead unit has its mark");
}

#[test]
fn gradients_are_those_of_the_reference() {
    let place = Place::new();
    place.events(&format!("{SHORT} --out run"));
    let plots = place.events("plot run --cpu --format svg");
    let gradients = plots.iter().find(|plot| plot["picture"] == "gradients").unwrap();
    let matrices = gradients["matrices"].as_array().unwrap();
    assert_eq!((matrices.len(), gradients["examples"].as_u64()), (3, Some(16)));
    let (examination, parameters) = examined(&place.path("run/model.safetensors"), 16);
    for matrix in matrices {
        let name = matrix["name"].as_str().unwrap();
        let gradient = examination.gradients.tensor(name);
        let (mean, deviation) = mean_and_deviation(gradient);
        let zero = gradient.iter().filter(|&&number| number == 0.0).count() as f64 / gradient.len() as f64;
        let over_data = deviation / mean_and_deviation(parameters.tensor(name)).1;
        let expected = [("mean", mean), ("deviation", deviation), ("gradient_to_data", over_data), ("zero", zero)];
        for (field, value) in expected {
            let found = matrix[field].as_f64().unwrap();
            assert!((found - value).abs() < 1e-5 * value.abs().max(deviation), "{name} {field}: {found}, not {value}");
        }
    }
    assert!(matrices[0]["zero"].as_f64().unwrap() > 0.0, "not every letter stands in 16 contexts");
}

/// The same run, ended ten times a step later each, tells what its next ten steps change.
#[test]
fn updates_are_those_of_the_run_s_own_rule() {
    const FIRST: usize = 30;
    let rules = ["--optimizer momentum --rate 0.02", "--optimizer adamw --rate 0.002 --dropout 0.2 --weight-decay 0.1"];
    for rule in rules {
        let place = Place::new();
        let states: Vec<Parameters> = (FIRST..=FIRST + 10)
            .map(|steps| {
                place.events(&format!(
                    "train --cpu --steps {steps} --hidden 20 --batch 16 --eval-every 100 --schedule constant {rule} --out \
                     run{steps}"
                ));
                read_model(&place.path(&format!("run{steps}/last.safetensors"))).unwrap().state.parameters
            })
            .collect();
        let plots = place.events(&format!("plot run{FIRST} --cpu --format svg"));
        let updates = plots.iter().find(|plot| plot["picture"] == "updates").unwrap();
        assert_eq!((updates["step"].as_u64(), updates["steps"].as_u64()), (Some(FIRST as u64), Some(10)));
        assert!(rule.contains(updates["optimizer"].as_str().unwrap()), "{updates}");
        for entry in updates["log10_update_to_weight"].as_array().unwrap() {
            let (name, ratio) = (entry[0].as_str().unwrap(), entry[1].as_f64().unwrap());
            let mean: f64 = states.windows(2).map(|pair| log10_ratio(&pair[0], &pair[1], name)).sum::<f64>() / 10.0;
            assert!((ratio - mean).abs() < 1e-9, "{rule}, {name}: {ratio}, but the run's steps are {mean}");
        }
        std::fs::remove_file(place.path(&format!("run{FIRST}/last.safetensors"))).unwrap();
        let output = place.run(&format!("plot run{FIRST} --cpu --format svg --out without"));
        assert!(output.status.success() && String::from_utf8_lossy(&output.stderr).contains("last.safetensors"));
        assert!(place.path("without/hidden.svg").exists() && !place.path("without/updates.svg").exists());
    }
}

/// Changes the parameters in a model file.
fn change(file: &Path, name: &str, changed: impl Fn(usize) -> f32) {
    let mut model = read_model(file).unwrap();
    let parameters = &mut model.state.parameters;
    let tensor = parameters.shape().tensors().into_iter().find(|tensor| tensor.name == name).unwrap();
    parameters.values[tensor.range].iter_mut().enumerate().for_each(|(place, value)| *value = changed(place));
    std::fs::write(file, model.to_bytes()).unwrap();
}

#[test]
fn matrices_without_updates_are_named() {
    let place = Place::new();
    place.events(&format!("{SHORT} --out run"));
    change(&place.path("run/last.safetensors"), "embedding.weight", |_| 0.5);
    let output = place.run("plot run --cpu --format svg --json");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && message.contains("leave out embedding.weight: its weights are equal"));
    let updates = events(&output.stdout).pop().unwrap();
    assert_eq!((&updates["picture"], &updates["left_out"][0][0]), (&"updates".into(), &"embedding.weight".into()));
    assert_eq!(updates["log10_update_to_weight"].as_array().unwrap().len(), 2);

    place.events(&format!("{SHORT} --rate 1e-30 --schedule constant --out still"));
    let output = place.run("plot still --cpu --format svg");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{message}");
    for name in ["embedding.weight", "hidden.weight", "output.weight"] {
        assert!(message.contains(&format!("{name}: none of its weights changes in 10 of 10 steps")), "{message}");
    }
    assert!(message.contains("no picture of the updates") && !place.path("still/updates.svg").exists(), "{message}");
}

/// Finite parameters whose products are not: no picture can show them.
#[test]
fn parameters_that_are_too_large_are_refused() {
    let place = Place::new();
    place.events(&format!("{SHORT} --out run"));
    for name in ["embedding.weight", "hidden.weight", "output.weight"] {
        place.events(&format!("{SHORT} --out {name}"));
        change(
            &place.path(&format!("{name}/model.safetensors")),
            name,
            |number| {
                if number % 3 == 0 { 3e38 } else { -3e38 }
            },
        );
        let message = place.error(&format!("plot {name} --cpu --format svg"), 1);
        assert!(message.contains("model.safetensors") && message.contains("the largest is 3.0e38"), "{message}");
        assert!(message.contains("not finite"), "{message}");
    }
}

fn log10_ratio(before: &Parameters, after: &Parameters, name: &str) -> f64 {
    let (before, after) = (before.tensor(name), after.tensor(name));
    let change: Vec<f32> = after.iter().zip(before).map(|(after, before)| after - before).collect();
    (mean_and_deviation(&change).1 / mean_and_deviation(before).1).log10()
}

#[test]
fn what_cannot_be_drawn_is_said() {
    let place = Place::new();
    assert!(place.error("plot absent", 1).contains("is not the directory of a run"));
    place.events(&format!("{SHORT} --out edited"));
    let config = String::from_utf8(bytes(&place.path("edited/config.toml"))).unwrap();
    for line in ["context = 2", "context = 5"] {
        place.write("edited/config.toml", config.replace("context = 3", line));
        let message = place.error("plot edited --cpu", 1);
        assert!(message.contains("config.toml and model.safetensors differ"), "{message}");
        assert!(!place.path("edited/losses.svg").exists());
    }
    place.write("names.txt", "anna\nbob\ncarla\ndan\n".repeat(20));
    place.events("train names.txt --cpu --steps 20 --hidden 5 --eval-every 10 --embedding 1 --out run");
    place.write("names.txt", "other\n");
    let output = place.run("plot run --cpu --format svg --out pictures");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{message}");
    assert!(message.contains("is not at hand") && message.contains("no map"), "{message}");
    assert!(place.path("pictures/losses.svg").exists() && !place.path("pictures/hidden.svg").exists());
}

#[test]
fn without_a_validation_part_no_loss_is_called_one() {
    let place = Place::new();
    place.write("names.txt", "anna\nbob\ncarla\ndan\n".repeat(20));
    place.write("held.txt", "anna\nbob\n");
    for (split, has_validation) in [("--split 80/0/20", false), ("--split 80/0/20 --valid held.txt", true)] {
        let run = if has_validation { "with" } else { "without" };
        place.events(&format!("train names.txt {split} --cpu --steps 20 --hidden 5 --eval-every 10 --out {run}"));
        let plots = place.events(&format!("plot {run} --cpu --format svg"));
        assert_eq!(plots[0]["has_validation"], has_validation);
        let svg = String::from_utf8(bytes(&place.path(&format!("{run}/losses.svg")))).unwrap();
        assert_eq!(
            (svg.contains("validation"), svg.contains("whole training part")),
            (has_validation, !has_validation)
        );
        let text = String::from_utf8(place.run(&format!("plot {run} --cpu --format svg")).stdout).unwrap();
        assert_eq!(
            (text.contains("best validation loss"), text.contains("no validation part")),
            (has_validation, !has_validation)
        );
    }
}

#[test]
fn a_long_text_has_no_count_models_and_this_is_said() {
    let place = Place::new();
    place.write("long.txt", "ab ".repeat(1_700_000));
    let output = place.run(
        "train long.txt --text stream --split rest/1000/1000 --cpu --steps 5 --hidden 2 --embedding 2 --eval-every 5 --out run",
    );
    let told = |output: &std::process::Output| {
        String::from_utf8_lossy(&output.stderr).contains("no count models to compare with: the training part has 5,09")
    };
    assert!(output.status.success() && told(&output) && !String::from_utf8_lossy(&output.stdout).contains("-gram"));
    let output = place.run("plot run --cpu --format svg --json");
    assert!(output.status.success() && told(&output));
    assert_eq!(events(&output.stdout)[0]["baselines"].as_array().unwrap().len(), 0);
}

#[test]
fn a_map_of_a_part_of_the_vocabulary_says_so() {
    let place = Place::new();
    let words: Vec<String> = (0..300).map(|number| format!("w{number}")).collect();
    place.write("words.txt", format!("{}\n", words.join(" ")).repeat(20));
    place.events("train words.txt --cpu --preset words --steps 10 --out run");
    let map = place.events("plot run --cpu --format svg")[1].clone();
    let vocabulary = map["vocabulary"].as_u64().unwrap();
    assert!(map["tokens"] == 200 && vocabulary >= 300, "{map}");
    let said = |which: &str| {
        let text = String::from_utf8(place.run("plot run --cpu --format svg").stdout).unwrap();
        let svg = String::from_utf8(bytes(&place.path("run/embedding.svg"))).unwrap();
        assert!(text.contains(which) && svg.contains(which), "{text}");
    };
    said(&format!("the 200 most frequent of {vocabulary} tokens"));
    place.write("words.txt", "others\n");
    said(&format!("the first 200 of {vocabulary} tokens"));
}

/// Every character of the picture is one that XML allows.
#[test]
fn a_picture_of_any_token_opens() {
    let place = Place::new();
    place.write("odd.txt", "a\u{ffff}b\n\u{fffe}<&>\u{b}\n".repeat(40));
    place.events("train odd.txt --cpu --steps 20 --hidden 8 --out run");
    place.events("plot run --cpu --format svg");
    let svg = String::from_utf8(bytes(&place.path("run/embedding.svg"))).unwrap();
    let allowed = |character: char| matches!(character, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    assert!(svg.chars().all(allowed));
    for shown in [r"\u{ffff}", r"\u{fffe}", r"\u{b}", "&lt;", "&amp;"] {
        assert!(svg.contains(shown), "{shown}");
    }
}

#[test]
fn a_range_test_suggests_a_rate_below_the_one_that_diverges() {
    let place = Place::new();
    let all = place
        .events("rate --cpu --threads 1 --steps 600 --hidden 50 --init lecture --to 1000 --out pictures --format png");
    let (points, suggestion) = (of(&all, "point"), of(&all, "suggestion")[0]);
    let rates: Vec<f64> = points.iter().map(|point| point["rate"].as_f64().unwrap()).collect();
    assert!(rates.is_sorted() && (rates[0] - 0.001).abs() < 1e-9);
    let smoothed = |point: &serde_json::Value| point["smoothed"].as_f64().unwrap();
    let least = points.iter().skip(points.len() / 10).min_by(|a, b| smoothed(a).total_cmp(&smoothed(b))).unwrap();
    assert_eq!(suggestion["least_loss_at"], least["rate"]);
    let suggested = suggestion["rate"].as_f64().unwrap();
    assert!((0.01..3.0).contains(&suggested), "{suggested}");
    assert!(suggestion["diverged_at"].as_f64().unwrap() > suggested && points.len() < 600);
    assert_eq!(suggestion["files"][0], "pictures/rate.png");
    assert!((0.003..0.6).contains(&picture(&place.path("pictures/rate.png")).2));
    place.write("file", "");
    let output = place.run("rate --cpu --steps 60 --hidden 10 --from 1e-7 --out file");
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.code() == Some(1) && shown.contains("suggested") && shown.contains("0.0000001 "), "{shown}");
    assert!(place.error("rate --from 1 --to 0.1", 2).contains("--from 1 --to 0.1"));
    assert!(place.error("rate --steps 3", 2).contains("at least 10"));
}
