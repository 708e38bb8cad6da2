//! The optional arguments of a verity table. `ROWS` has all that is known about each; all other code iterates over it.

use std::collections::{BTreeSet, btree_set};

use TableFlag::{
    CheckAtMostOnce, IgnoreCorruption, IgnoreZeroBlocks, PanicOnCorruption, PanicOnError, RestartOnCorruption,
    RestartOnError, TryVerifyInTasklet,
};
use TableOption::{Fec, Flag, Signature};

/// An option that is a single word, in table order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TableFlag {
    /// The kernel logs a corrupted block and returns its data. Without one of these three, reading it fails.
    IgnoreCorruption,
    /// The kernel restarts the machine when it finds a corrupted block.
    RestartOnCorruption,
    /// The kernel panics when it finds a corrupted block.
    PanicOnCorruption,
    /// The kernel restarts the machine when it cannot read a block. Without one of these two, the read fails.
    RestartOnError,
    /// The kernel panics when it cannot read a block.
    PanicOnError,
    /// The kernel returns zeros for blocks whose digest is that of a block of zeros, without reading them.
    IgnoreZeroBlocks,
    /// The kernel checks each data block only the first time it is read.
    CheckAtMostOnce,
    /// The kernel verifies in a tasklet or bottom half when all hashes are cached.
    TryVerifyInTasklet,
}

/// An optional argument of a table, whatever its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TableOption {
    /// One that is a single word.
    Flag(TableFlag),
    /// Forward error correction, all four of its words.
    Fec,
    /// The root hash's signature.
    Signature,
}

/// What a kernel can encounter. It can react in only one way, so a table has at most one of the flags that say how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Occasion {
    CorruptedBlock,
    UnreadableBlock,
}

/// Programs that have their own name for an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::line) enum Reader {
    /// In `/etc/veritytab` and on the kernel's command line.
    Systemd,
    /// In FIT images.
    UBoot,
}

/// What is known about an option.
#[derive(Clone, Copy)]
struct Row {
    option: TableOption,
    /// Its words in a table, each with a value after it unless the option is a flag.
    words: &'static [&'static str],
    /// The occasion that the option reacts to.
    occasion: Option<Occasion>,
    /// Whether it is about speed alone.
    is_hint: bool,
    /// What these programs call it, if they have it.
    readers: (&'static str, &'static [Reader]),
}

const FEC_DEVICE: &str = "use_fec_from_device";
const FEC_BLOCKS: &str = "fec_blocks";
const FEC_START: &str = "fec_start";
const FEC_ROOTS: &str = "fec_roots";

const CORRUPTED: Option<Occasion> = Some(Occasion::CorruptedBlock);
const UNREADABLE: Option<Occasion> = Some(Occasion::UnreadableBlock);
const SYSTEMD: &[Reader] = &[Reader::Systemd];
const UBOOT: &[Reader] = &[Reader::UBoot];
const BOTH: &[Reader] = &[Reader::Systemd, Reader::UBoot];

/// Every option, in table order.
static ROWS: [Row; 10] = [
    flag(IgnoreCorruption, &["ignore_corruption"], CORRUPTED, ("ignore-corruption", SYSTEMD)),
    flag(RestartOnCorruption, &["restart_on_corruption"], CORRUPTED, ("restart-on-corruption", BOTH)),
    flag(PanicOnCorruption, &["panic_on_corruption"], CORRUPTED, ("panic-on-corruption", BOTH)),
    flag(RestartOnError, &["restart_on_error"], UNREADABLE, ("restart-on-error", UBOOT)),
    flag(PanicOnError, &["panic_on_error"], UNREADABLE, ("panic-on-error", UBOOT)),
    flag(IgnoreZeroBlocks, &["ignore_zero_blocks"], None, ("ignore-zero-blocks", SYSTEMD)),
    flag(CheckAtMostOnce, &["check_at_most_once"], None, ("check-at-most-once", BOTH)),
    hint(flag(TryVerifyInTasklet, &["try_verify_in_tasklet"], None, ("", &[]))),
    with_values(Fec, &[FEC_DEVICE, FEC_BLOCKS, FEC_START, FEC_ROOTS]),
    with_values(Signature, &["root_hash_sig_key_desc"]),
];

const fn flag(
    flag: TableFlag,
    words: &'static [&'static str],
    occasion: Option<Occasion>,
    readers: (&'static str, &'static [Reader]),
) -> Row {
    Row { option: Flag(flag), words, occasion, is_hint: false, readers }
}

const fn hint(row: Row) -> Row {
    Row { is_hint: true, ..row }
}

const fn with_values(option: TableOption, words: &'static [&'static str]) -> Row {
    Row { option, words, occasion: None, is_hint: false, readers: ("", &[]) }
}

impl TableFlag {
    /// The word in a table.
    pub fn word(self) -> &'static str {
        TableOption::from(self).word()
    }
}

impl From<TableFlag> for TableOption {
    fn from(flag: TableFlag) -> Self {
        Flag(flag)
    }
}

impl TableOption {
    /// Every option there is, in table order.
    pub fn all() -> impl ExactSizeIterator<Item = Self> {
        ROWS.iter().map(|row| row.option)
    }

    fn row(self) -> &'static Row {
        ROWS.iter().find(|row| row.option == self).expect("every option has a row")
    }

    /// Its word in a table, the first one if it has several.
    pub fn word(self) -> &'static str {
        self.row().words[0]
    }

    /// Whether it only affects speed: without it the same is protected, and handled in the same way.
    pub fn is_hint(self) -> bool {
        self.row().is_hint
    }

    /// What another program calls it, if it has the option.
    pub(in crate::line) fn name_for(self, reader: Reader) -> Option<&'static str> {
        let (name, readers) = self.row().readers;
        readers.contains(&reader).then_some(name)
    }
}

