//! Where `format` writes the root hash, for `--root-hash-file`, and `sign` a signature. Whether it can be written is
//! found out before anything else is.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{Error as SystemError, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};

use crate::escape::text_of;
use crate::failure::{Exit, Failure, Result};
use crate::whole_file::{self, directory_of};
use crate::{output, streams};

/// How many links are followed.
const MOST_LINKS: usize = 40;

/// What is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    RootHash,
    Signature,
    /// What containerd reads about a layer.
    Layer,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::RootHash => "root hash",
            Self::Signature => "signature",
            Self::Layer => "layer",
        }
    }

    /// The mode of a new file, before the umask: a root hash is for its owner alone, and a signature for everyone who
    /// opens the image.
    fn mode(self) -> u32 {
        match self {
            Self::RootHash => whole_file::PRIVATE,
            Self::Signature | Self::Layer => whole_file::PUBLIC,
        }
    }
}

/// A place for a root hash or a signature.
pub(crate) struct RootHashFile {
    kind: Kind,
    /// As it was given.
    path: PathBuf,
    target: Target,
}

enum Target {
    Stdout,
    Stderr,
    /// A file or device that is there, or another stream that this command was started with.
    Open(File),
    /// An existing regular file: it keeps its owner, mode and names, and loses its contents.
    Existing(File),
    /// A named pipe: opening it may have to wait for its reader.
    Pipe(PathBuf),
    /// A file that appears complete or not at all.
    New(PathBuf),
}

/// What a path leads to.
enum Place {
    /// A descriptor of this process.
    Stream(i32),
    Path(PathBuf),
}

impl RootHashFile {
    /// Checks that a root hash or signature can be written to `path`, and that this would not overwrite a device of the
    /// image, or another input. Nothing is written or created.
    pub(crate) fn check(path: PathBuf, kind: Kind, devices: &[(&str, &Path)]) -> Result<Self> {
        let cannot_create = |path| cannot_create(kind, path);
        let failed = |error: &SystemError| cannot_create(&path).because(error);
        let place = place_of(&path);
        let shown = match &place {
            Place::Stream(number) => Path::new("/proc/self/fd").join(number.to_string()),
            Place::Path(path) => path.clone(),
        };
        let is_device = |(_, device): &&(&str, &Path)| {
            dmverity::dm::is_stored_together(&shown, device) || is_same_name(&shown, device)
        };
        if let Some((what, _)) = devices.iter().find(is_device) {
            let noun = if kind == Kind::RootHash { "device" } else { "file" };
            return Err(cannot_create(&path).hint(format!("it is the {what} {noun}.")));
        }
        let target = match place {
            Place::Stream(number) => stream(number).map_err(|error| failed(&error))?,
            Place::Path(place) if is_new(&place).map_err(|error| failed(&error))? => {
                if dmverity::is_among_device_nodes(directory_of(&place)) {
                    return Err(
                        cannot_create(&path).hint("veritysetup creates no files in a directory of device nodes.")
                    );
                }
                check_creatable(&place).map_err(|error| failed(&error))?;
                Target::New(place)
            }
            Place::Path(place) => match existing(place.clone()).map_err(|error| failed(&error))? {
                // No reader takes half a signature.
                Target::Existing(_) if kind == Kind::Signature => {
                    check_creatable(&place).map_err(|error| failed(&error))?;
                    Target::New(place)
                }
                target => target,
            },
        };
        Ok(Self { kind, path, target })
    }

    /// Whether it goes to a regular file.
    pub(crate) fn is_file(&self) -> bool {
        matches!(self.target, Target::Existing(_) | Target::New(_))
    }

