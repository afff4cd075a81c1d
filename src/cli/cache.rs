//! The user's cache folder: what an engine measured, or that there is no GPU, kept from run to run. It may be removed at any time.

use std::path::PathBuf;

use etcetera::base_strategy::{BaseStrategy, choose_native_strategy};

use crate::engine::gpu::Store;
use crate::train::files::write_whole;

/// Names another folder; empty: nothing is kept.
const VARIABLE: &str = "GPU_MLP_CACHE_DIR";

/// `gpu-mlp` in the user's cache folder. Where it cannot be read or written, nothing is kept and nothing fails.
pub(super) struct Cache;

impl Cache {
    fn file(name: &str) -> Option<PathBuf> {
        let folder = match std::env::var_os(VARIABLE) {
            Some(folder) if folder.is_empty() => return None,
            Some(folder) => PathBuf::from(folder),
            None => choose_native_strategy().ok()?.cache_dir().join("gpu-mlp"),
        };
        Some(folder.join(name))
    }
}

impl Store for Cache {
    fn load(&self, name: &str) -> Option<Vec<u8>> {
        std::fs::read(Self::file(name)?).ok()
    }

    fn save(&self, name: &str, bytes: &[u8]) {
        let Some(file) = Self::file(name) else { return };
        let Some(folder) = file.parent() else { return };
        if std::fs::create_dir_all(folder).is_ok() {
            // Without it the next run measures again.
            let _ = write_whole(&file, bytes);
        }
    }
}
