//! Reads an image without the kernel's dm-verity: copies the data to standard output, and no byte of it before the root
//! hash has proven the block that it is in.
//!
//!     cargo run --example verifying_reader -- DATA HASH ROOT_HASH >copy
//!
//! Each block is read once: the bytes in memory whose digest was compared are those that are passed on, so changes to
//! the devices meanwhile do not matter. (Verifying a whole image first and then reading it again would prove nothing
//! about the second reading.) The same holds for the hash blocks. They are read from the root downwards, and a block is
//! trusted about those below it only after its own digest was right.
//!
//! The superblock is not proven by the root hash. An attacker who changes it cannot choose what is read, but can make
//! what is proven mean something else: fewer data blocks, or hash blocks instead of data. Where that matters the
//! parameters come from where the root hash comes from, by `Params::builder()` instead of `load`. FEC is not used here.
//!
//! At the first block that is not right it ends with exit code 1 and says where; everything before it has been copied.

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::ExitCode;

use dmverity::hash::BlockHasher;
use dmverity::{BlockSize, Layout, Params, RootHash};

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
    let params = dmverity::load(Path::new(hash), 0, None)?;
    let root_hash = RootHash::from_hex(root_hash.to_str().ok_or("that is no root hash")?, params.algorithm())?;
    let mut reader = VerifyingReader::new(File::open(data)?, File::open(hash)?, &params, root_hash)?;
    let mut out = BufWriter::new(io::stdout().lock());
    for block in 0..params.data_blocks() {
        match reader.read(block) {
            Ok(bytes) => out.write_all(&bytes)?,
            Err(error) => {
                // What came before is proven.
                out.flush()?;
                return Err(error);
            }
        }
    }
    Ok(out.flush()?)
}

/// Reads data blocks in any order; blocks that are side by side are the fastest, because they share their hash blocks.
struct VerifyingReader {
    data: File,
    hash: File,
    layout: Layout,
    root_hash: RootHash,
    data_hasher: BlockHasher,
    hash_hasher: BlockHasher,
    /// The hash block of each level that was read last, with its number in the level: all of them proven.
    path: Vec<Option<(u64, Vec<u8>)>>,
}

impl VerifyingReader {
    fn new(data: File, hash: File, params: &Params, root_hash: RootHash) -> dmverity::Result<Self> {
        let layout = Layout::new(params)?;
        let path = vec![None; layout.levels().len()];
        let (data_hasher, hash_hasher) =
            (params.hasher(params.data_block_size()), params.hasher(params.hash_block_size()));
        Ok(Self { data, hash, layout, root_hash, data_hasher, hash_hasher, path })
    }

    /// A data block, proven by the root hash.
    fn read(&mut self, block: u64) -> Result<Vec<u8>, Box<dyn Error>> {
        let bytes = read_block(&self.data, self.layout.params().data_block_size(), block)?;
        if self.data_hasher.digest(&bytes) != self.digest(0, block)? {
            return Err(format!("data block {block} is not what the root hash says").into());
        }
        Ok(bytes)
    }

    /// The expected digest of block `index` below `level`.
    fn digest(&mut self, level: usize, index: u64) -> Result<Vec<u8>, Box<dyn Error>> {
        // Above the top of the tree there is only the root hash.
        let Some(&place) = self.layout.levels().get(level) else { return Ok(self.root_hash.as_bytes().to_vec()) };
        let fan_out = self.layout.fan_out();
        let number = index / fan_out;
        let is_at_hand = matches!(&self.path[level], Some((at_hand, _)) if *at_hand == number);
        if !is_at_hand {
            let bytes = read_block(&self.hash, self.layout.params().hash_block_size(), place.first_block + number)?;
            if self.hash_hasher.digest(&bytes) != self.digest(level + 1, number)? {
                return Err(format!("hash block {} is not what the root hash says", place.first_block + number).into());
            }
            self.path[level] = Some((number, bytes));
        }
        let (_, bytes) = self.path[level].as_ref().expect("it was read");
        let start = usize::try_from(index % fan_out)? * self.layout.digest_stride();
        Ok(bytes[start..start + self.hash_hasher.digest_size()].to_vec())
    }
}

fn read_block(device: &File, size: BlockSize, index: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; size.as_usize()];
    device.read_exact_at(&mut bytes, index * size.bytes())?;
    Ok(bytes)
}
