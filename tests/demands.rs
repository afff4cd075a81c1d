//! What cannot be asked of an engine is the same error on all of them: nothing panics, nothing is read beyond an end, and
//! no number comes out that looks like an answer.

mod common;

use std::sync::Arc;

use gpu_mlp::Result;
use gpu_mlp::engine::cpu::Cpu;
use gpu_mlp::engine::gpu::{Gpu, Path};
use gpu_mlp::engine::{Engine, Optimizer, Recipe, State};
use gpu_mlp::model::initial::initial;
use gpu_mlp::model::{Init, Parameters, Shape};
use gpu_mlp::reference::Reference;
use gpu_mlp::text::{BatchPlan, Corpus, Order};

/// Few and many tokens, hidden units and examples: engines go different ways for them.
const SHAPES: [Shape; 3] = [
    Shape { vocabulary: 7, context: 3, embedding: 4, hidden: 5, direct: false, tied: false },
    Shape { vocabulary: 27, context: 3, embedding: 10, hidden: 200, direct: false, tied: false },
    Shape { vocabulary: 300, context: 3, embedding: 6, hidden: 20, direct: true, tied: false },
];

fn engines() -> Vec<(&'static str, Box<dyn Engine>)> {
    let mut engines: Vec<(&str, Box<dyn Engine>)> = vec![
        ("cpu, 1 thread", Box::new(Cpu::new(1))),
        ("cpu, 3 threads", Box::new(Cpu::new(3))),
        ("reference", Box::new(Reference::default())),
    ];
    if let Some(adapter) = common::gpu() {
        engines.push(("gpu", Box::new(Gpu::open(adapter, Path::Automatic).unwrap())));
    }
    engines
}

/// Examples in a row whose numbers a network knows, but for one in the first context and one target.
fn corpus(shape: Shape, in_context: u32, target: u32) -> Corpus {
    let examples = 40;
    let mut contexts: Vec<u32> = (0..examples * shape.context).map(|at| (at % shape.vocabulary) as u32).collect();
    contexts[1] = in_context;
    let mut targets = vec![1; examples];
    targets[examples / 2] = target;
    Corpus::from_examples(&contexts, &targets, shape.context)
}

fn plan(corpus: &Corpus) -> BatchPlan {
    BatchPlan { order: Order::Sampled, seed: 1, batch: 8, examples: corpus.len() as u32 }
}

#[track_caller]
fn refused<T>(engine: &str, what: &str, result: Result<T>, says: &str) {
    match result {
        Ok(_) => panic!("{engine}: {what} is answered"),
        Err(error) => assert!(error.to_string().contains(says), "{engine}, {what}: {error}"),
    }
}

/// Every question about a corpus.
fn corpus_is_refused(name: &str, engine: &mut dyn Engine, what: &str, corpus: &Corpus, says: &str) {
    let recipe = Recipe::default();
    refused(name, what, engine.log_probabilities(corpus), says);
    refused(name, what, engine.examine(corpus), says);
    refused(name, what, engine.prepare(Arc::new(corpus.clone()), plan(corpus), recipe), says);
    refused(name, what, engine.cost(Arc::new(corpus.clone()), plan(corpus), recipe), says);
}

#[test]
fn nothing_is_answered_before_there_are_parameters_or_a_training() {
    let shape = SHAPES[0];
    let fine = corpus(shape, 0, 0);
    for (name, mut engine) in engines() {
        let says = "no parameters yet";
        corpus_is_refused(name, &mut *engine, "before load", &fine, says);
        refused(name, "parameters", engine.parameters(), says);
        refused(name, "distributions", engine.distributions(&[1, 2, 3]), says);
        let parameters = initial(shape, Init::Scaled, 1, &[]);
        engine.load(&parameters).unwrap();
        let says = "nothing to train on yet";
        refused(name, "train", engine.train(0, &[0.1]), says);
        refused(name, "state", engine.state(), says);
        refused(name, "load_state", engine.load_state(&State::of_model(parameters)), says);
    }
}

