use super::options::FLAGS;
use super::*;
use crate::format::{Fec, Params, Plan};
use crate::line::boot::BootImage;

const HASH: &str = "0123456789ABCDEF0123456789abcdeffedcba9876543210FEDCBA9876543210";
const OTHER: &str = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";
const DATA: &str = "/dev/disk/by-partuuid/01234567-89ab-cdef-0123-456789abcdef";
const TREE: &str = "/dev/disk/by-partuuid/fedcba98-7654-3210-fedc-ba9876543210";

/// What a line asks for, or what is wrong with it, as one text. `{}` in the line is the root hash.
fn read(line: impl AsRef<[u8]>) -> String {
    let mut bytes = Vec::new();
    let mut rest = line.as_ref();
    while let Some(at) = rest.windows(2).position(|pair| pair == b"{}") {
        bytes.extend_from_slice(&rest[..at]);
        bytes.extend_from_slice(HASH.as_bytes());
        rest = &rest[at + 2..];
    }
    bytes.extend_from_slice(rest);
    let cmdline = match Cmdline::parse(&bytes) {
        Ok(cmdline) => cmdline,
        Err(fault) => return format!("wrong: {fault}").replace(HASH, "{}"),
    };
    let usr = if cmdline.usr { " usr" } else { "" };
    match cmdline.root {
        Root::NotAsked => format!("not asked{usr}"),
        Root::SwitchedOff => format!("off{usr}"),
        Root::Image(image) => {
            let hash = image.root_hash.to_string().replace(&HASH.to_ascii_lowercase(), "{}");
            let mut words = vec![format!("{hash} {} {}{usr}", image.data_device.path, image.hash_device.path)];
            words.extend(image.fec_device.map(|device| format!("fec-device={device}")));
            words.extend(image.options.into_iter().map(|RootOption { name, value }| {
                value.map_or_else(|| name.to_owned(), |value| format!("{name}={value}"))
            }));
            let text = words.join(" ");
            text.replace(&format!(" {DATA} {TREE}"), " partitions")
        }
    }
}

#[track_caller]
fn check(cases: &[(&str, &str)]) {
    for (line, expected) in cases {
        assert_eq!(read(line), *expected, "{line:?}");
    }
}

#[test]
fn every_blank_separates_and_both_quotes_are_known() {
    check(&[
        ("", "not asked"),
        ("\n", "not asked"),
        ("root=/dev/sda1 ro quiet\n", "not asked"),
        ("systemd.verity=maybe systemd.verity_root_data=x \"open \0", "not asked"),
        ("roothash={}", "{} partitions"),
        ("quiet\troothash={}\n", "{} partitions"),
        ("quiet\nroothash={}\nro\n", "{} partitions"),
        ("quiet\r\n roothash={}\r\n", "{} partitions"),
        ("quiet \"roothash={}\"", "{} partitions"),
        ("quiet roothash=\"{}\"", "{} partitions"),
        ("quiet 'roothash={}'", "{} partitions"),
        ("quiet roothash='{}'", "{} partitions"),
        ("r\"oo\"t''hash={}", "{} partitions"),
        ("rd.roothash={}", "{} partitions"),
        ("x=\"it's\" roothash={} 'y=\"'\"'\"", "wrong: a quotation mark on the kernel command line is not closed"),
        ("x=\"it's\" roothash={}", "{} partitions"),
        // The last of each counts.
        (&format!("roothash={OTHER} roothash={{}}"), "{} partitions"),
    ]);
}

