//! `verify`: check an image in userspace.

use dmverity::messages::{BEYOND_REPAIR, DATA_AREA_FAILED, of_repair, of_verification};
use dmverity::{Area, Diagnosis, Error, Failure as Fault, Params, Repair, RepairMode, Verification, Work};
use serde::Serialize;

use super::existing::{Image, image_to_check};
use super::sign::CertificateFields;
use super::source::Source;
use super::{shown, verify_stream};
use crate::arguments::{self, Place};
use crate::escape::text_of;
use crate::failure::{Exit, Failure, Result, sizes};
use crate::interruption;
use crate::report::Report;

#[derive(Serialize)]
pub(super) struct VerifyFields {
    pub(super) data_device: String,
    pub(super) hash_device: String,
    pub(super) fec_device: Option<String>,
    pub(super) hash_offset: u64,
    pub(super) root_hash: String,
    /// The signer of the root hash, or of the manifest that has it; `None` without `--trusted` or `--ca`.
    pub(super) signer: Option<CertificateFields>,
    #[serde(flatten)]
    pub(super) found: FoundFields,
    /// What FEC found, if it was used.
    pub(super) fec: Option<RepairableFields>,
}

/// What a verification has found.
#[derive(Serialize)]
pub(super) struct FoundFields {
    verified: bool,
    /// The first few bad blocks.
    failures: Vec<FaultFields>,
    /// How many there are.
    failures_total: u64,
    /// Wrong data blocks that have to be zeros.
    zero_blocks: u64,
}

#[derive(Serialize)]
pub(super) struct FaultFields {
    pub(super) kind: &'static str,
    pub(super) position: u64,
}

#[derive(Serialize)]
pub(super) struct RepairableFields {
    repairable: bool,
    /// In data, tree, parity and after the tree.
    wrong_bytes: u64,
}

pub(crate) fn run(arguments: &arguments::Verify) -> Result<Report> {
    if arguments.from_stdin {
        return verify_stream::run(arguments, image_to_check(&arguments.image)?);
    }
    let image = image_to_check(&arguments.image)?;
    let is_one = matches!(arguments.image.place, Place::One(_));
    // All that is wrong with an image which says itself where it is, and what its root hash is, was changed in it.
    verified(arguments, image).map_err(|failure| match failure.exit {
        Exit::Parameters if is_one => Failure { exit: Exit::Permission, ..failure },
        _ => failure,
    })
}

fn verified(arguments: &arguments::Verify, image: Image) -> Result<Report> {
    let arguments::Verify { strict, work: long, .. } = arguments;
    let Image { source, params, root_hash, signer, mut warnings, .. } = image;
    let data = source.data();
    let with_fec = params.fec().is_some();
    // A device that ends too early is a failed verification, although its data may be correct.
    let refused = |error| match error {
        Error::DeviceTooSmall { path, found, needed } if !source.is_fec(&path) => Failure::new(
            Exit::Parameters,
            DATA_AREA_FAILED,
        )
        .hint(format!("{}: {}", text_of(path), sizes(found, needed))),
        error => error.into(),
    };
    warnings.extend(uncovered(&source, &params)?);
    let report = |found: &Verification, repair: Option<&Repair>| {
        let fields = VerifyFields {
            data_device: shown(data),
            hash_device: shown(source.hash()),
            fec_device: source.fec().map(shown),
            hash_offset: params.hash_offset(),
            root_hash: root_hash.to_string(),
            signer: signer.clone(),
            found: FoundFields::of(found),
            fec: repair
                .map(|repair| RepairableFields { repairable: repair.is_complete(), wrong_bytes: repair.wrong_bytes() }),
        };
        Report { warnings: warnings.clone(), ..Report::new("", fields) }
    };
    // FEC matters only if something is wrong, except with --strict.
    let verify = |work: &Work<'_>| source.open_without_fec()?.verify(&params, &root_hash, work);
    let repair = if with_fec && *strict {
        let dry_run = |work: &Work<'_>| source.open()?.repair(&params, &root_hash, RepairMode::DryRun, work);
        match interruption::watched(long, data, dry_run)? {
            Err(error) if is_about_parity(&error, &source) => {
                // Nothing else has been looked at yet.
                let found = interruption::watched(long, data, verify)?.map_err(refused)?;
                let failure = if found.is_good() { refused(error) } else { unusable_parity(&found, error) };
                return Err(report(&found, None).failed(failure));
            }
            repair => repair.map_err(refused)?,
        }
    } else if with_fec {
        let diagnose = |work: &Work<'_>| source.open()?.diagnose(&params, &root_hash, work);
        let Diagnosis { verification: found, repair, .. } =
            interruption::watched(long, data, diagnose)?.map_err(refused)?;
        match repair {
            None => return Ok(report(&found, None)),
            Some(Ok(repair)) => repair,
            Some(Err(error)) if is_about_parity(&error, &source) => {
                return Err(report(&found, None).failed(unusable_parity(&found, error)));
            }
            Some(Err(error)) => {
                // What is wrong with the data is known anyway.
                let mut failure: Failure = refused(error);
                failure.lines.splice(0..0, of_verification(&found));
                return Err(report(&found, None).failed(failure));
            }
        }
    } else {
        let found = interruption::watched(long, data, verify)?.map_err(refused)?;
        if found.is_good() {
            return Ok(report(&found, None));
        }
        // With --strict nothing else has been checked yet.
        let failure = Failure::of_lines(exit_of(&found), of_verification(&found)).hints(about_zeros(&found));
        return Err(report(&found, None).failed(failure));
    };
    judged(report(repair.verification(), Some(&repair)), &repair, *strict)
}

