//! The verity target's table line and status line, to types and back. Strings only, no I/O.
//!
//! ```text
//! <0|1> <data> <hash> <data block size> <hash block size> <data blocks> <hash start> <algorithm> <root hash> <salt|->
//!       [<number of optional words> <optional words>...]
//! ```
//! Source: the kernel's `Documentation/admin-guide/device-mapper/verity.rst`, and what kernels from 5.10 to 7.x read
//! back for the tables they were given.

mod options;

use std::fmt;

pub(in crate::line) use options::Reader;
use options::number;
pub use options::{TableFec, TableFlag, TableFlags, TableOption, TableOptions};

use crate::error::{Area, Error, Result};
use crate::format::{Fec, Layout, Params};
use crate::hash::{HashAlgorithm, HashType};
use crate::value::{BlockSize, MAX_DEVICE_BYTES, RootHash, Salt};

/// A verity target's table.
///
/// Devices are what the kernel takes: a path, or `major:minor`, which is how kernels read them back. Algorithm and salt
/// are kept as text, because a kernel may run with ones that no superblock can hold.
///
/// # Examples
/// ```
/// use std::path::Path;
///
/// use dmverity::table::{TableFlag, TableOptions, VerityTable};
/// use dmverity::{Layout, Params, RootHash};
///
/// # fn main() -> dmverity::Result<()> {
/// let params = Params::builder().build(300 * 4096)?;
/// let root_hash = RootHash::from_hex(&"ab".repeat(32), params.algorithm())?;
/// let options = TableOptions { flags: [TableFlag::PanicOnCorruption].into(), ..TableOptions::default() };
/// let table = VerityTable::new(&Layout::new(&params)?, root_hash, "/dev/vda1".into(), "/dev/vda2".into(), options)?;
/// // What `dmsetup create --readonly` takes: 512-byte sectors, target, arguments.
/// let line = format!("0 {} verity {table}", table.sectors().expect("it fits a device"));
/// assert!(line.starts_with("0 2400 verity 1 /dev/vda1 /dev/vda2 4096 4096 300 1 sha256 abab"));
/// assert!(line.ends_with("- 1 panic_on_corruption"));
/// assert_eq!(VerityTable::parse(&table.to_string())?, table);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerityTable {
    /// How digests are computed and packed.
    pub hash_type: HashType,
    /// The data device.
    pub data_device: String,
    /// The hash device.
    pub hash_device: String,
    /// Size of a data block.
    pub data_block_size: BlockSize,
    /// Size of a hash block.
    pub hash_block_size: BlockSize,
    /// Number of data blocks.
    pub data_blocks: u64,
    /// The first hash block, in hash blocks from the start of the hash device.
    pub hash_start: u64,
    /// The hash algorithm's name in the kernel.
    pub algorithm: String,
    /// The root hash.
    pub root_hash: RootHash,
    /// The salt in lower-case hexadecimal digits, or `-`.
    pub salt: String,
    /// The optional arguments.
    pub options: TableOptions,
}

impl VerityTable {
    /// The table for an image whose areas are on `data_device` and `hash_device`.
    ///
    /// # Errors
    /// [`Error::RootHashLength`] for a root hash that the image's algorithm cannot have made.
    pub fn new(
        layout: &Layout,
        root_hash: RootHash,
        data_device: String,
        hash_device: String,
        options: TableOptions,
    ) -> Result<Self> {
        let params = layout.params();
        root_hash.check_length(params.algorithm())?;
        Ok(Self {
            hash_type: params.hash_type(),
            data_device,
            hash_device,
            data_block_size: params.data_block_size(),
            hash_block_size: params.hash_block_size(),
            data_blocks: params.data_blocks(),
            hash_start: layout.first_hash_block(),
            algorithm: params.algorithm().kernel_name().to_owned(),
            root_hash,
            salt: params.salt().to_string(),
            options,
        })
    }

    /// The length of the target in 512-byte sectors; `None` when it is beyond what a device can hold.
    pub fn sectors(&self) -> Option<u64> {
        self.data_block_size.checked_bytes_of(self.data_blocks).map(|bytes| bytes / crate::value::SECTOR_SIZE)
    }

