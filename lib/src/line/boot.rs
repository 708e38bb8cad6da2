//! Lines that open an image elsewhere: for `dmsetup`, for the kernel's own command line, for systemd, and for others.
//! Strings only, no I/O: the caller knows which devices there will be.
//!
//! Sources: the kernel's `Documentation/admin-guide/device-mapper/dm-init.rst` and `verity.rst`; systemd's
//! veritytab(5), systemd-veritysetup-generator(8) and kernel-command-line(7).

mod others;

use std::fmt::Display;

use crate::error::{Error, Result};
use crate::format::{FecArea, Layout};
use crate::line::cmdline::{self, Cmdline};
use crate::line::parameters::{Parameters, ROOT, USR};
use crate::line::table::{Reader, TableFec, TableFlag, TableFlags, TableOption, TableOptions, VerityTable};
use crate::value::{PartitionUuids, RootHash};

/// An image as another system will see it.
///
/// ```
/// use dmverity::boot::BootImage;
/// use dmverity::{Params, Plan, RootHash};
///
/// let layout = Plan::new(Params::builder(), 1 << 20)?.layout;
/// let root_hash = RootHash::new(vec![0xab; 32]);
/// let image = BootImage::new(&layout, &root_hash).data_device("/dev/sda2").hash_device("/dev/sda3");
/// assert!(image.table_line()?.starts_with("0 2048 verity 1 /dev/sda2 /dev/sda3 4096 4096 256 1 sha256 abab"));
/// assert!(image.dm_mod_create("root")?.starts_with("dm-mod.create=\"root,,,ro,0 2048 verity 1 /dev/sda2"));
/// # Ok::<(), dmverity::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct BootImage<'a> {
    layout: &'a Layout,
    root_hash: &'a RootHash,
    data_device: Option<String>,
    hash_device: Option<String>,
    fec: Option<(FecArea, String)>,
    flags: TableFlags,
    signature: Option<String>,
}

/// Separates the options of systemd's lines.
const COMMA: &[char] = &[','];
/// Begins a signature that is in the line itself.
const BASE64: &str = "base64:";
/// What has a meaning in a `dm-mod.create=`, besides quotes and blanks.
const SEPARATORS: &[char] = &[',', ';'];
/// The most bytes that the kernel takes as the value of a parameter that is a text.
const PARAMETER_MAX: usize = 1024;
/// A mapping's name has fewer bytes.
const NAME_END: usize = 128;

impl<'a> BootImage<'a> {
    /// An image whose devices, unless they are named, are the partitions with the UUIDs that follow from its root hash.
    pub fn new(layout: &'a Layout, root_hash: &'a RootHash) -> Self {
        Self {
            layout,
            root_hash,
            data_device: None,
            hash_device: None,
            fec: None,
            flags: TableFlags::default(),
            signature: None,
        }
    }

    /// The data device, by any name that the other system understands.
    pub fn data_device(mut self, device: impl Into<String>) -> Self {
        self.data_device = Some(device.into());
        self
    }

    /// The hash device.
    pub fn hash_device(mut self, device: impl Into<String>) -> Self {
        self.hash_device = Some(device.into());
        self
    }

    /// Where the parity is, and on which device.
    pub fn fec(mut self, area: FecArea, device: impl Into<String>) -> Self {
        self.fec = Some((area, device.into()));
        self
    }

    /// What the kernel is to do.
    pub fn flags(mut self, flags: TableFlags) -> Self {
        self.flags = flags;
        self
    }

    /// The file with the root hash's signature, on the other system; or the signature itself, after `base64:`.
    pub fn signature(mut self, path: impl Into<String>) -> Self {
        self.signature = Some(path.into());
        self
    }

    /// `0 SECTORS verity ...`, the line that `dmsetup create --readonly` reads.
    ///
    /// # Errors
    /// [`Error::Unwritable`] for names with blanks or quotes, for devices by `UUID=` or `LABEL=`, which the kernel does
    /// not know, and for a signature, which is no part of a line; [`Error::NoPartitionUuids`]; [`Error::FecDevice`] for
    /// FEC at an offset that a table cannot express.
    pub fn table_line(&self) -> Result<String> {
        self.line("a table line", &[], is_known_to_the_kernel)
    }

