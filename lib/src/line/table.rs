//! The verity target's table line and status line, to types and back. Strings only, no I/O.
//!
//! ```text
//! <0|1> <data> <hash> <data block size> <hash block size> <data blocks> <hash start> <algorithm> <root hash> <salt|->
//!       [<number of optional words> <optional words>...]
//! ```
//! Source: the kernel's `Documentation/admin-guide/device-mapper/verity.rst`, and what kernels from 5.10 to 7.x read
//! back for the tables they were given.

use std::fmt;

use crate::error::{Error, Result};
use crate::format::Layout;
use crate::hash::HashType;
use crate::value::{BlockSize, RootHash};

/// What the kernel does when a block does not match its digest; without one, the read fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnCorruption {
    /// Log it and return the data.
    Ignore,
    /// Restart the machine.
    Restart,
    /// Panic.
    Panic,
}

impl OnCorruption {
    fn word(self) -> &'static str {
        match self {
            Self::Ignore => "ignore_corruption",
            Self::Restart => "restart_on_corruption",
            Self::Panic => "panic_on_corruption",
        }
    }
}

/// What the kernel does when a block cannot be read; without one, the read fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnError {
    /// Restart the machine.
    Restart,
    /// Panic.
    Panic,
}

impl OnError {
    fn word(self) -> &'static str {
        match self {
            Self::Restart => "restart_on_error",
            Self::Panic => "panic_on_error",
        }
    }
}

const IGNORE_ZERO_BLOCKS: &str = "ignore_zero_blocks";
const CHECK_AT_MOST_ONCE: &str = "check_at_most_once";
const TRY_VERIFY_IN_TASKLET: &str = "try_verify_in_tasklet";
const FEC_DEVICE: &str = "use_fec_from_device";
const FEC_BLOCKS: &str = "fec_blocks";
const FEC_START: &str = "fec_start";
const FEC_ROOTS: &str = "fec_roots";
const SIGNATURE_KEY: &str = "root_hash_sig_key_desc";

/// One optional argument of a table, whatever its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TableOption {
    /// What to do about corrupted blocks.
    Corruption(OnCorruption),
    /// What to do about blocks that cannot be read.
    Error(OnError),
    /// Blocks of zeros are not read.
    IgnoreZeroBlocks,
    /// Data blocks are checked only the first time.
    CheckAtMostOnce,
    /// Verification in a tasklet or bottom half.
    TryVerifyInTasklet,
    /// Forward error correction, all four of its words.
    Fec,
    /// The root hash's signature.
    Signature,
}

impl TableOption {
    /// Every option there is, in table order.
    pub const ALL: [Self; 10] = [
        Self::Corruption(OnCorruption::Ignore),
        Self::Corruption(OnCorruption::Restart),
        Self::Corruption(OnCorruption::Panic),
        Self::Error(OnError::Restart),
        Self::Error(OnError::Panic),
        Self::IgnoreZeroBlocks,
        Self::CheckAtMostOnce,
        Self::TryVerifyInTasklet,
        Self::Fec,
        Self::Signature,
    ];

    /// Its word in a table.
    pub fn word(self) -> &'static str {
        match self {
            Self::Corruption(what) => what.word(),
            Self::Error(what) => what.word(),
            Self::IgnoreZeroBlocks => IGNORE_ZERO_BLOCKS,
            Self::CheckAtMostOnce => CHECK_AT_MOST_ONCE,
            Self::TryVerifyInTasklet => TRY_VERIFY_IN_TASKLET,
            Self::Fec => FEC_DEVICE,
            Self::Signature => SIGNATURE_KEY,
        }
    }

    fn has_value(self) -> bool {
        matches!(self, Self::Fec | Self::Signature)
    }

    /// Whether it is about speed alone: without it the same is protected, and handled in the same way.
    pub fn is_hint(self) -> bool {
        self == Self::TryVerifyInTasklet
    }
}

