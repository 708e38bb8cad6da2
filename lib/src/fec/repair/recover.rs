//! Finds the damage in an image, and the correct contents: guided by the hash tree, and proven by it.

use std::collections::{BTreeMap, BTreeSet};

use super::stripe::Stripe;
use crate::error::Result;
use crate::fec::Areas;
use crate::fec::code::SYMBOLS;
use crate::fec::encode::{COLUMNS, Encoder, MOST_THREADS};
use crate::fec::source::What;
use crate::hash::BlockHasher;
use crate::io::Overlay;
use crate::tree::Failure;
use crate::tree::{Nodes, Parent};
use crate::value::RootHash;
use crate::work::{Work, in_order};

/// How many bytes of blocks of one round are corrected at a time.
const CORRECTED_AT_A_TIME: usize = 16 << 20;

/// How many bytes of syndromes are kept, of rounds that are read at a time.
const STRIPES_AT_A_TIME: usize = 4 << 20;

/// How many rounds are tried to see whether most of an image is wrong.
const SAMPLE: usize = 4;

/// The search for the correct contents of wrong blocks.
pub(crate) struct Recovery<'a> {
    image: &'a Areas<'a>,
    encoder: &'a Encoder<'a>,
    nodes: Nodes,
    hasher: BlockHasher,
    root_hash: &'a RootHash,
    block: usize,
    /// Blocks whose digest differs from the expected one, as far as that is known to be right.
    bad: BTreeSet<u64>,
    /// Some blocks were hashed with spare bytes that are not zero.
    is_badly_made: bool,
    /// The bad blocks of each round, and the provable ones, when it was last tried.
    tried: BTreeMap<u64, (Vec<u64>, Vec<u64>)>,
    found: Found,
}

/// The correct contents of wrong blocks, as far as they are proven.
pub(crate) struct Found {
    pub(crate) overlay: Overlay,
    /// How many bytes were wrong in each block that is in the overlay.
    pub(crate) wrong_bytes: BTreeMap<u64, u64>,
    /// Rounds with such blocks whose parity is right with them.
    pub(crate) clean_rounds: BTreeSet<u64>,
    /// Whether these are all the wrong blocks.
    pub(crate) is_complete: bool,
}

impl<'a> Recovery<'a> {
    /// A search that starts from the results of a verification of the whole image.
    pub(crate) fn new(
        image: &'a Areas<'a>,
        encoder: &'a Encoder<'a>,
        root_hash: &'a RootHash,
        (failures, root_hash_matches): (&[Failure], bool),
    ) -> Self {
        let layout = image.layout;
        let size = layout.params().hash_block_size();
        let nodes = Nodes::new(layout);
        let number = |position: u64| Nodes::of_hash_block(layout, position / size.bytes());
        let mut bad = BTreeSet::new();
        let mut spare = Vec::new();
        for failure in failures {
            match failure {
                Failure::DataBlock { position } => _ = bad.insert(position / size.bytes()),
                Failure::HashBlock { position } => _ = bad.insert(number(*position)),
                Failure::SpareArea { position } => spare.push(number(*position)),
            }
        }
        if !root_hash_matches {
            bad.insert(nodes.top());
        }
        Self {
            image,
            encoder,
            nodes,
            hasher: layout.params().hasher(size),
            root_hash,
            block: size.as_usize(),
            is_badly_made: spare.iter().any(|block| !bad.contains(block)),
            bad,
            tried: BTreeMap::new(),
            found: Found {
                overlay: Overlay::new(size.as_usize()),
                wrong_bytes: BTreeMap::new(),
                clean_rounds: BTreeSet::new(),
                is_complete: false,
            },
        }
    }

    /// Corrects and proves as many blocks as can be.
    ///
    /// From the top of the tree downwards, because a block can be proven only if its parent is proven. This repeats as
    /// long as it helps: each corrected block leaves fewer unknown ones in its round.
    pub(crate) fn run(mut self, work: &Work<'_>) -> Result<Found> {
        if self.is_hopeless(work)? {
            return Ok(self.found);
        }
        let at_a_time = (STRIPES_AT_A_TIME / (self.encoder.code.roots() * self.block)).max(1);
        loop {
            let mut has_found = false;
            for rounds in Vec::from_iter(self.bad_rounds()).chunks(at_a_time) {
                has_found |= self.attempt(rounds, work)?;
            }
            if !has_found {
                self.found.is_complete = self.bad.is_empty() && !self.is_badly_made;
                return Ok(self.found);
            }
        }
    }

