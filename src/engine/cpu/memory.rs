//! How much memory a training holds.

use std::borrow::Cow;

use super::Training;
use super::activations::Scratch;
use super::crew::locked;
use super::home::Own;
use super::network::Network;
use super::threads::Shared;
use crate::engine::cost::{Memory, MemoryKind};

/// Bytes of some buffers.
fn bytes<T: Copy>(buffers: &[&Shared<T>]) -> u64 {
    buffers.iter().map(|buffer| (buffer.len() * size_of::<T>()) as u64).sum()
}

impl Network {
    /// Bytes of a network's buffers.
    pub(super) fn bytes(&self) -> u64 {
        bytes(&[&self.embedding, &self.hidden, &self.hidden_bias, &self.output, &self.direct])
    }
}

impl Own {
    fn bytes(&self) -> u64 {
        bytes(&self.buffers())
    }
}

impl Scratch {
    fn bytes(&self) -> u64 {
        let lines = [&self.input, &self.terms, &self.panel, &self.pair_logits, &self.logits, &self.softmax]
            .map(Vec::len)
            .iter()
            .sum::<usize>();
        let words = self.drawn.contexts.capacity() + self.drawn.targets.capacity() + self.ones.len();
        (lines * size_of::<super::lanes::Lanes>() + words * 4) as u64
    }
}

impl Training {
    /// What lies where, for a network.
    pub(super) fn memory(&self, network: &Network) -> Vec<Memory> {
        let a = &self.activations;
        let logits = [&a.logits_blocks, &a.logits, &a.references, &a.largest, &a.sums, &a.at_target, &a.normalizers];
        let way_back = [&a.d_hidden_parts, &a.d_hidden, &a.d_hidden_pairs, &a.d_input, &a.d_input_parts];
        let scratch = self.scratches.iter().map(|scratch| locked(scratch).bytes()).sum();
        // Of a stream every token is a target, and no list is held.
        let places = if let Cow::Borrowed(list) = self.corpus.targets() { size_of_val(list) as u64 } else { 0 };
        let memory = |kind, name: &str, bytes| Memory { kind, name: name.to_owned(), bytes };
        let mut list = vec![memory(MemoryKind::Parameters, "parameters", network.bytes())];
        let carried = self.carried.networks().into_iter();
        list.extend(carried.filter_map(|(name, carried)| Some(memory(MemoryKind::Optimizer, name, carried?.bytes()))));
        list.extend([
            memory(MemoryKind::Corpus, "tokens", size_of_val(self.corpus.tokens()) as u64),
            memory(MemoryKind::Corpus, "places of targets", places),
            memory(MemoryKind::Activations, "hidden units", bytes(&[&a.hidden, &a.hidden_mask, &a.input_mask])),
            memory(MemoryKind::Activations, "logits", bytes(&logits)),
            memory(MemoryKind::Activations, "gradients of activations", bytes(&way_back)),
            memory(MemoryKind::Activations, "losses", bytes(&[&a.losses])),
            memory(MemoryKind::Activations, "scratch of the threads, each with its own", scratch),
            memory(
                MemoryKind::Activations,
                "weights, hidden units and logits that each thread has to itself",
                self.own.iter().map(Own::bytes).sum(),
            ),
        ]);
        list
    }
}