/// The FEC arguments of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableFec {
    /// The FEC device, as a path or `major:minor`.
    pub device: String,
    /// Data and hash blocks covered.
    pub blocks: u64,
    /// Where the parity starts, in blocks.
    pub start: u64,
    /// Parity bytes per codeword.
    pub roots: u32,
}

/// The optional arguments of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableOptions {
    /// What to do about corrupted blocks.
    pub on_corruption: Option<OnCorruption>,
    /// What to do about blocks that cannot be read.
    pub on_error: Option<OnError>,
    /// Return zeros for blocks whose digest is that of a block of zeros, without reading them.
    pub ignore_zero_blocks: bool,
    /// Check each data block only the first time it is read.
    pub check_at_most_once: bool,
    /// Verify in a tasklet or bottom half when all hashes are cached.
    pub try_verify_in_tasklet: bool,
    /// Forward error correction.
    pub fec: Option<TableFec>,
    /// Description of the key that holds the root hash's signature.
    pub signature_key: Option<String>,
    /// Words a kernel reported that this library does not know.
    pub unknown: Vec<String>,
}

impl TableOptions {
    /// The words, in the order in which kernels read them back.
    pub fn words(&self) -> Vec<String> {
        let mut words: Vec<String> = self.flags().map(str::to_owned).collect();
        if let Some(fec) = &self.fec {
            words.extend([FEC_DEVICE.to_owned(), fec.device.clone()]);
            words.extend([FEC_BLOCKS.to_owned(), fec.blocks.to_string()]);
            words.extend([FEC_START.to_owned(), fec.start.to_string()]);
            words.extend([FEC_ROOTS.to_owned(), fec.roots.to_string()]);
        }
        if let Some(key) = &self.signature_key {
            words.extend([SIGNATURE_KEY.to_owned(), key.clone()]);
        }
        words.extend(self.unknown.iter().cloned());
        words
    }

    /// The options that are a single word, in table order.
    pub fn flags(&self) -> impl Iterator<Item = &'static str> {
        self.asked().into_iter().filter(|option| !option.has_value()).map(TableOption::word)
    }

    /// The options that are set, in table order; without what this library does not know.
    pub fn asked(&self) -> Vec<TableOption> {
        [
            self.on_corruption.map(TableOption::Corruption),
            self.on_error.map(TableOption::Error),
            self.ignore_zero_blocks.then_some(TableOption::IgnoreZeroBlocks),
            self.check_at_most_once.then_some(TableOption::CheckAtMostOnce),
            self.try_verify_in_tasklet.then_some(TableOption::TryVerifyInTasklet),
            self.fec.is_some().then_some(TableOption::Fec),
            self.signature_key.is_some().then_some(TableOption::Signature),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// These options with only those that are in `kept`.
    #[must_use]
    pub fn only(&self, kept: &[TableOption]) -> Self {
        let is_kept = |option| kept.contains(&option);
        Self {
            on_corruption: self.on_corruption.filter(|&what| is_kept(TableOption::Corruption(what))),
            on_error: self.on_error.filter(|&what| is_kept(TableOption::Error(what))),
            ignore_zero_blocks: self.ignore_zero_blocks && is_kept(TableOption::IgnoreZeroBlocks),
            check_at_most_once: self.check_at_most_once && is_kept(TableOption::CheckAtMostOnce),
            try_verify_in_tasklet: self.try_verify_in_tasklet && is_kept(TableOption::TryVerifyInTasklet),
            fec: self.fec.clone().filter(|_| is_kept(TableOption::Fec)),
            signature_key: self.signature_key.clone().filter(|_| is_kept(TableOption::Signature)),
            unknown: Vec::new(),
        }
    }

    fn parse<'a>(words: &mut impl Iterator<Item = &'a str>) -> std::result::Result<Self, &'static str> {
        let mut options = Self::default();
        let (mut device, mut blocks, mut start, mut roots) = (None, None, None, None);
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or("an optional argument has no value");
            match word {
                "ignore_corruption" => options.on_corruption = Some(OnCorruption::Ignore),
                "restart_on_corruption" => options.on_corruption = Some(OnCorruption::Restart),
                "panic_on_corruption" => options.on_corruption = Some(OnCorruption::Panic),
                "restart_on_error" => options.on_error = Some(OnError::Restart),
                "panic_on_error" => options.on_error = Some(OnError::Panic),
                IGNORE_ZERO_BLOCKS => options.ignore_zero_blocks = true,
                CHECK_AT_MOST_ONCE => options.check_at_most_once = true,
                TRY_VERIFY_IN_TASKLET => options.try_verify_in_tasklet = true,
                FEC_DEVICE => device = Some(value()?.to_owned()),
                FEC_BLOCKS => blocks = Some(number(value()?)?),
                FEC_START => start = Some(number(value()?)?),
                FEC_ROOTS => roots = Some(number(value()?)?),
                SIGNATURE_KEY => options.signature_key = Some(value()?.to_owned()),
                other => options.unknown.push(other.to_owned()),
            }
        }
        options.fec = match (device, blocks, roots) {
            (None, ..) => None,
            (Some(device), Some(blocks), Some(roots)) => {
                let roots = u32::try_from(roots).map_err(|_| "fec_roots is too large")?;
                Some(TableFec { device, blocks, start: start.unwrap_or(0), roots })
            }
            _ => return Err("use_fec_from_device needs fec_blocks and fec_roots"),
        };
        Ok(options)
    }
}

