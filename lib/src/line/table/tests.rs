use super::*;
use crate::format::Params;

const PLAIN: &str = "1 7:1 7:0 4096 512 256 1 sha256 \
    5e72000000000000000000000000000000000000000000000000000000000000 724aff";

#[test]
fn a_plain_table_reads_back_as_it_was_written() {
    let table = VerityTable::parse(PLAIN).unwrap();
    assert_eq!(table.data_device, "7:1");
    assert_eq!(table.hash_device, "7:0");
    assert_eq!((table.data_block_size.bytes(), table.hash_block_size.bytes()), (4096, 512));
    assert_eq!((table.data_blocks, table.hash_start), (256, 1));
    assert_eq!(table.sectors(), Some(2048));
    assert_eq!(table.to_string(), PLAIN);
}

#[test]
fn every_option_stands_in_the_kernels_order() {
    let options = TableOptions {
        flags: [
            TableFlag::TryVerifyInTasklet,
            TableFlag::CheckAtMostOnce,
            TableFlag::IgnoreZeroBlocks,
            TableFlag::PanicOnError,
            TableFlag::RestartOnCorruption,
        ]
        .into(),
        fec: Some(TableFec { device: "7:2".into(), blocks: 259, start: 3, roots: 24 }),
        signature_key: Some("cryptsetup:x-y".into()),
        unknown: Vec::new(),
    };
    let table = VerityTable { options, ..VerityTable::parse(PLAIN).unwrap() };
    let line = table.to_string();
    assert_eq!(
        line.strip_prefix(PLAIN).unwrap(),
        " 15 restart_on_corruption panic_on_error ignore_zero_blocks check_at_most_once try_verify_in_tasklet \
         use_fec_from_device 7:2 fec_blocks 259 fec_start 3 fec_roots 24 root_hash_sig_key_desc cryptsetup:x-y"
    );
    assert_eq!(VerityTable::parse(&line).unwrap(), table);

    // Each can be taken out, and all together are everything.
    let asked = table.options.asked();
    assert_eq!(asked.len(), 7);
    assert_eq!(table.options.only(&asked), table.options);
    for option in asked {
        let alone = table.options.only(&[option]);
        assert_eq!(alone.asked(), [option]);
        assert_eq!(alone.words()[0], option.word());
    }
}

#[test]
fn every_option_has_one_row_and_reads_back_alone() {
    let values = |option| match option {
        TableOption::Flag(_) => "",
        TableOption::Fec => " 7:2 fec_blocks 259 fec_start 3 fec_roots 24",
        TableOption::Signature => " cryptsetup:x-y",
    };
    let mut words = Vec::new();
    for option in TableOption::all() {
        let written = format!("{}{}", option.word(), values(option));
        let line = format!("{PLAIN} {} {written}", written.split(' ').count());
        let table = VerityTable::parse(&line).unwrap();
        assert_eq!(table.options.asked(), [option]);
        assert_eq!(table.options.unknown, [""; 0]);
        assert_eq!(table.to_string(), line);
        words.push(option.word());
    }
    let flags: Vec<TableFlag> = TableOption::all()
        .filter_map(|option| if let TableOption::Flag(flag) = option { Some(flag) } else { None })
        .collect();
    assert!(flags.is_sorted(), "the rows are in the order of the flags");
    assert_eq!((words.len(), flags.len()), (10, 8));
    words.dedup();
    assert_eq!(words.len(), 10);
    assert!(TableOption::all().filter(|option| option.is_hint()).eq([TableFlag::TryVerifyInTasklet.into()]));
    // Their names elsewhere are the kernel's words with hyphens.
    for reader in [Reader::Systemd, Reader::UBoot] {
        for option in TableOption::all() {
            assert!(option.name_for(reader).is_none_or(|name| name.replace('-', "_") == option.word()), "{option:?}");
        }
    }
}

#[test]
fn flags_that_exclude_each_other_replace_each_other() {
    let read = |words: &str| {
        let count = words.split(' ').count();
        let options = VerityTable::parse(&format!("{PLAIN} {count} {words}")).unwrap().options;
        options.words().join(" ")
    };
    assert_eq!(read("ignore_corruption panic_on_corruption"), "panic_on_corruption");
    assert_eq!(read("panic_on_corruption restart_on_corruption"), "restart_on_corruption");
    assert_eq!(read("panic_on_error restart_on_error ignore_corruption"), "ignore_corruption restart_on_error");
    assert_eq!(read("check_at_most_once ignore_zero_blocks"), "ignore_zero_blocks check_at_most_once");

    let mut flags = TableFlags::from([TableFlag::CheckAtMostOnce, TableFlag::PanicOnError]);
    flags.insert(TableFlag::PanicOnError);
    assert!(flags.contains(TableFlag::CheckAtMostOnce) && !flags.contains(TableFlag::RestartOnError));
    assert!(flags.remove(TableFlag::CheckAtMostOnce) && !flags.remove(TableFlag::CheckAtMostOnce));
    assert!((&flags).into_iter().eq([TableFlag::PanicOnError]));
}

