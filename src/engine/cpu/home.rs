//! Where a thread has its share of the hidden units: in the common buffers, or in buffers of its own.
//!
//! In the common buffers a row of one thread's columns follows the other's within a few cache lines. A processor that
//! fetches neighbouring lines ahead then takes them from the thread that writes them: measured on two cores with 190 ns
//! from one to the other, the lecture's network made 18,300 steps a second so, and 40,600 on one thread. So while several
//! threads take plain steps, each has the weights of its units to itself, and copies them back when the range is done.

use std::ops::Range;

use super::activations::Activations;
use super::lanes::Lanes;
use super::network::{Layout, Network};
use super::share::Share;
use super::threads::{Numbers, NumbersMut, Shared, aligned};

/// A share's columns of a buffer that has a column for each hidden unit.
#[derive(Clone, Copy)]
pub(super) struct Columns<'a> {
    buffer: &'a Shared<Lanes>,
    first: usize,
    pub(super) width: usize,
    /// Numbers from one row to the next.
    pub(super) stride: usize,
}

#[allow(unsafe_code)]
impl<'a> Columns<'a> {
    /// Some columns of rows of so many numbers.
    pub(super) fn new(buffer: &'a Shared<Lanes>, stride: usize, columns: &Range<usize>) -> Self {
        Columns { buffer, first: columns.start, width: columns.len(), stride }
    }

    /// Some of these columns, counted from the first.
    pub(super) fn part(self, columns: &Range<usize>) -> Self {
        Columns { first: self.first + columns.start, width: columns.len(), ..self }
    }

    /// Some rows for reading.
    ///
    /// # Safety
    /// No other thread may write these columns until a barrier after the last use.
    pub(super) unsafe fn read(self, rows: Range<usize>) -> Numbers<'a> {
        // SAFETY: the caller's promise.
        unsafe { self.buffer.columns(within(rows, self.stride, &(self.first..self.first + self.width))) }
    }

    /// Some rows for writing.
    ///
    /// # Safety
    /// No other thread may read or write these columns until a barrier after the last use.
    pub(super) unsafe fn write(self, rows: Range<usize>) -> NumbersMut<'a> {
        // SAFETY: the caller's promise.
        unsafe { self.buffer.columns_mut(within(rows, self.stride, &(self.first..self.first + self.width))) }
    }

    /// One row for reading.
    ///
    /// # Safety
    /// As for [`Columns::read`].
    pub(super) unsafe fn read_row(self, row: usize) -> &'a [f32] {
        // SAFETY: the caller's promise.
        unsafe { self.buffer.read_numbers(within(row..row + 1, self.stride, &(self.first..self.first + self.width))) }
    }

    /// One row for writing.
    ///
    /// # Safety
    /// As for [`Columns::write`].
    pub(super) unsafe fn write_row(self, row: usize) -> &'a mut [f32] {
        // SAFETY: the caller's promise.
        unsafe { self.buffer.write_numbers(within(row..row + 1, self.stride, &(self.first..self.first + self.width))) }
    }
}

/// A share's columns of all such buffers.
#[derive(Clone, Copy)]
pub(super) struct Home<'a> {
    /// [n*d and what fills it up, columns].
    pub(super) hidden: Columns<'a>,
    /// [1, columns].
    pub(super) hidden_bias: Columns<'a>,
    /// [V, columns].
    pub(super) output: Columns<'a>,
    /// The hidden units, [B, columns].
    pub(super) units: Columns<'a>,
    /// Their gradient before tanh, [B, columns].
    pub(super) d_units: Columns<'a>,
}

impl<'a> Home<'a> {
    /// In the common buffers.
    pub(super) fn common(network: &'a Network, activations: &'a Activations, columns: &Range<usize>) -> Self {
        Home::with_units(network, [&activations.hidden, &activations.d_hidden], columns)
    }

    /// The weights in the common buffers, with the hidden units and their gradient in these.
    pub(super) fn with_units(network: &'a Network, units: [&'a Shared<Lanes>; 2], columns: &Range<usize>) -> Self {
        let columns = |buffer| Columns::new(buffer, network.layout.hidden_stride, columns);
        Home {
            hidden: columns(&network.hidden),
            hidden_bias: columns(&network.hidden_bias),
            output: columns(network.output_weights()),
            units: columns(units[0]),
            d_units: columns(units[1]),
        }
    }
}

/// Some columns of some rows of a buffer: where they begin and end.
fn within(rows: Range<usize>, stride: usize, columns: &Range<usize>) -> Range<usize> {
    rows.start * stride + columns.start..(rows.end - 1) * stride + columns.end
}

/// The buffers of one thread.
pub(super) struct Own {
    columns: Range<usize>,
    /// Of the hidden weights and of the output weights.
    rows: [usize; 2],
    hidden: Shared<Lanes>,
    hidden_bias: Shared<Lanes>,
    output: Shared<Lanes>,
    units: Shared<Lanes>,
    d_units: Shared<Lanes>,
}

#[allow(unsafe_code)]
impl Own {
    /// Room for the columns of a share and a batch.
    pub(super) fn new(layout: Layout, share: &Share, batch: usize) -> Self {
        let columns = share.columns.clone();
        let rows = [layout.inputs(), layout.output_rows()];
        let room = |rows: usize| aligned(rows * columns.len());
        let (hidden, hidden_bias, output) = (room(rows[0]), room(1), room(rows[1]));
        Own { rows, hidden, hidden_bias, output, units: room(batch), d_units: room(batch), columns }
    }

    /// All of them.
    pub(super) fn buffers(&self) -> [&Shared<Lanes>; 5] {
        [&self.hidden, &self.hidden_bias, &self.output, &self.units, &self.d_units]
    }

    /// Where the thread finds its columns.
    pub(super) fn home(&self) -> Home<'_> {
        let columns = |buffer| Columns::new(buffer, self.columns.len(), &(0..self.columns.len()));
        Home {
            hidden: columns(&self.hidden),
            hidden_bias: columns(&self.hidden_bias),
            output: columns(&self.output),
            units: columns(&self.units),
            d_units: columns(&self.d_units),
        }
    }

    /// The weights from the common buffers.
    ///
    /// # Safety
    /// Nobody else uses this share's columns of the network, here or there.
    pub(super) unsafe fn fetch(&self, network: &Network) {
        // SAFETY: the caller's promise.
        unsafe { self.each_row(network, |own, common| own.copy_from_slice(common)) };
    }

    /// The weights to the common buffers.
    ///
    /// # Safety
    /// As for [`Own::fetch`].
    pub(super) unsafe fn give_back(&self, network: &Network) {
        // SAFETY: the caller's promise.
        unsafe { self.each_row(network, |own, common| common.copy_from_slice(own)) };
    }

    /// # Safety
    /// As for [`Own::fetch`].
    unsafe fn each_row(&self, network: &Network, copy: impl Fn(&mut [f32], &mut [f32])) {
        let own = self.home();
        let columns = |buffer| Columns::new(buffer, network.layout.hidden_stride, &self.columns);
        let matrices = [
            (own.hidden, columns(&network.hidden), self.rows[0]),
            (own.hidden_bias, columns(&network.hidden_bias), 1),
            (own.output, columns(&network.output), self.rows[1]),
        ];
        for (own, common, rows) in matrices {
            for row in 0..rows {
                // SAFETY: the caller's promise.
                unsafe { copy(own.write_row(row), common.write_row(row)) };
            }
        }
    }
}
