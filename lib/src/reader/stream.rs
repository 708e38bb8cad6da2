//! Checking data while they pass: each block is proven before it is handed on.

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use super::check::Checker;
use super::corruption::{Corruption, Fault};
use crate::error::{Error, Result};
use crate::format::{Layout, Params};
use crate::image::Image;
use crate::io::{Buffers, Device, Piece, Stream};
use crate::memory;
use crate::value::RootHash;
use crate::work::{Progress, Work};

/// How many bytes of hash blocks are kept: those that threads are at, and all above them.
const CACHE_BYTES: u64 = 8 << 20;

/// Checks data that come as a stream, while it passes: from a pipe, a download, a backup. What the root hash has proven
/// can be handed on, block by block; it is the bytes that were hashed. Memory does not grow with the data.
///
/// # Examples
/// ```
/// use dmverity::{Params, StreamVerifier, TreeBuilder, Work};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let hash = directory.path().join("hash.img");
/// let mut data = [7; 40960];
/// let made = TreeBuilder::new(&data[..]).format(&hash, None, Params::builder(), &Work::default())?;
///
/// data[10_000] = 8;
/// let params = dmverity::load(&hash, 0, None)?;
/// let mut proven = Vec::new();
/// let verifier = StreamVerifier::new(&data[..]).hand_on(&mut proven, "the copy");
/// let bad = verifier.verify(&hash, &params, &made.root_hash, &Work::default())?.expect("a bad block");
/// assert_eq!((bad.block, proven.len()), (2, 8192));
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct StreamVerifier<'r> {
    reader: Box<dyn Read + Send + 'r>,
    name: PathBuf,
    hand_on: Option<(Box<dyn Write + Send + 'r>, PathBuf)>,
}

impl fmt::Debug for StreamVerifier<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamVerifier").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<'r> StreamVerifier<'r> {
    /// For this stream, from where it is to its end. A read or write that fails with [`ErrorKind::Interrupted`] is
    /// tried again unless the work has been cancelled.
    pub fn new(stream: impl Read + Send + 'r) -> Self {
        Self { reader: Box::new(stream), name: PathBuf::from("the stream"), hand_on: None }
    }

    /// What errors call the stream.
    pub fn name(mut self, name: impl Into<PathBuf>) -> Self {
        self.name = name.into();
        self
    }

    /// Hands on what was proven, in its order, and nothing else; errors call it `name`.
    pub fn hand_on(mut self, output: impl Write + Send + 'r, name: impl Into<PathBuf>) -> Self {
        self.hand_on = Some((Box::new(output), name.into()));
        self
    }

    /// Reads the stream to its end, or to the first block that is not what the root hash says, which is returned: of
    /// the data, or of the hash tree. All blocks before it have been handed on by then.
    ///
    /// # Errors
    /// [`Error::StreamTooShort`] and [`Error::StreamTooLong`], after all proven blocks have been handed on;
    /// [`Error::Open`] and [`Error::NotDevice`] for the hash device, [`Error::DeviceTooSmall`] if it has not all of the
    /// hash tree; [`Error::Io`]; [`Error::Cancelled`].
    pub fn verify(
        mut self,
        hash: impl AsRef<Path>,
        params: &Params,
        root_hash: &RootHash,
        work: &Work<'_>,
    ) -> Result<Option<Corruption>> {
        let layout = Layout::new(params)?;
        let hash = Device::open(hash.as_ref())?;
        if layout.hash_blocks() > 0 {
            hash.check_size(layout.hash_end())?;
        }
        self.run(&Checker::new(Image::of_hash(hash), layout, root_hash.clone(), CACHE_BYTES), work)
    }

    fn run(&mut self, checker: &Checker, work: &Work<'_>) -> Result<Option<Corruption>> {
        let total = checker.layout.params().data_bytes();
        let mut stream = Stream::new(&mut *self.reader, &self.name, Some(total));
        let examine = |piece: Piece, _: &Buffers| {
            let (proven, fault) = proven(checker, &piece);
            match fault {
                Some(Fault::Failed(error)) => Err(error),
                Some(Fault::Corrupt(corruption)) => Ok((piece, proven, Some(corruption))),
                None => Ok((piece, proven, None)),
            }
        };
        let (mut found, mut done) = (None, 0);
        let hand_on = &mut self.hand_on;
        let deliver = |(piece, proven, corruption): (Piece, usize, Option<Corruption>), buffers: &Buffers| {
            if let Some((output, name)) = hand_on {
                write(output, &piece.bytes[..proven], name, work)?;
            }
            done += proven as u64;
            work.report(Progress { done, total });
            buffers.give_back(piece);
            match corruption {
                None => Ok(()),
                // What comes after it is not looked at.
                bad => {
                    found = bad;
                    Err(Error::Cancelled)
                }
            }
        };
        match stream.for_each_piece(checker.data_hasher.block_size().as_usize(), work, examine, deliver) {
            Err(Error::Cancelled) if found.is_some() => Ok(found),
            result => result.map(|()| None),
        }
    }
}

