//! `gpu-mlp bench`: what it prints, saves, compares and refuses.

mod common;
#[path = "common/program.rs"]
mod program;

use serde_json::Value;

use program::{Place, SHORT, bytes, of};

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn devices_take_turns_and_passes_add_up_to_the_step() {
    let all = Place::new().events("bench --device cpu --threads 1 2 --shape notebook --seconds 0.1");
    let threads: Vec<_> = all.iter().map(|timing| timing["threads"].as_u64().unwrap()).collect();
    assert_eq!(threads, [1, 2]);
    assert_eq!(number(&all[0]["ratio"]), 1.0);
    let [first, second] = [0, 1].map(|index| number(&all[index]["steps_per_second"]));
    assert!((number(&all[1]["ratio"]) - second / first).abs() < 1e-9);
    for timing in &all {
        let spread = &timing["per_second"];
        let ordered =
            ["slowest", "lower_quartile", "median", "upper_quartile", "fastest"].map(|key| number(&spread[key]));
        assert!(ordered.is_sorted() && ordered[0] > 0.0, "{spread}");
        assert!(spread["repeats"].as_u64().unwrap() >= 5);
        assert_eq!(number(&spread["median"]), number(&timing["steps_per_second"]));
        let passes = timing["passes"].as_array().unwrap();
        let sum: f64 = passes.iter().map(|pass| number(&pass["microseconds"])).sum();
        let step = number(&timing["step_microseconds"]);
        assert!((sum / step - 1.0).abs() < 1e-9, "{sum} {step}");
        assert_eq!(passes.last().unwrap()["name"], "unaccounted");
        // The floor is the longer of the two times at the measured peaks.
        let arithmetic = number(&timing["operations"]) / number(&timing["peak_gflops"]) / 1e3;
        let memory = number(&timing["bytes"]) / number(&timing["peak_gigabytes_per_second"]) / 1e3;
        assert!((number(&timing["floor_microseconds"]) / arithmetic.max(memory) - 1.0).abs() < 1e-9);
    }
}

#[test]
fn every_task_is_checked_and_timed() {
    let all = Place::new().events("bench --cpu --threads 1 --task all --shape notebook --seconds 0.05");
    let found: Vec<_> =
        all.iter().map(|timing| (timing["task"].as_str().unwrap(), timing["unit"].as_str().unwrap())).collect();
    let expected =
        [("train", "steps"), ("eval", "tokens"), ("score", "tokens"), ("sample", "tokens"), ("read", "bytes")];
    assert_eq!(found, expected);
    for timing in &all {
        assert_eq!((&timing["event"], &timing["checked"]), (&"bench".into(), &true.into()));
        assert!(number(&timing["per_second"]["median"]) > 0.0);
    }
    assert_eq!(all[4]["device"], "host");
    assert!(all[4]["gflops"].is_null());
}

#[test]
fn words_are_read_scored_and_drawn_too() {
    let tasks = "bench --cpu --threads 1 --task eval,score,sample,read --shape brown --seconds 0.02";
    assert_eq!(Place::new().events(tasks).len(), 4);
}

#[test]
fn results_are_saved_and_compared() {
    let place = Place::new();
    let bench = "bench --cpu --threads 1 --shape notebook --seconds 0.05";
    let first = place.events(&format!("{bench} --save before.json"));
    let saved: Value = serde_json::from_slice(&bytes(&place.path("before.json"))).unwrap();
    for fact in ["processor", "cores", "system", "architecture", "version", "date"] {
        assert!(!saved["machine"][fact].is_null(), "{fact}");
    }
    assert_eq!(saved["timings"][0]["per_second"], first[0]["per_second"]);
    assert_eq!(saved["timings"][0]["driver"], first[0]["driver"]);

    let again = place.events(&format!("{bench} --shape makemore --compare before.json"));
    let change = of(&again, "change");
    assert_eq!(change.len(), 1, "makemore has no earlier result");
    assert_eq!(change[0]["shape"], "notebook");
    assert_eq!(change[0]["old"], first[0]["steps_per_second"]);
    assert!((number(&change[0]["ratio"]) - number(&change[0]["new"]) / number(&change[0]["old"])).abs() < 1e-9);

    let mut other = saved;
    other["machine"]["processor"] = "Abacus".into();
    place.write("other.json", other.to_string());
    let output = place.run(&format!("{bench} --compare other.json"));
    let warning = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(warning.contains("warning") && warning.contains("processor was Abacus"), "{warning}");
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(table.contains("new / old"), "{table}");
}

