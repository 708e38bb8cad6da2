//! `repair`: correct a damaged image with its FEC device or, without one, the blocks that must be
//! zeros.

use dmverity::messages::{BEYOND_REPAIR, of_repair, of_verification};
use dmverity::{Area, Repair, RepairMode, RootHash, Work, WrongBlock, ZerosWritten};
use serde::Serialize;

use super::existing::{Image, image_to_check};
use super::shown;
use super::source::Source;
use super::verify::{FoundFields, counted, is_wrong_root_hash, must_be_zeros};
use crate::arguments;
use crate::failure::{Exit, Failure, Result};
use crate::interruption;
use crate::report::Report;

#[derive(Serialize)]
struct RepairFields {
    data_device: String,
    hash_device: String,
    fec_device: Option<String>,
    root_hash: String,
    dry_run: bool,
    /// Before anything was repaired.
    #[serde(flatten)]
    found: FoundFields,
    /// Whether the root hash proves the correct contents of all blocks; if not, nothing was written.
    proven: bool,
    blocks: Vec<BlockFields>,
    parity_bytes: u64,
    outside_bytes: u64,
    unknown_codewords: u64,
    wrong_bytes: u64,
    repaired_bytes: u64,
}

#[derive(Serialize)]
struct BlockFields {
    area: &'static str,
    block: u64,
    position: u64,
    wrong_bytes: u64,
}

pub(crate) fn run(arguments: &arguments::Repair) -> Result<Report> {
    let arguments::Repair { image, dry_run, work: long } = arguments;
    let Image { source, params, root_hash, warnings, .. } = image_to_check(image)?;
    let mode = if *dry_run { RepairMode::DryRun } else { RepairMode::Write };
    if source.fec().is_none() {
        let zeros = |work: &Work<'_>| source.write_zeros(&params, &root_hash, mode, work);
        let done = interruption::watched(long, source.data(), zeros)??;
        return zeros_only(&source, &root_hash, mode, &done, warnings);
    }
    let repair = interruption::watched(long, source.data(), |work| {
        let image = if *dry_run { source.open()? } else { source.open_to_write()? };
        image.repair(&params, &root_hash, mode, work)
    })??;
    let correctable = repair.wrong_bytes() - repair.outside_bytes();
    let repaired = if mode == RepairMode::Write && repair.proves_all_blocks() { correctable } else { 0 };
    let fields = RepairFields {
        data_device: shown(source.data()),
        hash_device: shown(source.hash()),
        fec_device: source.fec().map(shown),
        root_hash: root_hash.to_string(),
        dry_run: mode == RepairMode::DryRun,
        found: FoundFields::of(repair.verification()),
        proven: repair.proves_all_blocks(),
        blocks: repair.blocks().iter().map(BlockFields::of).collect(),
        parity_bytes: repair.parity_bytes(),
        outside_bytes: repair.outside_bytes(),
        unknown_codewords: repair.unknown_codewords(),
        wrong_bytes: repair.wrong_bytes(),
        repaired_bytes: repaired,
    };
    if is_wrong_root_hash(&repair) {
        let failure = wrong_root_hash(of_verification(repair.verification()));
        return Err(Report { warnings, ..Report::new("", fields) }.failed(failure));
    }
    if !repair.proves_all_blocks() {
        let mut lines = of_verification(repair.verification());
        lines.push(BEYOND_REPAIR.to_owned());
        let failure = Failure::of_lines(Exit::Permission, lines)
            .hint("nothing was written: there is more damage than FEC can correct, or the root hash is wrong.");
        return Err(Report { warnings, ..Report::new("", fields) }.failed(failure));
    }
    let is_found_only = mode == RepairMode::DryRun && repair.wrong_bytes() > 0;
    let notes = Vec::from_iter(is_found_only.then(|| of_repair(&repair)));
    let done = if repaired > 0 { format!("Repaired {repaired} errors.\n") } else { String::new() };
    let report = Report { notes, warnings, ..Report::new(list(&repair) + &done, fields) };
    if repair.is_clean_afterwards() {
        return Ok(report);
    }
    Err(report.failed(Failure::new(Exit::Permission, BEYOND_REPAIR).hint(format!(
        "after the hash tree FEC finds {} wrong bytes and {} codewords that cannot be corrected: the root hash does \
         not prove their contents, so they are left as they are.",
        repair.outside_bytes(),
        repair.unknown_codewords()
    ))))
}

/// The result of a repair without FEC.
fn zeros_only(
    source: &Source,
    root_hash: &RootHash,
    mode: RepairMode,
    done: &ZerosWritten,
    warnings: Vec<String>,
) -> Result<Report> {
    let found = &done.verification;
    let is_dry_run = mode == RepairMode::DryRun;
    let others = found.failures().saturating_sub(done.blocks);
    let is_all = found.is_good() || (done.blocks > 0 && others == 0);
    let fields = RepairFields {
        data_device: shown(source.data()),
        hash_device: shown(source.hash()),
        fec_device: None,
        root_hash: root_hash.to_string(),
        dry_run: is_dry_run,
        found: FoundFields::of(found),
        proven: is_all,
        blocks: Vec::new(),
        parity_bytes: 0,
        outside_bytes: 0,
        unknown_codewords: 0,
        wrong_bytes: done.bytes,
        repaired_bytes: if is_dry_run { 0 } else { done.bytes },
    };
    let blocks = counted(done.blocks);
    let text = if done.blocks > 0 && !is_dry_run { format!("Wrote zeros to {blocks}.\n") } else { String::new() };
    let notes = Vec::from_iter((done.blocks > 0 && is_dry_run).then(|| must_be_zeros(&blocks)));
    let report = Report { notes, warnings, ..Report::new(text, fields) };
    if is_all {
        return Ok(report);
    }
    let mut lines = of_verification(found);
    if found.failures() == 0 {
        return Err(report.failed(wrong_root_hash(lines)));
    }
    lines.push("Errors cannot be repaired without FEC device.".to_owned());
    Err(report
        .failed(Failure::of_lines(Exit::Permission, lines).hint(
            "without --fec-device, repair only restores blocks of zeros, and only if the whole tree is correct.",
        )))
}

/// Only the root hash is wrong: there is nothing to repair.
fn wrong_root_hash(lines: Vec<String>) -> Failure {
    Failure::of_lines(Exit::Parameters, lines)
        .hint("nothing was written: data and hash tree agree with each other, but not with the root hash.")
}

impl BlockFields {
    fn of(block: &WrongBlock) -> Self {
        let area = if block.area == Area::Data { "data" } else { "hash" };
        Self { area, block: block.block, position: block.position, wrong_bytes: block.wrong_bytes }
    }
}

/// The line that says how many errors could be repaired.
fn list(repair: &Repair) -> String {
    let line = |block: &WrongBlock| {
        let area = if block.area == Area::Data { "Data" } else { "Hash" };
        format!("{area} block {} at position {}: {} wrong bytes.\n", block.block, block.position, block.wrong_bytes)
    };
    let parity = (repair.parity_bytes() > 0).then(|| format!("FEC area: {} wrong bytes.\n", repair.parity_bytes()));
    repair.blocks().iter().map(line).chain(parity).collect()
}
