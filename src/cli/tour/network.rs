//! From the input of the network to its training.

use serde_json::json;

use super::{Section, Tour, numbers};
use crate::Result;
use crate::engine::Recipe;
use crate::model::Shape;
use crate::report::output::{grouped, table};
use crate::report::plot::SATURATED;
use crate::text::{BatchPlan, Order};

/// Activations that are shown.
const SHOWN: usize = 8;
/// Steps of gradient descent, and their rate.
const STEPS: usize = 10;
const RATE: f32 = 0.1;
/// The example that is followed: after "emm".
const FOLLOWED: usize = 3;
/// Likeliest tokens that are listed.
const LISTED: usize = 5;

pub(super) fn hidden(tour: &mut Tour) -> Result<Section> {
    let Shape { hidden, .. } = tour.shape;
    let inputs = tour.shape.input();
    let activations = &tour.examined.hidden;
    let saturated =
        activations.iter().filter(|value| value.abs() > SATURATED).count() as f64 / activations.len() as f64;
    let first = &activations[..hidden][..SHOWN];
    let text = format!(
        "Each of {hidden} hidden units weighs the {inputs} numbers of the input, adds a bias of its own, and squashes the\n\
         sum into the range from -1 to 1 with tanh:\n\n\
         \x20 hidden = tanh(x W1 + b1)         [{}, {inputs}] times [{inputs}, {hidden}] gives [{}, {hidden}]\n\n\
         The first {SHOWN} units on the first example ({}), as your device computed them:\n\n\
         \x20 {}\n\n\
         {:.0} % of all units are beyond {SATURATED} on one side or the other. There tanh is flat: a unit that says \"fully\n\
         on\" whatever comes in learns slowly. The weights were drawn too large; `--init scaled` draws better ones.",
        tour.corpus.len(),
        tour.corpus.len(),
        tour.context(0),
        numbers(first, 3),
        100.0 * saturated,
    );
    Ok(Section { text, values: json!({ "hidden": first, "saturated": saturated }) })
}

/// Tokens and probabilities of a distribution, the likeliest first.
fn likeliest(tour: &Tour, distribution: &[f32]) -> Vec<(String, f32)> {
    let mut order: Vec<usize> = (0..distribution.len()).collect();
    order.sort_by(|&a, &b| distribution[b].total_cmp(&distribution[a]).then(a.cmp(&b)));
    order[..LISTED].iter().map(|&id| (tour.token(id as u32).to_owned(), distribution[id])).collect()
}

pub(super) fn probabilities(tour: &mut Tour) -> Result<Section> {
    let Shape { vocabulary, hidden, .. } = tour.shape;
    let contexts = tour.corpus.context_of(FOLLOWED).to_vec();
    let probabilities = tour.engine.distributions(&contexts)?;
    let logits = &tour.examined.logits[FOLLOWED * vocabulary..][..vocabulary];
    let counts: Vec<f64> = logits.iter().map(|&logit| f64::from(logit).exp()).collect();
    let sum: f64 = counts.iter().sum();
    let total: f64 = probabilities.iter().map(|&p| f64::from(p)).sum();
    let target = tour.corpus.target_of(FOLLOWED);
    let mut rows = Vec::new();
    for (token, probability) in likeliest(tour, &probabilities) {
        let id = tour.vocabulary.id(&token).expect("it has one") as usize;
        rows.push(vec![
            token,
            format!("{:.3}", logits[id]),
            format!("{:.3}", counts[id]),
            format!("{:.4}", counts[id] / sum),
            format!("{probability:.4}"),
        ]);
    }
    let text = format!(
        "The last layer weighs the {hidden} hidden units once more and gives one number for each of the {vocabulary} tokens: the\n\
         logits. Any sign, any size. e to a logit is never negative, so it can be read as a count, as if the\n\
         network had seen that letter so many times in this place. Divide by the sum of the counts, and there\n\
         are probabilities.\n\n\
         After {}, the {LISTED} likeliest:\n\n{}\n\n\
         The {vocabulary} probabilities of the device add up to {total:.6}. The right answer, {:?}, has {:.1e} of it: the\n\
         network has learned nothing yet, and is sure of nonsense.",
        tour.context(FOLLOWED),
        table(&["token", "logit", "count e^logit", "count / sum", "from the device"], &rows),
        tour.token(target),
        probabilities[target as usize],
    );
    let values = json!({
        "context": tour.context(FOLLOWED), "target": tour.token(target),
        "logits": logits, "probabilities": probabilities, "sum": total,
    });
    Ok(Section { text, values })
}

pub(super) fn overflow(_: &mut Tour) -> Result<Section> {
    let logits = [-5.0f32, -3.0, 0.0, 100.0];
    let softmax = |logits: &[f32]| {
        let counts: Vec<f32> = logits.iter().map(|logit| logit.exp()).collect();
        let sum: f32 = counts.iter().sum();
        let probabilities: Vec<f32> = counts.iter().map(|count| count / sum).collect();
        (counts, probabilities)
    };
    let (naive_counts, naive) = softmax(&logits);
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let shifted = logits.map(|logit| logit - largest);
    let (counts, stable) = softmax(&shifted);
    // -log of the probability of the second token, both ways.
    let naive_loss = -naive[1].ln();
    let stable_loss = counts.iter().sum::<f32>().ln() - shifted[1];
    let show = |values: &[f32]| values.iter().map(|value| format!("{value:>10.3e}")).collect::<Vec<_>>().join(" ");
    let text = format!(
        "In 32 bits the largest number is about 3.4e38, which is e^88.7. A logit of 100 is nothing unusual\n\
         during training, but its count does not fit:\n\n\
         \x20 logits         {}\n\
         \x20 counts         {}\n\
         \x20 probabilities  {}\n\n\
         Infinity over infinity is no number (NaN), and one of them spoils every parameter in the next step.\n\
         The way out: take the same number away from all logits. Every count shrinks by the same factor, so\n\
         the probabilities stay. Take away the largest, and no count can be above e^0 = 1:\n\n\
         \x20 logits - max   {}\n\
         \x20 counts         {}\n\
         \x20 probabilities  {}\n\n\
         Counts that become too small round to 0, which does no harm in a sum. And for the loss one needs no\n\
         probability at all: log(sum of counts) - (logit - max). If the second token is the right one, that is\n\
         {stable_loss} here, where -log(probability) of the first try gives {naive_loss}. Every engine computes it so, in one pass.",
        show(&logits),
        show(&naive_counts),
        show(&naive),
        show(&shifted),
        show(&counts),
        show(&stable),
    );
    let values = json!({
        "logits": logits, "overflows": naive_counts.iter().any(|count| count.is_infinite()),
        "stable_probabilities": stable, "stable_loss": stable_loss,
    });
    Ok(Section { text, values })
}