    /// `dm-mod.create="NAME,,,ro,0 SECTORS verity ..."`: the parameter by which the kernel makes the mapping before
    /// there is an initramfs.
    ///
    /// # Errors
    /// Those of [`table_line`](Self::table_line), for a comma or semicolon, for names that the kernel would not mangle
    /// as device-mapper's tools do, for devices that only udev knows by that name, and for a line of more than 1024
    /// bytes.
    pub fn dm_mod_create(&self, name: &str) -> Result<String> {
        const LINE: &str = "dm-mod.create=";
        let is_plain = |each: char| each.is_ascii_alphanumeric() || "#+-.:=@_".contains(each);
        if !name.chars().all(is_plain) {
            return Err(Error::Unwritable { line: LINE, value: name.to_owned() });
        }
        let value = format!("{},,,ro,{}", mapping(LINE, name)?, self.line(LINE, SEPARATORS, is_known_early)?);
        if value.len() > PARAMETER_MAX {
            return Err(Error::Unwritable { line: LINE, value });
        }
        Ok(format!("{LINE}\"{value}\""))
    }

    fn line(&self, line: &'static str, forbidden: &[char], is_device: fn(&str) -> bool) -> Result<String> {
        let device = |name: &str| named(line, name, forbidden, is_device);
        if let Some(signature) = &self.signature {
            return Err(Error::Unwritable { line, value: signature.clone() });
        }
        let fec = match &self.fec {
            None => None,
            Some((area, name)) => Some(TableFec {
                device: device(name)?,
                blocks: area.blocks,
                start: area.start.ok_or(Error::FecDevice)?,
                roots: self.layout.params().fec().ok_or(Error::FecDevice)?.roots,
            }),
        };
        let options = TableOptions { flags: self.flags.clone(), fec, ..TableOptions::default() };
        let (data, hash) = (device(&self.data()?)?, device(&self.hash()?)?);
        let table = VerityTable::new(self.layout, self.root_hash.clone(), data, hash, options)?;
        let sectors = table.sectors().expect("the data fit a device");
        Ok(format!("0 {sectors} verity {table}"))
    }

    /// The line of `/etc/veritytab`: name, data device, hash device, root hash, options.
    ///
    /// # Errors
    /// [`Error::Unwritable`] for names with blanks, quotes or commas, for a mapping's name that would make the line a
    /// comment, for devices that are neither below `/dev` nor named by `UUID=`, `PARTUUID=`, `LABEL=` or `PARTLABEL=`,
    /// and for options that systemd does not have; [`Error::NoPartitionUuids`].
    pub fn veritytab(&self, name: &str) -> Result<String> {
        const LINE: &str = "veritytab";
        if name.starts_with('#') {
            return Err(Error::Unwritable { line: LINE, value: name.to_owned() });
        }
        let device = |name: &str| named(LINE, name, &[], cmdline::is_device);
        let (name, data, hash) = (mapping(LINE, name)?, device(&self.data()?)?, device(&self.hash()?)?);
        let options = self.systemd_options(LINE)?;
        let options = if options.is_empty() { String::new() } else { format!(" {options}") };
        Ok(format!("{name} {data} {hash} {}{options}", self.root_hash))
    }

    /// `roothash=... systemd.verity_root_data=...`: the parameters by which systemd opens the root file system's image,
    /// as `/dev/mapper/root`. Devices that have no name are left out: they are found by their partition UUIDs.
    ///
    /// # Errors
    /// Those of [`veritytab`](Self::veritytab).
    pub fn cmdline(&self) -> Result<String> {
        self.systemd_cmdline(&ROOT)
    }

