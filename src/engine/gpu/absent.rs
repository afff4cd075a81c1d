//! That a machine has no hardware GPU, kept from one run of the program to the next. To ask, every driver that is installed
//! is loaded, which takes 25 ms of the 37 in which twenty names are drawn on a machine without a GPU.
//!
//! What was kept holds while all stays as it was by which a GPU comes: the start of the machine, its PCI devices, the names
//! of its device files, the variables by which drivers are found. Nothing is kept where one of these speaks of a GPU, since
//! a driver that fails today may be mended tomorrow, and nothing on a system other than Linux.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::Store;
use super::adapters::{Adapter, adapters};

/// The name under which it is kept.
const NAME: &str = "no-gpu.txt";
/// What the names of GPUs' device files begin with: those of drivers that are a part of Linux (`dri/renderD128`), NVIDIA's,
/// AMD's for computing, Microsoft's, and those of telephones' and boards' GPUs.
const GPU_FILES: [&str; 10] = ["renderD", "nvidia", "nvhost", "nvgpu", "kfd", "dxg", "kgsl", "mali", "pvr", "galcore"];
/// The maker whose driver may make its device files only when it is asked.
const NVIDIA: &str = "0x10de";
/// What the variables begin with of someone who wants Vulkan's drivers asked.
const ASKING: [&str; 2] = ["VK_", "VN_"];
/// What the variables begin with by which drivers are found.
const FINDING: [&str; 12] =
    ["LD_", "XDG_DATA", "XDG_CONFIG", "HOME", "DISPLAY", "WAYLAND", "MESA", "LIBGL", "GALLIUM", "EGL", "NVIDIA", "__"];

/// The best adapter that does not compute on the CPU, if there is one.
pub fn hardware(store: &dyn Store) -> Option<Adapter> {
    let state = if cfg!(target_os = "linux") { state(Path::new("/"), std::env::vars_os()) } else { None };
    unless_absent(store, state, || adapters(None).into_iter().find(|adapter| !adapter.is_software()))
}

/// Has the machine searched the next time, because it has a GPU after all.
pub fn forget_absence(store: &dyn Store) {
    if store.load(NAME).is_some_and(|kept| !kept.is_empty()) {
        store.save(NAME, b"");
    }
}

/// What a search finds; it is left out where it found nothing in the same state before.
fn unless_absent<T>(store: &dyn Store, state: Option<String>, search: impl FnOnce() -> Option<T>) -> Option<T> {
    let Some(state) = state else { return search() };
    if store.load(NAME).is_some_and(|kept| kept == state.as_bytes()) {
        return None;
    }
    let found = search();
    if found.is_none() {
        store.save(NAME, state.as_bytes());
    }
    found
}

/// A digest of that by which a GPU comes; `None` where it is not known, or speaks of a GPU.
fn state(root: &Path, environment: impl Iterator<Item = (OsString, OsString)>) -> Option<String> {
    let start = fs::read_to_string(root.join("proc/sys/kernel/random/boot_id")).ok()?;
    let mut files = names(&root.join("dev"))?;
    if files.iter().any(|file| file == "dri") {
        files.extend(names(&root.join("dev/dri"))?);
    }
    let buses = root.join("sys/bus/pci/devices");
    let devices = names(&buses).unwrap_or_default();
    let is_nvidia = |device: &String| {
        fs::read_to_string(buses.join(device).join("vendor")).is_ok_and(|vendor| vendor.trim() == NVIDIA)
    };
    let mut variables: Vec<_> = environment.collect();
    let speaks_of_a_gpu = files.iter().any(|file| begins(file.as_ref(), &GPU_FILES))
        || devices.iter().any(is_nvidia)
        || variables.iter().any(|(name, _)| begins(name, &ASKING));
    if speaks_of_a_gpu {
        return None;
    }
    variables.retain(|(name, _)| begins(name, &FINDING));
    variables.sort();
    let all = format!("{} {start} {devices:?} {files:?} {variables:?}", env!("CARGO_PKG_VERSION"));
    Some(Sha256::digest(all).iter().map(|byte| format!("{byte:02x}")).collect())
}

