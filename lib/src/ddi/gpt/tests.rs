use uuid::uuid;

use super::super::header::{ENTRY_BYTES, HEADER_BYTES};
use super::super::table::{ENTRIES, Table, head_sectors, tail_sectors};
use super::super::testing::Stops;
use super::*;
use crate::io::Memory;

const SECTORS: u64 = 200;

fn entry(first: u64, last: u64) -> Entry {
    Entry {
        type_guid: uuid!("2c7357ed-ebd2-46d9-aec1-23d437ec2bf5"),
        uuid: uuid!("fcaea311-2f77-1f9b-5999-ac16dabb7d3e"),
        first,
        last,
        attributes: Partition::READ_ONLY,
        name: "Größe".to_owned(),
    }
}

fn image_with(sector_size: u32, entries: Vec<Entry>) -> Vec<u8> {
    let bytes = usize::try_from(SECTORS).unwrap() * sector_size as usize;
    let memory = Memory::from(vec![0; bytes]);
    let disk = uuid!("358235cc-87c0-46b1-a612-e72eea06c4f4");
    Table { sector_size, sectors: SECTORS, disk, entries }.write(&memory).unwrap();
    Vec::from(memory)
}

fn image(sector_size: u32) -> Vec<u8> {
    image_with(sector_size, vec![entry(40, 99), entry(100, 149)])
}

/// The bytes of both headers' sectors, in sectors of 512 bytes.
const PRIMARY: usize = 512;
const BACKUP: usize = 199 * 512;

/// Changes a header's field, and makes its checksum right.
fn set(image: &mut [u8], header: usize, field: usize, value: &[u8]) {
    image[header + field..][..value.len()].copy_from_slice(value);
    let header = &mut image[header..][..512];
    header[16..20].fill(0);
    let len = u32::from_le_bytes(header[12..16].try_into().unwrap()) as usize;
    let checksum = checksum(&header[..len.min(512)]);
    header[16..20].copy_from_slice(&checksum.to_le_bytes());
}

/// Changes both tables of entries, and makes all checksums right.
fn edit_entries(image: &mut [u8], edit: impl Fn(&mut [u8])) {
    let len = ENTRIES as usize * ENTRY_BYTES;
    for (header, table) in [(PRIMARY, 1024), (BACKUP, BACKUP - len)] {
        edit(&mut image[table..][..len]);
        let checksum = checksum(&image[table..][..len]);
        set(image, header, 88, &checksum.to_le_bytes());
    }
}

fn fault(image: &[u8]) -> (GptCopy, GptFault) {
    match Gpt::read(&image.to_vec()) {
        Err(Error::Damaged { copy, fault }) => (copy, fault),
        other => panic!("{other:?}"),
    }
}

#[test]
fn both_sector_sizes_are_read() {
    for size in SECTOR_SIZES {
        let gpt = Gpt::read(&image(size)).unwrap();
        let bytes = u64::from(size);
        assert_eq!((gpt.sector_size(), gpt.bytes(), gpt.partitions().len()), (size, SECTORS * bytes, 2));
        let [first, second] = gpt.partitions() else { unreachable!() };
        assert_eq!((first.number, first.offset, first.bytes), (1, 40 * bytes, 60 * bytes));
        assert_eq!((second.number, second.offset, second.end()), (2, 100 * bytes, 150 * bytes));
        assert_eq!((first.name.as_str(), first.type_name().as_str()), ("Größe", "root-x86-64-verity"));
        assert_eq!(first.uuid, uuid!("fcaea311-2f77-1f9b-5999-ac16dabb7d3e"));
        assert!(first.has(Partition::READ_ONLY) && !first.has(Partition::GROW_FILE_SYSTEM | Partition::NO_AUTO));
    }
}

#[test]
fn partitions_reach_to_the_tables() {
    let (first, last) = (head_sectors(512), SECTORS - 1 - tail_sectors(512));
    assert_eq!((first, last), (34, 166));
    let gpt = Gpt::read(&image_with(512, vec![entry(first, last)])).unwrap();
    assert_eq!((gpt.partitions()[0].offset, gpt.partitions()[0].end()), (34 * 512, 167 * 512));
    for (entries, bad) in [
        (vec![entry(first - 1, last)], (33, 166)),
        (vec![entry(first, last + 1)], (34, 167)),
        (vec![entry(50, 49)], (50, 49)),
        (vec![entry(40, u64::MAX)], (40, u64::MAX)),
        (vec![entry(u64::MAX, u64::MAX)], (u64::MAX, u64::MAX)),
    ] {
        match Gpt::read(&image_with(512, entries)) {
            Err(Error::PartitionRange { number: 1, first, last, usable_first: 34, usable_last: 166 }) => {
                assert_eq!((first, last), bad);
            }
            other => panic!("{bad:?}: {other:?}"),
        }
    }
}

