//! `inspect`: show what is in a disk image, and what systemd would make of it.

use std::path::{Path, PathBuf};

use dmverity::ddi::{FoundSignature, ImageFacts, ImageSet, Images, LayerSidecar, Policy, Sidecars, SignatureContent};
use dmverity::signature::Signature;
use dmverity::{Fec, Layout, Params, ReadAt};
use serde::Serialize;

use super::disk::{against_policy, no_partitions_for_policy, read_table, unusable};
use super::image::{ImageFields, Spelling};
use super::media::Media;
use super::partitions::{PartitionFields, root_hash_name};
use super::shown;
use super::sign::CertificateFields;
use crate::arguments::Inspect;
use crate::escape::text_of;
use crate::failure::{Exit, Failure, Result};
use crate::output::Fields;
use crate::report::Report;

#[derive(Serialize)]
struct InspectFields {
    image: String,
    image_bytes: u64,
    /// `None` if there is no partition table.
    table: Option<TableFields>,
    partitions: Vec<PartitionFields>,
    images: Vec<SetFields>,
    /// The partitions of verity images that belong to none of them, by number.
    unmatched_partitions: Vec<u32>,
    /// Files next to the image that say something about it.
    sidecars: Vec<String>,
    policy: Option<PolicyFields>,
}

#[derive(Serialize)]
struct TableFields {
    sector_size: u32,
    disk_uuid: String,
}

/// Partitions that are one verity image.
#[derive(Serialize)]
struct SetFields {
    designator: &'static str,
    architecture: &'static str,
    data_partition: u32,
    verity_partition: u32,
    signature_partition: Option<u32>,
    /// `None` if the UUIDs have only its ends.
    root_hash: Option<String>,
    /// Whether the top of the tree has it; `None` if there is no tree, or nothing to compare with.
    tree_has_root_hash: Option<bool>,
    /// `None` if there is none that can be used.
    superblock: Option<ImageFields>,
    /// Why it cannot be used.
    superblock_error: Option<String>,
    signature: Option<SignatureFields>,
}

#[derive(Serialize)]
struct SignatureFields {
    /// `present`, `other_root_hash`, `empty` or `unusable`.
    state: &'static str,
    root_hash: Option<String>,
    certificate_fingerprint: Option<String>,
    /// The signer's certificate, if the signature has it.
    certificate: Option<CertificateFields>,
    /// The length of the signature itself.
    bytes: Option<usize>,
    /// What is wrong with the partition.
    error: Option<String>,
}

#[derive(Serialize)]
struct PolicyFields {
    policy: String,
    accepted: bool,
    /// The first reason against it.
    reason: Option<String>,
}

pub(crate) fn run(inspect: &Inspect) -> Result<Report> {
    let path = inspect.image.as_path();
    let media = Media::open(&inspect.web, [path])?;
    media.check([path])?;
    let file = media.reader(path)?;
    let file = &*file;
    let sidecars = existing_sidecars(path);
    let gpt = match read_table(path, file) {
        Ok(gpt) => gpt,
        Err(dmverity::ddi::Error::NoGpt) if !sidecars.is_empty() => return beside(inspect, &sidecars),
        Err(error) => return Err(unusable(path, &error)),
    };
    let images = Images::of(&gpt, file).map_err(|error| unusable(path, &error))?;
    let facts = ImageFacts::of(&gpt, file).map_err(|error| unusable(path, &error))?;
    let sets: Vec<Found<'_>> = images.sets().iter().map(|set| Found::of(set, file)).collect();
    let fields = InspectFields {
        image: shown(path),
        image_bytes: gpt.bytes(),
        table: Some(TableFields { sector_size: gpt.sector_size(), disk_uuid: gpt.disk_uuid().to_string() }),
        partitions: gpt.partitions().iter().map(PartitionFields::of).collect(),
        images: sets.iter().map(Found::fields).collect(),
        unmatched_partitions: images.unmatched().map(|partition| partition.number).collect(),
        sidecars: sidecars.iter().map(|path| shown(path)).collect(),
        policy: inspect.policy.as_ref().map(|policy| PolicyFields::of(policy, &facts)),
    };
    let text = fields.text(path, &sets);
    let refused = refused(&fields, path);
    let report = Report { warnings: fields.warnings(), ..Report::new(text, fields) };
    match refused {
        None => Ok(report),
        Some(failure) => Err(report.failed(failure)),
    }
}

