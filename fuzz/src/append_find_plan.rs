//! One file that its owner and `append` write to in turn.
//!
//! Input: what the file holds at first (2 bytes of length, 1 of pattern); then steps, one byte each, with their
//! operands.

use std::num::NonZero;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use dmverity::{AppendedFec, BlockSize, Devices, Error, HashAlgorithm, Hashing, Params, Progress, Superblock, Work};

use crate::file::MemoryFile;
use crate::input::Input;
use crate::model::Tree;

/// The longest file that the owner writes, in bytes.
const MOST: usize = 24 << 10;
/// The largest number of steps.
const STEPS: usize = 12;

thread_local! {
    static FILE: MemoryFile = MemoryFile::new();
}

/// The owner's data is never lost, a refused call changes nothing, and a finished image verifies.
pub fn append_find_plan(data: &[u8]) {
    FILE.with(|file| {
        let mut input = Input::new(data);
        let len = usize::from(input.u16()) % (MOST / 2);
        let first = vec![input.byte(); len];
        file.set(&first);
        let mut model = Model { file, data: len, more: Vec::new(), tree: None, begun: None };
        for _ in 0..STEPS {
            if input.is_empty() {
                break;
            }
            model.step(&mut input);
        }
    });
}

struct Model<'a> {
    file: &'a MemoryFile,
    /// How many bytes from the start on are the owner's data.
    data: usize,
    /// What else the owner has written, after a tree.
    more: Vec<Range<usize>>,
    /// The tree and its parity, finished or not.
    tree: Option<Range<usize>>,
    /// The last tree, even if it is gone, and the length of the data when it was made.
    begun: Option<(Range<usize>, usize)>,
}

/// How a call of `append` ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Finished,
    Cancelled,
    Killed,
}

