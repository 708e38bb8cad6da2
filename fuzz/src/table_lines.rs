//! Table and status lines of device-mapper, and the lines that open an image elsewhere.
//!
//! Input: a table line or status line, as text; or, for the lines of `boot`, texts with NULs between them: two bytes
//! that choose options, data device, hash device, name, FEC device, signature.

use dmverity::boot::BootImage;
use dmverity::table::{TableFlag, VerityStatus, VerityTable};
use dmverity::{BlockSize, Fec, Params, Plan, RootHash, Salt};

use crate::input::Input;

pub(crate) const DICTIONARY: &[&str] = &[
    "1 7:0 7:1 4096 4096 256 1 sha256 ",
    "ignore_corruption ",
    "restart_on_corruption ",
    "panic_on_corruption ",
    "restart_on_error ",
    "panic_on_error ",
    "ignore_zero_blocks ",
    "check_at_most_once ",
    "try_verify_in_tasklet ",
    "use_fec_from_device ",
    "fec_blocks ",
    "fec_start ",
    "fec_roots ",
    "root_hash_sig_key_desc ",
    "\0",
    "#",
    ",",
    ";",
    "\"",
    "'",
    "\\",
    "\u{a0}",
    "/dev/vda",
    "PARTUUID=",
    "UUID=",
    "LABEL=",
    "18446744073709551615",
    "=",
];

/// A parsed line prints as one that parses to the same; a written line says exactly what was requested.
pub fn table_lines(data: &[u8]) {
    let line = String::from_utf8_lossy(data);
    if let Ok(table) = VerityTable::parse(&line) {
        assert_eq!(VerityTable::parse(&table.to_string()).expect("it was printed"), table);
        let _ = table.sectors();
        let words = table.options.words();
        assert!(table.options.flags.iter().all(|flag| words.iter().any(|word| word == flag.word())));
    }
    let _ = VerityStatus::parse(&line);
    boot_lines(&mut Input::new(data));
}

fn boot_lines(input: &mut Input<'_>) {
    let (choice, options) = (input.byte(), input.byte());
    let (data, hash, name) = (input.text(), input.text(), input.text());
    let (fec_device, signature) = (input.text(), input.text());
    let has = |bit: u8| choice & 1 << bit != 0;
    let block = BlockSize::new(if has(0) { 512 } else { 4096 }).expect("valid");
    let mut builder = Params::builder().data_block_size(block).hash_block_size(block);
    if has(1) {
        builder = builder.fec(Fec::new(2, 0).expect("valid"));
    }
    if has(2) {
        builder = builder.no_superblock().salt(Salt::new(&[7; 3]).expect("short"));
    }
    let plan = Plan::new(builder, 1 << 20).expect("valid");
    let root_hash = RootHash::new((0..32).collect());
    let mut image = BootImage::new(&plan.layout, &root_hash);
    if has(3) {
        image = image.data_device(data.as_str());
    }
    if has(4) {
        image = image.hash_device(hash.as_str());
    }
    if let (true, Some(area)) = (has(5), plan.fec_area.clone()) {
        image = image.fec(area, fec_device.as_str());
    }
    if has(6) {
        image = image.signature(signature.as_str());
    }
    let on_corruption = match options % 4 {
        0 => None,
        1 => Some(TableFlag::IgnoreCorruption),
        2 => Some(TableFlag::RestartOnCorruption),
        _ => Some(TableFlag::PanicOnCorruption),
    };
    let others = [TableFlag::IgnoreZeroBlocks, TableFlag::CheckAtMostOnce, TableFlag::TryVerifyInTasklet];
    let others = others.into_iter().enumerate().filter(|(bit, _)| options & 4 << bit != 0).map(|(_, flag)| flag);
    let image = image.flags(on_corruption.into_iter().chain(others).collect());
    let data_word = has(3).then_some(data.as_str());
    if let Ok(line) = image.table_line() {
        check_table(&line, data_word);
    }
    if let Ok(line) = image.dm_mod_create(&name) {
        let inner = line.strip_prefix("dm-mod.create=\"").and_then(|line| line.strip_suffix('"')).expect("quoted");
        assert!(!inner.contains(['"', ';']), "{line:?}");
        let fields: Vec<&str> = inner.split(',').collect();
        assert_eq!((fields.len(), &fields[..4]), (5, &[name.as_str(), "", "", "ro"][..]), "{line:?}");
        check_table(fields[4], data_word);
    }
    if let Ok(line) = image.veritytab(&name) {
        let words = words(&line);
        assert!(!line.starts_with('#') && matches!(words.len(), 4..=5), "{line:?}");
        assert_eq!(words[0], name, "{line:?}");
        assert!(data_word.is_none_or(|data| words[1] == data) && (!has(4) || words[2] == hash), "{line:?}");
        if let Some(options) = words.get(4) {
            check_options(options);
        }
    }
    if let Ok(line) = image.cmdline() {
        for word in words(&line) {
            let (key, value) = word.split_once('=').expect("a parameter has a value");
            match key {
                "roothash" => assert_eq!(value, root_hash.to_string()),
                "systemd.verity_root_data" => assert_eq!(Some(value), data_word),
                "systemd.verity_root_hash" => assert_eq!(value, hash),
                "systemd.verity_root_options" => check_options(value),
                other => panic!("{other} in {line:?}"),
            }
        }
    }
}

/// The words of a line that is printed without escapes: nothing in it may be taken for something else.
fn words(line: &str) -> Vec<&str> {
    assert!(!line.contains(['"', '\'', '\\']) && !line.chars().any(char::is_control), "{line:?}");
    line.split_whitespace().collect()
}

fn check_table(line: &str, data: Option<&str>) {
    let words = words(line);
    assert_eq!((words[0], words[2]), ("0", "verity"), "{line:?}");
    let table = VerityTable::parse(&words[3..].join(" ")).expect("it was written");
    assert_eq!(words[1], table.sectors().expect("it fits").to_string());
    assert!(data.is_none_or(|data| table.data_device == data) && table.options.unknown.is_empty(), "{line:?}");
}

fn check_options(options: &str) {
    for option in options.split(',') {
        let (key, value) = option.split_once('=').map_or((option, None), |(key, value)| (key, Some(value)));
        let takes_value = matches!(
            key,
            "superblock"
                | "format"
                | "hash"
                | "data-block-size"
                | "hash-block-size"
                | "data-blocks"
                | "salt"
                | "hash-offset"
                | "fec-device"
                | "fec-offset"
                | "fec-roots"
                | "root-hash-signature"
        );
        let is_flag = matches!(
            key,
            "ignore-corruption"
                | "restart-on-corruption"
                | "panic-on-corruption"
                | "ignore-zero-blocks"
                | "check-at-most-once"
        );
        assert!(takes_value == value.is_some() && takes_value != is_flag, "{options:?}");
    }
}
