//! The disks that the machines boot from: one file system, its hash tree, disk images of both, signed or not, and
//! copies with a wrong byte.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use dmverity_tests::vm::architecture::Architecture;
use dmverity_tests::vm::{kernels, process, signatures};
use dmverity_tests::{static_binary, workspace};
use sha2::{Digest as _, Sha256};

/// The size of the file system, and the offset of the hash tree on a disk that has both.
pub(crate) const FILE_SYSTEM: u64 = 12 << 20;

/// The offset of the parity on such a disk.
pub(crate) const PARITY: u64 = FILE_SYSTEM + (1 << 20);

/// How the machines find data and hash tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disk {
    /// A partition for each, with the UUIDs that follow from the root hash.
    Partitions,
    /// The hash tree after the data, and parity after that.
    Whole,
    /// The same with one wrong byte in the first block, in a part that the file system does not use.
    FirstBlockWrong,
    /// The same with one wrong byte in the last block, which nothing reads before the system runs.
    LastBlockWrong,
    /// The same with one wrong byte in the file `/story`.
    StoryWrong,
    /// A disk image that [`OWNER`] has signed, as `veritysetup build` makes it.
    Signed,
    /// The same with one wrong byte in the first block.
    SignedFirstBlockWrong,
    /// The same with another root hash in its signature partition.
    SignedOtherwise,
    /// Another one, with `/usr` as an image of its own.
    SignedToo,
    /// One that [`STRANGER`] has signed.
    Strangers,
    /// One without a signature.
    Unsigned,
    /// The signed one with a table of far more partitions than there is room for.
    Hostile,
}

/// Whose certificate the machines trust; files below `tests/vectors/chain/`.
pub(crate) const OWNER: Identity = Identity { key: "keys/rsa.key", certificate: "certs/rsa.crt" };

/// Whose certificate they have, but do not trust.
pub(crate) const STRANGER: Identity = Identity { key: "keys/p256.key", certificate: "certs/p256.crt" };

/// A signer.
#[derive(Debug)]
pub(crate) struct Identity {
    key: &'static str,
    certificate: &'static str,
}

impl Identity {
    pub(crate) fn certificate(&self) -> PathBuf {
        chain(self.certificate)
    }
}

