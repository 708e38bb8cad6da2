//! Random images with forward error correction (FEC), and the position of each of their bytes according to the format's
//! description.

use std::collections::BTreeMap;
use std::iter;
use std::ops::Range;

use crate::sandbox::{Outcome, Sandbox};
use crate::ways::Way;

/// The bytes of a codeword: RS(255, 255 - roots).
const SYMBOLS: usize = 255;

/// Files by their names: `data`, and `hash` and `fec` where those areas are not on one of the others.
pub(crate) type Files = BTreeMap<&'static str, Vec<u8>>;

/// A byte of a file.
pub(crate) type Place = (&'static str, usize);

/// A byte of a codeword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Symbol {
    /// The number of the covered block that it belongs to; `None` for parity.
    pub(crate) block: Option<usize>,
    pub(crate) place: Place,
}

/// The parameters that determine the size of a hash tree.
#[derive(Clone, Debug)]
pub(crate) struct Hashing {
    algorithm: &'static str,
    hash_type: u32,
    pub(crate) block: usize,
    fan_out: usize,
}

impl Hashing {
    pub(crate) fn random(rng: &mut fastrand::Rng, block: usize) -> Self {
        let (algorithm, digest_size) = [("sha256", 32_usize), ("sha1", 20), ("sha512", 64)][rng.usize(..3)];
        let hash_type = u32::from(rng.u32(..4) != 0);
        let stride = if hash_type == 1 { digest_size.next_power_of_two() } else { digest_size };
        Self { algorithm, hash_type, block, fan_out: 1 << (block / stride).ilog2() }
    }

    /// How many blocks each level has; the first is over the data.
    pub(crate) fn levels(&self, data_blocks: usize) -> Vec<usize> {
        let above = |&below: &usize| (below > 1).then(|| below.div_ceil(self.fan_out));
        iter::successors(Some(data_blocks), above).skip(1).collect()
    }
}

/// An image, and where its areas are. Blocks are numbered as FEC does: the data blocks, then those of the hash device
/// from the first hash block on.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) hashing: Hashing,
    pub(crate) roots: usize,
    pub(crate) data_blocks: usize,
    salt: String,
    superblock: bool,
    /// The file with the tree.
    pub(crate) hash: &'static str,
    /// The file with the parity.
    pub(crate) fec: &'static str,
    hash_offset: usize,
    fec_offset: usize,
    /// The number of the first hash block on the hash device.
    first_hash_block: usize,
    pub(crate) hash_blocks: usize,
    /// How many blocks FEC covers, and the blocks of each piece that codewords take their bytes from.
    pub(crate) covered: usize,
    pub(crate) rounds: usize,
    /// The lengths of the files before the format; a file that is missing here does not exist.
    older: BTreeMap<&'static str, usize>,
    /// Whether the number of data blocks is given; otherwise it is the whole device's.
    says_data_blocks: bool,
}

impl Image {
    pub(crate) fn random(rng: &mut fastrand::Rng, hashing: Hashing, roots: usize, data_blocks: usize) -> Self {
        let block = hashing.block;
        let superblock = rng.u32(..4) != 0;
        // Up to 2.8 the reference cannot put a superblock without a tree anywhere but at the start of a file.
        let hash = if data_blocks > 1 && rng.u32(..3) == 0 { "data" } else { "hash" };
        let fec = match rng.u32(..4) {
            0 => hash,
            1 => "data",
            _ => "fec",
        };
        let data_end = data_blocks * block;
        let hash_offset = match (hash, superblock) {
            ("data", true) => data_end + 512 * rng.usize(..10),
            ("data", false) => data_end + block * rng.usize(..3),
            _ if data_blocks == 1 || rng.bool() => 0,
            (_, true) => 512 * rng.usize(..20),
            (_, false) => block * rng.usize(..3),
        };
        let first_hash_block = if superblock { (hash_offset + 512).div_ceil(block) } else { hash_offset / block };
        let hash_blocks: usize = hashing.levels(data_blocks).iter().sum();
        let hash_end = (first_hash_block + hash_blocks) * block;
        let first_free = match fec {
            "fec" => 0,
            _ if fec == hash => hash_end,
            _ => data_end,
        };
        let fec_offset = first_free + if rng.bool() { 512 * rng.usize(..40) } else { 0 };

        let (data_is_shared, fec_is_on_hash) = (hash == "data" || fec == "data", fec == hash);
        let tail = if rng.bool() { rng.usize(..block) } else { 0 };
        let foreign = |rng: &mut fastrand::Rng| if rng.bool() { rng.usize(..60_000) } else { 0 };
        let mut older = BTreeMap::from([("data", data_end + if data_is_shared { foreign(rng) } else { tail })]);
        if hash == "hash" && rng.bool() {
            older.insert("hash", rng.usize(..hash_end + 60_000));
        }
        if fec == "fec" && rng.bool() {
            older.insert("fec", rng.usize(..100_000));
        }
        if fec_is_on_hash {
            // Up to 2.8 the reference cannot make a hash device long enough to reach the FEC area.
            let longer = fec_offset + foreign(rng);
            older.entry(hash).and_modify(|bytes| *bytes = longer.max(*bytes)).or_insert(longer);
        }
        let covered_end = if fec_is_on_hash { fec_offset } else { hash_end.max(older.get(hash).copied().unwrap_or(0)) };
        let covered = data_blocks + (covered_end / block).saturating_sub(first_hash_block);
        let salt_len = [0, 1, 32, 256][rng.usize(..4)];
        Self {
            roots,
            data_blocks,
            salt: hex::encode(iter::repeat_with(|| rng.u8(..)).take(salt_len).collect::<Vec<_>>()),
            superblock,
            hash,
            fec,
            hash_offset,
            fec_offset,
            first_hash_block,
            hash_blocks,
            covered,
            rounds: covered.div_ceil(SYMBOLS - roots),
            older,
            says_data_blocks: data_is_shared || rng.bool(),
            hashing,
        }
    }

