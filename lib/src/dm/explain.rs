//! Turns what trials found out into an error that says what to do. Facts about the devices come from sysfs: they are
//! looked up only after the kernel has refused, to explain the refusal.

use std::io;

use super::errno::Errno;

use super::backing::Backing;
use super::diagnose::Finding;
use super::error::{Error, Result};
use super::refused::{Cause, KernelAnswer, RefusedTable};
use super::sysfs::{self, Holder};
use crate::error::Area;
use crate::io::{check_unused, page_size};
use crate::line::table::{TableOption, VerityTable};

/// The error for a table that was refused with `errno`, given the `finding` of the trials. Whether the kernel has the
/// target is checked only if that can be the reason.
pub(super) fn refused_table(
    has_verity: &dyn Fn() -> Result<bool>,
    table: &VerityTable,
    errno: Errno,
    finding: Finding,
    backings: &[Backing],
) -> Error {
    let (answer, cause) = match finding {
        Finding::Table(answer) => {
            if let Some(error) = device_error(has_verity, answer.errno, backings.iter()) {
                return error;
            }
            let cause = cause_of(&answer, table, backings);
            (answer, cause)
        }
        Finding::Algorithm(answer) => (answer, Cause::Algorithm { name: table.algorithm.clone() }),
        Finding::Options { refused, together, answer } => {
            let fec = refused.iter().find(|refused| refused.option == TableOption::Fec);
            if let (Some(fec), [_]) = (fec, &refused[..])
                && let Some(error) =
                    device_error(has_verity, fec.answer.errno, Backing::find(backings, Area::Fec).into_iter())
            {
                return error;
            }
            // An option that is only a hint is not the obstacle.
            if together.is_empty() || refused.iter().any(|refused| !refused.option.is_hint()) {
                (answer, Cause::Options(refused))
            } else {
                (answer, Cause::Combination(together))
            }
        }
        Finding::Accepted | Finding::OtherName(_) => (KernelAnswer { errno, kernel_message: None }, Cause::Unknown),
    };
    Error::TableRefused(Box::new(RefusedTable { table: table.to_string(), answer, cause }))
}

/// An error that is about a device, or the target, and not about the table.
fn device_error<'a>(
    has_verity: &dyn Fn() -> Result<bool>,
    errno: Errno,
    mut backings: impl Iterator<Item = &'a Backing> + Clone,
) -> Option<Error> {
    match errno {
        Errno::EINVAL | Errno::E2BIG => {
            if errno == Errno::EINVAL && has_verity().is_ok_and(|found| !found) {
                return Some(Error::NoVerityTarget);
            }
            backings.find_map(|backing| {
                let found = sysfs::size(&backing.numbers).filter(|&found| found < backing.needed)?;
                Some(crate::Error::DeviceTooSmall { path: backing.path.clone(), found, needed: backing.needed }.into())
            })
        }
        Errno::EBUSY => {
            // Other mappings may share a device, so they are named as the obstacle only if there is no other holder.
            let is_held = |backing: &&Backing| {
                sysfs::holders(&backing.numbers).iter().any(|holder| !matches!(holder, Holder::Mapping(_)))
            };
            let busy = backings.clone().find(is_held);
            let busy =
                busy.or_else(|| backings.find(|backing| check_unused(&backing.path, backing.identity).is_err()))?;
            Some(Error::DeviceBusy { path: busy.path.clone(), holders: sysfs::holders(&busy.numbers) })
        }
        Errno::ENOENT | Errno::ENODEV | Errno::ENXIO | Errno::ENOTBLK => {
            let gone = backings.find(|backing| sysfs::exists(&backing.numbers) == Some(false))?;
            Some(crate::Error::Open { path: gone.path.clone(), source: io::Error::from(Errno::ENODEV) }.into())
        }
        _ => None,
    }
}

