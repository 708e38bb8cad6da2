//! Opening and closing mappings, and checking whole images.

use std::ffi::{OsStr, c_char, c_int};

use dmverity::dm::{self, ActivateOptions, Activation, MappingName, Removal};
use dmverity::table::{TableFlag, TableFlags};
use dmverity::{RootHash, Work, messages};

use crate::abi;
use crate::guard::{Failed, Result, guard};
use crate::handle::{Handle, Image, State, existing, of};
use crate::log::{self, Level};

/// Flags of activation, as bits. Readonly is always set.
pub(crate) const READONLY: u32 = 1;
const SHARED: u32 = 1 << 2;
/// Only reported.
pub(crate) const CORRUPTED: u32 = 1 << 5;
const IGNORE: u32 = 1 << 8;
const RESTART: u32 = 1 << 9;
const ZEROES: u32 = 1 << 10;
const ONCE: u32 = 1 << 15;
const PANIC: u32 = 1 << 23;
const TASKLETS: u32 = 1 << 27;
/// Unreadable blocks are handled as corrupted ones.
const ERRORS_TOO: u32 = 1 << 29;
/// Bits that contradict a verity mapping.
const IMPOSSIBLE: u32 = 1 << 11 | 1 << 16;

/// Flags of deactivation.
const DEFERRED: u32 = 1;
const CANCEL_DEFERRED: u32 = 4;

