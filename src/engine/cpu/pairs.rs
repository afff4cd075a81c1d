//! The context of a batch as pairs of a position and a token.
//!
//! What a token adds to the hidden layer from a position, and what comes back to it, is the same for all examples that
//! have it there. So the products that belong to the embeddings are taken once a pair, not once an example: a batch of
//! 1,024 names has 216 pairs instead of 8,192 places, and a batch of 256 contexts of words about two thirds of its
//! places.
//!
//! Where embeddings have one number or two and a batch few examples, the search for pairs costs more than they save: there a
//! whole context is one input, and each example a pair of its own (see [`super::network::Layout::for_batch`]).

/// The pairs of a batch.
pub(super) struct Pairs {
    positions: usize,
    vocabulary: usize,
    /// The first pair of each position, and the end, [n + 1].
    pub(super) starts: Vec<usize>,
    /// The token of each pair.
    pub(super) tokens: Vec<u32>,
    /// The pair of each place, [B, n].
    pub(super) of_example: Vec<u32>,
    /// Where the examples of each pair begin in `examples`, and the end.
    pub(super) firsts: Vec<u32>,
    /// The examples of each pair in their order, [B * n].
    pub(super) examples: Vec<u32>,
    /// For each position and token, when it was met last and its pair then, [n, V].
    pub(super) met: Vec<[u32; 2]>,
    now: u32,
}

impl Pairs {
    pub(super) fn new(positions: usize, vocabulary: usize) -> Self {
        Pairs {
            positions,
            vocabulary,
            starts: vec![0; positions + 1],
            tokens: Vec::new(),
            of_example: Vec::new(),
            firsts: Vec::new(),
            examples: Vec::new(),
            met: vec![[0; 2]; positions * vocabulary],
            now: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.starts[self.positions]
    }

    /// Takes each of so many examples as a pair of its own, of which all positions are one.
    pub(super) fn set_whole(&mut self, batch: usize) {
        assert_eq!(self.positions, 1);
        if self.of_example.len() != batch {
            self.starts[1] = batch;
            self.of_example = (0..batch as u32).collect();
        }
    }

    /// Takes the contexts of a batch by position, [n, B]; where `separate` is set, every place is a pair of its own.
    pub(super) fn set(&mut self, contexts: &[u32], separate: bool) {
        let (positions, batch) = (self.positions, contexts.len() / self.positions);
        if self.now == u32::MAX {
            self.met.fill([0; 2]);
            self.now = 0;
        }
        self.now += 1;
        let most = contexts.len();
        self.tokens.resize(most, 0);
        self.of_example.resize(most, 0);
        self.firsts.resize(most + 2, 0);
        let mut count = 0;
        for position in 0..positions {
            self.starts[position] = count;
            let met = &mut self.met[position * self.vocabulary..][..self.vocabulary];
            for (example, &token) in contexts[position * batch..][..batch].iter().enumerate() {
                // Without a branch, which would be guessed wrong for every third token.
                let [when, known] = met[token as usize];
                let is_new = when != self.now || separate;
                let pair = if is_new { count as u32 } else { known };
                met[token as usize] = [self.now, pair];
                self.tokens[pair as usize] = token;
                self.of_example[example * positions + position] = pair;
                let examples = &mut self.firsts[pair as usize + 2];
                *examples = if is_new { 1 } else { *examples + 1 };
                count += usize::from(is_new);
            }
        }
        self.starts[positions] = count;
        self.tokens.truncate(count);
        self.firsts.truncate(count + 2);
        self.list_examples(batch);
    }

    /// Takes every token of the vocabulary in every position, for any number of examples.
    pub(super) fn set_all(&mut self) {
        let tokens = 0..self.vocabulary as u32;
        self.tokens = (0..self.positions).flat_map(|_| tokens.clone()).collect();
        self.starts = (0..=self.positions).map(|position| position * self.vocabulary).collect();
    }

    /// The pairs of some contexts by position, [n, B], after [`Pairs::set_all`].
    pub(super) fn find(&mut self, contexts: &[u32]) {
        let batch = contexts.len() / self.positions;
        self.of_example.resize(contexts.len(), 0);
        for (position, tokens) in contexts.chunks_exact(batch).enumerate() {
            let first = (position * self.vocabulary) as u32;
            for (&token, pair) in tokens.iter().zip(self.of_example.iter_mut().skip(position).step_by(self.positions)) {
                *pair = first + token;
            }
        }
    }

    /// The examples of each pair, where place `pair + 2` holds their number.
    fn list_examples(&mut self, batch: usize) {
        self.firsts[..2].fill(0);
        for pair in 2..self.firsts.len() {
            self.firsts[pair] += self.firsts[pair - 1];
        }
        self.examples.resize(self.of_example.len(), 0);
        for example in 0..batch {
            for &pair in &self.of_example[example * self.positions..][..self.positions] {
                let next = &mut self.firsts[pair as usize + 1];
                self.examples[*next as usize] = example as u32;
                *next += 1;
            }
        }
    }

    /// The examples that have a pair, in their order.
    #[inline(always)]
    pub(super) fn examples_of(&self, pair: usize) -> &[u32] {
        &self.examples[self.firsts[pair] as usize..self.firsts[pair + 1] as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_place_is_in_its_pair(
            contexts in proptest::collection::vec(0u32..5, 1..60),
            context in 1usize..4,
            separate: bool,
        ) {
            let batch = contexts.len() / context;
            prop_assume!(batch > 0);
            let contexts = &contexts[..batch * context];
            let mut pairs = Pairs::new(context, 5);
            for _ in 0..2 {
                pairs.set(contexts, separate);
                let mut met = 0;
                for position in 0..context {
                    for pair in pairs.starts[position]..pairs.starts[position + 1] {
                        let examples = pairs.examples_of(pair);
                        prop_assert!(!examples.is_empty() && examples.is_sorted());
                        prop_assert!(!separate || examples.len() == 1);
                        for &example in examples {
                            prop_assert_eq!(contexts[position * batch + example as usize], pairs.tokens[pair]);
                            prop_assert_eq!(pairs.of_example[example as usize * context + position] as usize, pair);
                        }
                        met += examples.len();
                    }
                    let own = &pairs.tokens[pairs.starts[position]..pairs.starts[position + 1]];
                    let different: std::collections::HashSet<_> = own.iter().collect();
                    prop_assert!(separate || different.len() == own.len());
                }
                prop_assert_eq!(met, contexts.len());
            }
            pairs.set_all();
            pairs.find(contexts);
            for (place, &token) in contexts.iter().enumerate() {
                let (position, example) = (place / batch, place % batch);
                let pair = pairs.of_example[example * context + position] as usize;
                prop_assert_eq!(pairs.tokens[pair], token);
                prop_assert!((pairs.starts[position]..pairs.starts[position + 1]).contains(&pair));
            }
        }
    }
}
