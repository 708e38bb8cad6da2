//! Refusals that differ.

use super::text::{both, remove};
use crate::case::Kind;
use crate::compare::Comparison;
use crate::sandbox::{End, Outcome};

pub(super) fn is_refused(outcome: &Outcome) -> bool {
    matches!(outcome.end, End::Code(1..))
}

/// Whether a line on standard error starts with this.
pub(super) fn says(outcome: &Outcome, start: &str) -> bool {
    outcome.stderr.iter().any(|line| line.starts_with(start))
}

impl Comparison<'_> {
    /// Whether ours was refused and changed nothing.
    fn is_refused(&self) -> bool {
        is_refused(&self.ours) && self.ours.files == *self.before
    }

    fn differs(&self) -> bool {
        let (ours, theirs) = (&self.ours, &self.theirs);
        ours.end != theirs.end || ours.stderr != theirs.stderr || ours.stdout != theirs.stdout
    }

    /// Replaces our outcome by the reference's.
    pub(super) fn take_if(&mut self, is_explained: bool) -> bool {
        if is_explained {
            self.ours = self.theirs.clone();
        }
        is_explained
    }
}

/// Without device-mapper, the reference adds that the name is invalid.
pub(super) fn no_device_mapper(comparison: &mut Comparison<'_>) -> bool {
    both(comparison, |outcome| {
        says(outcome, "Cannot initialize device-mapper")
            && remove(&mut outcome.stderr, |line| line.ends_with(", name is invalid or still in use."))
    })
}

pub(super) fn no_permission(comparison: &mut Comparison<'_>) -> bool {
    const SAYS: &str = "Cannot initialize device-mapper, running as non-root user.";
    let (ours, theirs) = (&mut comparison.ours, &comparison.theirs);
    let differs = says(ours, SAYS) && says(theirs, SAYS) && ours.end == End::Code(2) && theirs.end != End::Code(2);
    if differs {
        ours.end = theirs.end.clone();
        ours.stdout.clone_from(&theirs.stdout);
    }
    differs
}

/// A file without a length is not a device. The reference notices only when it reads or writes there.
pub(super) fn without_length(comparison: &mut Comparison<'_>) -> bool {
    let is_explained = says(&comparison.ours, "Device /proc/version does not exist or access denied.")
        && comparison.is_refused()
        && comparison.theirs.end == End::Code(0);
    comparison.take_if(is_explained)
}

pub(super) fn fec_device(comparison: &mut Comparison<'_>) -> bool {
    let (ours, theirs) = (&mut comparison.ours, &comparison.theirs);
    let differs = ours.end == End::Code(4) && theirs.end == End::Code(3) && ours.stderr == theirs.stderr;
    if differs {
        ours.end = theirs.end.clone();
        ours.stdout.clone_from(&theirs.stdout);
    }
    differs
}

/// Unusable FEC, in a command that is otherwise correct or has another fault.
pub(super) fn fec_unused(comparison: &mut Comparison<'_>) -> bool {
    const FAULTS: &[&str] = &["Block sizes must match for FEC.", "Hash area overlaps ", "Data area overlaps "];
    let (ours, theirs) = (&comparison.ours, &comparison.theirs);
    let is_explained = comparison.has("--fec-device")
        && comparison.kind == Kind::Verify
        && ours.files == *comparison.before
        && (ours.end == End::Code(0) || says(ours, "Invalid root hash ") || says(ours, "Verification "))
        && is_refused(theirs)
        && FAULTS.iter().any(|fault| says(theirs, fault))
        && comparison.differs();
    comparison.take_if(is_explained)
}

/// FEC on the hash device without an offset: the reference has it overlap the tree.
pub(super) fn fec_after_tree(comparison: &mut Comparison<'_>) -> bool {
    let is_placed = comparison.ours.stdout.iter().any(|line| line.starts_with("FEC offset:"));
    // It may also write the parity over the superblock, and call that a success.
    let overlaps = says(&comparison.theirs, "Hash area overlaps ")
        || says(&comparison.theirs, BEYOND_REPAIR)
        || (is_placed && comparison.theirs.end == End::Code(0));
    let is_explained = comparison.has("--fec-device")
        && !comparison.has("--fec-offset")
        && overlaps
        && !says(&comparison.ours, "Hash area overlaps ")
        && comparison.differs();
    comparison.take_if(is_explained)
}

const BEYOND_REPAIR: &str = "Errors cannot be repaired with FEC device.";

/// FEC's result counts only if the root hash proves it; the tree locates the errors.
pub(super) fn fec_verdict(comparison: &mut Comparison<'_>) -> bool {
    let (ours, theirs) = (&comparison.ours, &comparison.theirs);
    let is_repairable = ours.stderr.iter().any(|line| line.ends_with(" repairable errors with FEC device."));
    let is_explained = comparison.has("--fec-device")
        && comparison.differs()
        && ours.files == theirs.files
        && match ours.end {
            End::Code(0) => is_repairable,
            End::Code(2) => says(ours, BEYOND_REPAIR),
            _ => false,
        };
    comparison.take_if(is_explained)
}

