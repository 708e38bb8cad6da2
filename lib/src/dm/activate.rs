//! Making an image available as a mapping.

use super::backing::Backing;
use super::control::{Control, Info};
use super::diagnose::{Finding, diagnose};
use super::error::{Error, Result};
use super::explain;
use super::keyring::SignatureKey;
use super::lock::NameLock;
use super::name::MappingName;
use super::node;
use super::refused::{KernelAnswer, RefusedOption};
use super::scratch::Scratch;
use super::udev::Waited;
use crate::error::{Area, WithCauses};
use crate::format::{FecArea, Layout, Params};
use crate::image::{Devices, Image};
use crate::io::{Device, check_unused};
use crate::line::table::{TableFec, TableFlags, TableOption, TableOptions, VerityStatus, VerityTable};
use crate::value::RootHash;
use crate::work::SignalsHeld;

/// How often a table is loaded if the kernel refuses it and then accepts it in a trial, unchanged or with another
/// algorithm name.
const ATTEMPTS: usize = 5;

/// How a mapping behaves, and how it is made.
#[derive(Clone, Debug, Default)]
pub struct ActivateOptions {
    /// What the kernel is asked to do. If it refuses a [hint](TableOption::is_hint), and nothing else, it gets the
    /// table without it, unless `no_fallback` is set.
    pub flags: TableFlags,
    /// A detached PKCS#7 signature of the root hash, which the kernel has to trust.
    pub root_hash_signature: Option<Vec<u8>>,
    /// Use the data device even if another mapping or a mount holds it.
    pub shared: bool,
    /// Fail if the kernel refuses an option that only affects speed.
    pub no_fallback: bool,
}

/// A mapping that was made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Activation {
    /// Its name.
    pub name: MappingName,
    /// The table that was asked for.
    pub requested: VerityTable,
    /// The table that the kernel accepted.
    pub table: VerityTable,
    /// Requested options that are not in the table: hints that the kernel refused. Nothing else is ever left out.
    pub dropped: Vec<RefusedOption>,
    /// Major and minor number of its block device.
    pub device: (u32, u32),
    /// Whether a corrupted block was found already. If udev probes new devices, a wrong root hash shows here; otherwise
    /// it shows at the first read.
    pub corrupted: bool,
    /// Whether udev was told of the mapping and did not answer in time. The mapping and its node exist anyway.
    pub udev_silent: bool,
}

/// Makes the image available as the read-only block device `/dev/mapper/NAME`. Image files are attached to loop
/// devices, which the kernel detaches when the mapping is removed. Data that do not match `root_hash` cannot be read
/// from it; a wrong root hash shows at the first read.
///
/// If the kernel refuses the table, trial tables in a scratch mapping find the reason, which the error reports. Needs
/// root. An error leaves nothing behind: no mapping, no loop device, no key.
///
/// # Errors
/// [`Error::NoDeviceMapper`], [`Error::NotPermitted`], [`Error::NoVerityTarget`], [`Error::MappingExists`],
/// [`Error::MappingUuidTaken`], [`Error::MappingLocked`], [`Error::RootHashLength`](crate::Error::RootHashLength),
/// [`Error::Open`](crate::Error::Open), [`Error::NotDevice`](crate::Error::NotDevice),
/// [`Error::DeviceTooSmall`](crate::Error::DeviceTooSmall), [`Error::DeviceBusy`],
/// [`Error::FecDevice`](crate::Error::FecDevice), [`Error::LoopDevice`], [`Error::SignatureKey`],
/// [`Error::TableRefused`], [`Error::DeviceMapper`].
///
/// # Examples
/// ```no_run
/// use dmverity::dm::{ActivateOptions, Error, MappingName, activate};
/// use dmverity::table::TableFlag;
/// use dmverity::{Devices, RootHash};
///
/// # fn main() -> dmverity::dm::Result<()> {
/// # let trusted = String::new();
/// let devices = Devices::new("data.img", "hash.img");
/// let params = dmverity::load(&devices.hash, 0, None)?;
/// let root_hash = RootHash::from_hex(&trusted, params.algorithm())?;
/// let options = ActivateOptions { flags: [TableFlag::RestartOnCorruption].into(), ..ActivateOptions::default() };
/// match activate(&MappingName::new("image")?, &devices, &params, &root_hash, &options) {
///     Ok(activation) => println!("mount -o ro {} /mnt", activation.name.node().display()),
///     Err(Error::TableRefused(refused)) => eprintln!("the kernel cannot do that: {:?}", refused.cause),
///     Err(error) => return Err(error),
/// }
/// # Ok(())
/// # }
/// ```
pub fn activate(
    name: &MappingName,
    devices: &Devices,
    params: &Params,
    root_hash: &RootHash,
    options: &ActivateOptions,
) -> Result<Activation> {
    Image::at(devices)?.activate(name, params, root_hash, options)
}