#[test]
fn overlaps_are_found_in_any_order() {
    for entries in [vec![entry(40, 99), entry(99, 149)], vec![entry(99, 149), entry(110, 120), entry(40, 60)]] {
        match Gpt::read(&image_with(512, entries)) {
            Err(Error::Overlap { first, second }) => assert_eq!((first, second), (1, 2)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn each_field_of_a_header_is_checked() {
    let last = (SECTORS - 1).to_le_bytes();
    for (header, copy) in [(PRIMARY, GptCopy::Primary), (BACKUP, GptCopy::Backup)] {
        let (own, table) = if header == PRIMARY { (1, 2u64) } else { (199, 167) };
        for (field, value, expected) in [
            (8, &[0, 0, 2, 0][..], GptFault::Revision(0x20000)),
            (12, &[91, 0, 0, 0], GptFault::HeaderSize(91)),
            (12, &[1, 2, 0, 0], GptFault::HeaderSize(513)),
            (24, &[77, 0], GptFault::OwnPlace { found: 77, expected: own }),
            (40, &[167], GptFault::Usable { first: 167, last: 166 }),
            (72, &[150, 0], GptFault::TablePlace { first: 150, last: 181 }),
            (72, &[0xFF; 8], GptFault::TablePlace { first: u64::MAX, last: u64::MAX }),
            (80, &[0, 0], GptFault::EntryCount(0)),
            (80, &[1, 4], GptFault::EntryCount(1025)),
            (84, &[64], GptFault::EntrySize(64)),
            (84, &[192], GptFault::EntrySize(192)),
            (84, &[0, 0x20], GptFault::EntrySize(8192)),
            (88, &[0xFF; 4], GptFault::TableChecksum),
        ] {
            let mut image = image(512);
            set(&mut image, header, field, value);
            assert_eq!(fault(&image), (copy, expected), "{field} {value:?}");
        }
        for field in (8..HEADER_BYTES).filter(|&field| !(8..16).contains(&field)) {
            let mut image = image(512);
            image[header + field] ^= 1;
            assert_eq!(fault(&image), (copy, GptFault::HeaderChecksum), "{field}");
        }
        let mut image = image(512);
        let start = usize::try_from(table).unwrap() * 512;
        image[start + 16383] = 1;
        assert_eq!(fault(&image), (copy, GptFault::TableChecksum));
        // What the place of a header says is found before its checksum is.
        image[header] = 0;
        assert_eq!(fault(&image), (copy, GptFault::Missing));
    }
    let mut image = image(512);
    set(&mut image, BACKUP, 32, &last);
    assert_eq!(fault(&image), (GptCopy::Backup, GptFault::OtherPlace(199)));
}

#[test]
fn longer_headers_and_entries_are_read() {
    let mut long = image(512);
    for header in [PRIMARY, BACKUP] {
        set(&mut long, header, 12, &512u32.to_le_bytes());
    }
    assert_eq!(Gpt::read(&long).unwrap().partitions().len(), 2);
    // The same table as 64 entries of 256 bytes: the second one was the rest of the first.
    let mut wide = image(512);
    for header in [PRIMARY, BACKUP] {
        set(&mut wide, header, 80, &64u32.to_le_bytes());
        set(&mut wide, header, 84, &256u32.to_le_bytes());
    }
    assert_eq!(Gpt::read(&wide).unwrap().partitions().len(), 1);
}

#[test]
fn copies_have_to_agree() {
    for (field, value, what) in [
        (40, &[35][..], "the first usable sector"),
        (48, &[165], "the last usable sector"),
        (56, &[1], "the disk's UUID"),
    ] {
        let mut image = image(512);
        set(&mut image, BACKUP, field, value);
        assert!(matches!(Gpt::read(&image), Err(Error::CopiesDiffer { what: found }) if found == what), "{what}");
    }
    let mut image = image(512);
    let table = BACKUP - 16384;
    image[table + 56] = b'x';
    let checksum = checksum(&image[table..BACKUP]);
    set(&mut image, BACKUP, 88, &checksum.to_le_bytes());
    assert!(matches!(Gpt::read(&image), Err(Error::CopiesDiffer { what: "the table of partitions" })));
}

#[test]
fn the_end_of_the_image_is_where_the_backup_is() {
    let good = image(512);
    for cut in [1, 512, 33 * 512, 150 * 512] {
        let short = good[..good.len() - cut].to_vec();
        let (found, len) = (Gpt::read(&short), short.len() as u64);
        assert!(matches!(found, Err(Error::Truncated { needed: 102_400, found }) if found == len), "{cut} {found:?}");
    }
    for more in [512, 1 << 20] {
        let mut long = good.clone();
        long.resize(good.len() + more, 0);
        let len = long.len() as u64;
        assert!(matches!(Gpt::read(&long), Err(Error::Grown { expected: 102_400, found }) if found == len), "{more}");
        // The same image, written to a larger device.
        assert_eq!(Gpt::read_from_larger(&long).unwrap(), Gpt::read(&good).unwrap(), "{more}");
        // What is at the end of the device says nothing.
        let at = long.len() - 512;
        long[at..].copy_from_slice(&image(512)[512..1024]);
        assert_eq!(Gpt::read_from_larger(&long).unwrap(), Gpt::read(&good).unwrap(), "{more}");
        long[good.len() - 512] ^= 1;
        let missing = (GptCopy::Backup, GptFault::Missing);
        let found = Gpt::read_from_larger(&long);
        assert!(matches!(found, Err(Error::Damaged { copy, fault }) if (copy, fault) == missing), "{more} {found:?}");
    }
    assert!(matches!(Gpt::read_from_larger(&good[..good.len() - 512].to_vec()), Err(Error::Truncated { .. })));
    // Less than a sector belongs to no sector.
    assert!(Gpt::read(&[&good[..], &[0; 511]].concat()).is_ok());
    // A table that has its header and ends too early.
    assert!(matches!(Gpt::read(&good[..1024].to_vec()), Err(Error::Truncated { .. })));
}

#[test]
fn a_plain_file_is_no_damaged_gpt() {
    for bytes in [0, 1, 511, 512, 519, 520, 1024, 4096, 4100, 100_000] {
        assert!(matches!(Gpt::read(&vec![0; bytes]), Err(Error::NoGpt)), "{bytes}");
    }
    let missing = (GptCopy::Primary, GptFault::Missing);
    let mut without_header = image(512);
    without_header[512..520].fill(0);
    assert_eq!(fault(&without_header), missing);
    // The backup at the end is enough, and so is the protective MBR.
    let mut backup_only = without_header.clone();
    backup_only[..512].fill(0);
    assert_eq!(fault(&backup_only), missing);
    let mut mbr_only = without_header.clone();
    mbr_only[BACKUP..].fill(0);
    assert_eq!(fault(&mbr_only), missing);
    // Without either, or with an MBR that protects nothing, it is something else.
    mbr_only[450] = 0x83;
    assert!(matches!(Gpt::read(&mbr_only), Err(Error::NoGpt)));
    let mut both = image(512);
    both[4096..4104].copy_from_slice(MAGIC);
    assert!(matches!(Gpt::read(&both), Err(Error::SeveralSectorSizes)));
    for size in SECTOR_SIZES {
        let header = image(size)[size as usize..][..8].to_vec();
        let alone = [vec![0; size as usize], header].concat();
        assert_eq!(fault(&[alone, vec![0; 8]].concat()), missing);
    }
}

#[test]
fn names_end_with_a_nul_and_can_be_anything() {
    let mut image = image(512);
    edit_entries(&mut image, |table| {
        table[56..60].copy_from_slice(&[0x00, 0xD8, b'a', 0]);
        table[ENTRY_BYTES + 56..2 * ENTRY_BYTES].fill(b'x');
    });
    let gpt = Gpt::read(&image).unwrap();
    assert_eq!(gpt.partitions()[0].name, "\u{FFFD}aöße");
    assert_eq!(gpt.partitions()[1].name, "\u{7878}".repeat(36));
    assert!(Gpt::read(&image_with(512, vec![Entry { name: "n".repeat(40), ..entry(40, 41) }])).is_ok());
}

#[test]
fn a_table_that_is_not_all_written_is_not_read() {
    let table = Table { sector_size: 512, sectors: SECTORS, disk: Uuid::nil(), entries: vec![entry(40, 99)] };
    for writes in 0..=5 {
        let stops = Stops::after(writes, vec![0; 200 * 512]);
        assert_eq!(table.write(&stops).is_ok(), writes == 5);
        assert_eq!(Gpt::read(&stops).is_ok(), writes == 5, "{writes}");
    }
}
