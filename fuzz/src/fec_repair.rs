//! A small image with parity that is damaged and repaired.
//!
//! Input: roots, block size, number of data blocks, whether parity is after the tree, whether bytes follow the tree
//! (1 byte each); a number of damages (1) and each of them: area (1), offset (2), length (1), mask (1); the pattern of
//! the data.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::num::NonZero;

use dmverity::{BlockSize, Devices, Fec, FecArea, Layout, Params, Repair, RepairMode, RootHash, Work};

use crate::file::MemoryFile;
use crate::input::Input;

/// Data, hash device and FEC device; the last one is empty where parity is on the hash device.
type Contents = [Vec<u8>; 3];

/// What distinguishes one image from another.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    roots: u32,
    block: u64,
    blocks: u64,
    on_hash_device: bool,
    has_rest: bool,
    pattern: Vec<u8>,
}

/// An image as it was made.
#[derive(Clone)]
struct Made {
    params: Params,
    root_hash: RootHash,
    fec: FecArea,
    contents: Contents,
}

struct State {
    files: [MemoryFile; 3],
    /// Images that have been made already.
    made: HashMap<Key, Made>,
}

/// The most images that are kept.
const MOST_KEPT: usize = 256;

thread_local! {
    static STATE: RefCell<State> =
        RefCell::new(State { files: [MemoryFile::new(), MemoryFile::new(), MemoryFile::new()], made: HashMap::new() });
}

/// A repair restores the image or reports that it cannot; a correct byte stays correct; a dry run writes nothing and
/// reports the same.
pub fn fec_repair(data: &[u8]) {
    STATE.with_borrow_mut(|state| {
        let mut input = Input::new(data);
        let key = key(&mut input);
        let changes: Vec<_> =
            (0..input.byte() % 16).map(|_| (input.byte(), input.u16(), input.byte(), input.byte())).collect();
        let key = Key { pattern: input.take(16).to_vec(), ..key };
        if state.made.len() >= MOST_KEPT {
            state.made.clear();
        }
        if !state.made.contains_key(&key) {
            let made = make(&state.files, &key);
            state.made.insert(key.clone(), made);
        }
        let made = &state.made[&key];
        let mut damaged = made.contents.clone();
        let mut only_data = Some(Vec::new());
        for (area, offset, len, mask) in changes {
            let area = usize::from(area) % 3;
            let contents = &mut damaged[area];
            if contents.is_empty() {
                continue;
            }
            let start = usize::from(offset) % contents.len();
            let end = (start + 1 + usize::from(len)).min(contents.len());
            contents[start..end].iter_mut().for_each(|byte| *byte ^= mask);
            match &mut only_data {
                Some(blocks) if area == 0 => blocks.extend(start as u64 / key.block..=(end - 1) as u64 / key.block),
                others => *others = None,
            }
        }
        let few = only_data.is_some_and(|mut blocks| {
            blocks.sort_unstable();
            blocks.dedup();
            blocks.len() <= key.roots as usize
        });
        check(&state.files, made, key.on_hash_device, &damaged, few);
    });
}

fn key(input: &mut Input<'_>) -> Key {
    let roots = Fec::MIN_ROOTS + u32::from(input.byte()) % (Fec::MAX_ROOTS - Fec::MIN_ROOTS + 1);
    let block = input.one_of(&[512, 1024]);
    let blocks = u64::from(input.byte() % 24) + 1;
    let (on_hash_device, has_rest) = (input.byte() % 2 == 1, input.byte() % 2 == 1);
    Key { roots, block, blocks, on_hash_device, has_rest, pattern: Vec::new() }
}

fn work() -> Work<'static> {
    Work::default().threads(NonZero::<usize>::MIN)
}

fn devices([data, hash, fec]: &[MemoryFile; 3], on_hash_device: bool) -> Devices {
    let fec = if on_hash_device { hash } else { fec };
    Devices { fec: Some(fec.path().to_owned()), ..Devices::new(data.path(), hash.path()) }
}

