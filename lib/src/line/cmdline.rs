//! The kernel command line of a boot, read: whether it asks for a verity root device, and which one. Bytes only, no
//! I/O.
//!
//! The parameters are those of systemd-veritysetup-generator(8). The kernel and systemd do not divide a command line
//! into words by the same rules, so it is divided by both. Both have to find the same parameters, and a `roothash=`,
//! `usrhash=` or policy that is somewhere on the line has to be a parameter: everything else is an error, because a
//! boot that ignored it would mount an unverified root.
//!
//! Sources: the kernel's `lib/cmdline.c`; systemd's kernel-command-line(7), veritytab(5) and `proc-cmdline.c`.

mod device;
mod options;
mod words;

use std::fmt;

use uuid::Uuid;

use crate::line::parameters::{DISK, Name, POLICY, Parameters, ROOT, USR, VERITY};
use crate::value::RootHash;
use device::device;
pub(crate) use device::is_device;
use words::{KERNEL, SYSTEMD, divide, is_backslash_ambiguous, unquoted};

type Result<T> = std::result::Result<T, Fault>;

/// What a kernel command line asks for.
///
/// ```
/// use dmverity::cmdline::{Cmdline, Root};
///
/// let hash = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
/// let line = format!("quiet 'roothash={hash}' systemd.verity_root_data=/dev/vda2");
/// let Root::Image(image) = Cmdline::parse(line.as_bytes())?.root else { panic!("it asks for one") };
/// assert_eq!(image.data_device.path, "/dev/vda2");
/// assert_eq!(image.hash_device.path, "/dev/disk/by-partuuid/10111213-1415-1617-1819-1a1b1c1d1e1f");
/// assert!(Cmdline::parse(format!("dyndbg=\"file x.c roothash={hash}\"").as_bytes()).is_err());
/// # Ok::<(), dmverity::cmdline::Fault>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cmdline {
    /// What it says about the root device.
    pub root: Root,
    /// Whether it asks for a verity device for `/usr`, by `usrhash=`. Which one is read by [`usr_image()`], where it
    /// matters.
    pub usr: bool,
    /// systemd's policies for images, by `systemd.image_policy=`; they are not parsed here. systemd follows the last
    /// one.
    pub policies: Vec<String>,
    /// Where to look for a signed image that needs no `roothash=`, by `dmverity.image=`.
    pub disk: Option<Disk>,
}

/// A disk whose partitions are an image with its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Disk {
    /// `auto`: whichever it is.
    Any,
    /// This one, by its path below `/dev`.
    Device(String),
}

/// What a kernel command line says about the root device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Root {
    /// Nothing that has to do with verity.
    NotAsked,
    /// Verity is switched off by `systemd.verity=no`, for `/usr` too.
    SwitchedOff,
    /// It has to be this image.
    Image(Box<RootImage>),
}

/// The image that is to be the root device.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RootImage {
    /// The root hash, of 16 bytes or more; its algorithm is not known yet.
    pub root_hash: RootHash,
    /// The data device.
    pub data_device: RootDevice,
    /// The hash device.
    pub hash_device: RootDevice,
    /// Path of the FEC device.
    pub fec_device: Option<String>,
    /// All other options that are about the image or the mapping, by their names in veritytab(5), which are those of
    /// `veritysetup open`, in the order of the command line. The values are not checked.
    pub options: Vec<RootOption>,
}

/// A device of the root image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootDevice {
    /// Its path, below `/dev`. It has no control characters.
    pub path: String,
    /// Whether the command line names it. Otherwise it is the partition whose UUID follows from the root hash.
    pub is_named: bool,
}

/// An option and its value, if it takes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootOption {
    /// Its name, such as `hash-offset`.
    pub name: &'static str,
    /// Its value, which is not empty and has no control characters.
    pub value: Option<String>,
}

/// What is wrong with a kernel command line that has something to do with verity.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// It has a NUL byte, which ends it for the kernel.
    Nul,
    /// A quotation mark has no counterpart.
    OpenQuote,
    /// A backslash precedes a quotation mark or a blank, which versions of systemd read in different ways.
    Backslash,
    /// The kernel and systemd find different parameters: because of quotation marks, unusual blanks, or the word `--`,
    /// which ends the kernel's own.
    Ambiguous {
        /// The first parameter that differs, without its value.
        name: String,
    },
    /// One of the parameters that must not be overlooked, such as `roothash=`, is part of something else.
    NoParameter {
        /// Which of them, with the equals sign.
        name: &'static str,
    },
    /// A parameter cannot be followed.
    Parameter {
        /// The parameter as it was found.
        word: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// An option in `systemd.verity_root_options=` or `systemd.verity_usr_options=` cannot be followed.
    Option {
        /// The option as it was found.
        option: String,
        /// What is wrong with it.
        what: OptionFault,
        /// The parameter that has it, with the equals sign.
        parameter: &'static str,
    },
}