impl Image<'_> {
    /// What [`activate()`] does, on an open image: the mapping uses the devices and files that are open, even if their
    /// names have changed since.
    ///
    /// # Errors
    /// As for that function; [`Error::NotDevice`](crate::Error::NotDevice) for an image on the caller's own storage.
    pub fn activate(
        &self,
        name: &MappingName,
        params: &Params,
        root_hash: &RootHash,
        options: &ActivateOptions,
    ) -> Result<Activation> {
        let layout = Layout::new(params)?;
        root_hash.check_length(params.algorithm())?;
        let fec_area = check_sizes(&layout, self)?;
        let control = Control::open()?;
        let _lock = NameLock::take(name)?;
        if let Some(Info { unfinished, .. }) = control.info(name)? {
            return Err(Error::MappingExists { name: name.to_string(), unfinished });
        }
        // A part is used through a loop device, which shares the device with the users of other parts.
        if !options.shared && self.data.as_part().is_none() {
            check_unused(self.data.path(), self.data.identity()).map_err(Error::with_holders)?;
        }
        let mut backings = vec![Backing::of(Area::Data, &self.data, params.data_bytes())?];
        add(&mut backings, Area::Hash, &self.hash, layout.hash_blocks_end())?;
        if let (Some(area), Some(device)) = (&fec_area, &self.fec) {
            add(&mut backings, Area::Fec, device, area.bytes.end)?;
        }
        // The key is needed only until the table is loaded.
        let key = match &options.root_hash_signature {
            None => None,
            Some(signature) => {
                let description = key_description(name, params);
                Some((SignatureKey::add(&description, signature)?, description))
            }
        };
        let numbers = |area| Backing::find(&backings, area).map(|backing| backing.numbers.clone()).unwrap_or_default();
        let fec = fec_area.zip(params.fec()).map(|(area, fec)| TableFec {
            device: numbers(Area::Fec),
            blocks: area.blocks,
            start: area.start.unwrap_or_default(),
            roots: fec.roots,
        });
        let requested = VerityTable::new(
            &layout,
            root_hash.clone(),
            numbers(Area::Data),
            numbers(Area::Hash),
            TableOptions {
                flags: options.flags.clone(),
                fec,
                signature_key: key.as_ref().map(|(_, description)| description.clone()),
                unknown: Vec::new(),
            },
        )?;
        let _held = SignalsHeld::all_but_faults();
        let opening = Opening::create(&control, name, &name.dm_uuid(params.uuid()))?;
        let loader = Loader { control: &control, name, params, backings: &backings, no_fallback: options.no_fallback };
        let (table, dropped) = loader.load(requested.clone())?;
        let waited = control.resume(name)?;
        node::ensure(&name.node(), opening.device)?;
        let device = opening.finish();
        // Not worth an error: the mapping is there.
        let status = control.status(name).ok().and_then(|lines| VerityStatus::parse(&lines.first()?.text).ok());
        Ok(Activation {
            name: name.clone(),
            requested,
            table,
            dropped,
            device,
            corrupted: status.is_some_and(|status| status.corrupted),
            udev_silent: waited == Waited::GaveUp,
        })
    }
}

