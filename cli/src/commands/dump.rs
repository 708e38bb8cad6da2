//! `dump`: show what a superblock says.

use dmverity::{Devices, Layout, Params, RootHash};
use serde::Serialize;

use super::found::{self, Asked};
use super::image::{ImageFields, Spelling};
use super::media::Media;
use super::proof;
use super::sign::CertificateFields;
use super::source::Source;
use super::trust::Trust;
use super::{load, shown};
use crate::arguments::{Dump, HashOffset};
use crate::failure::Result;
use crate::output::Fields;
use crate::report::Report;

#[derive(Serialize)]
struct DumpFields {
    hash_device: String,
    fec_device: Option<String>,
    #[serde(flatten)]
    image: ImageFields,
    /// What the tree says, with `--root-hash` or a trusted signature.
    root_hash: Option<String>,
    /// The certificate of its signer; `None` without `--trusted` or `--ca`.
    signer: Option<CertificateFields>,
}

/// The warning about any root hash that comes from the hash device.
const NOT_VERIFIED: &str = "the root hash was computed from the hash tree alone; nothing was verified.";

pub(crate) fn run(dump: &Dump) -> Result<Report> {
    let Dump { hash, image: options, .. } = dump;
    let media = Media::open(&dump.web, [Some(hash.as_path()), options.fec.device.as_deref()].into_iter().flatten())?;
    media.check([hash.as_path()])?;
    let trust = Trust::read(&dump.trust)?;
    let Dumped { source, params, signature } = dumped(dump, &media)?;
    let layout = Layout::new(&params)?;
    let is_wanted = dump.root_hash || trust.is_some();
    let opened = (is_wanted || source.fec().is_some()).then(|| source.open()).transpose()?;
    let fec_area = opened.as_ref().filter(|_| source.fec().is_some()).and_then(|opened| opened.fec_area(&layout));
    let image = ImageFields::new(&layout, fec_area.as_ref(), &Spelling::of(&params));
    let root_hash = opened.filter(|_| is_wanted).map(|opened| opened.unverified_root_hash(&params)).transpose()?;
    let signed = root_hash.as_ref().zip(trust.as_ref());
    let verified =
        signed.map(|(root_hash, trust)| proof::signed(trust, dump.signature.as_ref(), root_hash, signature.as_deref()));
    let verified = verified.transpose()?;
    let mut text = image.text(hash, &layout, fec_area.as_ref(), root_hash.as_ref());
    if options.hash_offset.is_auto() {
        text += &image.offsets(None);
    }
    if dump.tree {
        text += "\n";
        text += &image.tree();
    }
    let fields = DumpFields {
        hash_device: shown(hash),
        fec_device: source.fec().map(shown),
        image,
        root_hash: root_hash.as_ref().map(RootHash::to_string),
        signer: verified.as_ref().map(|verified| CertificateFields::new(verified.signer())),
    };
    let mut warnings = Vec::from_iter(root_hash.map(|_| NOT_VERIFIED.to_owned()));
    if let Some(verified) = &verified {
        let mut lines = Fields::default();
        lines.add("Signed by", verified.signer().subject());
        text += &lines.into_text();
        warnings.extend(verified.warnings().iter().cloned());
    }
    Ok(Report { warnings, ..Report::new(text, fields) })
}

/// What is dumped, and where it is.
struct Dumped {
    source: Source,
    params: Params,
    /// The signature that is stored with it.
    signature: Option<Vec<u8>>,
}

/// The superblock on the hash device, or that of a complete image.
fn dumped(dump: &Dump, media: &Media) -> Result<Dumped> {
    let Dump { hash, image: options, choice, .. } = dump;
    let on_device = || {
        let params = load(media, options, media.hash_offset(options.hash_offset, hash)?, None, hash)?;
        // Nothing is read of the data.
        let devices = Devices { data: hash.clone(), hash: hash.clone(), fec: options.fec.device.clone() };
        Ok(Dumped { source: Source::Devices(devices, media.clone()), params, signature: None })
    };
    if !matches!(options.hash_offset, HashOffset::At(0)) || media.load(hash, 0, None).is_ok() {
        return on_device();
    }
    let found = found::look(hash, &Asked { options, choice, policy: None, root_hash: None, media })?;
    found.map_or_else(on_device, |found| {
        let signature = found.signature.map(|signature| signature.bytes);
        Ok(Dumped { source: found.source, params: found.params, signature })
    })
}
