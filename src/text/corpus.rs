//! What an engine trains and evaluates on: token ids and the positions in it that are to be predicted.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

/// Half of what 32 bits can count, so that no sum of a position and a batch overflows.
pub(super) const MOST_TOKENS: usize = u32::MAX as usize / 2;

/// Token ids with the positions among them that are to be predicted.
///
/// Example `e` predicts `tokens()[targets()[e]]` from the `context` tokens before it, the oldest first. Lines are separated
/// by `context` end marks, so no context reaches into another line. The ids are shared: a copy, a part of a stream, and
/// the same examples with a shorter context take no memory of their own. Memory: 4 bytes a token, and for lines 4 a
/// target; a stream's targets are a range.
#[derive(Clone, Debug)]
pub struct Corpus {
    shared: Arc<Vec<u32>>,
    /// The tokens of this corpus among the shared ones.
    range: Range<usize>,
    targets: Targets,
    context: usize,
}

/// Positions in a corpus's own tokens.
#[derive(Clone, Debug)]
enum Targets {
    /// Every position from `context` on.
    All,
    Listed(Arc<Vec<u32>>),
}

impl Corpus {
    /// Whether lines fit: positions are 32-bit numbers. An error names the counts.
    pub fn check_size(lines: &[impl AsRef<[u32]>], context: usize) -> Result<(), String> {
        let tokens = lines.iter().try_fold(context, |sum, line| {
            line.as_ref().len().checked_add(context.max(1)).and_then(|length| sum.checked_add(length))
        });
        match tokens {
            Some(tokens) if tokens <= MOST_TOKENS => Ok(()),
            _ => Err(format!(
                "{} lines with {context} end marks before each are more than the {MOST_TOKENS} tokens that fit: give \
                 less text or a shorter context (--context; of count models --order, --mix-order)",
                lines.len()
            )),
        }
    }

    /// Every token of every line and its end mark (id 0) are targets; a line's first contexts are filled with end marks.
    /// The lines must have passed [`Corpus::check_size`].
    pub fn from_lines(lines: &[impl AsRef<[u32]>], context: usize) -> Self {
        let inside: usize = lines.iter().map(|line| line.as_ref().len()).sum();
        let mut tokens = Vec::with_capacity(inside + (lines.len() + 1) * context.max(1));
        let mut targets = Vec::with_capacity(inside + lines.len());
        tokens.resize(context, 0);
        for line in lines {
            let (start, line) = (tokens.len() as u32, line.as_ref());
            tokens.extend_from_slice(line);
            targets.extend(start..=start + line.len() as u32);
            tokens.resize(tokens.len() + context.max(1), 0);
        }
        Self::listed(tokens, targets, context)
    }

    /// One running text: every token that has a whole context before it is a target.
    pub fn from_stream(tokens: Vec<u32>, context: usize) -> Self {
        if tokens.len() < context {
            return Self::listed(tokens, Vec::new(), context);
        }
        Corpus { range: 0..tokens.len(), shared: Arc::new(tokens), targets: Targets::All, context }
    }

    /// Consecutive parts of one running text, of the given lengths in tokens, which together are at most the text's.
    /// Every token of a part is a target: contexts reach back into the part before, and at the very beginning to
    /// `context` copies of token 0 that are put before the text. The parts share the text's memory.
    pub fn stream_parts<const PARTS: usize>(
        mut tokens: Vec<u32>,
        context: usize,
        lengths: [usize; PARTS],
    ) -> [Self; PARTS] {
        tokens.reserve_exact(context);
        tokens.splice(0..0, std::iter::repeat_n(0, context));
        assert!(lengths.iter().sum::<usize>() + context <= tokens.len(), "parts within the text");
        let shared = Arc::new(tokens);
        let mut start = 0;
        lengths.map(|length| {
            let range = start..start + context + length;
            start += length;
            Corpus { shared: shared.clone(), range, targets: Targets::All, context }
        })
    }

    /// Whether a running text fits: positions are 32-bit numbers.
    pub fn check_stream(tokens: usize, context: usize) -> Result<(), String> {
        match tokens.checked_add(context) {
            Some(sum) if sum <= MOST_TOKENS => Ok(()),
            _ => Err(format!(
                "{tokens} tokens and a context of {context} are more than the {MOST_TOKENS} tokens that fit: give less \
                 text or a shorter context (--context; of count models --order, --mix-order)"
            )),
        }
    }

