//! What went wrong, as a caller sees it: lines for standard error and an exit code. The words of the first lines are
//! the reference tool's, because scripts look for them; other advice is on `hint:` lines.

mod mapping;

use std::io::ErrorKind;
use std::iter;
use std::path::Path;

use dmverity::cmdline::{Fault, OptionFault};
use dmverity::{Area, Error, Salt};
use nix::errno::Errno;

use crate::escape::{escaped, text_of};
use crate::help;
use crate::options::Action;
use crate::report::{RefusedTableFields, Report};

/// The exit codes callers depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Parameters = 1,
    /// No permission, and failed verification.
    Permission = 2,
    Memory = 3,
    Device = 4,
    Busy = 5,
}

impl Exit {
    pub(crate) fn code(self) -> u8 {
        self as u8
    }

    /// What `-v` says of it.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Parameters => "wrong or missing parameters",
            Self::Permission => "no permission or bad passphrase",
            Self::Memory => "out of memory",
            Self::Device => "wrong device or file specified",
            Self::Busy => "device already exists or device is busy",
        }
    }
}

/// A command that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// Lines for standard error, and for a JSON object.
    pub(crate) lines: Vec<String>,
    /// Advice, each printed after the lines as a line of its own.
    pub(crate) hints: Vec<String>,
    /// The system's error number, if there is one.
    pub(crate) errno: Option<Errno>,
    /// The table that the kernel refused, if that is what failed.
    pub(crate) refused_table: Option<Box<RefusedTableFields>>,
    /// What was done or found in spite of the failure.
    pub(crate) report: Option<Box<Report>>,
    /// Whether the report's text says everything.
    pub(crate) is_said: bool,
    /// Whether the line of usage goes before them.
    pub(crate) usage: bool,
    /// The action that failed, if that is known.
    pub(crate) action: Option<Action>,
}

pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub(crate) fn new(exit: Exit, line: impl Into<String>) -> Self {
        Self::of_lines(exit, vec![line.into()])
    }

    pub(crate) fn of_lines(exit: Exit, lines: Vec<String>) -> Self {
        Self {
            exit,
            lines,
            hints: Vec::new(),
            errno: None,
            refused_table: None,
            report: None,
            is_said: false,
            usage: false,
            action: None,
        }
    }

    /// The text of the report says everything; a JSON object has this message too.
    pub(crate) fn said(exit: Exit, message: &str) -> Self {
        Self { is_said: true, ..Self::new(exit, message) }
    }

    /// The command line cannot be understood; `line` comes with the program's name unless it starts with an option.
    pub(crate) fn usage(line: impl Into<String>) -> Self {
        let line = line.into();
        let line = if line.starts_with('-') { line } else { format!("veritysetup: {line}") };
        Self { usage: true, ..Self::new(Exit::Parameters, line) }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The system's own words, as a hint.
    pub(crate) fn because(mut self, error: &std::io::Error) -> Self {
        self.errno = error.raw_os_error().map(Errno::from_raw);
        self.hint(system_words(error))
    }

    pub(crate) fn hints(self, hints: impl IntoIterator<Item = String>) -> Self {
        hints.into_iter().fold(self, Self::hint)
    }

    /// Everything for standard error.
    pub(crate) fn text(&self) -> String {
        if self.is_said {
            return String::new();
        }
        let lines = self.lines.iter().fold(String::new(), |text, line| text + &escaped(line) + "\n");
        let hints = self.hints.iter().fold(String::new(), |text, hint| text + "hint: " + &escaped(hint) + "\n");
        // Scripts look at the last line of what the reference prints about a wrong command line.
        if self.usage { help::usage_line(self.action) + &hints + &lines } else { lines + &hints }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        Self { errno: error.errno().map(Errno::from_raw), ..in_words(error) }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::new(Exit::Parameters, fault.to_string()).hints(about_cmdline(&fault))
    }
}

