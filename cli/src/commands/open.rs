//! `open`: make an image available as a mapping.

use std::path::Path;

use dmverity::dm::{ActivateOptions, MappingName, activate};
use dmverity::table::{OnCorruption, OnError};

use super::image_to_check;
use crate::arguments::Arguments;
use crate::failure::{Exit, Failure, Result, system_words};
use crate::output;
use crate::refusal::KernelOption;

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let (data, hash) = (arguments.path(0), arguments.path(2));
    let name = MappingName::new(&arguments.text(1).unwrap_or_default())?;
    let (params, root_hash) = image_to_check(arguments, data, hash, 3)?;

    let flag = |option| arguments.flag(option);
    // As the reference tool has it: of two that are given together, the one that protects more counts.
    let on_corruption = [
        ("restart-on-corruption", OnCorruption::Restart),
        ("panic-on-corruption", OnCorruption::Panic),
        ("ignore-corruption", OnCorruption::Ignore),
    ]
    .into_iter()
    .find_map(|(option, value)| flag(option).then_some(value));
    if flag("ignore-corruption") && on_corruption != Some(OnCorruption::Ignore) {
        output::warn("--panic-on-corruption overrides --ignore-corruption.");
    }
    let on_error = match on_corruption.filter(|_| flag("error-as-corruption")) {
        Some(OnCorruption::Restart) => Some(OnError::Restart),
        Some(OnCorruption::Panic) => Some(OnError::Panic),
        Some(OnCorruption::Ignore) | None => None,
    };
    let options = ActivateOptions {
        on_corruption,
        on_error,
        ignore_zero_blocks: flag("ignore-zero-blocks"),
        check_at_most_once: flag("check-at-most-once"),
        use_tasklets: flag("use-tasklets"),
        root_hash_signature: arguments
            .path_option("root-hash-signature")
            .map(|path| read_signature(&path))
            .transpose()?,
        shared: flag("shared"),
        no_fallback: flag("no-fallback"),
    };
    let activation = activate(&name, &arguments.devices(data, hash), &params, &root_hash, &options)?;
    for dropped in &activation.dropped {
        let option = KernelOption::of(dropped.option).option;
        output::warn(&format!("kernel does not support {option}, opened without it."));
    }
    if activation.udev_silent {
        output::warn(&format!("udev did not confirm device {name} in time; links to it may be missing."));
    }
    if activation.corrupted {
        output::print_error("Verity device detected corruption after activation.\n");
    }
    Ok(())
}

fn read_signature(path: &Path) -> Result<Vec<u8>> {
    let signature = std::fs::read(path).map_err(|error| {
        Failure::new(Exit::Device, format!("Cannot read signature file {}.", path.display())).hint(system_words(&error))
    })?;
    if signature.is_empty() {
        return Err(Failure::new(Exit::Parameters, format!("Invalid signature file {}.", path.display())));
    }
    Ok(signature)
}
