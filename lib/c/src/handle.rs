//! The handle: what a program has named and loaded, and the texts it was given.

use std::cell::{Cell, RefCell};
use std::ffi::{CString, OsStr, OsString, c_char, c_int};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::ptr;

use dmverity::dm::{self, MappingName, NameFault, VerityMapping};
use dmverity::{Devices, Params, RootHash};

use crate::abi;
use crate::guard::{Failed, Result, guard};
use crate::log::Callback;

/// An opaque `struct crypt_device`.
#[derive(Debug, Default)]
pub(crate) struct Handle {
    pub(crate) callback: Cell<Option<Callback>>,
    pub(crate) state: RefCell<State>,
    /// Every text that was handed out: each stays valid until the handle is freed.
    texts: RefCell<Vec<CString>>,
    salts: RefCell<Vec<Box<[u8]>>>,
}

/// What is known of an image.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// The device that the handle was made for.
    pub(crate) device: Option<PathBuf>,
    /// The data device, if another one was named.
    pub(crate) data: Option<PathBuf>,
    pub(crate) fec: Option<PathBuf>,
    pub(crate) image: Option<Image>,
    /// Made from an existing mapping of any type.
    pub(crate) is_of_mapping: bool,
}

/// Parameters that were loaded, formatted, or read from a mapping.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub(crate) params: Params,
    pub(crate) flags: u32,
    pub(crate) root_hash: Option<RootHash>,
    /// The number of FEC roots that was given, which means nothing without a FEC device.
    pub(crate) fec_roots: u32,
    pub(crate) fec_offset: u64,
    /// What a mapping's table has in place of the offset in bytes.
    pub(crate) table_start: Option<u64>,
}

impl State {
    pub(crate) fn image(&self) -> Result<&Image> {
        self.image.as_ref().ok_or_else(|| Failed::says(libc::EINVAL, "Device type is not properly initialized."))
    }

    /// Whether data and hash tree were named separately.
    pub(crate) fn has_two_devices(&self) -> bool {
        self.data.is_some()
    }

    /// The data device.
    pub(crate) fn data_device(&self) -> Option<&Path> {
        self.data.as_deref().or(self.device.as_deref())
    }

    pub(crate) fn devices(&self) -> Result<Devices> {
        let hash = self.device.as_deref().ok_or_else(|| Failed::silent(libc::EINVAL))?;
        let fec = self.image.as_ref().and_then(|image| image.params.fec()).and(self.fec.clone());
        Ok(Devices { fec, ..Devices::new(self.data.as_deref().unwrap_or(hash), hash) })
    }
}

impl Handle {
    /// Keeps a text for as long as the handle is there; the same text again is the same pointer.
    pub(crate) fn keep(&self, text: impl AsRef<[u8]>) -> *const c_char {
        let Ok(text) = CString::new(text.as_ref()) else { return ptr::null() };
        let mut texts = self.texts.borrow_mut();
        if let Some(known) = texts.iter().find(|known| **known == text) {
            return known.as_ptr();
        }
        let pointer = text.as_ptr();
        texts.push(text);
        pointer
    }

    pub(crate) fn keep_path(&self, path: Option<&Path>) -> *const c_char {
        path.map_or(ptr::null(), |path| self.keep(path.as_os_str().as_bytes()))
    }

    /// The same for a salt, which has no terminating zero.
    pub(crate) fn keep_salt(&self, salt: &[u8]) -> *const c_char {
        let mut salts = self.salts.borrow_mut();
        if let Some(known) = salts.iter().find(|known| ***known == *salt) {
            return known.as_ptr().cast();
        }
        let salt: Box<[u8]> = salt.into();
        let pointer = salt.as_ptr().cast();
        salts.push(salt);
        pointer
    }
}

/// The handle that C passes.
///
/// # Safety
/// `cd` is null or a handle.
pub(crate) unsafe fn of<'a>(cd: *const Handle) -> Result<&'a Handle> {
    // SAFETY: as the caller promises.
    unsafe { cd.as_ref() }.ok_or_else(|| Failed::silent(libc::EINVAL))
}

/// Fails unless it is a device or file.
pub(crate) fn check_device(path: &Path) -> Result {
    dmverity::device_size(path)?;
    Ok(())
}

/// Fails unless the data device has room for the image.
pub(crate) fn check_data_device(path: &Path, params: &Params) -> Result {
    if dmverity::device_size(path)? < params.data_bytes() { Err(too_small_for_header(path)) } else { Ok(()) }
}

/// A data device that the image does not fit.
pub(crate) fn too_small_for_header(path: &Path) -> Failed {
    let mut line = OsString::from("Header detected but device ");
    line.push(path);
    line.push(" is too small.");
    Failed::says(libc::EINVAL, line)
}

