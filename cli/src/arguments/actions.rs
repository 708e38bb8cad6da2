//! A struct for each action. `table` has a file of its own.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use dmverity::ddi::{Designator, HashFiles, Sidecars};
use dmverity::{Hashing, ParamsBuilder};

use super::contradictions;
use super::disk_image::{Build, Inspect};
use super::fec::FecOptions;
use super::image::{Choice, ImageOptions, ImageToCheck};
use super::kernel::KernelOptions;
use super::keyring::Keyring;
#[cfg(feature = "fuse")]
use super::mount_file::MountFile;
use super::serve::Serve;
use super::sign::Key;
use super::sign::Sign;
use super::signature::Signature;
use super::signature_option::SignatureOption;
use super::table::Table;
use super::trust::TrustOptions;
use super::update::Update;
use super::web::WebOptions;
use super::words::{Words, exact};
use super::work::{LongWork, Threads};
use crate::escape::text_of;
use crate::failure::{Failure, Result};
use crate::options::Action;

/// What an action is to do.
pub(crate) enum Command {
    Format(Format),
    Verify(Verify),
    Update(Update),
    Repair(Repair),
    Open(Open),
    FromCmdline(FromCmdline),
    Close(Close),
    Status(Status),
    Dump(Dump),
    Plan(Plan),
    Table(Table),
    Features,
    Keyring(Keyring),
    Inspect(Inspect),
    Build(Build),
    Benchmark(Benchmark),
    Sign(Sign),
    Signature(Signature),
    Serve(Serve),
    #[cfg(feature = "fuse")]
    MountFile(MountFile),
}

impl Command {
    pub(super) fn of(words: &Words, name: &'static str) -> Result<Self> {
        Ok(match words.action {
            Action::Format => Self::Format(Format::of(words, name)?),
            Action::Verify => Self::Verify(Verify::of(words, name)?),
            Action::Update => Self::Update(Update::of(words, name)?),
            Action::Repair => Self::Repair(Repair::of(words, name)?),
            Action::Open => match FromCmdline::of(words) {
                Some(from_cmdline) => Self::FromCmdline(from_cmdline),
                None => Self::Open(Open::of(words)?),
            },
            Action::Close => Self::Close(Close::of(words)),
            Action::Status => Self::Status(Status { mapping: words.word(0) }),
            Action::Dump => Self::Dump(Dump::of(words)?),
            Action::Plan => Self::Plan(Plan::of(words)?),
            Action::Table => Self::Table(Table::of(words)?),
            Action::Features => Self::Features,
            Action::Keyring => Self::Keyring(Keyring::of(words)?),
            Action::Inspect => Self::Inspect(Inspect::of(words)?),
            Action::Build => Self::Build(Build::of(words, name)?),
            Action::Benchmark => Self::Benchmark(Benchmark::of(words)?),
            Action::Sign => Self::Sign(Sign::of(words)?),
            Action::Signature => Self::Signature(Signature::of(words)?),
            Action::Serve => Self::Serve(Serve::of(words)?),
            #[cfg(feature = "fuse")]
            Action::MountFile => Self::MountFile(MountFile::of(words)?),
            #[cfg(not(feature = "fuse"))]
            Action::MountFile => return Err(without_fuse()),
        })
    }
}

/// What is said of `mount-file` by a command that cannot do it.
#[cfg(not(feature = "fuse"))]
fn without_fuse() -> Failure {
    Failure::new(crate::failure::Exit::Parameters, "This veritysetup was built without FUSE.")
        .hint("build it with: cargo build --release -p veritysetup --features fuse")
        .hint("nbdfuse mounts the same file: veritysetup serve ... --exec sh -c 'nbdfuse -r <directory> \"$uri\"'")
}

