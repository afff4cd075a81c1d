//! Counted n-grams as a tree of contexts: what every count model is estimated from.

use std::ops::Range;

use crate::text::Corpus;

/// What a count says of an n-gram that is shorter than the longest ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counting {
    /// How often it occurs.
    Occurrences,
    /// How many different tokens stand before it (Kneser and Ney 1995). An n-gram that begins with a mark before a line
    /// has nothing else before it and keeps its occurrences, as in SRILM and KenLM. But these put one mark before a line, and
    /// here there are as many as a context has tokens. On names the best order is 5 so, with a loss of 1.991 on the validation
    /// part, and an order higher is worse; with one mark it is 6, with 1.975.
    Continuations,
}

/// The n-grams of a text, of every order up to the longest.
///
/// A context is found from the newest token to the oldest, so that each step leads to a context one token longer. Memory:
/// 8 bytes an n-gram and 12 a context, that is 20 at most; while counting, 32 bytes a predicted token more.
#[derive(Clone, Debug)]
pub(crate) struct Grams {
    /// Contexts of length 0, 1, ..., order - 1.
    pub(crate) levels: Vec<Level>,
}

/// The contexts of one length, and what was counted after each.
#[derive(Clone, Debug, Default)]
pub(crate) struct Level {
    /// The oldest token of each context. Contexts that differ in it alone stand together, in the order of that token.
    pub(crate) oldest: Vec<u32>,
    /// Where the contexts of the next level begin that end in this one: [contexts + 1].
    longer: Vec<u32>,
    /// Where the tokens after each context begin: [contexts + 1].
    first: Vec<u32>,
    /// The tokens after each context, in order.
    pub(crate) tokens: Vec<u32>,
    /// The count of each token after its context.
    pub(crate) counts: Vec<u32>,
}

impl Level {
    /// Number of contexts.
    pub(crate) fn len(&self) -> usize {
        self.oldest.len()
    }

    /// Where the tokens after a context stand.
    pub(crate) fn after(&self, context: usize) -> Range<usize> {
        self.first[context] as usize..self.first[context + 1] as usize
    }

    /// Where the contexts of the next level stand that end in this one.
    pub(crate) fn longer(&self, context: usize) -> Range<usize> {
        self.longer[context] as usize..self.longer[context + 1] as usize
    }

    /// Where a token after a context stands, if it was counted there.
    pub(crate) fn find(&self, context: usize, token: u32) -> Option<usize> {
        let range = self.after(context);
        self.tokens[range.clone()].binary_search(&token).ok().map(|place| range.start + place)
    }

    /// The sum of the counts after each context.
    pub(crate) fn totals(&self) -> Vec<u32> {
        (0..self.len()).map(|context| self.counts[self.after(context)].iter().sum()).collect()
    }

    /// Keeps the tokens whose count fulfils a condition. Contexts stay, with nothing after them if need be.
    pub(crate) fn retain(&mut self, keep: impl Fn(u32) -> bool) {
        let mut kept = Level { first: vec![0], ..Level::default() };
        for context in 0..self.len() {
            for place in self.after(context).filter(|&place| keep(self.counts[place])) {
                kept.tokens.push(self.tokens[place]);
                kept.counts.push(self.counts[place]);
            }
            kept.first.push(kept.tokens.len() as u32);
        }
        (self.first, self.tokens, self.counts) = (kept.first, kept.tokens, kept.counts);
    }

    /// Appends what stands after one more context; `tokens` is sorted in passing.
    fn push(&mut self, tokens: &mut [u32]) {
        tokens.sort_unstable();
        for run in tokens.chunk_by(|a, b| a == b) {
            self.tokens.push(run[0]);
            self.counts.push(run.len() as u32);
        }
        self.first.push(self.tokens.len() as u32);
    }
}

/// The examples of a corpus in the order of their contexts.
struct Sorted<'a> {
    tokens: &'a [u32],
    /// The position of what each example predicts.
    positions: Vec<u32>,
    /// How many tokens each example's line has before that position.
    inside: Vec<u32>,
}

impl<'a> Sorted<'a> {
    /// Sorts by the newest token of context, then by the one before it, and so on: a counting sort for each, the oldest
    /// first.
    fn new(corpus: &'a Corpus, longest: usize, vocabulary: usize) -> Self {
        let (tokens, mut positions) = (corpus.tokens(), corpus.targets().into_owned());
        let mut next = positions.clone();
        // A line begins where the position before is no target.
        let mut inside = vec![0; tokens.len()];
        for pair in positions.windows(2).filter(|pair| pair[0] + 1 == pair[1]) {
            inside[pair[1] as usize] = inside[pair[0] as usize] + 1;
        }
        for back in (1..=longest).rev() {
            let mut places = vec![0u32; vocabulary + 1];
            for &position in &positions {
                places[tokens[position as usize - back] as usize + 1] += 1;
            }
            for token in 1..places.len() {
                places[token] += places[token - 1];
            }
            for &position in &positions {
                let place = &mut places[tokens[position as usize - back] as usize];
                next[*place as usize] = position;
                *place += 1;
            }
            std::mem::swap(&mut positions, &mut next);
        }
        let inside = positions.iter().map(|&position| inside[position as usize]).collect();
        Sorted { tokens, positions, inside }
    }

    /// Cuts the examples of one context into those of the contexts one token longer: the oldest token of each with its
    /// examples.
    fn split(&self, range: Range<usize>, back: usize) -> impl Iterator<Item = (u32, Range<usize>)> {
        let token = move |&position: &u32| self.tokens[position as usize - back];
        let mut start = range.start;
        self.positions[range].chunk_by(move |a, b| token(a) == token(b)).map(move |run| {
            start += run.len();
            (token(&run[0]), start - run.len()..start)
        })
    }