/// The result of a verification that knows what the parity can correct.
fn judged(mut report: Report, repair: &Repair, strict: bool) -> Result<Report> {
    let found = repair.verification();
    let mut failures = of_verification(found);
    if is_wrong_root_hash(repair) {
        return Err(report.failed(Failure::of_lines(Exit::Parameters, failures)));
    }
    if !repair.is_complete() {
        failures.push(BEYOND_REPAIR.to_owned());
    } else if repair.wrong_bytes() > 0 {
        failures.push(of_repair(repair));
        if !strict {
            failures.extend(about_zeros(found).into_iter().map(|hint| format!("hint: {hint}")));
            report.notes = failures;
            return Ok(report);
        }
    }
    if failures.is_empty() {
        return Ok(report);
    }
    Err(report.failed(Failure::of_lines(Exit::Permission, failures).hints(about_zeros(found))))
}

/// A wrong root hash is a wrong parameter, as with the reference: data and tree agree, but not with it. Damage at
/// the top of the tree shows below it too, unless there is only a single data block.
pub(super) fn exit_of(found: &Verification) -> Exit {
    if found.failures() == 0 { Exit::Parameters } else { Exit::Permission }
}

/// Whether only the root hash disagrees, and FEC cannot correct that either.
pub(super) fn is_wrong_root_hash(repair: &Repair) -> bool {
    let found = repair.verification();
    found.failures() == 0 && !found.root_hash_matches() && !repair.proves_all_blocks()
}

/// Whether an error says that there is no parity at the expected place.
fn is_about_parity(error: &Error, source: &Source) -> bool {
    match error {
        Error::DeviceTooSmall { path, .. } => source.is_fec(path),
        Error::Overlap { .. } | Error::Offset { area: Area::Fec, .. } | Error::FecDevice => true,
        _ => false,
    }
}

/// Damage that the FEC device cannot repair, and why.
fn unusable_parity(found: &Verification, error: Error) -> Failure {
    let reason = Failure::from(error);
    let mut lines = of_verification(found);
    lines.push(BEYOND_REPAIR.to_owned());
    Failure::of_lines(Exit::Permission, lines)
        .hint(reason.lines.join(" "))
        .hints(reason.hints)
        .hints(about_zeros(found))
}

/// A hint that wrong blocks have to be zeros, and what to do about it.
fn about_zeros(found: &Verification) -> Vec<String> {
    match found.zero_blocks() {
        0 => Vec::new(),
        blocks => vec![must_be_zeros(&counted(blocks)), REPAIR_WRITES_ZEROS.to_owned()],
    }
}

pub(super) const REPAIR_WRITES_ZEROS: &str = "`veritysetup repair` writes them, even without a FEC device.";

pub(super) fn must_be_zeros(blocks: &str) -> String {
    format!("{blocks} must be zeros: the image was written without its holes.")
}

/// A number of blocks in words.
pub(super) fn counted(blocks: u64) -> String {
    if blocks == 1 { "1 block".to_owned() } else { format!("{blocks} blocks") }
}

/// A note that the data device is longer than the tree says: whole blocks after its end may be data.
pub(super) fn uncovered(source: &Source, params: &Params) -> Result<Option<String>> {
    let blocks = source.uncovered_blocks(params)?;
    Ok((blocks > 0).then(|| format!("{blocks} whole blocks at the end of the data are not covered by the hash tree.")))
}

impl FoundFields {
    /// What a check has found that ends with the first bad block.
    pub(super) fn of_first(fault: Option<FaultFields>) -> Self {
        let failures: Vec<FaultFields> = fault.into_iter().collect();
        let failures_total = failures.len() as u64;
        Self { verified: failures.is_empty(), failures, failures_total, zero_blocks: 0 }
    }

    pub(super) fn of(found: &Verification) -> Self {
        let fault = |fault: &Fault| match *fault {
            Fault::DataBlock { position } => FaultFields { kind: "data_block", position },
            Fault::HashBlock { position } => FaultFields { kind: "hash_block", position },
            Fault::SpareArea { position } => FaultFields { kind: "spare_area", position },
        };
        Self {
            verified: found.is_good(),
            failures: found.first_failures().iter().map(fault).collect(),
            failures_total: found.failures(),
            zero_blocks: found.zero_blocks(),
        }
    }
}
