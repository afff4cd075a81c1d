//! Phase 2: every parameter sums its gradient over the batch, in example order, and is changed by the update rule.
//! Parallel over rows, each row with one owner.
//!
//! Plain gradient steps change the weights where the gradient is summed, in registers. The other rules, tied embeddings
//! and clipping write the gradient down first: it costs 4 bytes a parameter, and little time beside the products.

use std::ops::Range;

use super::lanes::{InstructionSet, LANES, Lanes};
use super::network::{Activations, Layout, Network, numbers};
use super::product::{Change, Deltas, ParametersProduct};
use super::rule::{Average, Rule};
use super::threads::{Barrier, Shared, aligned, part};
use crate::engine::{Optimizer, Recipe, State};
use crate::model::Parameters;

/// What training carries from step to step beside the parameters, and where gradients are summed.
pub(super) struct Carried {
    recipe: Recipe,
    /// The whole gradient, where the rule needs it.
    gradients: Option<Network>,
    /// The gradient of the embeddings, where nothing else is written down; zero between steps.
    embedding_gradient: Shared<Lanes>,
    velocity: Option<Network>,
    squares: Option<Network>,
    average: Option<Network>,
    /// Sums of squares of the gradient's rows, for its norm: added up in the order of the rows by every thread.
    row_squares: Shared<f64>,
    /// What decays in each row.
    decay: Decay,
}

/// Weight decay by column: λ, and 0 where a row has its bias.
struct Decay {
    embedding: Vec<f32>,
    by_input: Vec<f32>,
    by_hidden: Vec<f32>,
}

/// What differs from step to step.
#[derive(Clone, Copy)]
pub(super) struct Factors {
    pub(super) rate: f32,
    pub(super) step: u64,
}

impl Carried {
    pub(super) fn new(network: &mut Network, recipe: Recipe) -> Self {
        let layout = network.layout;
        let shape = layout.shape;
        let zeros = || Network::zeros(shape);
        let writes_gradient = recipe.optimizer != Optimizer::Sgd || recipe.clip_norm > 0.0 || shape.tied;
        let embeddings = if writes_gradient { 0 } else { shape.vocabulary * shape.embedding };
        let row_squares =
            if recipe.clip_norm > 0.0 { network.matrices().iter().map(|rows| rows.count).sum() } else { 0 };
        let row = |stride: usize, bias: Option<usize>| {
            let mut decay = vec![recipe.weight_decay; stride];
            if let Some(bias) = bias {
                decay[bias..].fill(0.0);
            }
            decay
        };
        let decay = Decay {
            embedding: row(layout.embedding_stride, shape.tied.then_some(shape.hidden)),
            by_input: row(layout.input_stride, Some(shape.input())),
            by_hidden: row(layout.hidden_stride, Some(shape.hidden)),
        };
        let average = (recipe.average > 0.0).then(|| {
            let mut average = zeros();
            average.load(&network.parameters());
            average
        });
        Carried {
            recipe,
            gradients: writes_gradient.then(zeros),
            embedding_gradient: aligned(embeddings),
            velocity: recipe.keeps_velocity().then(zeros),
            squares: recipe.keeps_squares().then(zeros),
            average,
            row_squares: Shared::new(0.0, row_squares),
            decay,
        }
    }

    /// The state with these parameters.
    pub(super) fn state(&mut self, parameters: Parameters) -> State {
        let of = |network: &mut Option<Network>| network.as_mut().map(Network::parameters);
        State {
            parameters,
            velocity: of(&mut self.velocity),
            squares: of(&mut self.squares),
            average: of(&mut self.average),
        }
    }

    /// Takes over what a state carries.
    pub(super) fn load(&mut self, state: &State) {
        let pairs = [
            (&mut self.velocity, &state.velocity),
            (&mut self.squares, &state.squares),
            (&mut self.average, &state.average),
        ];
        for (network, parameters) in pairs {
            if let (Some(network), Some(parameters)) = (network, parameters) {
                network.load(parameters);
            }
        }
    }

    /// Phase 2 of a step for the rows of thread `index` of `threads`.
    ///
    /// # Safety
    /// All threads call it with the same buffers between two barriers, and nobody else uses them meanwhile.
    #[inline(always)]
    #[allow(unsafe_code)]
    pub(super) unsafe fn update<I: InstructionSet>(
        &self,
        network: &Network,
        from: &Activations,
        batch: usize,
        factors: Factors,
        barrier: &Barrier,
        (index, threads): (usize, usize),
    ) {
        // SAFETY: activations are only read in this phase, and each thread writes the rows that `part` gives to it alone.
        unsafe {
            match &self.gradients {
                None => self.fused::<I>(network, from, batch, factors, (index, threads)),
                Some(gradients) => {
                    gradients_of_batch::<I>(gradients, from, batch, (index, threads));
                    let clip = self.clip_factor(gradients, barrier, (index, threads));
                    self.apply_rule::<I>(network, gradients, factors, clip, (index, threads));
                }
            }
            if let Some(average) = &self.average {
                let keeps = self.recipe.average_keeps(factors.step);
                for (to, from) in average.matrices().into_iter().zip(network.matrices()) {
                    let range = to.numbers(index, threads);
                    let parameters = from.buffer.read_numbers(range.clone());
                    I::call(Average { average: to.buffer.write_numbers(range), parameters, keeps });
                }
            }
        }
    }

