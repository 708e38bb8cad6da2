//! Makes the hash tree and the parity. If that is faster, the data are hashed and encoded in one pass, so that they are
//! read only once.
//!
//! Parity covers the hash tree too, which does not exist until all data are hashed. So the parity of the data is kept
//! until the tree can be added, and so are the digests, because data are read column by column. This is done if both
//! fit in little memory, and by one thread: fresh memory costs several threads more than reading twice.

use std::ops::Range;

use crate::error::Result;
use crate::fec::Areas;
use crate::fec::encode::{Buffers, COLUMNS, Encoder, encode, width};
use crate::fec::lanes::Rows;
use crate::fec::source::What;
use crate::memory;
use crate::tree::{self, Leaves, Run};
use crate::value::RootHash;
use crate::work::{Progress, Work, in_order};

/// How many bytes of digests and parity are kept at most.
const MOST_KEPT: u64 = 20 << 20;

/// With more parity in each codeword, one pass is slower with one thread too.
const MOST_ROOTS: usize = 12;

/// Parity that lacks the tree, and the hash blocks over the data.
#[derive(Debug)]
struct Begun {
    stretches: Vec<(Range<u64>, Rows)>,
    level: Vec<u8>,
}

/// The result for some columns.
struct Piece {
    columns: Range<u64>,
    parity: Rows,
    /// Bytes of the level over the data, and where they are in it.
    digests: Vec<(u64, Vec<u8>)>,
    /// How many bytes were hashed.
    bytes_hashed: u64,
}

/// Writes the hash tree and then the parity of all that FEC covers, and returns the root hash.
pub(crate) fn create(image: &Areas<'_>, progress: &mut Progress, work: &Work<'_>) -> Result<RootHash> {
    let devices = (image.data, image.hash);
    if let Some(begun) = begin(image, progress, work)? {
        let root_hash = tree::create(image.layout, devices, Some(&begun.level), progress, work)?;
        begun.finish(image, work)?;
        Ok(root_hash)
    } else {
        let root_hash = tree::create(image.layout, devices, None, progress, work)?;
        encode(image, progress, work)?;
        Ok(root_hash)
    }
}

/// Hashes and encodes the data; `None` if two passes are better.
fn begin(image: &Areas<'_>, progress: &mut Progress, work: &Work<'_>) -> Result<Option<Begun>> {
    let encoder = Encoder::new(image);
    let (layout, params) = (image.layout, image.layout.params());
    let block = params.data_block_size();
    let Some(level) = layout.levels().first() else { return Ok(None) };
    let level_bytes = level.blocks * block.bytes();
    let kept = level_bytes + encoder.columns * encoder.code.roots() as u64;
    let is_worth_it = work.hashing_threads() == 1 && encoder.code.roots() <= MOST_ROOTS && kept <= MOST_KEPT;
    if !is_worth_it || encoder.covered.is_cold() || !COLUMNS.is_multiple_of(block.as_usize()) {
        return Ok(None);
    }
    let leaves = Leaves::new(layout, (image.data, image.hash), work);
    let rows = 0..usize::try_from(encoder.covered.data_bytes().div_ceil(encoder.columns)).expect("at most 253");
    let examine = |scratch: &mut Buffers, columns: Range<u64>| {
        let mut parity = Rows::new(encoder.code.roots(), width(&columns))?;
        let mut digests = Vec::with_capacity(rows.len());
        let mut bytes_hashed = 0;
        encoder.add(rows.clone(), (&columns, What::Data), &mut scratch.input, &mut parity, |first, batch| {
            let runs = runs(&encoder, block.bytes(), &columns, (first, batch));
            for (run, bytes) in runs.iter().zip(leaves.hash(&runs)?) {
                bytes_hashed += (run.blocks.end - run.blocks.start) * block.bytes();
                digests.push((leaves.output(&run.blocks).start, bytes));
            }
            Ok(())
        })?;
        Ok(Piece { columns, parity, digests, bytes_hashed })
    };
    let mut begun = Begun { stretches: Vec::new(), level: memory::zeroed(as_usize(level_bytes))? };
    let all = encoder.all_columns();
    in_order(
        encoder.workers(&all, work),
        encoder.stretches(&all, work),
        || encoder.scratch(COLUMNS),
        examine,
        |piece| {
            for (start, digests) in piece.digests {
                begun.level[as_usize(start)..][..digests.len()].copy_from_slice(&digests);
            }
            progress.done += piece.bytes_hashed + encoder.bytes_in(width(&piece.columns) as u64);
            work.report(*progress);
            begun.stretches.push((piece.columns, piece.parity));
            Ok(())
        },
    )?;
    Ok(Some(begun))
}