/// The flags of a table. It has at most one of those that say what to do about corrupted blocks, and one of those about
/// blocks that cannot be read: a new one replaces the earlier one.
///
/// ```
/// use dmverity::table::{TableFlag, TableFlags};
///
/// let mut flags = TableFlags::from([TableFlag::CheckAtMostOnce, TableFlag::IgnoreCorruption]);
/// flags.insert(TableFlag::PanicOnCorruption);
/// assert_eq!(flags.iter().map(TableFlag::word).collect::<Vec<_>>(), ["panic_on_corruption", "check_at_most_once"]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TableFlags(BTreeSet<TableFlag>);

impl TableFlags {
    /// Adds a flag, and removes those that exclude it.
    pub fn insert(&mut self, flag: TableFlag) {
        let occasion = Flag(flag).row().occasion;
        self.0.retain(|&other| occasion.is_none() || Flag(other).row().occasion != occasion);
        self.0.insert(flag);
    }

    /// Removes a flag; says whether it was there.
    pub fn remove(&mut self, flag: TableFlag) -> bool {
        self.0.remove(&flag)
    }

    /// Whether it has a flag.
    pub fn contains(&self, flag: TableFlag) -> bool {
        self.0.contains(&flag)
    }

    /// The flags, in table order.
    pub fn iter(&self) -> std::iter::Copied<btree_set::Iter<'_, TableFlag>> {
        self.0.iter().copied()
    }
}

impl<'a> IntoIterator for &'a TableFlags {
    type Item = TableFlag;
    type IntoIter = std::iter::Copied<btree_set::Iter<'a, TableFlag>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl FromIterator<TableFlag> for TableFlags {
    fn from_iter<I: IntoIterator<Item = TableFlag>>(flags: I) -> Self {
        flags.into_iter().fold(Self::default(), |mut made, flag| {
            made.insert(flag);
            made
        })
    }
}

impl<const N: usize> From<[TableFlag; N]> for TableFlags {
    fn from(flags: [TableFlag; N]) -> Self {
        flags.into_iter().collect()
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
    /// Those that are a single word.
    pub flags: TableFlags,
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
        let words = self.asked().into_iter().flat_map(|option| self.words_of(option));
        words.chain(self.unknown.iter().cloned()).collect()
    }

    fn words_of(&self, option: TableOption) -> Vec<String> {
        let values = match option {
            Flag(flag) => return vec![flag.word().to_owned()],
            Fec => self.fec.iter().flat_map(TableFec::values).collect(),
            Signature => Vec::from_iter(self.signature_key.clone()),
        };
        option.row().words.iter().zip(values).flat_map(|(&word, value)| [word.to_owned(), value]).collect()
    }

    /// The options that are set, in table order; without what this library does not know.
    pub fn asked(&self) -> Vec<TableOption> {
        TableOption::all().filter(|&option| self.has(option)).collect()
    }

    fn has(&self, option: TableOption) -> bool {
        match option {
            Flag(flag) => self.flags.contains(flag),
            Fec => self.fec.is_some(),
            Signature => self.signature_key.is_some(),
        }
    }

    /// These options, reduced to those in `kept`.
    #[must_use]
    pub fn only(&self, kept: &[TableOption]) -> Self {
        let is_kept = |option| kept.contains(&option);
        Self {
            flags: self.flags.iter().filter(|&flag| is_kept(Flag(flag))).collect(),
            fec: self.fec.clone().filter(|_| is_kept(Fec)),
            signature_key: self.signature_key.clone().filter(|_| is_kept(Signature)),
            unknown: Vec::new(),
        }
    }

    pub(super) fn parse<'a>(words: &mut impl Iterator<Item = &'a str>) -> Result<Self, &'static str> {
        let mut options = Self::default();
        let mut fec = FecValues::default();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or("an optional argument has no value");
            match ROWS.iter().find(|row| row.words.contains(&word)).map(|row| row.option) {
                Some(Flag(flag)) => options.flags.insert(flag),
                Some(Fec) => fec.read(word, value()?)?,
                Some(Signature) => options.signature_key = Some(value()?.to_owned()),
                None => options.unknown.push(word.to_owned()),
            }
        }
        options.fec = fec.finish()?;
        Ok(options)
    }
}

impl TableFec {
    /// The values of its words, in their order.
    fn values(&self) -> [String; 4] {
        [self.device.clone(), self.blocks.to_string(), self.start.to_string(), self.roots.to_string()]
    }
}

/// What was read of the FEC arguments.
#[derive(Default)]
struct FecValues {
    device: Option<String>,
    blocks: Option<u64>,
    start: Option<u64>,
    roots: Option<u64>,
}

impl FecValues {
    fn read(&mut self, word: &str, value: &str) -> Result<(), &'static str> {
        match word {
            FEC_BLOCKS => self.blocks = Some(number(value)?),
            FEC_START => self.start = Some(number(value)?),
            FEC_ROOTS => self.roots = Some(number(value)?),
            _ => self.device = Some(value.to_owned()),
        }
        Ok(())
    }

    fn finish(self) -> Result<Option<TableFec>, &'static str> {
        match (self.device, self.blocks, self.roots) {
            (None, ..) => Ok(None),
            (Some(device), Some(blocks), Some(roots)) => {
                let roots = u32::try_from(roots).map_err(|_| "fec_roots is too large")?;
                Ok(Some(TableFec { device, blocks, start: self.start.unwrap_or(0), roots }))
            }
            _ => Err("use_fec_from_device needs fec_blocks and fec_roots"),
        }
    }
}

pub(super) fn number(word: &str) -> Result<u64, &'static str> {
    word.parse().map_err(|_| "a number was expected")
}