    /// Separate examples: `contexts` is [examples, context] row by row, oldest token first, with a target for each row.
    pub fn from_examples(contexts: &[u32], targets: &[u32], context: usize) -> Self {
        assert_eq!(contexts.len(), targets.len() * context, "a context for each target");
        let mut tokens = Vec::with_capacity(contexts.len() + targets.len());
        let mut positions = Vec::with_capacity(targets.len());
        for (example, &target) in targets.iter().enumerate() {
            tokens.extend_from_slice(&contexts[example * context..(example + 1) * context]);
            positions.push(tokens.len() as u32);
            tokens.push(target);
        }
        Self::listed(tokens, positions, context)
    }

    fn listed(tokens: Vec<u32>, targets: Vec<u32>, context: usize) -> Self {
        let range = 0..tokens.len();
        Corpus { shared: Arc::new(tokens), range, targets: Targets::Listed(Arc::new(targets)), context }
    }

    /// The same examples with a shorter context: the nearest `context` tokens. Shares the memory.
    pub fn shortened(&self, context: usize) -> Self {
        assert!(context <= self.context, "{context} is longer than {}", self.context);
        let mut corpus = Corpus { context, ..self.clone() };
        if let Targets::All = self.targets {
            corpus.range.start += self.context - context;
        }
        corpus
    }

    /// Number of examples, which is the number of predictions.
    pub fn len(&self) -> usize {
        match &self.targets {
            Targets::All => self.range.len() - self.context,
            Targets::Listed(targets) => targets.len(),
        }
    }

    /// Whether nothing is to be predicted.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tokens of context (n).
    pub fn context(&self) -> usize {
        self.context
    }

    /// The context of an example, oldest token first.
    pub fn context_of(&self, example: usize) -> &[u32] {
        let target = self.position(example);
        &self.tokens()[target - self.context..target]
    }

    /// The token that an example predicts.
    pub fn target_of(&self, example: usize) -> u32 {
        self.tokens()[self.position(example)]
    }

    /// How often each token of a vocabulary is a target, `[V]`.
    pub fn target_counts(&self, vocabulary: usize) -> Vec<u32> {
        let mut counts = vec![0; vocabulary];
        (0..self.len()).for_each(|example| counts[self.target_of(example) as usize] += 1);
        counts
    }

    /// The token ids of this corpus alone: contexts and targets.
    pub fn tokens(&self) -> &[u32] {
        &self.shared[self.range.clone()]
    }

    /// The positions in [`Corpus::tokens`] that are predicted, in order, `[examples]`. A list is made for a stream.
    pub fn targets(&self) -> Cow<'_, [u32]> {
        match &self.targets {
            Targets::All => Cow::Owned((self.context as u32..self.range.len() as u32).collect()),
            Targets::Listed(targets) => Cow::Borrowed(targets),
        }
    }

    /// The tokens of each line, without its end mark, of a corpus of whole lines.
    pub fn lines(&self) -> impl Iterator<Item = &[u32]> {
        let mut start = None;
        (0..self.len()).filter_map(move |example| {
            let position = self.position(example);
            let first = *start.get_or_insert(position);
            (self.tokens()[position] == 0).then(|| {
                start = None;
                &self.tokens()[first..position]
            })
        })
    }

    /// Where the targets of all examples stand, if that is a list.
    pub(crate) fn listed_targets(&self) -> Option<&[u32]> {
        match &self.targets {
            Targets::All => None,
            Targets::Listed(targets) => Some(targets),
        }
    }

    /// Where the target of an example stands among the tokens; its context stands before it.
    pub fn position(&self, example: usize) -> usize {
        match &self.targets {
            Targets::All => self.context + example,
            Targets::Listed(targets) => targets[example] as usize,
        }
    }
}