#[test]
fn a_root_hash_of_another_length_is_refused() {
    let params = Params::builder().build(1 << 20).unwrap();
    let layout = Layout::new(&params).unwrap();
    let table = |bytes: usize| {
        let root_hash = RootHash::new(vec![0xab; bytes]);
        VerityTable::new(&layout, root_hash, "7:1".to_owned(), "7:0".to_owned(), TableOptions::default())
    };
    assert!(table(32).is_ok_and(|table| VerityTable::parse(&table.to_string()).unwrap() == table));
    for bytes in [0, 31, 33] {
        let refused = table(bytes);
        assert!(
            matches!(refused, Err(Error::RootHashLength { found, needed: 32, algorithm: "sha256" }) if found == bytes),
            "{refused:?}"
        );
    }
}

#[test]
fn options_beyond_the_count_are_ignored_and_unknown_ones_kept() {
    let options = |tail: &str| VerityTable::parse(&format!("{PLAIN} {tail}")).unwrap().options;
    assert_eq!(options("0 ignore_corruption"), TableOptions::default());
    assert_eq!(options("1 ignore_zero_blocks ignore_corruption").words(), ["ignore_zero_blocks"]);
    assert_eq!(options("2 check_at_most_once new_in_8").unknown, ["new_in_8"]);
}

#[test]
fn what_is_no_table_is_refused_with_a_reason() {
    let reason = |line: &str| match VerityTable::parse(line) {
        Err(Error::TableSyntax { what, .. }) => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(reason(""), "it has fewer than ten words");
    assert_eq!(reason("1 7:1 7:0 4096 512 256 1 sha256 00"), "it has fewer than ten words");
    assert_eq!(reason(&PLAIN.replacen('1', "2", 1)), "the hash type is neither 0 nor 1");
    assert_eq!(reason(&PLAIN.replace("512", "513")), "a block size is not valid");
    assert_eq!(reason(&PLAIN.replace("256 1", "256 x")), "a number was expected");
    assert_eq!(reason(&PLAIN.replace("5e72", "5e7")), "the root hash is not hexadecimal");
    assert_eq!(reason(&PLAIN.replace("724aff", "xyz")), "the salt is not hexadecimal");
    assert_eq!(reason(&format!("{PLAIN} 1 fec_roots")), "an optional argument has no value");
    let without_numbers = format!("{PLAIN} 2 use_fec_from_device 7:2");
    assert_eq!(reason(&without_numbers), "use_fec_from_device needs fec_blocks and fec_roots");
}

#[test]
fn status_is_the_first_word_and_the_counter_the_second() {
    let status = |line| VerityStatus::parse(line).unwrap();
    assert_eq!(status("V"), VerityStatus { corrupted: false, repaired: None });
    assert_eq!(status("C"), VerityStatus { corrupted: true, repaired: None });
    assert_eq!(status("V -"), VerityStatus { corrupted: false, repaired: None });
    assert_eq!(status("C 17 more"), VerityStatus { corrupted: true, repaired: Some(17) });
    for line in ["", "X", "verified"] {
        assert!(VerityStatus::parse(line).is_err());
    }
}

#[test]
fn a_table_has_the_parameters_of_its_image() {
    let params = VerityTable::parse(PLAIN).unwrap().params().unwrap();
    assert_eq!((params.data_blocks(), params.hash_offset(), params.uuid()), (256, 512, None));
    assert_eq!((params.salt().to_string().as_str(), params.algorithm().name()), ("724aff", "sha256"));
    let fec = TableFec { device: "7:2".into(), blocks: 259, start: 3, roots: 24 };
    let table = VerityTable {
        hash_block_size: BlockSize::DEFAULT,
        options: TableOptions { fec: Some(fec), ..TableOptions::default() },
        ..VerityTable::parse(PLAIN).unwrap()
    };
    assert_eq!(table.params().unwrap().fec(), Some(Fec::new(24, 3 * 4096).unwrap()));
    assert_eq!(table.params().unwrap().hash_offset(), 4096);
}

#[test]
fn a_table_that_no_image_can_have_has_no_parameters() {
    let error = |table: VerityTable| table.params().unwrap_err().to_string();
    let plain = || VerityTable::parse(PLAIN).unwrap();
    let other = VerityTable { algorithm: "sm9".into(), ..plain() };
    assert_eq!(error(other), "unknown hash algorithm \"sm9\"");
    let far = VerityTable { hash_start: u64::MAX, ..plain() };
    assert!(error(far).starts_with("hash offset 18446744073709551615 is not"));
}
