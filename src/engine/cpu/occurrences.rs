//! What came back to the inputs of a batch, added to the embeddings of their tokens.

use std::ops::Range;

use super::draw::Drawn;
use super::gradients::Batch;
use super::lanes::{InstructionSet, Job, LANES};
use super::network::{Layout, MOST_WHOLE};
use super::share::sum_of_blocks;
use super::vector::Vector;

/// Adds to the rows of the owned tokens `factor` times what came back to their pairs, in the order of the pairs.
pub(super) struct Occurrences<'a, 'b> {
    pub(super) layout: Layout,
    pub(super) batch: &'a Batch<'b>,
    pub(super) own: Range<usize>,
    /// [own tokens, embedding stride].
    pub(super) rows: &'a mut [f32],
    pub(super) factor: f32,
}

impl Job for Occurrences<'_, '_> {
    type Output = ();

    #[inline(always)]
    #[allow(unsafe_code)]
    fn run<I: InstructionSet>(self) {
        let Occurrences { layout, batch: Batch { activations, scratch, share, .. }, own, rows, factor } = self;
        let Layout { shape, embedding_stride, positions, position_inputs, position_stride, parts, blocks, .. } = layout;
        let Drawn { pairs, contexts, .. } = &scratch.drawn;
        assert!(pairs.len() <= activations.pairs);
        // SAFETY: nobody writes them until all threads have come to the next meeting.
        let came_back = unsafe {
            let (whole, parts) = match blocks {
                0 => (shape.hidden.min(1), if shape.direct { parts } else { 0 }),
                blocks => (0, blocks),
            };
            let (most, mask) = (activations.pairs * position_stride, &activations.input_mask);
            CameBack {
                layout,
                whole: activations.d_input.read_numbers(0..whole * pairs.len() * position_stride),
                parts: activations.d_input_parts.read_numbers(0..parts * most),
                part_stride: most,
                in_pairs: share.in_pairs,
                mask: activations.input_mask.read_numbers(0..mask.len().min(1) * activations.batch * shape.input()),
            }
        };
        let mut embeddings = Embeddings { own, rows, factor };
        for position in 0..positions {
            let here = pairs.starts[position]..pairs.starts[position + 1];
            for (example, pair) in here.enumerate() {
                if layout.is_whole() {
                    let mut tokens = contexts[example..].iter().step_by(activations.batch);
                    for first in (0..position_inputs).step_by(I::Half::LANES) {
                        let gradient = came_back.gradient::<I::Half>(pair, first, example, position);
                        // Eight numbers are those of whole embeddings. With their number as a constant, a step of `notebook`
                        // is 2 % faster.
                        const { assert!(MOST_WHOLE == 2) };
                        match shape.embedding {
                            1 => embeddings.add_each::<1>(&mut tokens, &gradient),
                            _ => embeddings.add_each::<2>(&mut tokens, &gradient),
                        }
                    }
                } else if embeddings.own.contains(&(pairs.tokens[pair] as usize)) {
                    for first in (0..shape.embedding).step_by(I::Half::LANES) {
                        let gradient = came_back.gradient::<I::Half>(pair, first, example, position);
                        let (token, count) = (pairs.tokens[pair], shape.embedding - first);
                        // Eight, known as a constant, are a vector.
                        if count >= gradient.len() {
                            embeddings.add(token, embedding_stride, first, &gradient);
                        } else {
                            embeddings.add(token, embedding_stride, first, &gradient[..count]);
                        }
                    }
                }
            }
        }
    }
}

/// What came back to the inputs of all pairs.
struct CameBack<'a> {
    layout: Layout,
    /// Where it is there as a whole, [pairs, position stride].
    whole: &'a [f32],
    /// Where it is in parts, [parts, most pairs, position stride].
    parts: &'a [f32],
    part_stride: usize,
    in_pairs: bool,
    /// [B, n*d], or nothing.
    mask: &'a [f32],
}

impl CameBack<'_> {
    /// Some numbers of a pair, from `first` on; where there is a mask, each place is a pair, and this one `example`'s.
    #[inline(always)]
    #[allow(unsafe_code)]
    fn gradient<V: Vector>(&self, pair: usize, first: usize, example: usize, position: usize) -> [f32; LANES / 2] {
        let CameBack { layout, whole, parts, part_stride, in_pairs, mask } = *self;
        let Layout { shape, position_inputs, position_stride, blocks, .. } = layout;
        let place = pair * position_stride + first;
        let mut sum = V::splat(0.0);
        if blocks > 0 {
            // SAFETY: every block has that many numbers for each pair.
            sum = unsafe { sum_of_blocks(parts, part_stride, place, blocks, in_pairs) };
        } else {
            for part in whole.chunks(part_stride).chain(parts.chunks(part_stride)) {
                // SAFETY: the slice has that many numbers.
                sum = sum.add(unsafe { V::load(part[place..][..V::LANES].as_ptr()) });
            }
        }
        let mut gradient = [0.0; LANES / 2];
        assert!(V::LANES == gradient.len());
        // SAFETY: it has room for all lanes.
        unsafe { sum.store(gradient.as_mut_ptr()) };
        if !mask.is_empty() {
            let mask = &mask[example * shape.input() + position * position_inputs..][first..position_inputs];
            for (d, mask) in gradient.iter_mut().zip(mask) {
                *d *= mask;
            }
        }
        gradient
    }
}

/// The rows of the owned tokens.
struct Embeddings<'a> {
    own: Range<usize>,
    rows: &'a mut [f32],
    factor: f32,
}

impl Embeddings<'_> {
    /// Adds `factor` times a gradient to some numbers of a token's row, from `first` on, if the token is owned; rows have
    /// so many numbers.
    #[inline(always)]
    fn add(&mut self, token: u32, stride: usize, first: usize, gradient: &[f32]) {
        let token = token as usize;
        if self.own.contains(&token) {
            let row = &mut self.rows[(token - self.own.start) * stride + first..][..gradient.len()];
            for (value, d) in row.iter_mut().zip(gradient) {
                *value += self.factor * d;
            }
        }
    }

    /// The same for tokens with whole embeddings of `D` numbers.
    #[inline(always)]
    fn add_each<'a, const D: usize>(&mut self, tokens: impl Iterator<Item = &'a u32>, gradients: &[f32]) {
        for (gradient, &token) in gradients.as_chunks::<D>().0.iter().zip(tokens) {
            self.add(token, D, 0, gradient);
        }
    }
}
