//! Where a thread has its share of the hidden units: in the common buffers, or in buffers of its own.
//!
//! In the common buffers a row of one thread's columns follows the other's within a few cache lines. A processor that
//! fetches neighbouring lines ahead then takes them from the thread that writes them: measured on two cores with 190 ns
//! from one to the other, the lecture's network made 18,300 steps a second so, and 40,600 on one thread. So while there are
//! several threads, each has its units to itself, and in plain steps their weights, too, which it copies back when the range
//! is done.

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
    /// What dropout multiplies the hidden units with, [B, columns], where it is on.
    pub(super) mask: Option<Columns<'a>>,
}

impl<'a> Home<'a> {
    /// In the common buffers.
    pub(super) fn common(network: &'a Network, activations: &'a Activations, columns: &Range<usize>) -> Self {
        let mask = &activations.hidden_mask;
        let mask = (!mask.is_empty()).then(|| Columns::new(mask, network.layout.hidden_stride, columns));
        let units = [&activations.hidden, &activations.d_hidden];
        let units = units.map(|buffer| Columns::new(buffer, network.layout.hidden_stride, columns));
        Home { mask, ..Home::with_units(network, units, columns) }
    }

    /// The same units with the weights in the common buffers of another network.
    pub(super) fn with_weights_of(self, network: &'a Network, columns: &Range<usize>) -> Self {
        Home { mask: self.mask, ..Home::with_units(network, [self.units, self.d_units], columns) }
    }

    /// The weights in the common buffers, with these hidden units and their gradient, and no dropout.
    pub(super) fn with_units(network: &'a Network, [units, d_units]: [Columns<'a>; 2], columns: &Range<usize>) -> Self {
        let columns = |buffer| Columns::new(buffer, network.layout.hidden_stride, columns);
        Home {
            hidden: columns(&network.hidden),
            hidden_bias: columns(&network.hidden_bias),
            output: columns(network.output_weights()),
            units,
            d_units,
            mask: None,
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
    /// Of the hidden weights, their bias and the output weights; none where these stay in the common buffers.
    rows: [usize; 3],
    hidden: Shared<Lanes>,
    hidden_bias: Shared<Lanes>,
    output: Shared<Lanes>,
    units: Shared<Lanes>,
    d_units: Shared<Lanes>,
    /// Empty without dropout of hidden units.
    mask: Shared<Lanes>,
}

#[allow(unsafe_code)]
impl Own {
    /// Room for the columns of a share and a batch, where asked for with dropout and with the weights.
    pub(super) fn new(layout: Layout, share: &Share, batch: usize, [dropout, weights]: [bool; 2]) -> Self {
        let columns = share.columns.clone();
        let rows = if weights { [layout.inputs(), 1, layout.output_rows()] } else { [0; 3] };
        let room = |rows: usize| aligned(rows * columns.len());
        let [hidden, hidden_bias, output] = rows.map(room);
        let mask = room(if dropout { batch } else { 0 });
        Own { rows, mask, hidden, hidden_bias, output, units: room(batch), d_units: room(batch), columns }
    }

    /// All of them.
    pub(super) fn buffers(&self) -> [&Shared<Lanes>; 6] {
        [&self.hidden, &self.hidden_bias, &self.output, &self.units, &self.d_units, &self.mask]
    }

    /// Where the thread finds its columns.
    pub(super) fn home<'a>(&'a self, network: &'a Network) -> Home<'a> {
        let columns = |buffer| Columns::new(buffer, self.columns.len(), &(0..self.columns.len()));
        let units = [&self.units, &self.d_units].map(columns);
        let mask = (!self.mask.is_empty()).then(|| columns(&self.mask));
        let home = Home { mask, ..Home::with_units(network, units, &self.columns) };
        if self.rows == [0; 3] {
            return home;
        }
        let [hidden, hidden_bias, output] = [&self.hidden, &self.hidden_bias, &self.output].map(columns);
        Home { hidden, hidden_bias, output, ..home }
    }

    /// The weights from the common buffers.
    ///
    /// # Safety
    /// Nobody writes this share's columns of the network, and nobody else uses them here.
    pub(super) unsafe fn fetch(&self, network: &Network) {
        for (own, common, rows) in self.weights(network) {
            for row in 0..rows {
                // SAFETY: the caller's promise.
                unsafe { own.write_row(row).copy_from_slice(common.read_row(row)) };
            }
        }
    }

    /// The weights to the common buffers.
    ///
    /// # Safety
    /// Nobody else uses this share's columns of the network, here or there.
    pub(super) unsafe fn give_back(&self, network: &Network) {
        for (own, common, rows) in self.weights(network) {
            for row in 0..rows {
                // SAFETY: the caller's promise.
                unsafe { common.write_row(row).copy_from_slice(own.read_row(row)) };
            }
        }
    }

    /// The weights here and in the common buffers, and how many rows of each are here.
    fn weights<'a>(&'a self, network: &'a Network) -> [(Columns<'a>, Columns<'a>, usize); 3] {
        let own = self.home(network);
        let common = Home::with_units(network, [own.units, own.d_units], &self.columns);
        let [hidden, hidden_bias, output] = self.rows;
        [
            (own.hidden, common.hidden, hidden),
            (own.hidden_bias, common.hidden_bias, hidden_bias),
            (own.output, common.output, output),
        ]
    }
}
