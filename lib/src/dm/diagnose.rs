//! Finds out why the kernel refuses a table. No version is queried: tables are tried, and the answers compared. Nothing
//! here talks to the kernel; the caller passes in the trial as a function.

use super::errno::Errno;

use super::error::Result;
use super::refused::{KernelAnswer, RefusedOption};
use super::scratch::Outcome;
use crate::hash::HashAlgorithm;
use crate::line::table::{TableOption, VerityTable};
use crate::value::RootHash;

/// What trials found out about a table that was refused once.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// It is accepted now: the cause of the refusal is gone.
    Accepted,
    /// The kernel knows the hash algorithm under this name.
    OtherName(String),
    /// The kernel knows the hash algorithm under no name.
    Algorithm(KernelAnswer),
    /// It is refused with any options.
    Table(KernelAnswer),
    /// Its options are refused: some each alone or, if there are no such, some together.
    Options {
        /// Those that are refused alone.
        refused: Vec<RefusedOption>,
        /// The smallest set that is refused together although each option is accepted alone; searched among the others.
        together: Vec<TableOption>,
        /// The kernel's answer to the whole table.
        answer: KernelAnswer,
    },
}

impl Finding {
    /// A refused option without which the table protects the same, if there is one.
    pub(super) fn hint(&self) -> Option<RefusedOption> {
        let Self::Options { refused, together, answer } = self else { return None };
        // Dropping it does not help if another option is refused too.
        if refused.iter().any(|refused| !refused.option.is_hint()) {
            return None;
        }
        let by_itself = refused.first().cloned();
        let in_company = together.iter().find(|option| option.is_hint());
        match (by_itself, in_company, together.is_empty()) {
            (Some(refused), _, true) => Some(refused),
            (None, Some(&option), _) => Some(RefusedOption { option, answer: answer.clone() }),
            _ => None,
        }
    }
}

/// Compares the kernel's answers to `table` and to parts of it.
pub(super) fn diagnose(
    table: &VerityTable,
    algorithm: HashAlgorithm,
    mut attempt: impl FnMut(&VerityTable) -> Result<Outcome>,
) -> Result<Finding> {
    let Err(answer) = attempt(table)? else { return Ok(Finding::Accepted) };
    let asked = table.options.asked();
    // No part of the table is tried twice.
    let mut known = vec![(asked.clone(), Err(answer.clone()))];
    let mut with = |options: &[TableOption]| -> Result<Outcome> {
        let part = VerityTable { options: table.options.only(options), ..table.clone() };
        let options = part.options.asked();
        if let Some((_, answer)) = known.iter().find(|(tried, _)| *tried == options) {
            return Ok(answer.clone());
        }
        let answer = attempt(&part)?;
        known.push((options, answer.clone()));
        Ok(answer)
    };

    // First without any options: if the table is refused then, they are not the cause.
    let mut fixed = Vec::new();
    if let Err(bare) = with(&[])? {
        // Some kernels demand a signature: then nothing is accepted without one.
        if bare.errno == Errno::ENOKEY && asked.contains(&TableOption::Signature) {
            fixed.push(TableOption::Signature);
            if let Err(signed) = with(&fixed)? {
                let refused = vec![RefusedOption { option: TableOption::Signature, answer: signed }];
                return Ok(Finding::Options { refused, together: Vec::new(), answer });
            }
        } else {
            return without_options(table, algorithm, bare, attempt);
        }
    }

    // Then each alone.
    let mut refused = Vec::new();
    let mut accepted = fixed.clone();
    for &option in asked.iter().filter(|option| !fixed.contains(option)) {
        match with(&[&fixed[..], &[option]].concat())? {
            Ok(()) => accepted.push(option),
            Err(answer) => refused.push(RefusedOption { option, answer }),
        }
    }

    // Options that are accepted alone may be refused together: all of them, then fewer and fewer.
    let mut together = Vec::new();
    if with(&accepted)?.is_err() {
        together = accepted;
        let mut index = 0;
        while index < together.len() {
            let mut fewer = together.clone();
            let option = fewer.remove(index);
            if !fixed.contains(&option) && with(&fewer)?.is_err() { together = fewer } else { index += 1 }
        }
    }
    Ok(Finding::Options { refused, together, answer })
}

