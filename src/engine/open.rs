//! From what a user asks for (`--device`) to an engine. A device that is not there is an error that lists those that
//! are; never a silent other one.

use std::fmt;
use std::str::FromStr;

use super::Engine;
use super::cpu::Cpu;
use super::gpu::{self, Adapter, Gpu, Path, Store};
use crate::error::did_you_mean;
use crate::reference::Reference;
use crate::{Error, Result};

/// The value of `--device`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The best hardware adapter, else the CPU engine.
    Auto,
    /// The CPU engine.
    Cpu,
    /// The plain f64 loops.
    Reference,
    /// An adapter: of one backend or of any (`gpu`), the first or as the selector says.
    Gpu {
        /// `vulkan`, `metal`, `dx12`, `gl`; `None` is any of them.
        backend: Option<&'static str>,
        /// Which adapter of the backend.
        selector: Selector,
    },
}

/// Which of several adapters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// The best one: discrete, integrated, other, then software.
    Best,
    /// By its index within the backend, from 0: `vulkan:1`.
    Index(usize),
    /// By part of its name, in any case of letters: `vulkan:llvm`.
    Name(String),
}

/// Names of the backends on the command line.
pub const BACKENDS: [&str; 4] = ["vulkan", "metal", "dx12", "gl"];
const CHOICES: [&str; 8] = ["auto", "cpu", "reference", "gpu", "vulkan", "metal", "dx12", "gl"];

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, selector) = match text.split_once(':') {
            None => (text, Selector::Best),
            Some((name, selector)) if !selector.is_empty() => {
                (name, selector.parse().map_or_else(|_| Selector::Name(selector.to_lowercase()), Selector::Index))
            }
            Some(_) => return Err("after the colon comes an index or part of a name, such as vulkan:1".to_owned()),
        };
        let plain = |choice| match selector {
            Selector::Best => Ok(choice),
            _ => Err(format!("{name} has no adapters to choose from: write it without the colon")),
        };
        match name {
            "auto" => plain(DeviceChoice::Auto),
            "cpu" => plain(DeviceChoice::Cpu),
            "reference" => plain(DeviceChoice::Reference),
            "gpu" => Ok(DeviceChoice::Gpu { backend: None, selector }),
            _ => match BACKENDS.iter().find(|&&backend| backend == name) {
                Some(&backend) => Ok(DeviceChoice::Gpu { backend: Some(backend), selector }),
                None => Err(format!(
                    "expected one of {}, or for instance vulkan:1, vulkan:llvm{}",
                    CHOICES.join(", "),
                    did_you_mean(name, CHOICES)
                )),
            },
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceChoice::Auto => out.write_str("auto"),
            DeviceChoice::Cpu => out.write_str("cpu"),
            DeviceChoice::Reference => out.write_str("reference"),
            DeviceChoice::Gpu { backend, selector } => {
                out.write_str(backend.unwrap_or("gpu"))?;
                match selector {
                    Selector::Best => Ok(()),
                    Selector::Index(index) => write!(out, ":{index}"),
                    Selector::Name(name) => write!(out, ":{name}"),
                }
            }
        }
    }
}

/// An engine and why it was chosen.
pub struct Opened {
    /// The engine, without parameters yet.
    pub engine: Box<dyn Engine>,
    /// One line for the user: which device, and why.
    pub reason: String,
}

/// Opens the engine that a user asks for. `threads` is for the CPU engine; 0 is the physical cores. `store` keeps what is
/// measured on a GPU, and that a machine has none. An engine is not `Send`: open it in the thread that uses it.
///
/// ```no_run
/// use gpu_mlp::engine::{gpu, open};
///
/// let opened = open(&"vulkan".parse().unwrap(), 0, gpu::Path::Automatic, Box::new(gpu::NoStore))?;
/// println!("{}", opened.reason);
/// # Ok::<(), gpu_mlp::Error>(())
/// ```
pub fn open(choice: &DeviceChoice, threads: usize, path: Path, store: Box<dyn Store>) -> Result<Opened> {
    match choice {
        DeviceChoice::Reference => Ok(Opened {
            engine: Box::new(Reference::default()),
            reason: "reference: plain f64 loops, right but slow".to_owned(),
        }),
        DeviceChoice::Cpu => Ok(open_cpu(threads, "as asked")),
        DeviceChoice::Auto => match gpu::hardware(&*store) {
            Some(adapter) => open_gpu(adapter, path, store, "the best hardware adapter"),
            None => Ok(open_cpu(threads, "no hardware GPU was found; `gpu-mlp devices` looks again")),
        },
        DeviceChoice::Gpu { backend, selector } => {
            let mut adapters = gpu::adapters(*backend);
            let found = match selector {
                Selector::Best => (!adapters.is_empty()).then_some(0),
                Selector::Index(index) => adapters.iter().position(|adapter| adapter.index == *index),
                Selector::Name(part) => adapters.iter().position(|adapter| adapter.name.to_lowercase().contains(part)),
            };
            match found {
                Some(place) => {
                    let adapter = adapters.swap_remove(place);
                    if !adapter.is_software() {
                        gpu::forget_absence(&*store);
                    }
                    open_gpu(adapter, path, store, "as asked")
                }
                None => Err(Error::Device(format!(
                    "there is no device {choice} on this machine. It has: {}",
                    list(&gpu::adapters(None))
                ))),
            }
        }
    }
}

/// The physical cores that this process may use.
pub fn default_threads() -> usize {
    let available = std::thread::available_parallelism().map_or(1, usize::from);
    num_cpus::get_physical().clamp(1, available)
}

fn open_cpu(threads: usize, why: &str) -> Opened {
    let threads = if threads == 0 { default_threads() } else { threads };
    let engine = Cpu::new(threads);
    let reason = format!("cpu: {} thread(s), {} ({why})", threads, engine.instruction_set());
    Opened { engine: Box::new(engine), reason }
}

fn open_gpu(adapter: Adapter, path: Path, store: Box<dyn Store>, why: &str) -> Result<Opened> {
    let reason = format!("{}:{} {} ({why})", adapter.backend, adapter.index, adapter.name);
    Ok(Opened { engine: Box::new(Gpu::open_with(adapter, path, store)?), reason })
}

fn list(adapters: &[Adapter]) -> String {
    let devices = ["cpu".to_owned(), "reference".to_owned()].into_iter();
    let adapters = adapters.iter().map(|a| format!("{}:{} ({})", a.backend, a.index, a.name));
    devices.chain(adapters).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_written_as_they_are_read() {
        for text in ["auto", "cpu", "reference", "gpu", "vulkan", "metal", "dx12", "gl", "vulkan:1", "gl:llvm"] {
            assert_eq!(text.parse::<DeviceChoice>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_device_is_refused() {
        for text in ["cuda", "", "vulkan:", "cpu:1", "auto:x", "Vulkan "] {
            assert!(text.parse::<DeviceChoice>().is_err(), "{text}");
        }
    }
}
