//! A command line as words without a spelling yet, and values with the typical mistakes of people and programs.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use fastrand::Rng;

/// Is replaced by the root hash of the image in the sandbox.
pub(crate) const ROOT: &str = "@ROOT@";

/// Is replaced by the sandbox's absolute path.
pub(crate) const HERE: &str = "@HERE@";

/// Something that is one or two arguments once it is spelled.
#[derive(Clone, Debug)]
pub(crate) enum Word {
    /// An action, or an argument of it.
    Argument(OsString),
    /// An option with its value, if it has one.
    Option(String, Option<OsString>),
}

impl Word {
    pub(crate) fn argument(text: impl Into<OsString>) -> Self {
        Self::Argument(text.into())
    }

    pub(crate) fn flag(name: &str) -> Self {
        Self::Option(name.to_owned(), None)
    }

    pub(crate) fn option(name: &str, value: impl Into<OsString>) -> Self {
        Self::Option(name.to_owned(), Some(value.into()))
    }

    /// Whether this is an option of the name.
    pub(crate) fn is(&self, wanted: &str) -> bool {
        matches!(self, Self::Option(name, _) if name == wanted)
    }

    fn spelled(&self, rng: &mut Rng, arguments: &mut Vec<OsString>) {
        let (name, value) = match self {
            Self::Argument(text) => return arguments.push(text.clone()),
            Self::Option(name, value) => (name, value),
        };
        let short = match name.as_str() {
            "hash" => Some('h'),
            "salt" => Some('s'),
            "verbose" => Some('v'),
            "help" => Some('?'),
            "version" => Some('V'),
            _ => None,
        };
        let short = short.filter(|_| rng.u32(..3) == 0);
        let Some(value) = value else {
            return arguments.push(short.map_or_else(|| format!("--{name}"), |short| format!("-{short}")).into());
        };
        let joined = |head: String| {
            let mut word = OsString::from(head);
            word.push(value);
            word
        };
        match (short, rng.u32(..6)) {
            (Some(short), 0 | 1) => arguments.push(joined(format!("-{short}"))),
            (Some(short), 2) => arguments.push(joined(format!("-{short}="))),
            (Some(short), _) => arguments.extend([format!("-{short}").into(), value.clone()]),
            (None, 0 | 1) => arguments.extend([format!("--{name}").into(), value.clone()]),
            (None, _) => arguments.push(joined(format!("--{name}="))),
        }
    }
}

/// The arguments for a program: positional ones keep their order, options come anywhere between them.
pub(crate) fn spell(words: &[Word], rng: &mut Rng) -> Vec<OsString> {
    let mut order: Vec<&Word> = words.iter().filter(|word| matches!(word, Word::Argument(_))).collect();
    let options: Vec<&Word> = words.iter().filter(|word| matches!(word, Word::Option(..))).collect();
    if rng.bool() {
        order.extend(options);
    } else {
        let mut earliest = 0;
        for option in options {
            // Options of one name keep their order too: the last one counts.
            earliest = rng.usize(earliest..=order.len());
            order.insert(earliest, option);
            earliest += 1;
        }
    }
    let (mut arguments, mut after_options) = (Vec::new(), 0);
    for word in order {
        word.spelled(rng, &mut arguments);
        if matches!(word, Word::Option(..)) {
            after_options = arguments.len();
        }
    }
    if rng.u32(..40) == 0 {
        arguments.insert(rng.usize(after_options..=arguments.len()), "--".into());
    }
    arguments
}

/// The arguments with the placeholders replaced.
pub(crate) fn filled(arguments: &[OsString], root: &str, here: &str) -> Vec<OsString> {
    let replaced = |argument: &OsString| match argument.to_str() {
        Some(text) => text.replace(ROOT, root).replace(HERE, here).into(),
        None => argument.clone(),
    };
    arguments.iter().map(replaced).collect()
}

/// A command line for a shell.
pub(crate) fn quoted(arguments: &[OsString]) -> String {
    let mut line = String::from("veritysetup");
    for argument in arguments {
        let bytes = argument.as_bytes();
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_./=:@%,+".contains(byte);
        line.push(' ');
        if !bytes.is_empty() && bytes.iter().all(is_plain) {
            line.push_str(&String::from_utf8_lossy(bytes));
        } else if bytes.iter().all(|&byte| (b' '..=b'~').contains(&byte) && byte != b'\'') {
            line.extend(["'", &String::from_utf8_lossy(bytes), "'"]);
        } else {
            line.extend(["$'", &bytes.escape_ascii().to_string(), "'"]);
        }
    }
    line
}

