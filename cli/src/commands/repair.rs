//! `repair`: put what is wrong with an image right, with the help of its FEC device.

use dmverity::error::Area;
use dmverity::{Repair, RepairMode, WrongBlock};

use super::image_to_check;
use super::verify::describe;
use crate::arguments::Arguments;
use crate::failure::{Exit, Failure, Result};
use crate::{interruption, output};

/// What `verify` says, too, of an image that FEC cannot help.
pub(super) const BEYOND_REPAIR: &str = "Errors cannot be repaired with FEC device.";

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let (data, hash) = (arguments.path(0), arguments.path(1));
    if arguments.path_option("fec-device").is_none() {
        return Err(Failure::usage("repair: requires option --fec-device"));
    }
    let (params, root_hash) = image_to_check(arguments, data, hash, 2)?;
    let devices = arguments.devices(data, hash);
    let mode = if arguments.flag("dry-run") { RepairMode::DryRun } else { RepairMode::Write };
    let repair = interruption::watched(arguments.threads()?, |work| {
        dmverity::repair(&devices, &params, &root_hash, mode, work)
    })?;
    if !repair.proves_all_blocks() {
        let mut lines = describe(repair.verification());
        lines.push(BEYOND_REPAIR.to_owned());
        let failure = Failure { exit: Exit::Permission, lines, usage: false };
        return Err(
            failure.hint("nothing was written: there is more damage than FEC can correct, or the root hash is wrong.")
        );
    }
    output::print(&list(&repair))?;
    let repaired = repair.wrong_bytes() - repair.outside_bytes();
    if mode == RepairMode::DryRun && repair.wrong_bytes() > 0 {
        output::print_error(&(found_errors(&repair) + "\n"));
    } else if repaired > 0 {
        output::print(&format!("Repaired {repaired} errors.\n"))?;
    }
    if repair.is_clean_afterwards() {
        return Ok(());
    }
    Err(Failure::new(Exit::Permission, BEYOND_REPAIR).hint(format!(
        "behind the hash tree FEC shows {} wrong bytes and {} codewords that cannot be corrected: the root hash does not \
         prove what they have to be, so they are left alone.",
        repair.outside_bytes(),
        repair.unknown_codewords()
    )))
}

/// The line that says how many errors could be repaired.
pub(super) fn found_errors(repair: &Repair) -> String {
    format!("Found {} repairable errors with FEC device.", repair.wrong_bytes())
}

fn list(repair: &Repair) -> String {
    let line = |block: &WrongBlock| {
        let area = if block.area == Area::Data { "Data" } else { "Hash" };
        format!("{area} block {} at position {}: {} wrong bytes.\n", block.block, block.position, block.wrong_bytes)
    };
    let parity = (repair.parity_bytes() > 0).then(|| format!("FEC area: {} wrong bytes.\n", repair.parity_bytes()));
    repair.blocks().iter().map(line).chain(parity).collect()
}
