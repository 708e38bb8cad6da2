//! What went wrong, as a caller sees it: lines for standard error and an exit code. The words of the first lines are
//! the reference tool's, because scripts look for them; other advice is on `hint:` lines.

mod mapping;
#[cfg(feature = "http")]
pub(crate) mod web;

use std::io::ErrorKind;

use dmverity::cmdline::{Fault, OptionFault};
use dmverity::{Error, Salt, messages};
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
        #[cfg(feature = "http")]
        if let Some(error) = web::of(error) {
            return web::explained(self, error);
        }
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

/// The lines are the library's, which says the same in C; the exit code and the advice are the command's.
fn in_words(error: &Error) -> Failure {
    if let Error::DeviceBusy { path } = error {
        return mapping::busy(error, &dmverity::dm::holders(path));
    }
    let lines = messages::of_image(error).iter().map(text_of).collect();
    let failure = Failure::of_lines(exit_of(error), lines);
    match error {
        Error::Superblock { source, .. } if !matches!(**source, Error::NotVerity) => {
            let Failure { exit, hints, .. } = Failure::from(&**source);
            Failure { exit, ..failure }.hints(hints)
        }
        _ => about_parameters(error, about_places(error, failure)),
    }
}

fn exit_of(error: &Error) -> Exit {
    match error {
        Error::Unexpected { .. } | Error::Unproven { .. } | Error::UnfinishedUpdate { .. } => Exit::Permission,
        Error::OutOfMemory { .. } => Exit::Memory,
        Error::Io { source, .. } if source.kind() == ErrorKind::OutOfMemory => Exit::Memory,
        Error::AmongDeviceNodes { .. } | Error::Open { .. } | Error::NotDevice { .. } | Error::NotFile { .. } => {
            Exit::Device
        }
        Error::Changed { .. } | Error::DeviceLocked { .. } => Exit::Busy,
        _ => Exit::Parameters,
    }
}

/// Advice about parameters and images.
fn about_parameters(error: &Error, failure: Failure) -> Failure {
    match error {
        Error::BlockSize { found } => {
            failure.hint(format!("block sizes are powers of two from 512 to 524288 bytes; {found} is not one."))
        }
        Error::SaltLength { found } => {
            failure.hint(format!("the salt has {found} bytes; the maximum is {}.", Salt::MAX_LEN))
        }
        Error::RootHashLength { found, needed, algorithm } => {
            failure.hint(format!("a {algorithm} root hash has {} hexadecimal digits, not {}.", 2 * needed, 2 * found))
        }
        Error::FecRoots { found } => failure.hint(format!("--fec-roots is a number from 2 to 24, not {found}.")),
        Error::FecBlockSizes { data, hash } => {
            failure.hint(format!("the data block size is {data} bytes, the hash block size {hash}."))
        }
        Error::FecDevice => {
            failure.hint("the kernel needs a FEC device, and an offset on it that is a multiple of the block size.")
        }
        Error::FecGap { found, hash_bytes, most } => failure.hint(format!(
            "parity at byte {found} would cover the zeros after the end of the hash device at byte {hash_bytes}: byte \
             {most} is the last possible place for it."
        )),
        Error::Overlap { first, first_end, second, second_start } => failure.hint(format!(
            "the {first} area ends at byte {first_end}, the {second} area starts at byte {second_start}."
        )),
        Error::NoDataBlocks { found, block_size, .. } => {
            failure.hint(format!("it has {found} bytes, but one data block has {block_size}."))
        }
        Error::TooManyBlocks { blocks, block_size } => {
            failure.hint(format!("{blocks} data blocks of {block_size} bytes are more than a device can hold."))
        }
        Error::TooFewBytes { found, needed } | Error::DeviceTooSmall { found, needed, .. } => {
            failure.hint(sizes(*found, *needed))
        }
        Error::StreamTooShort { found, needed, .. } => failure.hint(sizes(*found, *needed)),
        Error::StreamTooLong { needed, .. } => failure.hint(format!("it goes on after {needed} bytes.")),
        Error::TreeInStream { offset, .. } => failure.hint(format!(
            "it begins at byte {offset}; --append replaces it in a file only: make the image there first."
        )),
        Error::OutsideData { offset, length, data_bytes } => failure
            .hint(format!("the data have {data_bytes} bytes, and the range {offset}:{length} does not end in them.")),
        Error::WrongRoot { .. } => {
            failure.hint("nothing was written: name the root hash from before the changes.").hint(
                "if an update was killed at its very end, the tree is the new one already: format --dry-run with the \
                 same salt shows its root hash.",
            )
        }
        Error::Unproven { area, path, position } => failure.hint(format!(
            "nothing was updated: the {area} block at byte {position} of {} was not named as changed, and is another \
             one than before; verify finds all of them.",
            text_of(path)
        )),
        Error::UnfinishedUpdate { .. } => {
            failure.hint("update it again with the root hash from before, and without --dry-run.")
        }
        Error::SuperblockCorrupted { what } => failure.hint(format!("{what}.")),
        Error::Seed { .. } => {
            failure.hint("a seed is text that is not empty and has no control characters, such as newlines.")
        }
        Error::Unwritable { .. } => {
            failure.hint("this form cannot express it, or the characters have another meaning there.")
        }
        Error::NoPartitionUuids => failure.hint("they are its first and its last 128 bits: use a longer hash."),
        Error::OutOfMemory { bytes } => {
            failure.hint(format!("{bytes} more bytes are needed, and the system cannot provide them."))
        }
        _ => failure,
    }
}