#[test]
fn a_quoted_stretch_is_one_word() {
    const DEBUG: &str = "dyndbg=\"file x.c systemd.verity=no +p\"";
    const NO_PARAMETER: &str = "wrong: roothash= is on the kernel command line, but not as a parameter of its own";
    check(&[
        (&format!("{DEBUG} roothash={{}}"), "{} partitions"),
        (&format!("roothash={{}} {DEBUG}"), "{} partitions"),
        (
            "roothash={} \"systemd.verity=no systemd.verity=no\"",
            "wrong: systemd.verity=no systemd.verity=no is neither yes nor no",
        ),
        ("dyndbg=\"file x.c roothash={} +p\"", NO_PARAMETER),
        ("\"quiet roothash={}\"", NO_PARAMETER),
        ("\"quiet\troothash={}\"", NO_PARAMETER),
        ("my.roothash={}", NO_PARAMETER),
        ("x=roothash={}", NO_PARAMETER),
        (
            "roothash={} note=usrhash=00",
            "wrong: usrhash= is on the kernel command line, but not as a parameter of its own",
        ),
        // In single quotes for systemd alone.
        (
            "dyndbg='file x.c systemd.verity=no +p' roothash={}",
            "wrong: the kernel and systemd read systemd.verity in different ways",
        ),
        ("x='a roothash={} b'", "wrong: the kernel and systemd read roothash in different ways"),
        (
            &format!("roothash={{}} x='a roothash={OTHER} b'"),
            "wrong: the kernel and systemd read roothash in different ways",
        ),
        // Nothing in it that could matter.
        ("x='a b' roothash={}", "{} partitions"),
    ]);
}

#[test]
fn what_is_read_in_different_ways_is_refused() {
    const OPEN: &str = "wrong: a quotation mark on the kernel command line is not closed";
    const BACKSLASH: &str = "wrong: a backslash on the kernel command line precedes a quotation mark or a blank";
    const HASH_DIFFERS: &str = "wrong: the kernel and systemd read roothash in different ways";
    const OFF_DIFFERS: &str = "wrong: the kernel and systemd read systemd.verity in different ways";
    check(&[
        ("\"quiet roothash={}", OPEN),
        ("roothash=\"{}", OPEN),
        ("roothash={} 'quiet", OPEN),
        ("roothash={} note=don't", OPEN),
        ("note=don't roothash={} systemd.verity=no", OPEN),
        ("x=\\\"a roothash={} \\\"", BACKSLASH),
        ("roothash={}\\ systemd.verity=no", BACKSLASH),
        ("root=LABEL=a\\x20b roothash={}", "{} partitions"),
        // The kernel's own words end at `--`.
        ("-- roothash={}", HASH_DIFFERS),
        ("roothash={} -- systemd.verity=no", OFF_DIFFERS),
        ("roothash={} \"--\" systemd.verity=no", OFF_DIFFERS),
        ("roothash={} -- single", "{} partitions"),
        // Blanks for the kernel alone.
        ("quiet\x0broothash={}", HASH_DIFFERS),
        ("roothash={}\x0csystemd.verity=no", HASH_DIFFERS),
        ("roothash={} x\x0csystemd.verity=no", OFF_DIFFERS),
        ("roothash={}\0", "wrong: the kernel command line has a NUL byte"),
        ("quiet\0roothash={}", "wrong: the kernel command line has a NUL byte"),
    ]);
    assert_eq!(read(b"roothash={} x\xa0systemd.verity=no"), OFF_DIFFERS);
    assert_eq!(read(b"roothash={}\xa0"), HASH_DIFFERS);
    // In a word that does not matter any byte is right.
    assert_eq!(read(b"x=\xff\xfe\xa0 roothash={} y=\xc3\xa0"), "{} partitions");
}

