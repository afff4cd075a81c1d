//! From two names to the input of the network.

use serde_json::json;

use super::{NAMES, Section, Tour, numbers};
use crate::Result;
use crate::model::Shape;
use crate::model::shape::EMBEDDING_WEIGHT;

pub(super) fn examples(tour: &mut Tour) -> Result<Section> {
    let Shape { context, vocabulary, .. } = tour.shape;
    let mut text = format!(
        "The network reads {context} letters and guesses the next one. So every letter of a name is a question: given\n\
         the {context} before it, which comes now? A dot stands for \"no letter\": it fills up the beginning, and\n\
         guessing it means that the name is over. With the dot there are {vocabulary} tokens.\n\n"
    );
    let mut list = Vec::new();
    for example in 0..tour.corpus.len() {
        let (context, target) = (tour.context(example), tour.token(tour.corpus.target_of(example)));
        if example == 0 || example == NAMES[0].len() + 1 {
            text += &format!("  {}\n", NAMES[usize::from(example > 0)]);
        }
        text += &format!("    {context}  ->  {target}\n");
        list.push(json!({ "context": context, "target": target }));
    }
    text += &format!("\n{} questions in all. A whole list of names gives hundreds of thousands.", list.len());
    Ok(Section { text, values: json!({ "examples": list }) })
}

pub(super) fn embedding(tour: &mut Tour) -> Result<Section> {
    let Shape { vocabulary, embedding, .. } = tour.shape;
    let table = tour.parameters.tensor(EMBEDDING_WEIGHT);
    let letter = tour.corpus.target_of(0) as usize;
    let row = &table[letter * embedding..][..embedding];
    let one_hot: Vec<f32> = (0..vocabulary).map(|token| if token == letter { 1.0 } else { 0.0 }).collect();
    let product: Vec<f32> = (0..embedding)
        .map(|column| (0..vocabulary).map(|token| one_hot[token] * table[token * embedding + column]).sum())
        .collect();
    let name = tour.token(letter as u32).to_owned();
    let drawn: String = one_hot.iter().map(|&value| if value > 0.0 { " 1" } else { " 0" }).collect();
    let text = format!(
        "Letters have no size, so the network gives each one {embedding} numbers of its own: a row of the table C,\n\
         [{vocabulary}, {embedding}]. They begin at random and are learned like everything else.\n\n\
         \x20 row {letter} of C, which is {name:?}:         {}\n\n\
         Textbooks write the same as a product. Make a vector that is 0 but for a 1 at the letter's place,\n\n\
         \x20 {drawn}\n\n\
         and multiply it with C: every row is multiplied by 0, only the letter's own by 1.\n\n\
         \x20 one-hot vector times C:           {}\n\n\
         {} But one way reads {embedding} numbers, and the other makes {} multiplications for\n\
         it, nearly all of them with zero. So an engine looks up, and never builds the vector.",
        numbers(row, 4),
        numbers(&product, 4),
        if product == row { "Both are equal, to the last bit." } else { "They differ!" },
        vocabulary * embedding,
    );
    let values = json!({ "token": name, "lookup": row, "one_hot_product": product, "equal": product == row });
    Ok(Section { text, values })
}

pub(super) fn views(tour: &mut Tour) -> Result<Section> {
    let Shape { context, embedding, .. } = tour.shape;
    let (inputs, examples) = (tour.shape.input(), tour.corpus.len());
    let table = tour.parameters.tensor(EMBEDDING_WEIGHT);
    let looked_up = |token: u32| &table[token as usize * embedding..][..embedding];
    // [examples, context, embedding], row by row in one piece of memory.
    let memory: Vec<f32> = (0..examples)
        .flat_map(|example| tour.corpus.context_of(example).iter())
        .flat_map(|&token| looked_up(token))
        .copied()
        .collect();
    let example = 3;
    let strides = [inputs, embedding, 1];
    let points = tour.corpus.context_of(example);
    let concatenated = points.iter().map(|&token| looked_up(token)).collect::<Vec<_>>().concat();
    let view: Vec<f32> = (0..inputs).map(|number| memory[example * inputs + number]).collect();
    let text = format!(
        "Looking up all {context} letters of all {examples} examples gives an array of shape [{examples}, {context}, {embedding}]. In memory it is one\n\
         long row of {} numbers; the shape is only a rule for finding them. Entry (i, j, k) lies at\n\n\
         \x20 {} i + {} j + k                 the strides {strides:?}\n\n\
         The next layer wants the {context} points of an example side by side, [{examples}, {inputs}]. Entry (i, m) then lies at\n\n\
         \x20 {inputs} i + m                       the strides [{inputs}, 1]\n\n\
         Here is example {example}, counted from 0 ({} -> ...), three rows of C put one after the other,\n\
         and then the long row read by the second rule:\n\n\
         \x20 concatenated: {}\n\
         \x20 viewed:       {}\n\n\
         {} Nothing was copied: a view is the same memory under another rule.",
        memory.len(),
        strides[0],
        strides[1],
        tour.context(example),
        numbers(&concatenated, 3),
        numbers(&view, 3),
        if concatenated == view { "The same numbers." } else { "They differ!" },
    );
    let values = json!({
        "shape": [examples, context, embedding], "view": [examples, inputs], "strides": strides,
        "concatenated": concatenated, "viewed": view, "equal": concatenated == view,
    });
    Ok(Section { text, values })
}
