//! Meaningless command lines, and options that contradict each other.

use super::{ROOT_HASH, image, misused};

#[test]
fn command_lines_that_mean_nothing() {
    let sandbox = image();
    misused(&sandbox, "", "veritysetup: Argument <action> missing.\n");
    misused(&sandbox, "bogus", "veritysetup: Unknown action.\n");
    misused(&sandbox, "format d", "veritysetup: format: requires <data_device> <hash_device> as arguments\n");
    let hint = "hint: d is no image by itself: it has no partitions, and neither d.verity nor d.dmverity is there.\n";
    for (words, arguments) in [
        ("verify d", "<data_device> <hash_device> [<root_hash>]"),
        ("repair d", "<data_device> <hash_device> [<root_hash>]"),
        ("table d", "<data_device> <hash_device> [<root_hash>]"),
        ("open d v0", "<data_device> <name> <hash_device> [<root_hash>]"),
    ] {
        let action = words.split(' ').next().unwrap();
        misused(&sandbox, words, &format!("{hint}veritysetup: {action}: requires {arguments} as arguments\n"));
    }
    misused(
        &sandbox,
        "verify",
        "veritysetup: verify: requires <data_device> <hash_device> [<root_hash>] as arguments\n",
    );
    misused(
        &sandbox,
        "verify missing",
        "hint: Device missing does not exist or access denied.\nveritysetup: verify: requires <data_device> \
         <hash_device> [<root_hash>] as arguments\n",
    );
    misused(
        &sandbox,
        "verify d h --root-hash=00 00",
        "veritysetup: Option --root-hash and <root_hash> cannot be used together.\n",
    );
    misused(&sandbox, "verify d h --root-hash", "--root-hash: missing argument\n");
    misused(&sandbox, "dump h --root-hash=00", "--root-hash=00: option does not take an argument\n");
    for action in ["close", "status"] {
        misused(&sandbox, action, &format!("veritysetup: {action}: requires <name> as arguments\n"));
    }
    misused(&sandbox, "dump", "veritysetup: dump: requires <hash_device> as arguments\n");
    misused(&sandbox, "--nosuch format d new", "--nosuch: unknown option\n");
    misused(&sandbox, "-x format d new", "-x: unknown option\n");
    misused(&sandbox, "format d new --salt", "--salt: missing argument\n");
    misused(&sandbox, "format d new --debug=1", "--debug=1: option does not take an argument\n");
    // The word as given.
    misused(&sandbox, "format d new --Salt=aa", "hint: did you mean --salt?\n--Salt=aa: unknown option\n");
    misused(&sandbox, "format d new -vx", "-vx: unknown option\n");
    misused(&sandbox, "format d new -saa -=", "-=: unknown option\n");
    misused(&sandbox, "format d new -s", "-s: missing argument\n");
    misused(&sandbox, "format d new -vs", "-vs: missing argument\n");
    for (option, text, most) in [
        ("format", "x", u64::from(u32::MAX)),
        ("data-blocks", "-1", u64::MAX),
        ("data-block-size", "4k", u64::from(u32::MAX)),
        ("hash-offset", "0x200", u64::MAX),
    ] {
        let hint = format!("hint: --{option} takes a decimal number from 0 to {most}, not {text}.\n");
        let message = format!("veritysetup: invalid numeric value\n{hint}");
        misused(&sandbox, &format!("format d new --{option}={text}"), &message);
        misused(&sandbox, &format!("format d new --{option} {text}"), &message);
    }
    // These have 32 bits, even if they are unused.
    for option in ["format", "data-block-size", "hash-block-size", "fec-roots"] {
        let hint = format!("hint: --{option} takes a decimal number from 0 to 4294967295, not 4294967296.\n");
        let message = format!("veritysetup: invalid numeric value\n{hint}");
        misused(&sandbox, &format!("format d new --{option}=4294967296"), &message);
        misused(&sandbox, &format!("verify d h {ROOT_HASH} --{option}=4294967296"), &message);
    }
}

