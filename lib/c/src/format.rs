//! Making an image, or only describing one: this is how clients open images without superblock.

use std::ffi::{CString, OsString, c_char, c_int};
use std::os::unix::ffi::OsStringExt as _;

use dmverity::{BlockSize, Devices, Fec, HashAlgorithm, HashType, Params, ParamsBuilder, RootHash, Work};
use uuid::Uuid;

use crate::abi::{self, VerityParams};
use crate::guard::{Failed, Result, guard};
use crate::handle::{Handle, Image, State, check_device, of, too_small_for_header};
use crate::load::DEFAULT_ROOTS;

/// Cipher, mode and key are of other types of devices.
#[unsafe(export_name = "dmverity_crypt_format")]
unsafe extern "C" fn crypt_format(
    cd: *const Handle,
    kind: *const c_char,
    _cipher: *const c_char,
    _cipher_mode: *const c_char,
    uuid: *const c_char,
    _volume_key: *const c_char,
    _volume_key_size: usize,
    params: *const VerityParams,
) -> c_int {
    // SAFETY: C promises what the functions ask for.
    unsafe {
        guard(cd, || {
            let handle = of(cd)?;
            let kind = abi::text(kind)?.ok_or_else(|| Failed::silent(libc::EINVAL))?;
            if handle.state.borrow().image.is_some() || handle.state.borrow().is_of_mapping {
                return Err(Failed::silent(libc::EINVAL));
            }
            if kind.as_c_str() != abi::VERITY {
                return Err(unknown_type(&kind));
            }
            let params = params.as_ref().ok_or_else(|| Failed::silent(libc::EINVAL))?;
            format(&mut handle.state.borrow_mut(), abi::text(uuid)?, params)
        })
    }
}

fn unknown_type(kind: &CString) -> Failed {
    let kind = kind.as_bytes();
    let line = [b"Unknown crypt device type ", kind, b" requested."].concat();
    Failed::says(libc::EINVAL, OsString::from_vec(line))
}

/// # Safety
/// The pointers of `given` are null or what the interface says.
unsafe fn format(state: &mut State, uuid: Option<CString>, given: &VerityParams) -> Result<c_int> {
    // SAFETY: as the caller promises.
    let (named, fec) = unsafe { (abi::device(given.data_device)?, abi::device(given.fec_device)?) };
    let no_device = || Failed::says(libc::EINVAL, "Can't format VERITY without device.");
    let hash = state.device.clone().ok_or_else(no_device)?;
    let data = named.or(state.data.clone()).ok_or_else(|| Failed::silent(libc::EINVAL))?;
    // SAFETY: as the caller promises.
    let builder = unsafe { builder(given, fec.is_some()) }?;
    let has_superblock = given.flags & abi::NO_HEADER == 0;
    let uuid = has_superblock.then(|| uuid_of(uuid, &hash)).transpose()?;
    let builder = match uuid {
        Some(uuid) => builder.uuid(uuid),
        None => builder.no_superblock(),
    };
    check_device(&data)?;
    if let Some(fec) = &fec {
        check_device(fec).map_err(|failed| Failed { errno: libc::ENOMEM, ..failed })?;
    }
    if dmverity::device_size(&data)? < given.data_block_size.into() {
        return Err(too_small_for_header(&data));
    }
    let devices = Devices { fec: fec.clone(), ..Devices::new(&data, &hash) };
    let (params, root_hash) = if given.flags & abi::CREATE_HASH == 0 {
        (describe(&devices, builder, has_superblock)?, None)
    } else {
        create(&devices, builder)?
    };
    let has_fec = fec.is_some();
    state.data = Some(data);
    state.fec = fec;
    state.image = Some(Image {
        params,
        flags: given.flags,
        root_hash,
        fec_roots: if has_fec { given.fec_roots } else { 0 },
        fec_offset: given.fec_area_offset,
        table_start: None,
    });
    Ok(0)
}

fn create(devices: &Devices, builder: ParamsBuilder) -> Result<(Params, Option<RootHash>)> {
    let formatted = dmverity::format(devices, builder, &Work::default())?;
    Ok((formatted.layout.params().clone(), Some(formatted.root_hash)))
}

/// Without a tree.
fn describe(devices: &Devices, builder: ParamsBuilder, has_superblock: bool) -> Result<Params> {
    let bytes = dmverity::device_size(&devices.data)?;
    let params = builder.build(bytes).map_err(|error| error.on_device(&devices.data))?;
    if has_superblock {
        dmverity::write_superblock(&devices.hash, &params)?;
    }
    Ok(params)
}

fn uuid_of(given: Option<CString>, hash: &std::path::Path) -> Result<Uuid> {
    let Some(given) = given else { return Ok(Uuid::new_v4()) };
    let text = given.to_string_lossy();
    match Uuid::try_parse(&text) {
        Ok(uuid) if uuid.to_string().eq_ignore_ascii_case(&text) => Ok(uuid),
        _ => {
            let mut line = OsString::from("Wrong VERITY UUID format provided on device ");
            line.push(hash);
            line.push(".");
            Err(Failed::says(libc::EINVAL, line))
        }
    }
}

/// In the order in which the reference tool reports errors.
///
/// # Safety
/// The pointers of `given` are null or what the interface says.
unsafe fn builder(given: &VerityParams, has_fec: bool) -> Result<ParamsBuilder> {
    let hash_type = HashType::new(given.hash_type.into())?;
    let data_block_size = BlockSize::new(given.data_block_size.into())?;
    let hash_block_size = BlockSize::new(given.hash_block_size.into())?;
    // SAFETY: as the caller promises.
    let name = unsafe { abi::text(given.hash_name) }?;
    let name = name.as_ref().map_or("(null)".into(), |name| name.to_string_lossy());
    let algorithm = HashAlgorithm::from_name(&name)?;
    // SAFETY: as the caller promises.
    let salt = unsafe { given.salt() }?;
    let builder = Params::builder()
        .hash_type(hash_type)
        .data_block_size(data_block_size)
        .hash_block_size(hash_block_size)
        .algorithm(algorithm)
        .salt(salt)
        .hash_offset(given.hash_area_offset);
    let builder = if given.data_size == 0 { builder } else { builder.data_blocks(given.data_size) };
    if !has_fec {
        return Ok(builder);
    }
    let roots = if given.fec_roots == 0 { DEFAULT_ROOTS } else { given.fec_roots };
    Ok(builder.fec(Fec::new(roots.into(), given.fec_area_offset)?))
}