/// The likely cause if a table is refused without any options.
fn cause_of(answer: &KernelAnswer, table: &VerityTable, backings: &[Backing]) -> Cause {
    if answer.errno == Errno::ENOKEY {
        return Cause::SignatureRequired;
    }
    if answer.errno != Errno::EINVAL {
        return Cause::Unknown;
    }
    // The kernel's own words tell which of the two it checked first.
    let is_hash = answer.kernel_message.as_ref().is_some_and(|words| words.contains("hash device block size"));
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::refused::RefusedOption;
    use super::*;
    use crate::hash::{HashAlgorithm, HashType};
    use crate::line::table::{TableFlag, TableOptions};
    use crate::value::{BlockSize, RootHash};

    /// The numbers of a device that does not exist.
    const NUMBERS: &str = "4095:1048575";

    fn table() -> VerityTable {
        VerityTable {
            hash_type: HashType::Normal,
            data_device: NUMBERS.to_owned(),
            hash_device: NUMBERS.to_owned(),
            data_block_size: BlockSize::DEFAULT,
            hash_block_size: BlockSize::DEFAULT,
            data_blocks: 2,
            hash_start: 1,
            algorithm: HashAlgorithm::sha256().kernel_name().to_owned(),
            root_hash: RootHash::new(vec![0; 32]),
            salt: "-".to_owned(),
            options: TableOptions::default(),
        }
    }

    fn refused(errno: Errno) -> KernelAnswer {
        KernelAnswer { errno, kernel_message: None }
    }

    fn option(option: TableOption, errno: Errno) -> RefusedOption {
        RefusedOption { option, answer: refused(errno) }
    }

    /// The error for devices that are gone, from a kernel with or without the target.
    fn error(has_verity: bool, finding: Finding) -> Error {
        let gone = |area| Backing::in_test(area, Path::new("gone"), NUMBERS);
        let backings = [gone(Area::Data), gone(Area::Hash), gone(Area::Fec)];
        refused_table(&|| Ok(has_verity), &table(), Errno::EPROTO, finding, &backings)
    }

    fn cause(finding: Finding) -> (KernelAnswer, Cause) {
        match error(true, finding) {
            Error::TableRefused(refused) => {
                assert_eq!(refused.table, table().to_string());
                (refused.answer, refused.cause)
            }
            other => panic!("{other}"),
        }
    }

    #[test]
    fn what_trials_found_out_is_the_cause() {
        let (ebusy, einval) = (refused(Errno::EBUSY), refused(Errno::EINVAL));
        let unknown = cause(Finding::Accepted);
        assert_eq!(unknown, (refused(Errno::EPROTO), Cause::Unknown));
        assert_eq!(cause(Finding::OtherName("other".to_owned())), unknown);
        assert_eq!(
            cause(Finding::Algorithm(ebusy.clone())),
            (ebusy.clone(), Cause::Algorithm { name: "sha256".to_owned() })
        );
        assert_eq!(cause(Finding::Table(refused(Errno::ENOKEY))).1, Cause::SignatureRequired);
        assert_eq!(cause(Finding::Table(refused(Errno::EIO))).1, Cause::Unknown);

        let options = |refused: Vec<RefusedOption>, together: Vec<TableOption>| {
            cause(Finding::Options { refused, together, answer: einval.clone() })
        };
        let hint = option(TableFlag::TryVerifyInTasklet.into(), Errno::EINVAL);
        let other = option(TableFlag::CheckAtMostOnce.into(), Errno::EINVAL);
        let together = vec![TableFlag::CheckAtMostOnce.into(), TableFlag::TryVerifyInTasklet.into()];
        assert_eq!(options(vec![other.clone()], Vec::new()), (einval.clone(), Cause::Options(vec![other.clone()])));
        assert_eq!(options(Vec::new(), together.clone()), (einval.clone(), Cause::Combination(together.clone())));
        // A refused hint does not explain why the others are refused.
        assert_eq!(options(vec![hint.clone()], together.clone()).1, Cause::Combination(together.clone()));
        assert_eq!(options(vec![hint.clone(), other.clone()], together).1, Cause::Options(vec![hint, other]));
    }

    #[test]
    fn what_is_not_about_the_table_is_said_before() {
        assert!(matches!(error(false, Finding::Table(refused(Errno::EINVAL))), Error::NoVerityTarget));
        for errno in [Errno::ENOENT, Errno::ENODEV, Errno::ENXIO, Errno::ENOTBLK] {
            let error = error(false, Finding::Table(refused(errno)));
            assert!(
                matches!(&error, Error::Image(crate::Error::Open { path, .. }) if path == Path::new("gone")),
                "{errno}: {error}"
            );
        }
        // An option about a device, when it is the only one.
        let fec = |others: &[RefusedOption]| {
            let refused = [&[option(TableOption::Fec, Errno::ENODEV)], others].concat();
            error(true, Finding::Options { refused, together: Vec::new(), answer: self::refused(Errno::ENODEV) })
        };
        assert!(matches!(fec(&[]), Error::Image(crate::Error::Open { .. })));
        assert!(matches!(fec(&[option(TableFlag::CheckAtMostOnce.into(), Errno::EINVAL)]), Error::TableRefused(_)));
    }

    #[test]
    fn blocks_larger_than_a_page_are_named() {
        let Some(page) = page_size() else { panic!("the page size is not known") };
        let large = BlockSize::new(page * 2).unwrap();
        let of = |table: &VerityTable, words: Option<&str>| {
            let answer = KernelAnswer { errno: Errno::EINVAL, kernel_message: words.map(str::to_owned) };
            let backings = [Backing::in_test(Area::Data, Path::new("gone"), NUMBERS)];
            cause_of(&answer, table, &backings)
        };
        let too_large = VerityTable { data_block_size: large, ..table() };
        let found = Cause::BlockSize { area: Area::Data, found: page * 2, least: None, most: Some(page) };
        assert_eq!(of(&too_large, None), found);
        assert_eq!(of(&too_large, Some("Cannot use hash device block size")), found);
        assert_eq!(of(&table(), None), Cause::Unknown);
    }
}
