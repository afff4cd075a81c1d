//! The training loop: ranges of steps on an engine, validations, saves. It knows no device and prints nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::{Best, Progress, RunDirectory, Settings};
use crate::engine::{Engine, State, mean_loss};
use crate::language_model::{Network, Sampler};
use crate::model::ModelFile;
use crate::text::{Corpus, Data};
use crate::{Error, Result};

/// A range of steps is cut so that it takes about this long: Ctrl-C and the progress bar need no more.
const RANGE_TIME: Duration = Duration::from_millis(150);
/// Nats per token that no network that can be trained has: initial weights of the largest networks give some hundred.
const MOST_LOSS: f32 = 1e6;
/// Items that a wish for samples draws, and their tokens at most.
const SAMPLES: usize = 12;
const SAMPLE_LENGTH: usize = 40;
/// The last state is saved at least this often.
const SAVE_TIME: Duration = Duration::from_secs(30);

/// One line of `metrics.jsonl`.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Steps done.
    pub step: u64,
    /// Epochs done, with their fraction.
    pub epoch: f64,
    /// Mean training loss since the last report, nats per token.
    pub loss: f64,
    /// Mean loss of the validation part (of the whole training part where there is none), where the report is a validation.
    pub valid: Option<f64>,
    /// Learning rate of the last step.
    pub rate: f32,
    /// Seconds of training since the program began, without validations.
    pub seconds: f64,
    /// Examples a second since the program began.
    pub examples_per_second: f64,
}

/// What a progress bar shows.
#[derive(Clone, Copy, Debug)]
pub struct Live {
    /// Steps done.
    pub step: u64,
    /// Mean loss of the last range of steps.
    pub loss: f64,
    /// Learning rate of the last step.
    pub rate: f32,
    /// Examples a second in the last range.
    pub examples_per_second: f64,
}

/// What an observer may ask for between two ranges of steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// To save the last state now.
    Save,
    /// To halve the learning rate from here on; a resumed run keeps to it.
    HalveRate,
    /// To see what the network writes by now.
    Sample,
}

/// Is told how training goes.
pub trait Observer {
    /// Is asked after every range of steps until it wishes nothing more.
    fn wish(&mut self) -> Option<Wish> {
        None
    }
    /// After a wish was granted, with what came of it.
    fn granted(&mut self, _wish: Wish, _result: &str) {}
    /// After every range of steps.
    fn live(&mut self, live: Live);
    /// After every report; `best` where it is a validation better than those before.
    fn report(&mut self, report: &Report, best: bool) -> Result<()>;
}

/// Exact mean losses of the three parts, nats per token.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Losses {
    /// The training part.
    pub train: f64,
    /// The validation part, where there is one.
    pub valid: Option<f64>,
    /// The test part, where there is one.
    pub test: Option<f64>,
}

impl Losses {
    /// e to each loss.
    pub fn perplexity(self) -> Self {
        Losses { train: self.train.exp(), valid: self.valid.map(f64::exp), test: self.test.map(f64::exp) }
    }
}

/// How a call of [`Trainer::run`] ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// All steps are done, or patience ran out.
    Finished,
    /// Stopped by the user; the last state is saved.
    Stopped,
}

/// A run in memory.
pub struct Trainer<'a> {
    engine: &'a mut dyn Engine,
    data: &'a Data,
    settings: &'a Settings,
    directory: &'a RunDirectory,
    progress: Progress,
    seconds: f64,
    steps_here: u64,
}

impl<'a> Trainer<'a> {
    /// A run at the state that `progress` and `state` describe. Nothing is written yet.
    pub fn new(
        engine: &'a mut dyn Engine,
        data: &'a Data,
        settings: &'a Settings,
        directory: &'a RunDirectory,
        state: &State,
        progress: Progress,
    ) -> Result<Self> {
        make_ready(engine, data, settings, state)?;
        Ok(Trainer { engine, data, settings, directory, progress, seconds: 0.0, steps_here: 0 })
    }

    /// What computes.
    pub fn engine(&self) -> &dyn Engine {
        self.engine
    }

    /// How far the run is.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Seconds of training and steps since the program began.
    pub fn effort(&self) -> (f64, u64) {
        (self.seconds, self.steps_here)
    }

