//! The library in WebAssembly: the root hash of bytes that the program around it puts into memory.

use std::sync::{Mutex, PoisonError};

use dmverity::hash::BlockHasher;
use dmverity::{BlockSize, Error, HashAlgorithm, HashType, Salt};

/// The data, the salt, and the root hash.
static BUFFERS: Mutex<[Vec<u8>; 3]> = Mutex::new([Vec::new(), Vec::new(), Vec::new()]);

/// Where so many bytes are to be put: of the data (0) or the salt (1).
#[unsafe(no_mangle)]
pub extern "C" fn room(which: usize, len: usize) -> *mut u8 {
    let mut buffers = BUFFERS.lock().unwrap_or_else(PoisonError::into_inner);
    buffers[which] = vec![0; len];
    buffers[which].as_mut_ptr()
}

/// Where the 32 bytes of the root hash are; null for a salt that is too long.
#[unsafe(no_mangle)]
pub extern "C" fn root_hash() -> *const u8 {
    let mut buffers = BUFFERS.lock().unwrap_or_else(PoisonError::into_inner);
    let [data, salt, root_hash] = &mut *buffers;
    match root_hash_of(data, salt) {
        Ok(bytes) => {
            *root_hash = bytes;
            root_hash.as_ptr()
        }
        Err(_) => std::ptr::null(),
    }
}

/// By SHA-256, of whole blocks of 4096 bytes.
fn root_hash_of(data: &[u8], salt: &[u8]) -> Result<Vec<u8>, Error> {
    let block_size = BlockSize::DEFAULT.as_usize();
    let hasher = BlockHasher::new(HashAlgorithm::sha256(), HashType::Normal, Salt::new(salt)?, BlockSize::DEFAULT);
    let mut level = data.to_vec();
    while level.len() > block_size {
        let mut digests = vec![0; level.len() / block_size * hasher.digest_size()];
        hasher.hash_blocks(&level, &mut digests, hasher.digest_size());
        digests.resize(digests.len().next_multiple_of(block_size), 0);
        level = digests;
    }
    Ok(hasher.digest(&level))
}