    /// `usrhash=... systemd.verity_usr_data=...`: the same for the image of `/usr`, as `/dev/mapper/usr`.
    ///
    /// # Errors
    /// Those of [`veritytab`](Self::veritytab).
    pub fn cmdline_usr(&self) -> Result<String> {
        self.systemd_cmdline(&USR)
    }

    fn systemd_cmdline(&self, names: &Parameters) -> Result<String> {
        const LINE: &str = "systemd's command line";
        if self.data_device.is_none() || self.hash_device.is_none() {
            // They have to exist to be found.
            self.root_hash.partition_uuids().ok_or(Error::NoPartitionUuids)?;
        }
        let mut words = vec![format!("{}{}", names.hash.written(), self.root_hash)];
        for (name, device) in [(names.data_device, &self.data_device), (names.hash_device, &self.hash_device)] {
            if let Some(device) = device {
                words.push(format!("{}{}", name.written(), named(LINE, device, &[], cmdline::is_device)?));
            }
        }
        let options = self.systemd_options(LINE)?;
        if !options.is_empty() {
            words.push(format!("{}{options}", names.options.written()));
        }
        let words = words.join(" ");
        // A boot takes no `roothash=` or `usrhash=` for a part of a name.
        match Cmdline::parse(words.as_bytes()).and_then(|_| cmdline::usr_image(words.as_bytes())) {
            Ok(_) => Ok(words),
            Err(_) => Err(Error::Unwritable { line: LINE, value: words }),
        }
    }

    fn data(&self) -> Result<String> {
        self.name_or_partition(self.data_device.as_ref(), |uuids| uuids.data)
    }

    fn hash(&self) -> Result<String> {
        self.name_or_partition(self.hash_device.as_ref(), |uuids| uuids.hash)
    }

    fn name_or_partition(
        &self,
        name: Option<&String>,
        which: impl FnOnce(PartitionUuids) -> uuid::Uuid,
    ) -> Result<String> {
        name.map_or_else(
            || {
                let uuids = self.root_hash.partition_uuids().ok_or(Error::NoPartitionUuids)?;
                Ok(format!("PARTUUID={}", which(uuids)))
            },
            |name| Ok(name.clone()),
        )
    }

    /// The options as systemd writes them, with commas between them.
    fn systemd_options(&self, line: &'static str) -> Result<String> {
        let params = self.layout.params();
        let mut words = Vec::new();
        let mut add = |key: &str, value: &dyn Display| words.push(format!("{key}={value}"));
        if params.uuid().is_none() {
            add("superblock", &"no");
            add("format", &params.hash_type().number());
            add("hash", &params.algorithm());
            add("data-block-size", &params.data_block_size());
            add("hash-block-size", &params.hash_block_size());
            add("data-blocks", &params.data_blocks());
            add("salt", params.salt());
        }
        if params.hash_offset() > 0 {
            add("hash-offset", &params.hash_offset());
        }
        if let (Some((_, device)), Some(fec)) = (&self.fec, params.fec()) {
            add("fec-device", &named(line, device, COMMA, cmdline::is_device)?);
            add("fec-offset", &fec.offset);
            add("fec-roots", &fec.roots);
        }
        if let Some(signature) = &self.signature {
            // What is neither is a relative path, which systemd does not take.
            let is_known = |value: &str| value.starts_with('/') || value.starts_with(BASE64);
            add("root-hash-signature", &named(line, signature, COMMA, is_known)?);
        }
        words.extend(self.flags_for(Reader::Systemd, line)?);
        Ok(words.join(","))
    }

    /// The reader's names for the flags. A flag that the reader does not have is refused.
    fn flags_for(&self, reader: Reader, line: &'static str) -> Result<Vec<String>> {
        let unwritable = |flag: TableFlag| Error::Unwritable { line, value: flag.word().to_owned() };
        let name = |flag| TableOption::from(flag).name_for(reader).map(str::to_owned);
        self.flags.iter().map(|flag| name(flag).ok_or_else(|| unwritable(flag))).collect()
    }
}

