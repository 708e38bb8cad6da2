//! `plan`, seeds, progress, and the lines that `table` prints.

use dmverity_tests::vectors::painted;
use serde_json::Value;

use crate::bad_input::{misused, refused};
use crate::sandbox::{Outcome, Sandbox};

const ROOT_HASH: &str = "4124f9e30fdb0aea1bdff64d02ce75c19507062a0ff83e1ac0810638b99ec188";
const UUID: &str = "--uuid=a60c98d2-ae9b-4865-bfcb-b4e3ace11033";
const UUIDS: &str = "Data partition UUID: 4124f9e3-0fdb-0aea-1bdf-f64d02ce75c1\n\
                     Hash partition UUID: 9507062a-0ff8-3e1a-c081-0638b99ec188\n";

/// 300 data blocks and a hash device over them, whose root hash is [`ROOT_HASH`].
fn image() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("d", &painted(300 * 4096));
    assert_eq!(sandbox.run(&["format", "d", "h", "--salt=aa"]).field("Root hash"), ROOT_HASH);
    sandbox
}

#[track_caller]
fn prints(sandbox: &Sandbox, command: &str, stdout: &str) {
    let arguments: Vec<&str> = command.split_whitespace().collect();
    let expected = Outcome { code: Some(0), stdout: stdout.to_owned(), stderr: String::new() };
    assert_eq!(sandbox.run(&arguments), expected, "{command}");
}

#[test]
fn a_plan_is_what_format_makes() {
    let sandbox = Sandbox::new();
    let mut rng = fastrand::Rng::with_seed(3);
    for round in 0..30 {
        let bytes = rng.usize(1 << 16..1 << 20);
        sandbox.write("d", &painted(bytes));
        let size = 512 << rng.u32(..8);
        let mut options = vec![format!("--data-block-size={size}"), format!("--hash-block-size={size}")];
        let hash = ["sha1", "sha256", "sha512"][round % 3];
        options.push(format!("--hash={hash}"));
        let fec = format!("--fec-roots={}", rng.u32(2..=24));
        let with_fec = round % 2 == 0;
        if with_fec {
            options.push(fec.clone());
        }
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let planned = sandbox.run(&[&["plan", "d"][..], &options].concat());
        let data_size = format!("--data-size={bytes}");
        assert_eq!(sandbox.run(&[&["plan", &data_size][..], &options].concat()), planned);
        let mut format = [&["format", "d", "h"][..], &options].concat();
        if with_fec {
            format.push("--fec-device=f");
        }
        let _ = (std::fs::remove_file(sandbox.path("h")), std::fs::remove_file(sandbox.path("f")));
        let made = sandbox.run(&format);
        assert_eq!(made.code, Some(0), "{made:?}");
        for key in ["Data blocks", "Hash blocks", "Hash device size"] {
            assert_eq!(planned.field(key), made.field(key), "{options:?}");
        }
        assert_eq!(planned.field("Hash device size"), format!("{} [bytes]", sandbox.read("h").len()));
        if with_fec {
            assert_eq!(planned.field("FEC device size"), format!("{} [bytes]", sandbox.read("f").len()));
        }
    }
}

