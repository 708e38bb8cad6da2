//! A mapping for trials: tables are loaded into it to learn what the kernel says about them. It is never resumed, so
//! nothing is ever read through it. It is removed when it is dropped, even after an error, a panic or a signal. One
//! that a killed process has left is removed before the next trial.

use super::control::Control;
use super::error::Result;
use super::kmsg::KernelLog;
use super::lock::NameLock;
use super::name::MappingName;
use super::refused::KernelAnswer;
use crate::error::WithCauses;
use crate::line::table::VerityTable;
use crate::work::SignalsHeld;

/// What the names of these mappings begin with; a random number follows.
const PREFIX: &str = "dmverity-trial-";

/// The result of a trial.
pub(super) type Outcome = std::result::Result<(), KernelAnswer>;

/// A mapping that tables are tried in.
pub(super) struct Scratch<'control> {
    control: &'control Control,
    name: MappingName,
    device: (u32, u32),
    // Dropped after the mapping is gone.
    _lock: NameLock,
    _signals: SignalsHeld,
}

impl<'control> Scratch<'control> {
    /// Makes the mapping.
    pub(super) fn create(control: &'control Control) -> Result<Self> {
        let signals = SignalsHeld::all_but_faults();
        sweep(control);
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| crate::Error::Random { source: error.into() })?;
        let name = MappingName::new(format!("{PREFIX}{}", hex::encode(random)))?;
        // Held until it is removed: this tells other processes that it is still in use.
        let lock = NameLock::take(&name)?;
        // Not one of the uuids that tools look for.
        let device = control.create(&name, &format!("DMVERITY-TRIAL-{}", hex::encode(random)))?;
        Ok(Self { control, name, device, _lock: lock, _signals: signals })
    }

    /// Loads `table` and returns the kernel's answer. Nothing is read from the devices.
    ///
    /// # Errors
    /// When the answer says nothing about the table, because the mapping or the permission for it is gone.
    pub(super) fn attempt(&self, table: &VerityTable) -> Result<Outcome> {
        let mut log = KernelLog::open();
        let sectors = table.sectors().expect("valid parameters fit a device");
        let outcome = match self.control.load(&self.name, sectors, &table.to_string())? {
            Ok(()) => Ok(()),
            Err(errno) => {
                let kernel_message = log.as_mut().and_then(|log| log.words_about_table(self.device));
                Err(KernelAnswer { errno, kernel_message })
            }
        };
        log::debug!("trial of {:?}: {outcome:?}", table.options.words());
        Ok(outcome)
    }
}

impl Drop for Scratch<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.control.discard(&self.name) {
            log::warn!("cannot remove the mapping {}: {}", self.name, WithCauses(&error));
        }
    }
}

/// Removes what killed processes have left.
fn sweep(control: &Control) {
    for name in control.names().unwrap_or_default().iter().filter(|name| name.starts_with(PREFIX)) {
        let Ok(name) = MappingName::new(name) else { continue };
        // The process that uses it has the lock.
        if let Ok(Some(_lock)) = NameLock::try_take(&name)
            && let Err(error) = control.discard(&name)
        {
            log::debug!("cannot remove the mapping {name}: {}", WithCauses(&error));
        }
    }
}
