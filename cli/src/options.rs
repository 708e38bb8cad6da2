//! The one table of actions and options. The parser, `--help` and `--usage` are made from it, and by `make completions`
//! and `make man` the tables in the shells' completion files and the lists in the manual.

mod actions;

pub(crate) use actions::{ACTIONS, Action, ActionInfo};

/// One option.
pub(crate) struct OptionInfo {
    pub(crate) name: &'static str,
    pub(crate) short: Option<char>,
    /// The kind of its value, if it has one.
    pub(crate) value: Option<&'static str>,
    /// Its value if none is given; without one here, the value is required.
    pub(crate) default: Option<&'static str>,
    pub(crate) help: &'static str,
    /// The actions that use it; empty means all.
    pub(crate) actions: &'static [Action],
    /// Whether the other actions accept and ignore it, as scripts expect; if not, they refuse it.
    pub(crate) is_accepted_by_all: bool,
    /// Whether every value counts if it is given several times; if not, the last one does.
    pub(crate) is_repeatable: bool,
    /// Whether all words that follow are its value.
    pub(crate) is_rest: bool,
}

impl OptionInfo {
    /// The same, accepted by all actions.
    const fn accepted_by_all(mut self) -> Self {
        self.is_accepted_by_all = true;
        self
    }

    /// The same, which can be given several times.
    const fn repeatable(mut self) -> Self {
        self.is_repeatable = true;
        self
    }

    /// The same, with all words that follow as its value.
    const fn rest(mut self) -> Self {
        self.is_rest = true;
        self
    }

    /// The same with a letter.
    const fn short(mut self, letter: char) -> Self {
        self.short = Some(letter);
        self
    }

    /// The same with a value that need not be given.
    const fn or(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }

    /// Whether an action uses it.
    pub(crate) fn is_used_by(&self, action: Action) -> bool {
        self.actions.is_empty() || self.actions.contains(&action)
    }

    /// Its value as help and usage show it.
    pub(crate) fn shown_value(&self) -> String {
        match self.value {
            None => String::new(),
            Some(value) if self.is_rest => format!(" {value}"),
            Some(value) if self.default.is_some() => format!("[={value}]"),
            Some(value) => format!("={value}"),
        }
    }
}

const fn flag(name: &'static str, help: &'static str, actions: &'static [Action]) -> OptionInfo {
    OptionInfo {
        name,
        short: None,
        value: None,
        default: None,
        help,
        actions,
        is_accepted_by_all: false,
        is_repeatable: false,
        is_rest: false,
    }
}

const fn short_flag(name: &'static str, short: char, help: &'static str) -> OptionInfo {
    flag(name, help, &[]).short(short)
}

const fn with_value(
    name: &'static str,
    value: &'static str,
    help: &'static str,
    actions: &'static [Action],
) -> OptionInfo {
    OptionInfo { value: Some(value), ..flag(name, help, actions) }
}

const OPEN: &[Action] = &[Action::Open];
const OPEN_OR_TABLE: &[Action] = &[Action::Open, Action::Table];
/// The actions that read an image without the kernel, each block verified.
const READING: &[Action] = &[Action::Serve, Action::MountFile];
/// These, and those that have the kernel do so.
const READ_BLOCKS: &[Action] = &[Action::Open, Action::Table, Action::Serve, Action::MountFile];
/// The actions that read an image on a web server.
pub(crate) const WEB: &[Action] = &[Action::Verify, Action::Dump, Action::Inspect, Action::Serve, Action::MountFile];
const SERVE: &[Action] = &[Action::Serve];
const MOUNT_FILE: &[Action] = &[Action::MountFile];
const CLOSE: &[Action] = &[Action::Close];
const FORMAT: &[Action] = &[Action::Format];
const FORMAT_OR_PLAN: &[Action] = &[Action::Format, Action::Plan];
const BUILD: &[Action] = &[Action::Build];
/// The actions that make an image.
const MAKE: &[Action] = &[Action::Format, Action::Build];
const TABLE: &[Action] = &[Action::Table];
const UPDATE: &[Action] = &[Action::Update];
/// The actions that trust a superblock.
const CHECKED: &[Action] =
    &[Action::Verify, Action::Repair, Action::Open, Action::Table, Action::Serve, Action::MountFile];