impl Begun {
    /// Adds the contents of the hash device, which are complete now, and writes the parity.
    fn finish(self, image: &Areas<'_>, work: &Work<'_>) -> Result<()> {
        let encoder = Encoder::new(image);
        let roots = encoder.code.roots() as u64;
        let first = usize::try_from(encoder.covered.data_bytes() / encoder.columns).expect("at most 253");
        let rows = first..encoder.code.data_symbols();
        let mut stretches = self.stretches.into_iter();
        let next = || {
            work.check()?;
            Ok(stretches.next())
        };
        let examine = |scratch: &mut Buffers, (columns, parity): (Range<u64>, Rows)| {
            scratch.parity = parity;
            let Buffers { input, parity, .. } = &mut *scratch;
            encoder.add(rows.clone(), (&columns, What::Hash), input, parity, |_, _| Ok(()))?;
            let bytes = encoder.finish(width(&columns), scratch);
            image.fec.write_out_at(bytes, image.area.bytes.start + columns.start * roots)
        };
        in_order(encoder.workers(&encoder.all_columns(), work), next, || encoder.scratch(COLUMNS), examine, Ok)
    }
}

/// The data blocks in some columns of a batch of rows: the number of the first row, and the bytes of each.
pub(super) fn runs<'b>(
    encoder: &Encoder<'_>,
    block: u64,
    columns: &Range<u64>,
    (first, batch): (usize, &[Option<&'b [u8]>]),
) -> Vec<Run<'b>> {
    let run = |(row, bytes): (u64, Option<&'b [u8]>)| {
        let start = row * encoder.columns + columns.start;
        let len = encoder.covered.data_bytes().saturating_sub(start).min(columns.end - columns.start);
        Run { blocks: start / block..(start + len) / block, bytes: bytes.map(|bytes| &bytes[..as_usize(len)]) }
    };
    (first as u64..).zip(batch.iter().copied()).map(run).filter(|run| !run.blocks.is_empty()).collect()
}

/// Lengths that are kept in memory.
fn as_usize(len: u64) -> usize {
    usize::try_from(len).expect("little is kept")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::num::NonZero;
    use std::os::unix::fs::FileExt;
    use std::sync::Mutex;

    use super::*;
    use crate::format::{Fec, Params};
    use crate::image::Devices;

    /// The tree and the FEC area that formatting with this many threads makes, and the progress it reported.
    fn made(data: &std::path::Path, roots: u64, threads: usize) -> (Vec<u8>, Vec<u8>, Vec<Progress>) {
        let directory = tempfile::tempdir().unwrap();
        let path = |name| directory.path().join(name);
        let devices = Devices { fec: Some(path("fec")), ..Devices::new(data, path("hash")) };
        let seen = Mutex::new(Vec::new());
        let report = |progress: Progress| seen.lock().unwrap().push(progress);
        let work = Work::default().threads(NonZero::new(threads).unwrap()).progress(&report);
        let builder = Params::builder().fec(Fec::new(roots, 512).unwrap());
        crate::format(&devices, builder, &work).unwrap();
        (fs::read(path("hash")).unwrap(), fs::read(path("fec")).unwrap(), seen.into_inner().unwrap())
    }

    #[test]
    fn in_one_go_or_one_after_the_other_the_same_is_made() {
        let data = tempfile::NamedTempFile::new().unwrap();
        let mut rng = fastrand::Rng::with_seed(3);
        // Holes at the beginning, in between and at the end.
        data.as_file().set_len(3000 * 4096).unwrap();
        for (first, blocks) in [(100, 900), (1500, 1), (1700, 1200)] {
            let bytes: Vec<u8> = (0..blocks * 4096).map(|_| rng.u8(..)).collect();
            data.as_file().write_all_at(&bytes, first * 4096).unwrap();
        }
        for roots in [2, 5, 12, 13] {
            let (tree, parity, _) = made(data.path(), roots, 2);
            for threads in [1, 3] {
                let (found, found_parity, seen) = made(data.path(), roots, threads);
                assert!(tree == found, "{roots} roots, {threads} threads: another tree");
                assert!(parity == found_parity, "{roots} roots, {threads} threads: another parity");
                assert!(seen.is_sorted_by(|one, next| one.done <= next.done), "{seen:?}");
                assert_eq!(seen.last().map(|last| last.done), seen.last().map(|last| last.total));
            }
        }
    }
}