    /// Trains until the last step, the end of patience, or `stop`; saves as it goes.
    pub fn run(&mut self, stop: &AtomicBool, observer: &mut dyn Observer) -> Result<Outcome> {
        let mut range = 8;
        let mut saved = Instant::now();
        while !self.finished() {
            if stop.load(Ordering::Relaxed) {
                self.save_last()?;
                return Ok(Outcome::Stopped);
            }
            let step = self.progress.step;
            let end = self.next_event().min(step + range);
            let rates: Vec<f32> = (step..end).map(|step| self.rate(step)).collect();
            let start = Instant::now();
            let losses = self.engine.train(step, &rates)?;
            let time = start.elapsed();
            let live = self.account(&rates, &losses, time)?;
            observer.live(live);
            if end - step == range {
                range = next_range(range, time);
            }
            if self.at_event(self.settings.report_every) || self.at_event(self.settings.eval_every) {
                let validated = self.report(live.rate, observer)?;
                if validated {
                    saved = Instant::now();
                }
            }
            let mut save = saved.elapsed() > SAVE_TIME;
            while let Some(wish) = observer.wish() {
                save |= wish != Wish::Sample;
                let result = self.grant(wish)?;
                observer.granted(wish, &result);
            }
            if save {
                self.save_last()?;
                saved = Instant::now();
            }
        }
        Ok(Outcome::Finished)
    }

    /// Exact losses of the three parts with the best model.
    pub fn final_losses(&mut self) -> Result<Losses> {
        let best = self.directory.read_best()?;
        self.engine.load(&best.state.parameters)?;
        let mut of = |corpus: &Corpus| mean_loss(&mut *self.engine, corpus);
        Ok(Losses {
            train: of(&self.data.train)?,
            valid: self.data.valid.as_ref().map(&mut of).transpose()?,
            test: self.data.test.as_ref().map(&mut of).transpose()?,
        })
    }

    /// Does what an observer wishes, but for saving; says what came of it.
    fn grant(&mut self, wish: Wish) -> Result<String> {
        match wish {
            Wish::Save => Ok(format!("saved at step {}", self.progress.step)),
            Wish::HalveRate => {
                self.progress.halvings.push(self.progress.step);
                Ok(format!("rate halved before step {}", self.progress.step))
            }
            Wish::Sample => {
                let parameters = self.engine.parameters()?;
                let vocabulary = &self.data.vocabulary;
                let (end, seed) = (vocabulary.end(), self.progress.step as u32);
                let sampler = Sampler { temperature: 1.0, top_k: 0, top_p: 1.0, end, length: SAMPLE_LENGTH, seed };
                let count = if end.is_some() { SAMPLES } else { 1 };
                let samples = sampler.draw(&mut Network::new(self.engine, &parameters)?, &[], 0..count)?;
                let texts: Vec<String> = samples.iter().map(|sample| vocabulary.decode(&sample.tokens)).collect();
                Ok(texts.join("  "))
            }
        }
    }

    /// Saves the state as it is.
    pub fn save_last(&mut self) -> Result<()> {
        let state = self.state()?;
        self.directory.save_last(&self.model(state))
    }

    /// The state as it is. One that no file may hold is an error, so that what was saved before is kept.
    fn state(&mut self) -> Result<State> {
        let state = self.engine.state()?;
        let step = self.progress.step.saturating_sub(1);
        match state.not_finite() {
            Some(tensor) => Err(Error::NotFiniteState { tensor, step, rate: self.rate(step) }),
            None => Ok(state),
        }
    }

    /// The rate of a step: the schedule's, halved as often as the user wished.
    fn rate(&self, step: u64) -> f32 {
        self.settings.rate_of(step, &self.progress)
    }

    fn finished(&self) -> bool {
        let patience = self.settings.patience;
        self.progress.step >= self.settings.steps || (patience > 0 && self.progress.validations_since_best >= patience)
    }

    /// The next step at which something is to be reported.
    fn next_event(&self) -> u64 {
        let after = |every: u64| (self.progress.step / every + 1) * every;
        after(self.settings.eval_every).min(after(self.settings.report_every)).min(self.settings.steps)
    }

    fn at_event(&self, every: u64) -> bool {
        self.progress.step.is_multiple_of(every) || self.progress.step == self.settings.steps
    }

