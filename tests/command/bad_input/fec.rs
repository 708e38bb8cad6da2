//! FEC options and devices that are refused.

use dmverity_tests::vectors::painted;

use super::{ROOT_HASH, image, refused};

#[test]
fn forward_error_correction_options() {
    let sandbox = image();
    for hash_device in ["h", "new"] {
        let format = |options: &str, stderr: &str| {
            refused(&sandbox, &format!("format d {hash_device} {options}"), 1, stderr);
        };
        for roots in [0, 1, 25, 255] {
            let hint = format!("hint: --fec-roots is a number from 2 to 24, not {roots}.\n");
            format(&format!("--fec-device=f --fec-roots={roots}"), &format!("Invalid number of parity bytes.\n{hint}"));
        }
        format(
            "--fec-device=f --hash-block-size=512",
            "Block sizes must match for FEC.\nhint: the data block size is 4096 bytes, the hash block size 512.\n",
        );
        format("--fec-device=f --fec-offset=100", "Unsupported VERITY FEC offset.\n");
        format("--fec-device=f --fec-offset=9223372036854775296", "Unsupported VERITY FEC offset.\n");
        format(
            &format!("--fec-device={hash_device} --fec-offset=4096"),
            "Hash area overlaps with FEC area.\n\
             hint: the hash area ends at byte 20480, the FEC area starts at byte 4096.\n",
        );
        format(
            "--fec-device=d",
            "Data area overlaps with FEC area.\n\
             hint: the data area ends at byte 1228800, the FEC area starts at byte 0.\n",
        );
        let format = |options: &str, stderr: &str| {
            refused(&sandbox, &format!("format d {hash_device} {options}"), 4, stderr);
        };
        format(
            "--fec-device=/dev/null",
            "Device /dev/null is not compatible.\nhint: a block device or a regular file is needed.\n",
        );
    }
}

/// Open leaves correction to the kernel, but checks the FEC area: some kernels accept one that is too small.
#[test]
fn forward_error_correction_devices_of_open() {
    let sandbox = image();
    let open = |options: &str, code, stderr: &str| {
        refused(&sandbox, &format!("open d v0 h {ROOT_HASH} {options}"), code, stderr);
    };
    open("--fec-device=f", 4, "Device f does not exist or access denied.\n");
    sandbox.write("f", &[0; 16383]);
    open("--fec-device=f", 1, "Device f is too small.\nhint: it has 16383 bytes, but 16384 are needed.\n");
    open(
        "--fec-device=f --fec-roots=24 --fec-offset=4096",
        1,
        "Device f is too small.\nhint: it has 16383 bytes, but 200704 are needed.\n",
    );
    open("--fec-device=f --fec-offset=100", 1, "Unsupported VERITY FEC offset.\n");
    open(
        "--fec-device=f --fec-offset=512",
        1,
        "Unsupported VERITY FEC offset.\n\
         hint: the kernel needs a FEC device, and an offset on it that is a multiple of the block size.\n",
    );
    open(
        "--fec-device=h --fec-offset=8192",
        1,
        "Hash area overlaps with FEC area.\nhint: the hash area ends at byte 20480, the FEC area starts at byte \
         8192.\n",
    );
}

#[test]
fn forward_error_correction_devices_that_are_no_use() {
    let sandbox = image();
    let missing = "Device f does not exist or access denied.\n";
    let not_compatible = "Device dir is not compatible.\nhint: a block device or a regular file is needed.\n";
    std::fs::create_dir(sandbox.path("dir")).unwrap();
    refused(&sandbox, "dump h --fec-device=f", 4, missing);
    refused(&sandbox, "dump h --fec-device=dir", 4, not_compatible);
    let strict = format!("verify --strict d h {ROOT_HASH}");
    let repair = format!("repair d h {ROOT_HASH}");
    let dry_run = format!("{repair} --dry-run");
    for command in [&strict, &repair, &dry_run] {
        refused(&sandbox, &format!("{command} --fec-device=f"), 4, missing);
        refused(&sandbox, &format!("{command} --fec-device=dir"), 4, not_compatible);
    }
    sandbox.write("f", &[0; 16383]);
    for command in [&strict, &repair, &dry_run] {
        let refused = |options: &str, stderr: &str| refused(&sandbox, &format!("{command} {options}"), 1, stderr);
        refused("--fec-device=f", "Device f is too small.\nhint: it has 16383 bytes, but 16384 are needed.\n");
        refused(
            "--fec-device=f --fec-roots=24 --fec-offset=4096",
            "Device f is too small.\nhint: it has 16383 bytes, but 200704 are needed.\n",
        );
        refused("--fec-device=f --fec-offset=100", "Unsupported VERITY FEC offset.\n");
        refused(
            "--fec-device=f --fec-roots=25",
            "Invalid number of parity bytes.\nhint: --fec-roots is a number from 2 to 24, not 25.\n",
        );
        refused(
            "--fec-device=h --fec-offset=8192",
            "Hash area overlaps with FEC area.\n\
             hint: the hash area ends at byte 20480, the FEC area starts at byte 8192.\n",
        );
        refused(
            "--fec-device=d",
            "Data area overlaps with FEC area.\n\
             hint: the data area ends at byte 1228800, the FEC area starts at byte 0.\n",
        );
    }
    // Whether it is needed or not.
    for _ in 0..2 {
        let verify = format!("verify d h {ROOT_HASH} --fec-device=nosuch");
        refused(&sandbox, &verify, 4, "Device nosuch does not exist or access denied.\n");
        sandbox.flip("d", 5000);
    }

    sandbox.write("f", &[0; 16384]);
    let no_root_hash = "Command requires <root_hash> or --root-hash-file option as argument.\n";
    refused(&sandbox, "repair d h --fec-device=f", 1, no_root_hash);
    let hint = "hint: a sha256 root hash has 64 hexadecimal digits, not 2.\n";
    let invalid = format!("Invalid root hash string specified.\n{hint}");
    refused(&sandbox, "repair d h 00 --fec-device=f", 1, &invalid);
    for command in ["repair nosuch h", "repair d nosuch"] {
        let command = format!("{command} {ROOT_HASH} --fec-device=f");
        refused(&sandbox, &command, 4, "Device nosuch does not exist or access denied.\n");
    }
    sandbox.write("short", &painted(1_000_000));
    let message = "Device short is too small.\nhint: it has 1000000 bytes, but 1228800 are needed.\n";
    refused(&sandbox, &format!("repair short h {ROOT_HASH} --fec-device=f"), 1, message);
}
