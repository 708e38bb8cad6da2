//! A whole image with a hostile superblock, tree, or both, in files in memory.
//!
//! Input: flags (see [`Flags`]); sizes of data and hash block, algorithm, hash type, length of the salt, number of data
//! blocks, hash offset in sectors (1 byte each); with [`Flags::RAW_SUPERBLOCK`] 512 bytes of superblock, which are used
//! instead of these; a number of changes (1) and each of them: area (1), offset (2), mask (1); then the pattern of the
//! data and, with [`Flags::RAW_TREE`], of the hash device after the superblock.

use std::path::Path;

use dmverity::{
    BlockSize, Devices, Error, HashAlgorithm, HashType, Layout, Params, RootHash, Salt, Superblock, Verification, Work,
};

use crate::file::MemoryFile;
use crate::input::Input;
use crate::model::{self, Tree};

/// The most data, in bytes, except that two blocks of the largest size are allowed.
const MOST_DATA: u64 = 8192;

/// Bits of the first byte.
struct Flags(u8);

impl Flags {
    const ONE_FILE: u8 = 1;
    const RAW_SUPERBLOCK: u8 = 2;
    const RAW_TREE: u8 = 4;
    /// The root hash is the pattern instead of the data's own.
    const WRONG_ROOT_HASH: u8 = 8;
    const NO_SUPERBLOCK: u8 = 16;

    fn has(&self, flag: u8) -> bool {
        self.0 & flag != 0
    }
}

thread_local! {
    static FILES: [MemoryFile; 2] = [MemoryFile::new(), MemoryFile::new()];
}

/// An image verifies if, and only if, a second computation of its tree and root hash agrees. No number in it causes a
/// panic or unbounded work.
pub fn image_verify(data: &[u8]) {
    FILES.with(|[data_file, hash_file]| {
        let image = Image::new(&mut Input::new(data));
        data_file.set(&image.data);
        if !image.one_file {
            hash_file.set(&image.hash);
        }
        image.check(data_file.path(), if image.one_file { data_file } else { hash_file }.path());
    });
}

/// The content of the files.
struct Image {
    one_file: bool,
    has_superblock: bool,
    /// What the image was made with.
    params: Params,
    data: Vec<u8>,
    /// The hash device; the same as the data if there is one file.
    hash: Vec<u8>,
    wrong_root_hash: Option<RootHash>,
}

impl Image {
    fn new(input: &mut Input<'_>) -> Self {
        let flags = Flags(input.byte());
        let params = params(input, &flags);
        let raw = flags.has(Flags::RAW_SUPERBLOCK).then(|| input.take(512));
        let changes: Vec<(u8, u16, u8)> =
            (0..input.byte() % 8).map(|_| (input.byte(), input.u16(), input.byte())).collect();
        let pattern = match input.rest() {
            [] => &[0],
            pattern => pattern,
        };
        let mut painted = pattern.iter().copied().cycle();
        let data_bytes = usize::try_from(params.data_bytes()).expect("there are few");
        let mut data: Vec<u8> = painted.by_ref().take(data_bytes).collect();
        let tree = Tree::of(&params, &data);
        let start = usize::try_from(tree.start).expect("it is near");
        let mut hash = if flags.has(Flags::ONE_FILE) { data.clone() } else { Vec::new() };
        hash.resize(start, 0);
        if flags.has(Flags::RAW_TREE) {
            hash.extend(painted.take(tree.bytes.len()));
        } else {
            hash.extend(&tree.bytes);
        }
        if let Some(superblock) = params.superblock() {
            let offset = usize::try_from(params.hash_offset()).expect("it is near");
            let bytes = superblock.to_bytes();
            let bytes = raw.unwrap_or(&bytes);
            hash[offset..offset + bytes.len()].copy_from_slice(bytes);
        }
        if flags.has(Flags::ONE_FILE) {
            data.clone_from(&hash);
        }
        for (area, offset, mask) in changes {
            let device = if area % 2 == 0 { &mut data } else { &mut hash };
            let len = device.len();
            if area & 128 != 0 {
                device.truncate(usize::from(offset));
            } else if len > 0 {
                device[usize::from(offset) % len] ^= mask;
            }
        }
        if flags.has(Flags::ONE_FILE) {
            hash.clone_from(&data);
        }
        Self {
            one_file: flags.has(Flags::ONE_FILE),
            has_superblock: params.uuid().is_some(),
            wrong_root_hash: flags
                .has(Flags::WRONG_ROOT_HASH)
                .then(|| RootHash::new(pattern[..pattern.len().min(64)].to_vec())),
            params,
            data,
            hash,
        }
    }