    /// Counts some steps that were taken. A loss that is not finite, or beyond all bounds, is an error: what would be the
    /// best model of such a run is of no use.
    fn account(&mut self, rates: &[f32], losses: &[f32], time: Duration) -> Result<Live> {
        let first = self.progress.step;
        for ((step, &loss), &rate) in (first..).zip(losses).zip(rates) {
            bounded(loss, step, rate)?;
        }
        self.progress.step += losses.len() as u64;
        self.progress.loss_count += losses.len() as u64;
        for &loss in losses {
            self.progress.loss_sum += f64::from(loss);
        }
        self.seconds += time.as_secs_f64();
        self.steps_here += losses.len() as u64;
        let examples = losses.len() as f64 * f64::from(self.settings.batch);
        Ok(Live {
            step: self.progress.step,
            loss: losses.iter().map(|&loss| f64::from(loss)).sum::<f64>() / losses.len() as f64,
            rate: *rates.last().expect("a step"),
            examples_per_second: examples / time.as_secs_f64(),
        })
    }

    /// Reports, validates where it is time to, and saves: the best model first, then the last state, so that a crash
    /// between the two is repaired by the resume, which comes to the same best model again. Returns whether it was a
    /// validation, after which alone it saves.
    fn report(&mut self, rate: f32, observer: &mut dyn Observer) -> Result<bool> {
        let step = self.progress.step;
        let batch = f64::from(self.settings.batch);
        let state = if self.at_event(self.settings.eval_every) { Some(self.state()?) } else { None };
        let valid = state.as_ref().map(|state| self.validate(state)).transpose()?;
        let best = valid.is_some_and(|valid| self.progress.best.is_none_or(|best| valid < best.valid));
        let report = Report {
            step,
            epoch: step as f64 * batch / self.data.train.len() as f64,
            loss: self.progress.loss_sum / self.progress.loss_count as f64,
            valid,
            rate,
            seconds: self.seconds,
            examples_per_second: self.steps_here as f64 * batch / self.seconds,
        };
        (self.progress.loss_sum, self.progress.loss_count) = (0.0, 0);
        if let Some(valid) = valid {
            self.progress.validations_since_best += 1;
            if best {
                self.progress.best = Some(Best { step, valid });
                self.progress.validations_since_best = 0;
            }
        }
        if let Some(state) = state {
            if best {
                self.directory.save_best(&self.model(State::of_model(state.best().clone())))?;
            }
            self.directory.append(&report)?;
            self.directory.save_last(&self.model(state))?;
        } else {
            self.directory.append(&report)?;
        }
        observer.report(&report, best)?;
        Ok(valid.is_some())
    }

    /// Mean loss of the validation part; of the training part where there is none. With an average of the weights it
    /// is the average's.
    fn validate(&mut self, state: &State) -> Result<f64> {
        let corpus = self.data.valid.as_ref().unwrap_or(&self.data.train);
        if let Some(average) = &state.average {
            self.engine.load(average)?;
        }
        let loss = mean_loss(self.engine, corpus)?;
        if state.average.is_some() {
            self.engine.load(&state.parameters)?;
        }
        let step = self.progress.step.saturating_sub(1);
        bounded(loss as f32, step, self.rate(step))?;
        Ok(loss)
    }

    fn model(&self, state: State) -> ModelFile {
        ModelFile {
            state,
            vocabulary: self.data.vocabulary.clone(),
            settings: self.settings.clone(),
            progress: self.progress.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

/// Gets an engine ready to go on from a state, by the settings of a run.
pub fn make_ready(engine: &mut dyn Engine, data: &Data, settings: &Settings, state: &State) -> Result<()> {
    engine.load(&state.parameters)?;
    engine.prepare(data.train.clone(), settings.batch_plan(data.train.len()), settings.recipe)?;
    engine.load_state(state)
}

/// An error where a loss says that the step diverged.
fn bounded(loss: f32, step: u64, rate: f32) -> Result<()> {
    if !loss.is_finite() {
        Err(Error::NotFinite { step, rate })
    } else if loss > MOST_LOSS {
        Err(Error::Diverged { step, loss, rate })
    } else {
        Ok(())
    }
}

/// The next number of steps in a range, from how long the last one took; at most four times as many at once.
fn next_range(range: u64, time: Duration) -> u64 {
    let fitting = range as f64 * RANGE_TIME.as_secs_f64() / time.as_secs_f64().max(1e-9);
    (fitting as u64).clamp(1, range * 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_grow_and_shrink_toward_their_time() {
        assert_eq!(next_range(8, Duration::from_micros(1)), 32);
        assert_eq!(next_range(1000, RANGE_TIME), 1000);
        assert_eq!(next_range(1000, RANGE_TIME * 2), 500);
        assert_eq!(next_range(8, Duration::from_secs(100)), 1);
    }
}
