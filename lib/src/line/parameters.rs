//! The parameters by which a kernel command line asks for a verity device, as systemd-veritysetup-generator(8) has
//! them: one table for writing such lines and for reading them.

/// The name of a parameter, with the equals sign that its value follows.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Name(&'static str);

/// The parameters about one device.
pub(super) struct Parameters {
    /// The root hash.
    pub(super) hash: Name,
    pub(super) data_device: Name,
    pub(super) hash_device: Name,
    /// Options as in veritytab(5).
    pub(super) options: Name,
    /// What all of them but the root hash begin with.
    pub(super) prefix: &'static str,
}

/// About the root device.
pub(super) const ROOT: Parameters = Parameters {
    hash: Name("roothash="),
    data_device: Name("systemd.verity_root_data="),
    hash_device: Name("systemd.verity_root_hash="),
    options: Name("systemd.verity_root_options="),
    prefix: "systemd.verity_root_",
};

/// About the device for `/usr`.
pub(super) const USR: Parameters = Parameters {
    hash: Name("usrhash="),
    data_device: Name("systemd.verity_usr_data="),
    hash_device: Name("systemd.verity_usr_hash="),
    options: Name("systemd.verity_usr_options="),
    prefix: "systemd.verity_usr_",
};

/// systemd's policy for images.
pub(super) const POLICY: Name = Name("systemd.image_policy=");

/// The disk with a signed image, which only this project has.
pub(super) const DISK: Name = Name("dmverity.image=");

/// Switches verity on or off. All parameters of systemd that begin with it are about verity.
pub(super) const VERITY: &str = "systemd.verity";

impl Name {
    /// With the equals sign.
    pub(super) const fn written(self) -> &'static str {
        self.0
    }

    /// Without it.
    pub(super) fn bare(self) -> &'static str {
        self.0.trim_end_matches('=')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_begin_as_they_are_found() {
        for parameters in [ROOT, USR] {
            let Parameters { hash, data_device, hash_device, options, prefix } = parameters;
            assert!(prefix.starts_with(VERITY) && !hash.written().starts_with(VERITY));
            for name in [data_device, hash_device, options] {
                assert!(name.written().starts_with(prefix));
            }
            for name in [hash, data_device, hash_device, options] {
                assert_eq!(name.written(), format!("{}=", name.bare()));
            }
        }
    }
}
