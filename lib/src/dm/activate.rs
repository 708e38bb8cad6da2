//! Making an image available as a mapping.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::stat::{major, minor};

use super::control::Control;
use super::name::MappingName;
use super::node;
use crate::error::{Error, Result};
use crate::image::Devices;
use crate::io::{Device, Identity, check_unused, identify};
use crate::keyring::SignatureKey;
use crate::layout::Layout;
use crate::loopdev::LoopDevice;
use crate::params::{Params, RootHash};
use crate::table::{OnCorruption, OnError, TableOptions, VerityStatus, VerityTable};

/// How a mapping behaves, and how it is made.
#[derive(Clone, Debug, Default)]
pub struct ActivateOptions {
    /// What the kernel does about corrupted blocks; without one, reading them fails.
    pub on_corruption: Option<OnCorruption>,
    /// What the kernel does about blocks that cannot be read; without one, reading them fails.
    pub on_error: Option<OnError>,
    /// Return zeros for blocks whose digest is that of a block of zeros, without reading them.
    pub ignore_zero_blocks: bool,
    /// Check each data block only the first time it is read.
    pub check_at_most_once: bool,
    /// Verify in a tasklet or bottom half when all hashes are cached.
    pub use_tasklets: bool,
    /// A detached PKCS#7 signature of the root hash, which the kernel has to trust.
    pub root_hash_signature: Option<Vec<u8>>,
    /// Also use a data device that another mapping or a mount holds.
    pub shared: bool,
}

/// A mapping that was made.
#[derive(Clone, Debug)]
pub struct Activation {
    /// Its name.
    pub name: MappingName,
    /// The table the kernel took.
    pub table: VerityTable,
    /// Major and minor number of its block device.
    pub device: (u32, u32),
    /// Whether a block was found corrupted already. Where udev looks into new devices a wrong root hash shows here, else
    /// at the first read.
    pub corrupted: bool,
}

/// Makes the image available as the read-only block device `/dev/mapper/NAME`. Image files are attached to loop devices,
/// which the kernel detaches when the mapping goes. Data that do not match `root_hash` cannot be read from it; a wrong
/// root hash shows at the first read.
///
/// Needs root. On any error nothing stays behind: no mapping, no loop device, no key.
///
/// # Errors
/// [`Error::NoDeviceMapper`], [`Error::MappingExists`], [`Error::Open`], [`Error::NotDevice`],
/// [`Error::DeviceTooSmall`], [`Error::DeviceBusy`], [`Error::LoopDevice`], [`Error::SignatureKey`],
/// [`Error::TableRefused`], [`Error::DeviceMapper`].
pub fn activate(
    name: &MappingName,
    devices: &Devices,
    params: &Params,
    root_hash: &RootHash,
    options: &ActivateOptions,
) -> Result<Activation> {
    let layout = Layout::new(params)?;
    Device::open(&devices.data)?.check_size(params.data_bytes())?;
    Device::open(&devices.hash)?.check_size(layout.hash_end())?;
    if params.fec().is_some() {
        return Err(Error::FecUnsupported);
    }
    let control = Control::open()?;
    if control.info(name)?.is_some() {
        return Err(Error::MappingExists { name: name.to_string() });
    }
    if !options.shared {
        check_unused(&devices.data)?;
    }
    let data = BlockDevice::of(&devices.data)?;
    let hash =
        if identify(&devices.data)? == identify(&devices.hash)? { None } else { Some(BlockDevice::of(&devices.hash)?) };
    // The key has to outlive the load, and no more.
    let key = match &options.root_hash_signature {
        None => None,
        Some(signature) => {
            let description = key_description(name, params);
            Some((SignatureKey::add(&description, signature)?, description))
        }
    };
    let table = VerityTable::new(
        &layout,
        root_hash.clone(),
        data.numbers.clone(),
        hash.as_ref().unwrap_or(&data).numbers.clone(),
        TableOptions {
            on_corruption: options.on_corruption,
            on_error: options.on_error,
            ignore_zero_blocks: options.ignore_zero_blocks,
            check_at_most_once: options.check_at_most_once,
            try_verify_in_tasklet: options.use_tasklets,
            signature_key: key.as_ref().map(|(_, description)| description.clone()),
            ..TableOptions::default()
        },
    );
    let _held = SignalsHeld::hold();
    let device = control.create(name, &name.dm_uuid(params.uuid()))?;
    let sectors = table.sectors().expect("valid parameters fit a device");
    log::debug!("table of {name}: 0 {sectors} verity {table}");
    let made = control
        .load(name, sectors, &table.to_string())
        .and_then(|()| control.resume(name))
        .and_then(|()| node::ensure(&name.node(), device));
    if let Err(error) = made {
        if let Err(left) = control.remove(name, false).and_then(|()| node::remove(&name.node())) {
            log::warn!("cannot remove the unfinished mapping {name}: {left}");
        }
        return Err(error);
    }
    // Not worth an error: the mapping is there.
    let status = control.status(name).ok().and_then(|lines| VerityStatus::parse(&lines.first()?.text).ok());
    Ok(Activation { name: name.clone(), table, device, corrupted: status.is_some_and(|status| status.corrupted) })
}

/// The signature key's description, as the reference tool has it, without blanks because it is a word of the table.
fn key_description(name: &MappingName, params: &Params) -> String {
    let uuid = params.uuid().map(|uuid| uuid.to_string()).unwrap_or_default();
    format!("cryptsetup:{uuid}-{}", name.mangled())
}

/// A device as tables name it.
struct BlockDevice {
    /// `major:minor`: unlike a path it has no blanks and always means this device.
    numbers: String,
    /// Keeps an image file attached until the mapping has it.
    _loop_device: Option<LoopDevice>,
}

impl BlockDevice {
    /// The block device at `path`, or a loop device with the image file behind it.
    fn of(path: &Path) -> Result<Self> {
        let loop_device = match identify(path)? {
            Identity::Block(_) => None,
            Identity::File(..) => Some(LoopDevice::attach_read_only(path)?),
        };
        let node = loop_device.as_ref().map_or(path, LoopDevice::path);
        let number = node.metadata().map_err(|source| Error::Open { path: node.to_owned(), source })?.rdev();
        Ok(Self { numbers: format!("{}:{}", major(number), minor(number)), _loop_device: loop_device })
    }
}

/// Holds back the signals that end a program, so that none leaves a half-made mapping behind. They arrive when this is
/// dropped.
struct SignalsHeld {
    before: Option<SigSet>,
}

impl SignalsHeld {
    fn hold() -> Self {
        let mut signals = SigSet::empty();
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT] {
            signals.add(signal);
        }
        Self { before: signals.thread_swap_mask(SigmaskHow::SIG_BLOCK).ok() }
    }
}

impl Drop for SignalsHeld {
    fn drop(&mut self) {
        if let Some(Err(errno)) = self.before.map(|before| before.thread_set_mask()) {
            log::warn!("cannot restore the signal mask: {errno}");
        }
    }
}