/// Faults of parameters and images.
fn in_words(error: &Error) -> Failure {
    let parameters = |line: &str| Failure::new(Exit::Parameters, line);
    match error {
        Error::BlockSize { found } => parameters("Unsupported VERITY block size.")
            .hint(format!("block sizes are powers of two from 512 to 524288 bytes; {found} is not one.")),
        Error::HashAlgorithm { name } => parameters(&format!("Hash algorithm {name} not supported.")),
        Error::HashType { found } => parameters(&format!("Unsupported VERITY hash type {found}.")),
        Error::SaltText => parameters("Invalid salt string specified."),
        Error::SaltLength { found } => parameters("Invalid salt string specified.")
            .hint(format!("the salt has {found} bytes; the maximum is {}.", Salt::MAX_LEN)),
        Error::RootHashText => parameters("Invalid root hash string specified."),
        Error::RootHashLength { found, needed, algorithm } => parameters("Invalid root hash string specified.")
            .hint(format!("a {algorithm} root hash has {} hexadecimal digits, not {}.", 2 * needed, 2 * found)),
        Error::Offset { area, .. } => parameters(&format!("Unsupported VERITY {area} offset.")),
        Error::FecRoots { found } => parameters("Invalid number of parity bytes.")
            .hint(format!("--fec-roots is a number from 2 to 24, not {found}.")),
        Error::FecBlockSizes { data, hash } => parameters("Block sizes must match for FEC.")
            .hint(format!("the data block size is {data} bytes, the hash block size {hash}.")),
        Error::Overlap { first, first_end, second, second_start } => {
            parameters(&format!("{} area overlaps with {second} area.", capitalised(*first))).hint(format!(
                "the {first} area ends at byte {first_end}, the {second} area starts at byte {second_start}."
            ))
        }
        Error::NoDataBlocks { path, found, block_size } => {
            let device = path.as_ref().map_or_else(|| "data".into(), text_of);
            parameters(&format!("Device {device} is too small."))
                .hint(format!("it has {found} bytes, but one data block has {block_size}."))
        }
        Error::TooManyBlocks { blocks, block_size } => parameters("Device offset overflow.")
            .hint(format!("{blocks} data blocks of {block_size} bytes are more than a device can hold.")),
        Error::TooFewBytes { found, needed } => parameters("Device data is too small.").hint(sizes(*found, *needed)),
        Error::DeviceTooSmall { path, found, needed } => {
            parameters(&format!("Device {} is too small.", text_of(path))).hint(sizes(*found, *needed))
        }
        Error::NotVerity => parameters("There is no VERITY superblock."),
        Error::SuperblockVersion { found } => parameters(&format!("Unsupported VERITY version {found}.")),
        Error::SuperblockCorrupted { what } => parameters("VERITY header corrupted.").hint(format!("{what}.")),
        Error::Superblock { path, source } => unusable_superblock(path, source),
        Error::NoHashArea { path } => parameters(&format!("Device {} is not a valid VERITY device.", text_of(path)))
            .hint(
                "no superblock was found right after the data it describes: --hash-offset=auto is for data and hash \
                 tree on one device; a separate hash device usually has its hash tree at offset 0.",
            ),
        Error::SeveralHashAreas { path, offsets } => {
            let offsets: Vec<String> = offsets.iter().map(u64::to_string).collect();
            parameters(&format!("Device {} has more than one VERITY superblock.", text_of(path)))
                .hint(format!("they are at bytes {}: choose one with --hash-offset.", offsets.join(", ")))
        }
        Error::BehindHashArea { path, offset, end, found } => {
            parameters(&format!("Device {} has data after its hash area.", text_of(path))).hint(format!(
                "the hash area from byte {offset} ends at byte {end}, the file at byte {found}: the bytes in between \
                 are not its parity; --append would discard them."
            ))
        }
        Error::UnfinishedHashArea { path, data_end, offset, planned_end, found } => {
            let planned = planned_end.map_or(String::new(), |end| format!(" that was to end at byte {end}"));
            parameters(&format!("Device {} has an unfinished hash area and was changed afterwards.", text_of(path)))
                .hint(format!(
                    "the data ended at byte {data_end}, an unfinished hash area{planned} follows at byte {offset}, and \
                     the file now ends at byte {found}."
                ))
                .hint(format!(
                    "if nothing after the data is needed, discard it: truncate --size={data_end} {}",
                    text_of(path)
                ))
        }
        Error::Unexpected { field, expected, found } => Failure::new(
            Exit::Permission,
            format!("Image is not the expected one: {field} is {found}, expected {expected}."),
        ),
        Error::Seed { .. } => parameters("Invalid salt seed specified.")
            .hint("a seed is text that is not empty and has no control characters, such as newlines."),
        Error::Unwritable { line, value } => parameters(&format!("Cannot write {value:?} in {line}."))
            .hint("this form cannot express it, or the characters have another meaning there."),
        Error::NoPartitionUuids => parameters("Root hash is too short for partition UUIDs.")
            .hint("they are its first and its last 128 bits: use a longer hash."),
        other => of_places(other),
    }
}

