//! `build`: make a disk image with file systems, their hash trees and room for signatures.

use std::fs::File;
use std::io::Error as SystemError;
use std::path::{Path, PathBuf};

use dmverity::ddi::{
    self, Architecture, BuiltImage, Designator, DiskImage, DiskPlan, FileSystem, ImagePlan, PartitionKind,
    SignaturePartition, SignatureSource, Signer, SignerError, Unsigned,
};
use dmverity::{Hashing, ReadAt, RootHash, Salt, Seed, Work};
use serde::Serialize;
use tempfile::NamedTempFile;
use uuid::Uuid;

use super::image::{ImageFields, Spelling};
use super::partitions::{PartitionFields, root_hash_name};
use super::signing::Signing;
use super::{open_device, shown};
use crate::arguments::Build;
use crate::escape::text_of;
use crate::failure::{Exit, Failure, Result};
use crate::interruption;
use crate::output::Fields;
use crate::report::Report;
use crate::root_hash_file::{Kind, RootHashFile};
use crate::whole_file::directory_of;

#[derive(Serialize)]
struct BuildFields {
    /// Whether nothing was written.
    dry_run: bool,
    output: String,
    image_bytes: u64,
    sector_size: u32,
    disk_uuid: String,
    partitions: Vec<PartitionFields>,
    images: Vec<BuiltFields>,
    /// What salts and UUIDs were derived from.
    seed: Option<String>,
}

#[derive(Serialize)]
struct BuiltFields {
    designator: &'static str,
    architecture: &'static str,
    file_system: String,
    root_hash: String,
    data_partition: u32,
    verity_partition: u32,
    signature_partition: Option<u32>,
    /// Zeros that filled the file system up to whole blocks.
    padding_bytes: u64,
    superblock: ImageFields,
}

/// A file system that goes into the image.
struct Input<'a> {
    designator: Designator,
    path: &'a Path,
    file: File,
    bytes: u64,
}

pub(crate) fn run(asked: &Build) -> Result<Report> {
    let inputs = inputs(asked)?;
    let output = output(asked, &inputs)?;
    let disk = disk(asked, &inputs)?;
    let plan = disk.plan().map_err(|error| failed(&asked.output, &error))?;
    let root_hash_file = root_hash_file(asked, &inputs)?;
    let mut signer = Signing::read(asked.signer.as_ref())?;
    let data: Vec<&dyn ReadAt> = inputs.iter().map(|input| &input.file as &dyn ReadAt).collect();
    let work = |work: &Work<'_>| {
        let made = if asked.dry_run {
            plan.dry_run(&data, work).map_err(Fault::Disk)
        } else {
            match &mut signer {
                Some(signer) => make(&plan, &data, &output, signer, work),
                None => make(&plan, &data, &output, &mut Unsigned, work),
            }
        };
        match made {
            // An interruption ends the command in its own way.
            Err(Fault::Disk(ddi::Error::Verity(error @ dmverity::Error::Cancelled))) => Err(error),
            made => Ok(made),
        }
    };
    let made = interruption::watched(&asked.work, &asked.output, work)??;
    let built = made.map_err(|fault| match fault {
        Fault::Disk(error) => failed(&asked.output, &error),
        Fault::Output(error) => cannot_create(&asked.output).because(&error),
    })?;
    let root_hash = built.first().map(|image| image.root_hash.to_string());
    let (text, fields) = report(asked, &inputs, &plan, &built);
    let mut report = Report::new(text, fields);
    if let (Some(file), Some(root_hash), false) = (root_hash_file, root_hash, asked.dry_run) {
        report.last = Some(Box::new(move || file.write(root_hash.as_bytes())));
    }
    Ok(report)
}

/// As systemd-repart does it: with the certificate in the signature, whose digest has parameters.
impl Signer for Signing {
    fn sign(&mut self, _: PartitionKind, root_hash: &RootHash) -> std::result::Result<SignaturePartition, SignerError> {
        let signature = Self::sign(self, root_hash, true)?;
        let fingerprint = Some(self.certificate.fingerprint());
        Ok(SignaturePartition { root_hash: root_hash.clone(), fingerprint, signature })
    }
}

