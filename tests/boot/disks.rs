//! The disks that the machines boot from: one file system, its hash tree, and copies with a wrong byte.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use dmverity_tests::vm::{kernels, process};
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
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Disks {
    folder: PathBuf,
    /// In hexadecimal digits.
    pub(crate) root_hash: String,
    /// Of the file `/story`, as sha256sum prints it.
    pub(crate) story: String,
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
        let disks = Self {
            folder: folder.to_owned(),
            root_hash: fs::read_to_string(root_hash_file)?,
            story: hex::encode(Sha256::digest(&story)),
        };

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

fn uuid(digits: &str) -> String {
    format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
}

/// Makes the files of the root file system; returns the content of `/story`.
fn plant(tree: &Path) -> Result<Vec<u8>> {
    for folder in ["bin", "dev", "etc", "proc", "root", "run", "sbin", "sys", "tmp", "usr/sbin"] {
        fs::create_dir_all(tree.join(folder))?;
    }
    fs::copy(kernels::busybox(false)?, tree.join("bin/busybox"))?;
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