/// `format`.
pub(crate) struct Format {
    pub(crate) data: PathBuf,
    /// Whether the data are those on standard input.
    pub(crate) from_stdin: bool,
    /// How many bytes they have then, if that is known.
    pub(crate) data_bytes: Option<u64>,
    /// With `--append` the data device itself, or the output; `None` if it has no name yet.
    pub(crate) hash: Option<PathBuf>,
    /// Whether data and hash tree are one file.
    pub(crate) append: bool,
    /// Whether that file is a layer of containerd.
    pub(crate) containerd: bool,
    /// Where what belongs to the image is, if it is next to it.
    pub(crate) sidecars: Option<HashFiles>,
    /// Who signs the root hash then: key and certificate.
    pub(crate) signer: Option<(Key, PathBuf)>,
    pub(crate) image: ImageOptions,
    pub(crate) like: Option<PathBuf>,
    pub(crate) deterministic: bool,
    /// Looked at after the devices.
    salt_seed: Option<OsString>,
    pub(crate) dry_run: bool,
    pub(crate) partition_uuids: bool,
    pub(crate) root_hash_file: Option<PathBuf>,
    pub(crate) work: LongWork,
}

impl Format {
    fn of(words: &Words, name: &'static str) -> Result<Self> {
        let containerd = words.flag("containerd");
        let append = words.flag("append") || containerd;
        let sidecars = words.flag("sidecars").then(|| Sidecars::of(words.path(0)));
        let from_stdin = words.is_stdin();
        let hash = match &sidecars {
            Some(sidecars) => Some(sidecars.verity.clone()),
            None if append && from_stdin => words.path_option("output"),
            None => words.rest.get(usize::from(!append)).map(PathBuf::from),
        };
        let designator = if words.given("usr") { Designator::Usr } else { Designator::Root };
        let sidecars = sidecars.map(|sidecars| sidecars.hash_files(designator).clone());
        let format = Self {
            data: words.path(0),
            from_stdin,
            data_bytes: words.number("data-size")?,
            hash,
            append,
            containerd,
            signer: Key::with_certificate(words, name)?,
            image: ImageOptions::of(words)?,
            like: words.path_option("like"),
            deterministic: words.flag("deterministic"),
            salt_seed: words.value("salt-seed"),
            dry_run: words.flag("dry-run"),
            partition_uuids: words.flag("partition-uuids"),
            root_hash_file: words
                .path_option("root-hash-file")
                .or_else(|| sidecars.as_ref().map(|files| files.root_hash.clone())),
            sidecars,
            work: LongWork::of(words, name)?,
        };
        contradictions::check_format(&format, words)?;
        Ok(format)
    }

    /// The text from which salt and UUID are derived, if there is one.
    pub(crate) fn salt_seed(&self) -> Result<Option<String>> {
        self.salt_seed.as_deref().map(|text: &OsStr| exact("salt-seed", text)).transpose()
    }

    /// The hash device or, if it has no name yet, the device that messages name instead.
    pub(crate) fn hash_or_data(&self) -> &Path {
        self.hash.as_deref().unwrap_or(&self.data)
    }
}

/// `verify`.
pub(crate) struct Verify {
    pub(crate) image: ImageToCheck,
    /// Whether the data are those on standard input.
    pub(crate) from_stdin: bool,
    /// Whether what is proven of them goes to standard output.
    pub(crate) tee: bool,
    pub(crate) strict: bool,
    pub(crate) work: LongWork,
}

impl Verify {
    fn of(words: &Words, name: &'static str) -> Result<Self> {
        let verify = Self {
            image: ImageToCheck::of(words)?,
            from_stdin: words.is_stdin(),
            tee: words.flag("tee"),
            strict: words.flag("strict"),
            work: LongWork::of(words, name)?,
        };
        contradictions::check_verify(&verify, name)?;
        Ok(verify)
    }
}

/// `repair`.
pub(crate) struct Repair {
    pub(crate) image: ImageToCheck,
    pub(crate) dry_run: bool,
    pub(crate) work: LongWork,
}

impl Repair {
    fn of(words: &Words, name: &'static str) -> Result<Self> {
        Ok(Self { image: ImageToCheck::of(words)?, dry_run: words.flag("dry-run"), work: LongWork::of(words, name)? })
    }
}

/// `open`.
pub(crate) struct Open {
    /// The mapping's name, as it was given.
    pub(crate) mapping: OsString,
    pub(crate) image: ImageToCheck,
    pub(crate) kernel: KernelOptions,
    pub(crate) shared: bool,
    pub(crate) no_fallback: bool,
    pub(crate) check_root: bool,
}