#[test]
fn people_see_the_distance_to_the_floor_and_the_passes() {
    let output = Place::new().run("bench --cpu --threads 1 --shape notebook --seconds 0.05 --passes");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for part in
        ["quartiles", "times the floor", "MFLOP a step", "MB a step", "hidden_forward", "unaccounted", "peak of"]
    {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn wrong_usage_says_what_is_right_before_any_work() {
    let place = Place::new();
    assert!(place.error("bench --task fly --cpu", 2).contains("train, eval, score, sample, read, all"));
    assert!(place.error("bench --seconds 0 --cpu", 2).contains("above 0"));
    assert!(place.error("bench --threads 1 2 --device vulkan", 2).contains("--cpu"));
    assert!(place.error("bench --cpu --save nowhere/x.json", 2).contains("there is no folder nowhere"));
    assert!(place.error("bench --cpu --save .", 2).contains("folder"));
    assert!(place.error("bench --cpu --compare nothing.json", 1).contains("nothing.json: cannot read"));
    place.events(&format!("{SHORT} --out run"));
    let message = place.error("bench --cpu --compare run/metrics.jsonl", 1);
    assert!(message.contains("bench --save"), "{message}");
}

#[test]
fn a_gpu_takes_turns_with_the_cpu() {
    if common::gpu().is_none() {
        return;
    }
    let all =
        Place::new().events("bench --device cpu,gpu --threads 1 --shape notebook --task train eval --seconds 0.1");
    let found: Vec<_> =
        all.iter().map(|timing| (timing["task"].as_str().unwrap(), timing["backend"] == "cpu")).collect();
    assert_eq!(found, [("train", true), ("train", false), ("eval", true), ("eval", false)]);
    for timing in &all {
        let share = number(&timing["gflops"]) / number(&timing["peak_gflops"]);
        assert!((number(&timing["fraction_of_peak"]) / share - 1.0).abs() < 1e-9, "{timing}");
        assert!(number(&timing["peak_gigabytes_per_second"]) > 0.0 && number(&timing["floor_microseconds"]) > 0.0);
    }
    // Steps that are timed for their passes alone leave the rest of an ordinary step to what is between them.
    let (training, gpu) = (&all[1], all[1]["device"].as_str().unwrap());
    if !training["passes_unknown"].is_null() {
        common::not_tested(format!("the passes of {gpu}"));
        return;
    }
    let passes = training["passes"].as_array().unwrap();
    let names: Vec<_> = passes.iter().map(|pass| pass["name"].as_str().unwrap()).collect();
    assert_eq!(names[names.len() - 2..], ["between passes", "unaccounted"]);
    let times: Vec<f64> = passes.iter().map(|pass| number(&pass["microseconds"])).collect();
    let sum: f64 = times.iter().sum();
    assert!((sum / number(&training["step_microseconds"]) - 1.0).abs() < 1e-9, "{training}");
    // All but the last are parts of the step whose passes were timed.
    let (unaccounted, parts) = times.split_last().unwrap();
    assert!(parts.iter().all(|&part| part >= 0.0), "{training}");
    assert!(((sum - unaccounted) / number(&training["profiled_step_microseconds"]) - 1.0).abs() < 1e-9, "{training}");
    let table = Place::new().run("bench --device gpu --shape notebook --seconds 0.1 --passes");
    let table = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(table.contains("small_") && table.contains("between passes"), "{table}");
}
