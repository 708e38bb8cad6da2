//! What is known of a handle or a mapping.

use std::ffi::{OsString, c_char, c_int, c_void};
use std::path::Path;
use std::ptr;

use dmverity::Layout;
use dmverity::dm::{self, MappingName};
use dmverity::messages::{self, Header};

use crate::abi::{self, ActiveDevice, VerityParams};
use crate::activate::{CORRUPTED, activation_flags};
use crate::guard::{Failed, Result, guard, guard_text};
use crate::handle::{Handle, State, of};
use crate::log::{self, Level};

#[unsafe(no_mangle)]
unsafe extern "C" fn crypt_status(cd: *const Handle, name: *const c_char) -> c_int {
    // SAFETY: C promises what the functions ask for.
    unsafe {
        let status = guard(cd, || {
            let Some(name) = abi::name(name)? else { return Ok(abi::STATUS_INVALID) };
            let Ok(name) = MappingName::from_name_or_path(&name) else { return Ok(abi::STATUS_INACTIVE) };
            Ok(match dm::status(&name)? {
                None => abi::STATUS_INACTIVE,
                Some(mapping) if mapping.open_count > 0 => abi::STATUS_BUSY,
                Some(_) => abi::STATUS_ACTIVE,
            })
        });
        status.max(abi::STATUS_INVALID)
    }
}