#[test]
fn plans_that_are_refused() {
    let sandbox = image();
    misused(&sandbox, "plan", "veritysetup: plan: requires <data_device>, --data-size or --data-blocks\n");
    misused(
        &sandbox,
        "plan d --data-size=4096",
        "veritysetup: Option --data-size and <data_device> cannot be used together.\n",
    );
    misused(
        &sandbox,
        "plan --data-size=4096 --data-blocks=1",
        "veritysetup: Option --data-size and --data-blocks cannot be used together.\n",
    );
    misused(
        &sandbox,
        "plan --append d --data-blocks=1",
        "veritysetup: Option --append and --data-blocks cannot be used together.\n",
    );
    for size in ["1G", "-1", "1e3", "0x1000", "18446744073709551616", "", "٣"] {
        misused(
            &sandbox,
            &format!("plan --data-size={size}"),
            &format!(
                "veritysetup: invalid numeric value\nhint: --data-size takes a decimal number from 0 to \
                 18446744073709551615, not {size}.\n"
            ),
        );
    }
    refused(&sandbox, "plan nosuch", 4, "Device nosuch does not exist or access denied.\n");
    let small = "Device data is too small.\nhint: it has 100 bytes, but one data block has 4096.\n";
    refused(&sandbox, "plan --data-size=100", 1, small);
    for command in ["plan --data-blocks=18446744073709551615", "plan --append --data-blocks=18446744073709551615"] {
        let outcome = sandbox.run(&command.split(' ').collect::<Vec<_>>());
        assert_eq!((outcome.code, outcome.first_error()), (Some(1), "Device offset overflow."), "{command}");
    }
}

#[test]
fn a_seed_makes_the_same_bytes_everywhere() {
    let sandbox = Sandbox::new();
    for name in ["d", "e"] {
        sandbox.write(name, &painted(300 * 4096));
    }
    // printf 'dmverity-salt:my image 1.0' | sha256sum
    let seed = "--salt-seed=my image 1.0";
    let made = sandbox.run(&["format", "d", "h", seed]);
    assert_eq!(made.field("Salt"), "37677b7eb05202ed1df7af0f0ebaf43d297576b4fa6d4b6846b113a33dafe8ad");
    assert_eq!(made.field("UUID"), "62fe3e11-4723-826f-832f-18b76ddc3157");
    sandbox.run(&["format", "e", "i", seed]);
    assert!(sandbox.read("h") == sandbox.read("i"));
    // Without a seed, from the parameters.
    let by_itself = sandbox.run(&["format", "d", "h", "--deterministic"]);
    let by_hand = sandbox.run(&["format", "d", "h", "--salt-seed=sha256 1 4096 4096 300"]);
    assert_eq!(by_itself, by_hand);
    assert_ne!(by_itself.field("Salt"), made.field("Salt"));
    // Given values take precedence.
    let given = sandbox.run(&["format", "d", "h", "--deterministic", "--salt=aa"]);
    assert_eq!((given.field("Root hash"), given.field("UUID")), (ROOT_HASH, by_itself.field("UUID")));
    let uuid = "a60c98d2-ae9b-4865-bfcb-b4e3ace11033";
    let given = sandbox.run(&["format", "d", "h", seed, "--uuid", uuid]);
    assert_eq!((given.field("Salt"), given.field("UUID")), (made.field("Salt"), uuid));
    let plain = sandbox.run(&["format", "d", "h", "--deterministic", "--no-superblock"]);
    assert_eq!(plain.field("Salt"), by_itself.field("Salt"));
    // Time plays no part.
    let mut later = sandbox.command(dmverity_tests::veritysetup(), &["format", "d", "h", seed]);
    assert_eq!(Outcome::from(later.env("SOURCE_DATE_EPOCH", "1").output().unwrap()), made);
}

#[test]
fn seeds_that_are_refused() {
    let sandbox = image();
    let message = "Invalid salt seed specified.\n\
                   hint: a seed is text that is not empty and has no control characters, such as newlines.\n";
    refused(&sandbox, "format d new --salt-seed=", 1, message);
    for seed in ["--salt-seed=a\n", "--salt-seed=\t"] {
        let outcome = sandbox.run(&["format", "d", "new", seed]);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(1), message));
    }
    let mut command = sandbox.command(dmverity_tests::veritysetup(), &["format", "d", "new", "--salt-seed"]);
    command.arg(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"a\xff"));
    let outcome = Outcome::from(command.output().unwrap());
    assert_eq!(outcome.stderr, "Invalid value of option --salt-seed.\nhint: it is not UTF-8.\n");
    for other in ["salt=aa", "deterministic"] {
        let (first, second) = if other == "deterministic" { (other, "salt-seed") } else { ("salt", "salt-seed") };
        let message = format!("veritysetup: Option --{first} and --{second} cannot be used together.\n");
        misused(&sandbox, &format!("format d new --salt-seed=x --{other}"), &message);
    }
    assert!(!sandbox.path("new").exists());
}