impl Model<'_> {
    fn step(&mut self, input: &mut Input<'_>) {
        match input.byte() % 8 {
            0 | 1 => self.append(input, End::Finished),
            2 => self.append(input, End::Cancelled),
            3 => self.append(input, End::Killed),
            4 => {
                let len = usize::from(input.u16());
                self.owner_resizes(len);
            }
            5 => {
                let (len, byte) = (usize::from(input.u16()) % 4096, input.byte());
                self.owner_adds(&vec![byte; len]);
            }
            6 => {
                let (offset, len, byte) = (usize::from(input.u16()), usize::from(input.byte()) + 1, input.byte());
                self.owner_overwrites(offset, &vec![byte; len]);
            }
            _ => {
                let before = self.file.bytes();
                let _ = dmverity::find_hash_offset(self.file.path());
                assert!(self.file.bytes() == before);
            }
        }
    }

    fn owner_resizes(&mut self, len: usize) {
        let mut bytes = self.file.bytes();
        // Close to an interesting offset.
        let near = self.tree.as_ref().map_or(bytes.len(), |tree| tree.start);
        let len = if len & 0x8000 == 0 { len } else { (near + 2048).saturating_sub(len & 0xfff) };
        let (before, len) = (bytes.len(), len.min(bytes.len().max(MOST)));
        bytes.resize(len, 0);
        self.file.set(&bytes);
        self.data = self.data.min(len);
        for range in &mut self.more {
            range.end = range.end.min(len);
        }
        self.more.retain(|range| !range.is_empty());
        self.owns(before..len);
    }

    fn owner_adds(&mut self, more: &[u8]) {
        let mut bytes = self.file.bytes();
        let before = bytes.len();
        if before + more.len() > 2 * MOST {
            return;
        }
        bytes.extend(more);
        self.file.set(&bytes);
        self.owns(before..bytes.len());
    }

    fn owner_overwrites(&mut self, offset: usize, patch: &[u8]) {
        let mut bytes = self.file.bytes();
        if bytes.is_empty() {
            return;
        }
        let start = offset % bytes.len();
        let end = (start + patch.len()).min(bytes.len());
        bytes[start..end].copy_from_slice(&patch[..end - start]);
        self.file.set(&bytes);
        self.look_again(&bytes);
    }

    /// The owner has written these bytes at the end of the file. Bytes that replace a tree that was cut off are not
    /// checked: they cannot be told from a tree whose blocks are wrong.
    fn owns(&mut self, range: Range<usize>) {
        let range = self.tree.as_ref().map_or(range.start, |tree| tree.end.max(range.start))..range.end;
        if !range.is_empty() {
            self.more.push(range);
        }
        self.look_again(&self.file.bytes());
    }

    /// Without a superblock or mark, the whole file is the owner's. A superblock can come back: the rest of one that
    /// was cut can become valid again with the bytes that are written after it.
    fn look_again(&mut self, bytes: &[u8]) {
        match &self.begun {
            Some((tree, data)) if is_begin(bytes, tree.start) => {
                if self.tree.is_none() {
                    self.tree = Some(tree.clone());
                    self.data = self.data.min(*data);
                    self.more = Vec::from_iter((tree.end < bytes.len()).then_some(tree.end..bytes.len()));
                }
            }
            _ => {
                self.tree = None;
                self.owns_all(bytes.len());
            }
        }
    }

    fn owns_all(&mut self, len: usize) {
        self.data = len;
        self.more.clear();
    }

    fn append(&mut self, input: &mut Input<'_>, end: End) {
        let (hashing, fec) = how(input);
        let at = input.byte() % 8;
        let before = self.file.bytes();
        let path = self.file.path();
        let planned = dmverity::plan_append(path, hashing.clone(), fec.as_ref());
        assert!(self.file.bytes() == before, "a plan has written something");
        let plan_of = planned.as_ref().ok().map(|plan| plan.layout.params().hash_offset());

        let (cancel, calls, snapshot) = (AtomicBool::new(false), AtomicU32::new(0), Mutex::new(None));
        let report = |_: Progress| {
            let is_now = calls.fetch_add(1, Ordering::Relaxed) == u32::from(at);
            match end {
                End::Cancelled if is_now => cancel.store(true, Ordering::Relaxed),
                End::Killed if is_now => *snapshot.lock().expect("no panic") = Some(self.file.bytes()),
                _ => {}
            }
        };
        let work = Work::default().threads(NonZero::<usize>::MIN).progress(&report).cancel(&cancel);
        let made = dmverity::append(path, hashing, fec.as_ref(), &work);
        let after = self.file.bytes();
        self.check_owned(&before, &after);
        match made {
            Err(Error::Cancelled) => {
                assert!(end == End::Cancelled);
                assert!(self.tree.is_some() || after.len() == self.data, "the file is not what it was");
                (self.tree, self.begun) = (None, None);
                self.owns_all(after.len());
            }
            Err(refused) => {
                assert!(after == before, "{refused}, but something was written");
                assert!(planned.is_err(), "a plan did not say: {refused}");
            }
            Ok(made) => {
                let params = made.plan.layout.params();
                let offset = usize::try_from(params.hash_offset()).expect("it is small");
                assert_eq!(plan_of, Some(params.hash_offset()), "not as planned");
                assert_eq!(planned.expect("it was just looked at").total_bytes, after.len() as u64);
                assert_eq!(made.replaced, self.tree.as_ref().map(|tree| tree.start as u64));
                assert_eq!(Tree::of(params, &after).root_hash, made.formatted.root_hash.as_bytes());
                self.check_found(params, &made.formatted.root_hash);
                self.more.clear();

                (self.tree, self.begun) = (Some(offset..after.len()), Some((offset..after.len(), self.data)));
                let snapshot = snapshot.into_inner().expect("no panic");
                if let Some(killed) = snapshot {
                    self.check_owned(&before, &killed);
                    self.file.set(&killed);
                    (self.tree, self.begun) = (Some(offset..killed.len()), Some((offset..killed.len(), self.data)));
                    assert!(dmverity::load(path, offset as u64, None).is_err(), "an unfinished image loads");
                    self.look_again(&killed);
                }
            }
        }
    }

    /// A finished image is found and verifies.
    fn check_found(&self, params: &Params, root_hash: &dmverity::RootHash) {
        let path = self.file.path();
        assert_eq!(dmverity::find_hash_offset(path).expect("it is finished"), params.hash_offset());
        let loaded = dmverity::load(path, params.hash_offset(), None).expect("it is finished");
        let devices = Devices::new(path, path);
        assert!(dmverity::verify(&devices, &loaded, root_hash, &Work::default()).expect("it is all there").is_good());
    }

    fn check_owned(&self, before: &[u8], after: &[u8]) {
        // Data that the owner has cut off since cannot be lost.
        let is_zero =
            |range: &Range<usize>| before.get(range.clone()).unwrap_or_default().iter().all(|&byte| byte == 0);
        // The parity of zeros is zeros, which cannot be told from the owner's zeros.
        let no_parity = |range: &&Range<usize>| !(is_zero(&(0..self.data)) && is_zero(range));
        for range in std::iter::once(0..self.data).chain(self.more.iter().filter(no_parity).cloned()) {
            assert!(
                after.get(range.clone()) == before.get(range.clone()),
                "bytes {range:?} of the owner are lost: {} are left; behind them was {:?}",
                after.len(),
                self.tree
            );
        }
    }
}

/// Whether a tree begins here, finished or not.
fn is_begin(bytes: &[u8], offset: usize) -> bool {
    let Some(at) = bytes.get(offset..) else { return false };
    // The mark: signature, its own offset, the length of the data, that of the file, zeros.
    if let (Some(mark), Some(zeros)) = (at.strip_prefix(b"unfinished dm-verity\0\0\0\0"), at.get(48..512)) {
        let number = |from: usize| mark[from..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        return number(0) == offset as u64 && number(8) <= offset as u64 && zeros.iter().all(|&byte| byte == 0);
    }
    Superblock::parse(at).is_ok_and(|superblock| {
        superblock.data_block_size().checked_bytes_of(superblock.data_blocks()) == Some(offset as u64)
    })
}

fn how(input: &mut Input<'_>) -> (Hashing, Option<AppendedFec>) {
    let block = |log2: u8| BlockSize::new(1 << log2).expect("valid");
    let data_block_size = block(input.one_of(&[9, 10, 12]));
    let choice = input.byte();
    let hash_block_size = if choice & 1 == 0 { data_block_size } else { block(10) };
    let algorithm = HashAlgorithm::from_name(if choice & 2 == 0 { "sha256" } else { "sha1" }).expect("known");
    let hashing = Hashing { algorithm, data_block_size, hash_block_size, ..Hashing::default() };
    let roots = [2, 3, 24, 1][usize::from(choice >> 2) % 4];
    (hashing, (choice & 16 != 0).then_some(AppendedFec { roots, device: None }))
}
