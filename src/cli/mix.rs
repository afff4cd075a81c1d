//! Mixing a network with count models of its own training part: `--mix`.

use std::str::FromStr;

use clap::Args;
use serde::Serialize;

use super::options::LoadedModel;
use crate::error::did_you_mean;
use crate::language_model::{Bins, KneserNey, LanguageModel, Mixture, Network, Trigram, Weights, back_off, trigram};
use crate::report::output::table;
use crate::text::Data;
use crate::{Error, Result};

/// What to mix with.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Mixture")]
pub struct MixOptions {
    /// Mix with a count model of the run's training part: trigram (or ngram), kneser-ney or backoff, then its weight
    ///
    /// kneser-ney:0.3 weighs the count model 0.3 and the network 0.7; kneser-ney:learn finds the weight on the run's
    /// validation part, kneser-ney:bins one weight for each frequency of the two tokens before. Several are mixed together:
    /// all with weights, whose sum is below 1, or all with learn or bins.
    #[arg(long, value_name = "MODEL:WEIGHT")]
    mix: Vec<Part>,

    /// n of the n-grams of kneser-ney and backoff in --mix, the predicted token counted
    #[arg(long, value_name = "N", requires = "mix", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=64))]
    mix_order: u32,
}

/// A count model of a mixture.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Part {
    kind: Counts,
    share: Share,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Counts {
    Trigram,
    KneserNey,
    BackOff,
}

/// How a count model comes by its weight.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Share {
    Fixed(f64),
    Learned,
    Binned,
}

impl Counts {
    fn name(self) -> &'static str {
        match self {
            Counts::Trigram => "trigram",
            Counts::KneserNey => "kneser-ney",
            Counts::BackOff => "backoff",
        }
    }
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = "expected trigram, kneser-ney or backoff with a weight between 0 and 1, learn or bins, such as \
                        trigram:0.5, kneser-ney:learn or kneser-ney:bins";
        let (kind, share) = text.split_once(':').ok_or_else(|| format!("{text:?} has no weight: {expected}"))?;
        let kind = match kind {
            "trigram" | "ngram" => Counts::Trigram,
            "kneser-ney" => Counts::KneserNey,
            "backoff" => Counts::BackOff,
            _ => {
                let meant = did_you_mean(kind, ["trigram", "kneser-ney", "backoff"]);
                return Err(format!("{kind:?} is no count model: {expected}{meant}"));
            }
        };
        let share = match (share, share.parse::<f64>()) {
            ("learn", _) => Share::Learned,
            ("bins", _) => Share::Binned,
            (_, Ok(weight)) if weight > 0.0 && weight < 1.0 => Share::Fixed(weight),
            _ => return Err(format!("{share:?} is no weight: {expected}")),
        };
        Ok(Part { kind, share })
    }
}

/// The weights of a model in a mixture, as results state them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelWeights {
    /// `network`, or the count model's name.
    pub model: String,
    /// One weight; with bins one for each, from the most frequent contexts on.
    pub weights: Vec<f64>,
}

impl MixOptions {
    /// Whether there is something to mix.
    pub fn is_given(&self) -> bool {
        !self.mix.is_empty()
    }

    /// The context that corpora need for the network and everything mixed with it. Errors: weights that do not fit.
    pub fn context(&self, network: usize) -> Result<usize> {
        let Some(first) = self.mix.first() else { return Ok(network) };
        let same = |part: &Part| std::mem::discriminant(&part.share) == std::mem::discriminant(&first.share);
        if !self.mix.iter().all(same) {
            return Err(Error::usage(
                "--mix: give weights to all models or to none (learn or bins for all): they are found together",
            ));
        }
        let sum = self.fixed().iter().sum::<f64>();
        if sum >= 1.0 {
            return Err(Error::usage(format!(
                "--mix: the weights of the count models sum to {sum}, which leaves nothing to the network: give less"
            )));
        }
        Ok(network.max(self.mix_order as usize - 1).max(Bins::CONTEXT))
    }

    fn fixed(&self) -> Vec<f64> {
        let weight = |part: &Part| match part.share {
            Share::Fixed(weight) => Some(weight),
            _ => None,
        };
        self.mix.iter().filter_map(weight).collect()
    }

    /// The run's own text with enough context for the mixture.
    pub fn data(&self, loaded: &LoadedModel) -> Result<Data> {
        let remedy = if self.is_given() { "--mix counts it, so put it back or leave out --mix" } else { "give TEXT" };
        loaded.data(self.context(loaded.model.settings.context)?, remedy)
    }

