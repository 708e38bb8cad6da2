//! A case: an image, its faults, and a few commands, all determined by a seed and a number.

use std::ffi::OsString;

use fastrand::Rng;

use crate::image::{FecPlace, Image, UUID};
use crate::words::{self, FLAGS, ROOT, VALUED, Word};

/// The intended command, before mutations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Format,
    Verify,
    Dump,
    Open,
    Close,
    Status,
    Nonsense,
}

/// A change to the files between the setup and the commands.
#[derive(Clone, Debug)]
pub(crate) enum Damage {
    /// Inverts bits of some bytes in a stretch of a file, given in thousandths of its length.
    Bytes { file: &'static str, from: u64, to: u64, count: usize },
    /// Puts bytes at an offset from the start of the superblock.
    Superblock { offset: u64, bytes: Vec<u8> },
    /// Cuts a file to so many thousandths of its length, and to whole units of 512 bytes if `aligned`.
    Cut { file: &'static str, to: u64, aligned: bool },
    /// Bytes at the end.
    Longer { file: &'static str, by: usize },
    /// Holes instead of everything.
    Zeros { file: &'static str },
}

/// One command.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) kind: Kind,
    pub(crate) arguments: Vec<OsString>,
    /// How many mutations may make it fail.
    pub(crate) changes: u32,
}

#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) seed: u64,
    pub(crate) number: u64,
    pub(crate) image: Image,
    /// Whether the image has been formatted when the commands start.
    pub(crate) is_made: bool,
    pub(crate) damage: Vec<Damage>,
    pub(crate) root_hash_file: RootHashFile,
    /// Run as an unprivileged user.
    pub(crate) as_nobody: bool,
    pub(crate) steps: Vec<Step>,
}

/// The content of the root hash file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RootHashFile {
    Digits,
    WithNewline,
    WithText,
    TooShort,
    Other,
}

impl Case {
    /// Everything that is not in the command lines.
    pub(crate) fn described(&self) -> String {
        let Self { seed, number, image, is_made, damage, root_hash_file, as_nobody, .. } = self;
        format!(
            "seed {seed}, case {number}: {image:?}\nmade first: {is_made}, damage: {damage:?}, root hash file: \
             {root_hash_file:?}, as nobody: {as_nobody}\n"
        )
    }

    /// How to reproduce it.
    pub(crate) fn again(&self) -> String {
        format!("again: make diff SEED={} CASE={}\n", self.seed, self.number)
    }

    /// How many reasons there may be to refuse a command.
    pub(crate) fn faults(&self, step: &Step) -> usize {
        // Device-mapper may be missing, and the name invalid; an unprivileged user can neither read nor write.
        let kernel = if matches!(step.kind, Kind::Open | Kind::Close | Kind::Status) { 2 } else { 0 };
        let nobody = if self.as_nobody { 2 } else { 0 };
        // Without an image, it has the digits of another one's.
        let file = usize::from(self.root_hash_file != RootHashFile::Digits || !self.is_made);
        // The reference fails if nothing has been written before the FEC area.
        let fec = usize::from(matches!(self.image.fec, Some((FecPlace::OnHash | FecPlace::OnData, ..))));
        kernel + nobody + file + fec + self.damage.len() + step.changes as usize
    }