/// The name of a mapping.
fn mapping(line: &'static str, name: &str) -> Result<String> {
    let is_name = |name: &str| !name.contains('/') && !matches!(name, "." | ".." | "control") && name.len() < NAME_END;
    named(line, name, &[], is_name)
}

/// A value of a kind that the reader of the line knows.
fn named(line: &'static str, value: &str, forbidden: &[char], is_known: impl Fn(&str) -> bool) -> Result<String> {
    let value = word(line, value, forbidden)?;
    if is_known(&value) { Ok(value) } else { Err(Error::Unwritable { line, value }) }
}

/// Whether a table can name a device this way: as a path, by its numbers, or by its partition.
fn is_known_to_the_kernel(device: &str) -> bool {
    !["UUID=", "LABEL="].iter().any(|prefix| device.starts_with(prefix))
}

/// Whether the kernel finds a device by this name before there is an initramfs: other names are made by udev. Source:
/// `block/early-lookup.c`.
fn is_known_early(device: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_numbers = || device.split_once(':').is_some_and(|(major, minor)| number(major) && number(minor));
    let has = |prefix: &str| device.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty());
    let is_made_by_udev = ["/dev/disk/", "/dev/mapper/"].iter().any(|folder| device.starts_with(folder));
    has("PARTUUID=") || has("PARTLABEL=") || (has("/dev/") && !is_made_by_udev) || is_numbers()
}

