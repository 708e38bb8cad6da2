//! Numbers and layouts of the interface, and what C passes, as Rust has it.

use std::ffi::{CStr, CString, OsStr, OsString, c_char, c_int};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::{ptr, slice};

use dmverity::Salt;

use crate::guard::{Failed, Result};

/// The only type of device here.
pub(crate) const VERITY: &CStr = c"VERITY";

/// Flags of [`VerityParams`]: there is no superblock.
pub(crate) const NO_HEADER: u32 = 1;
/// Check the whole image in userspace.
pub(crate) const CHECK_HASH: u32 = 2;
/// Compute and write the hash tree.
pub(crate) const CREATE_HASH: u32 = 4;
/// The root hash has to be signed.
pub(crate) const ROOT_HASH_SIGNATURE: u32 = 8;

/// States of a mapping: the name or the system is unusable.
pub(crate) const STATUS_INVALID: c_int = 0;
pub(crate) const STATUS_INACTIVE: c_int = 1;
pub(crate) const STATUS_ACTIVE: c_int = 2;
pub(crate) const STATUS_BUSY: c_int = 3;

/// The longest text that is accepted, with its end.
const MOST_TEXT: usize = 4096;

/// Parameters of an image.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct VerityParams {
    pub(crate) hash_name: *const c_char,
    pub(crate) data_device: *const c_char,
    pub(crate) hash_device: *const c_char,
    pub(crate) fec_device: *const c_char,
    pub(crate) salt: *const c_char,
    pub(crate) salt_size: u32,
    pub(crate) hash_type: u32,
    pub(crate) data_block_size: u32,
    pub(crate) hash_block_size: u32,
    /// In data blocks.
    pub(crate) data_size: u64,
    pub(crate) hash_area_offset: u64,
    pub(crate) fec_area_offset: u64,
    pub(crate) fec_roots: u32,
    pub(crate) flags: u32,
}

/// A mapping's place and flags.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct ActiveDevice {
    pub(crate) offset: u64,
    pub(crate) iv_offset: u64,
    /// In sectors.
    pub(crate) size: u64,
    pub(crate) flags: u32,
}

#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<VerityParams>() == 88 && size_of::<ActiveDevice>() == 32);

/// A text, or `None` for a null pointer. One without an end within reason is refused.
///
/// # Safety
/// `text` is null, or points to bytes that can be read up to the first zero.
pub(crate) unsafe fn text(text: *const c_char) -> Result<Option<CString>> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: it is not null, and no byte after the first zero is looked at.
    let length = unsafe { libc::strnlen(text, MOST_TEXT) };
    if length == MOST_TEXT {
        return Err(Failed::silent(libc::EINVAL));
    }
    // SAFETY: these bytes have just been looked at.
    let bytes = unsafe { slice::from_raw_parts(text.cast::<u8>(), length) };
    Ok(Some(CString::new(bytes).unwrap_or_default()))
}

/// The path in a text, or `None` for a null pointer.
///
/// # Safety
/// As for [`text`].
pub(crate) unsafe fn path(path: *const c_char) -> Result<Option<PathBuf>> {
    // SAFETY: as the caller promises.
    let text = unsafe { text(path) }?;
    Ok(text.map(|text| PathBuf::from(OsStr::from_bytes(text.as_bytes()))))
}

/// The path of a device, or `None` for a null pointer or an empty text, which some bindings pass for devices that do
/// not exist.
///
/// # Safety
/// As for [`text`].
pub(crate) unsafe fn device(device: *const c_char) -> Result<Option<PathBuf>> {
    // SAFETY: as the caller promises.
    Ok(unsafe { path(device) }?.filter(|path| !path.as_os_str().is_empty()))
}

/// The name in a text, or `None` for a null pointer.
///
/// # Safety
/// As for [`text`].
pub(crate) unsafe fn name(name: *const c_char) -> Result<Option<OsString>> {
    // SAFETY: as the caller promises.
    Ok(unsafe { path(name) }?.map(PathBuf::into_os_string))
}

/// `length` bytes, or `None` for a null pointer.
///
/// # Safety
/// `bytes` is null, or `length` bytes can be read there.
pub(crate) unsafe fn bytes(bytes: *const c_char, length: usize) -> Option<Vec<u8>> {
    let is_there = !bytes.is_null() && isize::try_from(length).is_ok();
    // SAFETY: it is not null, and the caller promises the bytes.
    is_there.then(|| unsafe { slice::from_raw_parts(bytes.cast::<u8>(), length) }.to_vec())
}

impl VerityParams {
    /// No parameters at all.
    pub(crate) fn empty() -> Self {
        Self {
            hash_name: ptr::null(),
            data_device: ptr::null(),
            hash_device: ptr::null(),
            fec_device: ptr::null(),
            salt: ptr::null(),
            salt_size: 0,
            hash_type: 0,
            data_block_size: 0,
            hash_block_size: 0,
            data_size: 0,
            hash_area_offset: 0,
            fec_area_offset: 0,
            fec_roots: 0,
            flags: 0,
        }
    }

    /// The salt: given, random if only its length is, or none.
    ///
    /// # Safety
    /// `salt` is null or has `salt_size` bytes.
    pub(crate) unsafe fn salt(&self) -> Result<Salt> {
        let length = usize::try_from(self.salt_size).unwrap_or(usize::MAX);
        if length > Salt::MAX_LEN {
            return Err(Failed::silent(libc::EINVAL));
        }
        // SAFETY: as the caller promises.
        if let Some(given) = unsafe { bytes(self.salt, length) } {
            return Ok(Salt::new(&given)?);
        }
        let mut random = Vec::new();
        while random.len() < length {
            random.extend_from_slice(Salt::random()?.as_bytes());
        }
        Ok(Salt::new(&random[..length])?)
    }
}