    pub(crate) fn new(seed: u64, number: u64) -> Self {
        let mut rng = Rng::with_seed(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(number));
        let rng = &mut rng;
        let kind = match rng.u32(..100) {
            0..=37 => Kind::Format,
            38..=69 => Kind::Verify,
            70..=81 => Kind::Dump,
            82..=89 => Kind::Open,
            90..=92 => Kind::Close,
            93..=95 => Kind::Status,
            _ => Kind::Nonsense,
        };
        let mut image = Image::random(rng);
        let is_made = kind != Kind::Format || rng.u32(..3) == 0;
        while is_made && !image.is_easy() {
            image = Image::random(rng);
        }
        let damage = if is_made { damage(&image, rng) } else { Vec::new() };
        let root_hash_file = match rng.u32(..8) {
            0 => RootHashFile::WithNewline,
            1 => RootHashFile::WithText,
            2 => RootHashFile::TooShort,
            3 => RootHashFile::Other,
            _ => RootHashFile::Digits,
        };
        let mut steps = vec![step(kind, &image, rng)];
        if kind == Kind::Format {
            steps.push(step(Kind::Verify, &image, rng));
            if rng.bool() {
                steps.push(step(Kind::Dump, &image, rng));
            }
        }
        let as_nobody = rng.u32(..25) == 0;
        Self { seed, number, image, is_made, damage, root_hash_file, as_nobody, steps }
    }
}

fn step(kind: Kind, image: &Image, rng: &mut Rng) -> Step {
    let mut words = plain(kind, image, rng);
    let changes = match rng.u32(..10) {
        0..=4 => 0,
        5..=8 => 1,
        _ => rng.u32(2..6),
    };
    let changes = (0..changes).map(|_| change(&mut words, rng)).sum();
    make_repeatable(&mut words);
    make_short(&mut words);
    let mut arguments = words::spell(&words, rng);
    let mut changes = changes;
    if changes > 0 && rng.u32(..15) == 0 {
        arguments.insert(rng.usize(..=arguments.len()), words::unknown_option(rng));
        changes += 1;
    }
    Step { kind, arguments, changes }
}

/// A command without a fault.
fn plain(kind: Kind, image: &Image, rng: &mut Rng) -> Vec<Word> {
    let root_hash = |rng: &mut Rng, words: &mut Vec<Word>| {
        if rng.u32(..4) == 0 {
            words.push(Word::option("root-hash-file", "r"));
        } else {
            words.push(Word::argument(ROOT));
        }
    };
    let hash = image.hash_device();
    let mut words = Vec::new();
    match kind {
        Kind::Format => {
            words.extend([Word::argument("format"), Word::argument("d"), Word::argument(hash)]);
            words.extend(image.format_options());
            if rng.u32(..6) == 0 {
                words.push(Word::option("root-hash-file", "new-root"));
            }
        }
        Kind::Verify => {
            words.extend([Word::argument("verify"), Word::argument("d"), Word::argument(hash)]);
            root_hash(rng, &mut words);
            words.extend(image.use_options());
        }
        Kind::Dump => {
            words.extend([Word::argument("dump"), Word::argument(hash)]);
            words.extend(image.use_options());
        }
        Kind::Open => {
            let name = words::name(rng);
            let devices = ["d".into(), name, hash.into()].map(Word::Argument);
            if rng.u32(..4) == 0 {
                let [data, name, hash] = devices;
                words.extend([Word::argument("create"), name, data, hash]);
            } else {
                words.push(Word::argument("open"));
                words.extend(devices);
            }
            root_hash(rng, &mut words);
            words.extend(image.use_options());
        }
        Kind::Close | Kind::Status => {
            let action = match kind {
                Kind::Status => "status",
                _ if rng.u32(..3) == 0 => "remove",
                _ => "close",
            };
            words.extend([Word::argument(action), Word::Argument(words::name(rng))]);
        }
        Kind::Nonsense => {
            const TEXTS: &[&str] =
                &["", "form", "FORMAT", "help", "luksFormat", "d", "verify", "dump", "open", "close"];
            for _ in 0..rng.usize(..3) {
                words.push(Word::argument(TEXTS[rng.usize(..TEXTS.len())]));
            }
            if rng.u32(..3) == 0 {
                words.push(Word::flag(["help", "usage", "version"][rng.usize(..3)]));
            }
        }
    }
    words
}

/// Mutates a command as users, scripts and attackers do. Returns how many faults that may cause.
fn change(words: &mut Vec<Word>, rng: &mut Rng) -> u32 {
    let place = rng.usize(..=words.len().saturating_sub(1));
    let change = rng.u32(..16);
    match change {
        // Another path, or something else, instead of an argument.
        0..=3 => {
            let arguments: Vec<usize> =
                (1..words.len()).filter(|&index| matches!(words[index], Word::Argument(_))).collect();
            if let Some(&index) = arguments.get(rng.usize(..arguments.len().max(1))) {
                let is_root_hash = matches!(&words[index], Word::Argument(text) if text == ROOT);
                words[index] = Word::Argument(if is_root_hash { words::root_hash(rng) } else { words::path(rng) });
            }
        }
        // One more option, or the same with another value.
        4..=9 => {
            let (name, value) = VALUED[rng.usize(..VALUED.len())];
            let word = Word::Option(name.to_owned(), Some(value(rng)));
            match words.iter().position(|word| word.is(name)) {
                Some(index) if rng.bool() => words[index] = word,
                _ => words.push(word),
            }
        }
        10 | 11 => {
            let flag = FLAGS[rng.usize(..FLAGS.len())];
            words.push(Word::flag(flag));
            // The superblock's values are missing then.
            if flag == "no-superblock" {
                return 2;
            }
        }
        // A word is missing, repeated, or added.
        12 if !words.is_empty() => drop(words.remove(place)),
        13 if !words.is_empty() => words.insert(place, words[place].clone()),
        14 => words.push(Word::Argument(if rng.bool() { words::path(rng) } else { words::root_hash(rng) })),
        15 if !words.is_empty() => {
            const ACTIONS: &[&str] = &["format", "verify", "dump", "open", "create", "close", "remove", "status"];
            words[0] = Word::argument(ACTIONS[rng.usize(..ACTIONS.len())]);
        }
        _ => (),
    }
    // A missing or added argument shifts the others.
    if change < 12 { 1 } else { 2 }
}

/// Sets the values that `format` would choose at random.
fn make_repeatable(words: &mut Vec<Word>) {
    let formats = words.iter().any(|word| matches!(word, Word::Argument(text) if text == "format"));
    for (name, value) in [("salt", "5a"), ("uuid", UUID)] {
        if formats && !words.iter().any(|word| word.is(name)) {
            words.push(Word::option(name, value));
        }
    }
}

/// The file of a tebibyte is never read to its end.
fn make_short(words: &mut Vec<Word>) {
    if words.iter().any(|word| matches!(word, Word::Argument(text) if text == "sparse")) {
        let bounded = ["data-blocks", "fec-device", "data-block-size", "hash-block-size"];
        words.retain(|word| !bounded.iter().any(|name| word.is(name)));
        words.push(Word::option("data-blocks", "200"));
    }
    // Ours reads a root hash file to its end, and the FIFO's other end stays open.
    let formats = words.iter().any(|word| matches!(word, Word::Argument(text) if text == "format"));
    for word in words.iter_mut().filter(|word| word.is("root-hash-file") && !formats) {
        if matches!(word, Word::Option(_, Some(value)) if value == "fifo") {
            *word = Word::option("root-hash-file", "r");
        }
    }
    // Everything before a FEC area on the hash device has parity, and everything before the tree.
    let is_far = |word: &Word| {
        let Word::Option(name, Some(value)) = word else { return false };
        let value = value.to_str().and_then(|value| value.trim().parse::<u64>().ok());
        (name == "hash-offset" || name == "fec-offset") && value.is_some_and(|offset| offset > 1 << 26)
    };
    if words.iter().any(is_far) {
        words.retain(|word| !word.is("fec-device"));
    }
}

fn damage(image: &Image, rng: &mut Rng) -> Vec<Damage> {
    let count = match rng.u32(..10) {
        0..=4 => 0,
        5..=8 => 1,
        _ => 2,
    };
    (0..count).map(|_| one_damage(image, rng)).collect()
}

fn one_damage(image: &Image, rng: &mut Rng) -> Damage {
    let hash = image.hash_device();
    let file = ["d", hash, "f"][rng.usize(..3)];
    let bytes = |rng: &mut Rng| [1, 1, 3, 40, 1000][rng.usize(..5)];
    match rng.u32(..12) {
        0..=2 => {
            let from = rng.u64(..990);
            Damage::Bytes { file, from, to: from + 10, count: bytes(rng) }
        }
        3 => Damage::Bytes { file, from: 0, to: 1000, count: bytes(rng) },
        4..=8 => superblock(rng),
        9 => Damage::Cut { file, to: rng.u64(..1000), aligned: rng.bool() },
        10 => Damage::Longer { file, by: [1, 512, 4096, 5000, 100_000][rng.usize(..5)] },
        _ => Damage::Zeros { file },
    }
}

/// One field of the superblock with another value.
fn superblock(rng: &mut Rng) -> Damage {
    let number = |value: u64, bytes: usize| value.to_le_bytes()[..bytes].to_vec();
    let odd = [0, 1, 2, 3, 511, 512, 1024, 4096, 4097, 8192, 1 << 19, 1 << 20, 1 << 31, u64::MAX >> 1, u64::MAX];
    let odd = odd[rng.usize(..odd.len())];
    let (offset, bytes) = match rng.u32(..12) {
        0 => (rng.u64(..8), vec![rng.u8(..)]),
        1 => (8, number(odd, 4)),
        2 => (12, number(odd, 4)),
        3 => (16, vec![rng.u8(..); 16]),
        4 => {
            const NAMES: [&str; 10] =
                ["", "nosuch", "SHA256", "sha1", "sha512", "\u{1b}[1m", "sha256 ", "a\nb", "crc32", "sha256\0x"];
            let mut name = NAMES[rng.usize(..NAMES.len())].as_bytes().to_vec();
            name.resize(32, 0);
            (32, name)
        }
        5 => (32, vec![b's'; 32]),
        6 => (64, number(odd, 4)),
        7 => (68, number(odd, 4)),
        8 => (72, number(odd, 8)),
        9 => (80, number([0, 1, 255, 256, 257, 65535][rng.usize(..6)], 2)),
        10 => (82, vec![1; 6]),
        _ => (88 + rng.u64(..424), vec![rng.u8(1..)]),
    };
    Damage::Superblock { offset, bytes }
}
