//! Phase 2: every parameter is changed by the update rule.
//! Parallel over rows or columns, each with one owner; of embeddings each thread may have a copy, which all change alike.
//!
//! Plain gradient steps change the weights where the gradient is summed, in registers. The other rules, tied embeddings
//! and clipping write the gradient down first: it costs 4 bytes a parameter, and little time beside the products.

use std::ops::Range;

use super::gradients::{Batch, Decay, Purpose, gradients_of_batch, weights_of_batch};
use super::lanes::InstructionSet;
use super::network::Network;
use super::occurrences::Occurrences;
use super::rule::{Average, Rule};
use super::threads::{Barrier, Shared, part};
use crate::engine::{Optimizer, Recipe, State};
use crate::model::Parameters;

/// What training carries from step to step beside the parameters, and where gradients are summed.
pub(super) struct Carried {
    recipe: Recipe,
    /// The whole gradient, where the rule needs it.
    gradients: Option<Network>,
    velocity: Option<Network>,
    squares: Option<Network>,
    average: Option<Network>,
    /// Sums of squares of the gradient's rows, for its norm: added up in the order of the rows by every thread.
    row_squares: Shared<f64>,
    /// What decays in each row.
    decay: Decay,
}

/// What differs from step to step.
#[derive(Clone, Copy)]
pub(super) struct Factors {
    pub(super) rate: f32,
    pub(super) step: u64,
}

impl Carried {
    /// Everything that is kept in the form of the parameters.
    pub(super) fn networks(&self) -> [(&'static str, Option<&Network>); 4] {
        let [gradients, velocity, squares, average] =
            [&self.gradients, &self.velocity, &self.squares, &self.average].map(Option::as_ref);
        [("gradients", gradients), ("velocity", velocity), ("squares", squares), ("average", average)]
    }

    pub(super) fn new(network: &mut Network, recipe: Recipe) -> Self {
        let layout = network.layout;
        let shape = layout.shape;
        let zeros = || Network::zeros(shape);
        let writes_gradient = recipe.optimizer != Optimizer::Sgd || recipe.clip_norm > 0.0 || shape.tied;
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
            hidden: row(layout.hidden_stride, None),
            hidden_bias: row(layout.hidden_stride, Some(0)),
            output: row(layout.hidden_stride, Some(shape.hidden)),
            direct: row(layout.direct_stride(), None),
        };
        let average = (recipe.average > 0.0).then(|| {
            let mut average = zeros();
            average.load(&network.parameters());
            average
        });
        Carried {
            recipe,
            gradients: writes_gradient.then(zeros),
            velocity: recipe.keeps_velocity().then(zeros),
            squares: recipe.keeps_squares().then(zeros),
            average,
            row_squares: Shared::new(0.0, row_squares),
            decay,
        }
    }

    /// How steps change the parameters.
    pub(super) fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Whether steps change the weights where their gradient is summed, and nothing else reads them in between.
    pub(super) fn steps_at_once(&self) -> bool {
        self.gradients.is_none() && self.average.is_none()
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

    /// The update of a step for the rows of thread `index` of `threads`.
    ///
    /// # Safety
    /// All threads call it with the same buffers, after [`super::step::Turn::examples`] and before another barrier, or as
    /// [`super::home::Whole::has_embedding`] allows, and nobody else uses them meanwhile.
    #[inline(always)]
    #[allow(unsafe_code)]
    pub(super) unsafe fn update<I: InstructionSet>(
        &self,
        network: &Network,
        batch: &mut Batch,
        factors: Factors,
        barrier: &Barrier,
        (index, threads): (usize, usize),
    ) {
        let whose = (index, threads);
        // SAFETY: each thread writes the rows or columns that are its own, and reads what others wrote after a barrier.
        unsafe {
            match &self.gradients {
                None => {
                    let purpose = Purpose::Step { rate: factors.rate, decay: &self.decay };
                    // What comes back to the embeddings is in parts until here.
                    let in_parts = network.layout.shape.direct || network.layout.blocks > 0;
                    if network.layout.blocks > 0 {
                        // The parts are written, and what follows changes this thread's columns alone.
                        barrier.arrive(index);
                    }
                    weights_of_batch::<I>(network, network, batch, purpose, whose);
                    if network.layout.shape.direct {
                        barrier.arrive(index);
                    }
                    if in_parts {
                        barrier.wait(index);
                    }
                    let (index, threads) = if batch.whole.has_embedding { (0, 1) } else { whose };
                    let own = part(network.layout.shape.vocabulary, index, threads);
                    let rows = network.matrices()[0].numbers(index, threads);
                    let rows = batch.whole.embedding.write_numbers(rows);
                    if self.recipe.weight_decay > 0.0 {
                        let keeps = 1.0 - factors.rate * self.recipe.weight_decay;
                        rows.iter_mut().for_each(
                            #[inline(always)]
                            |value| *value *= keeps,
                        );
                    }
                    let (layout, factor) = (network.layout, -factors.rate);
                    I::call(Occurrences { layout, batch, own, rows, factor });
                }
                Some(gradients) => {
                    gradients_of_batch::<I>(network, gradients, batch, barrier, whose);
                    barrier.arrive_and_wait(index);
                    let clip = self.clip_factor(gradients, barrier, whose);
                    self.apply_rule::<I>(network, gradients, factors, clip, whose);
                }
            }
            if let Some(average) = &self.average {
                if self.gradients.is_none() {
                    // Rows were stepped by others than those who average them.
                    barrier.arrive_and_wait(index);
                }
                let keeps = self.recipe.average_keeps(factors.step);
                for (to, from) in average.matrices().into_iter().zip(network.matrices()) {
                    let range = to.numbers(index, threads);
                    let parameters = from.buffer.read_numbers(range.clone());
                    I::call(Average { average: to.buffer.write_numbers(range), parameters, keeps });
                }
            }
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
                    *sum = row.iter().map(|&g| f64::from(g) * f64::from(g)).sum();
                }
            }
            first += matrix.count;
        }
        barrier.arrive_and_wait(index);
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
        let Decay { embedding, hidden, hidden_bias, output, direct } = &self.decay;
        let decays = [embedding, hidden, hidden_bias, output, direct];
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