/// A verity target's table.
///
/// Devices are what the kernel takes: a path, or `major:minor`, which is how kernels read them back. Algorithm and salt
/// are kept as text, because a kernel may run with ones that no superblock can hold.
///
/// # Examples
/// ```
/// use std::path::Path;
///
/// use dmverity::table::{OnCorruption, TableOptions, VerityTable};
/// use dmverity::{Layout, Params, RootHash};
///
/// # fn main() -> dmverity::Result<()> {
/// let params = Params::builder().build(Path::new("data.img"), 300 * 4096)?;
/// let root_hash = RootHash::from_hex(&"ab".repeat(32), params.algorithm())?;
/// let options = TableOptions { on_corruption: Some(OnCorruption::Panic), ..TableOptions::default() };
/// let table = VerityTable::new(&Layout::new(&params)?, root_hash, "/dev/vda1".into(), "/dev/vda2".into(), options);
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
    pub fn new(
        layout: &Layout,
        root_hash: RootHash,
        data_device: String,
        hash_device: String,
        options: TableOptions,
    ) -> Self {
        let params = layout.params();
        Self {
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
        }
    }

    /// The length of the target in 512-byte sectors; `None` when it is beyond what a device can hold.
    pub fn sectors(&self) -> Option<u64> {
        self.data_block_size.checked_bytes_of(self.data_blocks).map(|bytes| bytes / crate::value::SECTOR_SIZE)
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
    /// Reads a status line: `V` or `C`, on newer kernels followed by `-` or the number of repaired blocks. Words after
    /// these are for readers to come.
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

fn number(word: &str) -> std::result::Result<u64, &'static str> {
    word.parse().map_err(|_| "a number was expected")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "1 7:1 7:0 4096 512 256 1 sha256 \
        5e72000000000000000000000000000000000000000000000000000000000000 724aff";

    #[test]
    fn a_plain_table_reads_back_as_it_was_written() {
        let table = VerityTable::parse(PLAIN).unwrap();
        assert_eq!(table.data_device, "7:1");
        assert_eq!(table.hash_device, "7:0");
        assert_eq!((table.data_block_size.bytes(), table.hash_block_size.bytes()), (4096, 512));
        assert_eq!((table.data_blocks, table.hash_start), (256, 1));
        assert_eq!(table.sectors(), Some(2048));
        assert_eq!(table.to_string(), PLAIN);
    }

    #[test]
    fn every_option_stands_in_the_kernels_order() {
        let options = TableOptions {
            on_corruption: Some(OnCorruption::Restart),
            on_error: Some(OnError::Panic),
            ignore_zero_blocks: true,
            check_at_most_once: true,
            try_verify_in_tasklet: true,
            fec: Some(TableFec { device: "7:2".into(), blocks: 259, start: 3, roots: 24 }),
            signature_key: Some("cryptsetup:x-y".into()),
            unknown: Vec::new(),
        };
        let table = VerityTable { options, ..VerityTable::parse(PLAIN).unwrap() };
        let line = table.to_string();
        assert_eq!(
            line.strip_prefix(PLAIN).unwrap(),
            " 15 restart_on_corruption panic_on_error ignore_zero_blocks check_at_most_once try_verify_in_tasklet \
             use_fec_from_device 7:2 fec_blocks 259 fec_start 3 fec_roots 24 root_hash_sig_key_desc cryptsetup:x-y"
        );
        assert_eq!(VerityTable::parse(&line).unwrap(), table);

        // Each can be taken out, and all together are everything.
        let asked = table.options.asked();
        assert_eq!(asked.len(), 7);
        assert_eq!(table.options.only(&asked), table.options);
        for option in asked {
            let alone = table.options.only(&[option]);
            assert_eq!(alone.asked(), [option]);
            assert_eq!(alone.words()[0], option.word());
        }
    }

    #[test]
    fn options_beyond_the_count_are_ignored_and_unknown_ones_kept() {
        let options = |tail: &str| VerityTable::parse(&format!("{PLAIN} {tail}")).unwrap().options;
        assert_eq!(options("0 ignore_corruption"), TableOptions::default());
        assert_eq!(options("1 ignore_zero_blocks ignore_corruption").words(), ["ignore_zero_blocks"]);
        assert_eq!(options("2 check_at_most_once new_in_8").unknown, ["new_in_8"]);
    }

    #[test]
    fn what_is_no_table_is_refused_with_a_reason() {
        let reason = |line: &str| match VerityTable::parse(line) {
            Err(Error::TableSyntax { what, .. }) => what,
            other => panic!("{other:?}"),
        };
        assert_eq!(reason(""), "it has fewer than ten words");
        assert_eq!(reason("1 7:1 7:0 4096 512 256 1 sha256 00"), "it has fewer than ten words");
        assert_eq!(reason(&PLAIN.replacen('1', "2", 1)), "the hash type is neither 0 nor 1");
        assert_eq!(reason(&PLAIN.replace("512", "513")), "a block size is not valid");
        assert_eq!(reason(&PLAIN.replace("256 1", "256 x")), "a number was expected");
        assert_eq!(reason(&PLAIN.replace("5e72", "5e7")), "the root hash is not hexadecimal");
        assert_eq!(reason(&PLAIN.replace("724aff", "xyz")), "the salt is not hexadecimal");
        assert_eq!(reason(&format!("{PLAIN} 1 fec_roots")), "an optional argument has no value");
        let without_numbers = format!("{PLAIN} 2 use_fec_from_device 7:2");
        assert_eq!(reason(&without_numbers), "use_fec_from_device needs fec_blocks and fec_roots");
    }

    #[test]
    fn status_is_the_first_word_and_the_counter_the_second() {
        let status = |line| VerityStatus::parse(line).unwrap();
        assert_eq!(status("V"), VerityStatus { corrupted: false, repaired: None });
        assert_eq!(status("C"), VerityStatus { corrupted: true, repaired: None });
        assert_eq!(status("V -"), VerityStatus { corrupted: false, repaired: None });
        assert_eq!(status("C 17 more"), VerityStatus { corrupted: true, repaired: Some(17) });
        for line in ["", "X", "verified"] {
            assert!(VerityStatus::parse(line).is_err());
        }
    }
}
