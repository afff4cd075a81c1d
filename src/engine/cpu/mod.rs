//! The CPU engine: threads that live for a whole range of steps and meet at a spinning barrier a few times a step.
//!
//! | module | holds |
//! | --- | --- |
//! | `lanes`, `vector`, `registers` | instruction sets, and vectors as all of them have them |
//! | `functions`, `product`, `panel` | exp and tanh; the matrix product; rows turned into columns |
//! | `network`, `activations`, `threads` | parameters, what a batch leaves, who may write which part of it |
//! | `pairs`, `hidden` | the context as pairs of position and token; between the tokens and the hidden layer |
//! | `output`, `softmax` | the output layer where threads share out the vocabulary |
//! | `by_hidden` | the output layer and the way back where they share out the hidden units |
//! | `step`, `gradients`, `update`, `rule` | a thread's part of a step; the weights' gradients; what a step makes of them |
//! | `evaluate` | the forward pass over a corpus |
//! | `clock`, `pace`, `bandwidth` | what a pass takes; how many threads pay; what memory gives |
//! | `memory` | how much memory a training holds |

mod activations;
mod bandwidth;
mod by_hidden;
mod clock;
mod dropout;
mod evaluate;
mod functions;
mod gradients;
mod hidden;
mod lanes;
mod memory;
mod network;
mod output;
mod pace;
mod pairs;
mod panel;
mod product;
mod registers;
mod rule;
mod softmax;
mod step;
mod threads;
mod update;
mod vector;

use std::sync::Arc;
use std::time::Instant;

use super::{Cost, Engine, Examination, Hardware, Mask, PassTime, Recipe, State};
use crate::Result;
use crate::model::{Parameters, Shape};
use crate::text::{BatchPlan, Corpus};

use activations::{Activations, Scratch};
use clock::{Clock, Pass, SAMPLED_STEPS, Timer};
use evaluate::{Examine, Wanted};
use gradients::Batch;
use lanes::{InstructionSet, Job, Level, dispatch};
use network::{Network, numbers};
use pace::Pace;
use product::Peak;
use step::Turn;
use threads::Barrier;
use update::{Carried, Factors};

/// The CPU engine. Its results are the same bits for any number of threads.
pub struct Cpu {
    threads: usize,
    level: Level,
    network: Option<Network>,
    training: Option<Training>,
    clock: Clock,
    pace: Pace,
}

struct Training {
    corpus: Arc<Corpus>,
    plan: BatchPlan,
    activations: Activations,
    /// The dropout of the input and of the hidden units.
    masks: [Mask; 2],
    carried: Carried,
}

impl Cpu {
    /// An engine with so many threads, at least one, for the best instruction set of the machine.
    pub fn new(threads: usize) -> Self {
        Cpu {
            threads: threads.max(1),
            level: Level::detect(),
            network: None,
            training: None,
            clock: Clock::default(),
            pace: Pace::default(),
        }
    }

    /// The instruction set that its passes are compiled for.
    pub fn instruction_set(&self) -> &'static str {
        self.level.name()
    }

    fn network(&self) -> &Network {
        self.network.as_ref().expect("parameters are loaded first")
    }

    fn shape(&self) -> Shape {
        self.network().layout.shape
    }

    /// Takes one step for each rate with so many threads.
    fn take_steps(&mut self, first_step: u64, rates: &[f32], losses: &mut [f32], threads: usize) {
        let training = self.training.as_ref().expect("training is prepared first");
        let network = self.network.as_ref().expect("parameters are loaded first");
        let (level, clock) = (self.level, &mut self.clock);
        let barrier = Barrier::new(threads);
        let job = |index| Steps { network, training, barrier: &barrier, first_step, rates, index, threads };
        std::thread::scope(|scope| {
            // If a thread cannot be started, those that could are not left waiting for it.
            let _guard = barrier.guard();
            for index in 1..threads {
                let job = job(index);
                scope.spawn(move || dispatch(level, Worker { steps: job, leader: None }));
            }
            dispatch(level, Worker { steps: job(0), leader: Some((losses, clock)) });
        });
    }
}

impl Engine for Cpu {
    fn hardware(&self) -> Hardware {
        Hardware {
            device: "cpu".into(),
            backend: "cpu".into(),
            driver: self.instruction_set().into(),
            threads: self.threads,
        }
    }

    fn load(&mut self, parameters: &Parameters) -> Result<()> {
        self.network.get_or_insert_with(|| Network::zeros(parameters.shape())).load(parameters);
        Ok(())
    }

    fn parameters(&mut self) -> Result<Parameters> {
        Ok(self.network.as_mut().expect("parameters are loaded first").parameters())
    }

    fn prepare(&mut self, corpus: Arc<Corpus>, plan: BatchPlan, recipe: Recipe) -> Result<()> {
        let network = self.network.as_mut().expect("parameters are loaded first");
        let masks = [recipe.input_mask(plan.seed), recipe.hidden_mask(plan.seed)];
        let activations = Activations::new(network.layout, plan.batch as usize, masks.map(|mask| mask.is_on()));
        let carried = Carried::new(network, recipe);
        self.training = Some(Training { corpus, plan, activations, masks, carried });
        Ok(())
    }

    fn state(&mut self) -> Result<State> {
        let parameters = self.parameters()?;
        Ok(self.training.as_mut().expect("training is prepared first").carried.state(parameters))
    }

    fn load_state(&mut self, state: &State) -> Result<()> {
        self.load(&state.parameters)?;
        self.training.as_mut().expect("training is prepared first").carried.load(state);
        Ok(())
    }

