//! `open --from-cmdline`: open the root device that a kernel command line asks for. It is made for the scripts in an
//! initramfs: standard output has one line that begins with fixed words; errors go to standard error, in the form that
//! the console shows.

use std::ffi::OsString;
use std::path::Path;

use dmverity::RootHash;
use dmverity::cmdline::{Cmdline, Disk, Root, RootDevice, RootImage, RootOption, signed_image_options, usr_image};
use dmverity::ddi::{Designator, Protection};
use dmverity::dm::MappingName;

use super::root_policy::RootPolicy;
use super::signed_disk::{self, Search, SignedImage};
use super::{check_root, read_bounded};
use crate::arguments::{self, Command, FromCmdline, Open, Request};
use crate::escape::{escaped, text_of};
use crate::failure::{Exit, Failure, Result};
use crate::report::Report;

/// A device that a command line can ask for.
struct Wanted {
    /// The mapping's name, as with systemd.
    name: &'static str,
    /// The name of the device in messages.
    device: &'static str,
    designator: Designator,
}

const ROOT: Wanted = Wanted { name: "root", device: "the root device", designator: Designator::Root };
const USR: Wanted = Wanted { name: "usr", device: "the device for /usr", designator: Designator::Usr };

/// Longer than any command line: kernels have room for some thousand bytes.
const CMDLINE_MAX: u64 = 1 << 20;

/// How much is read, besides the last block, to see whether the root hash is right: the part that file systems read
/// first.
const START: u64 = 128 << 10;

/// What the command line asks for, or what was done about it.
struct Answer {
    word: &'static str,
    /// What asks for a device for /usr beside the root device.
    usr: Option<UsrAsker>,
    report: Report,
}

/// What asks for a verity device for /usr.
#[derive(Clone, Copy, PartialEq, Eq)]
enum UsrAsker {
    /// `usrhash=` alone: systemd's generator opens what it asks for too.
    RootHash,
    /// A policy demands more than `usrhash=` gives.
    Policy,
}

impl UsrAsker {
    fn of(cmdline: &Cmdline, policy: &RootPolicy) -> Option<Self> {
        let is_enough = cmdline.usr && policy.allows(Designator::Usr, Protection::Verity);
        if policy.wants_verity(Designator::Usr) && !is_enough {
            return Some(Self::Policy);
        }
        cmdline.usr.then_some(Self::RootHash)
    }

    fn name(self) -> &'static str {
        match self {
            Self::RootHash => "usrhash=",
            Self::Policy => "the policy",
        }
    }
}

const ASKED: &str = "asked";
const NOT_ASKED: &str = "not-asked";
const OPENED: &str = "opened";

/// Opens the devices that the command line in this file asks for; with `--dry-run` only says whether it asks for one.
pub(crate) fn run(arguments: &FromCmdline) -> Result<Report> {
    let wanted = if arguments.usr { &USR } else { &ROOT };
    // It may be a pipe, which can be read once.
    let line = read(&arguments.file).map_err(|failure| about(wanted, failure))?;
    let answer = |wanted| answer(&line, wanted, arguments.dry_run).map_err(|failure| about(wanted, failure));
    let mut first = answer(wanted)?;
    // A policy is not left to what else may open the device for /usr.
    if let Some(asker) = first.usr.filter(|asker| arguments.with_usr || *asker == UsrAsker::Policy) {
        if first.word == NOT_ASKED {
            let reason = format!("{} asks for a verity device for /usr", asker.name());
            let failure = Failure::new(Exit::Parameters, reason);
            return Err(about(wanted, failure.hint("the root device has to be one, too")));
        }
        let usr = answer(&USR)?.report;
        first.report.warnings.extend(usr.warnings);
        first.report.notes.extend(usr.notes);
        first.usr = None;
    }
    let usr = if first.usr.is_some() && first.word != OPENED { " usr" } else { "" };
    Ok(said(&format!("{}{usr}", first.word), first.report))
}

/// The failure names the device.
fn about(wanted: &Wanted, mut failure: Failure) -> Failure {
    if let Some(reason) = failure.lines.first_mut() {
        reason.insert_str(0, &format!("dmverity: cannot open {}: ", wanted.device));
    }
    failure.usage = false;
    failure
}

