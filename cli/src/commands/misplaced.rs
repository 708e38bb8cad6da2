//! Parameters that do not fit what is on the devices: a superblock that is elsewhere, or that says something else than an
//! option.

use std::path::Path;

use dmverity::{Error, HashAlgorithm, Params, Salt, find_superblocks, is_same_device};

use crate::arguments::Arguments;
use crate::escape::text_of;
use crate::failure::{Failure, Result};

/// How much of a device is searched for superblocks: what is read in about a second. The superblock of a larger image that
/// has its tree after the data is found by `--hash-offset=auto`.
const SEARCHED: u64 = 1 << 30;

/// Why there may be no superblock where it was looked for.
pub(super) fn explain(error: Error, arguments: &Arguments, data: Option<&Path>, hash: &Path) -> Failure {
    let is_missing = matches!(&error, Error::Superblock { source, .. } if matches!(**source, Error::NotVerity));
    let failure = Failure::from(error);
    if !is_missing || arguments.is_auto("hash-offset") {
        return failure;
    }
    let offset = arguments.number("hash-offset").ok().flatten().unwrap_or(0);
    if let Some(data) = data.filter(|data| !is_same_device(data, hash))
        && dmverity::load(data, offset, None).is_ok()
    {
        return failure.hint(format!(
            "{}, which is given as the data device, has a superblock there: are data and hash device swapped?",
            text_of(data)
        ));
    }
    let Ok(found) = find_superblocks(hash, SEARCHED) else { return failure };
    match &found[..] {
        [] => failure,
        [only] => failure.hint(format!("there is a superblock at byte {only}: --hash-offset={only}.")),
        several => {
            let several: Vec<String> = several.iter().map(u64::to_string).collect();
            failure
                .hint(format!("there are superblocks at bytes {}: say which with --hash-offset.", several.join(", ")))
        }
    }
}

/// A superblock that `--no-superblock` leaves out of account: where one is, there is no tree.
pub(super) fn unused_superblock(hash: &Path, offset: u64) -> Option<String> {
    dmverity::load(hash, offset, None).is_ok().then(|| {
        format!("there is a superblock at byte {offset} of {}; with --no-superblock it is not read.", text_of(hash))
    })
}

/// Options that the superblock contradicts. It counts, as with the reference tool.
pub(super) fn contradictions(arguments: &Arguments, params: &Params) -> Result<Vec<String>> {
    let text = |option| arguments.text_option(option);
    let differs = |option, same: &dyn Fn(&str) -> bool| text(option).filter(|given| !same(given));
    let uuid = params.uuid().map(|uuid| uuid.to_string()).unwrap_or_default();
    let found = [
        (
            "hash",
            params.algorithm().to_string(),
            differs("hash", &|given| HashAlgorithm::from_name(given).is_ok_and(|given| given == params.algorithm())),
        ),
        (
            "salt",
            params.salt().to_string(),
            differs("salt", &|given| Salt::from_hex(given).is_ok_and(|given| given == *params.salt())),
        ),
        ("uuid", uuid.clone(), differs("uuid", &|given| given.eq_ignore_ascii_case(&uuid))),
    ];
    let mut warnings: Vec<String> =
        found.into_iter().filter_map(|(option, found, given)| Some(ignored(option, &found, &given?))).collect();
    let numbers = [
        ("format", u64::from(params.hash_type().number())),
        ("data-block-size", params.data_block_size().bytes()),
        ("hash-block-size", params.hash_block_size().bytes()),
    ];
    for (option, found) in numbers {
        let given = arguments.number(option)?.filter(|&given| given != found);
        warnings.extend(given.map(|given| ignored(option, &found.to_string(), &given.to_string())));
    }
    Ok(warnings)
}

fn ignored(option: &str, found: &str, given: &str) -> String {
    format!("the superblock says {option} {found}; --{option}={given} is ignored, see --expect.")
}