    fn train(&mut self, first_step: u64, rates: &[f32]) -> Result<Vec<f32>> {
        let mut losses = vec![0.0; rates.len()];
        let mut done = 0;
        while done < rates.len() {
            let left = rates.len() - done;
            let (all, steps) = if self.threads == 1 { (true, left) } else { self.pace.next(left) };
            let range = done..done + steps;
            let start = Instant::now();
            let threads = if all { self.threads } else { 1 };
            self.take_steps(first_step + done as u64, &rates[range.clone()], &mut losses[range], threads);
            self.pace.measured(all, steps, start.elapsed());
            done += steps;
        }
        Ok(losses)
    }

    fn log_probabilities(&mut self, corpus: &Corpus) -> Result<Vec<f32>> {
        Ok(self.evaluate(corpus, Wanted::LogProbability))
    }

    fn distributions(&mut self, contexts: &[u32]) -> Result<Vec<f32>> {
        let context = self.shape().context;
        let targets = vec![0; contexts.len() / context];
        let corpus = Corpus::from_examples(contexts, &targets, context);
        Ok(self.evaluate(&corpus, Wanted::Distribution))
    }

    fn examine(&mut self, corpus: &Corpus) -> Result<Examination> {
        let network = self.network();
        let activations = Activations::new(network.layout, corpus.len(), [false; 2]);
        let mut gradients = Network::zeros(network.layout.shape);
        let job = Examine { network, corpus, activations: &activations, gradients: &gradients };
        let (hidden, logits, loss) = dispatch(self.level, job);
        Ok(Examination { hidden, logits, loss, gradients: gradients.parameters() })
    }

    fn cost(&mut self, corpus: Arc<Corpus>, plan: BatchPlan, recipe: Recipe) -> Result<Cost> {
        self.prepare(corpus, plan, recipe)?;
        let training = self.training.as_ref().expect("it was prepared");
        let shares = if self.network().layout.blocks > 0 { "the hidden units" } else { "the vocabulary" };
        Ok(Cost {
            path: format!("cpu, {}: threads share out {shares}", self.instruction_set()),
            buffers: training.memory(self.network(), self.threads),
            ..Cost::default()
        })
    }

    fn pass_times(&mut self) -> Vec<PassTime> {
        std::mem::take(&mut self.clock).times()
    }

    fn peak_gflops(&mut self) -> Option<f64> {
        let (level, threads) = (self.level, self.threads);
        let total = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(move || dispatch(level, Peak))).collect();
            workers.into_iter().map(|worker| worker.join().expect("the peak loop does not panic")).sum()
        });
        Some(total)
    }

    fn peak_gigabytes_per_second(&mut self) -> Option<f64> {
        Some(bandwidth::gigabytes_per_second(self.threads))
    }
}

/// The steps of one thread.
struct Steps<'a> {
    network: &'a Network,
    training: &'a Training,
    barrier: &'a Barrier,
    first_step: u64,
    rates: &'a [f32],
    index: usize,
    threads: usize,
}

struct Worker<'a> {
    steps: Steps<'a>,
    /// The first thread sums the losses and keeps the time.
    leader: Option<(&'a mut [f32], &'a mut Clock)>,
}

impl Job for Worker<'_> {
    type Output = ();

    #[inline(always)]
    #[allow(unsafe_code)]
    fn run<I: InstructionSet>(self) {
        let Steps { network, training, barrier, first_step, rates, index, threads } = self.steps;
        let Training { corpus, plan, activations, masks, carried } = training;
        let (mut losses, mut clock) = self.leader.unzip();
        let _guard = barrier.guard();
        let (layout, batch) = (network.layout, plan.batch as usize);
        let (scale, whose) = (1.0 / batch as f32, (index, threads));
        let turn = Turn { network, activations, barrier, masks: *masks, scale, whose };
        let share = turn.share();
        let mut scratch = Scratch::new(layout, batch, activations.pairs, share.columns.len());
        let mut examples = vec![0; batch];
        for (place, &rate) in rates.iter().enumerate() {
            let step = first_step + place as u64;
            let mut timer = Timer::new(clock.as_deref_mut().filter(|_| place % SAMPLED_STEPS == 0));
            // Every thread draws the whole batch: that costs less than to wait for one that does.
            I::call(Draw { plan, step, examples: &mut examples });
            scratch.set_examples(corpus, examples.iter().copied());
            scratch.pairs.set(&scratch.contexts, masks[0].is_on());
            timer.end(Pass::Draw);
            // SAFETY: all threads are here between the same barriers.
            unsafe {
                turn.examples::<I>(&mut scratch, &share, step, &mut timer);
                let mut done = Batch { activations, scratch: &mut scratch, scale };
                carried.update::<I>(network, &mut done, Factors { rate, step }, barrier, whose);
                if let Some(losses) = &mut losses {
                    losses[place] = mean_of_batch(numbers(activations.losses.read()), batch) as f32;
                }
            }
            timer.end(Pass::ParametersUpdate);
            barrier.wait();
            timer.end(Pass::Wait);
        }
    }
}

/// The examples of a step, drawn several at a time.
struct Draw<'a> {
    plan: &'a BatchPlan,
    step: u64,
    examples: &'a mut [u32],
}

impl Job for Draw<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: InstructionSet>(self) {
        self.plan.fill(self.step, 0, self.examples);
    }
}

/// Mean of the first `batch` numbers, summed in order.
fn mean_of_batch(losses: &[f32], batch: usize) -> f64 {
    losses[..batch].iter().copied().map(f64::from).sum::<f64>() / batch as f64
}