/// These, and the one that makes it fit other data.
const CHECKED_OR_UPDATE: &[Action] =
    &[Action::Verify, Action::Update, Action::Repair, Action::Open, Action::Table, Action::Serve, Action::MountFile];
/// The actions that find an image in a disk image, or put one there.
const ON_DISK_IMAGE: &[Action] = &[
    Action::Verify,
    Action::Repair,
    Action::Open,
    Action::Dump,
    Action::Table,
    Action::Build,
    Action::Sign,
    Action::Serve,
    Action::MountFile,
];
/// The actions that need the parameters of an image, unless a superblock has them.
const IMAGE: &[Action] = &[
    Action::Format,
    Action::Verify,
    Action::Update,
    Action::Repair,
    Action::Open,
    Action::Plan,
    Action::Table,
    Action::Benchmark,
    Action::Build,
    Action::Serve,
    Action::MountFile,
];
/// The actions that compute where the areas of an image are.
const LAYOUT: &[Action] = &[
    Action::Format,
    Action::Verify,
    Action::Update,
    Action::Repair,
    Action::Open,
    Action::Plan,
    Action::Table,
    Action::Serve,
    Action::MountFile,
];
/// The actions that look for them on a device.
const ON_DISK: &[Action] = &[
    Action::Format,
    Action::Verify,
    Action::Update,
    Action::Repair,
    Action::Open,
    Action::Dump,
    Action::Plan,
    Action::Table,
    Action::Serve,
    Action::MountFile,
];
/// The actions that hash.
const SALTED: &[Action] = &[
    Action::Format,
    Action::Verify,
    Action::Update,
    Action::Repair,
    Action::Open,
    Action::Table,
    Action::Benchmark,
    Action::Build,
    Action::Serve,
    Action::MountFile,
];
const SIGN: &[Action] = &[Action::Sign];
/// The actions that have a key in a file.
const SIGNING: &[Action] = &[Action::Sign, Action::Build, Action::Format];
/// The actions that check signatures of root hashes.
const TRUSTING: &[Action] = &[
    Action::Verify,
    Action::Repair,
    Action::Open,
    Action::Dump,
    Action::Table,
    Action::Signature,
    Action::Serve,
    Action::MountFile,
];
/// The actions that take long.
const LONG: &[Action] = &[Action::Format, Action::Verify, Action::Update, Action::Repair, Action::Build];

