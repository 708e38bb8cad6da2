//! Disk images: the partition table, what belongs together, signature partitions, policies, and containerd's files.
//!
//! Input: a byte that says what the rest is. 0: an image. 1: a GPT: a byte for the size of sectors, 92 bytes of header,
//! and entries; checksums are made right, and the backup is a copy of it. 2: a signature partition. 3: a policy.
//! 4: containerd's file.

use dmverity::ddi::{Error, Gpt, ImageFacts, ImageSet, Images, LayerSidecar, Policy, SignaturePartition, Wanted};

use crate::input::Input;

pub(crate) const DICTIONARY: &[&str] = &[
    "EFI PART\0\0\x01\0\x5C\0\0\0",
    "\"rootHash\":\"",
    "\"certificateFingerprint\":\"",
    "\"signature\":\"",
    "\"roothash\":\"",
    "\"hashoffset\":",
    "root=",
    "usr=",
    "-verity",
    "-verity-sig",
    "verity",
    "signed",
    "unprotected",
    "absent",
    "read-only-on",
    "growfs-off",
    "squashfs",
    "+",
    ":",
    "=",
    "\0",
    "\x04\0\0\0\0\x02\0\0",
];

/// What all images are checked against.
const POLICIES: &[&str] = &["*", "-", "~", "root=signed", "root=verity+signed:usr=unprotected:=absent"];

/// No bytes cause a panic; what is read is within the image, and is written back the same.
pub fn gpt_ddi(data: &[u8]) {
    let mut input = Input::new(data);
    match input.byte() % 5 {
        0 => image(input.rest()),
        1 => image(&disk(&mut input)),
        2 => signature(input.rest()),
        3 => policy(&String::from_utf8_lossy(input.rest())),
        _ => layer(input.rest()),
    }
}

fn image(bytes: &[u8]) {
    let Ok(gpt) = Gpt::read(&bytes) else { return };
    let mut ranges: Vec<_> = gpt.partitions().iter().map(|each| (each.offset, each.end())).collect();
    ranges.sort_unstable();
    assert!(ranges.iter().all(|&(start, end)| start < end && end <= bytes.len() as u64));
    assert!(ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0));
    let images = Images::of(&gpt, &bytes).expect("all of it can be read");
    for set in images.sets() {
        let Some(root_hash) = &set.root_hash else { continue };
        let uuids = root_hash.partition_uuids().expect("it has two halves");
        assert_eq!((uuids.data, uuids.hash), (set.data.uuid, set.verity.uuid));
        assert!(set.signature().is_none_or(|content| content.root_hash == *root_hash));
        let wanted = Wanted {
            root_hash: Some(root_hash),
            architecture: Some(set.architecture),
            designator: Some(set.designator),
        };
        match images.pick(&wanted) {
            Ok(picked) => assert_eq!(picked, *set),
            Err(error) => assert!(matches!(error, Error::Ambiguous { .. }), "{error}"),
        }
    }
    let known = images.unmatched().count() + images.sets().iter().flat_map(ImageSet::partitions).count();
    assert!(known >= gpt.partitions().iter().filter(|partition| partition.kind.is_some()).count());
    let facts = ImageFacts::of(&gpt, &bytes).expect("all of it can be read");
    for policy in POLICIES {
        let _ = Policy::parse(policy).expect("they are policies").check(&facts);
    }
}

/// An image with this header and these entries.
fn disk(input: &mut Input<'_>) -> Vec<u8> {
    let size = input.one_of(&[512, 4096]);
    let sectors = if size == 512 { 96 } else { 16 };
    let mut image = vec![0; size * sectors];
    let mut header = [0; 92];
    let found = input.take(header.len());
    header[..found.len()].copy_from_slice(found);
    let entries = input.rest();
    let u32_at = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("four bytes"));
    let (table, count, entry) = (u64::from(u32_at(72)), u32_at(80), u32_at(84));
    let table_bytes = u64::from(count) * u64::from(entry);
    // The table is where the header says, if it fits; the other one is right before the backup header.
    let last = sectors as u64 - 1;
    let backup = last.saturating_sub(table_bytes.div_ceil(size as u64));
    let mut checksum = 0;
    for place in [table, backup] {
        let start = usize::try_from(place).unwrap_or(usize::MAX).saturating_mul(size);
        let end = start.saturating_add(usize::try_from(table_bytes).unwrap_or(usize::MAX));
        let Some(room) = image.get_mut(start..end) else { continue };
        let len = room.len().min(entries.len());
        room[..len].copy_from_slice(&entries[..len]);
        checksum = crc32fast::hash(room);
    }
    header[88..92].copy_from_slice(&checksum.to_le_bytes());
    let mut place = |header: &mut [u8; 92], sector: usize| {
        header[16..20].fill(0);
        let checksum = crc32fast::hash(header);
        header[16..20].copy_from_slice(&checksum.to_le_bytes());
        image[sector * size..][..92].copy_from_slice(header);
    };
    place(&mut header, 1);
    let (own, other) = (header[24..32].to_vec(), header[32..40].to_vec());
    header[24..32].copy_from_slice(&other);
    header[32..40].copy_from_slice(&own);
    header[72..80].copy_from_slice(&backup.to_le_bytes());
    place(&mut header, sectors - 1);
    image
}

fn signature(bytes: &[u8]) {
    if let Ok(content) = SignaturePartition::parse(bytes) {
        let written = content.to_bytes();
        assert!(written.len() >= SignaturePartition::BYTES && written.len().is_multiple_of(4096));
        assert_eq!(SignaturePartition::parse(&written).expect("it was written"), content);
    }
}

fn policy(text: &str) {
    if let Ok(policy) = Policy::parse(text) {
        assert_eq!(Policy::parse(&policy.to_string()).expect("it was read"), policy);
    }
}

fn layer(bytes: &[u8]) {
    if let Ok(sidecar) = LayerSidecar::parse(bytes) {
        let written = sidecar.to_string();
        assert_eq!(LayerSidecar::parse(written.as_bytes()).expect("it was written"), sidecar);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Target;

    /// Inputs from which mutations go on.
    #[test]
    fn some_of_the_corpus_is_an_image() {
        let corpus = Target::by_name("gpt_ddi").expect("it is in the list").corpus();
        let images = corpus.iter().filter(|(_, bytes)| bytes[0] == 1).filter_map(|(path, bytes)| {
            let image = disk(&mut Input::new(&bytes[1..]));
            let gpt = Gpt::read(&image).ok()?;
            let sets = Images::of(&gpt, &image).expect("all of it can be read").sets().len();
            Some((path.file_name()?.to_str()?.to_owned(), gpt.partitions().len(), sets))
        });
        let found: Vec<_> = images.collect();
        let expected = [
            ("signed-4096", 3, 1),
            ("signed-512", 3, 1),
            ("two-versions", 4, 0),
            ("wide-entries", 1, 0),
            ("with-home", 4, 1),
        ];
        let expected: Vec<_> = expected.map(|(name, partitions, sets)| (name.to_owned(), partitions, sets)).into();
        assert_eq!(found, expected);
    }
}