    /// Gradient and plain step in one.
    ///
    /// # Safety
    /// As for [`Carried::update`].
    #[inline(always)]
    #[allow(unsafe_code)]
    unsafe fn fused<I: InstructionSet>(
        &self,
        to: &Network,
        from: &Activations,
        batch: usize,
        Factors { rate, .. }: Factors,
        (index, threads): (usize, usize),
    ) {
        let shape = to.layout.shape;
        // SAFETY: the caller's promise.
        unsafe {
            let by_input = Change::Step { rate, decay: &self.decay.by_input };
            let by_hidden = Change::Step { rate, decay: &self.decay.by_hidden };
            weights_of_batch::<I>(to, from, batch, (by_input, by_hidden), (index, threads));
            let own = part(shape.vocabulary, index, threads);
            let range = own.start * shape.embedding..own.end * shape.embedding;
            let embedding = to.embedding.write_numbers(range.clone());
            let gradient = self.embedding_gradient.write_numbers(range);
            if self.recipe.weight_decay > 0.0 {
                let keeps = 1.0 - rate * self.recipe.weight_decay;
                embedding.iter_mut().for_each(
                    #[inline(always)]
                    |value| *value *= keeps,
                );
            }
            let occurrences = Occurrences::new(from, to.layout, batch, own);
            occurrences.sum(gradient, shape.embedding);
            occurrences.step::<I>(embedding, gradient, rate);
        }
    }

    /// What the gradient is multiplied with so that its norm is at most the recipe's.
    ///
    /// # Safety
    /// As for [`Carried::update`]; every thread has written its rows of the gradient.
    #[inline(always)]
    #[allow(unsafe_code)]
    unsafe fn clip_factor(&self, gradients: &Network, barrier: &Barrier, (index, threads): (usize, usize)) -> f32 {
        let most = f64::from(self.recipe.clip_norm);
        if most == 0.0 {
            return 1.0;
        }
        let mut first = 0;
        for matrix in gradients.matrices() {
            let own = part(matrix.count, index, threads);
            // SAFETY: these rows, and their places in `row_squares`, are this thread's own.
            unsafe {
                let rows = matrix.buffer.read_numbers(matrix.numbers(index, threads));
                let sums = self.row_squares.write(first + own.start..first + own.end);
                for (sum, row) in sums.iter_mut().zip(rows.chunks_exact(matrix.stride)) {
                    *sum = row[..matrix.columns].iter().map(|&g| f64::from(g) * f64::from(g)).sum();
                }
            }
            first += matrix.count;
        }
        barrier.wait();
        // SAFETY: nobody writes the sums before the next step's barriers.
        let norm = unsafe { self.row_squares.read().iter().sum::<f64>() }.sqrt();
        if norm > most { (most / norm) as f32 } else { 1.0 }
    }

    /// # Safety
    /// As for [`Carried::update`].
    #[inline(always)]
    #[allow(unsafe_code)]
    unsafe fn apply_rule<I: InstructionSet>(
        &self,
        network: &Network,
        gradients: &Network,
        Factors { rate, step }: Factors,
        clip: f32,
        (index, threads): (usize, usize),
    ) {
        let corrections = self.recipe.corrections(step);
        let decays = [&self.decay.embedding, &self.decay.by_input, &self.decay.by_hidden, &self.decay.by_input];
        for (number, matrix) in network.matrices().into_iter().enumerate() {
            let range = matrix.numbers(index, threads);
            // SAFETY: these rows are this thread's own in every buffer.
            unsafe {
                I::call(Rule {
                    recipe: self.recipe,
                    rate,
                    clip,
                    corrections,
                    parameters: matrix.buffer.write_numbers(range.clone()),
                    gradients: gradients.matrices()[number].buffer.read_numbers(range.clone()),
                    velocity: own_rows(&self.velocity, number, range.clone()),
                    squares: own_rows(&self.squares, number, range),
                    decay: decays[number],
                });
            }
        }
    }
}

/// Some numbers of a buffer, or none where the rule keeps none.
///
/// # Safety
/// No other thread may use them until a barrier after the last use.
#[inline(always)]
#[allow(unsafe_code, clippy::mut_from_ref)]
unsafe fn own_rows(network: &Option<Network>, number: usize, range: Range<usize>) -> &mut [f32] {
    match network {
        // SAFETY: the caller's promise.
        Some(network) => unsafe { network.matrices()[number].buffer.write_numbers(range) },
        None => &mut [],
    }
}