#[unsafe(no_mangle)]
unsafe extern "C" fn crypt_activate_by_volume_key(
    cd: *const Handle,
    name: *const c_char,
    key: *const c_char,
    key_size: usize,
    flags: u32,
) -> c_int {
    // SAFETY: as there.
    unsafe { crypt_activate_by_signed_key(cd, name, key, key_size, std::ptr::null(), 0, flags) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn crypt_activate_by_signed_key(
    cd: *const Handle,
    name: *const c_char,
    key: *const c_char,
    key_size: usize,
    signature: *const c_char,
    signature_size: usize,
    flags: u32,
) -> c_int {
    // SAFETY: C promises what the functions ask for.
    unsafe {
        guard(cd, || {
            let handle = of(cd)?;
            let name = abi::name(name)?;
            if !signature.is_null() && signature_size == 0 && name.is_some() {
                return Err(Failed::silent(libc::EINVAL));
            }
            let request = Request {
                name,
                key: abi::bytes(key, key_size),
                signature: abi::bytes(signature, signature_size),
                flags,
            };
            activate(handle, request)
        })
    }
}

/// What was asked for.
struct Request {
    name: Option<std::ffi::OsString>,
    key: Option<Vec<u8>>,
    signature: Option<Vec<u8>>,
    flags: u32,
}

fn activate(handle: &Handle, request: Request) -> Result<c_int> {
    let state = handle.state.borrow();
    let Request { name, key, signature, flags } = request;
    let mapping = name.map(MappingName::new).transpose()?;
    mapping.as_ref().map_or(Ok(()), check_unused)?;
    let image = state.image()?;
    if flags & IMPOSSIBLE != 0 {
        return Err(Failed::silent(libc::EINVAL));
    }
    let incorrect = || Failed::says(libc::EINVAL, "Incorrect root hash specified for verity device.");
    let key = key.filter(|key| key.len() == image.params.algorithm().digest_size()).ok_or_else(incorrect)?;
    let root_hash = RootHash::new(key);
    if signature.is_some() && mapping.is_none() {
        return Err(incorrect());
    }
    if image.flags & abi::ROOT_HASH_SIGNATURE != 0 && signature.is_none() {
        return Err(Failed::says(libc::EINVAL, "Root hash signature required."));
    }
    if image.flags & abi::CHECK_HASH != 0 {
        check(handle, &state, image, &root_hash)?;
    }
    let Some(mapping) = mapping else { return Ok(0) };
    let options = ActivateOptions {
        flags: table_flags(flags),
        root_hash_signature: signature,
        shared: flags & SHARED != 0,
        ..ActivateOptions::default()
    };
    let made = dm::activate(&mapping, &state.devices()?, &image.params, &root_hash, &options)?;
    for line in warnings(&made) {
        log::line(Some(handle), Level::Error, OsStr::new(&line));
    }
    Ok(0)
}

/// What a program has to know of a mapping that was made.
fn warnings(made: &Activation) -> Vec<String> {
    let dropped = made.dropped.iter().map(|dropped| {
        let word = dropped.option.word();
        format!("Kernel does not support the dm-verity option {word}; the device was activated without it.")
    });
    let silent = made.udev_silent.then(|| messages::of_silent_udev(&made.name));
    let corrupted = made.corrupted.then(|| messages::CORRUPTED_AT_ONCE.to_owned());
    dropped.chain(silent).chain(corrupted).collect()
}

/// Clients reuse a mapping that has the name, and tell by this number that there is one.
fn check_unused(name: &MappingName) -> Result {
    match dm::status(name) {
        Ok(None) => Ok(()),
        Ok(Some(_)) => Err(dm::Error::MappingExists { name: name.to_string(), unfinished: false }.into()),
        Err(error) => {
            let mut failed = Failed::from(error);
            failed.lines.push(format!("Cannot use device {name}, name is invalid or still in use.").into());
            Err(failed)
        }
    }
}

fn table_flags(flags: u32) -> TableFlags {
    let has = |bit: u32| flags & bit != 0;
    let wanted = [
        (has(IGNORE), TableFlag::IgnoreCorruption),
        (has(RESTART), TableFlag::RestartOnCorruption),
        (has(PANIC), TableFlag::PanicOnCorruption),
        (has(ERRORS_TOO) && has(RESTART), TableFlag::RestartOnError),
        (has(ERRORS_TOO) && has(PANIC), TableFlag::PanicOnError),
        (has(ZEROES), TableFlag::IgnoreZeroBlocks),
        (has(ONCE), TableFlag::CheckAtMostOnce),
        (has(TASKLETS), TableFlag::TryVerifyInTasklet),
    ];
    wanted.into_iter().filter_map(|(is_wanted, flag)| is_wanted.then_some(flag)).collect()
}

/// The flags that a mapping's table has.
pub(crate) fn activation_flags(flags: &TableFlags) -> u32 {
    let bit = |flag| match flag {
        TableFlag::IgnoreCorruption => IGNORE,
        TableFlag::RestartOnCorruption => RESTART,
        TableFlag::PanicOnCorruption => PANIC,
        TableFlag::RestartOnError | TableFlag::PanicOnError => ERRORS_TOO,
        TableFlag::IgnoreZeroBlocks => ZEROES,
        TableFlag::CheckAtMostOnce => ONCE,
        TableFlag::TryVerifyInTasklet => TASKLETS,
        // Flags that a later library knows, and the interface has no number for.
        _ => 0,
    };
    flags.iter().fold(READONLY, |all, flag| all | bit(flag))
}

/// Checks a whole image in userspace. Damage that FEC can repair is not a failure, as in the kernel.
fn check(handle: &Handle, state: &State, image: &Image, root_hash: &RootHash) -> Result {
    let found = dmverity::diagnose(&state.devices()?, &image.params, root_hash, &Work::default());
    let found = found.map_err(|error| match error {
        dmverity::Error::DeviceTooSmall { .. } => Failed::says(libc::EIO, messages::DATA_AREA_FAILED),
        error => error.into(),
    })?;
    if found.is_good() {
        return Ok(());
    }
    let lines = if found.verification.failures() == 0 {
        messages::of_verification(&found.verification)
    } else {
        messages::of_diagnosis(&found)
    };
    if found.is_repairable() {
        for line in lines {
            log::line(Some(handle), Level::Error, OsStr::new(&line));
        }
        return Ok(());
    }
    let is_wrong_root_hash = found.verification.failures() == 0 && image.params.fec().is_none();
    let errno = if is_wrong_root_hash { libc::EFAULT } else { libc::EPERM };
    Err(Failed { errno, lines: lines.into_iter().map(Into::into).collect() })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn crypt_deactivate(cd: *const Handle, name: *const c_char) -> c_int {
    // SAFETY: as there.
    unsafe { crypt_deactivate_by_name(cd, name, 0) }
}

/// Force would replace the table of a mapping that is in use, and leave its users with errors: it is not done.
#[unsafe(no_mangle)]
unsafe extern "C" fn crypt_deactivate_by_name(cd: *const Handle, name: *const c_char, flags: u32) -> c_int {
    // SAFETY: C promises what the functions ask for.
    unsafe {
        guard(cd, || {
            let name = abi::name(name)?.ok_or_else(|| Failed::silent(libc::EINVAL))?;
            if flags & DEFERRED != 0 && flags & CANCEL_DEFERRED != 0 {
                return Err(Failed::silent(libc::EINVAL));
            }
            let mapping = existing(&name)?;
            let when = if flags & DEFERRED == 0 { Removal::Now } else { Removal::Deferred };
            let done = if flags & CANCEL_DEFERRED == 0 {
                dm::deactivate(&mapping, when).map(drop)
            } else {
                dm::cancel_deferred_removal(&mapping)
            };
            done.map_err(|error| match error {
                // As it was given: it may be a path.
                dm::Error::MappingInactive { .. } => {
                    dm::Error::MappingInactive { name: name.to_string_lossy().into_owned() }
                }
                error => error,
            })?;
            Ok(0)
        })
    }
}