    /// The files before the format: data, and bytes around the other areas that must be kept.
    pub(crate) fn older_files(&self, rng: &mut fastrand::Rng) -> Files {
        let mut random = |len: usize| {
            let mut bytes = vec![0; len];
            rng.fill(&mut bytes);
            bytes
        };
        self.older.iter().map(|(&name, &len)| (name, random(len))).collect()
    }

    /// The files that the image consists of.
    pub(crate) fn read(&self, sandbox: &Sandbox) -> Files {
        ["data", self.hash, self.fec].map(|name| (name, sandbox.read(name))).into()
    }

    fn fec_options(&self) -> [String; 3] {
        [
            format!("--fec-device={}", self.fec),
            format!("--fec-roots={}", self.roots),
            format!("--fec-offset={}", self.fec_offset),
        ]
    }

    /// The options that describe the image to a command that does not read its superblock.
    fn options(&self) -> Vec<String> {
        let salt = if self.salt.is_empty() { "-" } else { &self.salt };
        let mut options = vec![
            format!("--hash={}", self.hashing.algorithm),
            format!("--format={}", self.hashing.hash_type),
            format!("--data-block-size={}", self.hashing.block),
            format!("--hash-block-size={}", self.hashing.block),
            format!("--hash-offset={}", self.hash_offset),
            format!("--salt={salt}"),
        ];
        if self.says_data_blocks {
            options.push(format!("--data-blocks={}", self.data_blocks));
        }
        options.push(if self.superblock {
            format!("--uuid={}", crate::reference::UUID)
        } else {
            "--no-superblock".into()
        });
        options
    }

    /// The command that formats it.
    pub(crate) fn format(&self) -> Vec<String> {
        let command = ["format", "data", self.hash].map(str::to_owned);
        command.into_iter().chain(self.options()).chain(self.fec_options()).collect()
    }

    /// A command that checks it against a root hash, without FEC.
    pub(crate) fn check_without_fec(&self, action: &str, root_hash: &str) -> Vec<String> {
        let command = [action, "data", self.hash, root_hash].map(str::to_owned).into_iter();
        if self.superblock {
            command.chain([format!("--hash-offset={}", self.hash_offset)]).collect()
        } else {
            command.chain(self.options()).collect()
        }
    }

    /// The same with FEC.
    pub(crate) fn check(&self, action: &str, root_hash: &str) -> Vec<String> {
        self.check_without_fec(action, root_hash).into_iter().chain(self.fec_options()).collect()
    }

    /// The command that shows it, if it has a superblock.
    pub(crate) fn dump(&self) -> Option<Vec<String>> {
        let command = ["dump", self.hash, &format!("--hash-offset={}", self.hash_offset)].map(str::to_owned);
        self.superblock.then(|| command.into_iter().chain(self.fec_options()).collect())
    }

    /// How many codewords there are. Codeword `round * block size + byte` takes its bytes from the blocks of one round.
    pub(crate) fn codewords(&self) -> usize {
        self.rounds * self.hashing.block
    }