    /// What some examples predict.
    fn targets(&self, range: Range<usize>) -> impl Iterator<Item = u32> {
        self.positions[range].iter().map(|&position| self.tokens[position as usize])
    }
}

impl Grams {
    /// Counts the n-grams that end in a target, of the orders 1 to `order`, which is at most the corpus's context + 1.
    /// The marks before a line are tokens of context like others.
    pub(crate) fn new(corpus: &Corpus, order: usize, vocabulary: usize, counting: Counting) -> Self {
        let longest = order - 1;
        assert!(longest <= corpus.context(), "a context of {longest} in a corpus of {}", corpus.context());
        let sorted = Sorted::new(corpus, longest, vocabulary);
        let mut levels = vec![Level { oldest: vec![0], ..Level::default() }];
        // The examples of each context.
        let mut members = vec![vec![0..corpus.len()]];
        for back in 1..=longest {
            let (mut level, mut ranges, mut longer) = (Level::default(), Vec::new(), vec![0]);
            for range in &members[back - 1] {
                for (oldest, range) in sorted.split(range.clone(), back) {
                    level.oldest.push(oldest);
                    ranges.push(range);
                }
                longer.push(level.len() as u32);
            }
            levels[back - 1].longer = longer;
            levels.push(level);
            members.push(ranges);
        }
        let mut buffer = Vec::new();
        for length in (0..order).rev() {
            let mut level = std::mem::take(&mut levels[length]);
            level.first.push(0);
            for (context, range) in members[length].iter().enumerate() {
                buffer.clear();
                let begins_before_the_line =
                    || sorted.inside[range.clone()].iter().all(|&inside| inside < length as u32);
                if counting == Counting::Occurrences || length == longest || begins_before_the_line() {
                    buffer.extend(sorted.targets(range.clone()));
                } else {
                    let (longer, next) = (level.longer(context), &levels[length + 1]);
                    buffer.extend_from_slice(
                        &next.tokens[next.first[longer.start] as usize..next.first[longer.end] as usize],
                    );
                }
                level.push(&mut buffer);
            }
            levels[length] = level;
        }
        Grams { levels }
    }

    /// The contexts that end like `context` (oldest token first), from length 0 on as far as they were counted.
    pub(crate) fn path(&self, context: &[u32], path: &mut Vec<usize>) {
        path.clear();
        path.push(0);
        let mut node = 0;
        for ((level, next), token) in self.levels.iter().zip(&self.levels[1..]).zip(context.iter().rev()) {
            let longer = level.longer(node);
            let Ok(place) = next.oldest[longer.clone()].binary_search(token) else { return };
            node = longer.start + place;
            path.push(node);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(grams: &Grams, context: &[u32]) -> Vec<(u32, u32)> {
        let mut path = Vec::new();
        grams.path(context, &mut path);
        assert_eq!(path.len(), context.len() + 1, "{context:?}");
        let level = &grams.levels[context.len()];
        level.after(path[context.len()]).map(|place| (level.tokens[place], level.counts[place])).collect()
    }

    #[test]
    fn occurrences_of_two_lines_counted_by_hand() {
        // .aab. and .ab. with a = 1, b = 2
        let corpus = Corpus::from_lines(&[vec![1, 1, 2], vec![1, 2]], 2);
        let grams = Grams::new(&corpus, 3, 3, Counting::Occurrences);
        assert_eq!(after(&grams, &[]), [(0, 2), (1, 3), (2, 2)]);
        assert_eq!(after(&grams, &[1]), [(1, 1), (2, 2)]);
        assert_eq!(after(&grams, &[0]), [(1, 2)]);
        assert_eq!(after(&grams, &[0, 0]), [(1, 2)]);
        assert_eq!(after(&grams, &[0, 1]), [(1, 1), (2, 1)]);
        assert_eq!(after(&grams, &[1, 2]), [(0, 2)]);
        let mut path = Vec::new();
        grams.path(&[2, 1], &mut path);
        assert_eq!(path.len(), 2, "b a was never seen, a was");
    }

    #[test]
    fn continuations_of_two_lines_counted_by_hand() {
        let corpus = Corpus::from_lines(&[vec![1, 1, 2], vec![1, 2]], 2);
        let grams = Grams::new(&corpus, 3, 3, Counting::Continuations);
        // Before the end only b; before a the beginning and a; before b only a.
        assert_eq!(after(&grams, &[]), [(0, 1), (1, 2), (2, 1)]);
        // a a after the beginning alone; a b after the beginning and after a.
        assert_eq!(after(&grams, &[1]), [(1, 1), (2, 2)]);
        // Before a line there is nothing: occurrences.
        assert_eq!(after(&grams, &[0]), [(1, 2)]);
        assert_eq!(after(&grams, &[0, 1]), [(1, 1), (2, 1)]);
    }

    #[test]
    fn what_is_cut_off_leaves_its_context() {
        let corpus = Corpus::from_lines(&[vec![1, 1, 2], vec![1, 2]], 1);
        let mut level = Grams::new(&corpus, 2, 3, Counting::Occurrences).levels.remove(1);
        level.retain(|count| count > 1);
        let found: Vec<_> = (0..level.len()).map(|context| level.tokens[level.after(context)].to_vec()).collect();
        assert_eq!(found, [vec![1], vec![2], vec![0]]);
        assert_eq!((level.find(1, 2), level.find(1, 1)), (Some(1), None));
    }
}
