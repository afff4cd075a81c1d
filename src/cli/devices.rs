//! `gpu-mlp devices`.

use clap::Args;
use serde::Serialize;

use super::cache::Cache;
use super::options::OutputOptions;
use crate::Result;
use crate::engine::cpu::Cpu;
use crate::engine::gpu::{self, Adapter, Limits};
use crate::engine::open::default_threads;
use crate::report::output::table;

/// Every device of this machine, which one `auto` takes, and why not the others.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DevicesArgs {
    #[command(flatten)]
    output: OutputOptions,
}

const EXAMPLES: &str = "\
Examples:
  gpu-mlp devices
  gpu-mlp devices --json";

#[derive(Serialize)]
struct Device {
    index: usize,
    name: String,
    backend: &'static str,
    kind: String,
    driver: String,
    chosen: bool,
    why: String,
    limits: Option<Limits>,
}

/// Runs the command.
pub fn run(args: DevicesArgs) -> Result<()> {
    let output = args.output.output();
    let devices = devices();
    for device in &devices {
        output.event("device", device)?;
    }
    let row = |device: &Device| {
        let name = format!("{}:{}", device.backend, device.index);
        let auto = if device.chosen { "auto" } else { "" };
        [name, device.name.clone(), device.kind.clone(), device.driver.clone(), auto.to_owned(), device.why.clone()]
            .to_vec()
    };
    let rows: Vec<_> = devices.iter().map(row).collect();
    let text = table(&["--device", "name", "kind", "driver", "", "why"], &rows);
    output.text(text)
}

/// The adapters, the best first, and the CPU engine.
fn devices() -> Vec<Device> {
    let mut adapters = gpu::adapters(None);
    let best = adapters.iter().position(|adapter| !adapter.is_software());
    if best.is_some() {
        gpu::forget_absence(&Cache);
    }
    // OpenGL lists the same hardware once more; it is here because it can be asked for.
    if adapters.iter().all(|adapter| adapter.backend != "gl") {
        adapters.extend(gpu::adapters(Some("gl")));
    }
    let of_adapter = |(place, adapter): (usize, Adapter)| {
        let why = match best {
            Some(best) if best == place => "the best hardware adapter",
            _ if adapter.is_software() => "computes on the CPU: taken only when asked for",
            _ if adapter.backend == "gl" => "OpenGL is taken only where there is nothing newer, or when asked for",
            _ => "another one ranks higher",
        };
        Device {
            index: adapter.index,
            chosen: best == Some(place),
            kind: format!("{:?}", adapter.kind).to_lowercase(),
            why: why.to_owned(),
            name: adapter.name,
            backend: adapter.backend,
            driver: adapter.driver,
            limits: Some(adapter.limits),
        }
    };
    let mut devices: Vec<Device> = adapters.into_iter().enumerate().map(of_adapter).collect();
    let threads = default_threads();
    devices.push(Device {
        index: 0,
        name: format!("CPU engine, {threads} thread(s)"),
        backend: "cpu",
        kind: "cpu".to_owned(),
        driver: Cpu::new(threads).instruction_set().to_owned(),
        chosen: best.is_none(),
        why: if best.is_none() { "no hardware adapter was found" } else { "a hardware adapter was found" }.to_owned(),
        limits: None,
    });
    devices
}