/// What is wrong with an option of the root image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionFault {
    /// It is not known, and may affect protection.
    Unknown,
    /// It has no value.
    NoValue,
    /// Its value names no device.
    NoDevice,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nul => f.write_str("the kernel command line has a NUL byte"),
            Self::OpenQuote => f.write_str("a quotation mark on the kernel command line is not closed"),
            Self::Backslash => {
                f.write_str("a backslash on the kernel command line precedes a quotation mark or a blank")
            }
            Self::Ambiguous { name } => write!(f, "the kernel and systemd read {name} in different ways"),
            Self::NoParameter { name } => {
                write!(f, "{name} is on the kernel command line, but not as a parameter of its own")
            }
            Self::Parameter { word, what } => write!(f, "{word} {what}"),
            Self::Option { option, what, parameter } => {
                write!(f, "{parameter} has ")?;
                match what {
                    OptionFault::Unknown => write!(f, "the unknown option {option}"),
                    OptionFault::NoValue => write!(f, "{option} without a value"),
                    OptionFault::NoDevice => write!(f, "{option}, which names no device"),
                }
            }
        }
    }
}

/// What a boot must not overlook, wherever it is.
const NOTICED: [Name; 4] = [ROOT.hash, USR.hash, POLICY, DISK];

/// A parameter that is about verity.
#[derive(Clone, PartialEq, Eq)]
struct Parameter {
    /// Without the prefix `rd.`, and with underscores.
    name: Vec<u8>,
    value: Option<Vec<u8>>,
}

impl Parameter {
    fn of(word: &[u8]) -> Option<Self> {
        let mut parts = word.splitn(2, |&byte| byte == b'=');
        let (name, value) = (parts.next()?, parts.next());
        let name = name.strip_prefix(b"rd.").unwrap_or(name);
        // systemd makes no difference between them.
        let name: Vec<u8> = name.iter().map(|&byte| if byte == b'-' { b'_' } else { byte }).collect();
        let parameter = Self { name, value: value.map(<[u8]>::to_vec) };
        let matters = parameter.starts_with(VERITY) || NOTICED.iter().any(|name| parameter.is(*name));
        matters.then_some(parameter)
    }

    fn is(&self, name: Name) -> bool {
        self.name == name.bare().as_bytes()
    }

    fn starts_with(&self, prefix: &str) -> bool {
        self.name.starts_with(prefix.as_bytes())
    }

    /// Whether it switches verity on or off.
    fn is_switch(&self) -> bool {
        self.name == VERITY.as_bytes()
    }

    fn name(&self) -> String {
        String::from_utf8_lossy(&self.name).into_owned()
    }

    fn fault(&self, what: &'static str) -> Fault {
        let value =
            self.value.as_deref().map_or_else(String::new, |value| format!("={}", String::from_utf8_lossy(value)));
        Fault::Parameter { word: self.name() + &value, what }
    }

    /// The value of a parameter that needs one.
    fn value(&self) -> Result<&str> {
        let value = self.value.as_deref().unwrap_or_default();
        match std::str::from_utf8(value) {
            Err(_) => Err(self.fault("is not UTF-8")),
            Ok("") => Err(Fault::Parameter { word: self.name() + "=", what: "is empty" }),
            Ok(text) if text.contains(char::is_control) => Err(self.fault("has control characters")),
            Ok(text) => Ok(text),
        }
    }
}

impl std::error::Error for Fault {}

impl Cmdline {
    /// Reads the bytes of `/proc/cmdline`.
    ///
    /// # Errors
    /// [`Fault`] if `roothash=`, `usrhash=`, `systemd.image_policy=` or `dmverity.image=` is anywhere on the line and
    /// the line cannot be followed.
    pub fn parse(line: &[u8]) -> Result<Self> {
        Self::of(line, followed(line)?.as_deref())
    }

