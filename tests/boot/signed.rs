//! The cases of signed images, and of policies that want them. `/dev/vdb` is mostly a plain copy of the file system,
//! which `root=` names and which must never be mounted where the policy wants a signed one.

use super::cases::{ALL, BOTH, Case, End, PLAIN};
use super::disks::Disk;
use super::tree::Framework::{Dracut, DracutPlain, InitramfsTools, Klibc};
use super::tree::{Addition, Host, Kernel};

const POLICY: &str = "/etc/dmverity/policy";

/// The console output of a boot from the signed image.
const BOOTED: &[&str] = &[
    "^mounted: /dev/mapper/root ext4 ro\\b",
    "^  status:      verified$",
    "^  root hash:   {Signed}$",
    "^story: {story} ",
    "^END$",
];

/// That of a policy that is followed, in whatever form it is written, where there is nothing to boot.
const NOTHING_SIGNED: &[&str] = &[
    "dmverity: cannot open the root device: there is no image for this machine with a signature by a trusted \
     certificate \\(waited for [0-9]+ seconds\\)",
    "^hint: block devices that are there:.* vda",
];

/// The plain file system, and a policy on the command line.
const PLAIN_DISK: Case = Case { disk: Disk::Whole, shows: NOTHING_SIGNED, ..PLAIN };

/// The policy that wants a signed image, and a disk with another image.
const OTHER_IMAGE: Case =
    Case { more_disks: &[Disk::Whole], options: "root=/dev/vdb systemd.image_policy=root=signed {patience}", ..PLAIN };

/// The signed image, a plain disk, and a policy in the initramfs; the command line has none.
const FILE: Case = Case { disk: Disk::Signed, more_disks: &[Disk::Whole], options: "root=/dev/vdb", ..PLAIN };

