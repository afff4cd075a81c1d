//! The gradient of every parameter over a batch, and a plain step at once where nothing else is asked for. Parallel over
//! rows, chunks of the vocabulary or columns, each with one owner; sums are taken in the order of the examples or pairs.

use bytemuck::{cast_slice, cast_slice_mut};

use super::activations::{Activations, Scratch};
use super::by_hidden;
use super::by_word;
use super::draw::Drawn;
use super::hidden::PairSums;
use super::home::{Home, Whole};
use super::lanes::{InstructionSet, Lanes};
use super::network::{Layout, Network};
use super::occurrences::Occurrences;
use super::product::{Change, Left, Product};
use super::share::Share;
use super::softmax::gradient_of_logits;
use super::threads::{Barrier, part};

/// Weight decay by column: λ, and 0 where a row has its bias.
pub(super) struct Decay {
    pub(super) embedding: Vec<f32>,
    pub(super) hidden: Vec<f32>,
    pub(super) hidden_bias: Vec<f32>,
    pub(super) output: Vec<f32>,
    pub(super) direct: Vec<f32>,
}

/// What the gradient of the weights is for.
#[derive(Clone, Copy)]
pub(super) enum Purpose<'a> {
    /// To be written down.
    Gradient,
    /// A step at once.
    Step { rate: f32, decay: &'a Decay },
}

impl<'a> Purpose<'a> {
    #[inline(always)]
    pub(super) fn change(self, row: impl Fn(&'a Decay) -> &'a [f32]) -> Change<'a> {
        match self {
            Purpose::Gradient => Change::Write,
            Purpose::Step { rate, decay } => Change::Step { rate, decay: row(decay) },
        }
    }
}

/// A batch, and where a thread works on it.
pub(super) struct Batch<'a> {
    pub(super) activations: &'a Activations,
    pub(super) scratch: &'a mut Scratch,
    /// Where the thread has its share of the hidden units.
    pub(super) home: Home<'a>,
    /// Where it has what it needs whole.
    pub(super) whole: Whole<'a>,
    /// What it has of them.
    pub(super) share: &'a Share,
    /// The gradient is that of `scale` times the loss.
    pub(super) scale: f32,
}

/// The gradient of the batch, written over what `to` holds, for the rows of thread `index` of `threads`.
///
/// # Safety
/// All threads call it with the same buffers, after the barriers of what the batch holds and before another one, and nobody
/// else uses `to` meanwhile.
#[inline(always)]
#[allow(unsafe_code)]
pub(super) unsafe fn gradients_of_batch<I: InstructionSet>(
    network: &Network,
    to: &Network,
    batch: &mut Batch,
    barrier: &Barrier,
    (index, threads): (usize, usize),
) {
    let layout = network.layout;
    // SAFETY: the caller's promise.
    unsafe {
        weights_of_batch::<I>(network, to, batch, Purpose::Gradient, (index, threads));
        // Where the embeddings are the output weights, their gradient was written by whoever has the chunk.
        barrier.arrive_and_wait(index);
        let rows = to.embedding.write_numbers(to.matrices()[0].numbers(index, threads));
        if !layout.shape.tied {
            rows.fill(0.0);
        }
        let own = part(layout.shape.vocabulary, index, threads);
        I::call(Occurrences { layout, batch, own, rows, factor: 1.0 });
    }
}

