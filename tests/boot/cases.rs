//! The cases: the kernel command line of a machine, and the console output that is expected.

use super::disks::{Disk, Disks, FILE_SYSTEM, PARITY};
use super::tree::Framework::{self, Dracut, DracutPlain, InitramfsTools, Klibc};
use super::tree::{Addition, Host, Kernel};

/// How a machine ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// In the root file system's own first process, successful or not.
    Booted,
    /// In the initramfs.
    Refused,
}

/// One machine.
#[derive(Debug)]
pub(crate) struct Case {
    /// The name of the test, after the framework's.
    pub(crate) name: &'static str,
    /// The frameworks that make its initramfs.
    pub(crate) frameworks: &'static [Framework],
    /// The frameworks that only `make test-boot` tries.
    pub(crate) long: &'static [Framework],
    /// The disk that it boots from.
    pub(crate) disk: Disk,
    /// Its other disks.
    pub(crate) more_disks: &'static [Disk],
    /// Its kernel.
    pub(crate) kernel: Kernel,
    /// What the system had when it made the initramfs.
    pub(crate) host: Host,
    /// What is put into the initramfs after that.
    pub(crate) additions: &'static [Addition],
    /// Words on the kernel's command line. `{hash}` is the root hash; `{whole}` gives the position of the hash tree on
    /// a whole disk, and more of its options can follow; `{parity}` gives the position of its parity. `{NAME}` of a
    /// disk is that disk's root hash, and `{signature}` one of `{hash}`.
    pub(crate) options: &'static str,
    /// The expected outcome.
    pub(crate) end: End,
    /// Regular expressions for what the console shows, with `{hash}`, `{story}` and the `{NAME}` of a disk.
    pub(crate) shows: &'static [&'static str],
    /// Regular expressions for what it must not show.
    pub(crate) hides: &'static [&'static str],
}

/// Both kinds, dracut only with systemd: without it, dracut differs in its first process only.
pub(crate) const BOTH: &[Framework] = &[InitramfsTools, Dracut];
pub(crate) const ALL: &[Framework] = &[InitramfsTools, Klibc, Dracut, DracutPlain];

/// A machine with nothing special.
pub(crate) const PLAIN: Case = Case {
    name: "",
    frameworks: BOTH,
    long: BOTH,
    disk: Disk::Whole,
    more_disks: &[],
    kernel: Kernel::Debian,
    host: Host::Plain,
    additions: &[],
    options: "",
    end: End::Refused,
    shows: &[],
    hides: &[],
};

/// The console output for a wrong byte in the first block.
const WRONG_BYTE: &[&str] =
    &["dmverity: cannot open the root device: its first or last blocks do not match the root hash {hash}"];

/// If a shell runs this, it writes to the console a text that no command line contains.
const RUN: &str = "$(echo${IFS}$((40+2))x>/dev/console)";

