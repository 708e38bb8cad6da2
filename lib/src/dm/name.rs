//! Names of mappings, as people write them and as device-mapper holds them.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use uuid::Uuid;

use super::error::{Error, NameFault, Result};

/// Where the nodes of mappings are.
const DIRECTORY: &str = "/dev/mapper";

/// The most bytes a name can have: the kernel truncates longer ones silently.
const NAME_MAX: usize = 127;
/// The most bytes a mapping's uuid can have: the kernel cuts longer ones too.
const UUID_MAX: usize = 128;

/// What the uuids of verity mappings begin with, whichever tool made them.
const UUID_PREFIX: &str = "CRYPT-VERITY-";

/// Whether a mapping with this uuid was made for verity.
pub(super) fn is_verity_uuid(uuid: &str) -> bool {
    uuid.starts_with(UUID_PREFIX)
}

/// A valid mapping name.
///
/// Device-mapper's own tools allow `[0-9A-Za-z#+-.:=@_]` in the kernel's name of a mapping, and write every other byte
/// as `\xHH`, so that udev can make a node of it. A name that is written in that way already is left as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappingName {
    given: String,
    mangled: String,
}

impl MappingName {
    /// Checks a name, which may be any bytes.
    ///
    /// # Errors
    /// [`Error::MappingName`].
    pub fn new(name: impl AsRef<OsStr>) -> Result<Self> {
        let name = name.as_ref();
        let bytes = name.as_bytes();
        let mangled = mangle(bytes);
        // A name that is not text is shown as the kernel has it; given again, that is the same name.
        let given = name.to_str().unwrap_or(&mangled).to_owned();
        let what = if bytes.contains(&b'/') {
            NameFault::Slash
        } else if matches!(bytes, b"" | b"." | b".." | b"control") {
            // "control" is device-mapper's own node.
            NameFault::Unusable
        } else if bytes.len() > NAME_MAX || mangled.len() > NAME_MAX {
            NameFault::TooLong
        } else {
            return Ok(Self { given, mangled });
        };
        Err(Error::MappingName { name: given, what })
    }

    /// Checks a name, which may be written as the path of its node.
    ///
    /// # Errors
    /// [`Error::MappingName`].
    pub fn from_name_or_path(text: impl AsRef<OsStr>) -> Result<Self> {
        let bytes = text.as_ref().as_bytes();
        let name = bytes.strip_prefix(DIRECTORY.as_bytes()).and_then(|rest| rest.strip_prefix(b"/"));
        Self::new(OsStr::from_bytes(name.unwrap_or(bytes)))
    }

    /// The name as it was given; if it is not UTF-8, as the kernel has it.
    pub fn as_str(&self) -> &str {
        &self.given
    }

    /// The name as the kernel has it: plain ASCII.
    pub fn mangled(&self) -> &str {
        &self.mangled
    }

    /// The path of the mapping's node.
    pub fn node(&self) -> PathBuf {
        PathBuf::from(format!("{DIRECTORY}/{}", self.mangled))
    }

    /// The mapping's device-mapper uuid: `CRYPT-VERITY-<32 hex digits>-<name>`, without the middle part when the image
    /// has none. It is cut to what device-mapper can hold.
    pub(super) fn dm_uuid(&self, uuid: Option<Uuid>) -> String {
        let mut text = match uuid {
            Some(uuid) => format!("{UUID_PREFIX}{}-{}", uuid.simple(), self.mangled),
            None => format!("{UUID_PREFIX}{}", self.mangled),
        };
        text.truncate(UUID_MAX);
        text
    }
}

impl fmt::Display for MappingName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.given)
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"#+-.:=@_".contains(&byte)
}

/// Whether nothing is left to mangle: plain bytes and `\xHH` only.
fn is_mangled(name: &[u8]) -> bool {
    let mut rest = name;
    loop {
        rest = match rest {
            [] => return true,
            [byte, tail @ ..] if is_plain(*byte) => tail,
            [b'\\', b'x', high, low, tail @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => tail,
            _ => return false,
        };
    }
}

fn mangle(name: &[u8]) -> String {
    use fmt::Write;
    let is_mangled = is_mangled(name);
    name.iter().fold(String::new(), |mut mangled, &byte| {
        if is_plain(byte) || is_mangled {
            mangled.push(char::from(byte));
        } else {
            write!(mangled, "\\x{byte:02x}").expect("a String takes everything");
        }
        mangled
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_outside_the_plain_set_are_mangled_once() {
        let mangled = |name| MappingName::new(name).unwrap().mangled().to_owned();
        assert_eq!(mangled("v0-#+.:=@_Z"), "v0-#+.:=@_Z");
        assert_eq!(mangled("a b"), "a\\x20b");
        assert_eq!(mangled("ä"), "\\xc3\\xa4");
        assert_eq!(mangled("a\\x20b"), "a\\x20b");
        assert_eq!(mangled("a\\x2"), "a\\x5cx2");
        assert_eq!(mangled("a b\\x20"), "a\\x20b\\x5cx20");
    }

    #[test]
    fn names_that_are_no_text_stay_apart() {
        let name = |bytes| MappingName::new(OsStr::from_bytes(bytes)).unwrap();
        let (one, other) = (name(b"n\xff"), name(b"n\xfe"));
        assert_eq!((one.mangled(), other.mangled()), ("n\\xff", "n\\xfe"));
        assert_eq!(one.as_str(), "n\\xff");
        assert_eq!(MappingName::new(one.as_str()).unwrap(), one);
        assert_eq!(MappingName::from_name_or_path(OsStr::from_bytes(b"/dev/mapper/n\xff")).unwrap(), one);
        // U+FFFD is a name of its own.
        assert_eq!(MappingName::new("n\u{fffd}").unwrap().mangled(), "n\\xef\\xbf\\xbd");
        assert!(MappingName::new(OsStr::from_bytes(&[0xff; 32])).is_err());
    }

    #[test]
    fn names_the_kernel_would_cut_or_misuse_are_refused() {
        let fault = |name: &str| match MappingName::new(name) {
            Err(Error::MappingName { what, .. }) => what,
            other => panic!("{other:?}"),
        };
        assert!(MappingName::new("a".repeat(127)).is_ok());
        assert_eq!(fault(&"a".repeat(128)), NameFault::TooLong);
        assert_eq!(fault(&" ".repeat(32)), NameFault::TooLong);
        assert_eq!(fault("a/b"), NameFault::Slash);
        for name in ["", ".", "..", "control"] {
            assert_eq!(fault(name), NameFault::Unusable);
        }
    }

    #[test]
    fn a_path_of_the_node_names_the_mapping() {
        assert_eq!(MappingName::from_name_or_path("/dev/mapper/v0").unwrap(), MappingName::new("v0").unwrap());
        assert!(MappingName::from_name_or_path("/dev/dm-0").is_err());
    }

    #[test]
    fn the_dm_uuid_holds_image_uuid_and_name() {
        let uuid = Uuid::parse_str("a60c98d2-ae9b-4865-bfcb-b4e3ace11033").unwrap();
        let name = MappingName::new("v 0").unwrap();
        assert_eq!(name.dm_uuid(Some(uuid)), "CRYPT-VERITY-a60c98d2ae9b4865bfcbb4e3ace11033-v\\x200");
        assert_eq!(name.dm_uuid(None), "CRYPT-VERITY-v\\x200");
        let long = MappingName::new("a".repeat(127)).unwrap();
        assert_eq!(long.dm_uuid(Some(uuid)).len(), 128);
    }
}