    /// Writes the bytes: digits and no newline, or DER.
    pub(crate) fn write(self, bytes: &[u8]) -> Result<()> {
        let written = match self.target {
            Target::Stdout => return output::print_bytes(bytes),
            Target::Stderr => output::write_error(bytes),
            Target::Open(mut file) => file.write_all(bytes),
            Target::Existing(file) => file.write_all_at(bytes, 0).and_then(|()| file.set_len(bytes.len() as u64)),
            Target::Pipe(path) => OpenOptions::new().write(true).open(path).and_then(|mut pipe| pipe.write_all(bytes)),
            Target::New(path) => whole_file::write(&path, bytes, self.kind.mode()),
        };
        written.map_err(|error| {
            let line = format!("Cannot write to {} file {}.", self.kind.name(), text_of(&self.path));
            Failure::new(Exit::Parameters, line).because(&error)
        })
    }
}

/// Whether a path leads to standard output.
pub(crate) fn is_stdout(path: &Path) -> bool {
    matches!(place_of(path), Place::Stream(1))
}

fn cannot_create(kind: Kind, path: &Path) -> Failure {
    let kind = kind.name();
    Failure::new(Exit::Parameters, format!("Cannot create {kind} file {} for writing.", text_of(path)))
}

fn stream(number: i32) -> std::io::Result<Target> {
    let file = streams::inherited(number)?;
    Ok(match number {
        1 => Target::Stdout,
        2 => Target::Stderr,
        _ => Target::Open(file),
    })
}

fn existing(path: PathBuf) -> std::io::Result<Target> {
    let kind = path.metadata()?.file_type();
    if kind.is_fifo() {
        access(&path, AccessFlags::W_OK)?;
        return Ok(Target::Pipe(path));
    }
    let file = OpenOptions::new().write(true).open(&path)?;
    Ok(if kind.is_file() { Target::Existing(file) } else { Target::Open(file) })
}

/// Whether there is nothing at a path whose links have been followed.
fn is_new(path: &Path) -> std::io::Result<bool> {
    match path.metadata() {
        Ok(_) => Ok(false),
        // The name of a directory does not become a file.
        Err(_) if path.as_os_str().as_bytes().ends_with(b"/") => Err(Errno::EISDIR.into()),
        Err(error) if error.raw_os_error() == Some(Errno::ENOENT as i32) && !path.as_os_str().is_empty() => Ok(true),
        Err(error) => Err(error),
    }
}

/// Tries to create a file without a name, if the file system supports that.
fn check_creatable(path: &Path) -> std::io::Result<()> {
    let directory = directory_of(path);
    access(directory, AccessFlags::W_OK | AccessFlags::X_OK)?;
    tempfile::tempfile_in(directory).map(drop)
}

/// Where a path leads: links are followed up to a descriptor of this process, which must not be opened again.
fn place_of(path: &Path) -> Place {
    let mut path = match path.to_str() {
        // Even if there is no /proc.
        Some("-" | "/dev/stdout") => return Place::Stream(1),
        Some("/dev/stderr") => return Place::Stream(2),
        _ => path.to_owned(),
    };
    for _ in 0..MOST_LINKS {
        let name = path.file_name().map(OsStr::to_owned);
        let (Ok(directory), Some(name)) = (directory_of(&path).canonicalize(), name) else { break };
        if is_of_descriptors(&directory)
            && let Some(number) = name.to_str().and_then(|name| name.parse().ok())
        {
            return Place::Stream(number);
        }
        match path.read_link() {
            Ok(target) => path = directory.join(target),
            Err(_) => break,
        }
    }
    Place::Path(path)
}

/// Whether it is `/proc/self/fd`, or the same of a thread of this process.
fn is_of_descriptors(directory: &Path) -> bool {
    let is_named = directory.file_name().is_some_and(|name| name == "fd") && directory.starts_with("/proc");
    let own = Path::new("/proc").join(std::process::id().to_string());
    is_named && directory.starts_with(own)
}

/// Whether both are names of one file, which need not exist.
fn is_same_name(one: &Path, other: &Path) -> bool {
    let whole = |path: &Path| Some((directory_of(path).canonicalize().ok()?, path.file_name()?.to_owned()));
    whole(one).is_some_and(|one| whole(other) == Some(one))
}
