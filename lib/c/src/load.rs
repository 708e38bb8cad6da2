//! Reading a superblock.

use std::ffi::{c_char, c_int};
use std::path::Path;

use dmverity::{Error, Fec, Params, SECTOR_SIZE, SUPERBLOCK_SIZE};

use crate::abi::{self, VerityParams};
use crate::guard::{Failed, Result, guard};
use crate::handle::{Handle, Image, check_data_device, check_device, of};

/// The FEC roots where none are given.
pub(crate) const DEFAULT_ROOTS: u32 = 2;

#[unsafe(no_mangle)]
unsafe extern "C" fn crypt_load(cd: *const Handle, kind: *const c_char, params: *const VerityParams) -> c_int {
    // SAFETY: C promises what the functions ask for.
    unsafe {
        guard(cd, || {
            let handle = of(cd)?;
            if abi::text(kind)?.as_deref() != Some(abi::VERITY) {
                return Err(Failed::silent(libc::EINVAL));
            }
            load(handle, params.as_ref())
        })
    }
}

/// # Safety
/// The pointers of `params` are null or what the interface says.
unsafe fn load(handle: &Handle, given: Option<&VerityParams>) -> Result<c_int> {
    let mut state = handle.state.borrow_mut();
    let empty = VerityParams::empty();
    let given = given.unwrap_or(&empty);
    let device = state.device.clone().ok_or_else(|| Failed::silent(libc::EINVAL))?;
    if given.flags & abi::NO_HEADER != 0 {
        return Err(Failed::silent(libc::EINVAL));
    }
    let fec_roots = if given.fec_roots == 0 { DEFAULT_ROOTS } else { given.fec_roots };
    // SAFETY: as the caller promises.
    let (data, fec) = unsafe { (abi::device(given.data_device)?, abi::device(given.fec_device)?) };
    let parity = fec.as_ref().map(|_| Fec::new(fec_roots.into(), given.fec_area_offset)).transpose()?;
    let params = load_params(&device, given.hash_area_offset, parity)?;
    data.as_deref().map_or(Ok(()), |data| check_data_device(data, &params))?;
    fec.as_deref().map_or(Ok(()), check_device)?;
    // An image that this handle has made is still known.
    let former = state.image.take().filter(|image| image.params.superblock() == params.superblock());
    state.data = data.or(state.data.take());
    state.image = Some(Image {
        params,
        flags: given.flags,
        root_hash: former.and_then(|image| image.root_hash),
        fec_roots: if fec.is_some() { given.fec_roots } else { 0 },
        fec_offset: given.fec_area_offset,
        table_start: None,
    });
    state.fec = fec;
    Ok(0)
}

fn load_params(device: &Path, offset: u64, fec: Option<Fec>) -> Result<Params> {
    if !offset.is_multiple_of(SECTOR_SIZE) {
        return Err(Failed::says(libc::EINVAL, "Unsupported VERITY hash offset."));
    }
    let end = offset.saturating_add(SUPERBLOCK_SIZE as u64);
    let is_short = dmverity::device_size(device)? < end;
    dmverity::load(device, offset, fec).map_err(|error| match &error {
        Error::Superblock { source, .. } if matches!(**source, Error::NotVerity) => {
            // There is nothing to be read there.
            Failed::silent(if is_short { libc::EIO } else { libc::EINVAL })
        }
        Error::Superblock { .. } => {
            let mut failed = Failed::from(error);
            failed.lines.truncate(1);
            failed
        }
        _ => error.into(),
    })
}
