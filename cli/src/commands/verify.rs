//! `verify`: check an image in userspace.

use dmverity::{Error, Failure as Fault, RepairMode, Verification, Work};

use super::image_to_check;
use super::repair::{BEYOND_REPAIR, found_errors};
use crate::arguments::Arguments;
use crate::failure::{Exit, Failure, Result, sizes};
use crate::{interruption, output};

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let (data, hash) = (arguments.path(0), arguments.path(1));
    let (params, root_hash) = image_to_check(arguments, data, hash, 2)?;
    let devices = arguments.devices(data, hash);
    let threads = arguments.threads()?;
    let is_strict = arguments.flag("strict");
    let with_fec = params.fec().is_some();
    // A device that ends too early is a failed verification, but not of the data's making.
    let refused = |error| match error {
        Error::DeviceTooSmall { path, found, needed } if devices.fec.as_ref() != Some(&path) => Failure::new(
            Exit::Parameters,
            "Verification of data area failed.",
        )
        .hint(format!("{}: {}", path.display(), sizes(found, needed))),
        error => error.into(),
    };
    let mut failures = Vec::new();
    // What FEC says counts only where something is wrong, unless everything is to be right.
    if !(is_strict && with_fec) {
        let verify = |work: &Work<'_>| dmverity::verify(&devices, &params, &root_hash, work);
        failures = describe(&interruption::watched(threads, verify).map_err(refused)?);
        if failures.is_empty() {
            return Ok(());
        }
    }
    if with_fec {
        let repair = |work: &Work<'_>| dmverity::repair(&devices, &params, &root_hash, RepairMode::DryRun, work);
        let repair = interruption::watched(threads, repair).map_err(|error| {
            // What is wrong with the data is known all the same.
            let mut failure = refused(error);
            failure.lines.splice(0..0, failures);
            failure
        })?;
        failures = describe(repair.verification());
        if !repair.is_complete() {
            failures.push(BEYOND_REPAIR.to_owned());
        } else if repair.wrong_bytes() > 0 {
            failures.push(found_errors(&repair));
            if !is_strict {
                output::print_error(&(failures.join("\n") + "\n"));
                return Ok(());
            }
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(Failure { exit: Exit::Permission, lines: failures, usage: false }) }
}

/// What a verification has found, unless all is good.
pub(super) fn describe(found: &Verification) -> Vec<String> {
    if found.is_good() {
        return Vec::new();
    }
    let describe = |fault: &Fault| match fault {
        Fault::DataBlock { position } | Fault::HashBlock { position } => {
            format!("Verification failed at position {position}.")
        }
        Fault::SpareArea { position } => format!("Spare area is not zeroed at position {position}."),
    };
    let mut lines: Vec<String> = found.first_failures().iter().map(describe).collect();
    let unnamed = found.failures() - found.first_failures().len() as u64;
    if unnamed > 0 {
        lines.push(format!("Verification failed at {unnamed} more positions."));
    }
    let what = if found.failures() > 0 { "data area" } else { "root hash" };
    lines.push(format!("Verification of {what} failed."));
    lines
}