/// The files next to an image that are there.
fn existing_sidecars(path: &Path) -> Vec<PathBuf> {
    // Nothing is looked for next to device nodes.
    if !path.is_file() {
        return Vec::new();
    }
    let layer = LayerSidecar::path_of(path);
    let sidecars = Sidecars::of(path);
    let all = sidecars.paths().into_iter().map(Path::to_owned).chain([layer]);
    all.filter(|path| path.exists()).collect()
}

/// A file system without partitions, with files next to it.
fn beside(inspect: &Inspect, sidecars: &[PathBuf]) -> Result<Report> {
    let path = inspect.image.as_path();
    if inspect.policy.is_some() {
        return Err(no_partitions_for_policy(path));
    }
    let fields = InspectFields {
        image: shown(path),
        image_bytes: dmverity::device_size(path)?,
        table: None,
        partitions: Vec::new(),
        images: Vec::new(),
        unmatched_partitions: Vec::new(),
        sidecars: sidecars.iter().map(|path| shown(path)).collect(),
        policy: None,
    };
    let text = fields.text(path, &[]);
    Ok(Report::new(text, fields))
}

/// An image of which systemd would use nothing.
fn refused(fields: &InspectFields, path: &Path) -> Option<Failure> {
    let verity = shown(&Sidecars::of(path).verity);
    if fields.sidecars.contains(&verity) {
        let failure = Failure::new(Exit::Permission, format!("{} has two hash trees.", text_of(path)));
        return Some(failure.hint(format!("it has partitions, and {verity} is next to it.")));
    }
    let reason = fields.policy.as_ref()?.reason.as_ref()?;
    Some(against_policy(reason))
}

/// An image, and what is in its verity partition.
struct Found<'s> {
    set: &'s ImageSet,
    layout: std::result::Result<(Params, Layout), dmverity::Error>,
    fec: Option<Fec>,
    tree_has_root_hash: Option<bool>,
}

impl<'s> Found<'s> {
    fn of(set: &'s ImageSet, file: &dyn ReadAt) -> Self {
        let load = |fec| set.params(file, fec).and_then(|params| Ok((params.clone(), Layout::new(&params)?)));
        let layout = load(None);
        let Ok((params, _)) = &layout else { return Self { set, layout, fec: None, tree_has_root_hash: None } };
        let tree = set.unverified_root_hash(params, file);
        let tree_has_root_hash = tree.zip(set.root_hash.as_ref()).map(|(tree, known)| tree == *known);
        // What cannot be read has no parity that could be shown.
        let fec = set.fec(params, file).ok().flatten();
        let layout = if fec.is_some() { load(fec) } else { layout };
        Self { set, layout, fec, tree_has_root_hash }
    }

    /// The fields that `dump` has of a superblock, and its text.
    fn superblock(&self) -> Option<(ImageFields, String)> {
        let (params, layout) = self.layout.as_ref().ok()?;
        let area = self.fec.and_then(|fec| layout.fec_area_on(fec.offset, true));
        let fields = ImageFields::new(layout, area.as_ref(), &Spelling::of(params));
        let title = format!("partition {}", self.set.verity.number);
        let text = fields.text(Path::new(&title), layout, area.as_ref(), None);
        Some((fields, text))
    }

    fn superblock_error(&self) -> Option<String> {
        let failure = Failure::from(self.layout.as_ref().err()?);
        Some(failure.lines.into_iter().take(1).chain(failure.hints).collect::<Vec<_>>().join(" "))
    }

    fn fields(&self) -> SetFields {
        let set = self.set;
        SetFields {
            designator: set.designator.name(),
            architecture: set.architecture.name(),
            data_partition: set.data.number,
            verity_partition: set.verity.number,
            signature_partition: set.signature.as_ref().map(|found| found.partition.number),
            root_hash: set.root_hash.as_ref().map(ToString::to_string),
            tree_has_root_hash: self.tree_has_root_hash,
            superblock: self.superblock().map(|(fields, _)| fields),
            superblock_error: self.superblock_error(),
            signature: set.signature.as_ref().map(SignatureFields::of),
        }
    }