    /// The rounds with bad blocks, and these.
    fn bad_rounds(&self) -> BTreeMap<u64, Vec<u64>> {
        let mut rounds: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for &block in &self.bad {
            rounds.entry(block % self.image.area.rounds).or_default().push(block);
        }
        rounds
    }

    /// Whether most of the image is wrong: some of its rounds have more wrong blocks than roots, and none of these
    /// blocks can be corrected. To try that with all rounds would take much longer than the check of the whole image.
    fn is_hopeless(&mut self, work: &Work<'_>) -> Result<bool> {
        let rounds = Vec::from_iter(self.bad_rounds());
        if rounds.len() < SAMPLE {
            return Ok(false);
        }
        let step = rounds.len() / SAMPLE;
        let sample: Vec<_> = rounds.into_iter().step_by(step).take(SAMPLE).collect();
        let is_beyond = |(_, bad): &(u64, Vec<u64>)| {
            bad.iter().filter(|&&block| self.has_proven_parent(block)).count() > self.encoder.code.roots()
        };
        Ok(sample.iter().all(is_beyond) && !self.attempt(&sample, work)?)
    }

    /// Tries to correct the bad blocks of some rounds, except those that are as they were when that was last tried;
    /// returns whether it could prove any.
    fn attempt(&mut self, rounds: &[(u64, Vec<u64>)], work: &Work<'_>) -> Result<bool> {
        let due: Vec<_> = rounds.iter().filter(|(round, bad)| self.due(*round, bad).is_some()).collect();
        let mut has_found = false;
        for ((round, bad), stripe) in due.iter().zip(self.read_stripes(&due, work)?) {
            work.check()?;
            // Corrections in the rounds before it may have shown that only a parent was wrong.
            if let Some((bad, provable)) = self.due(*round, bad) {
                has_found |= self.correct(*round, stripe, (&bad, &provable))?;
                self.tried.insert(*round, (bad, provable));
            }
        }
        Ok(has_found)
    }

    /// Which blocks of a round are bad, of those that were, and which of them are provable; `None` if none is, or if
    /// that is as it was when it was last tried.
    fn due(&self, round: u64, bad: &[u64]) -> Option<(Vec<u64>, Vec<u64>)> {
        let bad: Vec<u64> = bad.iter().copied().filter(|block| self.bad.contains(block)).collect();
        let provable: Vec<u64> = bad.iter().copied().filter(|&block| self.has_proven_parent(block)).collect();
        let now = (bad, provable);
        (!now.1.is_empty() && self.tried.get(&round) != Some(&now)).then_some(now)
    }

    /// Reads rounds, with all threads.
    fn read_stripes(&self, rounds: &[&(u64, Vec<u64>)], work: &Work<'_>) -> Result<Vec<Stripe>> {
        let mut stripes = Vec::with_capacity(rounds.len());
        let workers = work.hashing_threads().min(MOST_THREADS).min(rounds.len());
        let mut rounds = rounds.iter();
        let next = || {
            work.check()?;
            Ok(rounds.next())
        };
        in_order(
            workers,
            next,
            || self.encoder.scratch(COLUMNS.min(self.block)),
            |scratch, (round, _)| Stripe::read(self.encoder, self.image, *round, &self.found.overlay, scratch),
            |stripe| {
                stripes.push(stripe);
                Ok(())
            },
        )?;
        Ok(stripes)
    }