/// The first two fields are left as they are: they mean nothing for verity.
#[unsafe(no_mangle)]
unsafe extern "C" fn crypt_get_active_device(
    cd: *const Handle,
    name: *const c_char,
    place: *mut ActiveDevice,
) -> c_int {
    // SAFETY: C promises what the functions ask for.
    unsafe {
        guard(cd, || {
            of(cd)?;
            let name = abi::name(name)?.ok_or_else(|| Failed::silent(libc::EINVAL))?;
            let place = place.as_mut().ok_or_else(|| Failed::silent(libc::EINVAL))?;
            let not_found = || Failed::says(libc::EINVAL, format!("Device {} not found", name.to_string_lossy()));
            let name = MappingName::from_name_or_path(&name).map_err(|_| not_found())?;
            let verity = dm::status(&name)?
                .ok_or_else(|| Failed::silent(libc::ENODEV))?
                .verity
                .ok_or_else(|| Failed::silent(libc::EINVAL))?;
            place.size = verity.sectors;
            place.flags = activation_flags(&verity.table.options.flags);
            if verity.status.corrupted {
                place.flags |= CORRUPTED;
            }
            Ok(0)
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn crypt_get_verity_info(cd: *const Handle, place: *mut VerityParams) -> c_int {
    // SAFETY: C promises what the functions ask for.
    unsafe {
        guard(cd, || {
            let handle = of(cd)?;
            let place = place.as_mut().ok_or_else(|| Failed::silent(libc::EINVAL))?;
            let state = handle.state.borrow();
            let image = state.image.as_ref().ok_or_else(|| Failed::silent(libc::EINVAL))?;
            let params = &image.params;
            let salt = params.salt().as_bytes();
            *place = VerityParams {
                hash_name: handle.keep(params.algorithm().name()),
                data_device: handle.keep_path(state.data_device()),
                hash_device: handle.keep_path(state.device.as_deref()),
                fec_device: handle.keep_path(state.fec.as_deref()),
                salt: handle.keep_salt(salt),
                salt_size: u32::try_from(salt.len()).unwrap_or_default(),
                hash_type: params.hash_type().number(),
                data_block_size: params.data_block_size().get(),
                hash_block_size: params.hash_block_size().get(),
                data_size: params.data_blocks(),
                hash_area_offset: image.table_start.unwrap_or(params.hash_offset()),
                fec_area_offset: image.fec_offset,
                fec_roots: image.fec_roots,
                flags: image.flags & (abi::NO_HEADER | abi::ROOT_HASH_SIGNATURE),
            };
            Ok(0)
        })
    }
}

/// The answer to a question about an image; null if there is no image.
///
/// # Safety
/// `cd` is null or a handle.
unsafe fn answer(cd: *const Handle, find: impl FnOnce(&Handle, &State) -> *const c_char) -> *const c_char {
    // SAFETY: as the caller promises.
    unsafe {
        guard_text(cd, || {
            let handle = of(cd)?;
            Ok(find(handle, &handle.state.borrow()))
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn crypt_get_type(cd: *const Handle) -> *const c_char {
    // SAFETY: C promises a handle.
    unsafe { answer(cd, |_, state| state.image.as_ref().map_or(ptr::null(), |_| abi::VERITY.as_ptr())) }
}

/// A mapping does not tell its image's UUID.
#[unsafe(no_mangle)]
unsafe extern "C" fn crypt_get_uuid(cd: *const Handle) -> *const c_char {
    let find = |handle: &Handle, state: &State| {
        let uuid = state.image.as_ref().and_then(|image| image.params.uuid());
        uuid.map_or(ptr::null(), |uuid| handle.keep(uuid.to_string()))
    };
    // SAFETY: C promises a handle.
    unsafe { answer(cd, find) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn crypt_get_device_name(cd: *const Handle) -> *const c_char {
    // SAFETY: C promises a handle.
    unsafe { answer(cd, |handle, state| handle.keep_path(state.data_device())) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn crypt_get_metadata_device_name(cd: *const Handle) -> *const c_char {
    let find =
        |handle: &Handle, state: &State| handle.keep_path(state.device.as_deref().filter(|_| state.has_two_devices()));
    // SAFETY: C promises a handle.
    unsafe { answer(cd, find) }
}

#[unsafe(no_mangle)]
extern "C" fn crypt_get_dir() -> *const c_char {
    c"/dev/mapper".as_ptr()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn crypt_get_volume_key_size(cd: *const Handle) -> c_int {
    // SAFETY: C promises a handle.
    let size = unsafe {
        guard(cd, || {
            let state = of(cd)?.state.borrow();
            let size = state.image.as_ref().map_or(0, |image| image.params.algorithm().digest_size());
            Ok(c_int::try_from(size).unwrap_or_default())
        })
    };
    size.max(0)
}

/// The volume key is the root hash, whatever key slot and pass phrase are given.
#[unsafe(no_mangle)]
unsafe extern "C" fn crypt_volume_key_get(
    cd: *const Handle,
    keyslot: c_int,
    key: *mut c_char,
    key_size: *mut usize,
    _passphrase: *const c_char,
    _passphrase_size: usize,
) -> c_int {
    // SAFETY: C promises what it asks for.
    unsafe { guard(cd, || copy_root_hash(cd, keyslot, key, key_size)) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn crypt_volume_key_get_by_keyslot_context(
    cd: *const Handle,
    keyslot: c_int,
    key: *mut c_char,
    key_size: *mut usize,
    _context: *mut c_void,
) -> c_int {
    // SAFETY: C promises what it asks for.
    unsafe { guard(cd, || copy_root_hash(cd, keyslot, key, key_size)) }
}

/// # Safety
/// `cd` is null or a handle; `key` is null or has room for `key_size` bytes, which is null or can be written to.
unsafe fn copy_root_hash(cd: *const Handle, keyslot: c_int, key: *mut c_char, key_size: *mut usize) -> Result<c_int> {
    // SAFETY: as the caller promises.
    let (handle, size) = unsafe { (of(cd)?, key_size.as_mut().ok_or_else(|| Failed::silent(libc::EINVAL))?) };
    if key.is_null() {
        return Err(Failed::silent(libc::EINVAL));
    }
    let state = handle.state.borrow();
    let no_key = || Failed::says(libc::EINVAL, "This operation is not supported for (none) crypt device.");
    let image = match &state.image {
        None if keyslot < 0 => return Err(Failed::silent(libc::EINVAL)),
        image => image.as_ref().ok_or_else(no_key)?,
    };
    if *size < image.params.algorithm().digest_size() {
        return Err(Failed::says(libc::ENOMEM, "Volume key buffer too small."));
    }
    let unknown = || Failed::says(libc::EINVAL, "Cannot retrieve root hash for verity device.");
    let bytes = image.root_hash.as_ref().ok_or_else(unknown)?.as_bytes();
    // SAFETY: there is room for as many bytes.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), key.cast::<u8>(), bytes.len()) };
    *size = bytes.len();
    Ok(0)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn crypt_dump(cd: *const Handle) -> c_int {
    // SAFETY: C promises a handle.
    unsafe {
        guard(cd, || {
            let handle = of(cd)?;
            let lines = {
                let state = handle.state.borrow();
                describe(&state)?
            };
            for line in lines {
                log::line(Some(handle), Level::Normal, &line);
            }
            Ok(0)
        })
    }
}

fn describe(state: &State) -> Result<Vec<OsString>> {
    let no_dump = || Failed::says(libc::EINVAL, "Dump operation is not supported for this device type.");
    let image = state.image.as_ref().ok_or_else(no_dump)?;
    let params = &image.params;
    let layout = Layout::new(params)?;
    let device = state.device.as_deref().unwrap_or(Path::new(""));
    let fec_area = match &state.fec {
        Some(fec) => dmverity::fec_area(device, fec, &layout)?,
        None => None,
    };
    let fields = messages::of_header(&Header {
        uuid: &params.uuid().map(|uuid| uuid.to_string()).unwrap_or_default(),
        algorithm: params.algorithm().name(),
        layout: &layout,
        fec_area: fec_area.as_ref(),
        hash_offset: image.table_start.unwrap_or(params.hash_offset()),
        root_hash: image.root_hash.as_ref(),
    });
    Ok([messages::header_title(device)].into_iter().chain(fields.into_iter().map(OsString::from)).collect())
}