#[test]
fn verity_is_switched_off_in_a_word_of_its_own() {
    let maybe = "is neither yes nor no";
    for no in ["no", "0", "n", "false", "f", "off"] {
        assert_eq!(read(format!("roothash={{}} systemd.verity={no}")), "off");
        assert_eq!(read(format!("rd.systemd.verity={no} roothash=* usrhash=x")), "off");
    }
    check(&[
        ("roothash={} 'systemd.verity=no'", "off"),
        ("\"x roothash={}\" systemd.verity=no", "off"),
        ("roothash={} systemd.verity=no systemd.verity=yes", "{} partitions"),
        ("roothash={} systemd.verity=yes rd.systemd.verity=no", "off"),
        ("roothash={} systemd.verity", "{} partitions"),
        ("roothash={} systemd.verity=maybe", &format!("wrong: systemd.verity=maybe {maybe}")),
        ("roothash={} systemd.verity=", &format!("wrong: systemd.verity= {maybe}")),
        ("roothash={} systemd.verity=NO", &format!("wrong: systemd.verity=NO {maybe}")),
        ("roothash={} xsystemd.verity=no", "{} partitions"),
    ]);
}

#[test]
fn usr_is_told_of() {
    check(&[
        ("usrhash={}", "not asked usr"),
        ("'usrhash={}'", "not asked usr"),
        ("usrhash={} roothash={}", "{} partitions usr"),
        ("systemd.verity_usr_data=x roothash={}", "{} partitions"),
        ("\"x usrhash={}\"", "wrong: usrhash= is on the kernel command line, but not as a parameter of its own"),
    ]);
}

#[test]
fn usr_is_read_like_the_root_device() {
    let read = |line: &str| match usr_image(line.replace("{}", HASH).as_bytes()) {
        Ok(None) => "not asked".to_owned(),
        Ok(Some(image)) => {
            let options: Vec<&str> = image.options.iter().map(|option| option.name).collect();
            let (data, hash) = (&image.data_device.path, &image.hash_device.path);
            let found = format!("{data} {hash} {}", options.join(","));
            assert_eq!(image.root_hash.to_string(), HASH.to_ascii_lowercase());
            found.replace(&format!("{DATA} {TREE}"), "partitions")
        }
        Err(fault) => format!("wrong: {fault}").replace(HASH, "{}"),
    };
    for (line, found) in [
        ("roothash={}", "not asked"),
        ("usrhash={} systemd.verity=no", "not asked"),
        ("usrhash={}", "partitions "),
        ("roothash={} systemd.verity_root_data=/dev/a usrhash={}", "partitions "),
        ("usrhash={} systemd.verity_usr_data=/dev/a systemd.verity-usr-hash=UUID=b", "/dev/a /dev/disk/by-uuid/b "),
        (
            "usrhash={} systemd.verity_usr_options=panic-on-corruption,superblock=no",
            "partitions panic-on-corruption,no-superblock",
        ),
        ("usrhash={} systemd.verity_root_options=what", "partitions "),
        (
            "usrhash={} systemd.verity_usr_options=what",
            "wrong: systemd.verity_usr_options= has the unknown option what",
        ),
        ("usrhash=", "wrong: usrhash= is empty"),
        ("usrhash={} systemd.verity_usr_data=a", "wrong: systemd.verity_usr_data=a names no device"),
        ("usrhash={} systemd.verity_foo=a", "wrong: systemd.verity_foo=a is not a known parameter"),
        ("x.usrhash={}", "wrong: usrhash= is on the kernel command line, but not as a parameter of its own"),
    ] {
        assert_eq!(read(line), found, "{line}");
    }
    // Another program opens it: its options do not keep the root device from being opened.
    check(&[("roothash={} usrhash={} systemd.verity_usr_options=what", "{} partitions usr")]);
}