    /// Tries to correct those of the `bad` blocks of a round that are `provable`; returns whether it could prove any.
    fn correct(&mut self, round: u64, mut codewords: Stripe, (bad, provable): (&[u64], &[u64])) -> Result<bool> {
        if codewords.is_good() {
            return Ok(false);
        }
        let movable = self.movable(round);
        // The blocks are too many for erasures. If no codeword can be corrected without, most of them are wholly wrong.
        if provable.len() > self.encoder.code.roots() && !codewords.are_some_correctable(&movable) {
            return Ok(false);
        }
        let rounds = self.image.area.rounds;
        let symbols = |blocks: &[u64]| -> Vec<usize> {
            let symbol = |block: &u64| usize::try_from(block / rounds).expect("below 255");
            blocks.iter().map(symbol).collect()
        };
        // It works best if all bad blocks are erasures. If there are too many, or if they are only suspected because
        // their parents are wrong, the code has to locate wrong bytes on its own.
        let mut ways = vec![symbols(bad), symbols(provable), Vec::new()];
        ways.dedup();
        ways.retain(|erasures| erasures.len() <= self.encoder.code.roots());
        let at_a_time = (CORRECTED_AT_A_TIME / self.block).max(1);
        for erasures in ways {
            let mut has_found = false;
            for some in provable.chunks(at_a_time) {
                let corrections = codewords.corrections(&erasures, &movable, &symbols(some))?;
                for (&block, correction) in some.iter().zip(corrections) {
                    if self.prove(block, &correction)? {
                        has_found = true;
                        // The corrections of the other blocks stay the same.
                        codewords.correct(symbols(&[block])[0], &correction)?;
                    }
                }
            }
            if has_found {
                if codewords.is_good() {
                    self.found.clean_rounds.insert(round);
                } else {
                    self.found.clean_rounds.remove(&round);
                }
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Accepts a corrected block if its digest is the one that its parent has.
    fn prove(&mut self, block: u64, correction: &[u8]) -> Result<bool> {
        let old = self.read(block)?;
        let new: Vec<u8> = old.iter().zip(correction).map(|(byte, correction)| byte ^ correction).collect();
        if self.hasher.digest(&new) != self.expected_digest(block)? {
            return Ok(false);
        }
        self.found.overlay.add(block, &new)?;
        self.bad.remove(&block);
        let wrong = correction.iter().filter(|&&byte| byte != 0).count() as u64;
        self.found.wrong_bytes.insert(block, wrong);
        self.expect_of_children(block, &old, &new)?;
        Ok(true)
    }

    /// Checks those blocks again whose digests have changed in their parent.
    fn expect_of_children(&mut self, parent: u64, old: &[u8], new: &[u8]) -> Result<()> {
        for child in self.nodes.children(parent) {
            let Some(Parent::Block(_, start)) = self.nodes.parent(child) else { continue };
            let digest = start..start + self.hasher.digest_size();
            if old[digest.clone()] == new[digest.clone()] {
                continue;
            }
            if self.hasher.digest(&self.read(child)?) == new[digest] {
                self.bad.remove(&child);
            } else {
                self.bad.insert(child);
            }
        }
        Ok(())
    }

    fn read(&self, block: u64) -> Result<Vec<u8>> {
        self.encoder.covered.read_block(block, What::Repaired(&self.found.overlay))
    }

    /// The expected digest of a block, from a parent that is proven.
    fn expected_digest(&self, block: u64) -> Result<Vec<u8>> {
        match self.nodes.parent(block) {
            Some(Parent::Block(parent, start)) => {
                Ok(self.read(parent)?[start..start + self.hasher.digest_size()].to_vec())
            }
            _ => Ok(self.root_hash.as_bytes().to_vec()),
        }
    }

    /// Whether a block has its original contents: all digests from the root hash down to it are right.
    fn is_proven(&self, block: u64) -> bool {
        !self.bad.contains(&block) && self.has_proven_parent(block)
    }

    fn has_proven_parent(&self, block: u64) -> bool {
        match self.nodes.parent(block) {
            Some(Parent::Root) => true,
            Some(Parent::Block(parent, _)) => self.is_proven(parent),
            None => false,
        }
    }

    /// Which symbols of a round's codewords may be wrong: all but the proven blocks, and the zeros past the last one.
    fn movable(&self, round: u64) -> [bool; SYMBOLS] {
        let mut movable = [true; SYMBOLS];
        for (symbol, movable) in movable.iter_mut().enumerate().take(self.encoder.code.data_symbols()) {
            let block = symbol as u64 * self.image.area.rounds + round;
            *movable = block < self.image.area.blocks && !self.is_proven(block);
        }
        movable
    }
}