fn make(files: &[MemoryFile; 3], key: &Key) -> Made {
    let Key { roots, block, blocks, on_hash_device, has_rest, pattern } = key;
    let size = BlockSize::new(*block).expect("valid");
    let len = usize::try_from(block * blocks).expect("it is small");
    let pattern = if pattern.is_empty() { &[0] } else { &pattern[..] };
    let count = |at: usize| u8::try_from(at / 512 % 251).expect("below 251");
    files[0].set(&(0..len).map(|at| pattern[at % pattern.len()].wrapping_add(count(at))).collect::<Vec<u8>>());
    // The tree of 24 blocks ends before block 8; what follows up to there is covered.
    let rest = 16 * block;
    let end = usize::try_from(rest).expect("it is small");
    files[1].set(&if *has_rest { vec![3; end] } else { Vec::new() });
    files[2].set(&[]);
    let offset = if *on_hash_device { rest } else { 0 };
    let builder = Params::builder()
        .data_block_size(size)
        .hash_block_size(size)
        .fec(Fec::new(u64::from(*roots), offset).expect("valid"));
    let made = dmverity::format(&devices(files, *on_hash_device), builder, &work()).expect("valid");
    Made {
        params: made.layout.params().clone(),
        root_hash: made.root_hash,
        fec: made.fec_area.expect("it was asked for"),
        contents: [files[0].bytes(), files[1].bytes(), files[2].bytes()],
    }
}

fn check(files: &[MemoryFile; 3], made: &Made, on_hash_device: bool, damaged: &Contents, few: bool) {
    for (file, contents) in files.iter().zip(damaged) {
        file.set(contents);
    }
    let devices = devices(files, on_hash_device);
    let now = || files.each_ref().map(MemoryFile::bytes);
    let repair =
        |mode| dmverity::repair(&devices, &made.params, &made.root_hash, mode, &work()).expect("it is readable");
    let said = repair(RepairMode::DryRun);
    assert!(now() == *damaged, "a dry run has written something");
    let done = repair(RepairMode::Write);
    assert_same(&said, &done);
    let after = now();
    let guessed = guessed_parity(made, damaged, on_hash_device);
    for (area, ((after, before), right)) in after.iter().zip(damaged).zip(&made.contents).enumerate() {
        assert_eq!(after.len(), right.len());
        let is_known = |at: &usize| !guessed.contains(&(area, *at));
        let is_worse = |at: &usize| after[*at] != right[*at] && after[*at] != before[*at];
        assert_eq!((0..right.len()).filter(is_known).find(is_worse), None, "{done:?}");
        let was_right = |at: &usize| before[*at] == right[*at] && after[*at] != right[*at];
        assert_eq!((0..right.len()).filter(is_known).find(was_right), None, "{done:?}");
    }
    assert!(!few || done.proves_all_blocks(), "{done:?}");
    if !done.proves_all_blocks() {
        assert!(after == *damaged, "something was written: {done:?}");
        return;
    }
    let verified = dmverity::verify(&devices, &made.params, &made.root_hash, &work()).expect("it is readable");
    assert!(verified.is_good() && after[0] == made.contents[0], "{done:?} {verified:?}");
    if done.is_clean_afterwards() {
        let again = repair(RepairMode::DryRun);
        assert!(again.wrong_bytes() == 0 && again.is_complete(), "{done:?} {again:?}");
    }
}

/// Area and offset of the parity that neither the tree nor the code can prove: among the bytes of its codeword that no
/// tree covers, more are wrong than the code can correct. The code may then take them for another codeword.
fn guessed_parity(made: &Made, damaged: &Contents, on_hash_device: bool) -> HashSet<(usize, usize)> {
    let index = |number: u64| usize::try_from(number).expect("it is small");
    let layout = Layout::new(&made.params).expect("it was made");
    let (block, parity) = (index(made.params.hash_block_size().bytes()), &made.fec.bytes);
    let (parity, roots) =
        (index(parity.start)..index(parity.end), made.params.fec().expect("it has one").roots as usize);
    assert_eq!((made.fec.rounds, parity.len(), layout.hash_end() % block as u64), (1, roots * block, 0));
    let (area, behind) = if on_hash_device { (1, parity.start) } else { (2, made.contents[1].len()) };
    let behind = index(layout.hash_end())..behind;
    let is_wrong = |area: usize, at: usize| made.contents[area][at] != damaged[area][at];
    let places =
        |column: usize| (parity.start + column * roots..parity.start + (column + 1) * roots).map(|at| (area, at));
    let wrong = |column: usize| {
        let in_parity = places(column).filter(|&(area, at)| is_wrong(area, at)).count();
        // The tree ends with a whole block, so that a column begins there.
        in_parity + (behind.start + column..behind.end).step_by(block).filter(|&at| is_wrong(1, at)).count()
    };
    (0..block).filter(|&column| !behind.is_empty() && wrong(column) > roots / 2).flat_map(places).collect()
}

fn assert_same(said: &Repair, done: &Repair) {
    assert_eq!(format!("{said:?}"), format!("{done:?}"));
}
