//! Taking mappings down.

use super::control::{Control, Info};
use super::error::{Error, Result};
use super::lock::NameLock;
use super::name::MappingName;
use super::node;
use super::udev::Waited;
use crate::work::SignalsHeld;

/// When a mapping is removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Removal {
    /// Now; if the mapping is in use, after waiting for its users for up to five seconds.
    #[default]
    Now,
    /// When its last user closes it; at once if there is none. Without udev, its node is removed at once.
    Deferred,
}

/// The result of a removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    /// The mapping is gone.
    Gone,
    /// It is removed when its last user closes it.
    Scheduled,
}

/// Removes a verity mapping, and the loop devices that [`activate`](super::activate) attached for it. It also removes a
/// mapping that was never finished because the process that made it was killed, and the node that a killed process left
/// without its mapping.
///
/// # Errors
/// [`Error::NoDeviceMapper`], [`Error::NotPermitted`], [`Error::MappingInactive`], [`Error::MappingNotVerity`],
/// [`Error::MappingBusy`], [`Error::MappingLocked`], [`Error::DeviceMapper`].
///
/// # Examples
/// ```no_run
/// use dmverity::dm::Error;
/// use dmverity::dm::{MappingName, Removal, Removed, deactivate};
///
/// # fn main() -> dmverity::dm::Result<()> {
/// let name = MappingName::new("image")?;
/// let removed = match deactivate(&name, Removal::Now) {
///     Err(Error::MappingBusy { .. }) => deactivate(&name, Removal::Deferred)?,
///     other => other?,
/// };
/// if removed == Removed::Scheduled {
///     println!("it is mounted or open, and goes when it no longer is");
/// }
/// # Ok(())
/// # }
/// ```
pub fn deactivate(name: &MappingName, when: Removal) -> Result<Removed> {
    let control = Control::open()?;
    let _lock = NameLock::take(name)?;
    if let Err(error) = check_verity(&control, name) {
        if matches!(error, Error::MappingInactive { .. }) {
            node::remove_stale(&name.node())?;
        }
        return Err(error);
    }
    let _held = SignalsHeld::all_but_faults();
    let waited = control.remove(name, when == Removal::Deferred)?;
    // Even if the mapping is still in use: without udev nothing else would remove the node later.
    node::remove(&name.node())?;
    let scheduled = control.info(name)?.is_some();
    if waited == Waited::GaveUp && !scheduled {
        node::remove_any(&name.node())?;
    }
    Ok(if scheduled { Removed::Scheduled } else { Removed::Gone })
}

/// Takes back a deferred removal that has not happened yet.
///
/// # Errors
/// [`Error::NoDeviceMapper`], [`Error::NotPermitted`], [`Error::MappingInactive`], [`Error::MappingNotVerity`],
/// [`Error::MappingLocked`], [`Error::DeviceMapper`].
pub fn cancel_deferred_removal(name: &MappingName) -> Result<()> {
    let control = Control::open()?;
    let _lock = NameLock::take(name)?;
    let info = check_verity(&control, name)?;
    control.message(name, "@cancel_deferred_remove")?;
    node::ensure(&name.node(), info.device)
}

/// Refuses to remove other kinds of mappings: the programs that made them know how.
fn check_verity(control: &Control, name: &MappingName) -> Result<Info> {
    let info = control.info(name)?.ok_or_else(|| Error::MappingInactive { name: name.to_string() })?;
    match &control.table(name)?[..] {
        [only] if only.is_verity() => Ok(info),
        // No process is working on it: it would hold the lock.
        [] if info.unfinished => Ok(info),
        _ => Err(Error::MappingNotVerity { name: name.to_string() }),
    }
}
