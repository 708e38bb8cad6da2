//! Parameters that do not match the devices: a superblock that is elsewhere, or that contradicts an
//! option.

use std::path::Path;

use dmverity::{Error, HashAlgorithm, Params, Salt, find_superblocks};

use super::media::Media;
use crate::arguments::{HashOffset, ImageOptions};
use crate::escape::text_of;
use crate::failure::Failure;
use crate::url::is_same;

/// How much of a device is searched for superblocks: as much as can be read in about a second. The superblock of a
/// larger image that has its tree after the data is found by `--hash-offset=auto`.
const SEARCHED: u64 = 1 << 30;

/// Why there may be no superblock at the expected place.
pub(super) fn explain(media: &Media, error: Error, offset: HashOffset, data: Option<&Path>, hash: &Path) -> Failure {
    let is_missing = matches!(&error, Error::Superblock { source, .. } if matches!(**source, Error::NotVerity));
    let failure = Failure::from(error);
    let HashOffset::At(offset) = offset else { return failure };
    if !is_missing {
        return failure;
    }
    if let Some(data) = data.filter(|data| !is_same(data, hash))
        && media.load(data, offset, None).is_ok()
    {
        return failure.hint(format!(
            "{}, which is given as the data device, has a superblock there: are data and hash device swapped?",
            text_of(data)
        ));
    }
    // It would be downloaded for it.
    if media.is_remote(hash) {
        return failure.hint("if the hash tree follows the data in the same file, name its place: --hash-offset.");
    }
    if dmverity::load_to_update(hash, offset, None).is_ok() {
        return failure.hint("an update of its hash tree was interrupted there: update it again.");
    }
    let Ok(found) = find_superblocks(hash, SEARCHED) else { return failure };
    match &found[..] {
        [] => failure,
        [only] => failure.hint(format!("there is a superblock at byte {only}: use --hash-offset={only}.")),
        several => {
            let several: Vec<String> = several.iter().map(u64::to_string).collect();
            failure
                .hint(format!("there are superblocks at bytes {}: choose one with --hash-offset.", several.join(", ")))
        }
    }
}

/// A superblock that `--no-superblock` ignores: where there is one, there is no tree.
pub(super) fn unused_superblock(media: &Media, hash: &Path, offset: u64) -> Option<String> {
    media.load(hash, offset, None).is_ok().then(|| {
        format!("there is a superblock at byte {offset} of {}; with --no-superblock it is not read.", text_of(hash))
    })
}

/// Options that the superblock contradicts. The superblock is used, as with the reference tool.
pub(super) fn contradictions(options: &ImageOptions, params: &Params) -> Vec<String> {
    let differs = |given: &Option<String>, same: &dyn Fn(&str) -> bool| given.clone().filter(|given| !same(given));
    let uuid = params.uuid().map(|uuid| uuid.to_string()).unwrap_or_default();
    let found = [
        (
            "hash",
            params.algorithm().to_string(),
            differs(&options.hash, &|given| {
                HashAlgorithm::from_name(given).is_ok_and(|given| given == params.algorithm())
            }),
        ),
        (
            "salt",
            params.salt().to_string(),
            differs(&options.salt, &|given| Salt::from_hex(given).is_ok_and(|given| given == *params.salt())),
        ),
        ("uuid", uuid.clone(), differs(&options.uuid, &|given| given.eq_ignore_ascii_case(&uuid))),
    ];
    let mut warnings: Vec<String> =
        found.into_iter().filter_map(|(option, found, given)| Some(ignored(option, &found, &given?))).collect();
    let numbers = [
        ("format", options.format, u64::from(params.hash_type().number())),
        ("data-block-size", options.data_block_size, params.data_block_size().bytes()),
        ("hash-block-size", options.hash_block_size, params.hash_block_size().bytes()),
    ];
    for (option, given, found) in numbers {
        let given = given.filter(|&given| given != found);
        warnings.extend(given.map(|given| ignored(option, &found.to_string(), &given.to_string())));
    }
    warnings
}

fn ignored(option: &str, found: &str, given: &str) -> String {
    format!("the superblock says {option} {found}; --{option}={given} is ignored, see --expect.")
}