/// The mapping that a name or path refers to. A name that no mapping can have refers to none.
pub(crate) fn existing(name: &OsStr) -> Result<MappingName> {
    MappingName::from_name_or_path(name).map_err(|error| match error {
        dm::Error::MappingName { what: NameFault::TooLong, .. } => error.into(),
        _ => dm::Error::MappingInactive { name: name.to_string_lossy().into_owned() }.into(),
    })
}

/// Hands a new handle out.
///
/// # Safety
/// `place` can be written to.
unsafe fn hand_out(place: *mut *mut Handle, state: State) -> c_int {
    let handle = Box::new(Handle { state: RefCell::new(state), ..Handle::default() });
    // SAFETY: as the caller promises.
    unsafe { place.write(Box::into_raw(handle)) };
    0
}

/// Clears the place for a handle: if the call fails, nothing else is written to it.
///
/// # Safety
/// `place` is null or can be written to.
unsafe fn check_place(place: *mut *mut Handle) -> Result {
    if place.is_null() {
        return Err(Failed::silent(libc::EINVAL));
    }
    // SAFETY: as the caller promises.
    unsafe { place.write(ptr::null_mut()) };
    Ok(())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn crypt_init(place: *mut *mut Handle, device: *const c_char) -> c_int {
    // SAFETY: C promises what the functions ask for.
    unsafe {
        guard(ptr::null(), || {
            check_place(place)?;
            let device = abi::path(device)?;
            device.as_deref().map_or(Ok(()), check_device)?;
            Ok(hand_out(place, State { device, ..State::default() }))
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn crypt_init_data_device(
    place: *mut *mut Handle,
    device: *const c_char,
    data: *const c_char,
) -> c_int {
    // SAFETY: C promises what the functions ask for.
    unsafe {
        guard(ptr::null(), || {
            check_place(place)?;
            let device = abi::path(device)?.ok_or_else(|| Failed::silent(libc::EINVAL))?;
            check_device(&device)?;
            let data = abi::path(data)?;
            data.as_deref().map_or(Ok(()), check_device)?;
            let data = data.filter(|data| *data != device);
            Ok(hand_out(place, State { device: Some(device), data, ..State::default() }))
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn crypt_init_by_name(place: *mut *mut Handle, name: *const c_char) -> c_int {
    // SAFETY: as there.
    unsafe { crypt_init_by_name_and_header(place, name, ptr::null()) }
}

/// A verity mapping needs no header: if one is named it has to be there, and is not read.
#[unsafe(no_mangle)]
unsafe extern "C" fn crypt_init_by_name_and_header(
    place: *mut *mut Handle,
    name: *const c_char,
    header: *const c_char,
) -> c_int {
    // SAFETY: C promises what the functions ask for.
    unsafe {
        guard(ptr::null(), || {
            check_place(place)?;
            let name = abi::name(name)?.ok_or_else(|| Failed::silent(libc::EINVAL))?;
            let mapping_name = existing(&name)?;
            let mapping = dm::status(&mapping_name)?
                .ok_or_else(|| dm::Error::MappingInactive { name: name.to_string_lossy().into_owned() })?;
            abi::path(header)?.as_deref().map_or(Ok(()), check_device)?;
            let state = mapping.verity.as_ref().map_or_else(|| Ok(State::default()), State::of_mapping)?;
            Ok(hand_out(place, State { is_of_mapping: true, ..state }))
        })
    }
}

impl State {
    fn of_mapping(verity: &VerityMapping) -> Result<Self> {
        let table = &verity.table;
        let params = table.params()?;
        let fec = table.options.fec.as_ref();
        let image = Image {
            flags: if table.options.signature_key.is_some() { abi::ROOT_HASH_SIGNATURE } else { 0 },
            root_hash: Some(table.root_hash.clone()),
            fec_roots: fec.map_or(0, |fec| fec.roots),
            fec_offset: params.fec().map_or(0, |fec| fec.offset),
            table_start: Some(table.hash_start),
            params,
        };
        Ok(Self {
            device: Some(verity.hash.device.clone()),
            data: Some(verity.data.device.clone()),
            fec: verity.fec.as_ref().map(|fec| fec.device.clone()),
            image: Some(image),
            is_of_mapping: true,
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn crypt_free(cd: *mut Handle) {
    if !cd.is_null() {
        // SAFETY: it was handed out by `hand_out`, and C promises not to use it again.
        drop(unsafe { Box::from_raw(cd) });
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn crypt_set_data_device(cd: *const Handle, device: *const c_char) -> c_int {
    // SAFETY: C promises what the functions ask for.
    unsafe {
        guard(cd, || {
            let handle = of(cd)?;
            let device = abi::path(device)?.ok_or_else(|| Failed::silent(libc::EINVAL))?;
            if handle.state.borrow().image.is_none() {
                return Err(Failed::says(libc::EINVAL, "This operation is not supported for this device type."));
            }
            check_data_device(&device, &handle.state.borrow().image()?.params)?;
            handle.state.borrow_mut().data = Some(device);
            Ok(0)
        })
    }
}