pub(crate) const OPTIONS: &[OptionInfo] = &[
    short_flag("help", '?', "Show this help message"),
    flag("usage", "Display brief usage", &[]),
    short_flag("version", 'V', "Print package version"),
    flag("allow-other", "Let other users read the mounted file", MOUNT_FILE),
    flag("append", "Append hash tree (and FEC) to the data of one image", FORMAT_OR_PLAN),
    with_value("arch", "architecture", "Use the image for these processors", ON_DISK_IMAGE),
    with_value("at", "time", "Refuse certificates that are not valid at this time", TRUSTING),
    short_flag("batch-mode", 'q', "Do not ask for confirmation, show no progress"),
    with_value("boot-data-device", "path", "The data device's name where the line is used", TABLE),
    with_value("boot-fec-device", "path", "The FEC device's name where the line is used", TABLE),
    with_value("boot-hash-device", "path", "The hash device's name where the line is used", TABLE),
    with_value("ca", "path", "Trust signers with a certificate from this authority", TRUSTING).repeatable(),
    with_value("cache-size", "bytes", "Keep this much of the hash tree in memory (default: 67108864)", READING),
    flag("cancel-deferred", "Cancel a previously set deferred device removal", CLOSE),
    with_value("certificate", "path", "The signer's certificate", SIGNING),
    flag("check-at-most-once", "Verify data block only the first time it is read", READ_BLOCKS).accepted_by_all(),
    flag("check-root", "Read the first and last data block, close it again if they are wrong", OPEN),
    flag("chromeos", "Show ChromiumOS's dm= parameter", TABLE),
    flag("cmdline", "Show systemd's kernel command line parameters", TABLE),
    with_value("data-block-size", "bytes", "Block size on the data device", IMAGE).accepted_by_all(),
    with_value("data-blocks", "blocks", "The number of blocks in the data file", LAYOUT).accepted_by_all(),
    with_value("data-size", "bytes", "The size of data that do not exist yet, or of standard input", FORMAT_OR_PLAN),
    flag("containerd", "Append the hash tree to a layer, as containerd does", FORMAT),
    flag("debug", "Show debug messages", &[]),
    flag("defer-signature", "Reserve partitions for signatures that are made later", BUILD),
    flag("deferred", "Device removal is deferred until the last user closes it", CLOSE),
    flag("deterministic", "Derive salt and UUID from the other parameters", FORMAT),
    with_value("digest", "string", "The digest that is signed (default: sha256)", SIGN),
    with_value("dirty", "path", "Read the changed ranges from this file (- for standard input)", UPDATE),
    with_value("dm-mod-create", "name", "Show the kernel's dm-mod.create parameter", TABLE),
    flag("direct-io", "Verify each read, keep nothing in the page cache", MOUNT_FILE),
    flag(
        "dry-run",
        "Only show what would be done",
        &[Action::Format, Action::Update, Action::Repair, Action::Open, Action::Build],
    ),
    flag("embed-certificate", "Put the signer's certificate into the signature", SIGN),
    flag(
        "env",
        "Print KEY='value' lines for a shell instead of text",
        &[Action::Format, Action::Status, Action::Dump, Action::Plan],
    ),
    flag("embed-signature", "Put the root hash signature itself into the line", TABLE),
    flag("error-as-corruption", "Handle IO error as corruption", OPEN_OR_TABLE),
    with_value("events-json", "path", "Write a line of JSON for each bad block (default: standard output)", READING)
        .or("-"),
    with_value("exec", "command...", "Run this command, and end with it", READING).rest(),
    with_value("expect", "path", "Fail unless the superblock is as in JSON of format", CHECKED_OR_UPDATE),
    with_value(
        "expect-data-blocks",
        "blocks",
        "Fail unless the superblock has this number of blocks",
        CHECKED_OR_UPDATE,
    ),
    with_value("fec-device", "path", "Path to device with error correction data", ON_DISK).accepted_by_all(),
    with_value("fec-offset", "bytes", "Starting offset on the FEC device", ON_DISK).accepted_by_all(),
    with_value(
        "fec-roots",
        "bytes",
        "FEC parity bytes",
        &[
            Action::Format,
            Action::Verify,
            Action::Update,
            Action::Repair,
            Action::Open,
            Action::Dump,
            Action::Plan,
            Action::Table,
            Action::Build,
            Action::Serve,
            Action::MountFile,
        ],
    )
    .accepted_by_all(),
    with_value("fec-scope", "tree|device", "What FEC covers after the data (default: device)", ON_DISK)
        .accepted_by_all(),
    flag("fit", "Show the dm-verity node of a FIT image", TABLE),
    with_value("format", "number", "Format type (1 - normal, 0 - original Chrome OS)", IMAGE).accepted_by_all(),
    with_value("from-cmdline", "path", "Open the root device that this kernel command line asks for", OPEN)
        .or("/proc/cmdline"),
    with_value("hash", "string", "Hash algorithm", IMAGE).short('h').accepted_by_all(),
    with_value(
        "hash-block-size",
        "bytes",
        "Block size on the hash device",
        &[
            Action::Format,
            Action::Verify,
            Action::Update,
            Action::Repair,
            Action::Open,
            Action::Plan,
            Action::Table,
            Action::Build,
            Action::Serve,
            Action::MountFile,
        ],
    )
    .accepted_by_all(),
    with_value("hash-offset", "bytes|auto", "Starting offset on the hash device", ON_DISK).accepted_by_all(),
    with_value("http-cache", "path", "Keep what is proven of an image on a web server in this file", READING),
    with_value("http-cache-size", "bytes", "Size of that file at the most (default: 1073741824)", READING),
    with_value("http-timeout", "secs", "How long a web server may send nothing (default: 30)", WEB),
    flag("ignore-corruption", "Ignore corruption, log it only", OPEN_OR_TABLE),
    flag("ignore-zero-blocks", "Do not verify zeroed blocks", READ_BLOCKS),
    with_value("intermediate", "path", "A certificate between signer and authority", TRUSTING).repeatable(),
    flag("ipe", "Show a rule for a policy of the kernel's IPE module", TABLE),
    flag(
        "json",
        "Print one JSON object instead of text",
        &[
            Action::Format,
            Action::Verify,
            Action::Update,
            Action::Repair,
            Action::Open,
            Action::Close,
            Action::Status,
            Action::Dump,
            Action::Plan,
            Action::Table,
            Action::Features,
            Action::Keyring,
            Action::Inspect,
            Action::Build,
            Action::Benchmark,
            Action::Sign,
            Action::Signature,
            Action::Serve,
            Action::MountFile,
        ],
    ),
    with_value("join", "path", "Make a signature from one that was made elsewhere", SIGN),
    flag("kata", "Show what Kata Containers open the image with", TABLE),
    with_value("key", "path", "The signer's private key", SIGNING),
    with_value("like", "path", "Take salt, UUID, sizes and algorithm from this hash device", FORMAT),
    with_value("listen-fd", "number", "Serve on this inherited socket", SERVE),
    with_value(
        "manifest",
        "path",
        "JSON of format: sign it, or take root hash and parameters from it",
        &[Action::Sign, Action::Verify, Action::Repair, Action::Open, Action::Table, Action::Serve, Action::MountFile],
    ),
    with_value("manifest-signature", "path", "Path to the manifest's signature", CHECKED),
    flag("min-size", "Place partitions as close together as systemd-repart does", BUILD),
    with_value("new-root-hash-file", "path", "Path to file for the new root hash", UPDATE),
    flag("no-fallback", "Fail if the kernel refuses an option that only affects speed", OPEN),
    flag("no-superblock", "Do not use verity superblock", LAYOUT).accepted_by_all(),
    with_value("old-data", "path", "The data before the changes, with which FEC parity is updated faster", UPDATE),
    with_value("on-corruption", "error|stop", "What follows a bad block (default: error)", READING),
    with_value("output", "path", "Where the result is written", &[Action::Build, Action::Sign, Action::Format])
        .short('o'),
    flag("panic-on-corruption", "Panic kernel if corruption is detected", OPEN_OR_TABLE),
    flag(
        "partition-uuids",
        "Show the partition UUIDs that follow from the root hash",
        &[Action::Format, Action::Table],
    ),
    with_value("passphrase-file", "path", "Path to pass phrase of the private key", SIGNING),
    with_value(
        "policy",
        "policy",
        "Fail unless the image agrees with systemd's image policy",
        &[
            Action::Inspect,
            Action::Verify,
            Action::Repair,
            Action::Open,
            Action::Table,
            Action::Serve,
            Action::MountFile,
        ],
    ),
    flag("prepare", "Show what has to be signed elsewhere", SIGN),
    with_value("progress-frequency", "secs", "Show progress in lines, one every <secs> seconds", LONG),
    flag("progress-json", "Show progress as lines of JSON", LONG),
    with_value("range", "offset:length", "Changed bytes of the data", UPDATE).repeatable(),
    flag("restart-on-corruption", "Restart kernel if corruption is detected", OPEN_OR_TABLE),
    with_value("root", "path", "The root file system", BUILD),
    with_value(
        "root-hash",
        "hex",
        "Root hash of an image that is one argument; in dump, show that of the hash tree",
        &[Action::Dump, Action::Verify, Action::Repair, Action::Open, Action::Table, Action::Serve, Action::MountFile],
    )
    .or(""),
    with_value(
        "root-hash-file",
        "path",
        "Path to root hash file",
        &[
            Action::Format,
            Action::Open,
            Action::Verify,
            Action::Update,
            Action::Repair,
            Action::Table,
            Action::Build,
            Action::Sign,
            Action::Signature,
            Action::Serve,
            Action::MountFile,
        ],
    ),
    with_value(
        "root-hash-signature",
        "path|base64:...|auto",
        "Root hash signature",
        &[Action::Verify, Action::Repair, Action::Open, Action::Dump, Action::Table, Action::Serve, Action::MountFile],
    ),
    with_value("salt", "hex string", "Salt", SALTED).short('s').accepted_by_all(),
    with_value("salt-seed", "text", "Derive salt and UUID from a text", MAKE),
    with_value("sector-size", "bytes", "Size of the disk's sectors, 512 or 4096", BUILD),
    flag("shared", "Share data device with another verity segment", OPEN),
    flag("sidecars", "Put hash tree and root hash next to the image, as systemd finds them", FORMAT),
    flag("smime", "Write the bytes that openssl smime writes", SIGN),
    with_value("socket", "path", "Serve on a socket that is made here", SERVE),
    flag("strict", "Fail even if FEC can repair all errors", &[Action::Verify]),
    flag("tee", "Write what is proven of standard input to standard output", &[Action::Verify]),
    with_value(
        "threads",
        "number",
        "Threads that hash (default: one for each processor)",
        &[
            Action::Format,
            Action::Verify,
            Action::Update,
            Action::Repair,
            Action::Benchmark,
            Action::Build,
            Action::Serve,
            Action::MountFile,
        ],
    ),
    flag("tree", "Draw the levels of the hash tree", &[Action::Dump]),
    with_value("trusted", "path", "Trust the holder of this certificate (sha256: and its fingerprint)", TRUSTING)
        .repeatable(),
    flag("use-tasklets", "Use kernel tasklets for performance", OPEN_OR_TABLE),
    with_value(
        "usr",
        "path",
        "Use the image for /usr; in build, the file system for it",
        &[
            Action::Format,
            Action::Verify,
            Action::Repair,
            Action::Open,
            Action::Dump,
            Action::Table,
            Action::Build,
            Action::Sign,
            Action::Serve,
            Action::MountFile,
        ],
    )
    .or(""),
    with_value("uuid", "string", "UUID for device to use", MAKE).accepted_by_all(),
    short_flag("verbose", 'v', "Shows more detailed error messages"),
    with_value("verify", "auto|inline|pool", "Which threads verify what is read (default: auto)", READING),
    with_value("veritytab", "name", "Show the line for /etc/veritytab", TABLE),
    flag("with-usr", "Open the image for /usr as well as the root device", OPEN),
];