    /// The same, of the parameters about verity that are on the line.
    fn of(line: &[u8], parameters: Option<&[Parameter]>) -> Result<Self> {
        let nothing = Self { root: Root::NotAsked, usr: false, policies: Vec::new(), disk: None };
        let Some(parameters) = parameters else { return Ok(nothing) };
        let all = |name: Name| parameters.iter().filter(move |parameter| parameter.is(name));
        let policies = all(POLICY).map(|parameter| Ok(parameter.value()?.to_owned())).collect::<Result<_>>()?;
        let disk = all(DISK).next_back().map(disk).transpose()?;
        let is_enabled = is_enabled(parameters)?;
        let has = |name: Name| all(name).next().is_some();
        // Verity that is switched off does not switch a policy off.
        for name in NOTICED.into_iter().filter(|name| is_enabled || *name == POLICY) {
            if mentions(line, name.written()) && !has(name) {
                return Err(Fault::NoParameter { name: name.written() });
            }
        }
        if !is_enabled {
            return Ok(Self { root: Root::SwitchedOff, policies, disk, ..nothing });
        }
        let root = if has(ROOT.hash) { Root::Image(Box::new(image(parameters, &ROOT)?)) } else { Root::NotAsked };
        Ok(Self { root, usr: has(USR.hash), policies, disk })
    }
}

/// The image that a command line asks for as `/usr`; [`Cmdline`] only says whether there is one.
///
/// # Errors
/// [`Fault`], as for [`Cmdline::parse`], and if the parameters for `/usr` cannot be followed.
pub fn usr_image(line: &[u8]) -> Result<Option<Box<RootImage>>> {
    let parameters = followed(line)?;
    if !Cmdline::of(line, parameters.as_deref())?.usr {
        return Ok(None);
    }
    parameters.map(|parameters| image(&parameters, &USR).map(Box::new)).transpose()
}

/// The options for an image whose root hash is not on the command line, but found with its signature. `fec-device` is
/// one of them.
///
/// # Errors
/// [`Fault`] if the line has anything about verity and cannot be followed, and if it names devices: they would be used
/// with a root hash only.
pub fn signed_image_options(line: &[u8], is_usr: bool) -> Result<Vec<RootOption>> {
    let names = if is_usr { &USR } else { &ROOT };
    let Some(parameters) = followed_if(line, |found| found || mentions(line, VERITY))? else { return Ok(Vec::new()) };
    is_enabled(&parameters)?;
    let Described { data_device, hash_device, fec_device, mut options, .. } = described(&parameters, names)?;
    for (device, name) in [(data_device, names.data_device), (hash_device, names.hash_device)] {
        if device.is_some() {
            return Err(Fault::Parameter { word: name.written().to_owned(), what: "needs the root hash" });
        }
    }
    options.extend(fec_device.map(|device| RootOption { name: "fec-device", value: Some(device) }));
    Ok(options)
}

/// The parameters about verity of a line that mentions a root hash, if the kernel and systemd find the same ones.
fn followed(line: &[u8]) -> Result<Option<Vec<Parameter>>> {
    followed_if(line, |found| found)
}

/// The same of a line that matters; `matters` is told whether it mentions what must not be overlooked.
fn followed_if(line: &[u8], matters: impl Fn(bool) -> bool) -> Result<Option<Vec<Parameter>>> {
    let (kernel, systemd) = (divide(line, &KERNEL), divide(line, &SYSTEMD));
    let found = |words: &words::Words<'_>| -> Vec<Parameter> {
        words.words.iter().filter_map(|word| Parameter::of(&unquoted(word))).collect()
    };
    let (by_kernel, parameters) = (found(&kernel), found(&systemd));
    let has = |name: Name| parameters.iter().any(|parameter| parameter.is(name));
    if !matters(NOTICED.into_iter().any(|name| has(name) || mentions(line, name.written()))) {
        return Ok(None);
    }
    if line.contains(&0) {
        return Err(Fault::Nul);
    }
    if systemd.is_quote_open || kernel.is_quote_open {
        return Err(Fault::OpenQuote);
    }
    if is_backslash_ambiguous(line) {
        return Err(Fault::Backslash);
    }
    match difference(&by_kernel, &parameters) {
        Some(name) => Err(Fault::Ambiguous { name }),
        None => Ok(Some(parameters)),
    }
}

/// The name of the first parameter that only one of the two has.
fn difference(first: &[Parameter], second: &[Parameter]) -> Option<String> {
    let longest = first.len().max(second.len());
    let index = (0..longest).find(|&index| first.get(index) != second.get(index))?;
    // What only the kernel finds is hidden from systemd, and the other way round.
    first.get(index).or(second.get(index)).map(Parameter::name)
}

