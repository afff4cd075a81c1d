//! The passes of a step where threads share out the hidden units: networks with a small vocabulary.
//!
//! Nearly everything stays with its thread then: the weights of its units, forward, backward and in the update. What goes
//! between threads is what each block of units, or each pair of blocks, adds to the logits and to the gradient of the input.
//! (Sharing out the examples instead, so that each thread reads all weights, was measured at 45,000 steps a second of the
//! lecture's network on two threads, against 40,000 on one.)

use std::ops::Range;

use bytemuck::{cast_slice, cast_slice_mut};

use super::activations::{Activations, Scratch};
use super::clock::{Pass, Timer};
use super::draw::Drawn;
use super::gradients::{Batch, Purpose};
use super::hidden::PairSums;
use super::home::{Columns, Home};
use super::lanes::{InstructionSet, LANES};
use super::network::Layout;
use super::panel::Panel;
use super::product::{BeforeTanh, Change, Left, Product};
use super::share::Share;
use super::threads::Numbers;

/// What each block of hidden units adds to the logits of all examples.
///
/// # Safety
/// Each share has one thread, which wrote its hidden units; nobody writes parameters.
#[inline(always)]
#[allow(unsafe_code)]
pub(super) unsafe fn logits_forward<I: InstructionSet>(
    layout: Layout,
    home: &Home,
    scratch: &mut Scratch,
    activations: &Activations,
    share: &Share,
) {
    let Layout { shape, chunk: stride, chunks, .. } = layout;
    let batch = activations.batch;
    let panel: &mut [f32] = cast_slice_mut(&mut scratch.panel);
    for chunk in 0..chunks {
        let rows = layout.rows_of(chunk);
        // Whole blocks: the rows beyond the vocabulary have logits of minus infinity.
        let count = rows.len().next_multiple_of(LANES);
        // SAFETY: the columns and the blocks are this thread's own.
        unsafe {
            I::call(Panel {
                from: home.output.read(rows.start..rows.start + count),
                row_stride: home.output.stride,
                rows: count,
                columns: share.counted(layout),
                panel,
                stride,
            });
            for (block, own) in share.blocks(layout, shape.hidden + 1) {
                let (place, adds) = share.place_of(block);
                let first = (place * chunks + chunk) * batch * stride;
                let units = home.units.part(&own);
                I::call(Product {
                    left: Left::Rows { values: units.read(0..batch), stride: units.stride },
                    rows: batch,
                    inner: own.len(),
                    right: panel[own.start * stride..].into(),
                    right_stride: stride,
                    columns: count,
                    out: activations.logits_blocks.write_numbers(first..first + batch * stride).into(),
                    out_stride: stride,
                    change: if adds { Change::Add } else { Change::Write },
                });
            }
        }
    }
}

/// The way back from the logits' gradient to the input's, for the columns of one share: the gradient before tanh, its sum
/// over the examples of each pair (left in the scratch's terms, but for whole contexts), and what the blocks add to the
/// gradient of the input.
///
/// # Safety
/// Each share has one thread; the logits' gradient was written before a barrier, or by this thread.
#[inline(always)]
#[allow(unsafe_code)]
pub(super) unsafe fn backward<I: InstructionSet>(
    layout: Layout,
    batch: &mut Batch,
    share_kept: f32,
    timer: &mut Timer,
) {
    let Layout { shape, positions, position_inputs, position_stride, chunk: stride, chunks, .. } = layout;
    let Batch { activations, ref mut scratch, home, whole, share, .. } = *batch;
    let batch = activations.batch;
    let Home { hidden, output, units, d_units, .. } = home;
    let (width, counted) = (d_units.width, share.counted(layout));
    let Scratch { drawn: Drawn { pairs, .. }, terms, panel, .. } = &mut **scratch;
    let (terms, panel): (&mut [f32], &mut [f32]) = (cast_slice_mut(terms), cast_slice_mut(panel));
    // SAFETY: these columns are this thread's own, of parameters too.
    unsafe {
        let before_tanh = BeforeTanh {
            units: units.read(0..batch),
            stride: units.stride,
            mask: home.mask.map(
                #[inline(always)]
                |mask| mask.read(0..batch),
            ),
            share_kept,
            adds: chunks > 1,
        };
        for chunk in 0..chunks {
            let rows = layout.rows_of(chunk);
            let logits = whole.logits.read_numbers(chunk * batch * stride..(chunk + 1) * batch * stride);
            I::call(Product {
                left: Left::Rows { values: logits.into(), stride },
                rows: batch,
                inner: rows.len(),
                right: output.read(rows),
                right_stride: output.stride,
                columns: counted,
                out: d_units.write(0..batch),
                out_stride: d_units.stride,
                change: match chunk {
                    last if last == chunks - 1 => Change::BeforeTanh(before_tanh),
                    0 => Change::Write,
                    _ => Change::Add,
                },
            });
        }
        timer.end(Pass::HiddenBackward);
        if !layout.is_whole() {
            I::call(PairSums {
                pairs,
                own: 0..pairs.len(),
                from: d_units.read(0..batch),
                from_stride: d_units.stride,
                to: terms,
                width,
            });
        }
        for position in 0..positions {
            let here = pairs.starts[position]..pairs.starts[position + 1];
            let first = position * position_inputs;
            // Columns beyond an input hold what is not its weights; what they give is not read.
            I::call(Panel {
                from: hidden.read(first..first + position_stride),
                row_stride: hidden.stride,
                rows: position_stride,
                columns: counted,
                panel,
                stride: position_stride,
            });
            for (block, own) in share.blocks(layout, shape.hidden) {
                let (place, adds) = share.place_of(block);
                let before = place * activations.pairs;
                let out = (before + here.start) * position_stride..(before + here.end) * position_stride;
                let out = activations.d_input_parts.write_numbers(out);
                let (values, stride) = d_of_pairs(layout, d_units, terms, &here, &own);
                I::call(Product {
                    left: Left::Rows { values, stride },
                    rows: here.len(),
                    inner: own.len(),
                    right: panel[own.start * position_stride..].into(),
                    right_stride: position_stride,
                    columns: position_stride,
                    out: out.into(),
                    out_stride: position_stride,
                    change: if adds { Change::Add } else { Change::Write },
                });
            }
        }
    }
    timer.end(Pass::InputBackward);
}