/// A value that reads back as it is, where blanks, quotes and the `forbidden` characters have a meaning.
fn word(line: &'static str, value: &str, forbidden: &[char]) -> Result<String> {
    let has_meaning = |each: char| {
        each.is_whitespace() || each.is_control() || matches!(each, '"' | '\'' | '\\') || forbidden.contains(&each)
    };
    if value.is_empty() || value.contains(has_meaning) {
        return Err(Error::Unwritable { line, value: value.to_owned() });
    }
    Ok(value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{Fec, Params, Plan};

    fn root_hash() -> RootHash {
        RootHash::new((0..32).collect())
    }

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    #[test]
    fn devices_without_a_name_are_found_by_their_partition_uuids() {
        let layout = Plan::new(Params::builder(), 1 << 20).unwrap().layout;
        let root_hash = root_hash();
        let image = BootImage::new(&layout, &root_hash);
        assert_eq!(
            image.veritytab("root").unwrap(),
            format!(
                "root PARTUUID=00010203-0405-0607-0809-0a0b0c0d0e0f PARTUUID=10111213-1415-1617-1819-1a1b1c1d1e1f {HEX}"
            )
        );
        assert_eq!(image.cmdline().unwrap(), format!("roothash={HEX}"));
        let short = RootHash::new(vec![1; 16]);
        let image = || BootImage::new(&layout, &short);
        assert!(matches!(image().cmdline(), Err(Error::NoPartitionUuids)));
        // One device without a name is one too many.
        assert!(matches!(image().data_device("/dev/sda1").cmdline(), Err(Error::NoPartitionUuids)));
        assert!(matches!(image().hash_device("/dev/sda2").cmdline(), Err(Error::NoPartitionUuids)));
        assert!(image().data_device("/dev/sda1").hash_device("/dev/sda2").cmdline().is_ok());
    }

    #[test]
    fn all_that_a_superblock_does_not_say_is_in_the_options() {
        let builder = Params::builder().no_superblock().hash_offset(4096).fec(Fec::new(4, 8192).unwrap());
        let plan = Plan::new(builder, 1 << 20).unwrap();
        let root_hash = root_hash();
        let flags = TableFlags::from([TableFlag::PanicOnCorruption, TableFlag::CheckAtMostOnce]);
        let image = BootImage::new(&plan.layout, &root_hash)
            .data_device("/dev/sda2")
            .hash_device("/dev/sda3")
            .fec(plan.fec_area.unwrap(), "/dev/sda4")
            .flags(flags.clone());
        let expected = "superblock=no,format=1,hash=sha256,data-block-size=4096,hash-block-size=4096,data-blocks=256,\
                        salt=-,hash-offset=4096,fec-device=/dev/sda4,fec-offset=8192,fec-roots=4,panic-on-corruption,\
                        check-at-most-once";
        assert_eq!(image.veritytab("v").unwrap(), format!("v /dev/sda2 /dev/sda3 {HEX} {expected}"));
        assert_eq!(
            image.cmdline().unwrap(),
            format!(
                "roothash={HEX} systemd.verity_root_data=/dev/sda2 systemd.verity_root_hash=/dev/sda3 \
                 systemd.verity_root_options={expected}"
            )
        );
        assert_eq!(
            image.table_line().unwrap(),
            format!(
                "0 2048 verity 1 /dev/sda2 /dev/sda3 4096 4096 256 1 sha256 {HEX} - 10 panic_on_corruption \
                 check_at_most_once use_fec_from_device /dev/sda4 fec_blocks 259 fec_start 2 fec_roots 4"
            )
        );
        let mut on_error = flags;
        on_error.insert(TableFlag::PanicOnError);
        assert!(matches!(image.flags(on_error).cmdline(), Err(Error::Unwritable { .. })));
    }

    #[test]
    fn what_would_read_back_as_something_else_is_refused() {
        let layout = Plan::new(Params::builder(), 1 << 20).unwrap().layout;
        let root_hash = root_hash();
        let with = |data: &str| BootImage::new(&layout, &root_hash).data_device(data).hash_device("/dev/sda3");
        for name in ["", "/dev/a b", "/dev/a\n", "/dev/\"a", "/dev/a\\x20"] {
            let image = with(name);
            for result in [image.table_line(), image.dm_mod_create("v"), image.veritytab("v"), image.cmdline()] {
                assert!(matches!(result, Err(Error::Unwritable { .. })), "{name:?}");
            }
        }
        // Names that the reader of a line does not know, or takes for something else.
        for name in ["vda2", "/", "/dev/", "disk/vda2", "FOO=x", "UUID=", "PARTUUID=", "./x"] {
            let image = with(name);
            assert!(
                image.veritytab("v").is_err() && image.cmdline().is_err() && image.dm_mod_create("v").is_err(),
                "{name}"
            );
        }
        for name in ["UUID=1234", "LABEL=a"] {
            let image = with(name);
            assert!(image.veritytab("v").is_ok() && image.cmdline().is_ok(), "{name}");
            assert!(image.table_line().is_err() && image.dm_mod_create("v").is_err(), "{name}");
        }
        for name in ["/dev/disk/by-label/a", "/dev/mapper/a"] {
            assert!(with(name).dm_mod_create("v").is_err() && with(name).cmdline().is_ok(), "{name}");
        }
        for name in ["8:2", "PARTUUID=1234-02", "PARTLABEL=a", "/dev/vda2"] {
            assert!(with(name).dm_mod_create("v").is_ok() && with(name).table_line().is_ok(), "{name}");
        }
        let image = with("/dev/a");
        for name in ["#v", "", "a b", "a/b", ".", "..", "control", "a\u{85}b", &"a".repeat(128)] {
            assert!(image.veritytab(name).is_err(), "{name:?}");
        }
        for name in ["", "ä", "a/b", "a b", ".", "a%b", &"a".repeat(128)] {
            assert!(image.dm_mod_create(name).is_err(), "{name:?}");
        }
        assert!(image.veritytab("v#ä").is_ok() && image.dm_mod_create("#v").is_ok());
        assert!(with(&format!("/dev/{}", "a".repeat(1000))).dm_mod_create("v").is_err());
        for name in ["8:x", "x:2", ":2", "8:", "8"] {
            assert!(with(name).dm_mod_create("v").is_err(), "{name}");
        }
        // The kernel accepts this many bytes after the equals sign, and no more.
        let others = with("/dev/").table_line().map_or(0, |line| "v,,,ro,".len() + line.len());
        for (len, fits) in [(1024 - others, true), (1025 - others, false)] {
            let made = with(&format!("/dev/{}", "a".repeat(len))).dm_mod_create("v");
            assert_eq!(made.is_ok(), fits, "{made:?}");
            assert!(made.is_err() || made.is_ok_and(|line| line.len() == "dm-mod.create=\"\"".len() + 1024));
        }
        // What systemd has no option for.
        for flag in [TableFlag::TryVerifyInTasklet, TableFlag::PanicOnError, TableFlag::RestartOnError] {
            let line = with("/dev/a").flags([flag].into()).veritytab("v");
            assert!(matches!(&line, Err(Error::Unwritable { value, .. }) if value == flag.word()), "{line:?}");
            assert!(with("/dev/a").flags([flag].into()).table_line().is_ok());
        }
        // A root hash that is no digest of the image's algorithm.
        let short = RootHash::new(Vec::new());
        let image = BootImage::new(&layout, &short).data_device("/dev/a").hash_device("/dev/b");
        assert!(matches!(image.table_line(), Err(Error::RootHashLength { found: 0, needed: 32, .. })));
        assert!(with("/dev/a").signature("sig").veritytab("v").is_err());
        assert!(with("/dev/a,b").table_line().is_ok());
        assert!(with("/dev/a,b").dm_mod_create("v").is_err());
        assert!(with("/dev/a").dm_mod_create("v;w").is_err());
        assert!(with("/dev/a").signature("/sig").table_line().is_err());
        assert!(with("/dev/a").signature("/si,g").veritytab("v").is_err());
    }

    #[test]
    fn what_is_written_for_a_boot_is_what_a_boot_reads() {
        let root_hash = root_hash();
        let mut rng = fastrand::Rng::with_seed(13);
        let kinds = ["/dev/", "UUID=", "PARTUUID=", "LABEL=", "PARTLABEL=", "", "/", "usrhash="];
        let pieces = [
            "a",
            "B/",
            "=",
            ",",
            "#",
            "-",
            "ä",
            "%",
            "$(x)",
            "\\",
            "'",
            "\"",
            " ",
            "\t",
            "\u{7f}",
            "~",
            "roothash=",
            "disk",
        ];
        let mut written = 0;
        for _ in 0..if cfg!(miri) { 10 } else { 20_000 } {
            let mut name = || {
                let kind = kinds[rng.usize(..kinds.len())].to_owned();
                (0..rng.usize(1..3)).fold(kind, |name, _| name + pieces[rng.usize(..pieces.len())])
            };
            let (data, hash, fec, signature) = (name(), name(), name(), "/".to_owned() + &name());
            let builder = Params::builder().hash_offset(4096).fec(Fec::new(4, 8192).unwrap());
            let plan = Plan::new(builder, 1 << 20).unwrap();
            let image = BootImage::new(&plan.layout, &root_hash)
                .data_device(data)
                .hash_device(hash)
                .fec(plan.fec_area.unwrap(), fec)
                .signature(&signature);
            let Ok(line) = image.cmdline() else { continue };
            let cmdline::Root::Image(read) = Cmdline::parse(line.as_bytes()).unwrap().root else {
                panic!("{line} asks for nothing")
            };
            assert_eq!(read.root_hash, root_hash);
            assert!(read.data_device.is_named && read.hash_device.is_named && read.fec_device.is_some(), "{line}");
            let value = |name: &str| {
                read.options.iter().find(|option| option.name == name).and_then(|option| option.value.clone())
            };
            // A part of a name that looks like another parameter is refused there alone.
            if let Ok(usr) = image.cmdline_usr() {
                let read_usr = cmdline::usr_image(usr.as_bytes()).unwrap();
                assert!(read_usr.as_ref() == Some(&read) && !usr.contains("root_"), "{usr}");
            }
            assert_eq!(value("root-hash-signature"), Some(signature), "{line}");
            assert_eq!((value("hash-offset"), value("fec-roots")), (Some("4096".to_owned()), Some("4".to_owned())));
            written += 1;
        }
        assert!(written > 100 || cfg!(miri), "{written}");
    }
}