/// What making the file failed with.
enum Fault {
    Disk(ddi::Error),
    Output(SystemError),
}

/// Makes the image under another name, which is gone again if anything fails.
fn make(
    plan: &DiskPlan,
    data: &[&dyn ReadAt],
    output: &Path,
    signer: &mut dyn Signer,
    work: &Work<'_>,
) -> std::result::Result<Vec<BuiltImage>, Fault> {
    let temporary = NamedTempFile::new_in(directory_of(output)).map_err(Fault::Output)?;
    let built = plan.build(data, temporary.as_file(), signer, work).map_err(Fault::Disk)?;
    temporary.persist(output).map_err(|error| Fault::Output(error.error))?;
    Ok(built)
}

fn inputs(asked: &Build) -> Result<Vec<Input<'_>>> {
    let paths = [(Designator::Root, &asked.root), (Designator::Usr, &asked.usr)];
    let given = paths.into_iter().filter_map(|(designator, path)| Some((designator, path.as_deref()?)));
    given
        .map(|(designator, path)| {
            let bytes = dmverity::device_size(path)?;
            Ok(Input { designator, path, file: open_device(path)?, bytes })
        })
        .collect()
}

/// Where the image will be. Everything that can be checked is.
fn output(asked: &Build, inputs: &[Input<'_>]) -> Result<PathBuf> {
    let refused = |why: &str| Err(cannot_create(&asked.output).hint(why));
    // A link stays one.
    let output = asked.output.canonicalize().unwrap_or_else(|_| asked.output.clone());
    if output.exists() && !output.is_file() {
        return refused("it is not a regular file.");
    }
    if dmverity::is_among_device_nodes(directory_of(&output)) {
        return refused("veritysetup creates no files in a directory of device nodes.");
    }
    if inputs.iter().any(|input| dmverity::is_same_device(&output, input.path)) {
        return refused("it is one of the file systems.");
    }
    let writable = nix::unistd::access(directory_of(&output), nix::unistd::AccessFlags::W_OK);
    if let Err(error) = writable.map_err(SystemError::from) {
        return Err(cannot_create(&asked.output).because(&error));
    }
    Ok(output)
}

fn root_hash_file(asked: &Build, inputs: &[Input<'_>]) -> Result<Option<RootHashFile>> {
    let Some(path) = asked.root_hash_file.clone() else { return Ok(None) };
    let mut devices = vec![("output", asked.output.as_path())];
    devices.extend(inputs.iter().map(|input| (input.designator.name(), input.path)));
    RootHashFile::check(path, Kind::RootHash, &devices).map(Some)
}

/// What the options say about the image.
fn disk(asked: &Build, inputs: &[Input<'_>]) -> Result<DiskImage> {
    let uuid = match (&asked.image.uuid, &asked.salt_seed) {
        (Some(text), _) => Some(Uuid::parse_str(text).map_err(|_| {
            Failure::new(Exit::Parameters, "Wrong UUID format provided.").hint(format!("{text} is not a UUID."))
        })?),
        (None, Some(_)) => None,
        (None, None) => Some(Uuid::new_v4()),
    };
    // Without a seed, what else needs a UUID has one that follows from this one.
    let text = asked.salt_seed.clone().or(uuid.map(|uuid| uuid.to_string())).unwrap_or_default();
    let mut disk = DiskImage::new(&Seed::new(&text)?);
    if asked.min_size {
        disk.alignment = DiskImage::MIN_ALIGNMENT;
    }
    if let Some(bytes) = asked.sector_size {
        disk.sector_size = u32::try_from(bytes).unwrap_or(u32::MAX);
    }
    let architecture = asked.architecture.or_else(Architecture::local).ok_or_else(|| {
        Failure::new(Exit::Parameters, "This processor's architecture has no partition types.")
            .hint("name another one with --arch.")
    })?;
    for (index, input) in inputs.iter().enumerate() {
        let hashing = hashing(asked, uuid.filter(|_| index == 0), &disk.hashing(input.designator))?;
        let file_system =
            FileSystem { hashing: Some(hashing), ..FileSystem::new(input.designator, architecture, input.bytes) };
        let signature = match (asked.defer_signature, &asked.signer) {
            (true, _) => SignatureSource::Deferred,
            (false, Some(_)) => SignatureSource::Signer,
            (false, None) => SignatureSource::None,
        };
        disk.add(file_system, asked.image.fec.given_roots(), signature);
    }
    Ok(disk)
}

/// How a file system is hashed; `derived` is what follows from the seed.
fn hashing(asked: &Build, uuid: Option<Uuid>, derived: &Hashing) -> Result<Hashing> {
    let salt = match &asked.salt_seed {
        Some(_) => derived.salt.clone(),
        None => Salt::random()?,
    };
    let uuid = uuid.or(derived.uuid);
    let hashing = asked.image.plain_hashing(Hashing { salt, ..derived.clone() })?;
    // A partition has its superblock in any case.
    Ok(Hashing { uuid, ..asked.image.with_algorithm(hashing)? })
}

fn report(asked: &Build, inputs: &[Input<'_>], plan: &DiskPlan, built: &[BuiltImage]) -> (String, BuildFields) {
    let images = inputs.iter().zip(&plan.images).zip(built);
    let fields = BuildFields {
        dry_run: asked.dry_run,
        output: shown(&asked.output),
        image_bytes: plan.bytes,
        sector_size: plan.sector_size,
        disk_uuid: plan.disk_uuid.to_string(),
        partitions: built.iter().flat_map(BuiltImage::partitions).map(PartitionFields::of).collect(),
        images: images.map(|((input, plan), built)| BuiltFields::of(asked, input, plan, built)).collect(),
        seed: asked.salt_seed.clone(),
    };
    let mut text = Fields::titled(&format!("DISK IMAGE information for {}", text_of(&asked.output)));
    text.add_bytes("Image size", fields.image_bytes);
    text.add_bytes("Sector size", fields.sector_size.into());
    text.add("Disk UUID", &fields.disk_uuid);
    for partition in &fields.partitions {
        partition.add_to(&mut text);
    }
    for (input, image) in inputs.iter().zip(&fields.images) {
        text.add(root_hash_name(input.designator), &image.root_hash);
    }
    (text.into_text(), fields)
}

impl BuiltFields {
    fn of(asked: &Build, input: &Input<'_>, plan: &ImagePlan, built: &BuiltImage) -> Self {
        let params = plan.layout.params();
        let spelling = Spelling::of(params);
        let spelling = Spelling { algorithm: asked.image.hash.clone().unwrap_or(spelling.algorithm), ..spelling };
        Self {
            designator: input.designator.name(),
            architecture: plan.kind.architecture.name(),
            file_system: shown(input.path),
            root_hash: built.root_hash.to_string(),
            data_partition: built.data.number,
            verity_partition: built.verity.number,
            signature_partition: built.signature.as_ref().map(|partition| partition.number),
            padding_bytes: params.data_bytes() - plan.file_system_bytes,
            superblock: ImageFields::new(&plan.layout, plan.fec_area.as_ref(), &spelling),
        }
    }
}

fn cannot_create(output: &Path) -> Failure {
    Failure::new(Exit::Parameters, format!("Cannot create disk image {}.", text_of(output)))
}

/// What is wrong with the image that was to be made.
fn failed(output: &Path, error: &ddi::Error) -> Failure {
    match error {
        ddi::Error::Verity(dmverity::Error::Io { source, .. }) | ddi::Error::Io { source, .. } => {
            cannot_create(output).because(source)
        }
        ddi::Error::Verity(error) => Failure::from(error),
        ddi::Error::Build { why } => cannot_create(output).hint(format!("{why}.")),
        error => cannot_create(output).hint(format!("{error}.")),
    }
}
