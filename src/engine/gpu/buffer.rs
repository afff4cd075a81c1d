//! Memory on the device, and what a kernel sees of it.

use std::ops::Range;

/// A buffer of float32 numbers or 32-bit words.
#[derive(Clone)]
pub(super) struct Buffer {
    pub(super) handle: wgpu::Buffer,
    pub(super) words: usize,
}

/// Some words of a buffer; where they begin must be a multiple of 64.
#[derive(Clone)]
pub(super) struct Part<'a> {
    pub(super) buffer: &'a Buffer,
    pub(super) words: Range<usize>,
}

impl Buffer {
    /// All of it.
    pub(super) fn all(&self) -> Part<'_> {
        Part { buffer: self, words: 0..self.words }
    }

    /// Some of it.
    pub(super) fn part(&self, words: Range<usize>) -> Part<'_> {
        Part { buffer: self, words }
    }
}

impl Part<'_> {
    /// Words in it.
    pub(super) fn len(&self) -> usize {
        self.words.len()
    }
}
