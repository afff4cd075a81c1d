//! The reference as an engine.

use std::sync::Arc;

use super::{Carried, Dropout, Forward, Network};
use crate::Result;
use crate::engine::cost::{Cost, Memory, MemoryKind};
use crate::engine::demands::{
    check_corpus, check_parameters, check_state, check_training, corpus_of_contexts, loaded, prepared,
};
use crate::engine::{Engine, Examination, Hardware, Recipe, State};
use crate::model::Parameters;
use crate::text::{BatchPlan, Corpus};

/// The reference engine.
#[derive(Default)]
pub struct Reference {
    network: Option<Network>,
    training: Option<Training>,
}

struct Training {
    corpus: Arc<Corpus>,
    plan: BatchPlan,
    recipe: Recipe,
    carried: Carried,
}

impl Reference {
    fn network(&self) -> Result<&Network> {
        loaded(self.network.as_ref())
    }
}

impl Engine for Reference {
    fn hardware(&self) -> Hardware {
        Hardware { device: "reference".into(), backend: "cpu".into(), driver: "plain f64 loops".into(), threads: 1 }
    }

    fn load(&mut self, parameters: &Parameters) -> Result<()> {
        check_parameters(self.network.as_ref().map(|network| network.shape), parameters)?;
        self.network = Some(Network::from_parameters(parameters));
        Ok(())
    }

    fn parameters(&mut self) -> Result<Parameters> {
        Ok(self.network()?.to_parameters())
    }

    fn prepare(&mut self, corpus: Arc<Corpus>, plan: BatchPlan, recipe: Recipe) -> Result<()> {
        check_training(self.network()?.shape, &corpus, &plan)?;
        let carried = Carried::new(self.network()?, &recipe);
        self.training = Some(Training { corpus, plan, recipe, carried });
        Ok(())
    }

    fn cost(&mut self, corpus: Arc<Corpus>, plan: BatchPlan, recipe: Recipe) -> Result<Cost> {
        self.prepare(corpus.clone(), plan, recipe)?;
        let memory = |kind, name: &str, bytes: usize| Memory { kind, name: name.to_owned(), bytes: bytes as u64 };
        let network = 8 * self.network()?.shape.parameters();
        let carried = &prepared(self.training.as_ref())?.carried;
        let kept = [&carried.velocity, &carried.squares, &carried.average].into_iter().flatten().count();
        let buffers = vec![
            memory(MemoryKind::Parameters, "parameters", network),
            memory(MemoryKind::Optimizer, "what the update rule carries", kept * network),
            memory(MemoryKind::Corpus, "tokens", size_of_val(corpus.tokens())),
            memory(MemoryKind::Activations, "gradients", network),
        ];
        Ok(Cost { path: "reference: plain f64 loops, an example at a time".to_owned(), buffers, ..Cost::default() })
    }

    fn state(&mut self) -> Result<State> {
        let carried = &prepared(self.training.as_ref())?.carried;
        let rounded = |network: &Option<Network>| network.as_ref().map(Network::to_parameters);
        Ok(State {
            parameters: self.network()?.to_parameters(),
            velocity: rounded(&carried.velocity),
            squares: rounded(&carried.squares),
            average: rounded(&carried.average),
        })
    }

    fn load_state(&mut self, state: &State) -> Result<()> {
        check_state(self.network()?.shape, state, &prepared(self.training.as_ref())?.recipe)?;
        self.load(&state.parameters)?;
        let exact = |parameters: &Option<Parameters>| parameters.as_ref().map(Network::from_parameters);
        prepared(self.training.as_mut())?.carried = Carried {
            velocity: exact(&state.velocity),
            squares: exact(&state.squares),
            average: exact(&state.average),
        };
        Ok(())
    }

    fn train(&mut self, first_step: u64, rates: &[f32]) -> Result<Vec<f32>> {
        let Training { corpus, plan, recipe, carried } = prepared(self.training.as_mut())?;
        let network = loaded(self.network.as_mut())?;
        let (input_mask, hidden_mask) = (recipe.input_mask(plan.seed), recipe.hidden_mask(plan.seed));
        let shape = network.shape;
        let steps = (first_step..).zip(rates);
        let losses = steps.map(|(step, &rate)| {
            let dropout = |lane| Dropout::of_example(input_mask, hidden_mask, shape, step, lane);
            let (loss, gradients) = network.gradients(corpus, &plan.batch(step), dropout);
            network.update(gradients, carried, recipe, step, rate.into());
            loss as f32
        });
        Ok(losses.collect())
    }

    fn log_probabilities(&mut self, corpus: &Corpus) -> Result<Vec<f32>> {
        let network = self.network()?;
        check_corpus(network.shape, corpus)?;
        let loss = |example| {
            Network::loss(&network.forward(corpus.context_of(example), &Dropout::default()), corpus.target_of(example))
        };
        Ok((0..corpus.len()).map(|example| -loss(example) as f32).collect())
    }

    fn distributions(&mut self, contexts: &[u32]) -> Result<Vec<f32>> {
        let network = self.network()?;
        let corpus = corpus_of_contexts(network.shape, contexts)?;
        let probabilities = |example| network.forward(corpus.context_of(example), &Dropout::default()).probabilities;
        Ok((0..corpus.len()).flat_map(probabilities).map(|p| p as f32).collect())
    }

    fn examine(&mut self, corpus: &Corpus) -> Result<Examination> {
        let network = self.network()?;
        check_training(network.shape, corpus, &BatchPlan::whole(corpus))?;
        let examples: Vec<u32> = (0..corpus.len() as u32).collect();
        let (loss, gradients) = network.gradients(corpus, &examples, |_| Dropout::default());
        let passes: Vec<Forward> = examples
            .iter()
            .map(|&example| network.forward(corpus.context_of(example as usize), &Dropout::default()))
            .collect();
        let rounded = |rows: fn(&Forward) -> &Vec<f64>| passes.iter().flat_map(rows).map(|&x| x as f32).collect();
        Ok(Examination {
            hidden: rounded(|pass| &pass.hidden),
            logits: rounded(|pass| &pass.logits),
            loss,
            gradients: gradients.to_parameters(),
        })
    }
}