#[test]
fn a_root_hash_and_devices_that_cannot_be_are_refused() {
    check(&[
        ("roothash=", "wrong: roothash= is empty"),
        ("roothash", "wrong: roothash= is empty"),
        ("roothash=0123456789abcdefg", "wrong: roothash=0123456789abcdefg is not hexadecimal"),
        ("roothash=*", "wrong: roothash=* is not hexadecimal"),
        ("roothash=$(touch${IFS}/x)", "wrong: roothash=$(touch${IFS}/x) is not hexadecimal"),
        ("roothash=0123456789abcdef", "wrong: roothash=0123456789abcdef is too short"),
        ("roothash={}0", "wrong: roothash={}0 has an odd number of digits"),
        ("roothash={} systemd.verity_root_data=sda", "wrong: systemd.verity_root_data=sda names no device"),
        ("roothash={} systemd.verity_root_data=/dev/", "wrong: systemd.verity_root_data=/dev/ names no device"),
        ("roothash={} systemd.verity_root_hash=UUID=", "wrong: systemd.verity_root_hash=UUID= names no device"),
        ("roothash={} systemd.verity_root_hash", "wrong: systemd.verity_root_hash= is empty"),
        ("roothash={} systemd.verity_root_optoins=x", "wrong: systemd.verity_root_optoins=x is not a known parameter"),
        (
            "roothash={} systemd.verity_root_data=\"/dev/a\n\"",
            "wrong: systemd.verity_root_data=/dev/a\n has control characters",
        ),
    ]);
    assert_eq!(
        read(b"roothash={} systemd.verity_root_data=/dev/\xff"),
        "wrong: systemd.verity_root_data=/dev/\u{fffd} is not UTF-8"
    );
}

#[test]
fn devices_are_named_as_udev_names_them() {
    let devices = |data: &str, hash: &str| {
        read(format!("roothash={{}} systemd.verity_root_data={data} systemd.verity-root-hash={hash}"))
    };
    assert_eq!(devices("/dev/sda1", "\"/dev/a b\""), "{} /dev/sda1 /dev/a b");
    assert_eq!(devices("UUID=AbCd", "PARTUUID=AbCd"), "{} /dev/disk/by-uuid/AbCd /dev/disk/by-partuuid/abcd");
    assert_eq!(
        devices("\"LABEL=a/b c\"", "PARTLABEL=*ä'\"\"'"),
        "{} /dev/disk/by-label/a\\x2fb\\x20c /dev/disk/by-partlabel/\\x2aä\\x22\\x22"
    );
    assert_eq!(devices("UUID=../../sda", "/dev/sda"), "{} /dev/disk/by-uuid/..\\x2f..\\x2fsda /dev/sda");
    assert_eq!(read("roothash={} systemd.verity_root_hash=/dev/sda"), format!("{{}} {DATA} /dev/sda"));
}

#[test]
fn options_are_those_of_veritytab() {
    let options = |words: &str, expected: &str| {
        let expected =
            if expected.is_empty() { "{} partitions".to_owned() } else { format!("{{}} partitions {expected}") };
        assert_eq!(read(format!("roothash={{}} systemd.verity_root_options={words}")), expected, "{words}");
    };
    options("", "");
    options("nofail,x-initrd.attach,,_netdev,auto,noauto,tries=3", "");
    options("superblock=no,format=0,data-block-size=512", "no-superblock format=0 data-block-size=512");
    options("superblock=no,superblock=yes,hash-block-size=1024,data-blocks=5", "hash-block-size=1024 data-blocks=5");
    options("hash-offset=auto,salt=-,hash=sha512,uuid=00-11", "hash-offset=auto salt=- hash=sha512 uuid=00-11");
    options("expect-data-blocks=300", "expect-data-blocks=300");
    options(
        "fec-device=PARTLABEL=fec,fec-offset=0,fec-roots=24",
        "fec-device=/dev/disk/by-partlabel/fec fec-offset=0 fec-roots=24",
    );
    options("root-hash-signature=/dev/../etc/passwd", "root-hash-signature=/dev/../etc/passwd");
    options("root-hash-signature=base64:MII+/A==", "root-hash-signature=base64:MII+/A==");
    let flags = FLAGS.join(",");
    options(&flags, &flags.replace(',', " "));
    let wrong = |words: &str, expected: &str| {
        let line = format!("roothash={{}} systemd.verity_root_options=nofail,{words},auto");
        assert_eq!(read(line), format!("wrong: systemd.verity_root_options= has {expected}"));
    };
    for unknown in [
        "what",
        "ignore_corruption",
        "ignore-corruption=yes",
        "salt",
        "superblock=maybe",
        "superblock",
        "*",
        "nofail=1",
    ] {
        wrong(unknown, &format!("the unknown option {unknown}"));
    }
    for signature in ["base64:AA", "base64:", "base64:====", "base64:AA-_", "relative", "auto"] {
        let option = format!("root-hash-signature={signature}");
        wrong(&option, &format!("the unknown option {option}"));
    }
    wrong("salt=", "salt= without a value");
    wrong("fec-device=fec", "fec-device=fec, which names no device");
}

