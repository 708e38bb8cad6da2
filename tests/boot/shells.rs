//! What the boot scripts make of a kernel command line, in each shell that an initramfs may have, without a machine.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use dmverity_tests::vm::{kernels, process};
use dmverity_tests::workspace;
use libtest_mimic::Trial;

const HASH: &str = "0123456789ABCDEF0123456789abcdeffedcba9876543210FEDCBA9876543210";

/// Prints what has become of the words. `set -u` finds what is read without having been set.
const SCRIPT: &str = r#"
set -u
. "$1"
if verity_parse "$2"; then
    if [ -n "$verity_wrong" ]; then
        echo "wrong: $verity_wrong"
    else
        echo "$verity_root_hash $verity_data $verity_hash$verity_arguments"
    fi
else
    echo off
fi
# Patterns were not switched off for good, and words are still words.
set -- /dev/nul?
echo "$1"
"#;

/// What is on the command line, besides the root hash, and what follows, after it.
const PARTITIONS: &str = "/dev/disk/by-partuuid/01234567-89ab-cdef-0123-456789abcdef /dev/disk/by-partuuid/fedcba98-7654-3210-fedc-ba9876543210";

/// One test for each shell.
pub(crate) fn trials() -> Vec<Trial> {
    ["dash", "bash", "busybox"]
        .map(|shell| {
            Trial::test(format!("shells/{shell}"), move || all(shell).map_err(|error| format!("{error:#}").into()))
        })
        .into()
}

fn all(shell: &str) -> Result<()> {
    let on = |words: &str, expected: &str| {
        let hash = HASH.to_ascii_lowercase();
        check(shell, &format!("quiet roothash={HASH} {words}"), &format!("{hash} {expected}"))
    };
    let wrong = |words: &str, expected: &str| check(shell, words, &format!("wrong: {expected}"));
    let options = |words: &str, expected: &str| {
        let space = if expected.is_empty() { "" } else { " " };
        on(&format!("systemd.verity_root_options={words}"), &format!("{PARTITIONS}{space}{expected}"))
    };

    check(shell, "", "off")?;
    check(shell, "root=/dev/sda usrhash=00 systemd.verity_root_data=/dev/sda", "off")?;
    for no in ["systemd.verity=no", "systemd.verity=0", "rd.systemd.verity=no", "rd.systemd.verity=0"] {
        check(shell, &format!("roothash={HASH} {no}"), "off")?;
    }
    wrong(&format!("roothash={HASH} systemd.verity=maybe"), "systemd.verity=maybe is neither yes nor no")?;
    on("", PARTITIONS)?;
    on("systemd.verity=no systemd.verity=yes", PARTITIONS)?;
    wrong("roothash=", "roothash= is empty")?;
    wrong("roothash=0123456789abcdefg", "roothash=0123456789abcdefg is not hexadecimal")?;
    wrong("roothash=*", "roothash=* is not hexadecimal")?;
    wrong("roothash=0123456789abcdef", "roothash=0123456789abcdef is too short")?;

    on("systemd.verity_root_data=/dev/sda1 systemd.verity_root_hash=/dev/sda2", "/dev/sda1 /dev/sda2")?;
    on(
        "systemd.verity_root_data=UUID=AbCd systemd.verity_root_hash=PARTUUID=AbCd",
        "/dev/disk/by-uuid/AbCd /dev/disk/by-partuuid/abcd",
    )?;
    on(
        "systemd.verity_root_data=\"LABEL=a/b\" systemd.verity_root_hash=PARTLABEL=*",
        "/dev/disk/by-label/a\\x2fb /dev/disk/by-partlabel/*",
    )?;
    wrong(&format!("roothash={HASH} systemd.verity_root_data=sda"), "systemd.verity_root_data=sda names no device")?;
    wrong(
        &format!("roothash={HASH} systemd.verity_root_hash=UUID="),
        "systemd.verity_root_hash=UUID= names no device",
    )?;

    options("", "")?;
    options("superblock=no,format=0,data-block-size=512", "--no-superblock --format=0 --data-block-size=512")?;
    options("superblock=yes,hash-block-size=1024,data-blocks=5", "--hash-block-size=1024 --data-blocks=5")?;
    options("hash-offset=4096,salt=-,hash=sha512", "--hash-offset=4096 --salt=- --hash=sha512")?;
    options("hash-offset=auto,uuid=00-11", "--hash-offset=auto --uuid=00-11")?;
    options(
        "fec-device=PARTLABEL=fec,fec-offset=0,fec-roots=24",
        "--fec-device=/dev/disk/by-partlabel/fec --fec-offset=0 --fec-roots=24",
    )?;
    options("ignore-corruption,ignore-zero-blocks", "--ignore-corruption --ignore-zero-blocks")?;
    options("restart-on-corruption,check-at-most-once", "--restart-on-corruption --check-at-most-once")?;
    options(
        "panic-on-corruption,error-as-corruption,use-tasklets",
        "--panic-on-corruption --error-as-corruption --use-tasklets",
    )?;
    options("root-hash-signature=/dev/../etc/passwd", "--root-hash-signature=/dev/../etc/passwd")?;
    options("nofail,x-initrd.attach,,_netdev,auto,noauto,tries=3", "")?;
    for unknown in [
        "what",
        "ignore_corruption",
        "ignore-corruption=yes",
        "salt",
        "superblock=maybe",
        "root-hash-signature=base64:AA",
        "*",
    ] {
        wrong(
            &format!("roothash={HASH} systemd.verity_root_options=nofail,{unknown},auto"),
            &format!("systemd.verity_root_options= has the unknown option {unknown}"),
        )?;
    }
    wrong(
        &format!("roothash={HASH} systemd.verity_root_options=salt="),
        "systemd.verity_root_options= has salt= without a value",
    )?;
    wrong(
        &format!("roothash={HASH} systemd.verity_root_options=fec-device=fec"),
        "systemd.verity_root_options= has fec-device=fec, which names no device",
    )?;
    wrong(
        &format!("roothash={HASH} systemd.verity_root_options=root-hash-signature=/nowhere"),
        "the initramfs does not have /nowhere, which root-hash-signature= names",
    )
}

fn check(shell: &str, words: &str, expected: &str) -> Result<()> {
    let found = process::output(&mut parse(shell, words)?).with_context(|| format!("{shell} with {words:?}"))?;
    if found != format!("{expected}\n/dev/null\n") {
        bail!("{shell} makes of {words:?}:\n{found}instead of:\n{expected}");
    }
    Ok(())
}

fn parse(shell: &str, words: &str) -> Result<Command> {
    let mut command = if shell == "busybox" {
        let mut command = process::command_at(&kernels::busybox(false)?);
        command.arg("sh");
        command
    } else {
        process::command(shell)?
    };
    let library = workspace().join("cli/boot/dracut/verity-root.sh");
    command.arg("-c").arg(SCRIPT).arg("sh").arg(Path::new(&library)).arg(words);
    Ok(command)
}
