//! `--manifest`: root hash and parameters of an image from the JSON of `format`, signed by a trusted signer.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use dmverity::signature::Verified;
use dmverity::{BlockSize, Expected, HashAlgorithm, HashType, Hashing, Params, ParamsBuilder, RootHash, Salt};
use serde_json::{Map, Value};

use super::trust::Trust;
use super::{expect, invalid, read_whole, requested_signature};
use crate::arguments::ManifestOptions;
use crate::failure::{Failure, Result};

/// No object of `format` is that long.
const FILE_MAX: u64 = 1 << 20;

/// A manifest whose signature is right.
pub(super) struct Manifest {
    pub(super) root_hash: RootHash,
    pub(super) hash_offset: u64,
    /// All parameters of an image without superblock.
    pub(super) without_superblock: Option<ParamsBuilder>,
    expected: Expected,
    pub(super) verified: Verified,
}

impl Manifest {
    /// Reads it, and checks the signature of exactly the bytes that are used.
    pub(super) fn read(options: &ManifestOptions, trust: &Trust) -> Result<Self> {
        let ManifestOptions { file, signature } = options;
        let bytes = read(file)?;
        let signature = requested_signature::read(signature.as_deref().unwrap_or(&signature_of(file)))?;
        let verified = trust.check(&bytes, &signature)?;
        let manifest = expect::object(&bytes).and_then(|object| Self::of(&object, verified));
        manifest.map_err(|why| unusable(file, why))
    }

    fn of(object: &Map<String, Value>, verified: Verified) -> std::result::Result<Self, String> {
        let expected = expect::parse(object)?;
        let field = |name: &str| object.get(name).ok_or_else(|| format!("it has no field {name}."));
        let number = |name: &str| field(name)?.as_u64().ok_or_else(|| format!("{name} is no number."));
        let text = |name: &str| field(name)?.as_str().ok_or_else(|| format!("{name} is no text."));
        let block_size = |name: &str| BlockSize::new(number(name)?).map_err(|error| format!("{error}."));
        // All of them, so that nothing in the image decides what is read.
        let algorithm = HashAlgorithm::from_name(text("hash_algorithm")?).map_err(|error| format!("{error}."))?;
        let hashing = Hashing {
            hash_type: HashType::new(number("hash_type")?).map_err(|error| format!("{error}."))?,
            algorithm,
            data_block_size: block_size("data_block_size")?,
            hash_block_size: block_size("hash_block_size")?,
            salt: Salt::from_hex(text("salt")?).map_err(|error| format!("{error}."))?,
            uuid: None,
        };
        let (data_blocks, hash_offset) = (number("data_blocks")?, number("hash_offset")?);
        let root_hash = RootHash::from_hex(text("root_hash")?, algorithm).map_err(|error| format!("{error}."))?;
        let builder = Params::builder().hashing(hashing).data_blocks(data_blocks).hash_offset(hash_offset);
        let without_superblock = field("uuid")?.is_null().then_some(builder);
        Ok(Self { root_hash, hash_offset, without_superblock, expected, verified })
    }

    /// Fails unless the image is what the manifest says.
    pub(super) fn check(&self, params: &Params) -> Result<()> {
        Ok(self.expected.check(params)?)
    }
}

/// The bytes of a manifest.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    read_whole(path, FILE_MAX, "manifest")
}

/// A manifest that cannot be used.
pub(super) fn unusable(path: &Path, why: impl Into<String>) -> Failure {
    invalid("manifest", path).hint(why)
}

/// Where the signature is, unless an option says so: next to the manifest.
fn signature_of(manifest: &Path) -> PathBuf {
    let mut path = OsString::from(manifest);
    path.push(".p7s");
    path.into()
}
