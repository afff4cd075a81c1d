//! A whole run from Rust, as the command `train` makes it.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use super::{Config, Live, Observer, Progress, Report, RunDirectory, Settings, Trainer};
use crate::engine::{Engine, State};
use crate::model::initial::initial;
use crate::model::{Init, ModelFile};
use crate::text::{Data, Sources};
use crate::{Error, Result};

/// Says nothing.
impl Observer for () {
    fn live(&mut self, _: Live) {}

    fn report(&mut self, _: &Report, _: bool) -> Result<()> {
        Ok(())
    }
}

/// The state before the first step of a run on some data.
pub fn first_state(settings: &Settings, data: &Data) -> State {
    // Counting a large text takes a while, and one form alone begins at the counts.
    let counts = match settings.init {
        Init::Unigram => data.train.target_counts(data.vocabulary.len()),
        Init::Lecture | Init::Scaled => Vec::new(),
    };
    let parameters = initial(settings.shape(data.vocabulary.len()), settings.init, settings.seed, &counts);
    State::new(parameters, &settings.recipe)
}

/// Trains for `settings.steps` steps into a new run directory, with which every command of the program works, and returns
/// the best model on the validation part (the training part where there is none).
///
/// ```
/// use gpu_mlp::engine::cpu::Cpu;
/// use gpu_mlp::text::Sources;
/// use gpu_mlp::train::{Preset, Settings, train};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let directory = folder.path().join("first");
/// // The built-in names; `Sources { text: Some("names.txt".into()), ..Sources::default() }` is a text of your own.
/// let settings = Settings { hidden: 40, steps: 200, eval_every: 100, ..Preset::Makemore.settings().0 };
/// let model = train(&directory, &Sources::default(), settings, &mut Cpu::new(1), &mut ())?;
/// assert!(model.progress.best.unwrap().valid < 3.2, "better than log 27");
/// # Ok::<(), gpu_mlp::Error>(())
/// ```
///
/// # Errors
/// Settings that cannot be; a text that cannot be read or cut; a directory that holds a run already or cannot be written;
/// a device that fails; a loss that is not finite.
pub fn train(
    directory: &Path,
    sources: &Sources,
    mut settings: Settings,
    engine: &mut dyn Engine,
    observer: &mut dyn Observer,
) -> Result<ModelFile> {
    settings.check().map_err(Error::usage)?;
    let absolute = sources.absolute()?;
    let texts = sources.read(settings.kind())?;
    settings.text_sha256 = texts.sha256();
    let data = texts.data(&settings.text_settings(), settings.context, None)?;
    settings.shape(data.vocabulary.len()).check().map_err(Error::usage)?;
    let config = Config {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        device: engine.hardware().choice(),
        sources: absolute,
        settings,
    };
    let directory = RunDirectory::create(directory, &config)?;
    let state = first_state(&config.settings, &data);
    let mut trainer = Trainer::new(engine, &data, &config.settings, &directory, &state, Progress::default())?;
    trainer.save_last()?;
    trainer.run(&AtomicBool::new(false), observer)?;
    directory.read_best()
}
