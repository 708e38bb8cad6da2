//! Hash blocks that the root hash proves, read as they are needed: from the root downwards, each compared with the
//! digest that its parent has before anything in it is used.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::nodes::{Nodes, Parent};
use crate::error::{Area, Error, Result};
use crate::format::Layout;
use crate::hash::BlockHasher;
use crate::io::{Device, Overlay};
use crate::memory;
use crate::value::RootHash;

/// How many bytes of proven blocks are kept.
const KEPT: usize = 16 << 20;

/// The hash tree of an image, of which only what is asked for is read. Blocks have the numbers of [`Nodes`].
#[derive(Debug)]
pub(crate) struct ProvenTree<'a> {
    layout: &'a Layout,
    nodes: Nodes,
    hasher: BlockHasher,
    hash: &'a Device<'a>,
    root_hash: &'a RootHash,
    /// Earlier contents of some blocks, which count if they are the proven ones.
    earlier: Option<&'a Overlay>,
    kept: Mutex<BTreeMap<u64, Arc<[u8]>>>,
}

impl<'a> ProvenTree<'a> {
    /// The tree that this root hash proves.
    pub(crate) fn new(
        layout: &'a Layout,
        hash: &'a Device<'a>,
        root_hash: &'a RootHash,
        earlier: Option<&'a Overlay>,
    ) -> Self {
        let hasher = layout.params().hasher(layout.params().hash_block_size());
        Self { layout, nodes: Nodes::new(layout), hasher, hash, root_hash, earlier, kept: Mutex::default() }
    }

    pub(crate) fn layout(&self) -> &'a Layout {
        self.layout
    }

    pub(crate) fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    pub(crate) fn root_hash(&self) -> &'a RootHash {
        self.root_hash
    }

    /// Where a hash block is on the hash device.
    pub(crate) fn position(&self, number: u64) -> u64 {
        let params = self.layout.params();
        (number - params.data_blocks() + self.layout.first_hash_block()) * params.hash_block_size().bytes()
    }

    /// The contents of a hash block.
    ///
    /// # Errors
    /// [`Error::WrongRoot`] if the top block is not the one of the root hash, [`Error::Unproven`] for another one.
    pub(crate) fn block(&self, number: u64) -> Result<Arc<[u8]>> {
        if let Some(block) = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(&number) {
            return Ok(Arc::clone(block));
        }
        let expected = self.digest_of(number)?;
        let block: Arc<[u8]> = match self.earlier_block(number, &expected)? {
            Some(block) => block.into(),
            None => self.stored_block(number, &expected)?.into(),
        };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if (kept.len() + 1) * block.len() > KEPT {
            kept.clear();
        }
        kept.insert(number, Arc::clone(&block));
        Ok(block)
    }

    /// The digest that the tree has of a block of data or of the tree.
    ///
    /// # Errors
    /// Those of [`block`](Self::block) for its parent.
    pub(crate) fn digest_of(&self, number: u64) -> Result<Vec<u8>> {
        match self.nodes.parent(number) {
            Some(Parent::Block(parent, at)) => Ok(self.block(parent)?[at..at + self.hasher.digest_size()].to_vec()),
            _ => Ok(self.root_hash.as_bytes().to_vec()),
        }
    }

    fn earlier_block(&self, number: u64, expected: &[u8]) -> Result<Option<Vec<u8>>> {
        let Some(earlier) = self.earlier.filter(|earlier| earlier.has(number)) else { return Ok(None) };
        let block = earlier.read(number)?;
        Ok((self.hasher.digest(&block) == expected).then_some(block))
    }

    fn stored_block(&self, number: u64, expected: &[u8]) -> Result<Vec<u8>> {
        let mut block = memory::zeroed(self.hasher.block_size().as_usize())?;
        let position = self.position(number);
        self.hash.read_at(&mut block, position)?;
        if self.hasher.digest(&block) == expected {
            return Ok(block);
        }
        let path = self.hash.path().to_owned();
        Err(if number == self.nodes.top() {
            Error::WrongRoot { path }
        } else {
            Error::Unproven { area: Area::Hash, path, position }
        })
    }
}