    /// A codeword's symbol; `None` for the zeros past the last block. The last `roots` symbols are parity.
    fn symbol(&self, codeword: usize, symbol: usize) -> Option<Symbol> {
        let data_symbols = SYMBOLS - self.roots;
        if symbol >= data_symbols {
            let place = (self.fec, self.fec_offset + codeword * self.roots + symbol - data_symbols);
            return Some(Symbol { block: None, place });
        }
        let position = symbol * self.codewords() + codeword;
        let number = position / self.hashing.block;
        (number < self.covered).then(|| {
            let (name, range) = self.block(number);
            Symbol { block: Some(number), place: (name, range.start + position % self.hashing.block) }
        })
    }

    /// All symbols of a codeword that are stored.
    pub(crate) fn symbols(&self, codeword: usize) -> impl Iterator<Item = Symbol> {
        (0..SYMBOLS).filter_map(move |symbol| self.symbol(codeword, symbol))
    }

    /// The position of a covered block.
    pub(crate) fn block(&self, number: usize) -> (&'static str, Range<usize>) {
        let (name, block) = match number.checked_sub(self.data_blocks) {
            None => ("data", number),
            Some(behind) => (self.hash, self.first_hash_block + behind),
        };
        (name, block * self.hashing.block..(block + 1) * self.hashing.block)
    }

    /// How many blocks the tree proves: all covered blocks except those after it.
    pub(crate) fn proven(&self) -> usize {
        self.data_blocks + self.hash_blocks
    }

    /// The bytes of the parity in its file.
    pub(crate) fn parity(&self) -> Range<usize> {
        self.fec_offset..self.fec_offset + self.codewords() * self.roots
    }

    /// The numbers of each level's blocks; the first are the data blocks, the last is the top block.
    pub(crate) fn levels(&self) -> Vec<Range<usize>> {
        let mut end = self.proven();
        let above = self.hashing.levels(self.data_blocks).into_iter().map(|blocks| {
            end -= blocks;
            end..end + blocks
        });
        iter::once(0..self.data_blocks).chain(above).collect()
    }

    /// The hash block with a block's digest; none for the top block and for blocks that the tree does not prove.
    fn parent(&self, number: usize) -> Option<usize> {
        let levels = self.levels();
        let level = levels.iter().position(|blocks| blocks.contains(&number))?;
        let above = levels.get(level + 1)?;
        Some(above.start + (number - levels[level].start) / self.hashing.fan_out)
    }

    /// All blocks on the way from a block up to the top.
    pub(crate) fn ancestors(&self, number: usize) -> impl Iterator<Item = usize> + '_ {
        iter::successors(self.parent(number), |&number| self.parent(number))
    }

    /// Whether neither of two blocks is below the other in the tree.
    pub(crate) fn are_apart(&self, one: usize, other: usize) -> bool {
        one != other
            && self.ancestors(one).all(|above| above != other)
            && self.ancestors(other).all(|above| above != one)
    }
}

/// Runs a command in a sandbox in one of the ways.
pub(crate) fn run(sandbox: &Sandbox, way: &Way, arguments: &[String]) -> Outcome {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let output = way.command(sandbox, &arguments).output();
    let outcome: Outcome = output.unwrap_or_else(|error| panic!("{way}: {error}")).into();
    outcome.without_uncovered()
}

/// Writes all the files.
pub(crate) fn write(sandbox: &Sandbox, files: &Files) {
    for (name, bytes) in files {
        sandbox.write(name, bytes);
    }
}

/// How many bytes differ between files of the same lengths.
pub(crate) fn different_bytes(files: &Files, others: &Files) -> usize {
    let different =
        |(name, bytes): (&&str, &Vec<u8>)| bytes.iter().zip(&others[name]).filter(|(one, other)| one != other).count();
    files.iter().map(different).sum()
}

/// Changes a byte to another value.
pub(crate) fn damage(files: &mut Files, (name, offset): Place, rng: &mut fastrand::Rng) {
    files.get_mut(name).expect("a file of the image")[offset] ^= rng.u8(1..);
}

/// Changes this many of these symbols.
pub(crate) fn damage_some(
    files: &mut Files,
    symbols: impl Iterator<Item = Symbol>,
    count: usize,
    rng: &mut fastrand::Rng,
) {
    for symbol in rng.choose_multiple(symbols, count) {
        damage(files, symbol.place, rng);
    }
}
