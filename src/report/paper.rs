//! Table 1 of the paper (Bengio et al. 2003, page 1149): perplexities on the Brown corpus.

use std::fmt::Write;

use serde::Serialize;

use crate::train::Preset;

/// Perplexities of the three parts, where they are known.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// The training part.
    pub train: Option<f64>,
    /// The validation part.
    pub valid: Option<f64>,
    /// The test part.
    pub test: Option<f64>,
}

impl Figures {
    /// The same with each figure changed.
    pub fn map(self, change: impl Fn(f64) -> f64) -> Self {
        Figures { train: self.train.map(&change), valid: self.valid.map(&change), test: self.test.map(&change) }
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its name on the command line.
    pub name: &'static str,
    /// The network, for the rows of networks. Rows of a pair share one.
    pub network: Option<Preset>,
    /// Whether the network is mixed half and half with the interpolated trigram.
    pub mixed: bool,
    /// The order n of a count model that this program has.
    pub order: Option<usize>,
    /// Word classes c of the class-based models, which this program has not.
    pub classes: Option<u32>,
    /// What the paper prints.
    pub paper: Figures,
}

const fn network(name: &'static str, network: Preset, mixed: bool, figures: [u32; 3]) -> Row {
    Row { name, network: Some(network), mixed, order: None, classes: None, paper: printed(figures) }
}

const fn counts(name: &'static str, order: usize, figures: [u32; 3]) -> Row {
    Row { name, network: None, mixed: false, order: Some(order), classes: None, paper: printed(figures) }
}

const fn class_based(name: &'static str, classes: u32, figures: [u32; 3]) -> Row {
    Row { name, network: None, mixed: false, order: None, classes: Some(classes), paper: printed(figures) }
}

/// 0 stands for a cell that is empty.
const fn printed([train, valid, test]: [u32; 3]) -> Figures {
    const fn cell(value: u32) -> Option<f64> {
        if value == 0 { None } else { Some(value as f64) }
    }
    Figures { train: cell(train), valid: cell(valid), test: cell(test) }
}

/// The rows in the paper's order.
pub const ROWS: [Row; 19] = [
    network("mlp1", Preset::Mlp1, false, [182, 284, 268]),
    network("mlp2", Preset::Mlp1, true, [0, 275, 257]),
    network("mlp3", Preset::Mlp3, false, [201, 327, 310]),
    network("mlp4", Preset::Mlp3, true, [0, 286, 272]),
    network("mlp5", Preset::Mlp5, false, [209, 296, 279]),
    network("mlp6", Preset::Mlp5, true, [0, 273, 259]),
    network("mlp7", Preset::Mlp7, false, [210, 309, 293]),
    network("mlp8", Preset::Mlp7, true, [0, 284, 270]),
    network("mlp9", Preset::Mlp9, false, [175, 280, 276]),
    network("mlp10", Preset::Mlp9, true, [0, 265, 252]),
    counts("trigram", 3, [31, 352, 336]),
    counts("back-off-3", 3, [0, 334, 323]),
    counts("back-off-4", 4, [0, 332, 321]),
    counts("back-off-5", 5, [0, 332, 321]),
    class_based("class-based-3", 150, [0, 348, 334]),
    class_based("class-based-3", 200, [0, 354, 340]),
    class_based("class-based-3", 500, [0, 326, 312]),
    class_based("class-based-3", 1000, [0, 335, 319]),
    class_based("class-based-3", 2000, [0, 343, 326]),
];

/// The table in Markdown: what was found beside what the paper printed, for a vocabulary of so many tokens.
pub fn markdown(found: &[(&Row, Figures)], vocabulary: usize) -> String {
    let figure = |value: Option<f64>, digits: usize| value.map_or(String::new(), |value| format!("{value:.digits$}"));
    let mut text = format!(
        "| model | n | c | h | m | direct | mix | train | valid | test | paper: train | valid | test |\n\
         | --- | {} |\n",
        ["---:"; 12].join(" | ")
    );
    for row in ROWS {
        let own = found.iter().find(|(of, _)| of.name == row.name && of.classes == row.classes).map(|(_, own)| *own);
        // The class-based models stand there for comparison.
        if own.is_none() && row.classes.is_none() {
            continue;
        }
        let own = own.unwrap_or(printed([0; 3]));
        let shape = row.network.map(|preset| preset.settings().0);
        let order = shape.as_ref().map(|shape| shape.context + 1).or(row.order).unwrap_or(3);
        let yes = |is: bool| if is { "yes" } else { "no" };
        let cells = [
            row.name.to_owned(),
            order.to_string(),
            row.classes.map_or(String::new(), |classes| classes.to_string()),
            shape.as_ref().map_or(String::new(), |shape| shape.hidden.to_string()),
            shape.as_ref().map_or(String::new(), |shape| shape.embedding.to_string()),
            shape.as_ref().map_or(String::new(), |shape| yes(shape.direct).to_owned()),
            shape.as_ref().map_or(String::new(), |_| yes(row.mixed).to_owned()),
            figure(own.train, 1),
            figure(own.valid, 1),
            figure(own.test, 1),
            figure(row.paper.train, 0),
            figure(row.paper.valid, 0),
            figure(row.paper.test, 0),
        ];
        writeln!(text, "| {} |", cells.join(" | ")).expect("a string takes all");
    }
    writeln!(
        text,
        "\nPerplexities; here on a vocabulary of {vocabulary} tokens, in the paper on one of 16,383, on another edition of \
         the Brown corpus. The class-based models are the paper's alone."
    )
    .expect("a string takes all");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_rows_are_24_and_33_percent_better_as_the_paper_says() {
        let test = |name: &str| ROWS.iter().find(|row| row.name == name).unwrap().paper.test.unwrap();
        let class_based = ROWS.iter().filter(|row| row.classes.is_some()).filter_map(|row| row.paper.test);
        let best = class_based.fold(f64::INFINITY, f64::min);
        assert_eq!((best / test("mlp10") * 100.0).round(), 124.0);
        assert_eq!((test("trigram") / test("mlp10") * 100.0).round(), 133.0);
    }

    #[test]
    fn a_table_has_the_rows_that_were_found_and_the_class_based_ones() {
        let row = &ROWS[9];
        let text = markdown(&[(row, Figures { train: Some(150.04), valid: Some(270.06), test: Some(251.25) })], 17_907);
        assert!(
            text.contains("| mlp10 | 5 |  | 100 | 30 | no | yes | 150.0 | 270.1 | 251.2 |  | 265 | 252 |"),
            "{text}"
        );
        assert_eq!(text.lines().filter(|line| line.starts_with("| class-based")).count(), 5);
        assert!(!text.contains("mlp9"));
    }
}