fn chain(file: &str) -> PathBuf {
    workspace().join("tests/vectors/chain").join(file)
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Disks {
    folder: PathBuf,
    /// In hexadecimal digits.
    pub(crate) root_hash: String,
    /// Of the file `/story`, as sha256sum prints it.
    story: String,
    /// A signature of the root hash by [`signatures`]'s certificate, which a kernel can be made to trust, in base64.
    signature: String,
    /// The root hashes of disk images.
    built: Vec<(Disk, String)>,
}

impl Disks {
    /// Makes the disks in the folder.
    pub(crate) fn make(folder: &Path) -> Result<Self> {
        process::require(&["mke2fs", "sfdisk"])?;
        let (tree, data, hash) = (folder.join("root"), folder.join("data.img"), folder.join("hash.img"));
        let story = plant(&tree)?;
        let mut mke2fs = process::command("mke2fs")?;
        mke2fs.args(["-q", "-t", "ext4", "-b", "4096", "-O", "^has_journal", "-E", "root_owner=0:0", "-d"]);
        process::output(mke2fs.arg(&tree).arg(&data).arg(format!("{}k", FILE_SYSTEM >> 10)))?;
        let root_hash_file = folder.join("root-hash");
        format(&data, &hash, &[format!("--root-hash-file={}", root_hash_file.display())])?;
        let whole_path = folder.join("whole.img");
        fs::copy(&data, &whole_path)?;
        // All on one device: data, hash tree, parity.
        let offsets = [
            format!("--data-blocks={}", FILE_SYSTEM / 4096),
            format!("--hash-offset={FILE_SYSTEM}"),
            format!("--fec-device={}", whole_path.display()),
            format!("--fec-offset={PARITY}"),
        ];
        format(&whole_path, &whole_path, &offsets)?;
        let root_hash = fs::read_to_string(root_hash_file)?;
        let mut disks = Self {
            folder: folder.to_owned(),
            signature: signature(folder, &root_hash)?,
            root_hash,
            story: hex::encode(Sha256::digest(&story)),
            built: Vec::new(),
        };
        disks.build_all(&data)?;
        disks.make_partitions(&fs::read(data)?, &fs::read(hash)?)?;
        let mut whole = fs::read(&whole_path)?;
        // A whole number of sectors.
        whole.resize(whole.len().next_multiple_of(1 << 20), 0);
        fs::write(disks.path(Disk::Whole), &whole)?;
        whole[0] ^= 1;
        fs::write(disks.path(Disk::FirstBlockWrong), &whole)?;
        whole[0] ^= 1;
        let last = usize::try_from(FILE_SYSTEM - 1)?;
        whole[last] ^= 1;
        fs::write(disks.path(Disk::LastBlockWrong), &whole)?;
        whole[last] ^= 1;
        let start = whole.windows(64).position(|window| window == &story[..64]);
        whole[start.context("the file system does not hold the story in one piece")? + 5000] ^= 1;
        fs::write(disks.path(Disk::StoryWrong), &whole)?;
        Ok(disks)
    }

    /// The disk's image.
    pub(crate) fn path(&self, disk: Disk) -> PathBuf {
        self.folder.join(format!("{disk:?}.img"))
    }

    /// A text with what this knows in place of names in braces.
    pub(crate) fn filled(&self, text: &str) -> String {
        let known = [("hash", &self.root_hash), ("story", &self.story), ("signature", &self.signature)];
        let known = known.map(|(name, value)| (name.to_owned(), value));
        let built = self.built.iter().map(|(disk, root_hash)| (format!("{disk:?}"), root_hash));
        known
            .into_iter()
            .chain(built)
            .fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
    }

    /// Makes the disk images, and from the signed one those that are wrong.
    fn build_all(&mut self, file_system: &Path) -> Result<()> {
        self.build(Disk::Signed, file_system, Some(&OWNER), &[])?;
        self.build(Disk::SignedToo, file_system, Some(&OWNER), &[format!("--usr={}", file_system.display())])?;
        self.build(Disk::Strangers, file_system, Some(&STRANGER), &[])?;
        self.build(Disk::Unsigned, file_system, None, &[])?;
        let signed = fs::read(self.path(Disk::Signed))?;
        let start = fs::read(file_system)?;
        let start = position(&signed, &start[1024..2048]).context("the disk image does not hold the file system")?;
        // The part of the first block that ext4 does not use.
        self.change(Disk::SignedFirstBlockWrong, &signed, start - 1024, |byte| byte ^ 1)?;
        let root_hash = format!("\"rootHash\":\"{}", self.of(Disk::Signed));
        let last_digit =
            position(&signed, root_hash.as_bytes()).context("there is no signature")? + root_hash.len() - 1;
        self.change(Disk::SignedOtherwise, &signed, last_digit, |byte| if byte == b'0' { b'1' } else { b'0' })?;
        fs::write(self.path(Disk::Hostile), hostile(signed))?;
        Ok(())
    }

    fn build(&mut self, disk: Disk, file_system: &Path, signer: Option<&Identity>, options: &[String]) -> Result<()> {
        let root_hash = self.folder.join(format!("{disk:?}-root-hash"));
        let mut command = process::command_at(&static_binary()?);
        command.arg("build").arg(format!("--output={}", self.path(disk).display()));
        command.arg(format!("--root={}", file_system.display())).args(options);
        // Otherwise their UUIDs would be the same, and each root hash.
        command.arg(format!("--salt-seed={disk:?}"));
        if let Some(Identity { key, certificate }) = signer {
            command.arg(format!("--key={}", chain(key).display()));
            command.arg(format!("--certificate={}", chain(certificate).display()));
        }
        if options.is_empty() {
            command.arg(format!("--root-hash-file={}", root_hash.display()));
            process::output(&mut command)?;
            self.built.push((disk, fs::read_to_string(root_hash)?.trim().to_owned()));
        } else {
            process::output(&mut command)?;
        }
        Ok(())
    }

    fn of(&self, wanted: Disk) -> &str {
        self.built.iter().find(|(disk, _)| *disk == wanted).map_or("", |(_, root_hash)| root_hash)
    }

    fn change(&self, disk: Disk, bytes: &[u8], at: usize, to: impl Fn(u8) -> u8) -> Result<()> {
        let mut changed = bytes.to_vec();
        changed[at] = to(changed[at]);
        Ok(fs::write(self.path(disk), changed)?)
    }

    fn make_partitions(&self, data: &[u8], hash: &[u8]) -> Result<()> {
        const SECTOR: usize = 512;
        // From the start of the disk to the first partition, as everywhere; the table's copy has room at the end.
        const BEFORE: usize = 1 << 20;
        let path = self.path(Disk::Partitions);
        let mut image = vec![0; BEFORE];
        image.extend(data);
        image.extend(hash);
        image.resize(image.len().next_multiple_of(BEFORE) + BEFORE, 0);
        fs::write(&path, &image)?;
        let table = format!(
            "label: gpt\nstart={}, size={}, uuid={}\nstart={}, size={}, uuid={}\n",
            BEFORE / SECTOR,
            data.len() / SECTOR,
            uuid(&self.root_hash[..32]),
            (BEFORE + data.len()) / SECTOR,
            hash.len() / SECTOR,
            uuid(&self.root_hash[self.root_hash.len() - 32..]),
        );
        let script = self.folder.join("partitions");
        fs::write(&script, table)?;
        let mut sfdisk = process::command("sfdisk")?;
        sfdisk.arg("--quiet").arg("--no-reread").arg("--no-tell-kernel").arg(&path);
        process::output(sfdisk.stdin(fs::File::open(script)?)).context("cannot make partitions")?;
        Ok(())
    }
}

/// Formats with one salt, so that the root hash is the same wherever the tree is.
fn format(data: &Path, hash: &Path, options: &[String]) -> Result<()> {
    let mut command = process::command_at(&static_binary()?);
    process::output(command.arg("format").arg(data).arg(hash).arg("--salt=0123456789abcdef").args(options))?;
    Ok(())
}

/// A signature of the root hash, as base64, by the certificate that a kernel can be made to trust.
fn signature(folder: &Path, root_hash: &str) -> Result<String> {
    let (signer, made) = (signatures::folder()?, folder.join("signature"));
    let option = |name, file| format!("--{name}={}", signer.join(file).display());
    let mut command = process::command_at(&static_binary()?);
    command.arg("sign").arg(root_hash.trim()).arg(option("key", "trusted.key"));
    command.arg(option("certificate", "trusted.pem")).arg("-o").arg(&made);
    process::output(&mut command)?;
    process::output(process::command("base64")?.arg("--wrap=0").arg(made))
}

fn position(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

/// The disk with a partition table that says it has 2^32 - 1 partitions, and with the checksum that belongs to that.
/// Its copy at the end is gone.
fn hostile(mut disk: Vec<u8>) -> Vec<u8> {
    const HEADER: usize = 512;
    let end = disk.len() - HEADER;
    disk[end..].fill(0);
    let header = &mut disk[HEADER..HEADER + 92];
    header[80..84].fill(0xff);
    header[16..20].fill(0);
    let checksum = crc32(header);
    header[16..20].copy_from_slice(&checksum.to_le_bytes());
    disk
}

fn crc32(bytes: &[u8]) -> u32 {
    let shifted = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), |crc, _| shifted(crc)))
}

fn uuid(digits: &str) -> String {
    format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
}

/// Makes the files of the root file system; returns the content of `/story`.
fn plant(tree: &Path) -> Result<Vec<u8>> {
    for folder in ["bin", "dev", "etc", "proc", "root", "run", "sbin", "sys", "tmp", "usr/sbin"] {
        fs::create_dir_all(tree.join(folder))?;
    }
    fs::copy(kernels::busybox(Architecture::Amd64, false)?, tree.join("bin/busybox"))?;
    fs::copy(static_binary()?, tree.join("usr/sbin/veritysetup"))?;
    let init = workspace().join("tests/boot/init");
    fs::copy(&init, tree.join("sbin/init")).with_context(|| format!("cannot copy {}", init.display()))?;
    fs::set_permissions(tree.join("sbin/init"), fs::Permissions::from_mode(0o755))?;
    // systemd switches only to a root that looks like a system.
    fs::write(tree.join("etc/os-release"), "ID=dmverity-test\n")?;
    fs::write(tree.join("hello"), "hello from the root file system\n")?;
    let mut random = fastrand::Rng::with_seed(1);
    let story: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(64 << 10).collect();
    fs::write(tree.join("story"), &story)?;
    Ok(story)
}