/// The table is refused without any option, with this answer. Is it the hash algorithm?
fn without_options(
    table: &VerityTable,
    algorithm: HashAlgorithm,
    bare: KernelAnswer,
    mut attempt: impl FnMut(&VerityTable) -> Result<Outcome>,
) -> Result<Finding> {
    // A missing device has the same errno.
    if bare.errno != Errno::ENOENT {
        return Ok(Finding::Table(bare));
    }
    let plain = VerityTable { options: table.options.only(&[]), ..table.clone() };
    for name in algorithm.other_names() {
        if attempt(&VerityTable { algorithm: name.to_owned(), ..plain.clone() })?.is_ok() {
            return Ok(Finding::OtherName(name.to_owned()));
        }
    }
    // Another algorithm that the kernel surely has: if the answer changes, the algorithm was the cause. Whether the
    // tree's size fits it does not matter: the kernel checks the name first.
    let other = if table.algorithm == "sha256" { "sha1" } else { "sha256" };
    let other = HashAlgorithm::from_name(other)?;
    let substitute = VerityTable {
        algorithm: other.kernel_name().to_owned(),
        root_hash: RootHash::new(vec![0; other.digest_size()]),
        ..plain
    };
    match attempt(&substitute)? {
        Err(answer) if answer.errno == bare.errno => Ok(Finding::Table(bare)),
        _ => Ok(Finding::Algorithm(bare)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::line::table::{TableFec, TableFlag, TableOptions};

    const PANIC: TableOption = TableOption::Flag(TableFlag::PanicOnCorruption);
    const PANIC_ERROR: TableOption = TableOption::Flag(TableFlag::PanicOnError);
    const TASKLET: TableOption = TableOption::Flag(TableFlag::TryVerifyInTasklet);
    const ZERO: TableOption = TableOption::Flag(TableFlag::IgnoreZeroBlocks);
    const ONCE: TableOption = TableOption::Flag(TableFlag::CheckAtMostOnce);
    const SIGNATURE: TableOption = TableOption::Signature;

    /// A table that asks for these options.
    fn table(options: &[TableOption]) -> VerityTable {
        let line = format!("1 7:1 7:0 4096 4096 256 1 sha256 {} -", "00".repeat(32));
        let all = TableOptions {
            flags: TableOption::all()
                .filter_map(|option| if let TableOption::Flag(flag) = option { Some(flag) } else { None })
                .collect(),
            fec: Some(TableFec { device: "7:2".into(), blocks: 259, start: 0, roots: 2 }),
            signature_key: Some("key".into()),
            unknown: Vec::new(),
        };
        VerityTable { options: all.only(options), ..VerityTable::parse(&line).unwrap() }
    }

    fn refused(errno: Errno) -> KernelAnswer {
        KernelAnswer { errno, kernel_message: None }
    }

    fn option(option: TableOption, errno: Errno) -> RefusedOption {
        RefusedOption { option, answer: refused(errno) }
    }

    /// What is found out about a table by asking this kernel. No table is tried twice.
    fn ask(table: &VerityTable, kernel: impl Fn(&VerityTable) -> Option<Errno>) -> Finding {
        let mut tried = HashSet::new();
        diagnose(table, HashAlgorithm::from_name(&table.algorithm).unwrap(), |table| {
            assert!(tried.insert(table.to_string()), "{table} is tried twice");
            Ok(kernel(table).map_or(Ok(()), |errno| Err(refused(errno))))
        })
        .unwrap()
    }

    /// A kernel that does not know some options.
    fn without(unknown: &[TableOption]) -> impl Fn(&VerityTable) -> Option<Errno> {
        move |table| table.options.asked().iter().any(|option| unknown.contains(option)).then_some(Errno::EINVAL)
    }

    #[test]
    fn what_is_accepted_the_second_time_is_not_looked_into() {
        assert_eq!(ask(&table(&[TASKLET]), |_| None), Finding::Accepted);
    }

    #[test]
    fn options_that_are_refused_by_themselves_are_all_named() {
        let finding = ask(&table(&[PANIC, PANIC_ERROR, ZERO, TASKLET]), without(&[TASKLET, PANIC_ERROR]));
        let refused_options = vec![option(PANIC_ERROR, Errno::EINVAL), option(TASKLET, Errno::EINVAL)];
        let answer = refused(Errno::EINVAL);
        assert_eq!(finding, Finding::Options { refused: refused_options, together: Vec::new(), answer });
        assert_eq!(finding.hint(), None, "dropping the hint would not help");
    }

    #[test]
    fn a_hint_that_alone_is_refused_can_be_dropped() {
        for options in [&[TASKLET][..], &[PANIC, ZERO, ONCE, TASKLET]] {
            assert_eq!(ask(&table(options), without(&[TASKLET])).hint(), Some(option(TASKLET, Errno::EINVAL)));
        }
        for other in [PANIC, PANIC_ERROR, ZERO, ONCE, TableOption::Fec, SIGNATURE] {
            assert_eq!(ask(&table(&[other, TASKLET]), without(&[other])).hint(), None, "{other:?}");
        }
    }

    #[test]
    fn options_that_do_not_go_together_are_the_fewest_there_are() {
        let kernel = |table: &VerityTable| {
            let options = &table.options;
            (options.flags.contains(TableFlag::CheckAtMostOnce) && options.flags.contains(TableFlag::PanicOnError))
                .then_some(Errno::EINVAL)
        };
        let finding = ask(&table(&[PANIC, PANIC_ERROR, ZERO, ONCE, TASKLET]), kernel);
        let answer = refused(Errno::EINVAL);
        assert_eq!(finding, Finding::Options { refused: Vec::new(), together: vec![PANIC_ERROR, ONCE], answer });
        assert_eq!(finding.hint(), None);
    }

    #[test]
    fn a_hint_that_does_not_go_with_something_else_can_be_dropped() {
        let kernel = |table: &VerityTable| {
            (table.options.fec.is_some() && table.options.flags.contains(TableFlag::TryVerifyInTasklet))
                .then_some(Errno::EINVAL)
        };
        let finding = ask(&table(&[ZERO, TASKLET, TableOption::Fec]), kernel);
        assert_eq!(finding.hint(), Some(option(TASKLET, Errno::EINVAL)));
    }

    #[test]
    fn a_refused_hint_does_not_hide_what_else_does_not_go_together() {
        let kernel = |table: &VerityTable| {
            let has = |flag| table.options.flags.contains(flag);
            (has(TableFlag::TryVerifyInTasklet) || has(TableFlag::CheckAtMostOnce) && has(TableFlag::IgnoreZeroBlocks))
                .then_some(Errno::EINVAL)
        };
        let finding = ask(&table(&[PANIC, ZERO, ONCE, TASKLET]), kernel);
        assert_eq!(
            finding,
            Finding::Options {
                refused: vec![option(TASKLET, Errno::EINVAL)],
                together: vec![ZERO, ONCE],
                answer: refused(Errno::EINVAL)
            }
        );
        assert_eq!(finding.hint(), None);
    }

    #[test]
    fn a_table_that_is_refused_without_options_is_not_blamed_on_them() {
        let finding = ask(&table(&[ZERO, TASKLET]), |_| Some(Errno::E2BIG));
        assert_eq!(finding, Finding::Table(refused(Errno::E2BIG)));
        assert_eq!(finding.hint(), None);
        assert_eq!(ask(&table(&[]), |_| Some(Errno::EBUSY)), Finding::Table(refused(Errno::EBUSY)));
    }

    #[test]
    fn a_missing_algorithm_is_told_from_a_missing_device() {
        let finding = ask(&table(&[ZERO]), |table| (table.algorithm == "sha256").then_some(Errno::ENOENT));
        assert_eq!(finding, Finding::Algorithm(refused(Errno::ENOENT)));
        let finding = ask(&table(&[ZERO]), |_| Some(Errno::ENOENT));
        assert_eq!(finding, Finding::Table(refused(Errno::ENOENT)));
        // The other algorithm's tree does not fit: its name was accepted.
        let finding =
            ask(&table(&[]), |table| Some(if table.algorithm == "sha256" { Errno::ENOENT } else { Errno::E2BIG }));
        assert_eq!(finding, Finding::Algorithm(refused(Errno::ENOENT)));
    }

    #[test]
    fn the_algorithms_other_name_is_tried() {
        let renamed = VerityTable { algorithm: "rmd160".into(), ..table(&[TASKLET]) };
        let finding = ask(&renamed, |table| (table.algorithm != "ripemd160").then_some(Errno::ENOENT));
        assert_eq!(finding, Finding::OtherName("ripemd160".into()));
        let finding = ask(&renamed, |table| (table.algorithm != "sha256").then_some(Errno::ENOENT));
        assert_eq!(finding, Finding::Algorithm(refused(Errno::ENOENT)));
    }

    #[test]
    fn where_a_signature_is_demanded_nothing_is_tried_without_it() {
        let demanding = |unknown: &'static [TableOption]| {
            move |table: &VerityTable| {
                without(unknown)(table).or(table.options.signature_key.is_none().then_some(Errno::ENOKEY))
            }
        };
        let finding = ask(&table(&[ZERO, TASKLET, SIGNATURE]), demanding(&[TASKLET]));
        assert_eq!(finding.hint(), Some(option(TASKLET, Errno::EINVAL)));
        let finding = ask(&table(&[ZERO, PANIC_ERROR, SIGNATURE]), demanding(&[PANIC_ERROR]));
        assert!(matches!(finding, Finding::Options { refused, .. } if refused == [option(PANIC_ERROR, Errno::EINVAL)]));
        // Not given at all.
        let finding = ask(&table(&[ZERO]), demanding(&[]));
        assert_eq!(finding, Finding::Table(refused(Errno::ENOKEY)));
        // Given and not trusted.
        for options in [&[SIGNATURE][..], &[TASKLET, SIGNATURE]] {
            let finding = ask(&table(options), |_| Some(Errno::ENOKEY));
            assert!(
                matches!(finding, Finding::Options { refused, .. } if refused == [option(SIGNATURE, Errno::ENOKEY)])
            );
        }
    }
}
