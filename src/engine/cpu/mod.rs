//! The CPU engine: threads that live for a whole range of steps and meet at a spinning barrier twice a step.

mod bandwidth;
mod clock;
mod dropout;
mod evaluate;
mod lanes;
mod network;
mod pace;
mod passes;
mod product;
mod rule;
mod threads;
mod update;
mod vector;

use std::sync::Arc;
use std::time::Instant;

use super::{Engine, Examination, Hardware, Mask, PassTime, Recipe, State};
use crate::Result;
use crate::model::{Parameters, Shape};
use crate::text::{BatchPlan, Corpus};

use clock::{Clock, Pass, SAMPLED_STEPS, Timer};
use evaluate::Examine;
use lanes::{InstructionSet, Job, LANES, Lanes, Level, dispatch};
use network::{Activations, Network};
use pace::Pace;
use passes::{Groups, Read};
use product::Peak;
use threads::{Barrier, part};
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
        let mut result = vec![0.0; corpus.len()];
        self.evaluate(corpus, 1, &mut result, |groups, example, out| {
            out[0] = -groups.losses[example / LANES].0[example % LANES];
        });
        Ok(result)
    }

    fn distributions(&mut self, contexts: &[u32]) -> Result<Vec<f32>> {
        let Shape { context, vocabulary, .. } = self.shape();
        let targets = vec![0; contexts.len() / context];
        let corpus = Corpus::from_examples(contexts, &targets, context);
        let mut result = vec![0.0; corpus.len() * vocabulary];
        self.evaluate(&corpus, vocabulary, &mut result, |groups, example, out| {
            let rows = &groups.logits[example / LANES * vocabulary..][..vocabulary];
            for (probability, row) in out.iter_mut().zip(rows) {
                *probability = row.0[example % LANES];
            }
        });
        Ok(result)
    }

    fn examine(&mut self, corpus: &Corpus) -> Result<Examination> {
        let network = self.network();
        let activations = Activations::new(network.layout, corpus.len(), [false; 2]);
        let mut gradients = Network::zeros(network.layout.shape);
        let job = Examine { network, corpus, activations: &activations, gradients: &gradients };
        let (hidden, logits, loss) = dispatch(self.level, job);
        Ok(Examination { hidden, logits, loss, gradients: gradients.parameters() })
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
        let batch = plan.batch as usize;
        let own = part(activations.groups, index, threads);
        let lanes = (own.start * LANES).min(batch)..(own.end * LANES).min(batch);
        let mut examples = vec![0; lanes.len()];
        for (step, &rate) in rates.iter().enumerate() {
            let mut timer = Timer::new(clock.as_deref_mut().filter(|_| step % SAMPLED_STEPS == 0));
            plan.fill(first_step + step as u64, lanes.start as u32, &mut examples);
            // SAFETY: between these barriers parameters are only read, and each thread has groups of its own.
            unsafe {
                let read = Read::new(network);
                let mut groups = Groups::new(activations, network.layout, own.clone());
                groups.set_examples(corpus, &examples);
                groups.draw_masks::<I>(network.layout, *masks, first_step + step as u64, lanes.start);
                timer.end(Pass::Draw);
                groups.embedding_gather(read);
                timer.end(Pass::EmbeddingGather);
                groups.hidden_forward::<I>(read);
                timer.end(Pass::HiddenForward);
                groups.logits_forward::<I>(read);
                timer.end(Pass::LogitsForward);
                groups.softmax_cross_entropy::<I>(read, 1.0 / batch as f32);
                timer.end(Pass::SoftmaxCrossEntropy);
                groups.hidden_backward::<I>(read, 1.0 / masks[1].kept);
                timer.end(Pass::HiddenBackward);
                groups.input_backward::<I>(read);
                timer.end(Pass::InputBackward);
            }
            barrier.wait();
            timer.end(Pass::Wait);
            // SAFETY: between these barriers activations are only read, and each thread has rows of its own.
            unsafe {
                let factors = Factors { rate, step: first_step + step as u64 };
                carried.update::<I>(network, activations, batch, factors, barrier, (index, threads));
                if let Some(losses) = &mut losses {
                    losses[step] = mean_of_batch(activations.losses.read(), batch) as f32;
                }
            }
            timer.end(Pass::ParametersUpdate);
            barrier.wait();
            timer.end(Pass::Wait);
        }
    }
}

/// Mean of the first `batch` numbers, summed in order.
fn mean_of_batch(losses: &[Lanes], batch: usize) -> f64 {
    let sum: f64 = losses.iter().flat_map(|lanes| lanes.0).take(batch).map(f64::from).sum();
    sum / batch as f64
}
