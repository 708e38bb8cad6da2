//! `table`: show the line that opens an image elsewhere.

use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use dmverity::boot::BootImage;
use dmverity::table::TableFlag;
use dmverity::{Error, Layout, RootHash, is_same_device};
use serde::Serialize;

use super::existing::{Image, image_to_check};
use super::image::PartitionUuids;
use super::shown;
use super::source::Source;
use crate::arguments::{Form, SignatureOption, Table};
use crate::escape::text_of;
use crate::failure::{Exit, Failure, Result};
use crate::report::Report;

/// The longest kernel command line on x86 and arm64, all parameters together.
const COMMAND_LINE_MAX: usize = 2048;

#[derive(Serialize)]
struct TableFields {
    form: &'static str,
    /// `None` if only the UUIDs were requested.
    line: Option<String>,
    hash_offset: u64,
    root_hash: String,
    partition_uuids: Option<PartitionUuids>,
}

pub(crate) fn run(table: &Table) -> Result<Report> {
    let Table { form, kernel, .. } = table;
    let Image { source, params, root_hash, stored_signature, mut warnings, .. } = image_to_check(&table.image)?;
    let layout = Layout::new(&params)?;
    let fields = |line| TableFields {
        form: form.name(),
        line,
        hash_offset: params.hash_offset(),
        root_hash: root_hash.to_string(),
        partition_uuids: PartitionUuids::of(&root_hash),
    };
    if matches!(form, Form::PartitionUuids) {
        let fields = fields(None);
        let text = fields.partition_uuids.as_ref().ok_or(Error::NoPartitionUuids)?.text();
        return Ok(Report { warnings, ..Report::new(text, fields) });
    }
    let is_one_file = source.is_one_file();
    if matches!(form, Form::Fit) && !is_one_file {
        return Err(Failure::new(Exit::Parameters, "A FIT image has data and hash tree in one file.")
            .hint("name that file twice, with --hash-offset."));
    }
    let names = Names::new(table, &source, &root_hash)?;
    let mut image = BootImage::new(&layout, &root_hash);
    if let Some(name) = names.data {
        image = image.data_device(name);
    }
    if let Some(name) = names.hash {
        image = image.hash_device(name);
    }
    if let Some(name) = names.fec {
        image = image.fec(source.open()?.fec_area(&layout).ok_or(Error::FecDevice)?, name);
    }
    if let Some(signature) = signature(table, stored_signature.as_deref())? {
        image = image.signature(signature);
    }
    let mut flags = kernel.flags.clone();
    warnings.extend(kernel.overridden.clone());
    // It only affects speed.
    if form.is_for_systemd() && flags.remove(TableFlag::TryVerifyInTasklet) {
        warnings.push("systemd does not support --use-tasklets; the option was left out.".to_owned());
    }
    let image = image.flags(flags);
    let line = match form {
        Form::DmModCreate(name) => image.dm_mod_create(name)?,
        Form::Veritytab(name) => image.veritytab(name)?,
        Form::Cmdline => image.cmdline()?,
        Form::CmdlineUsr => image.cmdline_usr()?,
        Form::ChromeOs => image.chromeos()?,
        Form::Ipe => image.ipe()?,
        Form::Fit => image.fit()?,
        Form::Kata if is_one_file => image.kata_layer()?,
        Form::Kata => image.kata_guest()?,
        Form::Table | Form::PartitionUuids => image.table_line()?,
    };
    if form.is_on_kernel_cmdline() && line.len() > COMMAND_LINE_MAX {
        let length = line.len();
        warnings.push(format!(
            "the line has {length} bytes; many machines limit the kernel command line to {COMMAND_LINE_MAX}."
        ));
    }
    let text = format!("{line}\n");
    Ok(Report { warnings, ..Report::new(text, fields(Some(line))) })
}

/// The signature as the line holds it: the path where the line is read, or the signature itself.
fn signature(table: &Table, stored: Option<&[u8]>) -> Result<Option<String>> {
    let option = table.image.signature.as_ref();
    match option {
        Some(SignatureOption::File(path)) if !table.embed_signature => Ok(Some(text(path)?)),
        _ => Ok(super::requested_signature::requested(option, stored)?.map(|bytes| SignatureOption::base64(&bytes))),
    }
}

/// The names of the devices where the line is read; `None` for those that are found by their partition UUIDs.
struct Names {
    data: Option<String>,
    hash: Option<String>,
    fec: Option<String>,
}

impl Names {
    fn new(table: &Table, source: &Source, root_hash: &RootHash) -> Result<Self> {
        let (data, hash, fec) = (source.data(), source.hash(), source.fec());
        let form = &table.form;
        if let Source::Partitions { .. } | Source::Nodes(_) = source {
            // Found by their UUIDs, unless they have names there.
            let name = |option: &Option<PathBuf>| option.as_deref().map(text).transpose();
            let (data, hash) = (name(&table.boot_data_device)?, name(&table.boot_hash_device)?);
            // Parity is in the hash partition.
            let uuid = || Ok(format!("PARTUUID={}", root_hash.partition_uuids().ok_or(Error::NoPartitionUuids)?.hash));
            let fec = fec.map(|_| hash.clone().map_or_else(uuid, Ok)).transpose();
            return fec.map(|fec| Self { data, hash, fec }).map_err(|error: Error| error.into());
        }
        if matches!(form, Form::Ipe | Form::Fit | Form::Kata) {
            // These name no device.
            return Ok(Self { data: None, hash: None, fec: fec.map(text).transpose()? });
        }
        // The name of a device: from an option, from another device that is the same here, or its name here.
        let name = |option: Option<&PathBuf>, here: &Path, others: &[(&Path, &Option<String>)]| {
            if let Some(name) = option {
                return text(name).map(Some);
            }
            match others.iter().find(|(other, _)| is_same_device(other, here)) {
                Some((_, name)) => Ok((*name).clone()),
                // A file has no name there.
                None if form.is_for_boot() && !is_block_device(here) => Ok(None),
                None => text(here).map(Some),
            }
        };
        let needed = |option: &str, here: &Path| {
            Failure::usage(format!("table: requires option --{option}"))
                .hint(format!("what is {} called there? No partition UUID can be derived for it.", text_of(here)))
        };
        let data_name = name(table.boot_data_device.as_ref(), data, &[])?;
        let hash_name = name(table.boot_hash_device.as_ref(), hash, &[(data, &data_name)])?;
        if data_name.is_none() && is_same_device(data, hash) {
            return Err(needed("boot-data-device", data));
        }
        let fec_name = match fec {
            None => None,
            Some(fec) => {
                let name = name(table.boot_fec_device.as_ref(), fec, &[(hash, &hash_name), (data, &data_name)])?;
                Some(name.ok_or_else(|| needed("boot-fec-device", fec))?)
            }
        };
        Ok(Self { data: data_name, hash: hash_name, fec: fec_name })
    }
}

fn is_block_device(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.file_type().is_block_device())
}

/// Lines are text: a path that is not text would be read as another one.
fn text(path: &Path) -> Result<String> {
    match path.to_str() {
        Some(text) => Ok(text.to_owned()),
        None => Err(Error::Unwritable { line: "a line of text", value: shown(path) }.into()),
    }
}