/// Those with a root hash on the command line.
pub(crate) const CASES: &[Case] = &[
    // Nothing but the root hash. `rw` changes nothing.
    Case {
        name: "boots",
        frameworks: ALL,
        long: &[DracutPlain],
        disk: Disk::Partitions,
        options: "roothash={hash} rw",
        end: End::Booted,
        shows: &[
            "^mounted: /dev/mapper/root ext4 ro\\b",
            "^hello: hello from the root file system$",
            "^  type:        VERITY$",
            "^  status:      verified$",
            "^  root hash:   {hash}$",
            "^  data device: /dev/vda1$",
            "^  hash device: /dev/vda2$",
            "^story: {story} ",
            "^END$",
        ],
        hides: &["written", "dmverity: "],
        ..PLAIN
    },
    // Options reach the kernel, which panics when /story is read. The plain device in `root=` is not booted.
    Case {
        name: "panic-on-corruption",
        frameworks: BOTH,
        long: &[],
        disk: Disk::StoryWrong,
        options: "root=/dev/vda rw roothash={hash} {whole},panic-on-corruption,check-at-most-once",
        end: End::Booted,
        shows: &[
            "^mounted: /dev/mapper/root ext4 ro\\b",
            "^  flags:       panic_on_corruption check_at_most_once ?$",
            "^flags are over$",
            "Kernel panic - not syncing: dm-verity device corrupted",
        ],
        hides: &["story: ", "written", "dmverity: "],
        ..PLAIN
    },
    // The same wrong byte, corrected.
    Case {
        name: "corrected",
        frameworks: BOTH,
        long: BOTH,
        disk: Disk::StoryWrong,
        options: "roothash={hash} {whole},fec-device=/dev/vda,fec-offset={parity},fec-roots=2",
        end: End::Booted,
        shows: &["^mounted: /dev/mapper/root ext4 ro\\b", "^  FEC device:  /dev/vda$", "^story: {story} ", "^END$"],
        hides: &["dmverity: "],
        ..PLAIN
    },
    // The device in `root=` is not even waited for.
    Case {
        name: "root-elsewhere",
        frameworks: BOTH,
        long: BOTH,
        disk: Disk::Whole,
        options: "root=LABEL=nowhere roothash={hash} {whole},ignore-zero-blocks",
        end: End::Booted,
        shows: &["^mounted: /dev/mapper/root ext4 ro\\b", "^  flags:       ignore_zero_blocks ?$", "^END$"],
        hides: &["dmverity: "],
        ..PLAIN
    },
    // One wrong byte, and the plain device could be booted.
    Case {
        name: "tampered",
        frameworks: BOTH,
        long: &[],
        disk: Disk::FirstBlockWrong,
        options: "root=/dev/vda roothash={hash} {whole}",
        end: End::Refused,
        shows: &[
            "dmverity: cannot open the root device: its first or last blocks do not match the root hash {hash}",
            "^hint: the root hash on the command line is wrong, or the data or the hash device was changed$",
            "^hint: data device: /dev/vda, hash device: /dev/vda$",
        ],
        hides: &[],
        ..PLAIN
    },
    Case {
        name: "last-block",
        frameworks: BOTH,
        long: &[Dracut],
        disk: Disk::LastBlockWrong,
        options: "root=/dev/vda roothash={hash} {whole}",
        end: End::Refused,
        shows: WRONG_BYTE,
        hides: &[],
        ..PLAIN
    },
    Case {
        name: "wrong-root-hash",
        frameworks: ALL,
        long: &[Dracut, DracutPlain],
        disk: Disk::Whole,
        options: "root=/dev/vda \
                  roothash=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef {whole}",
        end: End::Refused,
        shows: &["dmverity: cannot open the root device: its first or last blocks do not match the root hash 0123"],
        hides: &[],
        ..PLAIN
    },
    // Whatever separates `roothash=` from its neighbours, the device with the wrong byte is not booted.
    Case {
        name: "tab",
        frameworks: BOTH,
        long: &[Dracut],
        disk: Disk::FirstBlockWrong,
        options: "root=/dev/vda\troothash={hash}\t{whole}",
        end: End::Refused,
        shows: WRONG_BYTE,
        hides: &[],
        ..PLAIN
    },
    Case {
        name: "newline",
        frameworks: BOTH,
        long: BOTH,
        disk: Disk::FirstBlockWrong,
        options: "root=/dev/vda\nroothash={hash}\n{whole}",
        end: End::Refused,
        shows: WRONG_BYTE,
        hides: &[],
        ..PLAIN
    },
    Case {
        name: "single-quotes",
        frameworks: ALL,
        long: &[InitramfsTools, Klibc, DracutPlain],
        disk: Disk::FirstBlockWrong,
        options: "root=/dev/vda 'roothash={hash}' {whole}",
        end: End::Refused,
        shows: WRONG_BYTE,
        hides: &[],
        ..PLAIN
    },
    // Text between quotation marks disables nothing.
    Case {
        name: "off-in-quotes",
        frameworks: BOTH,
        long: &[Dracut],
        disk: Disk::FirstBlockWrong,
        options: "root=/dev/vda dyndbg=\"file x.c systemd.verity=no +p\" roothash={hash} {whole}",
        end: End::Refused,
        shows: WRONG_BYTE,
        hides: &[],
        ..PLAIN
    },
    // A root hash that is not a parameter is not overlooked.
    Case {
        name: "open-quote",
        frameworks: BOTH,
        long: &[InitramfsTools],
        disk: Disk::FirstBlockWrong,
        options: "root=/dev/vda {whole} \"quiet roothash={hash}",
        end: End::Refused,
        shows: &["dmverity: cannot open the root device: a quotation mark on the kernel command line is not closed$"],
        hides: &[],
        ..PLAIN
    },
    Case {
        name: "inside-a-word",
        frameworks: ALL,
        long: ALL,
        disk: Disk::FirstBlockWrong,
        options: "root=/dev/vda x.roothash={hash} {whole}",
        end: End::Refused,
        shows: &[
            "dmverity: cannot open the root device: roothash= is on the kernel command line, but not as a parameter \
             of its own$",
        ],
        hides: &[],
        ..PLAIN
    },
    Case {
        name: "inside-quotes",
        frameworks: BOTH,
        long: BOTH,
        disk: Disk::FirstBlockWrong,
        options: "root=/dev/vda dyndbg=\"file x.c roothash={hash} +p\" {whole}",
        end: End::Refused,
        shows: &[
            "dmverity: cannot open the root device: roothash= is on the kernel command line, but not as a parameter \
             of its own$",
        ],
        hides: &[],
        ..PLAIN
    },
    // If systemd's own generator is there, dracut leaves the device to it.
    Case {
        name: "usr",
        frameworks: &[InitramfsTools, DracutPlain],
        long: &[DracutPlain],
        disk: Disk::Whole,
        options: "root=/dev/vda usrhash={hash}",
        end: End::Refused,
        shows: &["dmverity: cannot open the root device: usrhash= asks for a verity device for /usr"],
        hides: &[],
        ..PLAIN
    },
    // No shell executes the command line, nor the text kept for the emergency shell.
    Case {
        name: "substitution",
        frameworks: ALL,
        long: &[InitramfsTools, Klibc, DracutPlain],
        disk: Disk::Whole,
        options: "root=/dev/{run} roothash={hash} {patience} systemd.verity_root_data=/dev/{run} rd.shell=1",
        end: End::Refused,
        shows: &[
            "dmverity: cannot open the root device: /dev/\\$\\(echo\\$\\{IFS\\}\\$\\(\\(40\\+2\\)\\)x>/dev/console\\) \
             does not exist",
        ],
        hides: &["42x"],
        ..PLAIN
    },
    Case {
        name: "substituted-root-hash",
        frameworks: BOTH,
        long: BOTH,
        disk: Disk::Whole,
        options: "root=/dev/{run} roothash={run} rd.shell=1",
        end: End::Refused,
        shows: &["dmverity: cannot open the root device: roothash=\\$\\(echo.* is not hexadecimal"],
        hides: &["42x"],
        ..PLAIN
    },
    // Nor is it a line of a systemd unit.
    Case {
        name: "unit-lines",
        frameworks: &[Dracut],
        long: &[Dracut],
        disk: Disk::Whole,
        options: "roothash={hash} {whole} rootfstype=\"ext4\rWhat=/dev/vda\r\" rootflags=\"noatime\rWhat=/dev/vda\r\"",
        end: End::Booted,
        shows: &["^mounted: /dev/mapper/root ext4 ro\\b", "^  status:      verified$", "^END$"],
        hides: &["mounted: /dev/vda"],
        ..PLAIN
    },
    // No root hash covers the superblock.
    Case {
        name: "expected-blocks",
        frameworks: BOTH,
        long: &[Dracut],
        disk: Disk::Whole,
        options: "root=/dev/vda roothash={hash} {whole},expect-data-blocks=300",
        end: End::Refused,
        shows: &[
            "dmverity: cannot open the root device: veritysetup open failed$",
            "^Image is not the expected one: data_blocks is 3072, expected 300\\.$",
        ],
        hides: &[],
        ..PLAIN
    },
    // The command's own words follow.
    Case {
        name: "refused",
        frameworks: BOTH,
        long: &[Dracut],
        disk: Disk::Whole,
        options: "root=/dev/vda roothash={hash} systemd.verity_root_data=/dev/vda systemd.verity_root_hash=/dev/vda \
                  systemd.verity_root_options=hash-offset=4096",
        end: End::Refused,
        shows: &[
            "dmverity: cannot open the root device: veritysetup open failed$",
            "^Device /dev/vda is not a valid VERITY device\\.$",
        ],
        hides: &[],
        ..PLAIN
    },
    // The partitions that follow from the root hash are not on this disk.
    Case {
        name: "missing-device",
        frameworks: BOTH,
        long: &[],
        disk: Disk::Whole,
        options: "root=/dev/vda roothash={hash} {patience}",
        end: End::Refused,
        shows: &[
            "dmverity: cannot open the root device: /dev/disk/by-partuuid/[-0-9a-f]{36} does not exist \
             \\(waited for [0-9]+ seconds\\)",
            "^hint: block devices that are there:.* vda",
            "^hint: without systemd.verity_root_data= it is the partition with the root hash's first half as UUID$",
        ],
        hides: &[],
        ..PLAIN
    },
    // Nor is another kind of root device booted.
    Case {
        name: "unknown-option",
        frameworks: BOTH,
        long: BOTH,
        disk: Disk::Whole,
        options: "root=/dev/nfs roothash={hash} {whole},nofail,panic-on-corruptoin",
        end: End::Refused,
        shows: &["dmverity: cannot open the root device: systemd.verity_root_options= has the unknown option \
             panic-on-corruptoin$"],
        hides: &[],
        ..PLAIN
    },
    // Without a root hash the boot is the same as if these scripts were not installed.
    Case {
        name: "not-asked",
        frameworks: BOTH,
        long: &[Dracut],
        disk: Disk::Whole,
        options: "root=/dev/vda ro systemd.verity_root_data=/dev/vda",
        end: End::Booted,
        shows: &[
            "^mounted: /dev/(vda|root) ext4 ro\\b",
            "^hello: hello from",
            "/dev/mapper/root is inactive|Cannot initialize device-mapper",
            "^END$",
        ],
        hides: &["dmverity: "],
        ..PLAIN
    },
    Case {
        name: "switched-off",
        frameworks: BOTH,
        long: BOTH,
        disk: Disk::Whole,
        options: "root=/dev/vda ro roothash={hash} {whole} rd.systemd.verity=no",
        end: End::Booted,
        shows: &[
            "^mounted: /dev/(vda|root) ext4 ro\\b",
            "/dev/mapper/root is inactive|Cannot initialize device-mapper",
            "^END$",
        ],
        hides: &["dmverity: "],
        ..PLAIN
    },
];

impl Case {
    /// The words for the kernel's command line.
    pub(crate) fn options(&self, framework: Framework, disks: &Disks) -> String {
        let whole = format!(
            "systemd.verity_root_data=/dev/vda systemd.verity_root_hash=/dev/vda \
             systemd.verity_root_options=hash-offset={FILE_SYSTEM}"
        );
        // initramfs-tools waits for 30 seconds at least.
        let patience = if matches!(framework, InitramfsTools | Klibc) { "rootdelay=3" } else { "rd.timeout=3" };
        let options = disks.filled(self.options).replace("{whole}", &whole).replace("{run}", RUN);
        options.replace("{parity}", &PARITY.to_string()).replace("{patience}", patience)
    }
}