fn pick<'a>(values: &[&'a str], rng: &mut Rng) -> &'a str {
    values[rng.usize(..values.len())]
}

/// A number, valid or not.
fn number(rng: &mut Rng) -> OsString {
    const ODD: &[&str] = &[
        "",
        "-1",
        "-5",
        "+3",
        "0x10",
        "010",
        "1e3",
        " 3",
        "3 ",
        "abc",
        "1k",
        "4096K",
        "0.5",
        "-",
        "--",
        "3,4",
        "18446744073709551615",
        "18446744073709551616",
        "9223372036854775807",
        "9223372036854775808",
        "4294967296",
        "4294967295",
        "2147483648",
        "99999999999999999999999",
        "-9223372036854775808",
        "-18446744073709551615",
    ];
    match rng.u32(..4) {
        0 => rng.u32(..4).to_string().into(),
        1 => rng.u32(..1000).to_string().into(),
        _ => pick(ODD, rng).into(),
    }
}

/// Small enough that no version of the reference fills the memory with a tree of that size.
fn blocks(rng: &mut Rng) -> OsString {
    let text = number(rng);
    let is_dangerous = text
        .to_str()
        .and_then(|text| text.parse().ok())
        .is_some_and(|blocks: u64| (1 << 20..1 << 40).contains(&blocks));
    if is_dangerous { "1099511627776".into() } else { text }
}

fn size(rng: &mut Rng) -> OsString {
    const SIZES: &[&str] = &[
        "0",
        "1",
        "256",
        "511",
        "512",
        "513",
        "1024",
        "2048",
        "3000",
        "4096",
        "4097",
        "8192",
        "16384",
        "65536",
        "524288",
        "1048576",
        "2147483648",
        "4294971392",
    ];
    if rng.u32(..5) == 0 { number(rng) } else { pick(SIZES, rng).into() }
}

fn offset(rng: &mut Rng) -> OsString {
    const OFFSETS: &[&str] = &[
        "0",
        "1",
        "100",
        "511",
        "512",
        "1024",
        "4096",
        "8192",
        "12288",
        "1048576",
        "1228800",
        "4611686018427387904",
        "9223372036854774784",
        "9223372036854775296",
        "18446744073709551104",
    ];
    match rng.u32(..6) {
        0 => number(rng),
        1 => (512 * rng.u64(..4000)).to_string().into(),
        _ => pick(OFFSETS, rng).into(),
    }
}

fn hash(rng: &mut Rng) -> OsString {
    const NAMES: &[&str] = &[
        "sha256",
        "SHA256",
        "Sha512",
        "sha1",
        "md5",
        "sha3-256",
        "blake2b-512",
        "blake2s-256",
        "ripemd160",
        "sm3",
        "whirlpool",
        "sha224",
        "nosuch",
        "",
        "sha256:",
        "crc32",
        "sha3",
        "hmac(sha256)",
        "sha25",
        "sha2566",
        "aes",
        "verity",
        "sha512-256",
        "a-name-that-is-longer-than-the-superblock-has-room-for",
        "xxhash64",
        "null",
    ];
    pick(NAMES, rng).into()
}

fn salt(rng: &mut Rng) -> OsString {
    match rng.u32(..8) {
        0 => "ab".repeat(rng.usize(1..=256)).into(),
        1 => "cd".repeat(rng.usize(257..300)).into(),
        _ => pick(&["-", "--", "", "0", "aa", "AA", "aAbB", "zz", "aaa", "0xaa", " aa", "aa ", "-aa"], rng).into(),
    }
}

fn uuid(rng: &mut Rng) -> OsString {
    const UUIDS: &[&str] = &[
        "",
        "abc",
        "A60C98D2-AE9B-4865-BFCB-B4E3ACE11033",
        "{a60c98d2-ae9b-4865-bfcb-b4e3ace11033}",
        "a60c98d2ae9b4865bfcbb4e3ace11033",
        "00000000-0000-0000-0000-000000000000",
        "-",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        " a60c98d2-ae9b-4865-bfcb-b4e3ace11033",
        "a60c98d2-ae9b-4865-bfcb-b4e3ace1103",
        "g60c98d2-ae9b-4865-bfcb-b4e3ace11033",
        "urn:uuid:a60c98d2-ae9b-4865-bfcb-b4e3ace11033",
    ];
    pick(UUIDS, rng).into()
}

