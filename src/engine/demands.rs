//! What an engine is asked for, checked before it computes and alike for all engines: their passes take token ids, sizes
//! and lengths as they come.

use super::{Recipe, State};
use crate::model::{Parameters, Shape};
use crate::text::{BatchPlan, Corpus};
use crate::{Error, Result};

/// What is there once parameters were loaded.
pub(crate) fn loaded<T>(network: Option<T>) -> Result<T> {
    network.ok_or_else(|| Error::usage("the engine has no parameters yet: load some first"))
}

/// What is there once a training was prepared.
pub(crate) fn prepared<T>(training: Option<T>) -> Result<T> {
    training.ok_or_else(|| Error::usage("the engine has nothing to train on yet: prepare a corpus first"))
}

/// Whether an engine that holds a network of some shape, or none yet, can take parameters over.
pub(crate) fn check_parameters(held: Option<Shape>, parameters: &Parameters) -> Result<()> {
    let shape = parameters.shape();
    if let Some(held) = held
        && held != shape
    {
        return Err(Error::usage(format!("the engine holds a {held:?}, not a {shape:?}: open another one")));
    }
    shape.check().map_err(Error::usage)?;
    let (has, needed) = (parameters.values.len(), shape.parameters());
    if has != needed {
        return Err(Error::usage(format!("a {shape:?} has {needed} parameters, not {has}")));
    }
    Ok(())
}

/// Whether a state can be gone on from by a recipe, on an engine that holds a network of some shape.
pub(crate) fn check_state(held: Shape, state: &State, recipe: &Recipe) -> Result<()> {
    check_parameters(Some(held), &state.parameters)?;
    for parameters in state.carried().into_iter().filter_map(|(_, parameters)| parameters) {
        check_parameters(Some(held), parameters)?;
    }
    if state.fits(recipe) {
        Ok(())
    } else {
        Err(Error::usage("the state was made by another update rule than the one that is prepared"))
    }
}

/// Whether a network of some shape can be asked for the targets of a corpus.
pub(crate) fn check_corpus(shape: Shape, corpus: &Corpus) -> Result<()> {
    if corpus.context() != shape.context {
        return Err(Error::usage(format!(
            "the corpus has contexts of {} tokens, the network of {}",
            corpus.context(),
            shape.context
        )));
    }
    check_tokens(shape.vocabulary, corpus.tokens())
}

/// The same, and whether its batches can be drawn as planned.
pub(crate) fn check_training(shape: Shape, corpus: &Corpus, plan: &BatchPlan) -> Result<()> {
    check_corpus(shape, corpus)?;
    if plan.batch == 0 || plan.examples == 0 || plan.examples as usize > corpus.len() {
        return Err(Error::usage(format!(
            "batches of {} from {} examples cannot be drawn from a corpus of {}",
            plan.batch,
            plan.examples,
            corpus.len()
        )));
    }
    Ok(())
}

/// Contexts, [count, n] row by row, as a corpus that a network of some shape can be asked for; its targets do not matter.
pub(crate) fn corpus_of_contexts(shape: Shape, contexts: &[u32]) -> Result<Corpus> {
    let length = shape.context;
    if !contexts.len().is_multiple_of(length) {
        return Err(Error::usage(format!("{} tokens are no rows of contexts of {length}", contexts.len())));
    }
    check_tokens(shape.vocabulary, contexts)?;
    Ok(Corpus::from_examples(contexts, &vec![0; contexts.len() / length], length))
}

fn check_tokens(vocabulary: usize, tokens: &[u32]) -> Result<()> {
    match tokens.iter().find(|&&token| token as usize >= vocabulary) {
        None => Ok(()),
        Some(token) => Err(Error::usage(format!(
            "there is a token {token}, but the network knows only the {vocabulary} tokens below {vocabulary}"
        ))),
    }
}
