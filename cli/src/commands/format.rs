//! `format`: write a hash tree and its superblock.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use dmverity::{Formatted, ParamsBuilder, Salt, Seed, Work};
use nix::unistd::{AccessFlags, access};
use serde::Serialize;
use tempfile::NamedTempFile;
use uuid::Uuid;

use super::image::{ImageFields, PartitionUuids, Spelling};
use super::{check_devices, shown};
use crate::arguments::Arguments;
use crate::escape::text_of;
use crate::failure::{Exit, Failure, Result};
use crate::interruption;
use crate::report::Report;

#[derive(Serialize)]
struct FormatFields {
    data_device: String,
    hash_device: String,
    fec_device: Option<String>,
    #[serde(flatten)]
    image: ImageFields,
    root_hash: String,
    partition_uuids: Option<PartitionUuids>,
    /// Bytes at the end of the data device that no block covers.
    uncovered_bytes: u64,
    /// What `--append` has made of one file.
    appended: Option<AppendedFields>,
    /// What salt and UUID were derived from.
    seed: Option<String>,
}

#[derive(Serialize)]
struct AppendedFields {
    image_bytes: u64,
    padding_bytes: u64,
    /// Where an older hash area was that has been replaced.
    replaced: Option<u64>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Report> {
    let append = arguments.flag("append");
    let (data, hash) = (arguments.path(0), arguments.path(usize::from(!append)));
    if append && arguments.number("data-blocks")?.is_some_and(|blocks| blocks > 0) {
        return Err(Failure::usage("Option --append and --data-blocks cannot be used together."));
    }
    let builder = arguments.plain_params()?;
    // Devices that are not there are named before the algorithm and the UUID; files that will be created are not there yet.
    let fec = arguments.path_option("fec-device");
    check_devices(
        [Some(data), Some(hash).filter(|path| path.exists()), fec.as_deref().filter(|path| path.exists())]
            .into_iter()
            .flatten(),
    )?;
    let mut builder = arguments.with_algorithm(builder)?;
    let seed = seed(arguments, &builder)?;
    if arguments.text_option("salt").is_none() {
        builder = builder.salt(seed.as_ref().map_or_else(Salt::random, |seed| Ok(seed.salt()))?);
    }
    let uuid = uuid(arguments, hash, seed.as_ref())?;
    if let Some(uuid) = &uuid {
        builder = builder.uuid(uuid.value);
    }
    let root_hash_file = arguments.path_option("root-hash-file").as_deref().map(RootHashFile::check).transpose()?;
    let (formatted, fec_device, appended) = make(arguments, builder)?;
    let Formatted { layout, fec_area, root_hash, uncovered_bytes } = formatted;
    let params = layout.params();
    let spelling = Spelling {
        uuid: uuid.map(|uuid| uuid.text).unwrap_or_default(),
        algorithm: arguments.text_option("hash").unwrap_or_else(|| params.algorithm().to_string()),
    };
    let fields = FormatFields {
        data_device: shown(data),
        hash_device: shown(hash),
        fec_device: fec_device.as_deref().map(shown),
        image: ImageFields::new(&layout, fec_area.as_ref(), &spelling),
        root_hash: root_hash.to_string(),
        partition_uuids: PartitionUuids::of(&root_hash),
        uncovered_bytes,
        appended,
        seed: seed.map(|seed| seed.as_str().to_owned()),
    };
    let mut text = fields.image.text(hash, Some(&root_hash));
    if let Some(appended) = &fields.appended {
        text += &fields.image.offsets(Some(appended.image_bytes));
    }
    let mut warnings = Vec::new();
    if let Some(page_size) = dmverity::page_size().filter(|&page_size| params.data_block_size().bytes() > page_size) {
        warnings.push(format!("Kernel cannot activate device if data block size exceeds page size ({page_size})."));
    }
    if uncovered_bytes > 0 {
        warnings.push(format!("last {uncovered_bytes} bytes of data are not covered."));
    }
    if arguments.flag("partition-uuids") {
        match &fields.partition_uuids {
            Some(uuids) => text += &uuids.text(),
            None => warnings.push("no partition UUIDs follow from a root hash of 128 bits or less.".to_owned()),
        }
    }
    let mut report = Report { warnings, ..Report::new(text, fields) };
    if let Some(file) = root_hash_file {
        report.last = Some(Box::new(move || file.write(&root_hash.to_string())));
    }
    Ok(report)
}

/// Makes the image, in its files or in one; with where its parity went.
fn make(arguments: &Arguments, builder: ParamsBuilder) -> Result<(Formatted, Option<PathBuf>, Option<AppendedFields>)> {
    let data = arguments.path(0);
    if !arguments.flag("append") {
        let devices = arguments.devices(data, arguments.path(1));
        let format = |work: &Work<'_>| dmverity::format(&devices, builder, work);
        let formatted = interruption::watched(arguments, data, format)??;
        return Ok((formatted, devices.fec, None));
    }
    let fec = arguments.appended_fec(data)?;
    let append = |work: &Work<'_>| dmverity::append(data, builder, fec.as_ref(), work);
    let made = interruption::watched(arguments, data, append)??;
    let fields = AppendedFields {
        image_bytes: made.plan.hash_device_bytes,
        padding_bytes: made.plan.padding_bytes,
        replaced: made.replaced,
    };
    Ok((made.formatted, fec.map(|fec| fec.device.unwrap_or_else(|| data.to_owned())), Some(fields)))
}

/// What salt and UUID are derived from, if that is asked for.
fn seed(arguments: &Arguments, builder: &ParamsBuilder) -> Result<Option<Seed>> {
    if let Some(text) = arguments.text_option_exact("salt-seed")? {
        return Ok(Some(Seed::new(&text)?));
    }
    if !arguments.flag("deterministic") {
        return Ok(None);
    }
    let data = arguments.path(0);
    let params = if arguments.flag("append") {
        dmverity::plan_append(data, builder.clone(), None)?.layout.params().clone()
    } else {
        builder.clone().build(data, dmverity::device_size(data)?)?
    };
    Ok(Some(Seed::of_params(&params)))
}

/// A UUID and the text it was given as, which is repeated as it is.
struct GivenUuid {
    value: Uuid,
    text: String,
}

/// The new image's UUID, given, derived or random; none without superblock.
fn uuid(arguments: &Arguments, hash: &Path, seed: Option<&Seed>) -> Result<Option<GivenUuid>> {
    if arguments.flag("no-superblock") {
        return Ok(None);
    }
    let Some(text) = arguments.text_option("uuid") else {
        let value = seed.map_or_else(Uuid::new_v4, Seed::uuid);
        return Ok(Some(GivenUuid { value, text: value.to_string() }));
    };
    // Only the form with four hyphens: what else the parser reads, other tools do not.
    match Uuid::try_parse(&text) {
        Ok(value) if value.to_string().eq_ignore_ascii_case(&text) => Ok(Some(GivenUuid { value, text })),
        _ => Err(Failure::new(
            Exit::Parameters,
            format!("Wrong VERITY UUID format provided on device {}.", text_of(hash)),
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
                format!("Cannot create root hash file {} for writing.", text_of(path)),
            )
            .because(&errno.into())),
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
            Failure::new(Exit::Parameters, format!("Cannot write to root hash file {}.", text_of(&self.path)))
                .because(&error)
        })
    }
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
