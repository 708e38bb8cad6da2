//! `table`: show the line that opens an image elsewhere.

use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use dmverity::boot::BootImage;
use dmverity::dm::MappingName;
use dmverity::{Error, FecScope, Layout, is_same_device};
use serde::Serialize;

use super::image::PartitionUuids;
use super::{Image, image_to_check, shown, table_options};
use crate::arguments::Arguments;
use crate::escape::text_of;
use crate::failure::{Exit, Failure, Result};
use crate::report::Report;

/// What the kernel's command line holds on x86 and arm64, all parameters together.
const COMMAND_LINE_MAX: usize = 2048;

#[derive(Serialize)]
struct TableFields {
    form: &'static str,
    /// `None` where only the UUIDs were asked for.
    line: Option<String>,
    hash_offset: u64,
    root_hash: String,
    partition_uuids: Option<PartitionUuids>,
}

/// Who is to read the line.
enum Form {
    Table,
    DmModCreate(String),
    Veritytab(String),
    Cmdline,
    CmdlineUsr,
    PartitionUuids,
    ChromeOs,
    Ipe,
    Fit,
}

impl Form {
    fn of(arguments: &Arguments) -> Result<Self> {
        // A name that no mapping can have is wrong in any line.
        let name = |option| -> Result<Option<String>> {
            let Some(text) = arguments.text_option_exact(option)? else { return Ok(None) };
            Ok(Some(MappingName::new(&text)?.to_string()))
        };
        if arguments.flag("usr") && !arguments.flag("cmdline") {
            return Err(Failure::usage("Option --usr must be used with --cmdline."));
        }
        Ok(if let Some(name) = name("dm-mod-create")? {
            Self::DmModCreate(name)
        } else if let Some(name) = name("veritytab")? {
            Self::Veritytab(name)
        } else if arguments.flag("cmdline") {
            if arguments.flag("usr") { Self::CmdlineUsr } else { Self::Cmdline }
        } else if arguments.flag("chromeos") {
            Self::ChromeOs
        } else if arguments.flag("ipe") {
            Self::Ipe
        } else if arguments.flag("fit") {
            Self::Fit
        } else if arguments.flag("partition-uuids") {
            Self::PartitionUuids
        } else {
            Self::Table
        })
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::DmModCreate(_) => "dm-mod-create",
            Self::Veritytab(_) => "veritytab",
            Self::Cmdline | Self::CmdlineUsr => "cmdline",
            Self::ChromeOs => "chromeos",
            Self::Ipe => "ipe",
            Self::Fit => "fit",
            Self::PartitionUuids => "partition-uuids",
        }
    }

    /// Whether the line is read by a system that finds partitions by their UUIDs.
    fn is_for_boot(&self) -> bool {
        !matches!(self, Self::Table)
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<Report> {
    let (data, hash) = (arguments.path(0), arguments.path(1));
    let form = Form::of(arguments)?;
    let Image { params, root_hash, mut warnings } = image_to_check(arguments, data, hash, 2)?;
    let layout = Layout::new(&params)?;
    let devices = arguments.devices(data, hash);
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
    if matches!(form, Form::Fit) && !is_same_device(data, hash) {
        return Err(Failure::new(Exit::Parameters, "A FIT image has data and hash tree in one file.")
            .hint("name that file twice, with --hash-offset."));
    }
    let names = Names::new(arguments, data, hash, devices.fec.as_deref(), &form)?;
    let mut image = BootImage::new(&layout, &root_hash);
    if let Some(name) = names.data {
        image = image.data_device(name);
    }
    if let Some(name) = names.hash {
        image = image.hash_device(name);
    }
    if let (Some(fec), Some(name)) = (&devices.fec, names.fec) {
        image = image.fec(dmverity::fec_area(hash, fec, &layout)?.ok_or(Error::FecDevice)?, name);
    }
    if let Some(path) = arguments.path_option("root-hash-signature") {
        if matches!(form, Form::Table | Form::DmModCreate(_)) {
            return Err(Failure::new(Exit::Parameters, "A table line cannot hold a root hash signature.")
                .hint("--veritytab and --cmdline name the file that holds it."));
        }
        image = image.signature(text(&path)?);
    }
    let (mut options, overridden) = table_options(arguments);
    warnings.extend(overridden);
    if matches!(form, Form::Veritytab(_) | Form::Cmdline | Form::CmdlineUsr) {
        if params.fec().is_some_and(|fec| fec.scope == FecScope::Tree) {
            return Err(Failure::new(Exit::Parameters, "systemd does not have --fec-scope=tree."));
        }
        if options.on_error.is_some() {
            return Err(Failure::new(Exit::Parameters, "systemd does not have --error-as-corruption."));
        }
        if options.try_verify_in_tasklet {
            // It is only about speed.
            options.try_verify_in_tasklet = false;
            warnings.push("systemd does not have --use-tasklets, left out.".to_owned());
        }
    }
    let image = image.options(options);
    let line = match &form {
        Form::DmModCreate(name) => image.dm_mod_create(name)?,
        Form::Veritytab(name) => image.veritytab(name)?,
        Form::Cmdline => image.cmdline()?,
        Form::CmdlineUsr => image.cmdline_usr()?,
        Form::ChromeOs => image.chromeos()?,
        Form::Ipe => image.ipe()?,
        Form::Fit => image.fit()?,
        Form::Table | Form::PartitionUuids => image.table_line()?,
    };
    let is_on_command_line = matches!(form, Form::DmModCreate(_) | Form::Cmdline | Form::CmdlineUsr | Form::ChromeOs);
    if is_on_command_line && line.len() > COMMAND_LINE_MAX {
        let length = line.len();
        warnings.push(format!(
            "the line has {length} bytes, the kernel command line of many machines only {COMMAND_LINE_MAX}."
        ));
    }
    let text = format!("{line}\n");
    Ok(Report { warnings, ..Report::new(text, fields(Some(line))) })
}

/// What the devices are called where the line is read; `None` for those that are found by their partition UUIDs.
struct Names {
    data: Option<String>,
    hash: Option<String>,
    fec: Option<String>,
}

impl Names {
    fn new(arguments: &Arguments, data: &Path, hash: &Path, fec: Option<&Path>, form: &Form) -> Result<Self> {
        if matches!(form, Form::Ipe | Form::Fit) {
            // These name no device.
            return Ok(Self { data: None, hash: None, fec: fec.map(text).transpose()? });
        }
        // What a device is called: as an option says, as another one that is the same here, or as it is here.
        let name = |option: &str, here: &Path, others: &[(&Path, &Option<String>)]| {
            if let Some(name) = arguments.path_option(option) {
                return text(&name).map(Some);
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
                .hint(format!("what is {} called there? No partition UUID follows for it.", text_of(here)))
        };
        let data_name = name("boot-data-device", data, &[])?;
        let hash_name = name("boot-hash-device", hash, &[(data, &data_name)])?;
        if data_name.is_none() && is_same_device(data, hash) {
            return Err(needed("boot-data-device", data));
        }
        let fec_name = match fec {
            None => None,
            Some(fec) => {
                let name = name("boot-fec-device", fec, &[(hash, &hash_name), (data, &data_name)])?;
                Some(name.ok_or_else(|| needed("boot-fec-device", fec))?)
            }
        };
        Ok(Self { data: data_name, hash: hash_name, fec: fec_name })
    }
}

fn is_block_device(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.file_type().is_block_device())
}

/// Lines are text: a path that is none would be another one when it is read.
fn text(path: &Path) -> Result<String> {
    match path.to_str() {
        Some(text) => Ok(text.to_owned()),
        None => Err(Error::Unwritable { line: "a line of text", value: shown(path) }.into()),
    }
}