/// Negative numbers, and wrong ones that are unused.
pub(super) fn numbers(comparison: &mut Comparison<'_>) -> bool {
    const INVALID: &str = "veritysetup: invalid numeric value";
    let is_negative = |text: &str| text.strip_prefix(['-', ' ']).is_some_and(|rest| rest.parse::<u64>().is_ok());
    let is_explained = if says(&comparison.theirs, INVALID) {
        !says(&comparison.ours, INVALID)
    } else {
        says(&comparison.ours, INVALID) && comparison.is_refused() && comparison.numbers().any(is_negative)
    };
    comparison.take_if(is_explained)
}

type Shows = fn(&Comparison<'_>) -> bool;

/// Values that ours refuses because no image can have them, and how to recognize them in the command.
const BOUNDS: &[(&str, Shows)] = &[
    ("VERITY header corrupted.", |_| true),
    ("Unsupported VERITY FEC offset.", |comparison| {
        // Only format checks it even if unused.
        !comparison.has("--fec-device") || comparison.kind != Kind::Format || has_huge_number(comparison)
    }),
    ("Unsupported VERITY hash offset.", has_huge_number),
    ("Invalid salt string specified.", |comparison| comparison.arguments.iter().any(|text| text.len() > 512)),
    ("Invalid number of parity bytes.", |comparison| comparison.has("--fec-roots")),
    ("Block sizes must match for FEC.", |comparison| comparison.has("--fec-device")),
];

/// More bytes than the largest file.
fn has_huge_number(comparison: &Comparison<'_>) -> bool {
    comparison.numbers().any(|text| text.parse().is_ok_and(|number: u64| number >= 1 << 63))
}

pub(super) fn bounds(comparison: &mut Comparison<'_>) -> bool {
    let is_explained = comparison.is_refused()
        && BOUNDS.iter().any(|(start, shows)| {
            let (ours, theirs) = (&comparison.ours, &comparison.theirs);
            // It goes on after its own message, and may divide by zero (SIGFPE).
            let goes_on = [End::Code(0), End::Signal(8)].contains(&theirs.end);
            says(ours, start) && (!says(theirs, start) || goes_on) && shows(comparison)
        });
    comparison.take_if(is_explained)
}

/// If neither a superblock nor an option gives the salt, the reference uses a random one.
pub(super) fn salt(comparison: &mut Comparison<'_>) -> bool {
    let is_given = comparison.arguments.iter().any(|argument| {
        argument.to_str().is_some_and(|argument| argument.starts_with("--salt") || argument.starts_with("-s"))
    });
    let is_explained = comparison.has("--no-superblock")
        && !is_given
        && comparison.ours.end == End::Code(0)
        && comparison.theirs.end != End::Code(0)
        && says(&comparison.theirs, "Verification ");
    comparison.take_if(is_explained)
}

/// The reference adds that the hash device is invalid.
pub(super) fn only_fec_device(comparison: &mut Comparison<'_>) -> bool {
    let (ours, theirs) = (&comparison.ours.stderr, &comparison.theirs.stderr);
    let is_more = |line: &String| line.starts_with("Device ") && line.ends_with(" is not a valid VERITY device.");
    let is_explained = comparison.has("--fec-device")
        && comparison.is_refused()
        && comparison.ours.end == comparison.theirs.end
        && theirs.split_last().is_some_and(|(last, others)| is_more(last) && others == ours);
    comparison.take_if(is_explained)
}

/// The path of a mapping, which the reference prefixes with the folder that it already begins with.
pub(super) fn mapping_path(comparison: &mut Comparison<'_>) -> bool {
    both(comparison, |outcome| {
        let twice = outcome.stdout.iter_mut().find(|line| line.starts_with("/dev/mapper//dev/mapper/"));
        twice.map(|line| drop(line.drain(.."/dev/mapper/".len()))).is_some()
    })
}

/// The start of a message about a fault.
const FAULTS: &[&str] = &[
    "Cannot initialize device-mapper",
    "Cannot create root hash file ",
    "Cannot create hash image ",
    "Cannot create FEC image ",
    "Cannot open device ",
    "Cannot read root hash file ",
    "Cannot read signature file ",
    "Invalid signature file ",
    "Failed to load key in kernel keyring.",
    "Failed to read RS block ",
    "Cannot use a loopback device",
    "Cannot use device ",
    "Invalid root hash ",
    "Invalid salt string specified.",
    "Invalid number of parity bytes.",
    "Unsupported VERITY ",
    "Wrong VERITY UUID format ",
    "VERITY header corrupted.",
    "Hash algorithm ",
    "Hash area overflow.",
    "Block sizes must match for FEC.",
    "Name must not contain ",
    "Name is too long.",
    "Device offset overflow.",
    "Device ",
    "Header detected but device ",
    "Kernel does not support ",
    "Data area overlaps with ",
    "Hash area overlaps with ",
    "Verification ",
    "Spare area is not zeroed ",
    "Input/output error while creating hash area.",
    "veritysetup: ",
    "-",
    "Command requires <root_hash> ",
];

/// With several faults, another one is named, because the order of the checks differs.
pub(super) fn order(comparison: &mut Comparison<'_>) -> bool {
    let [one, other] = [&comparison.ours, &comparison.theirs].map(fault);
    // One of these messages does not make the reference fail.
    let theirs_failed = is_refused(&comparison.theirs) || says(&comparison.theirs, "Cannot read root hash file ");
    let is_explained = comparison.faults > 1
        && comparison.is_refused()
        && theirs_failed
        && one.is_some()
        && other.is_some()
        && one != other;
    comparison.take_if(is_explained)
}

/// The fault that is named: its index in the table, and the message if others start the same.
fn fault(outcome: &Outcome) -> Option<(usize, &str)> {
    let line = outcome.stderr.iter().find(|line| *line != "usage" && !line.starts_with("WARNING: "))?;
    let kind = FAULTS.iter().position(|start| line.starts_with(start))?;
    // The device, and its fault.
    let is_named = ["Device ", "veritysetup: ", "-"].contains(&FAULTS[kind]);
    Some((kind, if is_named { line } else { "" }))
}

/// Other words, or another exit code, for one fault: ours, and the reference's. An asterisk is a placeholder for a
/// name.
const WORDS: &[(&str, &str)] = &[
    // A root hash file.
    ("Invalid root hash string specified.", "Invalid root hash file *"),
    ("Invalid root hash file *", "Invalid root hash string specified."),
    ("Cannot read root hash file *", "Cannot read root hash file *"),
    ("Cannot read root hash file *", "Invalid root hash file *"),
    // A file that is too short: its length is checked before its content.
    ("Device * is too small.", "Input/output error while creating hash area."),
    ("Device * is too small.", "Verification of data area failed."),
    ("Device * is too small.", "Hash area overflow."),
    ("Device * is too small.", "Header detected but device * is too small."),
    ("Device * is too small.", "Data area overlaps with hash area."),
    ("Device * is too small.", "Hash area overlaps with FEC area."),
    ("Device * is too small.", "Data area overlaps with FEC area."),
    ("Device * does not exist or access denied.", "Hash area overlaps with FEC area."),
    ("Device * is too small.", "Cannot grow *"),
    ("Device /proc/version does not exist or access denied.", "Cannot grow *"),
    ("Device /proc/version does not exist or access denied.", "Error during update of verity header *"),
    ("Device /proc/version does not exist or access denied.", "Input/output error while creating hash area."),
    ("Device /proc/version does not exist or access denied.", "Verification of data area failed."),
    ("Device * does not exist or access denied.", "Header detected but device * is too small."),
    ("Hash area overlaps with FEC area.", "Cannot create FEC image * for writing."),
    ("Verification of data area failed.", "Cannot grow *"),
    ("Verification of data area failed.", "Data area overlaps with hash area."),
    ("Verification of data area failed.", "Header detected but device * is too small."),
    ("Verification of data area failed.", "Verification failed at position *"),
    // A number of data blocks that no device can hold.
    ("Device offset overflow.", "Data area overlaps with hash area."),
    // An offset at the maximum size of a device.
    ("Unsupported VERITY hash offset.", "Input/output error while creating hash area."),
    ("Unsupported VERITY hash offset.", "Error during update of verity header *"),
    ("Unsupported VERITY hash offset.", "Verification of data area failed."),
    // A file that cannot be read, or written to.
    ("Device * does not exist or access denied.", "Cannot open device *"),
    ("Device * does not exist or access denied.", "Failed to read RS block *"),
    ("Device /proc/version does not exist or access denied.", "Failed to write parity for *"),
    ("Device /proc/version does not exist or access denied.", "Device /proc/version is not a valid VERITY device."),
    // A signature that is too long for a key.
    ("Failed to load key in kernel keyring.", "Cannot read signature file *"),
    // Not a device.
    ("Device * is not compatible.", "Device sock does not exist or access denied."),
    // Numbers have no sign.
    ("Unsupported VERITY version *", "Unsupported VERITY version *"),
    ("Unsupported VERITY hash type *", "Unsupported VERITY hash type *"),
    ("Block sizes must match for FEC.", "Verification *"),
    ("veritysetup: open: requires *", "veritysetup: Unknown action."),
];

pub(super) fn words(comparison: &mut Comparison<'_>) -> bool {
    let says = |outcome: &Outcome, pattern: &str| {
        let (start, end) = pattern.split_once('*').unwrap_or((pattern, ""));
        outcome.stderr.iter().any(|line| line.starts_with(start) && line.ends_with(end))
    };
    let (ours, theirs) = (&comparison.ours, &comparison.theirs);
    let is_explained = comparison.is_refused()
        && comparison.differs()
        && WORDS.iter().any(|(one, other)| says(ours, one) && says(theirs, other));
    comparison.take_if(is_explained)
}
