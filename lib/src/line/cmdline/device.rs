//! How a kernel command line names devices.

use std::fmt::Write as _;

/// Whether a device can be named this way.
pub(crate) fn is_device(text: &str) -> bool {
    device(text).is_some()
}

/// The path of the device that a text names: a path below `/dev`, or one of the four kinds of names that udev makes
/// links for.
pub(super) fn device(text: &str) -> Option<String> {
    if text.len() > "/dev/".len() && text.starts_with("/dev/") {
        return Some(text.to_owned());
    }
    let (kind, name) = text.split_once('=').filter(|(_, name)| !name.is_empty())?;
    let (folder, name) = match kind {
        "UUID" => ("by-uuid", name.to_owned()),
        "PARTUUID" => ("by-partuuid", name.to_ascii_lowercase()),
        "LABEL" => ("by-label", name.to_owned()),
        "PARTLABEL" => ("by-partlabel", name.to_owned()),
        _ => return None,
    };
    Some(format!("/dev/disk/{folder}/{}", udev_encoded(&name)))
}

/// A name as udev encodes it in the name of a link.
fn udev_encoded(name: &str) -> String {
    let mut encoded = String::new();
    for each in name.chars() {
        if each.is_ascii_alphanumeric() || "#+-.:=@_".contains(each) || !each.is_ascii() {
            encoded.push(each);
        } else {
            write!(encoded, "\\x{:02x}", u32::from(each)).expect("a String takes everything");
        }
    }
    encoded
}
