//! Options that mean the same in every command.

use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use clap::Args;

use super::cache::Cache;
use crate::engine::gpu;
use crate::engine::{DeviceChoice, Engine, open};
use crate::model::ModelFile;
use crate::report::Output;
use crate::text::{Data, Sources};
use crate::train::RunDirectory;
use crate::train::files::read_model;
use crate::{Error, Result};

/// Where to compute.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Device")]
pub struct DeviceOptions {
    /// auto, cpu, reference, gpu, vulkan, metal, dx12 or gl; vulkan:1 is the second, vulkan:llvm one by part of its name
    ///
    /// auto is the best hardware GPU, else the CPU engine; a software GPU is taken only when it is asked for.
    /// [default: auto; with --resume the run's own]
    #[arg(long, value_name = "D", verbatim_doc_comment)]
    device: Option<DeviceChoice>,

    /// Short for --device cpu
    #[arg(long, conflicts_with = "device")]
    cpu: bool,

    /// Threads of the CPU engine, of which a small network's steps take those that pay [default: the physical cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    threads: Option<u32>,
}

/// A search for GPUs, which ends before this does: a program must not end while a driver is being loaded.
#[must_use]
pub struct Looking(Option<JoinHandle<()>>);

impl Drop for Looking {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            // Whoever opens a device that was found looks once more, and hears what is wrong.
            let _ = thread.join();
        }
    }
}

impl DeviceOptions {
    /// The device that is asked for.
    pub fn choice(&self) -> DeviceChoice {
        self.given().unwrap_or(DeviceChoice::Auto)
    }

    /// The same, if one is asked for.
    pub fn given(&self) -> Option<DeviceChoice> {
        if self.cpu { Some(DeviceChoice::Cpu) } else { self.device.clone() }
    }

    /// Threads for the CPU engine; 0 is the physical cores.
    pub fn thread_count(&self) -> usize {
        self.threads.unwrap_or(0) as usize
    }

    /// Begins to look for GPUs, if the choice depends on them and it is not known that there is none: drivers take some 30 ms
    /// to load, in which files can be read.
    pub fn look_ahead(&self) -> Looking {
        let looks = self.choice() == DeviceChoice::Auto;
        Looking(looks.then(|| std::thread::spawn(|| drop(gpu::hardware(&Cache)))))
    }

    /// Opens the engine and says which it is.
    pub fn open(&self, output: &Output) -> Result<Box<dyn Engine>> {
        self.open_choice(&self.choice(), output)
    }

    /// Opens the engine of a choice and says which it is.
    pub fn open_choice(&self, choice: &DeviceChoice, output: &Output) -> Result<Box<dyn Engine>> {
        let opened = open(choice, self.thread_count(), gpu::Path::Automatic, Box::new(Cache))?;
        output.message(format!("device: {}", opened.reason));
        Ok(opened.engine)
    }
}

/// What is printed.
#[derive(Clone, Copy, Debug, Default, Args)]
#[command(next_help_heading = "Output")]
pub struct OutputOptions {
    /// Print the result as JSON Lines on stdout
    #[arg(long)]
    json: bool,

    /// No messages on stderr but errors
    #[arg(long, short, conflicts_with = "verbose")]
    quiet: bool,

    /// More messages on stderr
    #[arg(long, short)]
    verbose: bool,
}

impl OutputOptions {
    /// Where the command writes.
    pub fn output(self) -> Output {
        Output { json: self.json, quiet: self.quiet, verbose: self.verbose }
    }
}

/// A model and where it lies, from which its run's text is found.
pub struct LoadedModel {
    /// The model.
    pub model: ModelFile,
    file: PathBuf,
}

impl LoadedModel {
    /// Reads a model file, or a run directory's best model.
    pub fn read(path: &Path) -> Result<Self> {
        let file = RunDirectory::model_of(path);
        if path.is_dir() && !file.exists() {
            return Err(Error::content(
                path,
                "holds no model.safetensors: it is no run directory, or its run has not reached its first validation. \
                 Give a .safetensors file or a run directory",
            ));
        }
        Ok(LoadedModel { model: read_model(&file)?, file })
    }

    /// The file that was read.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The ids of a CONTEXT, oldest first: its last n tokens, filled up in front as the beginning of an item is, `[n]`.
    pub fn context(&self, text: &str) -> Result<Vec<u32>> {
        let unknown = |reason| Error::usage(format!("CONTEXT {text:?}: {reason}"));
        let tokens = self.model.vocabulary.encode(text).map_err(unknown)?;
        let length = self.model.settings.context;
        let mut context = vec![0; length.saturating_sub(tokens.len())];
        context.extend_from_slice(&tokens[tokens.len().saturating_sub(length)..]);
        Ok(context)
    }

    /// The three parts of the run's own text, if it can still be read and is the same.
    /// Examples have `context` tokens; the error ends with what to do.
    pub fn data(&self, context: usize, remedy: &str) -> Result<Data> {
        // Without its run directory a model may still come from the built-in names.
        let sources = RunDirectory::of_model(&self.file).map_or_else(Sources::default, |(_, config)| config.sources);
        let settings = &self.model.settings;
        let texts = sources.read(settings.kind()).and_then(|texts| {
            texts.expect(&settings.text_sha256)?;
            Ok(texts)
        });
        match texts {
            Ok(texts) => texts.data(&settings.text_settings(), context, Some(&self.model.vocabulary)),
            Err(error) => Err(Error::content(
                &self.file,
                format!("the text that it was trained on is not at hand ({error}): {remedy}"),
            )),
        }
    }
}