/// A root hash, valid or not.
pub(crate) fn root_hash(rng: &mut Rng) -> OsString {
    let zeros = |digits: usize| "0".repeat(digits).into();
    match rng.u32(..10) {
        0 => zeros(64),
        1 => zeros(rng.usize(..140)),
        2 => format!("{ROOT}00").into(),
        3 => format!("0{ROOT}").into(),
        4 => format!("{ROOT} ").into(),
        5 => "".into(),
        6 => "z".repeat(64).into(),
        7 => "ABCDEF01".repeat(8).into(),
        _ => ROOT.into(),
    }
}

/// A path in many spellings, of a file that exists or not.
pub(crate) fn path(rng: &mut Rng) -> OsString {
    const NAMES: &[&str] = &[
        "d",
        "h",
        "f",
        "new",
        "dir",
        "fifo",
        "sock",
        "link-d",
        "link-h",
        "hard-d",
        "hard-h",
        "dangling",
        "selfloop",
        "empty",
        "small",
        "tail",
        "sparse",
        "zero",
        "null",
        "full",
        "nosuch",
        "nosuch/new",
        "d/new",
        "dir/new",
        "",
        "./h",
        "dir/../h",
        "h/",
        "with blank",
        "/dev/zero",
        "/dev/null",
        "/dev/full",
        ".",
        "/",
        "..",
        "%s%n",
        "\u{e9}",
        "/proc/version",
        "r",
        "-",
        "nodes/zero",
        "@HERE@/h",
        "@HERE@/new",
        "locked",
        "old-d",
    ];
    match rng.u32(..60) {
        0 => "x".repeat(rng.usize(200..300)).into(),
        1 => OsString::from_vec(b"n\xff".to_vec()),
        2 => OsString::from_vec(b"new\xfe".to_vec()),
        3 => "e\u{1b}[1m".into(),
        4 => "new\nline".into(),
        _ => pick(NAMES, rng).into(),
    }
}

/// A name of a mapping.
pub(crate) fn name(rng: &mut Rng) -> OsString {
    match rng.u32(..12) {
        0 => "a".repeat(rng.usize(120..140)).into(),
        1 => pick(&["a/b", "/", "/dev/null", "../x", "/dev/mapper/../mapper/v0", "d", "./d", "dir"], rng).into(),
        2 => pick(&["", ".", "..", "a b", "\u{e9}", "a\nb", "control", "-", "%s"], rng).into(),
        3 => OsString::from_vec(b"v\xff".to_vec()),
        4 => "/dev/mapper/dmverity-diff".into(),
        _ => "dmverity-diff".into(),
    }
}

/// Makes a value of some kind.
pub(crate) type Value = fn(&mut Rng) -> OsString;

/// Every option of the reference with a value of its kind.
pub(crate) const VALUED: &[(&str, Value)] = &[
    ("data-block-size", size),
    ("hash-block-size", size),
    ("data-blocks", blocks),
    ("hash-offset", offset),
    ("fec-offset", offset),
    ("fec-roots", fec_roots),
    ("format", format),
    ("hash", hash),
    ("salt", salt),
    ("uuid", uuid),
    ("fec-device", path),
    ("root-hash-file", path),
    ("root-hash-signature", path),
];

pub(crate) const FLAGS: &[&str] = &[
    "check-at-most-once",
    "cancel-deferred",
    "deferred",
    "ignore-corruption",
    "ignore-zero-blocks",
    "no-superblock",
    "panic-on-corruption",
    "restart-on-corruption",
    "use-tasklets",
    "verbose",
    "debug",
    "shared",
    "error-as-corruption",
    "batch-mode",
];

fn fec_roots(rng: &mut Rng) -> OsString {
    if rng.u32(..4) == 0 {
        return number(rng);
    }
    pick(&["0", "1", "2", "3", "12", "23", "24", "25", "255", "256", "258", "4294967298"], rng).into()
}

fn format(rng: &mut Rng) -> OsString {
    if rng.u32(..4) == 0 { number(rng) } else { pick(&["0", "1", "2", "3", "257"], rng).into() }
}

/// A mistyped option, or an existing one without its value.
pub(crate) fn unknown_option(rng: &mut Rng) -> OsString {
    const ODD: &[&str] = &[
        "--bogus",
        "-x",
        "--data-bl=3",
        "--SALT=aa",
        "-salt",
        "--no-superbloc",
        "---",
        "-",
        "--=",
        "-=",
        "--salt",
        "--uuid",
        "-s",
        "-h",
        "--debug=1",
        "--verbose=",
        "-vx",
        "--data-blocks",
        "--\u{e9}",
        "--hash-offset=",
        "--no-no-superblock",
        "-vv",
        "-vs",
        "-Vx",
    ];
    if rng.u32(..20) == 0 { OsString::from_vec(b"--b\xff".to_vec()) } else { pick(ODD, rng).into() }
}