/// Some columns of the gradient before tanh of some pairs, and the numbers from one to the next: of their sums in the terms, or
/// where a pair is an example, of the example itself.
///
/// # Safety
/// No other thread may write these columns until a barrier after the last use.
#[inline(always)]
#[allow(unsafe_code)]
unsafe fn d_of_pairs<'a>(
    layout: Layout,
    d_units: Columns<'a>,
    terms: &'a [f32],
    pairs: &Range<usize>,
    columns: &Range<usize>,
) -> (Numbers<'a>, usize) {
    if layout.is_whole() {
        // SAFETY: the caller's promise.
        (unsafe { d_units.part(columns).read(pairs.clone()) }, d_units.stride)
    } else {
        (terms[pairs.start * d_units.width + columns.start..].into(), d_units.width)
    }
}

/// All weights of a share's columns: hidden, bias and output.
///
/// # Safety
/// Each share has one thread, which came from [`backward`].
#[inline(always)]
#[allow(unsafe_code)]
pub(super) unsafe fn weights<I: InstructionSet>(layout: Layout, to: &Home, batch: &Batch, purpose: Purpose) {
    let Layout { positions, position_inputs, position_stride, chunk: stride, chunks, .. } = layout;
    let Batch { activations, scratch, whole, share, .. } = batch;
    let batch = activations.batch;
    let (Share { columns, .. }, counted) = (share, 0..share.counted(layout));
    let Scratch { drawn: Drawn { pairs, .. }, input, terms, ones, .. } = &**scratch;
    let (input, terms): (&[f32], &[f32]) = (cast_slice(input), cast_slice(terms));
    // SAFETY: these columns are this thread's own.
    unsafe {
        for position in 0..positions {
            let here = pairs.starts[position]..pairs.starts[position + 1];
            let rows = position * position_inputs..(position + 1) * position_inputs;
            let (right, right_stride) = d_of_pairs(layout, to.d_units, terms, &here, &counted);
            I::call(Product {
                left: Left::Columns { values: input[here.start * position_stride..].into(), stride: position_stride },
                rows: position_inputs,
                inner: here.len(),
                right,
                right_stride,
                columns: counted.len(),
                out: to.hidden.write(rows),
                out_stride: to.hidden.stride,
                change: purpose.change(
                    #[inline(always)]
                    |decay| &decay.hidden[columns.start..],
                ),
            });
        }
        // Each example has one pair in the first position.
        let first = pairs.starts[1];
        let (right, right_stride) = d_of_pairs(layout, to.d_units, terms, &(0..first), &counted);
        I::call(Product {
            left: Left::Rows { values: ones[..first].into(), stride: first },
            rows: 1,
            inner: first,
            right,
            right_stride,
            columns: counted.len(),
            out: to.hidden_bias.write(0..1),
            out_stride: columns.len(),
            change: purpose.change(
                #[inline(always)]
                |decay| &decay.hidden_bias[columns.start..],
            ),
        });
        for chunk in 0..chunks {
            let rows = layout.rows_of(chunk);
            let logits = whole.logits.read_numbers(chunk * batch * stride..(chunk + 1) * batch * stride);
            I::call(Product {
                left: Left::Columns { values: logits.into(), stride },
                rows: rows.len(),
                inner: batch,
                right: to.units.read(0..batch),
                right_stride: to.units.stride,
                columns: counted.len(),
                out: to.output.write(rows),
                out_stride: to.output.stride,
                change: purpose.change(
                    #[inline(always)]
                    |decay| &decay.output[columns.start..],
                ),
            });
        }
    }
}
