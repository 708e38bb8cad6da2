//! The contents of one bad block, while the others are left alone.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZero;

use super::recover::Recovery;
use crate::error::Result;
use crate::fec::Areas;
use crate::fec::encode::Encoder;
use crate::fec::source::What;
use crate::hash::BlockHasher;
use crate::tree::{Failure, Nodes, Parent};
use crate::value::RootHash;
use crate::work::Work;

/// How many rounds of blocks are looked at, at most. More than one is needed only where hash blocks are bad too. Where
/// this is not enough, most of the image is bad.
const MOST_ROUNDS: usize = 64;

/// What parity says is in a block, numbered as it is covered; `None` if too much of its codewords is wrong.
///
/// The search reads the devices, which others may change meanwhile: what it returns is to be proven by the caller.
pub(crate) fn recover_block(areas: &Areas<'_>, root_hash: &RootHash, block: u64) -> Result<Option<Vec<u8>>> {
    let encoder = Encoder::new(areas);
    let Some((failures, root_hash_matches)) = Search::new(areas, &encoder, root_hash).around(block)? else {
        return Ok(None);
    };
    // Many may want one at a time.
    let work = Work::default().threads(NonZero::<usize>::MIN);
    let found = Recovery::new(areas, &encoder, root_hash, (&failures, root_hash_matches)).run(&work)?;
    let is_found = found.overlay.blocks(block..block + 1).next().is_some();
    is_found.then(|| found.overlay.read(block)).transpose()
}

/// Finds the bad blocks that matter for one of them: those in the same codewords, and, where hash blocks above these
/// are bad, those in the codewords of the hash blocks.
struct Search<'a> {
    areas: &'a Areas<'a>,
    encoder: &'a Encoder<'a>,
    nodes: Nodes,
    hasher: BlockHasher,
    root_hash: &'a RootHash,
    /// Which blocks were compared, and whether they are as their parent says.
    compared: BTreeMap<u64, bool>,
}

impl<'a> Search<'a> {
    fn new(areas: &'a Areas<'a>, encoder: &'a Encoder<'a>, root_hash: &'a RootHash) -> Self {
        let layout = areas.layout;
        let hasher = layout.params().hasher(layout.params().hash_block_size());
        Self { areas, encoder, nodes: Nodes::new(layout), hasher, root_hash, compared: BTreeMap::new() }
    }

    /// The failures as a verification of the whole image would name them, and whether the top's digest is the root
    /// hash; `None` if there are too many.
    fn around(mut self, block: u64) -> Result<Option<(Vec<Failure>, bool)>> {
        let rounds = self.areas.area.rounds;
        let mut to_do = BTreeSet::from([block % rounds]);
        let mut done = BTreeSet::new();
        while let Some(round) = to_do.pop_first() {
            done.insert(round);
            if done.len() > MOST_ROUNDS {
                return Ok(None);
            }
            for block in (round..self.nodes.end()).step_by(usize::try_from(rounds).unwrap_or(usize::MAX)) {
                let bad = self.compare_up_from(block)?;
                to_do.extend(bad.into_iter().map(|bad| bad % rounds).filter(|round| !done.contains(round)));
            }
        }
        let root_hash_matches = self.compared.get(&self.nodes.top()).is_none_or(|&is_right| is_right);
        let bad = self.compared.iter().filter(|&(&block, &is_right)| !is_right && block != self.nodes.top());
        Ok(Some((bad.map(|(&block, _)| self.failure(block)).collect(), root_hash_matches)))
    }

    /// Compares a block and all above it with their parents; returns those above that are not right.
    fn compare_up_from(&mut self, block: u64) -> Result<Vec<u64>> {
        let mut bad = Vec::new();
        let mut next = Some(block);
        while let Some(block) = next {
            let Some(parent) = self.nodes.parent(block) else { break };
            next = match parent {
                Parent::Block(above, _) => Some(above),
                Parent::Root => None,
            };
            if self.compared.contains_key(&block) {
                break;
            }
            let digest = self.hasher.digest(&self.read(block)?);
            let is_right = match parent {
                Parent::Root => digest == self.root_hash.as_bytes(),
                Parent::Block(above, at) => self.read(above)?[at..at + digest.len()] == digest,
            };
            self.compared.insert(block, is_right);
            if !is_right {
                bad.push(block);
            }
        }
        Ok(bad)
    }

    fn read(&self, block: u64) -> Result<Vec<u8>> {
        self.encoder.covered.read_block(block, What::All)
    }

    fn failure(&self, block: u64) -> Failure {
        let (_, position) = self.encoder.covered.locate(block * self.hasher.block_size().bytes());
        if self.nodes.is_data(block) { Failure::DataBlock { position } } else { Failure::HashBlock { position } }
    }
}
