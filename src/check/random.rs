//! Cases that are drawn: sizes and recipes that nobody thought of. Of few hidden units or two or three tokens gradients may be
//! nearly nothing, which float32 cannot be held to; larger sizes take the reference too long.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;

use super::cases::random_corpus;
use super::compare::{FLOAT32, comparisons, expected_of_reference};
use super::{Case, Expected};
use crate::engine::{Optimizer, Recipe};
use crate::model::initial::initial;
use crate::model::{Init, Shape};
use crate::{Error, Result};

/// Operations of a step that the reference's plain loops take in some hundredths of a second.
const MOST_OPERATIONS: f64 = 3e7;

/// The largest part of its tolerance by which rounding of a case's parameters may change a value: more than two units in the
/// last place of the largest logit.
const MOST_SENSITIVE: f64 = 0.12;

/// So often the parameters are rounded: a value that hangs on them may stay by chance.
const ROUNDINGS: usize = 3;

/// So often a case is drawn. Two of three are kept at once.
const MOST_DRAWS: usize = 100;

/// The case with a number among those of a seed, always the same one, and what the reference computes for it. Its name says
/// what was drawn.
pub fn random_case(seed: u32, number: u32) -> Result<(Case, Expected)> {
    let name = format!("random-{seed}-{number}");
    let mut random = ChaCha12Rng::seed_from_u64(u64::from(seed) << 32 | u64::from(number));
    for _ in 0..MOST_DRAWS {
        let case = draw(&mut random, &name);
        let expected = expected_of_reference(&case)?;
        if is_steady(&mut random, &case, &expected)? {
            return Ok((case, expected));
        }
    }
    Err(Error::Check(format!(
        "{name}: in {MOST_DRAWS} cases the reference's values hang on the last digits of the parameters: it is wrong"
    )))
}

