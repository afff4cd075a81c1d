//! Instructions that the CPU engine takes for a training step, counted by valgrind's callgrind: a guard against
//! regressions that no busy machine disturbs. Its processor has AVX2 and FMA, but not AVX-512, whatever machine it runs on.
//!
//! A step is the difference of two runs over the steps between, so start and end of the program do not count.

#[path = "common/accepted.rs"]
mod accepted;
#[path = "common/not_tested.rs"]
mod not_tested;

use std::process::Command;
use std::sync::Arc;

use accepted::{Accepted, Counts};
use gpu_mlp::bench::{BenchShape, SHAPES};
use gpu_mlp::engine::cpu::Cpu;
use gpu_mlp::engine::{Engine, Recipe};
use gpu_mlp::model::initial::initial;
use gpu_mlp::model::{Init, Shape};
use gpu_mlp::text::{BatchPlan, Corpus, Order};
use gpu_mlp::train::{Preset, Settings};
use not_tested::not_tested;

const ACCEPTED: Accepted = Accepted {
    file: "instructions.toml",
    test: "instructions",
    about: "Instructions of a training step, and of a prediction, of the CPU engine on one thread with AVX2 and FMA, as\n\
            valgrind's callgrind counts them. tests/instructions.rs holds the program to them and says how to accept new ones.",
    band: 0.03,
};

/// What is counted: a shape, and the units of the shorter run.
struct Case {
    name: &'static str,
    shape: BenchShape,
    work: Work,
    units: usize,
}

#[derive(Clone, Copy)]
enum Work {
    /// Training steps.
    Steps(Order, Recipe),
    /// Predictions of an evaluation.
    Predictions,
}

/// The lecture's networks, a preset with its order and recipe, and networks like those of Table 1 with fewer words and
/// smaller batches: valgrind takes 10 nanoseconds for each multiplication with an addition, and all of this should take no
/// more than 20 seconds.
fn cases() -> [Case; 7] {
    let words = |vocabulary, embedding, hidden, direct| {
        let shape = Shape { vocabulary, context: 4, embedding, hidden, direct, tied: false };
        BenchShape { name: "words", shape, batch: 32 }
    };
    let (brown, with_direct) = (words(2000, 30, 100, false), words(1000, 60, 50, true));
    let case = |name, shape, work, units| Case { name, shape, work, units };
    let Settings { context, embedding, hidden, direct, tied, batch, order, recipe, .. } = Preset::Names.settings().0;
    let shape = Shape { vocabulary: 27, context, embedding, hidden, direct, tied };
    let names = BenchShape { name: "names", shape, batch: batch as usize };
    let steps = Work::Steps(Order::Sampled, Recipe::default());
    [
        case("notebook", SHAPES[0], steps, 16),
        case("makemore", SHAPES[1], steps, 16),
        case("preset-names", names, Work::Steps(order, recipe), 1),
        case("words", brown, steps, 2),
        case("words-direct", with_direct, steps, 1),
        case("makemore-evaluation", SHAPES[1], Work::Predictions, 512),
        case("words-evaluation", brown, Work::Predictions, 256),
    ]
}

/// What the counted program is told.
const CASE: &str = "GPU_MLP_COUNTED_CASE";
const UNITS: &str = "GPU_MLP_COUNTED_UNITS";
/// What it says before it works.
const SET: &str = "instruction set: ";

/// The built-in names, taken apart here: reading a text takes a second thread, and what two threads spend on waiting for
/// each other differs from run to run (by 130,000 instructions, 4 % of the smaller differences).
fn names(context: usize) -> Corpus {
    let line = |line: &str| line.bytes().map(|letter| u32::from(letter - b'a') + 1).collect::<Vec<_>>();
    let lines: Vec<_> = include_str!("../data/names.txt").lines().map(line).collect();
    Corpus::from_lines(&lines, context)
}

#[test]
fn the_names_that_are_counted_are_those_of_the_shape() {
    assert!(names(3) == SHAPES[1].corpus());
}

/// Not a test: what runs under valgrind, started by the test below.
#[test]
#[ignore = "it is started under valgrind by another test"]
fn counted_work() {
    let (Ok(name), Ok(units)) = (std::env::var(CASE), std::env::var(UNITS)) else { return };
    let cases = cases();
    let case = cases.iter().find(|case| case.name == name).expect("a case");
    let units = units.parse().expect("a number");
    let (shape, batch) = (case.shape.shape, case.shape.batch);
    let mut engine = Cpu::new(1);
    println!("{SET}{}", engine.instruction_set());
    engine.load(&initial(shape, Init::Scaled, 1, &[])).unwrap();
    let corpus = if shape.vocabulary == 27 { names(shape.context) } else { case.shape.corpus() };
    match case.work {
        Work::Steps(order, recipe) => {
            let plan = BatchPlan { order, seed: 1, batch: batch as u32, examples: corpus.len() as u32 };
            engine.prepare(Arc::new(corpus), plan, recipe).unwrap();
            engine.train(0, &vec![0.01; units]).unwrap();
        }
        Work::Predictions => {
            let [part] = Corpus::stream_parts(corpus.tokens().to_vec(), shape.context, [units]);
            engine.log_probabilities(&part).unwrap();
        }
    }
}

#[test]
fn a_step_takes_the_instructions_that_were_accepted() {
    if !cfg!(target_arch = "x86_64") || cfg!(debug_assertions) {
        not_tested("instructions are counted of release builds for x86-64");
        return;
    }
    if let Err(error) = Command::new("valgrind").arg("--version").output() {
        let required = std::env::var("GPU_MLP_REQUIRE_VALGRIND").is_ok_and(|value| !value.is_empty());
        assert!(!required, "GPU_MLP_REQUIRE_VALGRIND is set, but valgrind cannot be started: {error}");
        not_tested(format!("valgrind cannot be started ({error}); with it the instructions of a step are counted"));
        return;
    }
    // Two at a time: each is a process of its own and counts alike beside others.
    let per_unit = |case: &Case| {
        let [one, two] = std::thread::scope(|scope| {
            [1, 2]
                .map(|times| scope.spawn(move || instructions(case.name, case.units * times)))
                .map(|run| run.join().unwrap())
        });
        let [one, two] = [one?, two?];
        Some((case.name.to_owned(), (two - one) / case.units as u64))
    };
    let Some(found) = cases().iter().map(per_unit).collect::<Option<Counts>>() else {
        not_tested("the processor has no AVX2 and FMA, of which instructions are accepted");
        return;
    };
    println!("{found:#?}");
    ACCEPTED.hold(&found);
}

/// Instructions of the whole run over so many units; `None` where the processor lacks the instruction set.
fn instructions(case: &str, units: usize) -> Option<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "counted_work", "--nocapture", "--test-threads=1"])
        .env(CASE, case)
        .env(UNITS, units.to_string())
        .output()
        .unwrap();
    let (said, counted) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{case}: {said}\n{counted}");
    let after = |text: &str, mark: &str| text.split_once(mark).map(|(_, rest)| rest.lines().next().unwrap().to_owned());
    if after(&said, SET).unwrap_or_else(|| panic!("{case} did not run: {said}")) != "AVX2 + FMA" {
        return None;
    }
    let count = after(&counted, "Collected :").unwrap_or_else(|| panic!("{case} was not counted: {counted}"));
    Some(count.trim().parse().unwrap())
}
