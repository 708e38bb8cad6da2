//! The keyrings whose certificates the kernel trusts root hash signatures of.
//!
//! Source: `drivers/md/dm-verity-verify-sig.c` and what kernels do. Up to Linux 6.11 it is the built-in keyring and, if
//! the kernel is built so, the secondary one with the machine's owner's keys; then the platform's; from 7.0 one that is
//! dm-verity's own.

use std::io;

use linux_keyutils::{KeyRing, KeyRingIdentifier};

use super::error::{Error, Result};
use super::keyctl::{self, Serial};

/// The names of the keyrings, in the order in which a kernel that has all of them asks them.
const NAMES: [&str; 5] = [".builtin_trusted_keys", ".secondary_trusted_keys", ".machine", ".platform", OWN];

/// dm-verity's own.
const OWN: &str = ".dm-verity";

/// A keyring that a kernel may trust.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrustedKeyring {
    /// The kernel's name of it.
    pub name: &'static str,
    /// Whether the kernel has it, and whether it is in use.
    pub state: KeyringState,
    /// The names of the certificates in it, which begin with their subject.
    pub keys: Vec<String>,
}

/// What a keyring is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyringState {
    /// The kernel has no such keyring, or does not show it.
    Absent,
    /// Certificates can still be added, and the kernel does not trust them yet.
    Open,
    /// Nobody can add anything any more; the kernel trusts what is in it, if there is anything.
    Sealed,
    /// It has been filled by the kernel or the firmware. Who may add to it, the kernel decides by its signature.
    Kernel,
}

/// The error about a keyring that a call to the kernel failed with.
fn failed(name: &'static str) -> impl Fn(io::Error) -> Error + Copy {
    move |source| Error::Keyring { name, source }
}

/// The keyrings that can trust a signature, and what is in them. Needs root to see all of them.
///
/// Whether dm-verity's own keyring is sealed is found out with a key that is not kept there.
///
/// # Errors
/// [`Error::Keyring`] where `/proc/keys` or a keyring cannot be read.
pub fn trusted_keyrings() -> Result<Vec<TrustedKeyring>> {
    NAMES.into_iter().map(look).collect()
}

fn look(name: &'static str) -> Result<TrustedKeyring> {
    let Some(ring) = keyctl::find(name).map_err(failed(name))? else {
        return Ok(TrustedKeyring { name, state: KeyringState::Absent, keys: Vec::new() });
    };
    let mut keys = Vec::new();
    for member in keyctl::members(ring).map_err(failed(name))? {
        // One that has been revoked since is none.
        let found = keyctl::describe(member).ok().filter(|found| found.kind == "asymmetric");
        keys.extend(found.map(|found| found.name));
    }
    keys.sort_unstable();
    let state = match name {
        OWN if is_open(ring)? => KeyringState::Open,
        OWN => KeyringState::Sealed,
        _ => KeyringState::Kernel,
    };
    Ok(TrustedKeyring { name, state, keys })
}

/// Whether anything can be added to dm-verity's own keyring.
fn is_open(ring: Serial) -> Result<bool> {
    let own = KeyRing::from_special_id(KeyRingIdentifier::Thread, true);
    let trial = own.and_then(|own| Ok((own, own.add_key("dmverity:trial", b"-")?)));
    let (own, key) = trial.map_err(|error| failed(OWN)(io::Error::other(error.to_string())))?;
    let is_open = keyctl::takes(ring, key.into());
    // It would be gone with the thread anyway.
    let _ = own.unlink_key(key);
    is_open.map_err(failed(OWN))
}

/// Adds a certificate, in DER, to dm-verity's own keyring, and returns the name that the kernel gives it. The kernel
/// trusts it once the keyring is [sealed](seal_keyring). Needs root.
///
/// # Errors
/// [`Error::NoKeyring`] for a kernel that has no such keyring, [`Error::KeyringSealed`], [`Error::Keyring`] for a
/// certificate that the kernel does not take.
pub fn add_trusted_certificate(der: &[u8]) -> Result<String> {
    let ring = open_ring()?;
    let key = keyctl::add_certificate(ring, der).map_err(failed(OWN))?;
    Ok(keyctl::describe(key).map_err(failed(OWN))?.name)
}

/// Seals dm-verity's own keyring: from now on the kernel trusts what is in it, and nothing can be added until the next
/// boot. Needs root. One that is sealed empty trusts nothing.
///
/// # Errors
/// [`Error::NoKeyring`], [`Error::KeyringSealed`] and [`Error::Keyring`].
pub fn seal_keyring() -> Result<TrustedKeyring> {
    let ring = open_ring()?;
    keyctl::restrict(ring).map_err(failed(OWN))?;
    look(OWN)
}

/// dm-verity's own keyring, to which something can be added.
fn open_ring() -> Result<Serial> {
    let ring = keyctl::find(OWN).map_err(failed(OWN))?;
    let ring = ring.ok_or(Error::NoKeyring { name: OWN })?;
    if is_open(ring)? { Ok(ring) } else { Err(Error::KeyringSealed { name: OWN }) }
}
