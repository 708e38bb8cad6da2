//! The image that a case is about.

use std::ffi::OsString;
use std::fmt;

use fastrand::Rng;

use crate::words::Word;

pub(crate) const UUID: &str = "a60c98d2-ae9b-4865-bfcb-b4e3ace11033";

/// At most this much data, so that a case takes milliseconds.
const MOST_DATA: u64 = 1 << 20;

/// The algorithms that every reference tool's OpenSSL has.
const ALGORITHMS: &[&str] = &[
    "sha1",
    "sha224",
    "sha256",
    "sha384",
    "sha512",
    "sha3-256",
    "sha3-512",
    "blake2b-512",
    "blake2s-256",
    "ripemd160",
    "whirlpool",
    "sm3",
    "md5",
];

/// Where the parity is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FecPlace {
    Own,
    OnHash,
    OnData,
}

/// Good parameters.
#[derive(Clone)]
pub(crate) struct Image {
    pub(crate) algorithm: &'static str,
    pub(crate) hash_type: u32,
    pub(crate) data_block_size: u64,
    pub(crate) hash_block_size: u64,
    pub(crate) data_blocks: u64,
    /// Bytes of the data file that no block covers.
    pub(crate) tail: u64,
    pub(crate) salt: String,
    pub(crate) superblock: bool,
    pub(crate) hash_offset: u64,
    pub(crate) one_device: bool,
    pub(crate) fec: Option<(FecPlace, u32, u64)>,
}

impl Image {
    pub(crate) fn random(rng: &mut Rng) -> Self {
        let usual = rng.u32(..3) == 0;
        let block = |rng: &mut Rng| 512 << if rng.bool() { 3 } else { rng.u32(0..=5) };
        let (data_block_size, mut hash_block_size) = if usual { (4096, 4096) } else { (block(rng), block(rng)) };
        let has_fec = rng.u32(..3) == 0;
        if has_fec {
            hash_block_size = data_block_size;
        }
        let most = (MOST_DATA / data_block_size).min(300);
        let data_blocks = match rng.u32(..4) {
            0 => rng.u64(1..=4),
            1 => [15, 16, 17, 127, 128, 129, 256][rng.usize(..7)],
            _ => rng.u64(1..=most),
        }
        .min(most);
        let one_device = rng.u32(..4) == 0;
        let superblock = rng.u32(..5) != 0;
        let data_bytes = data_blocks * data_block_size;
        let hash_offset = match (one_device, superblock) {
            (true, false) => data_bytes.next_multiple_of(hash_block_size),
            (true, true) => data_bytes.next_multiple_of(512) + 512 * rng.u64(..4),
            (false, false) => hash_block_size * rng.u64(..3),
            (false, true) => 512 * rng.u64(..2) * rng.u64(..20),
        };
        let algorithm = if usual { "sha256" } else { ALGORITHMS[rng.usize(..ALGORITHMS.len())] };
        let mut image = Self {
            algorithm,
            hash_type: u32::from(rng.u32(..4) != 0),
            data_block_size,
            hash_block_size,
            data_blocks,
            tail: if one_device || rng.bool() { 0 } else { rng.u64(..data_block_size) },
            salt: "5a".repeat([0, 1, 1, 32, 32, 255, 256][rng.usize(..7)]),
            superblock,
            hash_offset,
            one_device,
            fec: None,
        };
        if has_fec {
            let roots = [2, 2, 3, 8, 24][rng.usize(..5)];
            let place = match rng.u32(..6) {
                0 | 1 => FecPlace::OnHash,
                2 if !one_device => FecPlace::OnData,
                _ => FecPlace::Own,
            };
            let offset = match place {
                FecPlace::OnHash => image.hash_end() + data_block_size * rng.u64(..2),
                FecPlace::OnData => (data_bytes + image.tail).next_multiple_of(512) + 512 * rng.u64(..2),
                FecPlace::Own => 4096 * rng.u64(..2),
            };
            image.fec = Some((place, roots, offset));
        }
        image
    }

    /// Whether every version of the reference can make it: some leave the file of one data block too short, or fail.
    pub(crate) fn is_easy(&self) -> bool {
        self.data_blocks > 1
    }

    /// The end of the tree, generously: nothing that follows it overlaps.
    fn hash_end(&self) -> u64 {
        let tree = (self.data_blocks * 2 + 8) * 128 + 8 * self.hash_block_size;
        (self.hash_offset + 512 + tree).next_multiple_of(self.hash_block_size.max(4096))
    }

    pub(crate) fn hash_device(&self) -> &'static str {
        if self.one_device { "d" } else { "h" }
    }

    pub(crate) fn data_bytes(&self) -> u64 {
        self.data_blocks * self.data_block_size
    }

    /// The options with which it is formatted.
    pub(crate) fn format_options(&self) -> Vec<Word> {
        let mut words = self.described();
        if self.superblock {
            words.push(Word::option("uuid", UUID));
        }
        words
    }

    /// The options with which an action finds it, and that describe it if no superblock does.
    pub(crate) fn use_options(&self) -> Vec<Word> {
        if !self.superblock {
            return self.described();
        }
        let mut words = Vec::new();
        if self.hash_offset != 0 {
            words.push(Word::option("hash-offset", self.hash_offset.to_string()));
        }
        self.add_fec(&mut words);
        words
    }

    fn described(&self) -> Vec<Word> {
        let salt: OsString = if self.salt.is_empty() { "-".into() } else { self.salt.clone().into() };
        let mut words = vec![Word::option("salt", salt)];
        let mut add = |name: &str, value: String, default: &str| {
            if value != default {
                words.push(Word::option(name, value));
            }
        };
        add("hash", self.algorithm.to_owned(), "sha256");
        add("format", self.hash_type.to_string(), "1");
        add("data-block-size", self.data_block_size.to_string(), "4096");
        add("hash-block-size", self.hash_block_size.to_string(), "4096");
        add("hash-offset", self.hash_offset.to_string(), "0");
        let has_more = matches!(self.fec, Some((FecPlace::OnData, ..)));
        if self.one_device || self.tail > 0 || has_more {
            words.push(Word::option("data-blocks", self.data_blocks.to_string()));
        }
        if !self.superblock {
            words.push(Word::flag("no-superblock"));
        }
        self.add_fec(&mut words);
        words
    }

    fn add_fec(&self, words: &mut Vec<Word>) {
        let Some((place, roots, offset)) = self.fec else { return };
        let device = match place {
            FecPlace::Own => "f",
            FecPlace::OnHash => self.hash_device(),
            FecPlace::OnData => "d",
        };
        words.push(Word::option("fec-device", device));
        if roots != 2 {
            words.push(Word::option("fec-roots", roots.to_string()));
        }
        if offset != 0 {
            words.push(Word::option("fec-offset", offset.to_string()));
        }
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} blocks of {} and {} by {}, type {}, salt of {} bytes, {}hash area at {} of {}, FEC {:?}",
            self.data_blocks,
            self.data_block_size,
            self.hash_block_size,
            self.algorithm,
            self.hash_type,
            self.salt.len() / 2,
            if self.superblock { "" } else { "no superblock, " },
            self.hash_offset,
            self.hash_device(),
            self.fec,
        )
    }
}
