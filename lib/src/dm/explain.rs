//! From what trials found out to an error that says what to do. Facts about the devices come from sysfs: they are looked
//! at only after the kernel has refused, to say why it may have done so.

use std::io;

use nix::errno::Errno;

use super::backing::Backing;
use super::control::Control;
use super::diagnose::Finding;
use super::refusal::{Cause, Refusal, Refused};
use crate::error::{Area, Error};
use crate::io::{check_unused, page_size};
use crate::sysfs::{self, Holder};
use crate::table::{TableOption, VerityTable};

/// The error for a table that was refused with `errno`, and of which `finding` was found out.
pub(super) fn refusal(
    control: &Control,
    table: &VerityTable,
    errno: Errno,
    finding: Finding,
    backings: &[Backing],
) -> Error {
    let (refused, cause) = match finding {
        Finding::Table(refused) => {
            if let Some(error) = device_error(control, refused.errno, backings.iter()) {
                return error;
            }
            let cause = cause_of(&refused, table, backings);
            (refused, cause)
        }
        Finding::Algorithm(refused) => (refused, Cause::Algorithm { name: table.algorithm.clone() }),
        Finding::Options { refused, together, answer } => {
            let fec = refused.iter().find(|refused| refused.option == TableOption::Fec);
            if let (Some(fec), [_]) = (fec, &refused[..])
                && let Some(error) =
                    device_error(control, fec.refused.errno, Backing::find(backings, Area::Fec).into_iter())
            {
                return error;
            }
            // What is only a hint is not what stands in the way.
            if together.is_empty() || refused.iter().any(|refused| !refused.option.is_hint()) {
                (answer, Cause::Options(refused))
            } else {
                (answer, Cause::Combination(together))
            }
        }
        Finding::Accepted | Finding::OtherName(_) => (Refused { errno, message: None }, Cause::Unknown),
    };
    Error::TableRefused(Box::new(Refusal { table: table.to_string(), refused, cause }))
}

/// An error that is about a device, or the target, and not about the table.
fn device_error<'a>(
    control: &Control,
    errno: Errno,
    mut backings: impl Iterator<Item = &'a Backing> + Clone,
) -> Option<Error> {
    match errno {
        Errno::EINVAL | Errno::E2BIG => {
            if errno == Errno::EINVAL && control.has_verity().is_ok_and(|found| !found) {
                return Some(Error::NoVerityTarget);
            }
            backings.find_map(|backing| {
                let found = sysfs::size(&backing.numbers).filter(|&found| found < backing.needed)?;
                Some(Error::DeviceTooSmall { path: backing.path.clone(), found, needed: backing.needed })
            })
        }
        Errno::EBUSY => {
            // Other mappings may share a device, so they are not what is in the way, unless there is nothing else.
            let is_held = |backing: &&Backing| {
                sysfs::holders(&backing.numbers).iter().any(|holder| !matches!(holder, Holder::Mapping(_)))
            };
            let busy = backings.clone().find(is_held);
            let busy = busy.or_else(|| backings.find(|backing| check_unused(&backing.path).is_err()))?;
            Some(Error::DeviceBusy { path: busy.path.clone(), holders: sysfs::holders(&busy.numbers) })
        }
        Errno::ENOENT | Errno::ENODEV | Errno::ENXIO | Errno::ENOTBLK => {
            let gone = backings.find(|backing| sysfs::exists(&backing.numbers) == Some(false))?;
            Some(Error::Open { path: gone.path.clone(), source: io::Error::from(Errno::ENODEV) })
        }
        _ => None,
    }
}

/// What it may be about a table that is refused without any option.
fn cause_of(refused: &Refused, table: &VerityTable, backings: &[Backing]) -> Cause {
    if refused.errno == Errno::ENOKEY {
        return Cause::SignatureRequired;
    }
    if refused.errno != Errno::EINVAL {
        return Cause::Unknown;
    }
    // The kernel's own words tell which of the two it looked at first.
    let is_hash = refused.message.as_ref().is_some_and(|words| words.contains("hash device block size"));
    let mut areas = [(Area::Data, table.data_block_size, page_size()), (Area::Hash, table.hash_block_size, None)];
    if is_hash {
        areas.reverse();
    }
    areas
        .into_iter()
        .find_map(|(area, size, most)| {
            let least = sysfs::logical_block_size(&Backing::find(backings, area)?.numbers);
            let found = size.bytes();
            let is_outside = least.is_some_and(|least| found < least) || most.is_some_and(|most| found > most);
            is_outside.then_some(Cause::BlockSize { area, found, least, most })
        })
        .unwrap_or(Cause::Unknown)
}
