//! Where a thread has its share of the hidden units, and what all threads need whole: in the common buffers, or in buffers of
//! its own.
//!
//! In the common buffers a row of one thread's columns follows the other's within a few cache lines. A processor that
//! fetches neighbouring lines ahead then takes them from the thread that writes them: measured on two cores with 190 ns
//! from one to the other, the lecture's network made 18,300 steps a second so, and 40,600 on one thread. So while there are
//! several threads, each has its units to itself, and in plain steps their weights, too, which it copies back when the range
//! is done.
//!
//! Where a batch has few logits, each thread takes the softmax of all of them, and in plain steps without dropout of the input
//! it changes all embeddings, of which it has a copy. So threads meet twice a step, not four times, and between arriving and
//! waiting there is work: the next draw, and the weights. Steps a second of two threads, without and with it: the lecture's
//! network 65,500 and 66,800 where the cores are near, 43,300 and 50,500 where they are far; `notebook` 135,000 and 142,000,
//! 78,000 and 87,000.

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

/// What is not divided by hidden units, and every thread needs whole: in the common buffers, or in buffers of its own.
#[derive(Clone, Copy)]
pub(super) struct Whole<'a> {
    /// [V, embedding stride].
    pub(super) embedding: &'a Shared<Lanes>,
    /// Whether these embeddings are the thread's own: it changes all of them, and nobody else reads them.
    ///
    /// Then threads do not meet at the end of a step, and one may be in the next step already while another still changes its
    /// embeddings from the parts of the input's gradient. Those are written again only after the next step's meeting for the
    /// logits, to which the other comes when it has done with them. What is written before that meeting, the parts of the
    /// logits, was last read before the meeting for the input's gradient, where both have been.
    pub(super) has_embedding: bool,
    /// The logits of all examples, then their gradient, [chunks, B, chunk].
    pub(super) logits: &'a Shared<Lanes>,
    /// [B].
    pub(super) losses: &'a Shared<Lanes>,
    /// Whether these two are the thread's own: it takes the softmax of all examples.
    pub(super) has_logits: bool,
}

impl<'a> Whole<'a> {
    /// In the common buffers.
    pub(super) fn common(network: &'a Network, activations: &'a Activations) -> Self {
        let Activations { logits, losses, .. } = activations;
        Whole { embedding: &network.embedding, has_embedding: false, logits, losses, has_logits: false }
    }
}

/// Some columns of some rows of a buffer: where they begin and end.
fn within(rows: Range<usize>, stride: usize, columns: &Range<usize>) -> Range<usize> {
    rows.start * stride + columns.start..(rows.end - 1) * stride + columns.end
}

/// What belongs to one thread.
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
    /// [V, embedding stride]; empty where all threads share them.
    embedding: Shared<Lanes>,
    /// [chunks, B, chunk] and [B]; empty where threads share out the examples.
    logits: Shared<Lanes>,
    losses: Shared<Lanes>,
}

/// What a thread is to have for itself.
#[derive(Clone, Copy)]
pub(super) struct Needs {
    /// Room for the dropout of hidden units.
    pub(super) mask: bool,
    /// The weights of its hidden units.
    pub(super) weights: bool,
    /// The embeddings, if the batch has few logits.
    pub(super) embedding: bool,
}

#[allow(unsafe_code)]
impl Own {
    /// Room for the columns of a share and a batch, where there are so many threads.
    pub(super) fn new(layout: Layout, share: &Share, (batch, threads): (usize, usize), needs: Needs) -> Self {
        let columns = share.columns.clone();
        let rows = if needs.weights { [layout.inputs(), 1, layout.output_rows()] } else { [0; 3] };
        let room = |rows: usize| aligned(rows * columns.len());
        let [hidden, hidden_bias, output] = rows.map(room);
        let mask = room(if needs.mask { batch } else { 0 });
        let (units, d_units) = (room(batch), room(batch));
        let (logits, few) = (layout.logits(batch), layout.has_few_logits(batch, threads));
        let whole = |needed: bool, numbers: usize| aligned(if few && needed { numbers } else { 0 });
        let embedding = whole(needs.embedding, layout.output_rows() * layout.embedding_stride);
        let (logits, losses) = (whole(true, logits), whole(true, batch));
        Own { columns, rows, hidden, hidden_bias, output, units, d_units, mask, embedding, logits, losses }
    }

    /// All of them.
    pub(super) fn buffers(&self) -> [&Shared<Lanes>; 9] {
        let Own { hidden, hidden_bias, output, units, d_units, mask, embedding, logits, losses, .. } = self;
        [hidden, hidden_bias, output, units, d_units, mask, embedding, logits, losses]
    }

    /// Where the thread finds what it needs whole.
    pub(super) fn whole<'a>(&'a self, network: &'a Network, activations: &'a Activations) -> Whole<'a> {
        let mut whole = Whole::common(network, activations);
        if !self.embedding.is_empty() {
            whole = Whole { embedding: &self.embedding, has_embedding: true, ..whole };
        }
        if !self.logits.is_empty() {
            whole = Whole { logits: &self.logits, losses: &self.losses, has_logits: true, ..whole };
        }
        whole
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

    /// The weights and embeddings from the common buffers.
    ///
    /// # Safety
    /// Nobody writes this share's columns of the network or its embeddings, and nobody else uses what is here.
    pub(super) unsafe fn fetch(&self, network: &Network) {
        for (own, common, rows) in self.weights(network) {
            for row in 0..rows {
                // SAFETY: the caller's promise.
                unsafe { own.write_row(row).copy_from_slice(common.read_row(row)) };
            }
        }
        let lines = 0..self.embedding.len();
        // SAFETY: the caller's promise.
        unsafe { self.embedding.write(lines.clone()).copy_from_slice(network.embedding.read_part(lines)) };
    }

    /// The weights to the common buffers; from one of the threads, which have the same, the embeddings, too.
    ///
    /// # Safety
    /// Nobody else uses this share's columns of the network, here or there, and from that thread, its embeddings.
    pub(super) unsafe fn give_back(&self, network: &Network, with_embedding: bool) {
        for (own, common, rows) in self.weights(network) {
            for row in 0..rows {
                // SAFETY: the caller's promise.
                unsafe { common.write_row(row).copy_from_slice(own.read_row(row)) };
            }
        }
        let lines = 0..if with_embedding { self.embedding.len() } else { 0 };
        // SAFETY: the caller's promise.
        unsafe { network.embedding.write(lines.clone()).copy_from_slice(self.embedding.read_part(lines)) };
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