fn begins(name: &OsStr, beginnings: &[&str]) -> bool {
    beginnings.iter().any(|beginning| name.as_encoded_bytes().starts_with(beginning.as_bytes()))
}

/// The names of what lies in a folder, in order.
fn names(folder: &Path) -> Option<Vec<String>> {
    let entries = fs::read_dir(folder).ok()?;
    let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    Some(names)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[derive(Default)]
    struct Kept(RefCell<Option<Vec<u8>>>);

    impl Store for Kept {
        fn load(&self, _: &str) -> Option<Vec<u8>> {
            self.0.borrow().clone()
        }

        fn save(&self, _: &str, bytes: &[u8]) {
            self.0.replace(Some(bytes.to_vec()));
        }
    }

    #[test]
    fn a_machine_is_searched_again_once_its_state_is_another_or_unknown() {
        let kept = Kept::default();
        let searched = |state: Option<&str>, found: Option<u32>| {
            let mut searched = false;
            let search = || {
                searched = true;
                found
            };
            let answer = unless_absent(&kept, state.map(str::to_owned), search);
            assert_eq!(answer, found.filter(|_| searched));
            searched
        };
        assert!(searched(Some("a"), None));
        assert!(!searched(Some("a"), None));
        assert!(searched(None, None), "the state is unknown");
        assert!(searched(Some("b"), Some(1)), "another state");
        assert!(searched(Some("b"), Some(1)), "what was found is not kept");
        assert!(!searched(Some("a"), Some(1)), "the first state is still known to have none");
        forget_absence(&kept);
        assert!(searched(Some("a"), Some(1)), "what was kept is forgotten");
    }

    #[test]
    fn another_start_device_or_variable_is_another_state_and_what_speaks_of_a_gpu_is_none() {
        let root = tempfile::tempdir().unwrap();
        let put = |file: &str, content: &str| {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        };
        let state_with = |variables: &[(&str, &str)]| {
            state(root.path(), variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))))
        };
        let known = |variables: &[(&str, &str)]| state_with(variables).expect("a state that is known");
        assert_eq!(state_with(&[]), None, "no start of the machine is known");
        put("proc/sys/kernel/random/boot_id", "today");
        assert_eq!(state_with(&[]), None, "no device files are known");
        put("dev/null", "");
        put("sys/bus/pci/devices/0000:00:01.0/vendor", "0x1d0f\n");
        let mut states = vec![known(&[])];
        assert_eq!(known(&[("PWD", "/somewhere"), ("TERM", "xterm")]), states[0], "another terminal");
        assert_eq!(known(&[("HOME", "/h"), ("EGL_X", "1")]), known(&[("EGL_X", "1"), ("HOME", "/h")]), "another order");
        for variable in FINDING {
            states.push(known(&[(variable, "")]));
            states.push(known(&[(variable, "/opt")]));
        }
        for file in ["sys/bus/pci/devices/0000:00:02.0/vendor", "dev/dri/card0", "dev/strange"] {
            put(file, "0x8086\n");
            states.push(known(&[]));
        }
        put("proc/sys/kernel/random/boot_id", "tomorrow");
        states.push(known(&[]));
        for (place, state) in states.iter().enumerate() {
            assert!(!states[..place].contains(state), "state {place} is one before");
        }
        for variable in ASKING {
            assert_eq!(state_with(&[(&format!("{variable}X"), "")]), None, "{variable}");
        }
        let in_dri = GPU_FILES.map(|file| format!("dev/dri/{file}0"));
        for file in GPU_FILES.map(|file| format!("dev/{file}0")).iter().chain(&in_dri) {
            put(file, "");
            assert_eq!(state_with(&[]), None, "{file}");
            fs::remove_file(root.path().join(file)).unwrap();
        }
        assert!(state_with(&[]).is_some());
        put("sys/bus/pci/devices/0000:00:02.0/vendor", &format!("{NVIDIA}\n"));
        assert_eq!(state_with(&[]), None, "an NVIDIA device");
    }
}