/// All weights but the embeddings: `network` is read, `to` changed, which may be the same.
///
/// # Safety
/// As for [`gradients_of_batch`].
#[inline(always)]
#[allow(unsafe_code)]
pub(super) unsafe fn weights_of_batch<I: InstructionSet>(
    network: &Network,
    to: &Network,
    batch: &mut Batch,
    purpose: Purpose,
    (index, threads): (usize, usize),
) {
    let layout = network.layout;
    // SAFETY: the caller's promise; each thread has rows, chunks or parts of its own.
    unsafe {
        if layout.blocks > 0 {
            let share = batch.share;
            if !share.columns.is_empty() {
                let home = match purpose {
                    Purpose::Step { .. } => batch.home,
                    Purpose::Gradient => batch.home.with_weights_of(to, &share.columns),
                };
                by_hidden::weights::<I>(layout, &home, batch, purpose);
            }
            return;
        }
        hidden_weights::<I>(to, batch, purpose, (index, threads));
        if layout.shape.direct {
            for number in part(layout.parts, index, threads) {
                for chunk in layout.chunks_of(number) {
                    output_rows::<I>(to, batch, chunk, purpose);
                    direct_rows::<I>(network, to, batch, (number, chunk), purpose);
                }
            }
        } else {
            for chunk in part(layout.chunks, index, threads) {
                match batch.activations.across {
                    Some(across) => by_word::output_rows::<I>(to, batch, chunk, across, purpose),
                    None => output_rows::<I>(to, batch, chunk, purpose),
                }
            }
        }
    }
}

/// The hidden weights and biases: what came back to the hidden units from each pair, times the pair's embedding.
///
/// # Safety
/// As for [`gradients_of_batch`].
#[inline(always)]
#[allow(unsafe_code)]
unsafe fn hidden_weights<I: InstructionSet>(
    to: &Network,
    batch: &mut Batch,
    purpose: Purpose,
    (index, threads): (usize, usize),
) {
    let Layout { shape, hidden_stride, position_stride, .. } = to.layout;
    let Scratch { drawn: Drawn { pairs, .. }, input, .. } = &*batch.scratch;
    let input: &[f32] = cast_slice(input);
    if shape.hidden == 0 {
        return;
    }
    let [_, weights, bias, ..] = to.matrices();
    let own = part(weights.count, index, threads);
    for position in 0..shape.context {
        let first = position * shape.embedding;
        let rows = own.start.max(first)..own.end.min(first + shape.embedding);
        if rows.is_empty() {
            continue;
        }
        let here = pairs.starts[position]..pairs.starts[position + 1];
        // SAFETY: these rows are this thread's own.
        unsafe {
            let d_pairs = &batch.activations.d_hidden_pairs;
            I::call(Product {
                left: Left::Columns {
                    values: input[here.start * position_stride + rows.start - first..].into(),
                    stride: position_stride,
                },
                rows: rows.len(),
                inner: here.len(),
                right: d_pairs.read_numbers(here.start * hidden_stride..here.end * hidden_stride).into(),
                right_stride: hidden_stride,
                columns: hidden_stride,
                out: weights.buffer.write_numbers(rows.start * hidden_stride..rows.end * hidden_stride).into(),
                out_stride: hidden_stride,
                change: purpose.change(
                    #[inline(always)]
                    |decay| &decay.hidden,
                ),
            });
        }
    }
    let range = bias.numbers(index, threads);
    if !range.is_empty() {
        // Each example has one pair in the first position.
        let first = pairs.starts[1];
        // SAFETY: as above.
        unsafe {
            I::call(Product {
                left: Left::Rows { values: batch.scratch.ones[..first].into(), stride: first },
                rows: 1,
                inner: first,
                right: batch.activations.d_hidden_pairs.read_numbers(0..first * hidden_stride).into(),
                right_stride: hidden_stride,
                columns: hidden_stride,
                out: bias.buffer.write_numbers(range).into(),
                out_stride: hidden_stride,
                change: purpose.change(
                    #[inline(always)]
                    |decay| &decay.hidden_bias,
                ),
            });
        }
    }
}

/// The gradient of the logits of a chunk: in the thread's own buffer where the vocabulary has several parts.
///
/// # Safety
/// No other thread writes it meanwhile.
#[inline(always)]
#[allow(unsafe_code)]
unsafe fn logits_of_chunk<'a>(
    layout: Layout,
    activations: &'a Activations,
    own: &'a [Lanes],
    chunk: usize,
) -> &'a [f32] {
    let size = activations.batch * layout.chunk;
    // SAFETY: the caller's promise.
    if layout.parts > 1 {
        cast_slice(own)
    } else {
        unsafe { activations.logits.read_numbers(chunk * size..(chunk + 1) * size) }
    }
}

