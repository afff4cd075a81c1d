//! What an observer may ask for in the midst of a run, through the library.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use gpu_mlp::engine::cpu::Cpu;
use gpu_mlp::engine::{Engine, State};
use gpu_mlp::model::initial::initial;
use gpu_mlp::text::{Data, Sources};
use gpu_mlp::train::{
    Config, Live, Observer, Outcome, Preset, Progress, Report, RunDirectory, Settings, Trainer, Wish,
};

/// Grants itself wishes after the first range of steps, and stops the run there.
struct Wishful<'a> {
    wishes: Vec<Wish>,
    granted: Vec<(Wish, String)>,
    stop: &'a AtomicBool,
}

impl Observer for Wishful<'_> {
    fn wish(&mut self) -> Option<Wish> {
        self.stop.store(true, Ordering::Relaxed);
        self.wishes.pop()
    }

    fn granted(&mut self, wish: Wish, result: &str) {
        self.granted.push((wish, result.to_owned()));
    }

    fn live(&mut self, _: Live) {}

    fn report(&mut self, _: &Report, _: bool) -> gpu_mlp::Result<()> {
        Ok(())
    }
}

struct Run {
    settings: Settings,
    data: Data,
    directory: RunDirectory,
    first: State,
}

impl Run {
    fn new(path: &Path) -> Self {
        let (settings, _) = Preset::Makemore.settings();
        let settings = Settings { steps: 300, hidden: 20, eval_every: 100, report_every: 100, ..settings };
        let sources = Sources::default();
        let texts = sources.read(settings.kind()).unwrap();
        let settings = Settings { text_sha256: texts.sha256(), ..settings };
        let data = texts.data(&settings.text_settings(), settings.context, None).unwrap();
        let config =
            Config { version: "test".to_owned(), device: "cpu".to_owned(), sources, settings: settings.clone() };
        let directory = RunDirectory::create(path, &config).unwrap();
        let parameters = initial(settings.shape(data.vocabulary.len()), settings.init, settings.seed, &[]);
        let first = State::new(parameters, &settings.recipe);
        Run { settings, data, directory, first }
    }

    /// Trains from a state; returns how it ended, what was granted, and where the run is.
    fn train(&self, state: &State, progress: Progress, wishes: &[Wish]) -> (Outcome, Vec<(Wish, String)>, Progress) {
        let mut engine: Box<dyn Engine> = Box::new(Cpu::new(1));
        let mut trainer =
            Trainer::new(engine.as_mut(), &self.data, &self.settings, &self.directory, state, progress).unwrap();
        let stop = AtomicBool::new(false);
        let mut observer = Wishful { wishes: wishes.to_vec(), granted: Vec::new(), stop: &stop };
        let never = AtomicBool::new(false);
        let outcome = trainer.run(if wishes.is_empty() { &never } else { &stop }, &mut observer).unwrap();
        (outcome, observer.granted, trainer.progress().clone())
    }

    fn last(&self) -> Vec<u8> {
        std::fs::read(self.directory.path().join("last.safetensors")).unwrap()
    }
}

#[test]
fn a_halved_rate_is_kept_by_a_resume_and_samples_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let run = Run::new(&folder.path().join("halved"));
    let wishes = [Wish::Sample, Wish::HalveRate, Wish::Save];
    let (outcome, granted, progress) = run.train(&run.first, Progress::default(), &wishes);
    assert_eq!(outcome, Outcome::Stopped);
    assert_eq!(granted.iter().map(|(wish, _)| *wish).collect::<Vec<_>>(), [Wish::Save, Wish::HalveRate, Wish::Sample]);
    assert!(granted[2].1.split("  ").count() >= 10, "{}", granted[2].1);
    assert_eq!(progress.halvings, [progress.step]);
    let (state, read) = run.directory.read_state(&run.settings).unwrap().unwrap();
    assert_eq!(read, progress);
    assert_eq!(run.train(&state, read, &[]).0, Outcome::Finished);

    // The same halving known from the start gives the same bytes, and none gives others.
    let straight = Run::new(&folder.path().join("straight"));
    straight.train(&straight.first, Progress { halvings: progress.halvings, ..Progress::default() }, &[]);
    assert_eq!(run.last(), straight.last());
    let plain = Run::new(&folder.path().join("plain"));
    plain.train(&plain.first, Progress::default(), &[]);
    assert_ne!(run.last(), plain.last());
}