    fn text(&self) -> String {
        let set = self.set;
        let mut fields = Fields::default();
        let signature = set.signature.as_ref().map(|found| format!(", signature {}", found.partition.number));
        fields.add(
            "Verity image",
            format!(
                "{}-{}: data {}, verity {}{}",
                set.designator,
                set.architecture,
                set.data.number,
                set.verity.number,
                signature.unwrap_or_default()
            ),
        );
        let root_hash = set.root_hash.as_ref().map(ToString::to_string);
        fields.add(
            root_hash_name(set.designator),
            root_hash.as_deref().unwrap_or("longer than two UUIDs, only its ends are known"),
        );
        match self.tree_has_root_hash {
            Some(true) => fields.add("Hash tree", "its top has the root hash"),
            Some(false) => fields.add("Hash tree", "its top has another root hash"),
            None => {}
        }
        if let Some(found) = &set.signature {
            SignatureFields::of(found).add_to(&mut fields);
        }
        let superblock = match (self.superblock(), self.superblock_error()) {
            (Some((_, text)), _) => text,
            (None, error) => {
                fields.add("Superblock", error.unwrap_or_default());
                String::new()
            }
        };
        format!("\n{}{superblock}", fields.into_text())
    }
}

impl SignatureFields {
    fn of(found: &FoundSignature) -> Self {
        let empty = Self {
            state: "empty",
            root_hash: None,
            certificate_fingerprint: None,
            certificate: None,
            bytes: None,
            error: None,
        };
        let (state, content) = match &found.content {
            SignatureContent::Signature(content) => ("present", content),
            SignatureContent::OtherRootHash(content) => ("other_root_hash", content),
            SignatureContent::Empty => return empty,
            SignatureContent::Unusable(why) => return Self { state: "unusable", error: Some(why.clone()), ..empty },
        };
        Self {
            state,
            root_hash: Some(content.root_hash.to_string()),
            certificate_fingerprint: content.fingerprint.map(hex::encode),
            certificate: certificate(&content.signature),
            bytes: Some(content.signature.len()),
            error: None,
        }
    }

    fn add_to(&self, fields: &mut Fields) {
        let bytes = self.bytes.unwrap_or_default();
        let root_hash = self.root_hash.as_deref().unwrap_or_default();
        let error = self.error.as_deref().unwrap_or_default();
        match self.state {
            "present" => fields.add("Signature", format!("{bytes} [bytes], not verified")),
            "other_root_hash" => fields.add("Signature", format!("of another root hash, {root_hash}")),
            "empty" => fields.add("Signature", "none yet, the partition is empty"),
            _ => fields.add("Signature", format!("cannot be used: {error}")),
        }
        if let Some(certificate) = &self.certificate {
            fields.add("Signer", &certificate.subject);
        }
        if let Some(fingerprint) = &self.certificate_fingerprint {
            fields.add("Certificate", format!("SHA-256 {fingerprint}"));
        }
    }
}

/// The certificate that a signature has, if it has one that can be read.
fn certificate(signature: &[u8]) -> Option<CertificateFields> {
    let signature = Signature::parse(signature).ok()?;
    signature.certificates().first().map(CertificateFields::new)
}

impl PolicyFields {
    fn of(policy: &Policy, facts: &ImageFacts) -> Self {
        let reason = policy.check(facts).err().map(|refusal| refusal.to_string());
        Self { policy: policy.to_string(), accepted: reason.is_none(), reason }
    }
}

impl InspectFields {
    fn text(&self, path: &Path, sets: &[Found<'_>]) -> String {
        let mut fields = Fields::titled(&format!("DISK IMAGE information for {}", text_of(path)));
        fields.add_bytes("Image size", self.image_bytes);
        if let Some(table) = &self.table {
            fields.add_bytes("Sector size", table.sector_size.into());
            fields.add("Disk UUID", &table.disk_uuid);
        } else {
            fields.add("Partitions", "none");
        }
        for partition in &self.partitions {
            partition.add_to(&mut fields);
        }
        for sidecar in &self.sidecars {
            fields.add("Next to it", sidecar);
        }
        let sets = sets.iter().map(Found::text).collect::<String>();
        let mut verdict = Fields::default();
        if let Some(policy) = &self.policy {
            verdict.add("Policy", &policy.policy);
            verdict.add("Verdict", policy.reason.as_deref().unwrap_or("the image agrees with it"));
        }
        let blank = if self.policy.is_some() { "\n" } else { "" };
        fields.into_text() + &sets + blank + &verdict.into_text()
    }

    fn warnings(&self) -> Vec<String> {
        let unmatched = self.unmatched_partitions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let unmatched = (!unmatched.is_empty())
            .then(|| format!("it is not known with which other partitions these belong together: {unmatched}."));
        let no_images = self.images.is_empty().then(|| "there is no verity image in it.".to_owned());
        unmatched.into_iter().chain(no_images).collect()
    }
}