#[test]
fn what_the_line_for_systemd_says_is_read_back() {
    let builder = Params::builder().no_superblock().hash_offset(4096).fec(Fec::new(4, 8192).unwrap());
    let plan = Plan::new(builder, 1 << 20).unwrap();
    let root_hash = RootHash::new(hex::decode(HASH).unwrap());
    let image = BootImage::new(&plan.layout, &root_hash).hash_device("/dev/sda3");
    let line = image.fec(plan.fec_area.unwrap(), "PARTLABEL=fec").cmdline().unwrap();
    let Root::Image(read) = Cmdline::parse(line.as_bytes()).unwrap().root else { panic!("{line}") };
    assert_eq!(read.root_hash, root_hash);
    assert_eq!(read.data_device, RootDevice { path: DATA.to_owned(), is_named: false });
    assert_eq!(read.hash_device, RootDevice { path: "/dev/sda3".to_owned(), is_named: true });
    assert_eq!(read.fec_device.as_deref(), Some("/dev/disk/by-partlabel/fec"));
    let names: Vec<&str> = read.options.iter().map(|option| option.name).collect();
    assert_eq!(
        names,
        [
            "no-superblock",
            "format",
            "hash",
            "data-block-size",
            "hash-block-size",
            "data-blocks",
            "salt",
            "hash-offset",
            "fec-offset",
            "fec-roots"
        ]
    );
}

/// For any bytes: a line with `roothash=` is never read as one that does not ask, and never causes a panic.
#[test]
fn no_line_with_a_root_hash_is_overlooked() {
    const PARTS: &[&[u8]] = &[
        b" ",
        b"\t",
        b"\n",
        b"\"",
        b"'",
        b"\\",
        b"\0",
        b"\x0b",
        b"\xa0",
        b"--",
        b"rd.",
        b"=",
        b"x",
        b"usrhash=",
        b"systemd.verity=",
        b"systemd.verity_root_data=",
        b"no",
        b"yes",
        b"/dev/vda",
        b"roothash=",
        HASH.as_bytes(),
    ];
    let mut state = 1_u32;
    let mut random = |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % below
    };
    let mut asked = 0;
    for _ in 0..if cfg!(miri) { 10 } else { 20_000 } {
        let length = random(12);
        let mut line: Vec<u8> = (0..length).flat_map(|_| PARTS[random(PARTS.len())]).copied().collect();
        line.splice(0..0, format!("roothash={HASH} ").into_bytes());
        let at = random(line.len());
        line.splice(at..at, PARTS[random(PARTS.len())].iter().copied());
        if !mentions(&line, "roothash=") {
            continue;
        }
        if let Ok(cmdline) = Cmdline::parse(&line) {
            assert_ne!(cmdline.root, Root::NotAsked, "{}", line.escape_ascii());
            asked += usize::from(matches!(cmdline.root, Root::Image(_)));
        }
    }
    assert!(asked > 50 || cfg!(miri), "{asked}");
}