/// Whether verity is not switched off. The last parameter counts.
fn is_enabled(parameters: &[Parameter]) -> Result<bool> {
    let mut is_enabled = true;
    for parameter in parameters.iter().filter(|parameter| parameter.is_switch()) {
        is_enabled = match &parameter.value {
            None => true,
            Some(value) => truth(value).ok_or_else(|| parameter.fault("is neither yes nor no"))?,
        };
    }
    Ok(is_enabled)
}

fn truth(text: &[u8]) -> Option<bool> {
    match text {
        b"1" | b"yes" | b"y" | b"true" | b"t" | b"on" => Some(true),
        b"0" | b"no" | b"n" | b"false" | b"f" | b"off" => Some(false),
        _ => None,
    }
}

/// What parameters say about an image.
#[derive(Default)]
struct Described {
    root_hash: Option<RootHash>,
    data_device: Option<RootDevice>,
    hash_device: Option<RootDevice>,
    fec_device: Option<String>,
    options: Vec<RootOption>,
}

/// What the parameters with these names say. The last of each counts.
fn described(parameters: &[Parameter], names: &Parameters) -> Result<Described> {
    let (mut found, mut options) = (Described::default(), None);
    for parameter in parameters {
        if parameter.is(names.hash) {
            found.root_hash = Some(root_hash(parameter)?);
        } else if parameter.is(names.data_device) {
            found.data_device = Some(named(parameter)?);
        } else if parameter.is(names.hash_device) {
            found.hash_device = Some(named(parameter)?);
        } else if parameter.is(names.options) {
            // Without a value as none.
            options = if parameter.value.as_ref().is_none_or(Vec::is_empty) { None } else { Some(parameter.value()?) };
        } else if !is_of_others(parameter, names) {
            return Err(parameter.fault("is not a known parameter"));
        }
    }
    for option in options.unwrap_or_default().split(',') {
        found.add_option(option, names.options.written())?;
    }
    Ok(found)
}

/// The image that the parameters with these names describe.
fn image(parameters: &[Parameter], names: &Parameters) -> Result<RootImage> {
    let Described { root_hash, data_device, hash_device, fec_device, options } = described(parameters, names)?;
    let too_short = || Fault::Parameter { word: names.hash.written().to_owned(), what: "is empty" };
    let root_hash = root_hash.ok_or_else(too_short)?;
    // As in the Discoverable Partitions Specification.
    let partition = |chunk: Option<&[u8; 16]>| -> Result<RootDevice> {
        let uuid = Uuid::from_bytes(*chunk.ok_or_else(too_short)?);
        Ok(RootDevice { path: format!("/dev/disk/by-partuuid/{uuid}"), is_named: false })
    };
    let data_device = data_device.map_or_else(|| partition(root_hash.as_bytes().first_chunk()), Ok)?;
    let hash_device = hash_device.map_or_else(|| partition(root_hash.as_bytes().last_chunk()), Ok)?;
    Ok(RootImage { root_hash, data_device, hash_device, fec_device, options })
}

/// Whether a parameter is about the other device, or about both.
fn is_of_others(parameter: &Parameter, names: &Parameters) -> bool {
    let others = if names.prefix == ROOT.prefix { &USR } else { &ROOT };
    let is_about_both = parameter.is_switch() || parameter.is(POLICY) || parameter.is(DISK);
    parameter.is(others.hash) || is_about_both || parameter.starts_with(others.prefix)
}

fn disk(parameter: &Parameter) -> Result<Disk> {
    match parameter.value()? {
        "auto" => Ok(Disk::Any),
        _ => Ok(Disk::Device(named(parameter)?.path)),
    }
}

fn root_hash(parameter: &Parameter) -> Result<RootHash> {
    let text = parameter.value()?;
    if !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(parameter.fault("is not hexadecimal"));
    }
    let bytes = hex::decode(text).map_err(|_| parameter.fault("has an odd number of digits"))?;
    if bytes.len() < size_of::<Uuid>() {
        return Err(parameter.fault("is too short"));
    }
    Ok(RootHash::new(bytes))
}

fn named(parameter: &Parameter) -> Result<RootDevice> {
    let path = device(parameter.value()?).ok_or_else(|| parameter.fault("names no device"))?;
    Ok(RootDevice { path, is_named: true })
}

/// Whether a name is anywhere on a line, with dashes for its underscores too.
fn mentions(line: &[u8], name: &str) -> bool {
    let is_same = |(&byte, expected): (&u8, u8)| byte == expected || (byte, expected) == (b'-', b'_');
    line.windows(name.len()).any(|window| window.iter().zip(name.bytes()).all(is_same))
}

#[cfg(test)]
mod tests;