#[test]
fn lines_that_open_an_image_elsewhere() {
    let sandbox = image();
    let table = format!("4096 4096 300 1 sha256 {ROOT_HASH} aa");
    let call = format!("table d h {ROOT_HASH}");
    let devices = "--boot-data-device=/dev/sda2 --boot-hash-device=/dev/sda3";
    prints(&sandbox, &call, &format!("0 2400 verity 1 d h {table}\n"));
    prints(
        &sandbox,
        &format!("{call} {devices} --panic-on-corruption --error-as-corruption --use-tasklets --check-at-most-once"),
        &format!(
            "0 2400 verity 1 /dev/sda2 /dev/sda3 {table} 4 panic_on_corruption panic_on_error check_at_most_once \
             try_verify_in_tasklet\n"
        ),
    );
    prints(
        &sandbox,
        &format!("{call} {devices} --dm-mod-create=root"),
        &format!("dm-mod.create=\"root,,,ro,0 2400 verity 1 /dev/sda2 /dev/sda3 {table}\"\n"),
    );
    prints(
        &sandbox,
        &format!("{call} {devices} --veritytab=usr --restart-on-corruption --root-hash-signature=/etc/usr.sig"),
        &format!("usr /dev/sda2 /dev/sda3 {ROOT_HASH} root-hash-signature=/etc/usr.sig,restart-on-corruption\n"),
    );
    prints(
        &sandbox,
        &format!("{call} {devices} --cmdline"),
        &format!("roothash={ROOT_HASH} systemd.verity_root_data=/dev/sda2 systemd.verity_root_hash=/dev/sda3\n"),
    );
    // At boot, files have no name; their partitions do.
    prints(&sandbox, &format!("{call} --cmdline"), &format!("roothash={ROOT_HASH}\n"));
    let partitions = "PARTUUID=4124f9e3-0fdb-0aea-1bdf-f64d02ce75c1 PARTUUID=9507062a-0ff8-3e1a-c081-0638b99ec188";
    prints(&sandbox, &format!("{call} --veritytab=usr"), &format!("usr {partitions} {ROOT_HASH}\n"));
    prints(&sandbox, &format!("{call} --partition-uuids"), UUIDS);
    // From the file too.
    sandbox.write("r", ROOT_HASH.as_bytes());
    prints(&sandbox, "table d h --root-hash-file=r --partition-uuids", UUIDS);
    let formatted = sandbox.run(&["format", "d", "h", "--salt=aa", "--partition-uuids"]);
    assert!(formatted.stdout.ends_with(UUIDS), "{formatted:?}");
    let dropped = sandbox.run(&["table", "d", "h", ROOT_HASH, "--cmdline", "--use-tasklets"]);
    assert_eq!((dropped.code, dropped.stdout), (Some(0), format!("roothash={ROOT_HASH}\n")));
    assert_eq!(dropped.stderr, "WARNING: systemd does not support --use-tasklets; the option was left out.\n");
    let long = format!("--boot-data-device=/dev/{}", "a".repeat(2000));
    let long = sandbox.run(&["table", "d", "h", ROOT_HASH, "--cmdline", &long]);
    assert_eq!(
        (long.code, long.stderr.as_str()),
        (Some(0), "WARNING: the line has 2104 bytes; many machines limit the kernel command line to 2048.\n")
    );
}