/// How many bytes of a piece are proven, up to the first bad block, and what is wrong then.
fn proven(checker: &Checker, piece: &Piece) -> (usize, Option<Fault>) {
    let size = checker.data_hasher.block_size().as_usize();
    let fan_out = checker.layout.fan_out();
    let first = piece.position / size as u64;
    let whole = piece.len / size * size;
    let mut proven = 0;
    while proven < whole {
        let block = first + (proven / size) as u64;
        let left = (whole - proven) / size;
        let count = usize::try_from(fan_out - block % fan_out).map_or(left, |count| count.min(left));
        let bytes = &piece.bytes[proven..proven + count * size];
        match first_bad(checker, block, bytes) {
            Ok(None) => proven += bytes.len(),
            Ok(Some(bad)) => {
                proven += bad * size;
                return (proven, Some(Fault::Corrupt(checker.bad_data(block + bad as u64))));
            }
            Err(fault) => return (proven, Some(fault)),
        }
    }
    (proven, None)
}

/// The first of some blocks, whose digests are in one hash block, that does not have the digest there.
fn first_bad(checker: &Checker, block: u64, bytes: &[u8]) -> Result<Option<usize>, Fault> {
    let length = checker.data_hasher.digest_size();
    let expected = checker.expected(block)?;
    let count = bytes.len() / checker.data_hasher.block_size().as_usize();
    let mut digests = memory::zeroed(count * length)?;
    checker.data_hasher.hash_blocks(bytes, &mut digests, length);
    Ok(digests.chunks(length).enumerate().position(|(index, found)| *found != *expected.digest(checker, index)))
}

