//! The words for what can go wrong with a mapping.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::Path;

use super::{busy, of_image, with_causes, with_path};
use crate::dm::{Cause, Error, MappingName, NameFault, RefusedTable, SignatureFault};

/// The lines for an error of a mapping, without newlines; one at least.
///
/// # Examples
/// ```
/// use dmverity::{dm::MappingName, messages};
///
/// let error = MappingName::new("a/b").expect_err("a name is no path");
/// assert_eq!(messages::of_mapping(&error), ["Name must not contain '/' character."]);
/// ```
pub fn of_mapping(error: &Error) -> Vec<OsString> {
    if let Error::Image(error) = error {
        return of_image(error);
    }
    vec![of_path(error).unwrap_or_else(|| text(error).into())]
}

fn text(error: &Error) -> String {
    match error {
        Error::MappingName { name, what } => match what {
            NameFault::Slash => "Name must not contain '/' character.".to_owned(),
            NameFault::TooLong => "Name is too long.".to_owned(),
            NameFault::Unusable => format!("Cannot use device {name}, name is invalid or still in use."),
        },
        Error::MappingExists { name, .. } => format!("Device {name} already exists."),
        Error::MappingUuidTaken { name, holder, .. } => {
            format!("Cannot create device {name}, device {holder} has the same UUID.")
        }
        Error::MappingLocked { name } => format!("Device {name} is being opened or closed by another process."),
        Error::MappingInactive { name } => format!("Device {name} is not active."),
        Error::MappingBusy { name, .. } => format!("Device {name} is still in use."),
        Error::MappingNotVerity { name } => format!("Device {name} is not a VERITY device."),
        Error::NoDeviceMapper { source } if source.kind() == ErrorKind::PermissionDenied => {
            "Cannot initialize device-mapper, running as non-root user.".to_owned()
        }
        Error::NoDeviceMapper { .. } => "Cannot initialize device-mapper. Is dm_mod kernel module loaded?".to_owned(),
        Error::NotPermitted { .. } => "Cannot initialize device-mapper, permission denied.".to_owned(),
        Error::NoVerityTarget => "Kernel has no dm-verity target. Is dm_verity kernel module loaded?".to_owned(),
        Error::TableRefused(refused) => refused_table(refused),
        Error::SignatureKey { .. } => "Failed to load key in kernel keyring.".to_owned(),
        Error::Keyring { name, .. } => format!("Cannot use the kernel's keyring {name}."),
        Error::NoKeyring { name } => format!("The kernel has no keyring {name}."),
        Error::KeyringSealed { name } => format!("The kernel's keyring {name} is sealed."),
        other => with_causes(other),
    }
}

/// Errors that name a device or file.
fn of_path(error: &Error) -> Option<OsString> {
    let loop_device = |path: &Path| with_path("Cannot attach ", path, " to a loop device.");
    match error {
        Error::DeviceBusy { path, .. } => Some(busy(path)),
        Error::LoopDevice { path, .. } => Some(loop_device(path)),
        Error::NoLoopNode { image, .. } => Some(loop_device(image)),
        _ => None,
    }
}

/// What the kernel refused, by its own names.
fn refused_table(refused: &RefusedTable) -> String {
    match &refused.cause {
        Cause::Options(options) => match &options[..] {
            [only] if only.signature_fault().is_some() => only.signature_fault().map_or("", of_signature).to_owned(),
            options => {
                let words: Vec<&str> = options.iter().map(|refused| refused.option.word()).collect();
                let noun = if words.len() == 1 { "option" } else { "options" };
                format!("Kernel refused the dm-verity {noun} {}.", list(&words))
            }
        },
        Cause::Combination(options) => {
            let words: Vec<&str> = options.iter().map(|option| option.word()).collect();
            format!("Kernel refused the dm-verity options {} together.", list(&words))
        }
        Cause::Algorithm { name } => format!("Hash algorithm {name} is not supported by the kernel."),
        Cause::BlockSize { area, found, .. } => format!("Kernel refused the {area} block size of {found} bytes."),
        Cause::SignatureRequired => "Kernel requires a root hash signature, but none was given.".to_owned(),
        Cause::Unknown => format!("Kernel refused the dm-verity table: {}.", refused.answer.errno.description()),
    }
}

fn list(words: &[&str]) -> String {
    match words {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        _ => words.concat(),
    }
}

/// The line about a mapping in which the kernel found a wrong block right after it was made.
pub const CORRUPTED_AT_ONCE: &str = "Verity device detected corruption after activation.";

/// The line about a mapping of this name that udev did not confirm.
pub fn of_silent_udev(name: &MappingName) -> String {
    format!("udev did not confirm device {name} in time; links to it may be missing.")
}

/// Why the kernel did not accept a root hash signature.
pub fn of_signature(fault: SignatureFault) -> &'static str {
    match fault {
        SignatureFault::KeyMissing => "Kernel did not find the key with the root hash signature.",
        SignatureFault::NotTrusted => "Root hash signature is not trusted by the kernel.",
        SignatureFault::Malformed => "Root hash signature is malformed.",
        SignatureFault::Mismatch => "Root hash signature does not match the root hash.",
        SignatureFault::Algorithm => "Kernel lacks an algorithm of the root hash signature.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dm::{Errno, KernelAnswer, RefusedOption};
    use crate::line::table::{TableFlag, TableOption};

    fn refused(errno: Errno, cause: Cause) -> String {
        let answer = KernelAnswer { errno, kernel_message: None };
        let lines = of_mapping(&Error::TableRefused(Box::new(RefusedTable { table: String::new(), answer, cause })));
        lines[0].to_str().unwrap().to_owned()
    }

    fn option(option: TableOption, errno: Errno) -> RefusedOption {
        RefusedOption { option, answer: KernelAnswer { errno, kernel_message: None } }
    }

    #[test]
    fn a_refused_table_is_called_by_the_kernels_names() {
        let flags = [TableFlag::PanicOnError, TableFlag::CheckAtMostOnce].map(TableOption::from);
        assert_eq!(
            refused(Errno::EINVAL, Cause::Combination(flags.to_vec())),
            "Kernel refused the dm-verity options panic_on_error and check_at_most_once together."
        );
        let options = vec![option(TableFlag::PanicOnError.into(), Errno::EINVAL)];
        assert_eq!(
            refused(Errno::EINVAL, Cause::Options(options)),
            "Kernel refused the dm-verity option panic_on_error."
        );
        let options = vec![option(TableOption::Signature, Errno::ENOKEY)];
        assert_eq!(
            refused(Errno::ENOKEY, Cause::Options(options)),
            "Root hash signature is not trusted by the kernel."
        );
        assert_eq!(refused(Errno::EIO, Cause::Unknown), "Kernel refused the dm-verity table: I/O error.");
    }

    #[test]
    fn an_error_of_the_image_keeps_its_words() {
        let error = Error::Image(crate::Error::SaltText);
        assert_eq!(of_mapping(&error), ["Invalid salt string specified."]);
        let busy = Error::DeviceBusy { path: "/dev/x".into(), holders: Vec::new() };
        assert_eq!(of_mapping(&busy), ["Cannot use device /dev/x which is in use (already mapped or mounted)."]);
    }
}