#[test]
fn a_policy_and_a_disk_are_noticed_wherever_they_are() {
    let parse = |line: &str| Cmdline::parse(line.as_bytes()).map_err(|fault| fault.to_string());
    let read = |line: &str| parse(line).map(|cmdline| (cmdline.policies.join(" and "), cmdline.disk));
    let device = |path: &str| Some(Disk::Device(path.to_owned()));
    for (line, policies, disk) in [
        ("root=/dev/sda1", "", None),
        ("systemd.image_policy=root=signed quiet", "root=signed", None),
        ("rd.systemd.image-policy=root=signed", "root=signed", None),
        ("systemd.image\"_\"policy='root=signed'", "root=signed", None),
        // A later one takes nothing back.
        ("systemd.image_policy=* systemd.image_policy=root=verity", "* and root=verity", None),
        ("rd.systemd.image_policy=root=signed systemd.image-policy=*", "root=signed and *", None),
        ("dmverity.image=auto", "", Some(Disk::Any)),
        ("dmverity.image=/dev/vda", "", device("/dev/vda")),
        ("\"dmverity.image=LABEL=a b\"", "", device("/dev/disk/by-label/a\\x20b")),
        // Verity that is switched off does not switch the policy off.
        ("systemd.image_policy=root=signed systemd.verity=no", "root=signed", None),
    ] {
        assert_eq!(read(line), Ok((policies.to_owned(), disk)), "{line}");
    }
    let no_parameter = "systemd.image_policy= is on the kernel command line, but not as a parameter of its own";
    for (line, fault) in [
        ("systemd.image_policy", "systemd.image_policy= is empty"),
        ("systemd.image_policy=root=signed systemd.image_policy=", "systemd.image_policy= is empty"),
        ("dmverity.image=vda", "dmverity.image=vda names no device"),
        (
            "quiet -- systemd.image_policy=root=signed",
            "the kernel and systemd read systemd.image_policy in different ways",
        ),
        ("dyndbg=\"file x.c systemd.image_policy=root=signed\"", no_parameter),
        ("dyndbg=\"file x.c systemd.image-policy=root=signed\"", no_parameter),
        ("x.systemd.image_policy=root=signed systemd.verity=no", no_parameter),
        ("systemd.image_policy=root=signed \"x", "a quotation mark on the kernel command line is not closed"),
    ] {
        assert_eq!(parse(line).map(drop), Err(fault.to_owned()), "{line}");
    }
    let line = format!("roothash={HASH} systemd.image_policy=root=verity dmverity.image=auto");
    assert!(matches!(parse(&line).unwrap().root, Root::Image(_)));
}

#[test]
fn an_image_without_a_root_hash_has_its_options_too() {
    let read = |line: &str, is_usr| {
        let options = signed_image_options(line.as_bytes(), is_usr).map_err(|fault| fault.to_string())?;
        let words =
            options.into_iter().map(|RootOption { name, value }| format!("{name} {}", value.unwrap_or_default()));
        Ok(words.collect::<Vec<_>>().join(","))
    };
    for (line, root, usr) in [
        ("quiet \"x", Ok(""), Ok("")),
        // The policy may be in a file.
        ("systemd.verity_root_options=panic-on-corruption", Ok("panic-on-corruption "), Ok("")),
        (
            "dmverity.image=auto rd.systemd.verity-usr-options=fec-device=/dev/a,expect-data-blocks=3,nofail",
            Ok(""),
            Ok("expect-data-blocks 3,fec-device /dev/a"),
        ),
        (
            "systemd.verity_root_data=/dev/a systemd.verity_usr_hash=/dev/b",
            Err("systemd.verity_root_data= needs the root hash"),
            Err("systemd.verity_usr_hash= needs the root hash"),
        ),
        (
            "systemd.verity_root_options=what systemd.verity=0",
            Err("systemd.verity_root_options= has the unknown option what"),
            Ok(""),
        ),
    ] {
        for (is_usr, expected) in [(false, root), (true, usr)] {
            assert_eq!(read(line, is_usr), expected.map(str::to_owned).map_err(str::to_owned), "{line}");
        }
    }
    let quote = "a quotation mark on the kernel command line is not closed";
    assert_eq!(read("\"systemd.verity_root_options=panic-on-corruption", false), Err(quote.to_owned()));
}