/// The actions that take `--json`, of those below.
const JSON: &[&str] =
    &["format", "verify", "repair", "open", "close", "status", "dump", "plan", "table", "features", "benchmark"];

#[test]
fn options_with_actions_that_do_not_take_them() {
    let sandbox = image();
    let open_or_table = ["open", "table"];
    let long = ["format", "verify", "repair"];
    let allowed: &[(&str, &[&str])] = &[
        ("root-hash-file=x", &["format", "open", "verify", "repair", "table"]),
        ("root-hash-signature=x", &["open", "verify", "repair", "dump", "table"]),
        ("ignore-corruption", &open_or_table),
        ("restart-on-corruption", &open_or_table),
        ("panic-on-corruption", &open_or_table),
        ("ignore-zero-blocks", &open_or_table),
        ("error-as-corruption", &open_or_table),
        ("use-tasklets", &open_or_table),
        ("expect=x", &["verify", "repair", "open", "table"]),
        ("expect-data-blocks=1", &["verify", "repair", "open", "table"]),
        ("shared", &["open"]),
        ("no-fallback", &["open"]),
        ("strict", &["verify"]),
        ("dry-run", &["format", "repair", "open"]),
        ("like=h", &["format"]),
        ("root-hash", &["dump", "verify", "repair", "open", "table"]),
        ("arch=arm64", &["dump", "verify", "repair", "open", "table"]),
        ("sidecars", &["format"]),
        ("containerd", &["format"]),
        ("embed-signature", &["table"]),
        ("kata", &["table"]),
        ("from-cmdline=x", &["open"]),
        ("json", JSON),
        ("env", &["format", "status", "dump", "plan"]),
        ("append", &["format", "plan"]),
        ("data-size=4096", &["format", "plan"]),
        ("tee", &["verify"]),
        ("salt-seed=x", &["format"]),
        ("deterministic", &["format"]),
        ("partition-uuids", &["format", "table"]),
        ("progress-json", &long),
        ("progress-frequency=1", &long),
        ("tree", &["dump"]),
        ("dm-mod-create=x", &["table"]),
        ("veritytab=x", &["table"]),
        ("cmdline", &["table"]),
        ("chromeos", &["table"]),
        ("fit", &["table"]),
        ("ipe", &["table"]),
        ("boot-data-device=x", &["table"]),
        ("boot-hash-device=x", &["table"]),
        ("boot-fec-device=x", &["table"]),
        ("deferred", &["close"]),
        ("cancel-deferred", &["close"]),
    ];
    let commands = [
        "format d new",
        "verify d h 00",
        "repair d h 00",
        "open d v0 h 00",
        "close v0",
        "status v0",
        "dump h",
        "plan d",
        "table d h 00",
        "features",
        "benchmark",
    ];
    for (option, actions) in allowed {
        for command in commands {
            let action = command.split(' ').next().unwrap();
            if !actions.contains(&action) {
                let name = option.split('=').next().unwrap();
                let message = format!("veritysetup: Option --{name} is not allowed with {action} action.\n");
                misused(&sandbox, &format!("{command} --{option}"), &message);
            }
        }
    }
}

#[test]
fn options_that_contradict_each_other() {
    let sandbox = image();
    let open = format!("open d v0 h {ROOT_HASH}");
    for first in ["ignore-corruption", "panic-on-corruption"] {
        misused(
            &sandbox,
            &format!("{open} --{first} --restart-on-corruption"),
            &format!("veritysetup: Option --{first} and --restart-on-corruption cannot be used together.\n"),
        );
    }
    misused(
        &sandbox,
        &format!("{open} --error-as-corruption"),
        "veritysetup: Option --error-as-corruption must be used with --panic-on-corruption or \
         --restart-on-corruption.\n",
    );
    misused(
        &sandbox,
        "close v0 --deferred --cancel-deferred",
        "veritysetup: Options --cancel-deferred and --deferred cannot be used at the same time.\n",
    );
}