/// Equal in tokens, targets and context, however they are stored.
impl PartialEq for Corpus {
    fn eq(&self, other: &Self) -> bool {
        self.context == other.context && self.tokens() == other.tokens() && self.targets() == other.targets()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn emma_gives_the_examples_of_the_lecture() {
        let corpus = Corpus::from_lines(&[vec![5, 13, 13, 1], vec![2]], 3);
        let examples: Vec<_> = (0..corpus.len()).map(|e| (corpus.context_of(e), corpus.target_of(e))).collect();
        assert_eq!(
            examples,
            [
                (&[0, 0, 0][..], 5),
                (&[0, 0, 5], 13),
                (&[0, 5, 13], 13),
                (&[5, 13, 13], 1),
                (&[13, 13, 1], 0),
                (&[0, 0, 0], 2),
                (&[0, 0, 2], 0),
            ]
        );
    }

    #[test]
    fn a_context_of_none_still_has_its_end_marks() {
        let corpus = Corpus::from_lines(&[vec![5], vec![6]], 0);
        let targets: Vec<_> = (0..corpus.len()).map(|e| corpus.target_of(e)).collect();
        assert_eq!(targets, [5, 0, 6, 0]);
    }

    #[test]
    fn a_stream_predicts_every_token_with_a_whole_context() {
        let corpus = Corpus::from_stream(vec![7, 8, 9, 6], 2);
        let examples: Vec<_> = (0..corpus.len()).map(|e| (corpus.context_of(e), corpus.target_of(e))).collect();
        assert_eq!(examples, [(&[7, 8][..], 9), (&[8, 9], 6)]);
    }

    #[test]
    fn separate_examples_come_back_as_given() {
        let corpus = Corpus::from_examples(&[1, 2, 3, 4], &[9, 8], 2);
        assert_eq!((corpus.context_of(0), corpus.target_of(0)), (&[1, 2][..], 9));
        assert_eq!((corpus.context_of(1), corpus.target_of(1)), (&[3, 4][..], 8));
    }

    fn examples(corpus: &Corpus) -> Vec<(Vec<u32>, u32)> {
        (0..corpus.len()).map(|example| (corpus.context_of(example).to_vec(), corpus.target_of(example))).collect()
    }

    #[test]
    fn a_stream_shorter_than_its_context_predicts_nothing() {
        assert!(Corpus::from_stream(vec![7], 2).is_empty());
        assert!(Corpus::from_stream(vec![7, 8], 2).is_empty());
    }

    #[test]
    fn parts_of_a_stream_see_the_part_before() {
        let [first, second, none] = Corpus::stream_parts(vec![7, 8, 9, 6, 5], 2, [3, 2, 0]);
        let expected = [(vec![0, 0], 7), (vec![0, 7], 8), (vec![7, 8], 9)];
        assert_eq!(examples(&first), expected);
        assert_eq!(examples(&second), [(vec![8, 9], 6), (vec![9, 6], 5)]);
        assert_eq!((second.tokens(), &second.targets()[..]), (&[8, 9, 6, 5][..], &[2, 3][..]));
        assert!(none.is_empty());
        assert!(Arc::ptr_eq(&first.shared, &second.shared));
    }

    proptest! {
        #[test]
        fn a_shortened_corpus_has_the_same_targets_and_the_nearest_context(
            lines in proptest::collection::vec(proptest::collection::vec(1u32..9, 0..6), 1..6),
            context in 0usize..4,
            less in 0usize..4,
        ) {
            let shorter = context.saturating_sub(less);
            let stream = lines.concat();
            let length = stream.len() / 2;
            let [first, second] = Corpus::stream_parts(stream.clone(), context, [length, stream.len() - length]);
            for corpus in [Corpus::from_lines(&lines, context), Corpus::from_stream(stream, context), first, second] {
                let short = corpus.shortened(shorter);
                prop_assert!(Arc::ptr_eq(&short.shared, &corpus.shared));
                let expected: Vec<_> = examples(&corpus)
                    .into_iter()
                    .map(|(tokens, target)| (tokens[context - shorter..].to_vec(), target))
                    .collect();
                prop_assert_eq!(examples(&short), expected);
                for (example, &position) in short.targets().iter().enumerate() {
                    prop_assert_eq!(short.tokens()[position as usize], short.target_of(example));
                }
            }
        }
    }
}
