//! What holds for every language model: distributions sum to 1 and agree with the log-probabilities of targets.

use proptest::prelude::*;

use super::*;

const VOCABULARY: usize = 6;

/// Every count model of a corpus and mixtures of them.
fn models(corpus: &Corpus, order: usize) -> Vec<(String, Box<dyn LanguageModel>)> {
    let trigram = || Trigram::new(corpus, Some(corpus), VOCABULARY, 5);
    let kneser_ney = || KneserNey::interpolated(corpus, order, VOCABULARY);
    let pair = || -> Vec<Box<dyn LanguageModel>> { vec![Box::new(trigram()), Box::new(kneser_ney())] };
    let bins = Some(Bins::new(corpus, VOCABULARY));
    vec![
        ("counts + 1".to_owned(), Box::new(CountModel::new(corpus, order.max(2), VOCABULARY))),
        ("trigram".to_owned(), Box::new(trigram())),
        ("interpolated".to_owned(), Box::new(kneser_ney())),
        ("back-off with cut-offs".to_owned(), Box::new(KneserNey::back_off(corpus, order, VOCABULARY, 2))),
        ("back-off".to_owned(), Box::new(KneserNey::back_off(corpus, order, VOCABULARY, 1))),
        ("mixture".to_owned(), Box::new(Mixture::fixed(pair(), &[0.3, 0.7]))),
        ("learned mixture".to_owned(), Box::new(Mixture::learned(pair(), None, corpus).unwrap())),
        ("mixture by bins".to_owned(), Box::new(Mixture::learned(pair(), bins, corpus).unwrap())),
    ]
}

fn check(corpus: &Corpus, order: usize) -> Result<(), TestCaseError> {
    for (name, mut model) in models(corpus, order) {
        let count = 4;
        let examples = (0..corpus.len()).step_by(corpus.len().div_ceil(count));
        let nearest = |tokens: &[u32]| tokens[tokens.len() - model.context()..].to_vec();
        let seen: Vec<u32> = examples.clone().flat_map(|example| nearest(corpus.context_of(example))).collect();
        // Tokens that occur nowhere, and one that does after them.
        let unseen = [vec![5; model.context()], [vec![5; model.context() - 1], vec![1]].concat()].concat();
        let distributions = model.distributions(&[seen, unseen].concat()).unwrap();
        for distribution in distributions.chunks_exact(VOCABULARY) {
            let sum: f32 = distribution.iter().sum();
            prop_assert!((sum - 1.0).abs() < 1e-5, "{name} of order {order}: {sum} {distribution:?}");
            prop_assert!(distribution.iter().all(|&p| p > 0.0), "{name} of order {order}: {distribution:?}");
        }
        let log_probabilities = model.log_probabilities(corpus).unwrap();
        for (example, distribution) in examples.zip(distributions.chunks_exact(VOCABULARY)) {
            let expected = distribution[corpus.target_of(example) as usize];
            prop_assert!((log_probabilities[example].exp() - expected).abs() < 1e-5, "{name} of order {order}");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_model_of_lines_is_a_distribution(
        lines in proptest::collection::vec(proptest::collection::vec(1u32..5, 1..8), 1..30),
        order in 1usize..6,
    ) {
        check(&Corpus::from_lines(&lines, 5), order)?;
    }

    #[test]
    fn every_model_of_a_stream_is_a_distribution(
        stream in proptest::collection::vec(0u32..5, 12..200),
        order in 1usize..6,
    ) {
        check(&Corpus::from_stream(stream, 5), order)?;
    }
}