    /// The parameters of the image, as those of one without superblock: a table has no UUID, and does not tell whether
    /// there is a superblock before the first hash block. The hash offset is where that block begins.
    ///
    /// # Errors
    /// [`Error::HashAlgorithm`] and [`Error::SaltLength`] for what a kernel has and no image can;
    /// [`Error::TooManyBlocks`], [`Error::Offset`], [`Error::FecRoots`] and [`Error::FecBlockSizes`] for numbers that
    /// no image has.
    pub fn params(&self) -> Result<Params> {
        let offset = |area, blocks: u64, size: BlockSize| {
            size.checked_bytes_of(blocks).ok_or(Error::Offset { area, found: blocks })
        };
        let builder = Params::builder()
            .no_superblock()
            .hash_type(self.hash_type)
            .algorithm(HashAlgorithm::from_name(&self.algorithm)?)
            .data_block_size(self.data_block_size)
            .hash_block_size(self.hash_block_size)
            .data_blocks(self.data_blocks)
            .salt(Salt::from_hex(&self.salt)?)
            .hash_offset(offset(Area::Hash, self.hash_start, self.hash_block_size)?);
        let builder = match &self.options.fec {
            None => builder,
            Some(fec) => builder.fec(Fec::new(fec.roots.into(), offset(Area::Fec, fec.start, self.data_block_size)?)?),
        };
        builder.build(MAX_DEVICE_BYTES)
    }

    /// Reads a table as a kernel reports it.
    ///
    /// # Errors
    /// [`Error::TableSyntax`].
    pub fn parse(line: &str) -> Result<Self> {
        Self::parse_words(line).map_err(|what| Error::TableSyntax { line: line.to_owned(), what })
    }

    fn parse_words(line: &str) -> std::result::Result<Self, &'static str> {
        let mut words = line.split_ascii_whitespace();
        let mut next = || words.next().ok_or("it has fewer than ten words");
        let hash_type = HashType::new(number(next()?)?).map_err(|_| "the hash type is neither 0 nor 1")?;
        let data_device = next()?.to_owned();
        let hash_device = next()?.to_owned();
        let block_size = |word| BlockSize::new(number(word)?).map_err(|_| "a block size is not valid");
        let data_block_size = block_size(next()?)?;
        let hash_block_size = block_size(next()?)?;
        let data_blocks = number(next()?)?;
        let hash_start = number(next()?)?;
        let algorithm = next()?.to_owned();
        let root_hash = RootHash::new(hex::decode(next()?).map_err(|_| "the root hash is not hexadecimal")?);
        let salt = next()?.to_ascii_lowercase();
        if salt != "-" && hex::decode(&salt).is_err() {
            return Err("the salt is not hexadecimal");
        }
        let options = match words.next() {
            None => TableOptions::default(),
            Some(count) => {
                // Words beyond the count are ignored by the kernel, and so here.
                let count = usize::try_from(number(count)?).map_err(|_| "the number of options is too large")?;
                TableOptions::parse(&mut words.take(count))?
            }
        };
        Ok(Self {
            hash_type,
            data_device,
            hash_device,
            data_block_size,
            hash_block_size,
            data_blocks,
            hash_start,
            algorithm,
            root_hash,
            salt,
            options,
        })
    }
}

/// The line as it is loaded.
impl fmt::Display for VerityTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {} {} {} {} {} {} {} {}",
            self.hash_type.number(),
            self.data_device,
            self.hash_device,
            self.data_block_size,
            self.hash_block_size,
            self.data_blocks,
            self.hash_start,
            self.algorithm,
            self.root_hash,
            self.salt,
        )?;
        let words = self.options.words();
        if !words.is_empty() {
            write!(f, " {} {}", words.len(), words.join(" "))?;
        }
        Ok(())
    }
}

/// What a verity target's status line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerityStatus {
    /// Whether a block was found corrupted since the mapping was made. It stays so, even when FEC repaired the block.
    pub corrupted: bool,
    /// Blocks repaired by FEC, on kernels that count them.
    pub repaired: Option<u64>,
}

impl VerityStatus {
    /// Reads a status line: `V` or `C`, on newer kernels followed by `-` or the number of repaired blocks. Any further
    /// words are ignored.
    ///
    /// # Errors
    /// [`Error::TableSyntax`].
    pub fn parse(line: &str) -> Result<Self> {
        let mut words = line.split_ascii_whitespace();
        let corrupted = match words.next() {
            Some("V") => false,
            Some("C") => true,
            _ => {
                let what = "a status starts with V or C";
                return Err(Error::TableSyntax { line: line.to_owned(), what });
            }
        };
        Ok(Self { corrupted, repaired: words.next().and_then(|word| word.parse().ok()) })
    }
}

#[cfg(test)]
mod tests;