fn answer(line: &[u8], wanted: &Wanted, is_dry_run: bool) -> Result<Answer> {
    let cmdline = Cmdline::parse(line)?;
    let policy = RootPolicy::of(&cmdline.policies)?;
    let wants_verity = policy.wants_verity(wanted.designator);
    let is_usr = wanted.designator == Designator::Usr;
    let usr = if is_usr { None } else { UsrAsker::of(&cmdline, &policy) };
    let answer = |word| Answer { word, usr, report: Report::default() };
    let usr_image = if is_usr { usr_image(line)? } else { None };
    let image = match (&cmdline.root, &usr_image) {
        (Root::SwitchedOff, _) if wants_verity || usr.is_some() => {
            return Err(policy.refused("systemd.verity= to switch verity off"));
        }
        (Root::SwitchedOff, _) => return Ok(answer("switched-off")),
        (_, Some(image)) => image,
        (Root::Image(image), None) if !is_usr => image,
        // Without a root hash it is the one that has a signature.
        _ if wants_verity || (cmdline.disk.is_some() && !is_usr) => {
            if !policy.allows(wanted.designator, Protection::Signed) {
                return Err(policy.refused("a signed image"));
            }
            // Wrong options are refused before anything is waited for.
            let options = signed_image_options(line, is_usr)?;
            check_options(&options, wanted, &policy)?;
            request_of_disk(Path::new("/dev"), None, &options, wanted)?;
            if is_dry_run {
                return Ok(answer(ASKED));
            }
            return Ok(Answer { report: open_signed(cmdline.disk.as_ref(), &options, wanted)?, ..answer(OPENED) });
        }
        _ => return Ok(answer(NOT_ASKED)),
    };
    check_options(&image.options, wanted, &policy)?;
    let request = request(image, wanted)?;
    if is_dry_run {
        return Ok(answer(ASKED));
    }
    if let Some(device) = missing(image) {
        return Err(report_missing(image, wanted, device));
    }
    check_policy(image, &cmdline, wanted, &policy)?;
    let hints = [
        "the root hash on the command line is wrong, or the data or the hash device was changed".to_owned(),
        format!("data device: {}, hash device: {}", image.data_device.path, image.hash_device.path),
    ];
    Ok(Answer { report: open(&image.root_hash, hints, wanted, &request)?, ..answer(OPENED) })
}

/// A policy that wants verity does not want it to let changed blocks through.
fn check_options(options: &[RootOption], wanted: &Wanted, policy: &RootPolicy) -> Result<()> {
    let ignores = options.iter().any(|option| option.name == "ignore-corruption");
    if ignores && policy.wants_verity(wanted.designator) {
        return Err(policy.refused("ignore-corruption, with which changed blocks are read"));
    }
    Ok(())
}

/// An image that the policy wants signed needs a signature: one that the kernel will check, or one on a disk.
fn check_policy(image: &RootImage, cmdline: &Cmdline, wanted: &Wanted, policy: &RootPolicy) -> Result<()> {
    let designator = wanted.designator;
    if policy.allows(designator, Protection::Verity) {
        return Ok(());
    }
    let is_for_kernel = image.options.iter().any(|option| option.name == "root-hash-signature");
    let refused =
        || policy.refused(&format!("the image with root hash {}, which has no trusted signature", image.root_hash));
    if !policy.allows(designator, Protection::Signed) {
        return Err(refused());
    }
    if is_for_kernel {
        return Ok(());
    }
    let disk = cmdline.disk.as_ref();
    check_there(disk)?;
    let search = signed_disk::find(&signed_disk::Wanted { designator, disk, root_hash: Some(&image.root_hash) })?;
    search.image.map(drop).ok_or_else(|| refused().hints(search.refused))
}

/// A disk that has a name can be missing.
fn check_there(disk: Option<&Disk>) -> Result<()> {
    match disk {
        Some(Disk::Device(path)) if !Path::new(path).exists() => {
            Err(missing_device(path, format!("{path} does not exist")))
        }
        _ => Ok(()),
    }
}

/// Opens the image with the signature of a trusted signer.
fn open_signed(disk: Option<&Disk>, options: &[RootOption], wanted: &Wanted) -> Result<Report> {
    check_there(disk)?;
    let Search { image, refused } =
        signed_disk::find(&signed_disk::Wanted { designator: wanted.designator, disk, root_hash: None })?;
    let Some(SignedImage { disk, root_hash }) = image else {
        let device = if let Some(Disk::Device(path)) = disk { path } else { "/dev" };
        let reason = "there is no image for this machine with a signature by a trusted certificate";
        return Err(missing_device(device, reason.to_owned()).hints(refused));
    };
    let request = request_of_disk(&disk, Some(&root_hash), options, wanted)?;
    let hints = ["the image was changed: its root hash is signed".to_owned(), format!("disk: {}", text_of(&disk))];
    open(&root_hash, hints, wanted, &request)
}

/// The command line of `open` that opens the image on a disk.
fn request_of_disk(disk: &Path, root_hash: Option<&RootHash>, options: &[RootOption], wanted: &Wanted) -> Result<Open> {
    let mut words: Vec<OsString> = vec!["veritysetup".into(), "open".into()];
    words.extend(root_hash.map(|root_hash| format!("--root-hash={root_hash}").into()));
    words.extend((wanted.designator == Designator::Usr).then(|| "--usr".into()));
    add_options(&mut words, options)?;
    words.extend(["--".into(), disk.as_os_str().to_owned(), wanted.name.into()]);
    parsed(&words)
}

