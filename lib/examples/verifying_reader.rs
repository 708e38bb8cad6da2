//! Reads an image without the kernel's dm-verity: copies the data to standard output, and no byte of it before the root
//! hash has proven the block that it is in.
//!
//!     cargo run --example verifying_reader -- DATA HASH ROOT_HASH >copy
//!
//! Each block is read once: the bytes in memory whose digest was compared are those that are passed on, so changes to
//! the devices meanwhile do not matter. (Verifying a whole image first and then reading it again would prove nothing
//! about the second reading.)
//!
//! The superblock is not proven by the root hash. An attacker who changes it cannot choose what is read, but can make
//! what is proven mean something else: fewer data blocks, or hash blocks instead of data. Where that matters the
//! parameters come from where the root hash comes from, by `Params::builder()` instead of `load`. FEC is not used here.
//!
//! At the first block that is not right it ends with exit code 1 and says where; everything before it has been copied.

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;

use dmverity::{Devices, Image, ReadAt as _, RootHash};

/// How many bytes are read at a time. Where that fails, the blocks are read one by one.
const CHUNK: u64 = 1 << 20;

fn main() -> ExitCode {
    match copy() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("verifying_reader: {error}");
            ExitCode::FAILURE
        }
    }
}

fn copy() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    let [data, hash, root_hash] = &arguments[..] else {
        return Err("usage: verifying_reader DATA HASH ROOT_HASH".into());
    };
    let image = Image::at(&Devices::new(data, hash))?;
    let params = image.load(0, None)?;
    let root_hash = RootHash::from_hex(root_hash.to_str().ok_or("that is no root hash")?, params.algorithm())?;
    let reader = image.reader(&params, &root_hash).build()?;
    let mut out = io::stdout().lock();
    let block = params.data_block_size().bytes();
    let (mut position, mut at_a_time) = (0, CHUNK.max(block));
    let mut bytes = vec![0; usize::try_from(at_a_time)?];
    while position < params.data_bytes() {
        let count = usize::try_from(at_a_time.min(params.data_bytes() - position))?;
        match reader.read_exact_at(&mut bytes[..count], position) {
            Ok(()) => {
                out.write_all(&bytes[..count])?;
                position += count as u64;
            }
            Err(_) if at_a_time > block => at_a_time = block,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