/// The gradient of the batch, written over what `to` holds, for the rows of thread `index` of `threads`.
///
/// # Safety
/// All threads call it with the same buffers between two barriers, and nobody else uses `to` meanwhile.
#[inline(always)]
#[allow(unsafe_code)]
pub(super) unsafe fn gradients_of_batch<I: InstructionSet>(
    to: &Network,
    from: &Activations,
    batch: usize,
    (index, threads): (usize, usize),
) {
    let Layout { shape, embedding_stride, .. } = to.layout;
    // SAFETY: the caller's promise.
    unsafe {
        let own = part(shape.vocabulary, index, threads);
        let embedding = to.embedding.write_numbers(own.start * embedding_stride..own.end * embedding_stride);
        if !shape.tied {
            embedding.fill(0.0);
        }
        // Where the embeddings are the output weights, their gradient is written here, before the occurrences add theirs.
        weights_of_batch::<I>(to, from, batch, (Change::Write, Change::Write), (index, threads));
        Occurrences::new(from, to.layout, batch, own).sum(embedding, embedding_stride);
    }
}

/// All weights but the embeddings: the products of phase 2, with a change for the rows by input and one for those by
/// hidden unit.
///
/// # Safety
/// As for [`gradients_of_batch`].
#[inline(always)]
#[allow(unsafe_code)]
unsafe fn weights_of_batch<I: InstructionSet>(
    to: &Network,
    from: &Activations,
    batch: usize,
    (by_input, by_hidden): (Change, Change),
    (index, threads): (usize, usize),
) {
    let Layout { shape, input_stride, hidden_stride, .. } = to.layout;
    // SAFETY: activations are only read in this phase; the rows are this thread's own. Rows are multiples of half a cache
    // line, so the buffers are cut as numbers, not as lines.
    unsafe {
        let (logits, d_hidden) = (from.logits.read(), from.d_hidden.read());
        let input = numbers(from.input_by_example.read());
        let hidden = numbers(from.hidden_by_example.read());
        let own = part(shape.vocabulary, index, threads);
        let output = if shape.tied { &to.embedding } else { &to.output };
        let weights = output.write_numbers(own.start * hidden_stride..own.end * hidden_stride);
        let deltas = Deltas { values: logits, rows: shape.vocabulary, first: own.start };
        I::call(ParametersProduct { weights, stride: hidden_stride, deltas, input: hidden, batch, change: by_hidden });
        if shape.direct {
            let weights = to.direct.write_numbers(own.start * input_stride..own.end * input_stride);
            I::call(ParametersProduct { weights, stride: input_stride, deltas, input, batch, change: by_input });
        }
        let own_units = part(shape.hidden, index, threads);
        let weights = to.hidden.write_numbers(own_units.start * input_stride..own_units.end * input_stride);
        let deltas = Deltas { values: d_hidden, rows: shape.hidden, first: own_units.start };
        I::call(ParametersProduct { weights, stride: input_stride, deltas, input, batch, change: by_input });
    }
}

/// Where the owned tokens stand in the contexts of a batch.
struct Occurrences<'a> {
    contexts: &'a [u32],
    d_input: &'a [Lanes],
    context: usize,
    embedding: usize,
    batch: usize,
    own: Range<usize>,
}

impl<'a> Occurrences<'a> {
    /// # Safety
    /// Nobody writes the activations meanwhile.
    #[inline(always)]
    #[allow(unsafe_code)]
    unsafe fn new(from: &'a Activations, layout: Layout, batch: usize, own: Range<usize>) -> Self {
        let Layout { shape, .. } = layout;
        // SAFETY: the caller's promise.
        let (contexts, d_input) = unsafe { (from.contexts.read(), from.d_input.read()) };
        Occurrences { contexts, d_input, context: shape.context, embedding: shape.embedding, batch, own }
    }

    /// The row of an owned token.
    #[inline(always)]
    fn row(&self, token: u32) -> Option<usize> {
        self.own.contains(&(token as usize)).then(|| token as usize - self.own.start)
    }

    /// Adds the gradient of each owned token over its occurrences, in order; rows are `stride` apart.
    #[inline(always)]
    fn sum(&self, gradient: &mut [f32], stride: usize) {
        let inputs = self.context * self.embedding;
        for (example, tokens) in self.contexts.chunks_exact(self.context).take(self.batch).enumerate() {
            let d_input = &self.d_input[example / LANES * inputs..][..inputs];
            for (place, &token) in tokens.iter().enumerate() {
                let Some(row) = self.row(token) else { continue };
                let d_row = &d_input[place * self.embedding..][..self.embedding];
                for (sum, d) in gradient[row * stride..][..self.embedding].iter_mut().zip(d_row) {
                    *sum += d.0[example % LANES];
                }
            }
        }
    }

    /// A plain step of the rows that occurred; their gradient is zero again. A second visit of a row subtracts zero.
    #[inline(always)]
    fn step<I: InstructionSet>(&self, rows: &mut [f32], gradient: &mut [f32], rate: f32) {
        for &token in &self.contexts[..self.batch * self.context] {
            let Some(row) = self.row(token) else { continue };
            let range = row * self.embedding..(row + 1) * self.embedding;
            for (value, sum) in rows[range.clone()].iter_mut().zip(&mut gradient[range]) {
                *value = I::mul_add(-rate, *sum, *value);
                *sum = 0.0;
            }
        }
    }
}
