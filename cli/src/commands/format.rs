//! `format`: write a hash tree and its superblock.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use dmverity::Salt;
use nix::unistd::{AccessFlags, access};
use tempfile::NamedTempFile;
use uuid::Uuid;

use super::{Spelling, header};
use crate::arguments::Arguments;
use crate::failure::{Exit, Failure, Result, system_words};
use crate::{interruption, output};

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let (data, hash) = (arguments.path(0), arguments.path(1));
    let mut builder = arguments.params()?;
    if arguments.text_option("salt").is_none() {
        builder = builder.salt(Salt::random()?);
    }
    let uuid = uuid(arguments, hash)?;
    if let Some(uuid) = &uuid {
        builder = builder.uuid(uuid.value);
    }
    let root_hash_file = arguments.path_option("root-hash-file").as_deref().map(RootHashFile::check).transpose()?;
    let devices = arguments.devices(data, hash);
    let formatted = interruption::watched(arguments.threads()?, |work| dmverity::format(&devices, builder, work))?;

    let params = formatted.layout.params();
    if let Some(page_size) = dmverity::page_size().filter(|&page_size| params.data_block_size().bytes() > page_size) {
        output::warn(&format!("Kernel cannot activate device if data block size exceeds page size ({page_size})."));
    }
    if formatted.uncovered_bytes > 0 {
        output::warn(&format!("last {} bytes of data are not covered.", formatted.uncovered_bytes));
    }
    let spelling = Spelling {
        uuid: uuid.map(|uuid| uuid.text).unwrap_or_default(),
        algorithm: arguments.text_option("hash").unwrap_or_else(|| params.algorithm().to_string()),
    };
    let fec_area = formatted.fec_area.as_ref();
    output::print(&header(hash, &spelling, &formatted.layout, fec_area, Some(&formatted.root_hash)))?;
    match root_hash_file {
        None => Ok(()),
        Some(file) => file.write(&formatted.root_hash.to_string()),
    }
}

/// A UUID and the text it was given as, which is repeated as it is.
struct GivenUuid {
    value: Uuid,
    text: String,
}

/// The new image's UUID, given or random; none without superblock.
fn uuid(arguments: &Arguments, hash: &Path) -> Result<Option<GivenUuid>> {
    if arguments.flag("no-superblock") {
        return Ok(None);
    }
    let Some(text) = arguments.text_option("uuid") else {
        let value = Uuid::new_v4();
        return Ok(Some(GivenUuid { value, text: value.to_string() }));
    };
    // Only the form with four hyphens: what else the parser reads, other tools do not.
    match Uuid::try_parse(&text) {
        Ok(value) if value.to_string().eq_ignore_ascii_case(&text) => Ok(Some(GivenUuid { value, text })),
        _ => Err(Failure::new(
            Exit::Parameters,
            format!("Wrong VERITY UUID format provided on device {}.", hash.display()),
        )),
    }
}

/// Where the root hash goes. Whether it can be written is found out before the format.
struct RootHashFile {
    path: PathBuf,
    /// Something that is there and no regular file, such as `/dev/stdout`.
    special: bool,
}

impl RootHashFile {
    fn check(path: &Path) -> Result<Self> {
        let special = path.metadata().is_ok_and(|metadata| !metadata.is_file());
        // A link stays one: what it points to is replaced.
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let checked = if special {
            access(&path, AccessFlags::W_OK)
        } else {
            access(directory_of(&path), AccessFlags::W_OK | AccessFlags::X_OK)
        };
        match checked {
            Ok(()) => Ok(Self { path, special }),
            Err(errno) => Err(Failure::new(
                Exit::Parameters,
                format!("Cannot create root hash file {} for writing.", path.display()),
            )
            .hint(system_words(&errno.into()))),
        }
    }

    /// Writes the digits and no newline. A regular file appears whole or not at all, for its owner alone.
    fn write(&self, root_hash: &str) -> Result<()> {
        let written = if self.special {
            OpenOptions::new().write(true).open(&self.path).and_then(|mut file| file.write_all(root_hash.as_bytes()))
        } else {
            NamedTempFile::new_in(directory_of(&self.path)).and_then(|mut temporary| {
                temporary.write_all(root_hash.as_bytes())?;
                temporary.persist(&self.path)?;
                Ok(())
            })
        };
        written.map_err(|error| {
            Failure::new(Exit::Parameters, format!("Cannot write to root hash file {}.", self.path.display()))
                .hint(system_words(&error))
        })
    }
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