/// Makes a disk appear the second time it is called.
const LATE: &str = "#!/bin/sh
if [ -e /late ]; then
    echo 'the disk is late' >/dev/console
    insmod /lib/modules/*/kernel/drivers/block/virtio_blk.ko 2>/dev/console
fi
: >/late
";

pub(crate) const CASES: &[Case] = &[
    // No root hash anywhere but on the disk; options reach the kernel.
    Case {
        name: "signed",
        frameworks: ALL,
        long: &[Klibc, DracutPlain],
        disk: Disk::Signed,
        more_disks: &[Disk::Whole],
        options: "root=/dev/vdb rw systemd.image_policy=root=signed \
                  systemd.verity_root_options=check-at-most-once,expect-data-blocks=3072",
        end: End::Booted,
        shows: &[
            "^mounted: /dev/mapper/root ext4 ro\\b",
            "^hello: hello from the root file system$",
            "^  status:      verified$",
            "^  root hash:   {Signed}$",
            "^  data device: /dev/vda1$",
            "^  hash device: /dev/vda2$",
            "^  flags:       check_at_most_once ?$",
            "^story: {story} ",
            "^END$",
        ],
        hides: &["written", "dmverity: "],
        ..PLAIN
    },
    Case {
        name: "signed-auto",
        frameworks: ALL,
        long: ALL,
        disk: Disk::Signed,
        options: "root=/dev/vda1 dmverity.image=auto",
        end: End::Booted,
        shows: BOOTED,
        hides: &["dmverity: "],
        ..PLAIN
    },
    // Of two, the one that is named.
    Case {
        name: "signed-device",
        disk: Disk::SignedToo,
        more_disks: &[Disk::Signed],
        options: "systemd.image_policy=root=signed dmverity.image=/dev/vdb",
        end: End::Booted,
        shows: BOOTED,
        hides: &["dmverity: "],
        ..PLAIN
    },
    // The one whose root hash is named.
    Case {
        name: "signed-root-hash",
        disk: Disk::SignedToo,
        more_disks: &[Disk::Signed],
        options: "systemd.image_policy=root=signed roothash={Signed}",
        end: End::Booted,
        shows: BOOTED,
        hides: &["dmverity: "],
        ..PLAIN
    },
    Case {
        name: "signed-usr",
        disk: Disk::SignedToo,
        options: "systemd.image_policy=root=signed:usr=signed",
        end: End::Booted,
        shows: &["^mounted: /dev/mapper/root ext4 ro\\b", "^usr: /dev/mapper/usr is active", "^END$"],
        hides: &["dmverity: "],
        ..PLAIN
    },
    // Others' tables are not trusted to be sane.
    Case {
        name: "hostile-table",
        disk: Disk::Hostile,
        more_disks: &[Disk::Signed],
        options: "systemd.image_policy=root=signed",
        end: End::Booted,
        shows: BOOTED,
        hides: &["dmverity: "],
        ..PLAIN
    },
    // The disk appears some seconds after the hook has begun to look for it.
    Case {
        name: "late-disk",
        frameworks: &[InitramfsTools],
        long: &[InitramfsTools],
        disk: Disk::Signed,
        options: "systemd.image_policy=root=signed modprobe.blacklist=virtio_blk",
        additions: &[
            Addition::File("/conf/modules", "virtio_pci\next4\n"),
            Addition::File("/scripts/local-block/ORDER", "/scripts/local-block/late\n"),
            Addition::Program("/scripts/local-block/late", LATE),
        ],
        end: End::Booted,
        shows: &["the disk is late", BOOTED[0], BOOTED[2], BOOTED[4]],
        hides: &["dmverity: "],
        ..PLAIN
    },
    // A policy in the initramfs, where the hook has copied it.
    Case {
        name: "policy-file",
        frameworks: ALL,
        long: ALL,
        host: Host::WithPolicy,
        end: End::Booted,
        shows: BOOTED,
        hides: &["dmverity: "],
        ..FILE
    },
    // The command line cannot weaken it.
    Case {
        name: "policy-file-and-another",
        disk: Disk::Whole,
        more_disks: &[],
        host: Host::WithPolicy,
        options: "root=/dev/vda systemd.image_policy=* {patience}",
        shows: NOTHING_SIGNED,
        ..FILE
    },
    Case {
        name: "policy-file-switched-off",
        host: Host::WithPolicy,
        options: "root=/dev/vdb roothash={Unsigned} systemd.verity=no",
        shows: &[
            "dmverity: cannot open the root device: the policy does not allow systemd.verity= to switch verity off$",
            "^hint: policy: root=signed$",
        ],
        ..FILE
    },
    Case {
        name: "policy-file-empty",
        frameworks: ALL,
        long: ALL,
        additions: &[Addition::File(POLICY, "\n# root=signed\n")],
        shows: &["dmverity: cannot open the root device: /etc/dmverity/policy has no policy$"],
        ..FILE
    },
    Case {
        name: "policy-file-unreadable",
        additions: &[Addition::File("/etc/dmverity/policy/policy", "root=signed\n")],
        shows: &["dmverity: cannot open the root device: Cannot read policy /etc/dmverity/policy\\.$"],
        ..FILE
    },
    Case {
        name: "policy-file-elsewhere",
        additions: &[Addition::Link(POLICY, "/no/where")],
        shows: &["dmverity: cannot open the root device: Cannot read policy /etc/dmverity/policy\\.$"],
        ..FILE
    },
    // The command is broken: neither a policy in a file nor an oddly written one is overlooked.
    Case {
        name: "policy-file-no-command",
        frameworks: ALL,
        long: ALL,
        additions: &[
            Addition::File(POLICY, "root=signed\n"),
            Addition::Program("/usr/sbin/veritysetup", "#!/bin/sh\nkill -SEGV $$\n"),
        ],
        shows: &["dmverity: cannot open the root device: /usr/sbin/veritysetup gives no answer that is understood$"],
        ..FILE
    },
    Case {
        name: "policy-no-command",
        frameworks: ALL,
        long: ALL,
        options: "root=/dev/vda rd.systemd.image\"-pol\"icy='root=signed'",
        additions: &[Addition::Program("/usr/sbin/veritysetup", "#!/bin/sh\nkill -SEGV $$\n")],
        shows: &["dmverity: cannot open the root device: /usr/sbin/veritysetup gives no answer that is understood$"],
        ..PLAIN_DISK
    },
    // The kernel checks the signature.
    Case {
        name: "kernel-trusts",
        disk: Disk::Partitions,
        kernel: Kernel::Trusting,
        options: "roothash={hash} systemd.image_policy=root=signed \
                  systemd.verity_root_options=root-hash-signature=base64:{signature}",
        end: End::Booted,
        shows: &["^mounted: /dev/mapper/root ext4 ro\\b", "^  root hash:   {hash}$", "signature", "^END$"],
        hides: &["dmverity: "],
        ..PLAIN
    },
    Case {
        name: "kernel-does-not-trust",
        disk: Disk::Partitions,
        more_disks: &[Disk::Whole],
        options: "root=/dev/vdb roothash={hash} systemd.image_policy=root=signed \
                  systemd.verity_root_options=root-hash-signature=base64:{signature}",
        shows: &["dmverity: cannot open the root device: veritysetup open failed$"],
        ..PLAIN
    },
    // One wrong byte in the data of the signed image.
    Case {
        name: "signed-tampered",
        frameworks: ALL,
        long: &[Klibc, Dracut, DracutPlain],
        disk: Disk::SignedFirstBlockWrong,
        shows: &[
            "dmverity: cannot open the root device: its first or last blocks do not match the root hash {Signed}$",
            "^hint: the image was changed: its root hash is signed$",
            "^hint: disk: /dev/vda$",
        ],
        ..OTHER_IMAGE
    },
    // The wrong byte, a root hash that is signed, and an option that lets wrong bytes through.
    Case {
        name: "signed-ignored",
        disk: Disk::SignedFirstBlockWrong,
        more_disks: &[],
        host: Host::WithPolicy,
        options: "roothash={Signed} systemd.verity_root_options=ignore-corruption",
        shows: &["dmverity: cannot open the root device: the policy does not allow ignore-corruption, with which"],
        ..PLAIN
    },
    Case {
        name: "unsigned",
        frameworks: ALL,
        long: &[InitramfsTools, Klibc, DracutPlain],
        disk: Disk::Unsigned,
        shows: &[NOTHING_SIGNED[0], "^hint: not the image with root hash {Unsigned} on /dev/vda: it has no signature$"],
        ..OTHER_IMAGE
    },
    // Its certificate is there, and is hidden by a link.
    Case {
        name: "untrusted-signer",
        disk: Disk::Strangers,
        shows: &[
            NOTHING_SIGNED[0],
            "^hint: not the image with root hash {Strangers} on /dev/vda: signed by .*, which is not trusted$",
        ],
        ..OTHER_IMAGE
    },
    Case {
        name: "masked-certificate",
        disk: Disk::Signed,
        additions: &[Addition::Link("/etc/verity.d/owner.crt", "/dev/null")],
        shows: &[
            "dmverity: cannot open the root device: there is no certificate to check a signature with$",
            "^hint: the initramfs has none in /etc/verity.d,",
        ],
        ..OTHER_IMAGE
    },
    Case {
        name: "other-root-hash",
        disk: Disk::SignedOtherwise,
        shows: &[
            NOTHING_SIGNED[0],
            "^hint: not the image with root hash {Signed} on /dev/vda: its signature is one of root hash \
             [0-9a-f]{63}[01]$",
        ],
        ..OTHER_IMAGE
    },
    Case {
        name: "two-signed-disks",
        frameworks: ALL,
        long: ALL,
        disk: Disk::Signed,
        more_disks: &[Disk::SignedToo],
        shows: &[
            "dmverity: cannot open the root device: there is more than one signed image$",
            "^hint: root hashes: {Signed} on /dev/vda, [0-9a-f]{64} on /dev/vdb$",
            "^hint: dmverity.image=DEVICE chooses a disk, and roothash= an image$",
        ],
        ..OTHER_IMAGE
    },
    Case {
        name: "unsigned-root-hash",
        disk: Disk::Unsigned,
        options: "root=/dev/vdb roothash={Unsigned} systemd.image_policy=root=signed",
        shows: &[
            "dmverity: cannot open the root device: the policy does not allow the image with root hash {Unsigned}, \
             which has no trusted signature$",
            "^hint: policy: root=signed$",
            "^hint: not the image with root hash {Unsigned} on /dev/vda: it has no signature$",
        ],
        ..OTHER_IMAGE
    },
    Case {
        name: "missing-disk",
        frameworks: ALL,
        long: ALL,
        disk: Disk::Signed,
        options: "root=/dev/vdb dmverity.image=PARTLABEL=elsewhere {patience}",
        shows: &[
            "dmverity: cannot open the root device: /dev/disk/by-partlabel/elsewhere does not exist \\(waited for \
             [0-9]+ seconds\\)",
            "^hint: block devices that are there:.* vda",
        ],
        ..OTHER_IMAGE
    },
    Case { name: "policy-verity", options: "root=/dev/vda systemd.image_policy=root=verity {patience}", ..PLAIN_DISK },
    Case {
        name: "policy-switched-off",
        options: "root=/dev/vda systemd.image_policy=root=signed systemd.verity=no",
        shows: &[
            "dmverity: cannot open the root device: the policy does not allow systemd.verity= to switch verity off$",
        ],
        ..PLAIN_DISK
    },
    Case {
        name: "policy-syntax",
        options: "root=/dev/vda systemd.image_policy=root=singed",
        shows: &[
            "dmverity: cannot open the root device: the policy in systemd.image_policy= cannot be followed$",
            "^hint: .*\"singed\"",
        ],
        ..PLAIN_DISK
    },
    // However it is written.
    Case {
        name: "policy-prefix",
        options: "root=/dev/vda \"rd.systemd.image-policy=root=signed\" {patience}",
        ..PLAIN_DISK
    },
    Case {
        name: "policy-quotes",
        options: "root=/dev/vda\tsystemd.image\"_pol\"icy='root=signed' {patience}",
        ..PLAIN_DISK
    },
    Case {
        name: "policy-twice",
        frameworks: BOTH,
        options: "root=/dev/vda systemd.image_policy=root=signed systemd.image_policy=root=unprotected+signed \
                  {patience}",
        ..PLAIN_DISK
    },
    Case {
        name: "policy-inside-quotes",
        options: "root=/dev/vda dyndbg=\"file x.c systemd.image-policy=root=signed +p\"",
        shows: &[
            "dmverity: cannot open the root device: systemd.image_policy= is on the kernel command line, but not as a \
             parameter of its own$",
        ],
        ..PLAIN_DISK
    },
    Case {
        name: "policy-open-quote",
        options: "root=/dev/vda \"quiet systemd.image_policy=root=signed",
        shows: &["dmverity: cannot open the root device: a quotation mark on the kernel command line is not closed$"],
        ..PLAIN_DISK
    },
];
