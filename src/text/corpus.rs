//! What an engine trains and evaluates on: one stream of token ids and the positions in it that are to be predicted.

/// Half of what 32 bits can count, so that no sum of a position and a batch overflows.
const MOST_TOKENS: usize = u32::MAX as usize / 2;

/// A stream of token ids with its targets.
///
/// Example `e` predicts `tokens[targets[e]]` from the `context` tokens before it, the oldest first. Lines are separated
/// by `context` end marks, so no context reaches into another line. Memory: 4 bytes a token and 4 a target, not
/// `4 (context + 1)` an example.
#[derive(Clone, Debug, PartialEq)]
pub struct Corpus {
    tokens: Vec<u32>,
    targets: Vec<u32>,
    context: usize,
}

impl Corpus {
    /// Whether lines fit: positions are 32-bit numbers. An error names the counts.
    pub fn check_size(lines: &[Vec<u32>], context: usize) -> Result<(), String> {
        let tokens = lines.iter().try_fold(context, |sum, line| {
            line.len().checked_add(context.max(1)).and_then(|length| sum.checked_add(length))
        });
        match tokens {
            Some(tokens) if tokens <= MOST_TOKENS => Ok(()),
            _ => Err(format!(
                "{} lines with {context} end marks before each are more than the {MOST_TOKENS} tokens that fit: give \
                 less text or a shorter --context",
                lines.len()
            )),
        }
    }

    /// Every character of every line and its end mark are targets; a line's first contexts are filled with end marks.
    /// The lines must have passed [`Corpus::check_size`].
    pub fn from_lines(lines: &[Vec<u32>], context: usize) -> Self {
        let characters: usize = lines.iter().map(Vec::len).sum();
        let mut tokens = Vec::with_capacity(characters + (lines.len() + 1) * context.max(1));
        let mut targets = Vec::with_capacity(characters + lines.len());
        tokens.resize(context, 0);
        for line in lines {
            let start = tokens.len() as u32;
            tokens.extend_from_slice(line);
            targets.extend(start..=start + line.len() as u32);
            tokens.resize(tokens.len() + context.max(1), 0);
        }
        Corpus { tokens, targets, context }
    }

    /// One running text: every token that has a whole context before it is a target.
    pub fn from_stream(tokens: Vec<u32>, context: usize) -> Self {
        let targets = (context as u32..tokens.len() as u32).collect();
        Corpus { tokens, targets, context }
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
        Corpus { tokens, targets: positions, context }
    }

    /// Number of examples, which is the number of predictions.
    pub fn len(&self) -> usize {
        self.targets.len()
    }

    /// Whether nothing is to be predicted.
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// Tokens of context (n).
    pub fn context(&self) -> usize {
        self.context
    }

    /// The context of an example, oldest token first.
    pub fn context_of(&self, example: usize) -> &[u32] {
        let target = self.targets[example] as usize;
        &self.tokens[target - self.context..target]
    }

    /// The token that an example predicts.
    pub fn target_of(&self, example: usize) -> u32 {
        self.tokens[self.targets[example] as usize]
    }

    /// How often each token of a vocabulary is a target, `[V]`.
    pub fn target_counts(&self, vocabulary: usize) -> Vec<u32> {
        let mut counts = vec![0; vocabulary];
        (0..self.len()).for_each(|example| counts[self.target_of(example) as usize] += 1);
        counts
    }

    /// The stream of token ids.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// The positions in the stream that are predicted, in order.
    pub fn targets(&self) -> &[u32] {
        &self.targets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