pub(super) fn loss(tour: &mut Tour) -> Result<Section> {
    let vocabulary = tour.shape.vocabulary;
    let each = tour.engine.log_probabilities(&tour.corpus)?;
    let loss = tour.examined.loss;
    let uniform = (vocabulary as f64).ln();
    let mut rows = Vec::new();
    for (example, log_probability) in each.iter().enumerate() {
        let target = tour.token(tour.corpus.target_of(example)).to_owned();
        rows.push(vec![format!("{} -> {target}", tour.context(example)), format!("{:.4}", -log_probability)]);
    }
    let text = format!(
        "The loss of an example is minus the logarithm of the probability that the right answer got: 0 for a\n\
         sure and right guess, and more the surer it was of something else.\n\n{}\n\n\
         The mean is {loss:.4}. To know whether that is good, ask what a network would get that knows nothing and\n\
         admits it: 1/{vocabulary} for every token, whose loss is log {vocabulary} = {uniform:.4}. {}",
        table(&["example", "loss"], &rows),
        if loss > uniform {
            "Ours is worse: its first\nlogits are large and at random, so it is confident and wrong. Descent has to undo that first."
        } else {
            "Ours is below it by luck."
        },
    );
    let losses: Vec<f32> = each.iter().map(|p| -p).collect();
    Ok(Section { text, values: json!({ "losses": losses, "loss": loss, "uniform": uniform }) })
}

pub(super) fn descent(tour: &mut Tour) -> Result<Section> {
    let examples = tour.corpus.len() as u32;
    let plan = BatchPlan { order: Order::Sequential, seed: tour.seed, batch: examples, examples };
    let contexts = tour.corpus.context_of(FOLLOWED).to_vec();
    let before = tour.engine.distributions(&contexts)?;
    tour.engine.prepare(tour.corpus.clone(), plan, Recipe::default())?;
    let mut losses: Vec<f64> = tour.engine.train(0, &[RATE; STEPS])?.into_iter().map(f64::from).collect();
    losses.push(tour.engine.examine(&tour.corpus)?.loss);
    let after = tour.engine.distributions(&contexts)?;
    tour.engine.load(&tour.parameters)?;
    let widest = losses.iter().copied().fold(0.0, f64::max);
    let bar = |loss: f64| "#".repeat((loss / widest * 50.0).round() as usize);
    let lines: String =
        losses.iter().enumerate().map(|(step, &loss)| format!("  {step:>3}  {loss:>8.4}  {}\n", bar(loss))).collect();
    let target = tour.corpus.target_of(FOLLOWED) as usize;
    let text = format!(
        "The gradient says for each of the {} parameters how the loss changes if it grows a little. Move all\n\
         of them the other way, {RATE} times their gradient, and the loss should fall. Again, with the new gradient:\n\n\
         \x20 step      loss\n{lines}\n\
         After {} the right answer {:?} had a probability of {:.1e}; now it has {:.4}. That is all\n\
         there is to training. (Twelve examples are learned by heart; with hundreds of thousands the network has\n\
         to find what names have in common, and a step takes a few dozen of them at random.)",
        grouped(tour.shape.parameters()),
        tour.context(FOLLOWED),
        tour.token(target as u32),
        before[target],
        after[target],
    );
    let values = json!({
        "rate": RATE, "losses": losses, "context": tour.context(FOLLOWED), "target": tour.token(target as u32),
        "before": before[target], "after": after[target],
    });
    Ok(Section { text, values })
}

pub(super) fn next(_: &mut Tour) -> Result<Section> {
    let commands = [
        ("gpu-mlp train --preset notebook --init lecture --out runs/notebook", "this network on 32,257 names"),
        ("gpu-mlp sample runs/notebook", "names that it makes up"),
        ("gpu-mlp predict runs/notebook emm", "what it expects after \"emm\" now"),
        ("gpu-mlp train --out runs/first", "more numbers a letter, better first values"),
        ("gpu-mlp eval runs/first", "how well it guesses names it never saw"),
        ("gpu-mlp plan", "what a training costs, before it runs"),
    ];
    let lines: String = commands.iter().map(|(command, what)| format!("  {command}\n      {what}\n")).collect();
    let text = format!(
        "You have seen all of it: look up, weigh, squash, weigh, compare, step downhill. With words\n\
         for letters this is the network of Bengio and others that in 2003 predicted better than counting did. Try:\n\n{lines}\n\
         The equations as plain loops, forward and backward, are a page: src/reference.rs."
    );
    let commands: Vec<&str> = commands.iter().map(|(command, _)| *command).collect();
    Ok(Section { text, values: json!({ "commands": commands }) })
}
