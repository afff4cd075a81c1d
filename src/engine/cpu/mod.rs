//! The CPU engine: threads that live as long as the engine, take whole ranges of steps, and meet at a spinning barrier a
//! few times a step.
//!
//! | module | holds |
//! | --- | --- |
//! | `lanes`, `vector`, `registers` | instruction sets, and vectors as all of them have them |
//! | `functions`, `product`, `panel` | exp, ln and tanh; the matrix product; rows turned into columns |
//! | `crew` | the threads |
//! | `network`, `activations`, `threads` | parameters, what a batch leaves, who may write which part of it |
//! | `draw` | the examples of each step |
//! | `pairs`, `hidden` | the context as pairs of position and token; between the tokens and the hidden layer |
//! | `output`, `softmax` | the output layer where threads share out the vocabulary |
//! | `by_word` | the same with the examples across, for many words without direct connections |
//! | `by_hidden`, `cross_entropy` | the output layer and the way back where they share out the hidden units |
//! | `share`, `home` | who has which of them, and where |
//! | `step`, `gradients`, `occurrences` | a thread's part of a step; the gradients of the weights, and of the embeddings |
//! | `update`, `rule` | what a step makes of them |
//! | `evaluate` | the forward pass over a corpus |
//! | `clock`, `pace`, `bandwidth` | what a pass takes; how many threads pay; what memory gives |
//! | `memory` | how much memory a training holds |

mod activations;
mod bandwidth;
mod by_hidden;
mod by_word;
mod clock;
mod crew;
mod cross_entropy;
mod draw;
mod dropout;
mod evaluate;
mod functions;
mod gradients;
mod hidden;
mod home;
mod lanes;
mod memory;
mod network;
mod occurrences;
mod output;
mod pace;
mod pairs;
mod panel;
mod product;
mod registers;
mod rule;
mod share;
mod softmax;
mod step;
mod threads;
mod update;
mod vector;

use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::demands::{
    check_corpus, check_parameters, check_state, check_training, corpus_of_contexts, loaded, prepared,
};
use super::{Cost, Engine, Examination, Hardware, Mask, PassTime, Recipe, State};
use crate::Result;
use crate::model::{Parameters, Shape};
use crate::text::{BatchPlan, Corpus};

use activations::{Activations, Scratch};
use clock::{Clock, Pass, Timer};
use crew::{Crew, locked};
use draw::{Batches, Drawn};
use evaluate::{Examine, Wanted};
use gradients::Batch;
use home::{Home, Needs, Own, Whole};
use lanes::{InstructionSet, Job, Level, dispatch};
use network::{Network, numbers};
use pace::Pace;
use product::Peak;
use share::Share;
use step::Turn;
use threads::Barrier;
use update::{Carried, Factors};

/// The CPU engine. Its results are the same bits for any number of threads.
pub struct Cpu {
    level: Level,
    crew: Crew,
    network: Option<Network>,
    training: Option<Training>,
    clock: Clock,
    pace: Pace,
}

struct Training {
    corpus: Arc<Corpus>,
    plan: BatchPlan,
    /// Threads that take a step, where it is not the caller's alone.
    threads: usize,
    activations: Activations,
    /// What each thread has for itself, and the examples of its next step; kept, so that a range of steps begins without new
    /// memory.
    scratches: Vec<Mutex<(Scratch, Drawn)>>,
    /// Each thread's share of the hidden units, where it has them to itself.
    own: Vec<Own>,
    /// The dropout of the input and of the hidden units.
    masks: [Mask; 2],
    carried: Carried,
}

