//! The signature of a root hash, from wherever it is.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use dmverity::RootHash;
use dmverity::signature::{Answer, Reader, lint};

use crate::arguments::SignatureOption;
use crate::escape::text_of;
use crate::failure::{Exit, Failure, Result};

/// The longest key that the kernel accepts, in bytes.
const SIGNATURE_MAX: u64 = 32767;

/// The signature that an option asks for; `stored` is the one that is with the image.
pub(super) fn requested(option: Option<&SignatureOption>, stored: Option<&[u8]>) -> Result<Option<Vec<u8>>> {
    Ok(match option {
        None => None,
        Some(SignatureOption::File(path)) => Some(read(path)?),
        Some(SignatureOption::Given(bytes)) => Some(bytes.clone()),
        Some(SignatureOption::Stored) => Some(stored.map(<[u8]>::to_vec).ok_or_else(none_stored)?),
    })
}

fn none_stored() -> Failure {
    Failure::new(Exit::Permission, "The image has no signature.").hint(
        "--root-hash-signature=auto is for an image with a signature partition, or with its signature next to it.",
    )
}

/// Why kernels refuse a signature of this root hash, as far as it shows in the signature.
pub(super) fn why_refused(signature: &[u8], root_hash: &RootHash) -> Vec<String> {
    let lint = lint(signature, Some(root_hash.to_string().as_bytes()), None);
    let kernels = lint.readings().iter().filter(|reading| reading.reader() != Reader::Systemd);
    let mut reasons: Vec<String> = kernels
        .filter(|reading| reading.answer() == Answer::Refused)
        .map(|reading| format!("the signature was looked at: {}.", reading.reason()))
        .collect();
    reasons.dedup();
    reasons
}

/// Reads a signature from its file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    let invalid = || Failure::new(Exit::Parameters, format!("Invalid signature file {}.", text_of(path)));
    let mut signature = Vec::new();
    let read = File::open(path).and_then(|file| file.take(SIGNATURE_MAX + 1).read_to_end(&mut signature));
    match read.map_err(|error| invalid().because(&error))? {
        0 => Err(invalid().hint("it is empty.")),
        read if read as u64 <= SIGNATURE_MAX => Ok(signature),
        _ => {
            // The reference tool passes any file to the kernel, which refuses such a key; it refuses devices itself.
            let failure = if path.is_file() {
                Failure::new(Exit::Parameters, "Failed to load key in kernel keyring.")
            } else {
                invalid()
            };
            let name = text_of(path);
            Err(failure.hint(format!("{name} is longer than {SIGNATURE_MAX} bytes, the kernel's limit for a key.")))
        }
    }
}
