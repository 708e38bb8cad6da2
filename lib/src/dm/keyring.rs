//! A root hash's signature as a key in this thread's keyring, where the kernel looks for it during a table load. It is
//! gone when the [`SignatureKey`] is dropped.

use linux_keyutils::{Key, KeyError, KeyRing, KeyRingIdentifier};

use super::error::{Error, Result};

/// A `user` key that holds a detached PKCS#7 signature.
#[derive(Debug)]
pub(crate) struct SignatureKey {
    ring: KeyRing,
    key: Key,
}

impl SignatureKey {
    /// Adds `signature` under `description`.
    ///
    /// # Errors
    /// [`Error::SignatureKey`]; the kernel takes keys of 1 to 32,767 bytes.
    pub(crate) fn add(description: &str, signature: &[u8]) -> Result<Self> {
        let failed = |error: KeyError| Error::SignatureKey { message: error.to_string() };
        let ring = KeyRing::from_special_id(KeyRingIdentifier::Thread, true).map_err(failed)?;
        let key = ring.add_key(description, signature).map_err(failed)?;
        Ok(Self { ring, key })
    }
}

impl Drop for SignatureKey {
    fn drop(&mut self) {
        if let Err(error) = self.ring.unlink_key(self.key) {
            log::warn!("cannot remove the signature from the thread keyring: {error}");
        }
    }
}