/// The output rows of a chunk; in several parts, the logits' gradient is made first.
///
/// # Safety
/// The chunk is this thread's own.
#[inline(always)]
#[allow(unsafe_code)]
unsafe fn output_rows<I: InstructionSet>(to: &Network, batch: &mut Batch, chunk: usize, purpose: Purpose) {
    let layout = to.layout;
    let Layout { hidden_stride, chunk: stride, .. } = layout;
    let Batch { activations, scratch, scale, .. } = batch;
    let (count, rows) = (activations.batch, layout.rows_of(chunk));
    // SAFETY: the caller's promise.
    unsafe {
        let Scratch { drawn: Drawn { targets, .. }, logits, .. } = &mut **scratch;
        if layout.parts > 1 {
            let apart = cast_slice_mut(logits);
            gradient_of_logits::<I>(layout, activations, targets, chunk, 0..count, *scale, Some(apart));
        }
        let logits = logits_of_chunk(layout, activations, logits, chunk);
        I::call(Product {
            left: Left::Columns { values: logits.into(), stride },
            rows: rows.len(),
            inner: count,
            right: activations.hidden.read_numbers(0..count * hidden_stride).into(),
            right_stride: hidden_stride,
            columns: hidden_stride,
            out: to.output_weights().write_numbers(rows.start * hidden_stride..rows.end * hidden_stride).into(),
            out_stride: hidden_stride,
            change: purpose.change(
                #[inline(always)]
                |decay| &decay.output,
            ),
        });
    }
}

/// The direct weights of a chunk, and before they change, what they add to the gradient of the input.
///
/// # Safety
/// The part that has the chunk is this thread's own.
#[inline(always)]
#[allow(unsafe_code)]
unsafe fn direct_rows<I: InstructionSet>(
    network: &Network,
    to: &Network,
    batch: &mut Batch,
    (number, chunk): (usize, usize),
    purpose: Purpose,
) {
    let layout = network.layout;
    let Layout { shape, position_stride, chunk: stride, .. } = layout;
    let Batch { activations, scratch, .. } = batch;
    let Scratch { drawn: Drawn { pairs, .. }, input, pair_logits, logits, .. } = &mut **scratch;
    let (input, d_pairs): (&[f32], &mut [f32]) = (cast_slice(input), cast_slice_mut(pair_logits));
    let (direct_stride, rows) = (layout.direct_stride(), layout.rows_of(chunk));
    let first = chunk == layout.chunks_of(number).start;
    // SAFETY: the caller's promise.
    unsafe {
        I::call(PairSums {
            pairs,
            own: 0..pairs.len(),
            from: logits_of_chunk(layout, activations, logits, chunk).into(),
            from_stride: stride,
            to: d_pairs,
            width: stride,
        });
        let most = activations.pairs;
        for position in 0..shape.context {
            let here = pairs.starts[position]..pairs.starts[position + 1];
            let own = rows.start * direct_stride + position * position_stride..rows.end * direct_stride;
            let parts = number * most + here.start..number * most + here.end;
            I::call(Product {
                left: Left::Rows { values: d_pairs[here.start * stride..].into(), stride },
                rows: here.len(),
                inner: rows.len(),
                right: network.direct.read_numbers(own.clone()).into(),
                right_stride: direct_stride,
                columns: position_stride,
                out: activations
                    .d_input_parts
                    .write_numbers(parts.start * position_stride..parts.end * position_stride)
                    .into(),
                out_stride: position_stride,
                change: if first { Change::Write } else { Change::Add },
            });
            I::call(Product {
                left: Left::Columns { values: d_pairs[here.start * stride..].into(), stride },
                rows: rows.len(),
                inner: here.len(),
                right: input[here.start * position_stride..].into(),
                right_stride: position_stride,
                columns: position_stride,
                out: to.direct.write_numbers(own).into(),
                out_stride: direct_stride,
                change: purpose.change(
                    #[inline(always)]
                    |decay| &decay.direct,
                ),
            });
        }
    }
}
