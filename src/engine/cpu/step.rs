//! One thread's part of a step, from the tokens of the batch to the gradients before the weights.

use super::by_hidden;
use super::by_word;
use super::clock::{Pass, Timer};
use super::cross_entropy::softmax_cross_entropy;
use super::dropout::DrawMask;
use super::gradients::Batch;
use super::hidden::{embedding_gather, hidden_forward, input_backward};
use super::home::Columns;
use super::lanes::InstructionSet;
use super::network::{Network, Read, numbers};
use super::output::{Finish, output_layer};
use super::softmax::gradient_of_logits;
use super::threads::{Barrier, part};
use crate::engine::Mask;

/// What the threads of a step have in common, and which of them this is.
#[derive(Clone, Copy)]
pub(super) struct Turn<'a> {
    pub(super) network: &'a Network,
    pub(super) barrier: &'a Barrier,
    /// The dropout of the input and of the hidden units.
    pub(super) masks: [Mask; 2],
    /// This thread, and all.
    pub(super) whose: (usize, usize),
}

impl Turn<'_> {
    /// Forward and back for the batch drawn, up to what the weights' gradients are made of. Parameters are only read; after
    /// it comes a barrier, but for a thread's own share where threads share out the hidden units. `meanwhile` is done while
    /// the others are waited for.
    ///
    /// # Safety
    /// All threads call it with the same network and activations between two barriers, or as
    /// [`super::home::Whole::has_embedding`] allows, and nobody else uses them.
    #[inline(always)]
    #[allow(unsafe_code)]
    pub(super) unsafe fn examples<I: InstructionSet>(
        &self,
        batch: &mut Batch,
        step: u64,
        timer: &mut Timer,
        meanwhile: impl FnOnce(),
    ) {
        let Turn { network, barrier, masks, whose: (index, threads) } = *self;
        let Batch { activations, home, whole, share, scale, .. } = *batch;
        let layout = network.layout;
        let (shape, count) = (layout.shape, activations.batch);
        let own = part(count, index, threads);
        let scratch = &mut *batch.scratch;
        let share_kept = 1.0 / masks[1].kept;
        // SAFETY: between the barriers each thread writes what `part` or its share gives to it alone, and what it reads was
        // written before a barrier or by itself.
        unsafe {
            let embedding = numbers(whole.embedding.read());
            if masks[0].is_on() {
                let (result, width) = (&activations.input_mask, shape.input());
                let (mask, examples, to) = (masks[0], own.clone(), Columns::new(result, width, &(0..width)));
                I::call(DrawMask { mask, step, examples, first: 0, width, result: to });
                barrier.arrive_and_wait(index);
                timer.end(Pass::Wait);
                embedding_gather(layout, embedding, scratch, result.read_numbers(0..count * width));
            } else {
                embedding_gather(layout, embedding, scratch, &[]);
            }
            timer.end(Pass::EmbeddingGather);
            if shape.hidden > 0 && !share.columns.is_empty() {
                let first = share.columns.start;
                if let Some(result) = home.mask {
                    let (mask, examples, width) = (masks[1], 0..count, shape.hidden);
                    I::call(DrawMask { mask, step, examples, first, width, result });
                }
                hidden_forward::<I>(layout, &home, scratch, first);
            }
            timer.end(Pass::HiddenForward);
            if layout.blocks > 0 {
                if !share.columns.is_empty() {
                    by_hidden::logits_forward::<I>(layout, &home, scratch, activations, share);
                }
                timer.end(Pass::LogitsForward);
                barrier.arrive(index);
                meanwhile();
                timer.end(Pass::Draw);
                barrier.wait(index);
                timer.end(Pass::Wait);
                let examples = if whole.has_logits { 0..count } else { own };
                softmax_cross_entropy::<I>(layout, &whole, scratch, activations, examples, share.in_pairs, scale);
                timer.end(Pass::SoftmaxCrossEntropy);
                if !whole.has_logits {
                    barrier.arrive_and_wait(index);
                    timer.end(Pass::Wait);
                }
                if !share.columns.is_empty() {
                    by_hidden::backward::<I>(layout, batch, share_kept, timer);
                }
                return;
            }
            barrier.arrive(index);
            meanwhile();
            timer.end(Pass::Draw);
            barrier.wait(index);
            timer.end(Pass::Wait);
            let read = Read::new(network);
            match activations.across {
                Some(across) => {
                    by_word::output_layer::<I>(read, scratch, activations, across, timer, (index, threads));
                }
                None => output_layer::<I>(read, scratch, activations, timer, (index, threads)),
            }
            if layout.parts > 1 {
                barrier.arrive_and_wait(index);
                timer.end(Pass::Wait);
            }
            let (targets, hidden) = (&scratch.drawn.targets, (shape.hidden > 0).then_some(share_kept));
            I::call(Finish { read, activations, targets, examples: own.clone(), scale, hidden });
            if layout.parts == 1 {
                for chunk in 0..layout.chunks {
                    gradient_of_logits::<I>(layout, activations, targets, chunk, own.clone(), scale, None);
                }
            }
            timer.end(Pass::HiddenBackward);
            barrier.arrive_and_wait(index);
            timer.end(Pass::Wait);
            if shape.hidden > 0 {
                let own = part(scratch.drawn.pairs.len(), index, threads);
                input_backward::<I>(read, scratch, activations, own);
            }
            timer.end(Pass::InputBackward);
            barrier.arrive_and_wait(index);
            timer.end(Pass::Wait);
        }
    }
}
