//! The options of an image on a kernel command line.

use super::{Described, Fault, OptionFault, Result, RootOption, device, truth};
use crate::line::table::{Reader, TableOption};

/// Flags that only `veritysetup open` has, besides the kernel's options that veritytab(5) has too.
pub(super) const FLAGS: &[&str] = &["error-as-corruption", "use-tasklets"];
/// What veritytab(5) has a value for, and `veritysetup open` too.
const WITH_VALUE: &[&str] = &[
    "format",
    "data-block-size",
    "hash-block-size",
    "data-blocks",
    "expect-data-blocks",
    "hash-offset",
    "salt",
    "uuid",
    "hash",
    "fec-offset",
    "fec-roots",
];
/// Options about mounting, ordering and prompting.
const ELSEWHERE: &[&str] = &["", "nofail", "x-initrd.attach", "_netdev", "auto", "noauto", "tries"];

impl Described {
    pub(super) fn add_option(&mut self, option: &str, parameter: &'static str) -> Result<()> {
        let fault = |what| Fault::Option { option: option.to_owned(), what, parameter };
        let (name, value) = option.split_once('=').map_or((option, None), |(name, value)| (name, Some(value)));
        if value == Some("") {
            return Err(fault(OptionFault::NoValue));
        }
        let known = |names: &[&'static str]| names.iter().copied().find(|known| *known == name);
        let kernels =
            || TableOption::all().filter_map(|option| option.name_for(Reader::Systemd)).find(|known| *known == name);
        match (name, value) {
            ("tries", Some(_)) => {}
            (_, None) if ELSEWHERE.contains(&name) => {}
            ("superblock", Some(value)) => {
                let has_superblock = truth(value.as_bytes()).ok_or_else(|| fault(OptionFault::Unknown))?;
                self.options.retain(|option| option.name != "no-superblock");
                if !has_superblock {
                    self.options.push(RootOption { name: "no-superblock", value: None });
                }
            }
            ("fec-device", Some(value)) => {
                self.fec_device = Some(device(value).ok_or_else(|| fault(OptionFault::NoDevice))?);
            }
            ("root-hash-signature", Some(value)) if value.starts_with('/') || is_signature(value) => {
                self.options.push(RootOption { name: "root-hash-signature", value: Some(value.to_owned()) });
            }
            (_, value) => {
                let name = if value.is_some() { known(WITH_VALUE) } else { known(FLAGS).or_else(kernels) };
                let name = name.ok_or_else(|| fault(OptionFault::Unknown))?;
                self.options.push(RootOption { name, value: value.map(str::to_owned) });
            }
        }
        Ok(())
    }
}

/// Whether a value is a signature itself, as base64.
fn is_signature(value: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    value.strip_prefix("base64:").is_some_and(|text| {
        let digits = text.strip_suffix("==").or_else(|| text.strip_suffix('=')).unwrap_or(text);
        !digits.is_empty() && text.len().is_multiple_of(4) && digits.bytes().all(is_digit)
    })
}