/// Writes all of it, unless the work is cancelled meanwhile.
fn write(output: &mut dyn Write, mut bytes: &[u8], name: &Path, work: &Work<'_>) -> Result<()> {
    while !bytes.is_empty() {
        work.check()?;
        let written = match output.write(bytes) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Ok(0) => Err(ErrorKind::WriteZero.into()),
            written => written,
        };
        bytes = &bytes[written.map_err(Error::io("write", name))?.min(bytes.len())..];
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Area;
    use crate::hash::{HashAlgorithm, HashType};
    use crate::image::TreeBuilder;
    use crate::value::BlockSize;

    const KEY: &str = "a copy";

    /// An image, and what its verifier says of a stream and hands on.
    struct Case {
        directory: tempfile::TempDir,
        params: Params,
        root_hash: RootHash,
        threads: usize,
    }

    impl Case {
        fn new(data: &[u8], builder: crate::ParamsBuilder, threads: usize) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let hash = directory.path().join("hash");
            let made = TreeBuilder::new(data).format(&hash, None, builder, &Work::default()).unwrap();
            Self { directory, params: made.layout.params().clone(), root_hash: made.root_hash, threads }
        }

        fn hash(&self) -> PathBuf {
            self.directory.path().join("hash")
        }

        fn run(&self, stream: &[u8]) -> (Result<Option<Corruption>>, Vec<u8>) {
            let mut copy = Vec::new();
            let verifier = StreamVerifier::new(stream).hand_on(&mut copy, KEY);
            let work = Work::default().threads(std::num::NonZero::new(self.threads).unwrap());
            (verifier.verify(self.hash(), &self.params, &self.root_hash, &work), copy)
        }
    }

    #[test]
    fn what_is_before_the_first_bad_block_is_handed_on_and_nothing_else() {
        let mut rng = fastrand::Rng::with_seed(5);
        for round in 0..40 {
            let [block, hash_block] = [rng.u64(..11), rng.u64(..11)].map(|log| BlockSize::new(512 << log).unwrap());
            let blocks = if block.bytes() > 65536 { rng.usize(1..8) } else { rng.usize(1..60) };
            let data: Vec<u8> = (0..blocks * block.as_usize()).map(|_| rng.u8(..)).collect();
            let builder = Params::builder()
                .algorithm(HashAlgorithm::from_name(["sha1", "sha256", "sha512"][round % 3]).unwrap())
                .hash_type(HashType::new(rng.u64(..2)).unwrap())
                .data_block_size(block)
                .hash_block_size(hash_block);
            let case = Case::new(&data, builder, rng.usize(1..5));
            let (found, copy) = case.run(&data);
            assert!(found.unwrap().is_none() && copy == data);
            for bad in 0..blocks {
                let mut damaged = data.clone();
                // What comes after the first bad block does not matter.
                for block_number in [bad, rng.usize(bad..blocks)] {
                    let start = block_number * block.as_usize();
                    damaged[start + rng.usize(..block.as_usize())] ^= 1 << rng.u8(..8);
                    damaged[start] = damaged[start].wrapping_add(u8::from(damaged == data));
                }
                if damaged == data {
                    continue;
                }
                let (found, copy) = case.run(&damaged);
                let first = (0..blocks).find(|number| {
                    let range = number * block.as_usize()..(number + 1) * block.as_usize();
                    damaged[range.clone()] != data[range]
                });
                let found = found.unwrap().expect("it is damaged");
                let first = first.expect("it is damaged");
                assert_eq!((found.area, found.block), (Area::Data, first as u64));
                assert!(copy == data[..first * block.as_usize()], "round {round}");
            }
        }
    }

    #[test]
    fn a_stream_has_the_length_of_the_data() {
        let data: Vec<u8> = (0..=250).cycle().take(1 << 20).collect();
        for threads in [1, 3] {
            let case = Case::new(&data, Params::builder(), threads);
            for len in [0, 1, 4096, 5000, 600_000, (1 << 20) - 1] {
                let (found, copy) = case.run(&data[..len]);
                assert!(matches!(found, Err(Error::StreamTooShort { found, .. }) if found == len as u64));
                assert!(copy == data[..len / 4096 * 4096]);
            }
            let (found, copy) = case.run(&[&data[..], &[0]].concat());
            assert!(matches!(found, Err(Error::StreamTooLong { needed: 1_048_576, .. })));
            assert!(copy == data);
        }
    }

    #[test]
    fn a_bad_hash_block_proves_nothing_under_it() {
        let data: Vec<u8> = (0..=250).cycle().take(4 << 20).collect();
        let case = Case::new(&data, Params::builder(), 2);
        let tree = std::fs::read(case.hash()).unwrap();
        for (block, proven) in [(1, 0), (2, 0), (3, 512 << 10), (5, 3 * (512 << 10))] {
            let mut damaged = tree.clone();
            damaged[block * 4096 + 5] ^= 1;
            std::fs::write(case.hash(), damaged).unwrap();
            let (found, copy) = case.run(&data);
            let found = found.unwrap().unwrap();
            assert_eq!((found.area, found.block, copy.len()), (Area::Hash, block as u64, proven));
        }
        std::fs::write(case.hash(), &tree[..8192]).unwrap();
        assert!(matches!(case.run(&data).0, Err(Error::DeviceTooSmall { .. })));
    }

    #[test]
    fn a_copy_that_cannot_be_written_ends_it() {
        struct Full(usize);
        impl Write for Full {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                let len = bytes.len().min(self.0);
                self.0 -= len;
                if len == 0 { Err(ErrorKind::StorageFull.into()) } else { Ok(len) }
            }

            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let data: Vec<u8> = (0..=250).cycle().take(4 << 20).collect();
        let case = Case::new(&data, Params::builder(), 2);
        for room in [0, 5000, 3 << 20] {
            let verifier = StreamVerifier::new(&data[..]).hand_on(Full(room), KEY);
            let result = verifier.verify(case.hash(), &case.params, &case.root_hash, &Work::default());
            assert!(matches!(result, Err(Error::Io { action: "write", path, .. }) if path == Path::new(KEY)));
        }
    }
}