impl Cpu {
    /// An engine with so many threads, at least one, for the best instruction set of the machine.
    pub fn new(threads: usize) -> Self {
        Cpu {
            level: Level::detect(),
            crew: Crew::new(threads),
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

    fn network(&self) -> Result<&Network> {
        loaded(self.network.as_ref())
    }

    fn shape(&self) -> Result<Shape> {
        Ok(self.network()?.layout.shape)
    }

    /// Takes one step for each rate with so many threads: all that are of use, or the caller's alone.
    fn take_steps(&mut self, first_step: u64, rates: &[f32], losses: &mut [f32], threads: usize) -> Result<()> {
        let (training, network) = (prepared(self.training.as_ref())?, loaded(self.network.as_ref())?);
        let level = self.level;
        let barrier = Barrier::new(threads);
        let leader = Mutex::new(Some((losses, &mut self.clock)));
        let work = |index: usize| {
            let leader = if index == 0 { locked(&leader).take() } else { None };
            let (scratch, ready) = &mut *locked(&training.scratches[index]);
            let steps = Steps { network, training, barrier: &barrier, first_step, rates, index, threads };
            dispatch(level, Worker { steps, scratch, ready, leader });
        };
        self.crew.run(threads, work);
        Ok(())
    }
}

impl Engine for Cpu {
    fn hardware(&self) -> Hardware {
        Hardware {
            device: "cpu".into(),
            backend: "cpu".into(),
            driver: self.instruction_set().into(),
            threads: self.crew.threads(),
        }
    }

    fn load(&mut self, parameters: &Parameters) -> Result<()> {
        check_parameters(self.shape().ok(), parameters)?;
        self.network.get_or_insert_with(|| Network::zeros(parameters.shape())).load(parameters);
        Ok(())
    }

    fn parameters(&mut self) -> Result<Parameters> {
        Ok(loaded(self.network.as_mut())?.parameters())
    }

    fn prepare(&mut self, corpus: Arc<Corpus>, plan: BatchPlan, recipe: Recipe) -> Result<()> {
        check_training(self.shape()?, &corpus, &plan)?;
        let network = loaded(self.network.as_mut())?;
        let masks = [recipe.input_mask(plan.seed), recipe.hidden_mask(plan.seed)];
        let batch = plan.batch as usize;
        network.layout = network.layout.for_batch(batch);
        let layout = network.layout;
        let activations = Activations::new(layout, batch, masks.map(|mask| mask.is_on()));
        // Each has room for all hidden units: a range of steps may fall to one thread.
        let scratch =
            || (Scratch::new(layout, batch, activations.pairs, layout.hidden_stride), Drawn::new(layout, batch));
        let threads = layout.useful_threads(batch, self.crew.threads());
        let scratches = (0..threads).map(|_| Mutex::new(scratch())).collect();
        let carried = Carried::new(network, recipe);
        let alone = threads > 1 && layout.blocks > 0;
        let weights = carried.steps_at_once();
        // The mask of the input is common: threads meet at the end of a step before it is drawn again.
        let needs = Needs { mask: masks[1].is_on(), weights, embedding: weights && !masks[0].is_on() };
        let own = |index| Own::new(layout, &Share::new(layout, (index, threads)), (batch, threads), needs);
        let own = (0..if alone { threads } else { 0 }).map(own).collect();
        self.pace = Pace::default();
        self.training = Some(Training { corpus, plan, threads, activations, scratches, own, masks, carried });
        Ok(())
    }

    fn state(&mut self) -> Result<State> {
        let parameters = self.parameters()?;
        Ok(prepared(self.training.as_mut())?.carried.state(parameters))
    }

    fn load_state(&mut self, state: &State) -> Result<()> {
        check_state(self.shape()?, state, prepared(self.training.as_ref())?.carried.recipe())?;
        self.load(&state.parameters)?;
        prepared(self.training.as_mut())?.carried.load(state);
        Ok(())
    }

    fn train(&mut self, first_step: u64, rates: &[f32]) -> Result<Vec<f32>> {
        let most = prepared(self.training.as_ref())?.threads;
        let mut losses = vec![0.0; rates.len()];
        let mut done = 0;
        while done < rates.len() {
            let left = rates.len() - done;
            let (all, steps) = if most == 1 { (true, left) } else { self.pace.next(left) };
            let range = done..done + steps;
            let start = Instant::now();
            let threads = if all { most } else { 1 };
            self.take_steps(first_step + done as u64, &rates[range.clone()], &mut losses[range], threads)?;
            self.pace.measured(steps, start.elapsed());
            done += steps;
        }
        Ok(losses)
    }

    fn log_probabilities(&mut self, corpus: &Corpus) -> Result<Vec<f32>> {
        check_corpus(self.shape()?, corpus)?;
        self.evaluate(corpus, Wanted::LogProbability)
    }

    fn distributions(&mut self, contexts: &[u32]) -> Result<Vec<f32>> {
        let corpus = corpus_of_contexts(self.shape()?, contexts)?;
        self.evaluate(&corpus, Wanted::Distribution)
    }

    fn examine(&mut self, corpus: &Corpus) -> Result<Examination> {
        check_training(self.shape()?, corpus, &BatchPlan::whole(corpus))?;
        let network = loaded(self.network.as_mut())?;
        // As a training with such batches does it; one that was prepared keeps its own layout.
        let layout = network.layout;
        network.layout = layout.for_batch(corpus.len());
        let activations = Activations::new(network.layout, corpus.len(), [false; 2]);
        let mut gradients = Network::zeros(network.layout.shape);
        let job = Examine { network: &*network, corpus, activations: &activations, gradients: &gradients };
        let (hidden, logits, loss) = dispatch(self.level, job);
        network.layout = layout;
        Ok(Examination { hidden, logits, loss, gradients: gradients.parameters() })
    }

    fn cost(&mut self, corpus: Arc<Corpus>, plan: BatchPlan, recipe: Recipe) -> Result<Cost> {
        self.prepare(corpus, plan, recipe)?;
        let (training, network) = (prepared(self.training.as_ref())?, self.network()?);
        let shares = if network.layout.blocks > 0 { "the hidden units" } else { "the vocabulary" };
        Ok(Cost {
            path: format!("cpu, {}: {} thread(s) share out {shares}", self.instruction_set(), training.threads),
            buffers: training.memory(network),
            ..Cost::default()
        })
    }

    fn pass_times(&mut self) -> Vec<PassTime> {
        std::mem::take(&mut self.clock).times()
    }

    fn peak_gflops(&mut self) -> Result<Option<f64>> {
        let level = self.level;
        let every = vec![(); self.crew.threads()];
        Ok(Some(self.crew.share(every, |()| dispatch(level, Peak)).into_iter().sum()))
    }

    fn peak_gigabytes_per_second(&mut self) -> Result<Option<f64>> {
        Ok(Some(bandwidth::gigabytes_per_second(&self.crew)))
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
    scratch: &'a mut Scratch,
    ready: &'a mut Drawn,
    /// The first thread sums the losses and keeps the time.
    leader: Option<(&'a mut [f32], &'a mut Clock)>,
}

impl Job for Worker<'_> {
    type Output = ();

    #[inline(always)]
    #[allow(unsafe_code)]
    fn run<I: InstructionSet>(self) {
        let Steps { network, training, barrier, first_step, rates, index, threads } = self.steps;
        let Training { corpus, plan, activations, own, masks, carried, .. } = training;
        let (mut losses, mut clock) = self.leader.unzip();
        let _guard = barrier.guard();
        let batch = plan.batch as usize;
        let (scale, whose) = (1.0 / batch as f32, (index, threads));
        let sampled_steps = clock::sampled_steps(network.layout.shape.step_flops(batch));
        let share = Share::new(network.layout, whose);
        let own = own.get(index).filter(|_| threads > 1);
        let (home, whole) = match own {
            Some(own) => (own.home(network), own.whole(network, activations)),
            None => (Home::common(network, activations, &share.columns), Whole::common(network, activations)),
        };
        let turn = Turn { network, barrier, masks: *masks, whose };
        if let Some(own) = own {
            // SAFETY: these columns are this thread's own for all of the range, and nobody writes the embeddings.
            unsafe { own.fetch(network) };
        }
        let mut batches = Batches::new::<I>(plan, corpus, network.layout, masks[0].is_on(), self.ready, first_step);
        let mut current = Batch { activations, scratch: self.scratch, home, whole, share: &share, scale };
        for (place, &rate) in rates.iter().enumerate() {
            let step = first_step + place as u64;
            // Of short steps not the first of a range, which waits for no step before it, where there is another one.
            let sampled = place % sampled_steps == 1.min(rates.len() - 1) % sampled_steps;
            let mut timer = Timer::new(clock.as_deref_mut().filter(|_| sampled));
            // Every thread draws the whole batch: that costs less than to wait for one that does.
            batches.take(&mut current.scratch.drawn);
            // SAFETY: all threads take the same step, or one the next where [`Whole::has_embedding`] allows it.
            unsafe {
                turn.examples::<I>(&mut current, step, &mut timer, || batches.prepare::<I>());
                carried.update::<I>(network, &mut current, Factors { rate, step }, barrier, whose);
                if let Some(losses) = &mut losses {
                    losses[place] = mean_of_batch(numbers(whole.losses.read()), batch) as f32;
                }
            }
            timer.end(Pass::ParametersUpdate);
            // With embeddings of its own a thread goes on: before it writes again what others read in this step, it meets them.
            if !whole.has_embedding {
                barrier.arrive_and_wait(index);
                timer.end(Pass::Wait);
            }
        }
        if let Some(own) = own {
            // SAFETY: as above, and the first thread alone writes the embeddings.
            unsafe { own.give_back(network, index == 0) };
        }
    }
}

/// Mean of the first `batch` numbers, summed in order.
fn mean_of_batch(losses: &[f32], batch: usize) -> f64 {
    losses[..batch].iter().copied().map(f64::from).sum::<f64>() / batch as f64
}