impl Open {
    fn of(words: &Words) -> Result<Self> {
        Ok(Self {
            mapping: words.word(1),
            image: ImageToCheck::of(words)?,
            kernel: KernelOptions::of(words),
            shared: words.flag("shared"),
            no_fallback: words.flag("no-fallback"),
            check_root: words.flag("check-root"),
        })
    }
}

/// `open --from-cmdline`.
pub(crate) struct FromCmdline {
    /// The file that has the kernel's command line.
    pub(crate) file: PathBuf,
    /// The device for /usr in place of the root device.
    pub(crate) usr: bool,
    /// It as well as the root device.
    pub(crate) with_usr: bool,
    pub(crate) dry_run: bool,
}

impl FromCmdline {
    fn of(words: &Words) -> Option<Self> {
        let file = words.path_option("from-cmdline")?;
        Some(Self { file, usr: words.given("usr"), with_usr: words.flag("with-usr"), dry_run: words.flag("dry-run") })
    }
}

/// `close`.
pub(crate) struct Close {
    pub(crate) mapping: OsString,
    pub(crate) deferred: bool,
    pub(crate) cancel_deferred: bool,
}

impl Close {
    fn of(words: &Words) -> Self {
        Self {
            mapping: words.word(0),
            deferred: words.flag("deferred"),
            cancel_deferred: words.flag("cancel-deferred"),
        }
    }
}

/// `status`.
pub(crate) struct Status {
    pub(crate) mapping: OsString,
}

/// `dump`.
pub(crate) struct Dump {
    pub(crate) hash: PathBuf,
    pub(crate) image: ImageOptions,
    pub(crate) choice: Choice,
    /// Who has to have signed the root hash.
    pub(crate) trust: TrustOptions,
    pub(crate) signature: Option<SignatureOption>,
    pub(crate) root_hash: bool,
    pub(crate) tree: bool,
    pub(crate) web: WebOptions,
}

impl Dump {
    fn of(words: &Words) -> Result<Self> {
        contradictions::check_trust(words)?;
        Ok(Self {
            hash: words.path(0),
            image: ImageOptions::of(words)?,
            choice: Choice::of(words)?,
            trust: TrustOptions::of(words)?,
            signature: SignatureOption::of(words)?,
            root_hash: dump_root_hash(words)?,
            tree: words.flag("tree"),
            web: WebOptions::of(words)?,
        })
    }
}

/// Whether the root hash is to be shown: it has no value here.
fn dump_root_hash(words: &Words) -> Result<bool> {
    match words.value("root-hash") {
        Some(value) if !value.is_empty() => {
            let option = format!("--root-hash={}", text_of(value));
            Err(Failure::usage(format!("{option}: option does not take an argument")))
        }
        value => Ok(value.is_some()),
    }
}

/// `plan`.
pub(crate) struct Plan {
    pub(crate) hashing: Hashing,
    pub(crate) builder: ParamsBuilder,
    pub(crate) data: Planned,
    /// Whether data and hash tree are one image.
    pub(crate) append: bool,
    pub(crate) fec: FecOptions,
}

/// The data that something is planned for.
pub(crate) enum Planned {
    Device(PathBuf),
    /// They do not exist yet; only their size in bytes is known.
    Size(u64),
}

impl Plan {
    fn of(words: &Words) -> Result<Self> {
        let image = ImageOptions::of(words)?;
        let hashing = image.hashing()?;
        let builder = image.placed(hashing.clone())?;
        let blocks = image.data_blocks();
        contradictions::check_plan(words, blocks.is_some())?;
        let data = match (words.rest.first(), words.number("data-size")?) {
            (Some(device), _) => Planned::Device(device.into()),
            (None, Some(bytes)) => Planned::Size(bytes),
            (None, None) => Planned::Size(image.bytes_of(blocks.unwrap_or(0))?),
        };
        Ok(Self { hashing, builder, data, append: words.flag("append"), fec: image.fec })
    }
}

/// `benchmark`.
pub(crate) struct Benchmark {
    pub(crate) image: ImageOptions,
    pub(crate) threads: Threads,
    pub(crate) json: bool,
}

impl Benchmark {
    fn of(words: &Words) -> Result<Self> {
        Ok(Self { image: ImageOptions::of(words)?, threads: Threads::of(words)?, json: words.flag("json") })
    }
}
