//! What a figure must be read with: on which machine, by which program, when.

use std::process::Command;

use serde::{Deserialize, Serialize};

/// A machine and a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name, as the operating system has it.
    pub processor: String,
    /// Physical cores that the program may use.
    pub cores: usize,
    /// The operating system: `linux`, `macos`, `windows`, ...
    pub system: String,
    /// `x86_64`, `aarch64`, ...
    pub architecture: String,
    /// This program's version.
    pub version: String,
    /// When the figures were taken.
    pub date: String,
}

impl Machine {
    /// This one, now.
    pub fn here() -> Self {
        Machine {
            processor: processor(),
            cores: crate::engine::open::default_threads(),
            system: std::env::consts::OS.to_owned(),
            architecture: std::env::consts::ARCH.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            date: jiff::ZonedDateTime::now().strftime("%Y-%m-%d %H:%M").to_string(),
        }
    }

    /// What is another machine's in an earlier one: a line each.
    pub fn differences(&self, earlier: &Machine) -> Vec<String> {
        let facts = |of: &Machine| {
            [
                ("processor", of.processor.clone()),
                ("cores", of.cores.to_string()),
                ("system", of.system.clone()),
                ("architecture", of.architecture.clone()),
            ]
        };
        let pairs = facts(earlier).into_iter().zip(facts(self)).filter(|(then, now)| then != now);
        pairs.map(|((fact, then), (_, now))| format!("{fact} was {then}, now {now}")).collect()
    }
}

fn processor() -> String {
    let found = match std::env::consts::OS {
        "linux" | "android" => std::fs::read_to_string("/proc/cpuinfo").ok().and_then(|facts| {
            let line = facts.lines().find(|line| line.starts_with("model name") || line.starts_with("Model"))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        }),
        "macos" => Command::new("sysctl").args(["-n", "machdep.cpu.brand_string"]).output().ok().and_then(|output| {
            let name = String::from_utf8(output.stdout).ok()?.trim().to_owned();
            (!name.is_empty()).then_some(name)
        }),
        _ => std::env::var("PROCESSOR_IDENTIFIER").ok(),
    };
    found.unwrap_or_else(|| "unknown".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_machine_is_told_by_its_facts_alone() {
        let here = Machine::here();
        assert_eq!(here.differences(&Machine { date: "1994".into(), version: "0".into(), ..here.clone() }), [""; 0]);
        let other = Machine { cores: here.cores + 1, ..here.clone() };
        assert_eq!(here.differences(&other), [format!("cores was {}, now {}", here.cores + 1, here.cores)]);
    }
}
