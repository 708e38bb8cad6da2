//! `open`: make an image available as a mapping.

use std::ffi::OsStr;

use dmverity::dm::{ActivateOptions, Error, MappingName, NameFault, find};
use dmverity::messages::{CORRUPTED_AT_ONCE, of_silent_udev};
use serde::Serialize;

use super::existing::{Image, image_to_check};
use super::sign::CertificateFields;
use super::{check_root, requested_signature, shown};
use crate::arguments::Open;
use crate::escape::text_of;
use crate::failure::{Failure, Result};
use crate::kernel_options::KernelOption;
use crate::refused::option_fields;
use crate::report::{RefusedOptionFields, Report};

/// A mapping that was made.
#[derive(Serialize)]
struct OpenFields {
    name: String,
    node: String,
    /// `MAJOR:MINOR`.
    device: String,
    hash_offset: u64,
    root_hash: String,
    /// The signer of the root hash, or of the manifest that has it; `None` without `--trusted` or `--ca`.
    signer: Option<CertificateFields>,
    requested_table: String,
    table: String,
    /// What the kernel refused; the image was opened without it.
    dropped: Vec<RefusedOptionFields>,
    corrupted: bool,
}

pub(crate) fn run(open: &Open) -> Result<Report> {
    let Open { image, kernel, .. } = open;
    let name = new_name(&open.mapping)?;
    let Image { source, params, root_hash, stored_signature, signer, mut warnings } = image_to_check(image)?;

    let options = ActivateOptions {
        flags: kernel.flags.clone(),
        root_hash_signature: requested_signature::requested(image.signature.as_ref(), stored_signature.as_deref())?,
        shared: open.shared,
        no_fallback: open.no_fallback,
    };
    let image = source.open().map_err(Error::from);
    let opened = image.and_then(|image| image.activate(&name, &params, &root_hash, &options));
    warnings.extend(kernel.overridden.clone());
    let activation = match opened {
        Ok(activation) => activation,
        Err(error) => {
            let is_signature = matches!(&error, Error::TableRefused(table) if table.signature_fault().is_some());
            let signature = options.root_hash_signature.as_deref().filter(|_| is_signature);
            let why = signature.map(|signature| requested_signature::why_refused(signature, &root_hash));
            let report = Report { warnings, ..Report::default() };
            return Err(report.failed(Failure::from(error).hints(why.into_iter().flatten())));
        }
    };
    let fields = OpenFields {
        name: name.to_string(),
        node: shown(&name.node()),
        device: format!("{}:{}", activation.device.0, activation.device.1),
        hash_offset: params.hash_offset(),
        root_hash: root_hash.to_string(),
        signer,
        requested_table: activation.requested.to_string(),
        table: activation.table.to_string(),
        dropped: activation.dropped.iter().map(option_fields).collect(),
        corrupted: activation.corrupted,
    };
    for dropped in &activation.dropped {
        let option = KernelOption::of(dropped.option).option;
        warnings.push(format!("kernel does not support {option}; the image was opened without it."));
    }
    if activation.udev_silent {
        warnings.push(of_silent_udev(&name));
    }
    if open.check_root {
        check_root::check(&name, &source, &params, &root_hash).map_err(|failure| {
            let report = Report { warnings: warnings.clone(), ..Report::default() };
            report.failed(failure)
        })?;
    }
    let mut notes = Vec::new();
    if activation.corrupted {
        notes.push(CORRUPTED_AT_ONCE.to_owned());
        let hints = check_root::about_zeros(&source, &params, &root_hash);
        notes.extend(hints.into_iter().map(|hint| format!("hint: {hint}")));
    }
    Ok(Report { notes, warnings, ..Report::new("", fields) })
}

/// The name of the mapping that is to be made: not a path, and not that of a mapping either, which exists.
fn new_name(word: &OsStr) -> Result<MappingName> {
    MappingName::new(word).map_err(|error| match (&error, find(word)) {
        (Error::MappingName { what: NameFault::Slash, .. }, Ok(Some(_))) => {
            Error::MappingExists { name: text_of(word), unfinished: false }.into()
        }
        _ => error.into(),
    })
}
