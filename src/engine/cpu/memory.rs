//! How much memory a training holds.

use std::borrow::Cow;
use std::sync::Mutex;

use super::Training;
use super::activations::Scratch;
use super::crew::locked;
use super::draw::Drawn;
use super::home::Own;
use super::lanes::Lanes;
use super::network::Network;
use super::pairs::Pairs;
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

impl Drawn {
    fn bytes(&self) -> u64 {
        let Pairs { tokens, of_example, firsts, examples, met, .. } = &self.pairs;
        let words: usize =
            [&self.contexts, &self.targets, tokens, of_example, firsts, examples].map(Vec::capacity).iter().sum();
        (words * size_of::<u32>() + size_of_val(&met[..])) as u64
    }
}

impl Scratch {
    fn bytes(&self) -> u64 {
        let lines = [&self.input, &self.terms, &self.panel, &self.pair_logits, &self.logits, &self.softmax]
            .map(Vec::len)
            .iter()
            .sum::<usize>();
        (lines * size_of::<Lanes>() + size_of_val(&self.ones[..])) as u64 + self.drawn.bytes()
    }
}

impl Training {
    /// What lies where, for a network.
    pub(super) fn memory(&self, network: &Network) -> Vec<Memory> {
        let a = &self.activations;
        let logits = [&a.logits_blocks, &a.logits, &a.references, &a.largest, &a.sums, &a.at_target, &a.normalizers];
        let way_back = [&a.d_hidden_parts, &a.d_hidden, &a.d_hidden_pairs, &a.d_input, &a.d_input_parts];
        let of_thread = |thread: &Mutex<(Scratch, Drawn)>| {
            let (scratch, ready) = &*locked(thread);
            scratch.bytes() + ready.bytes()
        };
        let scratch = self.scratches.iter().map(of_thread).sum();
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
