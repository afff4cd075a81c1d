//! Cases that are drawn: sizes and recipes that nobody thought of.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;

use super::cases::random_corpus;
use super::compare::{FLOAT32, comparisons, expected_of_reference};
use super::{Case, Expected};
use crate::Result;
use crate::engine::{Optimizer, Recipe};
use crate::model::initial::initial;
use crate::model::{Init, Shape};

/// Operations of a step that the reference's plain loops take in some hundredths of a second.
const MOST_OPERATIONS: f64 = 3e7;

/// Whether float32 can be held to a case: rounding of its parameters must change no value by more than this part of its
/// tolerance.
const MOST_SENSITIVE: f64 = 0.1;

/// The case with a number among those of a seed, always the same one, and what the reference computes for it. What it is
/// stands in its name.
pub fn random_case(seed: u32, number: u32) -> Result<(Case, Expected)> {
    let mut random = ChaCha12Rng::seed_from_u64(u64::from(seed) << 32 | u64::from(number));
    loop {
        let case = draw(&mut random, number);
        let expected = expected_of_reference(&case)?;
        let rounded = expected_of_reference(&rounded(&mut random, &case))?;
        if comparisons(&case.name, &rounded, &expected, FLOAT32)
            .iter()
            .all(|one| one.error <= MOST_SENSITIVE * one.tolerance)
        {
            return Ok((case, expected));
        }
    }
}

fn draw(random: &mut ChaCha12Rng, number: u32) -> Case {
    // Engines have a way of their own for few tokens at many places.
    let few_tokens = random.random_bool(0.15);
    let (shape, batch, tokens) = loop {
        let shape = shape(random, few_tokens);
        let batch = size(random, if few_tokens { 150 } else { 1 }, 400);
        let tokens = size(random, 4, shape.vocabulary);
        // Of equal examples rounding adds up, and where a gradient is a few numbers all of them may be what is left of others.
        let is_tame = batch <= 32 * tokens && shape.input() >= 4 && batch * shape.embedding >= 4;
        if is_tame && shape.step_flops(batch) <= MOST_OPERATIONS {
            break (shape, batch, tokens as u32);
        }
    };
    let recipe = recipe(random, shape.hidden > 0);
    let init = if random.random_bool(0.5) { Init::Scaled } else { Init::Unigram };
    let counts: Vec<u32> = (0..shape.vocabulary).map(|_| random.random_range(0..1000)).collect();
    Case {
        name: name(number, shape, batch, tokens, &recipe),
        parameters: initial(shape, init, number, &counts),
        corpus: random_corpus(shape, batch, tokens, number),
        recipe,
        rate: 0.1,
    }
}

/// The same case with each parameter one unit in its last place up or down.
fn rounded(random: &mut ChaCha12Rng, case: &Case) -> Case {
    let mut case = case.clone();
    for value in &mut case.parameters.values {
        *value = if random.random_bool(0.5) { value.next_up() } else { value.next_down() };
    }
    case
}

/// Small ones as likely as large ones; a third of them a multiple of what vectors and tiles hold, or beside one.
fn size(random: &mut ChaCha12Rng, least: usize, largest: usize) -> usize {
    let ratio = (largest as f64 + 1.0) / least as f64;
    let size = (least as f64 * ratio.powf(random.random_range(0.0..1.0))) as usize;
    if random.random_range(0..3) > 0 {
        return size;
    }
    let unit = 4 << random.random_range(0..5);
    (size.next_multiple_of(unit) + random.random_range(0..3) - 1).clamp(least, largest)
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
/// the rounding of float32 from deciding them.
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

fn name(number: u32, shape: Shape, batch: usize, tokens: u32, recipe: &Recipe) -> String {
    let Shape { vocabulary, context, embedding, hidden, direct, tied } = shape;
    let mut name =
        format!("random-{number} (V {vocabulary}, n {context}, d {embedding}, h {hidden}, B {batch}, tokens {tokens}");
    let also = [
        (direct, "direct"),
        (tied, "tied"),
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
        name.push_str(", ");
        name.push_str(what);
    }
    name + ")"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_always_the_same_case() {
        let case = |seed, number| random_case(seed, number).unwrap().0;
        let (one, same) = (case(1, 2), case(1, 2));
        assert!(one.name == same.name && one.parameters == same.parameters && one.recipe == same.recipe);
        assert!(one.name.starts_with("random-2 (V "), "{}", one.name);
        let others = [case(1, 3), case(2, 2)];
        assert!(others.iter().all(|other| other.parameters != one.parameters));
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
    fn what_rounding_changes_much_is_not_drawn() {
        for number in 1..=20 {
            let (case, expected) = random_case(3, number).unwrap();
            let mut random = ChaCha12Rng::seed_from_u64(4);
            let rounded = expected_of_reference(&rounded(&mut random, &case)).unwrap();
            let comparisons = comparisons(&case.name, &rounded, &expected, FLOAT32);
            assert!(comparisons.iter().all(|one| one.ok), "{}", case.name);
            assert!(comparisons.iter().any(|one| one.error > 0.0), "{}: nothing was rounded", case.name);
        }
    }
}