/// A report with the one line, and with the warnings and notes of another.
fn said(line: &str, report: Report) -> Report {
    Report { text: format!("{line}\n"), warnings: report.warnings, notes: report.notes, ..Report::default() }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    read_bounded(path, CMDLINE_MAX, "kernel command line")?.ok_or_else(|| {
        Failure::new(Exit::Parameters, format!("{} is too long for a kernel command line", text_of(path)))
    })
}

/// The command line of `open` that opens the image.
fn request(image: &RootImage, wanted: &Wanted) -> Result<Open> {
    let mut words: Vec<OsString> = vec!["veritysetup".into(), "open".into()];
    if let Some(device) = &image.fec_device {
        words.push(format!("--fec-device={device}").into());
    }
    add_options(&mut words, &image.options)?;
    words.push("--".into());
    words.extend([&image.data_device.path, wanted.name, &image.hash_device.path].map(OsString::from));
    words.push(image.root_hash.to_string().into());
    parsed(&words)
}

fn add_options(words: &mut Vec<OsString>, options: &[RootOption]) -> Result<()> {
    for option in options {
        let value = option.value.as_ref().map_or_else(String::new, |value| format!("={value}"));
        if let ("root-hash-signature", Some(path)) = (option.name, &option.value)
            && path.starts_with('/')
            && !Path::new(path).is_file()
        {
            let reason = format!("the initramfs does not have {path}, which root-hash-signature= names");
            return Err(Failure::new(Exit::Parameters, reason));
        }
        words.push(format!("--{}{value}", option.name).into());
    }
    Ok(())
}

fn parsed(words: &[OsString]) -> Result<Open> {
    let Request::Run(invocation) = arguments::parse(words).map_err(refused)? else {
        return Err(Failure::new(Exit::Parameters, "veritysetup open failed"));
    };
    match invocation.command.map_err(refused)? {
        Command::Open(open) => Ok(open),
        _ => Err(Failure::new(Exit::Parameters, "veritysetup open failed")),
    }
}

/// The command's own words follow the reason.
fn refused(mut failure: Failure) -> Failure {
    failure.lines.insert(0, "veritysetup open failed".to_owned());
    failure
}

/// The first missing device.
fn missing(image: &RootImage) -> Option<&str> {
    let devices = [Some(&image.data_device.path), Some(&image.hash_device.path), image.fec_device.as_ref()];
    devices.into_iter().flatten().map(String::as_str).find(|path| !Path::new(path).exists())
}

fn report_missing(image: &RootImage, Wanted { name, .. }: &Wanted, device: &str) -> Failure {
    let follows = |of: &RootDevice| of.path == device && !of.is_named;
    let about_uuid = if follows(&image.data_device) {
        Some(format!("without systemd.verity_{name}_data= it is the partition with the root hash's first half as UUID"))
    } else if follows(&image.hash_device) {
        Some(format!("without systemd.verity_{name}_hash= it is the partition with the root hash's last half as UUID"))
    } else {
        None
    };
    let failure = missing_device(device, format!("{device} does not exist"));
    failure.hints(about_uuid)
}

/// What lets the scripts of an initramfs wait for a device.
fn missing_device(device: &str, reason: String) -> Failure {
    let failure =
        Failure::new(Exit::Device, reason).hint(format!("block devices that are there: {}", block_devices().join(" ")));
    said(&format!("missing {}", escaped(device)), Report::default()).failed(failure)
}

fn block_devices() -> Vec<String> {
    let entries = std::fs::read_dir("/sys/class/block").into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|entry| text_of(entry.file_name())).collect();
    names.sort_unstable();
    names
}

/// Opens an image. The hints are about what may be wrong if its blocks do not match, and where it is.
fn open(root_hash: &RootHash, [reason, place]: [String; 2], wanted: &Wanted, request: &Open) -> Result<Report> {
    let name = MappingName::new(wanted.name)?;
    // Someone in the emergency shell may have opened it, and something else at the same moment.
    let report = if is_open(&name, root_hash) {
        Report::default()
    } else {
        match super::open::run(request) {
            Err(_) if is_open(&name, root_hash) => Report::default(),
            opened => opened.map_err(|failure| refused(failure).hint(place.clone()))?,
        }
    };
    // A wrong root hash shows at the first read.
    let block = check_root::mapping(&name).and_then(|mapping| mapping.verity);
    let block = block.map_or(START, |verity| verity.table.data_block_size.bytes());
    let Err(error) = check_root::read_ends(&name.node(), START, block) else { return Ok(report) };
    let failure = if check_root::is_corrupted(&name) {
        Failure::new(Exit::Permission, format!("its first or last blocks do not match the root hash {root_hash}"))
            .hint(reason)
    } else {
        Failure::new(Exit::Device, "its first or last blocks cannot be read").because(&error)
    };
    let failure = check_root::closed(&name, failure.hint(place));
    Err(report.failed(failure))
}

fn is_open(name: &MappingName, root_hash: &RootHash) -> bool {
    let verity = check_root::mapping(name).and_then(|mapping| mapping.verity);
    verity.is_some_and(|verity| verity.table.root_hash == *root_hash)
}