#[test]
fn an_image_that_is_one_file_has_one_name() {
    let sandbox = Sandbox::new();
    sandbox.write("i", &painted(300 * 4096));
    let made = sandbox.run(&["format", "--append", "i", "--salt=aa", "--fec-roots=2"]);
    assert_eq!(made.field("Root hash"), ROOT_HASH);
    let call = format!("table i i {ROOT_HASH} --hash-offset=auto");
    prints(
        &sandbox,
        &format!("{call} --boot-data-device=/dev/sda2 --cmdline --fec-device=i --fec-offset=1249280"),
        &format!(
            "roothash={ROOT_HASH} systemd.verity_root_data=/dev/sda2 systemd.verity_root_hash=/dev/sda2 \
             systemd.verity_root_options=hash-offset=1228800,fec-device=/dev/sda2,fec-offset=1249280,fec-roots=2\n"
        ),
    );
    prints(
        &sandbox,
        &format!("{call} --boot-data-device=/dev/sda2"),
        &format!("0 2400 verity 1 /dev/sda2 /dev/sda2 4096 4096 300 301 sha256 {ROOT_HASH} aa\n"),
    );
    misused(
        &sandbox,
        &format!("{call} --cmdline"),
        "veritysetup: table: requires option --boot-data-device\n\
         hint: what is i called there? No partition UUID can be derived for it.\n",
    );
}

#[test]
fn lines_that_cannot_be_written() {
    let sandbox = image();
    let call = format!("table d h {ROOT_HASH}");
    let hint = "hint: this form cannot express it, or the characters have another meaning there.\n";
    for (options, what) in [
        ("--dm-mod-create=a,b", "Cannot write \"a,b\" in dm-mod.create=."),
        ("--boot-data-device=/dev/a\"b", "Cannot write \"/dev/a\\\"b\" in a table line."),
        ("--veritytab=#v", "Cannot write \"#v\" in veritytab."),
        ("--cmdline --boot-data-device=vda2", "Cannot write \"vda2\" in systemd's command line."),
        ("--veritytab=v --boot-hash-device=vda2", "Cannot write \"vda2\" in veritytab."),
        ("--dm-mod-create=v --boot-hash-device=vda2", "Cannot write \"vda2\" in dm-mod.create=."),
        ("--dm-mod-create=v --boot-hash-device=UUID=1", "Cannot write \"UUID=1\" in dm-mod.create=."),
        ("--cmdline --root-hash-signature=sig", "Cannot write \"sig\" in systemd's command line."),
        ("--veritytab=v --fec-device=d --boot-fec-device=/dev/a,b", "Cannot write \"/dev/a,b\" in veritytab."),
    ] {
        refused(&sandbox, &format!("{call} {options}"), 1, &format!("{what}\n{hint}"));
    }
    refused(
        &sandbox,
        &format!("{call} --root-hash-signature=s"),
        1,
        "A table line cannot hold a root hash signature.\nhint: --veritytab and --cmdline name the file that holds \
         it.\n",
    );
    refused(
        &sandbox,
        &format!("{call} --cmdline --panic-on-corruption --error-as-corruption"),
        1,
        "systemd does not support --error-as-corruption.\n",
    );
    refused(&sandbox, &format!("{call} --veritytab=a/b"), 1, "Name must not contain '/' character.\n");
    // Before any device is looked at.
    for (options, what) in [
        ("--root-hash-signature=s", "A table line cannot hold a root hash signature.\n"),
        ("--dm-mod-create=v --root-hash-signature=s", "A table line cannot hold a root hash signature.\n"),
        ("--veritytab=v --fec-device=nosuch --fec-scope=tree", "systemd does not support --fec-scope=tree.\n"),
        ("--cmdline --panic-on-corruption --error-as-corruption", "systemd does not support --error-as-corruption.\n"),
    ] {
        let line = format!("table nosuch nosuch {options}");
        let outcome = sandbox.run(&line.split_whitespace().collect::<Vec<_>>());
        assert_eq!((outcome.code, outcome.stderr.starts_with(what)), (Some(1), true), "{line}: {outcome:?}");
    }
    sandbox.run(&["format", "d", "short", "--hash=md5", "--salt=-"]);
    let short = sandbox.run(&["format", "d", "short", "--hash=md5", "--salt=-"]).field("Root hash").to_owned();
    refused(
        &sandbox,
        &format!("table d short {short} --partition-uuids"),
        1,
        "Root hash is too short for partition UUIDs.\nhint: they are its first and its last 128 bits: use a longer \
         hash.\n",
    );
    let forms = ["chromeos", "cmdline", "dm-mod-create=x", "fit", "ipe", "partition-uuids", "veritytab=x"];
    for (index, first) in forms.iter().enumerate() {
        for second in &forms[index + 1..] {
            let name = |option: &str| option.split('=').next().unwrap().to_owned();
            misused(
                &sandbox,
                &format!("{call} --{first} --{second}"),
                &format!("veritysetup: Option --{} and --{} cannot be used together.\n", name(first), name(second)),
            );
        }
    }
}

