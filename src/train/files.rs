//! Files that are written whole or not at all.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::model::ModelFile;
use crate::text::source::is_device;
use crate::{Error, Result};

/// How the names of files begin that are not whole yet.
pub(super) const UNFINISHED: &str = ".unfinished-";

/// Writes a file so that at any moment, power failure included, its path holds the old content or the new: a temporary
/// file beside it, fsync, rename, fsync of the folder. A link stays, and what it leads to is replaced. A device or a
/// pipe cannot be replaced and is written to; what is open already (`/dev/stdout`) is an error.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || match replaced(path)? {
        Some(file) => replace(&file, bytes),
        None => write_all(&mut OpenOptions::new().append(true).open(path)?, bytes),
    };
    write().map_err(|source| match source.kind() {
        std::io::ErrorKind::BrokenPipe => Error::Closed,
        _ => Error::file(path, "write", source),
    })
}

/// The file that is to be replaced, at the end of all links; `None` where nothing can be.
fn replaced(path: &Path) -> std::io::Result<Option<PathBuf>> {
    let found = match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        found => Some(found?),
    };
    let mut file = path.to_owned();
    loop {
        if is_open_file(&file) && (file.ends_with("1") || found.as_ref().is_some_and(std::fs::Metadata::is_file)) {
            // There the program's own words go as well, or something else writes.
            let reason = "it is the program's own output or a file that is open already. Name a file";
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, reason));
        }
        let Ok(link) = std::fs::read_link(&file) else { break };
        file = folder_of(&file).join(link);
    }
    Ok(found.is_none_or(|found| found.is_file() || found.is_dir()).then_some(file))
}

/// Whether a path is the system's name for a file that a program has open.
fn is_open_file(file: &Path) -> bool {
    folder_of(file).ends_with("fd") && ["/dev", "/proc"].iter().any(|folder| file.starts_with(folder))
}

fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn replace(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    fails(Fault::Create)?;
    // Made here, a file has the usual permissions of a new one, and an error does not name it.
    let make = |temporary: &Path| OpenOptions::new().write(true).create_new(true).open(temporary);
    let mut temporary = tempfile::Builder::new().prefix(UNFINISHED).make_in(folder_of(file), make)?;
    write_all(temporary.as_file_mut(), bytes)?;
    fails(Fault::Sync)?;
    temporary.as_file().sync_all()?;
    fails(Fault::Rename)?;
    temporary.persist(file).map_err(|error| error.error)?;
    fails(Fault::SyncFolder)?;
    #[cfg(unix)]
    File::open(folder_of(file))?.sync_all()?;
    Ok(())
}

/// Appends to a file, which is made where there is none.
pub(super) fn append(path: &Path, bytes: &[u8]) -> Result<()> {
    let append = || write_all(&mut OpenOptions::new().create(true).append(true).open(path)?, bytes);
    append().map_err(|source| Error::file(path, "write", source))
}

/// What was appended to a file is on the disk after this; a file that is not there has nothing.
pub(super) fn sync_appended(path: &Path) -> Result<()> {
    let sync = || {
        fails(Fault::SyncAppended)?;
        let file = OpenOptions::new().append(true).open(path)?;
        if file.metadata()?.is_file() { file.sync_data() } else { Ok(()) }
    };
    match sync() {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::file(path, "write", error)),
        _ => Ok(()),
    }
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
    SyncAppended,
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
    ModelFile::from_bytes(&read_whole(path, "a model file")?).map_err(|reason| Error::content(path, reason))
}

/// Reads a file whole. What cannot be that, a folder or a device without end, is no `expected`.
pub(crate) fn read_whole(path: &Path, expected: &str) -> Result<Vec<u8>> {
    if path.is_dir() {
        return Err(Error::content(path, format!("is a folder, not {expected}")));
    }
    if is_device(path) {
        return Err(Error::content(path, format!("is a device without end, not {expected}")));
    }
    std::fs::read(path).map_err(|source| Error::file(path, "read", source))
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

    #[test]
    fn an_error_names_the_file_that_was_asked_for_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        for file in ["absent/file", "."] {
            let error = write_whole(&folder.path().join(file), b"x").unwrap_err().to_string();
            assert!(!error.contains(UNFINISHED), "{error}");
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_link_stays_and_what_it_leads_to_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        std::fs::create_dir(place("elsewhere")).unwrap();
        for (link, to) in [("link", "elsewhere/file"), ("link to link", "link"), ("empty", "elsewhere/absent")] {
            std::os::unix::fs::symlink(to, place(link)).unwrap();
        }
        for (link, file) in
            [("link", "elsewhere/file"), ("link to link", "elsewhere/file"), ("empty", "elsewhere/absent")]
        {
            write_whole(&place(link), link.as_bytes()).unwrap();
            assert!(place(link).is_symlink());
            assert_eq!(std::fs::read(place(file)).unwrap(), link.as_bytes());
        }
        let files = |name: &str| std::fs::read_dir(place(name)).unwrap().count();
        assert_eq!((files("elsewhere"), files(".")), (2, 4));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_pipe_is_written_to_and_an_open_file_is_refused() {
        use std::io::Read;
        use std::os::fd::AsRawFd;
        let (mut reader, writer) = std::io::pipe().unwrap();
        let written = write_whole(Path::new(&format!("/dev/fd/{}", writer.as_raw_fd())), b"through a pipe");
        drop(writer);
        written.unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "through a pipe");

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "before").unwrap();
        let open = File::open(&path).unwrap();
        let by_number = |name: &str| PathBuf::from(format!("{name}/{}", open.as_raw_fd()));
        for name in [by_number("/dev/fd"), by_number("/proc/self/fd"), "/dev/stdout".into()] {
            let error = write_whole(&name, b"more").unwrap_err().to_string();
            assert!(error.contains("open already"), "{error}");
        }
        assert_eq!(std::fs::read(&path).unwrap(), b"before");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_device_without_end_is_no_model_file() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("model.safetensors");
        std::os::unix::fs::symlink("/dev/full", &link).unwrap();
        let error = write_whole(&link, b"x").unwrap_err().to_string();
        assert!(error.contains("model.safetensors: cannot write") && error.contains("Make room"), "{error}");
        let error = read_whole(&link, "a model file").unwrap_err().to_string();
        assert!(error.contains("a device without end, not a model file"), "{error}");
    }
}