#[test]
fn tokens_beyond_the_vocabulary_and_other_contexts_are_refused() {
    for shape in SHAPES {
        let v = shape.vocabulary as u32;
        for (name, mut engine) in engines() {
            engine.load(&initial(shape, Init::Scaled, 1, &[])).unwrap();
            for beyond in [v, v + 14, 4_000_000_000] {
                let says = format!("a token {beyond}, but the network knows only the {v} tokens below {v}");
                corpus_is_refused(name, &mut *engine, "a context", &corpus(shape, beyond, 0), &says);
                corpus_is_refused(name, &mut *engine, "a target", &corpus(shape, 0, beyond), &says);
                let contexts: Vec<u32> = (0..60).map(|at| if at == 4 { beyond } else { 1 }).collect();
                refused(name, "distributions", engine.distributions(&contexts), &says);
            }
            for context in [2, 4] {
                let other = corpus(Shape { context, ..shape }, 0, 0);
                let says = format!("contexts of {context} tokens, the network of 3");
                corpus_is_refused(name, &mut *engine, "another context", &other, &says);
            }
            refused(
                name,
                "part of a row",
                engine.distributions(&[1, 2, 3, 4]),
                "4 tokens are no rows of contexts of 3",
            );
            // Afterwards it answers as ever.
            assert_eq!(engine.distributions(&[1, 2, 3]).unwrap().len(), shape.vocabulary, "{name}");
        }
    }
}

#[test]
fn batches_that_cannot_be_drawn_are_refused_and_of_nothing_nothing_is_asked() {
    for shape in SHAPES {
        let nothing = Corpus::from_examples(&[], &[], 3);
        let fine = Arc::new(corpus(shape, 0, 0));
        for (name, mut engine) in engines() {
            engine.load(&initial(shape, Init::Scaled, 1, &[])).unwrap();
            assert!(engine.log_probabilities(&nothing).unwrap().is_empty(), "{name}");
            assert!(engine.distributions(&[]).unwrap().is_empty(), "{name}");
            refused(name, "examine nothing", engine.examine(&nothing), "cannot be drawn from a corpus of 0");
            for (batch, examples) in [(0, 40), (8, 0), (8, 41)] {
                let plan = BatchPlan { batch, examples, ..plan(&fine) };
                let result = engine.prepare(fine.clone(), plan, Recipe::default());
                refused(name, "batches", result, "cannot be drawn from a corpus of 40");
            }
        }
    }
}

#[test]
fn parameters_of_another_shape_and_states_of_another_rule_are_refused() {
    let shape = SHAPES[0];
    let parameters = initial(shape, Init::Scaled, 1, &[]);
    let fine = Arc::new(corpus(shape, 0, 0));
    for (name, mut engine) in engines() {
        let cut = |count: usize| {
            let mut parameters = parameters.clone();
            parameters.values.truncate(count);
            parameters
        };
        refused(name, "half of the parameters", engine.load(&cut(10)), "parameters, not 10");
        refused(name, "no shape", engine.load(&Parameters::zeros(Shape { context: 0, ..shape })), "--context is 0");
        engine.load(&parameters).unwrap();
        for other in [Shape { vocabulary: 5, ..shape }, Shape { hidden: 4, ..shape }, Shape { direct: true, ..shape }] {
            refused(name, "another shape", engine.load(&Parameters::zeros(other)), "open another one");
        }
        let recipe = Recipe { optimizer: Optimizer::Momentum, momentum: 0.9, ..Recipe::default() };
        engine.prepare(fine.clone(), plan(&fine), recipe).unwrap();
        let says = "another update rule";
        refused(name, "a state", engine.load_state(&State::new(parameters.clone(), &Recipe::default())), says);
        let fits = State::new(parameters.clone(), &recipe);
        refused(name, "half", engine.load_state(&State { velocity: Some(cut(10)), ..fits.clone() }), "not 10");
        let other = State::new(Parameters::zeros(Shape { hidden: 4, ..shape }), &recipe);
        refused(name, "a state of another shape", engine.load_state(&other), "open another one");
        engine.load_state(&fits).unwrap();
        assert_eq!(engine.parameters().unwrap(), parameters, "{name}");
        assert!(engine.train(0, &[0.1]).unwrap()[0].is_finite(), "{name}");
    }
}