#[test]
fn progress_is_lines_on_standard_error_where_they_are_asked_for() {
    let sandbox = image();
    let silent = sandbox.run(&["verify", "d", "h", ROOT_HASH]);
    assert_eq!(silent, Outcome { code: Some(0), stdout: String::new(), stderr: String::new() });
    let total = (300 + 4) * 4096;
    for (arguments, device) in
        [(&["verify", "d", "h", ROOT_HASH][..], "d"), (&["format", "d", "new", "--salt=aa", UUID], "d")]
    {
        let plain = sandbox.run(arguments);
        let with_json = sandbox.run(&[arguments, &["--progress-json"]].concat());
        assert_eq!((with_json.code, &with_json.stdout), (Some(0), &plain.stdout), "standard output stays clean");
        let last: Value = serde_json::from_str(with_json.stderr.lines().last().expect("a line")).expect("JSON");
        assert_eq!(last["device"], device);
        for key in ["device_bytes", "device_size"] {
            assert_eq!(last[key], total.to_string(), "{key}");
        }
        for key in ["speed", "eta_ms", "time_ms"] {
            assert!(last[key].as_str().is_some_and(|text| text.parse::<u64>().is_ok()), "{key}");
        }
        let lines = sandbox.run(&[arguments, &["--progress-frequency=1"]].concat());
        assert!(lines.stderr.starts_with("Progress: 100.0%, ETA 00m00s, 1 MiB done, speed "), "{lines:?}");
        for quiet in ["-q", "--batch-mode"] {
            let quiet = sandbox.run(&[arguments, &["--progress-json", "--progress-frequency=1", quiet]].concat());
            assert_eq!((quiet.code, quiet.stderr.as_str()), (Some(0), ""));
        }
    }
    for number in ["0", "86401"] {
        refused(
            &sandbox,
            &format!("verify d h {ROOT_HASH} --progress-frequency={number}"),
            1,
            &format!(
                "Invalid progress frequency.\nhint: --progress-frequency is a number of seconds from 1 to 86400, not \
                 {number}.\n"
            ),
        );
    }
    misused(
        &sandbox,
        "verify d h 00 --progress-frequency=1s",
        "veritysetup: invalid numeric value\nhint: --progress-frequency takes a decimal number from 0 to \
         18446744073709551615, not 1s.\n",
    );
}

#[test]
fn the_tree_is_drawn_from_the_top() {
    let sandbox = image();
    let plain = sandbox.run(&["dump", "h"]);
    let drawn = sandbox.run(&["dump", "h", "--tree"]);
    let tree = drawn.stdout.strip_prefix(&plain.stdout).expect("the header comes first");
    assert_eq!(
        tree,
        "
                            blocks              offset               bytes
superblock                                           0                 512
level 1                          1                4096                4096
`-level 0                        3                8192               12288
  `-data                       300                   0             1228800
"
    );
}