    /// The network mixed with the count models of the run's own text, and the weights.
    ///
    /// Errors: weights are to be learned, and the run has no validation part.
    pub fn mixture<'a>(&self, network: Network<'a>, data: &Data) -> Result<(Mixture<'a>, Vec<ModelWeights>)> {
        let mut models: Vec<Box<dyn LanguageModel + 'a>> = vec![Box::new(network)];
        models.extend(self.mix.iter().map(|part| self.count(part.kind, data)));
        let fixed = self.fixed();
        let mixture = if fixed.is_empty() {
            let valid = data.valid.as_ref().ok_or_else(|| {
                Error::usage("--mix: the run has no validation part on which weights can be learned: give a weight")
            })?;
            let binned = self.mix.iter().any(|part| part.share == Share::Binned);
            let bins = binned.then(|| Bins::new(&data.train, data.vocabulary.len()));
            Mixture::learned(models, bins, valid)?
        } else {
            let network = 1.0 - fixed.iter().sum::<f64>();
            Mixture::fixed(models, &[vec![network], fixed].concat())
        };
        let weights = self.describe(mixture.weights());
        Ok((mixture, weights))
    }

    fn count(&self, kind: Counts, data: &Data) -> Box<dyn LanguageModel> {
        let (train, vocabulary, order) = (&data.train, data.vocabulary.len(), self.mix_order as usize);
        match kind {
            Counts::Trigram => Box::new(Trigram::new(train, data.valid.as_ref(), vocabulary, trigram::ROUNDS)),
            Counts::KneserNey => Box::new(KneserNey::interpolated(train, order, vocabulary)),
            Counts::BackOff => Box::new(KneserNey::back_off(train, order, vocabulary, back_off::CUT_OFF)),
        }
    }

    fn describe(&self, weights: &Weights) -> Vec<ModelWeights> {
        let names = std::iter::once("network").chain(self.mix.iter().map(|part| part.kind.name()));
        let of_model = |(index, name): (usize, &str)| ModelWeights {
            model: name.to_owned(),
            weights: (0..weights.bins()).map(|bin| weights.of(bin)[index]).collect(),
        };
        names.enumerate().map(of_model).collect()
    }
}

/// The weights as a table: a row a bin.
pub fn weights_table(weights: &[ModelWeights]) -> String {
    let bins = weights.first().map_or(0, |model| model.weights.len());
    let label = |bin: usize| if bins == 1 { "weight".to_owned() } else { format!("bin {bin}") };
    let cells = |bin: usize| weights.iter().map(move |model| format!("{:.4}", model.weights[bin]));
    let rows: Vec<Vec<String>> = (0..bins).map(|bin| std::iter::once(label(bin)).chain(cells(bin)).collect()).collect();
    let names = weights.iter().map(|model| model.model.as_str());
    table(&std::iter::once("mixture").chain(names).collect::<Vec<_>>(), &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(mix: &[&str]) -> MixOptions {
        MixOptions { mix: mix.iter().map(|part| part.parse().unwrap()).collect(), mix_order: 5 }
    }

    #[test]
    fn the_number_is_the_count_models_weight() {
        let part = |text: &str| text.parse::<Part>();
        assert_eq!(part("ngram:0.3"), Ok(Part { kind: Counts::Trigram, share: Share::Fixed(0.3) }));
        assert_eq!(part("kneser-ney:learn"), Ok(Part { kind: Counts::KneserNey, share: Share::Learned }));
        assert_eq!(part("backoff:bins"), Ok(Part { kind: Counts::BackOff, share: Share::Binned }));
        for wrong in ["ngram", "ngram:", "ngram:0", "ngram:1", "ngram:nan", "word:0.5", "kneser-ney:lern"] {
            assert!(part(wrong).unwrap_err().contains("trigram:0.5"), "{wrong}");
        }
    }

    #[test]
    fn weights_must_fit_each_other() {
        assert_eq!(options(&[]).context(3).unwrap(), 3);
        assert_eq!(options(&["trigram:0.5", "kneser-ney:0.4"]).context(3).unwrap(), 4);
        assert_eq!(options(&["kneser-ney:learn"]).context(8).unwrap(), 8);
        let error = |mix: &[&str]| options(mix).context(3).unwrap_err().to_string();
        assert!(error(&["trigram:0.5", "kneser-ney:0.5"]).contains("nothing to the network"));
        assert!(error(&["trigram:0.5", "kneser-ney:learn"]).contains("all models or to none"));
    }
}
