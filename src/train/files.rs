//! Files that are written whole or not at all.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use crate::model::ModelFile;
use crate::{Error, Result};

/// How the names of files begin that are not whole yet.
pub(super) const UNFINISHED: &str = ".unfinished-";

/// Writes a file so that at any moment, power failure included, its path holds the old content or the new: a temporary
/// file beside it, fsync, rename, fsync of the folder.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut builder = tempfile::Builder::new();
        builder.prefix(UNFINISHED);
        #[cfg(unix)]
        {
            // The usual permissions of a new file, less the user's umask, not those of a secret.
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        fails(Fault::Create)?;
        let mut file = builder.tempfile_in(folder)?;
        write_all(file.as_file_mut(), bytes)?;
        fails(Fault::Sync)?;
        file.as_file().sync_all()?;
        fails(Fault::Rename)?;
        file.persist(path).map_err(|error| error.error)?;
        fails(Fault::SyncFolder)?;
        #[cfg(unix)]
        File::open(folder)?.sync_all()?;
        Ok(())
    };
    write().map_err(|source| Error::file(path, "write", source))
}

/// Appends to a file, which is made where there is none.
pub(super) fn append(path: &Path, bytes: &[u8]) -> Result<()> {
    let append = || write_all(&mut OpenOptions::new().create(true).append(true).open(path)?, bytes);
    append().map_err(|source| Error::file(path, "write", source))
}

/// Writes all bytes, or in a test a part of them.
fn write_all(file: &mut File, bytes: &[u8]) -> std::io::Result<()> {
    if let Err(error) = fails(Fault::Write) {
        file.write_all(&bytes[..bytes.len() / 2])?;
        return Err(error);
    }
    file.write_all(bytes)
}

/// Where the writing of a file can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Create,
    Write,
    Sync,
    Rename,
    SyncFolder,
}

/// The error that a test wants here.
#[cfg(test)]
use super::crashes::fails;

#[cfg(not(test))]
#[inline(always)]
fn fails(_: Fault) -> std::io::Result<()> {
    Ok(())
}

/// Reads a model file whole and checks it.
pub fn read_model(path: &Path) -> Result<ModelFile> {
    if path.is_dir() {
        return Err(Error::content(path, "is a folder, not a model file"));
    }
    let bytes = std::fs::read(path).map_err(|source| Error::file(path, "read", source))?;
    ModelFile::from_bytes(&bytes).map_err(|reason| Error::content(path, reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write_whole(&path, b"old").unwrap();
        write_whole(&path, b"new content").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new content");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error_that_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let error = write_whole(&folder.path().join("absent/file"), b"x").unwrap_err().to_string();
        assert!(error.contains("absent/file: cannot write"), "{error}");
    }
}
