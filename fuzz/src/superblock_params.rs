//! A superblock, and everything that is computed from it.
//!
//! Input: 512 bytes of superblock; hash offset, data device's size, hash device's size (8 bytes each); FEC roots (2),
//! FEC offset (8).

use dmverity::{
    AppendedFec, Fec, Hashing, Layout, MAX_DEVICE_BYTES, Params, Plan, Salt, Seed, SharedDevices, Superblock,
};

use crate::input::Input;

pub(crate) const DICTIONARY: &[&str] = &[
    "verity\0\0\x01\0\0\0\x01\0\0\0",
    "verity\0\0\x01\0\0\0\0\0\0\0",
    "sha256\0",
    "sha1\0",
    "sha512\0",
    "whirlpool\0",
    "md5\0",
    "\0\x10\0\0\0\x10\0\0",
    "\0\x02\0\0\0\x02\0\0",
    "\0\0\x08\0\0\0\x08\0",
];

/// No superblock causes a panic or a number out of bounds, and a superblock that is read is written back the same.
pub fn superblock_params(data: &[u8]) {
    let mut input = Input::new(data);
    let Ok(superblock) = Superblock::parse(input.take(512)) else { return };
    assert_eq!(Superblock::parse(&superblock.to_bytes()).expect("it was valid"), superblock);
    assert!(superblock.data_blocks() > 0);
    assert!(superblock.data_block_size().checked_bytes_of(superblock.data_blocks()).is_some());
    assert!(superblock.salt().as_bytes().len() <= Salt::MAX_LEN);

    let (hash_offset, data_bytes, hash_bytes) = (input.u64(), input.u64(), input.u64());
    let hashing = superblock.hashing();
    let (roots, fec_offset) = (u64::from(input.u16()), input.u64());
    let fec = Fec::new(roots, fec_offset).ok();
    plans(&hashing, data_bytes, roots);
    let builder = Params::builder().hashing(hashing).hash_offset(hash_offset).data_blocks(superblock.data_blocks());
    for builder in [Some(builder.clone()), fec.map(|fec| builder.fec(fec))].into_iter().flatten() {
        let Ok(params) = builder.build(MAX_DEVICE_BYTES) else { continue };
        assert_eq!(params.superblock().expect("it has one"), superblock);
        let seed = Seed::of_params(&params);
        assert_eq!(seed.salt().as_bytes().len(), Salt::RANDOM_LEN);
        if let Ok(layout) = Layout::new(&params) {
            check_layout(&layout);
            check_fec(&layout, hash_bytes);
        }
    }
}

fn check_layout(layout: &Layout) {
    let params = layout.params();
    let hash_block = params.hash_block_size().bytes();
    let area = layout.hash_area();
    assert_eq!(area.start, params.hash_offset());
    assert!(area.end <= MAX_DEVICE_BYTES && area.end == layout.hash_end());
    assert!(layout.first_hash_block() * hash_block >= params.hash_offset() + 512);
    assert!(layout.fan_out() >= 8 && layout.fan_out() * layout.digest_stride() as u64 <= hash_block);
    let (mut below, mut end) = (params.data_blocks(), layout.first_hash_block() + layout.hash_blocks());
    for level in layout.levels() {
        assert_eq!(level.blocks, below.div_ceil(layout.fan_out()));
        assert_eq!(level.first_block + level.blocks, end);
        (below, end) = (level.blocks, level.first_block);
    }
    assert_eq!((below, end), (1, layout.first_hash_block()));
}

fn check_fec(layout: &Layout, hash_bytes: u64) {
    for shared in [false, true] {
        let Some(area) = layout.fec_area_on(hash_bytes, shared) else { continue };
        let fec = layout.params().fec().expect("it has an area");
        assert!(area.bytes.start == fec.offset && area.bytes.end >= area.bytes.start);
        assert!(area.blocks >= layout.params().data_blocks());
        let devices = SharedDevices { data_and_hash: shared, hash_and_fec: shared, data_and_fec: shared };
        if layout.check_overlaps(devices, Some(&area)).is_ok() {
            assert!(area.bytes.end <= MAX_DEVICE_BYTES);
            let block = layout.params().hash_block_size().bytes();
            assert_eq!(area.bytes.end - area.bytes.start, area.rounds * u64::from(fec.roots) * block);
            assert!(!shared || layout.hash_end() <= area.bytes.start);
        }
    }
}

fn plans(hashing: &Hashing, data_bytes: u64, roots: u64) {
    for device in [None, Some("fec".into())] {
        for fec in [None, Some(AppendedFec { roots, device })] {
            let Ok(plan) = Plan::one_image(hashing.clone(), data_bytes, fec.as_ref()) else {
                continue;
            };
            check_layout(&plan.layout);
            assert_eq!(plan.layout.params().data_bytes(), data_bytes + plan.padding_bytes);
            assert!(plan.total_bytes >= plan.layout.hash_end());
        }
    }
    if let Ok(plan) = Plan::new(Params::builder().hashing(hashing.clone()), data_bytes) {
        check_layout(&plan.layout);
        assert_eq!(plan.layout.params().data_bytes() + plan.uncovered_bytes, data_bytes);
    }
}