    fn check(&self, data: &Path, hash: &Path) {
        let offset = self.params.hash_offset();
        let params = if self.has_superblock {
            match dmverity::load(hash, offset, None) {
                Ok(params) => params,
                Err(error) => {
                    return assert!(matches!(error, Error::Superblock { .. } | Error::Open { .. }), "{error}");
                }
            }
        } else {
            self.params.clone()
        };
        if self.has_superblock {
            let at = usize::try_from(offset).expect("it is near");
            assert_eq!(params.superblock(), Superblock::parse(&self.hash[at..]).ok());
        }
        let layout = Layout::new(&params).expect("it was loaded");
        let fits = params.data_bytes() <= self.data.len() as u64
            && (layout.levels().is_empty() || layout.hash_end() <= self.hash.len() as u64);
        // Computed only if the tree fits: the numbers may be of any size.
        let tree = fits.then(|| Tree::of(&params, &self.data));
        let computed = tree.as_ref().map_or_else(Vec::new, |tree| tree.root_hash.clone());
        let root_hash = self.wrong_root_hash.clone().unwrap_or_else(|| RootHash::new(computed.clone()));
        let work = Work::default().threads(std::num::NonZero::<usize>::MIN);
        match (dmverity::verify(&Devices::new(data, hash), &params, &root_hash, &work), tree) {
            (Err(Error::DeviceTooSmall { .. }), None) => {}
            (Ok(found), Some(tree)) => {
                let start = usize::try_from(tree.start).expect("it fits");
                let stored = self.hash.get(start..start + tree.bytes.len());
                let same_tree = tree.bytes.is_empty() || stored == Some(&tree.bytes[..]);
                check_verification(&found, same_tree, root_hash.as_bytes() == computed);
            }
            (result, tree) => panic!("{result:?}, but the devices are large enough: {}", tree.is_some()),
        }
        if let Ok(found) = dmverity::find_hash_offset(hash) {
            let params = dmverity::load(hash, found, None).expect("it was found");
            assert_eq!(params.data_bytes(), found);
        }
    }
}

fn check_verification(found: &Verification, same_tree: bool, same_root_hash: bool) {
    assert_eq!(found.failures() == 0, same_tree, "{found:?}");
    assert_eq!(found.is_good(), same_tree && same_root_hash, "{found:?}");
    let shown = usize::try_from(found.failures()).expect("few").min(Verification::KEPT);
    assert_eq!(found.first_failures().len(), shown);
}

fn params(input: &mut Input<'_>, flags: &Flags) -> Params {
    let mut block_size = || {
        let byte = input.byte();
        // Large blocks are slow.
        let log2 = if byte >= 254 { 9 + byte % 11 } else { 9 + byte % 4 };
        BlockSize::new(1 << log2).expect("from 512 to 524288")
    };
    let (data_block, hash_block) = (block_size(), block_size());
    let algorithm = HashAlgorithm::from_name(input.one_of(model::ALGORITHMS)).expect("each is known");
    let hash_type = input.one_of(&[HashType::Normal, HashType::ChromeOs]);
    let salt: Vec<u8> = (0..=input.byte()).skip(1).collect();
    let blocks = (u64::from(input.byte()) % 64 + 1).min((MOST_DATA / data_block.bytes()).max(2));
    let sectors = u64::from(input.byte() % 16);
    let end_of_data = data_block.bytes() * blocks;
    let offset = sectors * 512 + if flags.has(Flags::ONE_FILE) { end_of_data } else { 0 };
    let mut builder = Params::builder()
        .algorithm(algorithm)
        .hash_type(hash_type)
        .data_block_size(data_block)
        .hash_block_size(hash_block)
        .salt(Salt::new(&salt).expect("at most 255 bytes"))
        .data_blocks(blocks);
    if flags.has(Flags::NO_SUPERBLOCK) {
        builder = builder.no_superblock();
        // A tree starts at the whole block below its offset.
        return builder.hash_offset(offset.next_multiple_of(hash_block.bytes())).build(end_of_data).expect("valid");
    }
    builder.hash_offset(offset).build(end_of_data).expect("valid")
}