/// Whether float32 can be held to a case: rounding its parameters changes no value by much.
fn is_steady(random: &mut ChaCha12Rng, case: &Case, expected: &Expected) -> Result<bool> {
    for _ in 0..ROUNDINGS {
        let mut rounded = case.clone();
        for value in &mut rounded.parameters.values {
            *value = if random.random_bool(0.5) { value.next_up() } else { value.next_down() };
        }
        let comparisons = comparisons(&case.name, &expected_of_reference(&rounded)?, expected, FLOAT32);
        if !comparisons.iter().all(|one| one.error <= MOST_SENSITIVE * one.tolerance) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn draw(random: &mut ChaCha12Rng, name: &str) -> Case {
    // Engines have a way of their own for few tokens at many places.
    let few_tokens = random.random_bool(0.15);
    let (shape, batch, tokens) = loop {
        let shape = shape(random, few_tokens);
        let batch = size(random, if few_tokens { 150 } else { 1 }, 400);
        let tokens = size(random, 4, shape.vocabulary);
        // The rounding of equal examples adds up, and a gradient of very few numbers may be nothing but sums that cancel.
        let is_tame = batch <= 32 * tokens && shape.input() >= 4 && batch * shape.embedding >= 4;
        if is_tame && shape.step_flops(batch) <= MOST_OPERATIONS {
            break (shape, batch, tokens as u32);
        }
    };
    let recipe = recipe(random, shape.hidden > 0);
    let init = if random.random_bool(0.5) { Init::Scaled } else { Init::Unigram };
    let counts: Vec<u32> = (0..shape.vocabulary).map(|_| random.random_range(0..1000)).collect();
    Case {
        name: format!("{name} ({})", description(shape, batch, tokens, init, &recipe)),
        parameters: initial(shape, init, random.random(), &counts),
        corpus: random_corpus(shape, batch, tokens, random.random()),
        recipe,
        rate: if recipe.keeps_squares() { 0.02 } else { 0.1 },
    }
}

/// A size of which each doubling is as likely as the next; a third are a multiple of what vectors and tiles hold, or beside one.
fn size(random: &mut ChaCha12Rng, least: usize, largest: usize) -> usize {
    let ratio = (largest as f64 + 1.0) / least as f64;
    let size = (least as f64 * ratio.powf(random.random_range(0.0..1.0))) as usize;
    let unit = 4 << random.random_range(0..5);
    let is_aligned = random.random_range(0..3) == 0 && unit < largest;
    let size = if is_aligned { size.next_multiple_of(unit) + random.random_range(0..3) - 1 } else { size };
    size.clamp(least, largest)
}

fn shape(random: &mut ChaCha12Rng, few_tokens: bool) -> Shape {
    let direct = random.random_bool(if few_tokens { 0.1 } else { 0.3 });
    let tied = random.random_bool(0.1);
    let embedding = size(random, if tied || few_tokens { 8 } else { 1 }, 130);
    let hidden = match (tied, direct && random.random_bool(0.3)) {
        (true, _) => embedding,
        (false, true) => 0,
        (false, false) => size(random, 8, 700),
    };
    let (most_tokens, least_context) = if few_tokens { (40, 5) } else { (3000, 1) };
    let (vocabulary, context) = (size(random, 4, most_tokens), size(random, least_context, 10));
    Shape { vocabulary, context, embedding, hidden, direct, tied }
}

/// Plain steps, or any other rule with any of what goes with it.
///
/// Steps of AdaGrad and AdamW have the sign of the gradient, however small it is: an epsilon as large as gradients are keeps
/// the rounding of float32 from deciding them. (The squares, which matter less then, are compared themselves, and the
/// built-in cases have a smaller one.)
fn recipe(random: &mut ChaCha12Rng, has_hidden: bool) -> Recipe {
    if random.random_bool(0.4) {
        return Recipe::default();
    }
    let optimizers = [Optimizer::Sgd, Optimizer::Momentum, Optimizer::Adagrad, Optimizer::Adamw];
    let optimizer = optimizers[random.random_range(0..optimizers.len())];
    let mut perhaps = |value: f32| if random.random_bool(0.4) { value } else { 0.0 };
    Recipe {
        optimizer,
        epsilon: 0.1,
        weight_decay: perhaps(0.1),
        dropout_embedding: perhaps(0.2),
        dropout_hidden: if has_hidden { perhaps(0.4) } else { 0.0 },
        clip_norm: perhaps(0.1),
        average: perhaps(0.9),
        ..Recipe::default()
    }
}

fn description(shape: Shape, batch: usize, tokens: u32, init: Init, recipe: &Recipe) -> String {
    let Shape { vocabulary, context, embedding, hidden, direct, tied } = shape;
    let mut text = format!("V {vocabulary}, n {context}, d {embedding}, h {hidden}, B {batch}, tokens {tokens}");
    let also = [
        (direct, "direct"),
        (tied, "tied"),
        (init == Init::Unigram, "unigram"),
        (recipe.optimizer == Optimizer::Momentum, "momentum"),
        (recipe.optimizer == Optimizer::Adagrad, "adagrad"),
        (recipe.optimizer == Optimizer::Adamw, "adamw"),
        (recipe.weight_decay > 0.0, "decay"),
        (recipe.dropout_embedding > 0.0, "input dropout"),
        (recipe.dropout_hidden > 0.0, "hidden dropout"),
        (recipe.clip_norm > 0.0, "clipping"),
        (recipe.average > 0.0, "average"),
    ];
    for (_, what) in also.into_iter().filter(|(is, _)| *is) {
        text.push_str(", ");
        text.push_str(what);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_always_the_same_case() {
        let names = [(42, 1), (42, 2), (7, 2)].map(|(seed, number)| random_case(seed, number).unwrap().0.name);
        let expected = [
            "random-42-1 (V 18, n 5, d 71, h 24, B 63, tokens 5, adamw, decay, clipping)",
            "random-42-2 (V 15, n 9, d 96, h 9, B 193, tokens 9, unigram, hidden dropout)",
            "random-7-2 (V 31, n 4, d 31, h 64, B 7, tokens 21, adagrad, decay, input dropout, hidden dropout, clipping)",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn sizes_stay_within_their_limits_and_reach_them() {
        let mut random = ChaCha12Rng::seed_from_u64(1);
        for (least, largest) in [(1, 10), (4, 40), (4, 4), (150, 400)] {
            let sizes: Vec<usize> = (0..2000).map(|_| size(&mut random, least, largest)).collect();
            assert_eq!((sizes.iter().min(), sizes.iter().max()), (Some(&least), Some(&largest)));
        }
    }

    #[test]
    fn what_rounding_changes_much_is_drawn_again() {
        let mut kept = 0;
        for number in 0..60 {
            let mut random = ChaCha12Rng::seed_from_u64(number);
            let case = draw(&mut random, "drawn");
            let expected = expected_of_reference(&case).unwrap();
            kept += usize::from(is_steady(&mut random, &case, &expected).unwrap());
        }
        assert!((30..55).contains(&kept), "{kept} of 60 are kept");
    }
}