/// Options that contradict each other.
const NOT_TOGETHER: &[(&str, &str)] = &[
    ("ignore-corruption", "restart-on-corruption"),
    ("panic-on-corruption", "restart-on-corruption"),
    ("append", "containerd"),
    ("append", "sidecars"),
    ("containerd", "sidecars"),
    ("containerd", "hash-offset"),
    ("containerd", "fec-offset"),
    ("containerd", "no-superblock"),
    ("sidecars", "hash-offset"),
    ("sidecars", "no-superblock"),
    ("append", "hash-offset"),
    ("json", "tee"),
    ("append", "fec-offset"),
    ("salt", "salt-seed"),
    ("usr", "with-usr"),
    ("deterministic", "salt-seed"),
    ("env", "json"),
    ("defer-signature", "key"),
    ("manifest", "root-hash"),
    ("manifest", "no-superblock"),
    ("manifest", "hash-offset"),
    ("key", "join"),
    ("key", "prepare"),
    ("join", "prepare"),
    ("prepare", "output"),
    ("manifest", "root-hash-file"),
    ("socket", "listen-fd"),
    ("socket", "exec"),
    ("listen-fd", "exec"),
];

/// The forms of `table` besides the kernel's own; one at a time.
const TABLE_FORMS: &[&str] =
    &["chromeos", "cmdline", "dm-mod-create", "fit", "ipe", "kata", "partition-uuids", "veritytab"];

/// All pairs that cannot be used together.
pub(crate) fn not_together() -> impl Iterator<Item = (&'static str, &'static str)> {
    let rest = |index: usize| TABLE_FORMS.iter().skip(index + 1);
    let forms = TABLE_FORMS.iter().enumerate().flat_map(move |(index, form)| rest(index).map(|other| (*form, *other)));
    NOT_TOGETHER.iter().copied().chain(forms)
}

#[cfg(test)]
mod tests;