/// Faults of the places where an image is, or will be.
fn of_places(error: &Error) -> Failure {
    let parameters = |line: &str| Failure::new(Exit::Parameters, line);
    match error {
        Error::NotWritable { area, path, source } => {
            let area = if *area == Area::Fec { "FEC" } else { "hash" };
            parameters(&format!("Cannot create {area} image {} for writing.", text_of(path))).because(source)
        }
        Error::AmongDeviceNodes { path } => {
            Failure::new(Exit::Device, format!("Device {} does not exist or access denied.", text_of(path)))
                .hint("veritysetup creates no files in a directory of device nodes.")
        }
        Error::FecGap { found, hash_bytes, most } => parameters("Unsupported VERITY FEC offset.").hint(format!(
            "parity at byte {found} would cover the zeros after the end of the hash device at byte {hash_bytes}: byte \
             {most} is the last possible place for it."
        )),
        Error::NoTree { path } => parameters(&format!("Device {} has no hash tree.", text_of(path)))
            .hint("the root hash of an image of one data block is the digest of that block."),
        Error::PlainTree { path, data_end, offset } => parameters(&format!(
            "Device {} seems to end with a hash tree already.",
            text_of(path)
        ))
        .hint(format!(
            "the data would end at byte {data_end} and the tree begin at byte {offset}; it was made with another salt: \
             name that with --salt to replace the tree."
        ))
        .hint(format!("if it is such a tree, remove it: truncate --size={data_end} {}", text_of(path))),
        Error::Changed { path, expected, found } => {
            Failure::new(Exit::Busy, format!("Device {} is being changed by another process.", text_of(path)))
                .hint(format!("it had {expected} bytes when it was opened, and has {found} now."))
        }
        Error::FileSystemTooLarge { path, found, data_end, offset } => {
            parameters(&format!("Device {} has a file system that reaches into its hash area.", text_of(path)))
                .hint(format!(
                    "the file system has {found} bytes, the data end at byte {data_end}, and --append would replace \
                     what follows them: shrink the file system."
                ))
                .hint(format!(
                    "if the hash area is not needed, make it a part of the data: dd if=/dev/zero of={} bs=512 seek={} \
                     count=1 conv=notrunc",
                    text_of(path),
                    offset / 512
                ))
        }
        other => system(other),
    }
}

/// Advice about a kernel command line.
fn about_cmdline(fault: &Fault) -> Option<String> {
    let hint = match fault {
        Fault::Option { what: OptionFault::Unknown, .. } => {
            "the options are those of veritytab(5); an unknown one might be there for protection."
        }
        Fault::Ambiguous { .. } => "quotation marks, unusual blanks or the word -- hide it from one of them.",
        _ => return None,
    };
    Some(hint.to_owned())
}

/// Faults of the system and its devices.
fn system(error: &Error) -> Failure {
    let parameters = |line: &str| Failure::new(Exit::Parameters, line);
    match error {
        Error::Open { path, source } => {
            let failure =
                Failure::new(Exit::Device, format!("Device {} does not exist or access denied.", text_of(path)));
            if source.kind() == ErrorKind::NotFound { failure } else { failure.because(source) }
        }
        Error::NotDevice { path } => Failure::new(Exit::Device, format!("Device {} is not compatible.", text_of(path)))
            .hint("a block device or a regular file is needed."),
        Error::NotFile { path } => Failure::new(Exit::Device, format!("Device {} is not compatible.", text_of(path)))
            .hint("--append needs a regular file; for a block device use --data-blocks and --hash-offset."),
        Error::DeviceBusy { path } => mapping::busy(path, &dmverity::dm::holders(path)),
        Error::DeviceLocked { path } => {
            Failure::new(Exit::Busy, format!("Device {} is in use by another process.", text_of(path)))
        }
        Error::Io { action, path, source } => {
            let exit = if source.kind() == ErrorKind::OutOfMemory { Exit::Memory } else { Exit::Parameters };
            Failure::new(exit, format!("Cannot {action} device {}.", text_of(path))).because(source)
        }
        Error::OutOfMemory { bytes } => Failure::new(Exit::Memory, "Not enough memory.")
            .hint(format!("{bytes} more bytes are needed, and the system cannot provide them.")),
        Error::FecDevice => parameters("Unsupported VERITY FEC offset.")
            .hint("the kernel needs a FEC device, and an offset on it that is a multiple of the block size."),
        // Errors without words of their own, now or in a later library.
        other => parameters(&with_causes(other)),
    }
}

/// What an error says, and then what its causes say.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}")) + "."
}

/// A size that is there and one that is needed, for a hint.
pub(crate) fn sizes(found: u64, needed: u64) -> String {
    format!("it has {found} bytes, but {needed} are needed.")
}

/// Why the superblock cannot be used; if it is not a superblock at all, what that means for the device.
fn unusable_superblock(path: &Path, reason: &Error) -> Failure {
    let line = format!("Device {} is not a valid VERITY device.", text_of(path));
    if matches!(reason, Error::NotVerity) {
        return Failure::new(Exit::Parameters, line);
    }
    let mut failure = Failure::from(reason);
    failure.lines.insert(1, line);
    failure
}

fn capitalised(area: Area) -> &'static str {
    match area {
        Area::Data => "Data",
        Area::Hash => "Hash",
        Area::Fec => "FEC",
    }
}

/// The system's own words, without the number that `io::Error` appends.
fn system_words(error: &std::io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => format!("{}.", nix::errno::Errno::from_raw(number).desc()),
        None => format!("{}.", error.kind()),
    }
}
