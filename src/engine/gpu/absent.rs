//! That a machine has no hardware GPU, kept from one run of the program to the next. To ask, every driver that is installed
//! is loaded, which takes 30 ms of the 45 in which twenty names are drawn on a machine without a GPU.
//!
//! What was kept holds as long as nothing has changed by which a GPU can come: the start of the machine, the names of its
//! device files and of its Vulkan drivers, the environment. Nothing is kept where one of the device files belongs to a
//! GPU, because a driver that fails today may be mended tomorrow, nor on a system other than Linux.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::Store;
use super::adapters::{Adapter, adapters};

/// The name under which it is kept.
const NAME: &str = "no-gpu.txt";
/// What the names of GPUs' device files begin with: NVIDIA's, AMD's, Microsoft's and those of telephones' and boards'
/// GPUs. A GPU of any maker whose driver is a part of Linux has `dri/renderD128`.
const GPU_FILES: [&str; 9] = ["nvidia", "nvhost", "nvgpu", "kfd", "dxg", "kgsl", "mali", "pvr", "renderD"];
/// Where the descriptions of Vulkan drivers lie that are installed for everybody.
const DRIVERS: [&str; 3] = ["usr/share/vulkan/icd.d", "usr/local/share/vulkan/icd.d", "etc/vulkan/icd.d"];
/// What a shell changes from command to command.
const CHANGING: [&str; 4] = ["_", "PWD", "OLDPWD", "SHLVL"];

/// The best adapter that does not compute on the CPU, if there is one.
pub fn hardware(store: &dyn Store) -> Option<Adapter> {
    let search = || adapters(None).into_iter().find(|adapter| !adapter.is_software());
    unless_absent(store, state(Path::new("/"), std::env::vars_os()), search)
}

/// Has the machine searched the next time, because a search that asked for all adapters found hardware.
pub fn forget_absence(store: &dyn Store) {
    if store.load(NAME).is_some() {
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

/// A digest of all that a GPU cannot come without changing; `None` where that is not known.
fn state(root: &Path, environment: impl Iterator<Item = (OsString, OsString)>) -> Option<String> {
    let start = fs::read_to_string(root.join("proc/sys/kernel/random/boot_id")).ok()?;
    let mut files = names(&root.join("dev"))?;
    files.extend(names(&root.join("dev/dri")).unwrap_or_default());
    if files.iter().any(|file| GPU_FILES.iter().any(|gpu| file.starts_with(gpu))) {
        return None;
    }
    let drivers = DRIVERS.map(|folder| names(&root.join(folder)));
    let mut environment: Vec<_> =
        environment.filter(|(name, _)| CHANGING.iter().all(|changing| name != changing)).collect();
    environment.sort();
    let all = format!("{} {start} {files:?} {drivers:?} {environment:?}", env!("CARGO_PKG_VERSION"));
    Some(Sha256::digest(all).iter().map(|byte| format!("{byte:02x}")).collect())
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
    fn a_gpu_cannot_come_without_another_state() {
        let root = tempfile::tempdir().unwrap();
        let put = |file: &str| {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        };
        let state_with = |pairs: &[(&str, &str)]| {
            state(root.path(), pairs.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))))
        };
        let known = |pairs: &[(&str, &str)]| state_with(pairs).expect("a state that is known");
        assert_eq!(state_with(&[]), None, "not Linux");
        put("proc/sys/kernel/random/boot_id");
        put("dev/null");
        let mut states = vec![known(&[])];
        assert_eq!(known(&[("PWD", "/somewhere"), ("_", "gpu-mlp")]), states[0], "another folder");
        states.push(known(&[("VK_DRIVER_FILES", "gpu.json")]));
        for file in ["etc/vulkan/icd.d/gpu.json", "usr/share/vulkan/icd.d/gpu.json", "dev/dri/card0", "dev/strange"] {
            put(file);
            states.push(known(&[]));
        }
        fs::write(root.path().join("proc/sys/kernel/random/boot_id"), "the next day").unwrap();
        states.push(known(&[]));
        for (place, state) in states.iter().enumerate() {
            assert!(!states[..place].contains(state), "state {place} is one before");
        }
        for file in ["dev/nvidia0", "dev/dri/renderD128", "dev/dxg"] {
            put(file);
            assert_eq!(state_with(&[]), None, "{file}");
            fs::remove_file(root.path().join(file)).unwrap();
        }
    }
}
