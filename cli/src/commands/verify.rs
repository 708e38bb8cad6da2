//! `verify`: check an image in userspace.

use dmverity::{Error, Failure as Fault, Verification, Work};

use super::image_to_check;
use crate::arguments::Arguments;
use crate::failure::{Exit, Failure, Result, sizes};
use crate::interruption;

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let (data, hash) = (arguments.path(0), arguments.path(1));
    let (params, root_hash) = image_to_check(arguments, data, hash, 2)?;
    let devices = arguments.devices(data, hash);
    let verify = |work: &Work<'_>| dmverity::verify(&devices, &params, &root_hash, work);
    match interruption::watched(arguments.threads()?, verify) {
        Ok(found) if found.is_good() => Ok(()),
        Ok(found) => Err(failure(&found)),
        // A device that ends too early is a failed verification, but not of the data's making.
        Err(Error::DeviceTooSmall { path, found, needed }) => Err(Failure::new(
            Exit::Parameters,
            "Verification of data area failed.",
        )
        .hint(format!("{}: {}", path.display(), sizes(found, needed)))),
        Err(error) => Err(error.into()),
    }
}

fn failure(found: &Verification) -> Failure {
    let mut lines: Vec<String> = found
        .first_failures()
        .iter()
        .map(|fault| match fault {
            Fault::DataBlock { position } | Fault::HashBlock { position } => {
                format!("Verification failed at position {position}.")
            }
            Fault::SpareArea { position } => format!("Spare area is not zeroed at position {position}."),
        })
        .collect();
    let unnamed = found.failures() - found.first_failures().len() as u64;
    if unnamed > 0 {
        lines.push(format!("Verification failed at {unnamed} more positions."));
    }
    let what = if found.failures() > 0 { "data area" } else { "root hash" };
    lines.push(format!("Verification of {what} failed."));
    Failure { exit: Exit::Permission, lines, usage: false }
}
