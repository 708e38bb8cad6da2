//! Signing with a key in a file, while an image is made.

use std::path::{Path, PathBuf};

use dmverity::RootHash;
use dmverity::signature::{Certificate, PrivateKey, Result as SignatureResult, SignOptions, sign};

use super::sign::{not_made, private_key};
use super::trust;
use crate::arguments::Key;
use crate::failure::Result;

/// A key and its certificate.
pub(super) struct Signing {
    key: PrivateKey,
    pub(super) certificate: Certificate,
}

impl Signing {
    /// Reads both, if they were given, and finds out whether they can be used: before anything is written.
    pub(super) fn read(signer: Option<&(Key, PathBuf)>) -> Result<Option<Self>> {
        signer.map(|(key, certificate)| Self::of(key, certificate)).transpose()
    }

    fn of(key: &Key, certificate: &Path) -> Result<Self> {
        let signing = Self { certificate: trust::certificate(certificate)?, key: private_key(key)? };
        signing.sign(&RootHash::new(vec![0; 32]), false).map_err(|error| not_made(&error))?;
        Ok(signing)
    }

    /// The signature that `openssl smime` makes, with the certificate in it or without.
    pub(super) fn sign(&self, root_hash: &RootHash, with_certificate: bool) -> SignatureResult<Vec<u8>> {
        let options = SignOptions::new().embed_certificate(with_certificate).smime(true);
        sign(root_hash.to_string().as_bytes(), &self.key, &self.certificate, &options)
    }
}