/// Checks that the devices are large enough; returns where the parity is, if there is any. Some kernels take FEC areas
/// that are too small.
fn check_sizes(layout: &Layout, image: &Image<'_>) -> Result<Option<FecArea>> {
    let params = layout.params();
    image.data.check_size(params.data_bytes())?;
    image.hash.check_size(layout.hash_blocks_end())?;
    match (params.fec(), &image.fec) {
        (None, None) => Ok(None),
        (Some(_), Some(device)) => {
            let shared = image.shared();
            let area = layout.fec_area_on(image.hash.bytes(), shared.hash_and_fec);
            layout.check_overlaps(shared, area.as_ref())?;
            let area = area.filter(|area| area.start.is_some()).ok_or(crate::Error::FecDevice)?;
            device.check_size(area.bytes.end)?;
            Ok(Some(area))
        }
        _ => Err(crate::Error::FecDevice.into()),
    }
}

/// Adds a device, or adds the area to a device that is in the list already.
fn add(backings: &mut Vec<Backing>, area: Area, device: &Device<'_>, needed: u64) -> Result<()> {
    match backings.iter_mut().find(|backing| backing.is(device)) {
        Some(backing) => backing.also_for(area, needed),
        None => backings.push(Backing::of(area, device, needed)?),
    }
    Ok(())
}

/// The signature key's description, as the reference tool has it, without blanks because it is a word of the table.
fn key_description(name: &MappingName, params: &Params) -> String {
    let uuid = params.uuid().map(|uuid| uuid.to_string()).unwrap_or_default();
    format!("cryptsetup:{uuid}-{}", name.mangled())
}

/// A mapping that is being made. Unless it is finished, it is removed again, whatever happens.
struct Opening<'a> {
    control: &'a Control,
    name: &'a MappingName,
    device: (u32, u32),
    finished: bool,
}

impl<'a> Opening<'a> {
    fn create(control: &'a Control, name: &'a MappingName, dm_uuid: &str) -> Result<Self> {
        Ok(Self { control, name, device: control.create(name, dm_uuid)?, finished: false })
    }

    fn finish(mut self) -> (u32, u32) {
        self.finished = true;
        self.device
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        if !self.finished
            && let Err(left) = self.control.remove(self.name, false).and_then(|_| node::remove(&self.name.node()))
        {
            log::warn!("cannot remove the unfinished mapping {}: {}", self.name, WithCauses(&left));
        }
    }
}

/// Loads a table into a mapping that has none yet.
struct Loader<'a> {
    control: &'a Control,
    name: &'a MappingName,
    params: &'a Params,
    backings: &'a [Backing],
    no_fallback: bool,
}

impl Loader<'_> {
    /// Loads the table, without refused hints if necessary. Returns the loaded table and the dropped options.
    fn load(&self, mut table: VerityTable) -> Result<(VerityTable, Vec<RefusedOption>)> {
        let mut dropped = Vec::new();
        let mut attempts = 0;
        loop {
            log::debug!("table of {}: verity {table}", self.name);
            let sectors = table.sectors().expect("valid parameters fit a device");
            let Err(errno) = self.control.load(self.name, sectors, &table.to_string())? else {
                return Ok((table, dropped));
            };
            log::debug!("refused: {errno}");
            attempts += 1;
            let finding = self.look_into(&table).unwrap_or_else(|error| {
                log::warn!("cannot find out what the kernel refuses: {}", WithCauses(&error));
                Finding::Table(KernelAnswer { errno, kernel_message: None })
            });
            log::debug!("found out: {finding:?}");
            match finding {
                Finding::Accepted if attempts < ATTEMPTS => (),
                Finding::OtherName(name) if attempts < ATTEMPTS => table.algorithm = name,
                finding => match finding.hint().filter(|_| !self.no_fallback) {
                    Some(hint) => {
                        let kept: Vec<TableOption> =
                            table.options.asked().into_iter().filter(|&option| option != hint.option).collect();
                        table.options = table.options.only(&kept);
                        dropped.push(hint);
                    }
                    None => {
                        return Err(explain::refused_table(
                            &|| self.control.has_verity(),
                            &table,
                            errno,
                            finding,
                            self.backings,
                        ));
                    }
                },
            }
        }
    }

    fn look_into(&self, table: &VerityTable) -> Result<Finding> {
        let scratch = Scratch::create(self.control)?;
        diagnose(table, self.params.algorithm(), |table| scratch.attempt(table))
    }
}