/// Advice about the places where an image is, or will be.
fn about_places(error: &Error, failure: Failure) -> Failure {
    match error {
        Error::NoHashArea { .. } => failure.hint(
            "no superblock was found right after the data it describes: --hash-offset=auto is for data and hash \
             tree on one device; a separate hash device usually has its hash tree at offset 0.",
        ),
        Error::SeveralHashAreas { offsets, .. } => {
            let offsets: Vec<String> = offsets.iter().map(u64::to_string).collect();
            failure.hint(format!("they are at bytes {}: choose one with --hash-offset.", offsets.join(", ")))
        }
        Error::BehindHashArea { offset, end, found, .. } => failure.hint(format!(
            "the hash area from byte {offset} ends at byte {end}, the file at byte {found}: the bytes in between \
             are not its parity; --append would discard them."
        )),
        Error::UnfinishedHashArea { path, data_end, offset, planned_end, found } => {
            let planned = planned_end.map_or(String::new(), |end| format!(" that was to end at byte {end}"));
            failure
                .hint(format!(
                    "the data ended at byte {data_end}, an unfinished hash area{planned} follows at byte {offset}, and \
                     the file now ends at byte {found}."
                ))
                .hint(format!(
                    "if nothing after the data is needed, discard it: truncate --size={data_end} {}",
                    text_of(path)
                ))
        }
        Error::AmongDeviceNodes { .. } => failure.hint("veritysetup creates no files in a directory of device nodes."),
        Error::NoTree { .. } => {
            failure.hint("the root hash of an image of one data block is the digest of that block.")
        }
        Error::PlainTree { path, data_end, offset } => failure
            .hint(format!(
                "the data would end at byte {data_end} and the tree begin at byte {offset}; it was made with another \
                 salt: name that with --salt to replace the tree."
            ))
            .hint(format!("if it is such a tree, remove it: truncate --size={data_end} {}", text_of(path))),
        Error::Changed { expected, found, .. } => {
            failure.hint(format!("it had {expected} bytes when it was opened, and has {found} now."))
        }
        Error::FileSystemTooLarge { path, found, data_end, offset } => failure
            .hint(format!(
                "the file system has {found} bytes, the data end at byte {data_end}, and --append would replace \
                 what follows them: shrink the file system."
            ))
            .hint(format!(
                "if the hash area is not needed, make it a part of the data: dd if=/dev/zero of={} bs=512 seek={} \
                 count=1 conv=notrunc",
                text_of(path),
                offset / 512
            )),
        Error::NotDevice { .. } => failure.hint("a block device or a regular file is needed."),
        Error::NotFile { .. } => {
            failure.hint("--append needs a regular file; for a block device use --data-blocks and --hash-offset.")
        }
        Error::Open { source, .. } if source.kind() == ErrorKind::NotFound => failure,
        Error::Open { source, .. } | Error::NotWritable { source, .. } | Error::Io { source, .. } => {
            failure.because(source)
        }
        _ => failure,
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

/// A size that is there and one that is needed, for a hint.
pub(crate) fn sizes(found: u64, needed: u64) -> String {
    format!("it has {found} bytes, but {needed} are needed.")
}

/// The system's own words, without the number that `io::Error` appends.
fn system_words(error: &std::io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => format!("{}.", nix::errno::Errno::from_raw(number).desc()),
        None => format!("{}.", error.kind()),
    }
}
