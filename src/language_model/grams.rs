//! Counted n-grams as a tree of contexts: what every count model is estimated from.

use std::ops::Range;

use crate::text::Corpus;

/// What a count says of an n-gram that is shorter than the longest ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counting {
    /// How often it occurs.
    Occurrences,
    /// How many different tokens stand before it, and how often it stands with nothing before it (Kneser and Ney 1995; an
    /// n-gram at the beginning of a line keeps its occurrences, as in KenLM).
    Continuations,
}

/// The n-grams of a text, of every order up to the longest.
///
/// A context is found from the newest token to the oldest, so that each step leads to a context one token longer. Memory:
/// 8 bytes an n-gram and 12 a context, that is 20 at most; while counting, 16 bytes a predicted token more.
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

    /// Keeps the tokens whose place fulfils a condition. Contexts stay, with nothing after them if need be.
    pub(crate) fn retain(&mut self, keep: impl Fn(usize) -> bool) {
        let mut kept = Level { first: vec![0], ..Level::default() };
        for context in 0..self.len() {
            for place in self.after(context).filter(|&place| keep(place)) {
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

/// The examples of a corpus, sorted by their contexts.
struct Sorted {
    /// The context of each example before sorting: the tokens themselves.
    examples: Vec<u32>,
    /// What each example in this order predicts.
    targets: Vec<u32>,
}

/// The context tokens that may be counted, by example.
struct Histories<'a> {
    tokens: &'a [u32],
    positions: &'a [u32],
    /// Tokens of context that each example has.
    lengths: Vec<u32>,
}

impl<'a> Histories<'a> {
    /// A line begins where the position before is no target; of the marks before it, `marks` are context.
    fn new(tokens: &'a [u32], positions: &'a [u32], longest: usize, marks: usize) -> Self {
        let (mut lengths, mut previous, mut inside) = (Vec::with_capacity(positions.len()), None, 0);
        for &position in positions {
            inside = if previous.is_some_and(|previous: u32| previous + 1 == position) { inside + 1 } else { 0 };
            previous = Some(position);
            lengths.push(longest.min(inside + marks) as u32);
        }
        Histories { tokens, positions, lengths }
    }

    /// The token `back` places before an example's target, plus 1; 0 where its context is shorter.
    fn key(&self, example: u32, back: usize) -> u32 {
        let example = example as usize;
        if back as u32 > self.lengths[example] {
            return 0;
        }
        self.tokens[self.positions[example] as usize - back] + 1
    }

    /// Sorts by the newest token of context, then by the one before it, and so on: a counting sort for each, the oldest
    /// first.
    fn sorted(&self, longest: usize, vocabulary: usize) -> Sorted {
        let mut examples: Vec<u32> = (0..self.positions.len() as u32).collect();
        let mut next = examples.clone();
        for back in (1..=longest).rev() {
            let mut places = vec![0u32; vocabulary + 2];
            for &example in &examples {
                places[self.key(example, back) as usize + 1] += 1;
            }
            for key in 1..places.len() {
                places[key] += places[key - 1];
            }
            for &example in &examples {
                let place = &mut places[self.key(example, back) as usize];
                next[*place as usize] = example;
                *place += 1;
            }
            std::mem::swap(&mut examples, &mut next);
        }
        let target = |&example: &u32| self.tokens[self.positions[example as usize] as usize];
        let targets = examples.iter().map(target).collect();
        Sorted { examples, targets }
    }
}

impl Grams {
    /// Counts the n-grams that end in a target, of the orders 1 to `order`, which is at most the corpus's context + 1.
    /// Of the marks before a line, contexts reach to the last `marks`; what reaches further has a shorter context.
    pub(crate) fn new(corpus: &Corpus, order: usize, vocabulary: usize, marks: usize, counting: Counting) -> Self {
        let longest = order - 1;
        assert!(longest <= corpus.context(), "a context of {longest} in a corpus of {}", corpus.context());
        let positions = corpus.targets();
        let histories = Histories::new(corpus.tokens(), &positions, longest, marks);
        let sorted = histories.sorted(longest, vocabulary);
        let mut levels = vec![Level { oldest: vec![0], ..Level::default() }];
        // The examples of each context: those with a shorter context first, then context by context of the next level.
        let mut members = vec![vec![0..positions.len()]];
        for back in 1..=longest {
            let (parents, mut level, mut ranges) = (&members[back - 1], Level::default(), Vec::new());
            let mut longer = vec![0];
            for range in parents {
                let mut start = range.start;
                let key = |&a: &u32| histories.key(a, back);
                for run in sorted.examples[range.clone()].chunk_by(|a, b| key(a) == key(b)) {
                    if key(&run[0]) > 0 {
                        level.oldest.push(key(&run[0]) - 1);
                        ranges.push(start..start + run.len());
                    }
                    start += run.len();
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
                if counting == Counting::Occurrences || length == longest {
                    buffer.extend_from_slice(&sorted.targets[range.clone()]);
                } else {
                    let longer = level.longer(context);
                    let end = if longer.is_empty() { range.end } else { members[length + 1][longer.start].start };
                    buffer.extend_from_slice(&sorted.targets[range.start..end]);
                    let above = &levels[length + 1];
                    let counted = above.first[longer.start] as usize..above.first[longer.end] as usize;
                    buffer.extend_from_slice(&above.tokens[counted]);
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
        let grams = Grams::new(&corpus, 3, 3, 2, Counting::Occurrences);
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
        let grams = Grams::new(&corpus, 3, 3, 1, Counting::Continuations);
        // Before the end only b; before a the beginning and a; before b only a.
        assert_eq!(after(&grams, &[]), [(0, 1), (1, 2), (2, 1)]);
        // a a after the beginning alone; a b after the beginning and after a.
        assert_eq!(after(&grams, &[1]), [(1, 1), (2, 2)]);
        // The beginning has nothing before it: occurrences.
        assert_eq!(after(&grams, &[0]), [(1, 2)]);
        assert_eq!(after(&grams, &[0, 1]), [(1, 1), (2, 1)]);
        let mut path = Vec::new();
        grams.path(&[0, 0], &mut path);
        assert_eq!(path.len(), 2, "a line has one mark before it");
    }

    #[test]
    fn what_is_not_kept_leaves_its_context() {
        let corpus = Corpus::from_lines(&[vec![1, 1, 2], vec![1, 2]], 1);
        let mut level = Grams::new(&corpus, 2, 3, 1, Counting::Occurrences).levels.remove(1);
        let counts = level.counts.clone();
        level.retain(|place| counts[place] > 1);
        let found: Vec<_> = (0..level.len()).map(|context| level.tokens[level.after(context)].to_vec()).collect();
        assert_eq!(found, [vec![1], vec![2], vec![0]]);
        assert_eq!((level.find(1, 2), level.find(1, 1)), (Some(1), None));
    }
}
