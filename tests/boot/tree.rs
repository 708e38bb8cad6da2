//! Makes an initramfs as Debian does: its own `mkinitramfs` or `dracut`, run in a tree of its packages, with our files
//! where `make install` puts them.
//!
//! The tree is fetched once and kept; the initramfs is rebuilt in every run.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context as _, Result};
use dmverity_tests::vm::architecture::Architecture;
use dmverity_tests::vm::initramfs::Initramfs;
use dmverity_tests::vm::kernels::{self, Installed};
use dmverity_tests::vm::{builtin, debian, process, signatures};
use dmverity_tests::{static_binary, workspace};

use super::disks::{Identity, OWNER, STRANGER};

/// The suite that provides `mkinitramfs` and `dracut`, unless `BOOT_SUITE` names another.
const SUITE: &str = "bookworm";

/// The kernel that boots.
const KERNEL: &str = "6.1";

/// The packages to unpack with their dependencies. A changed list is fetched again.
const PACKAGES: &[&str] = &[
    // Under test.
    "initramfs-tools-core",
    "dracut-core",
    "busybox",
    "dmsetup",
    "systemd-sysv",
    "udev",
    // Present on every Debian.
    "base-files",
    "bash",
    "coreutils",
    "cpio",
    "dash",
    "debianutils",
    "e2fsprogs",
    "findutils",
    "grep",
    "gzip",
    "libc-bin",
    "login",
    "mawk",
    "mount",
    "sed",
    "util-linux",
    "zstd",
];

/// Modules of the machine's disks and of the file system on them, by name.
const DRIVERS: &[&str] = &["virtio_pci", "virtio_blk", "ext4"];

/// The framework that makes and runs the initramfs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Framework {
    /// Debian's own.
    InitramfsTools,
    /// The same without busybox, so with klibc's few tools only.
    Klibc,
    /// dracut with systemd as its first process, its default where systemd is installed.
    Dracut,
    /// dracut with a shell script as its first process.
    DracutPlain,
}

impl Framework {
    /// How many there are.
    pub(crate) const COUNT: usize = 4;

    /// Its name in the tests.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::InitramfsTools => "initramfs-tools",
            Self::Klibc => "initramfs-tools-klibc",
            Self::Dracut => "dracut",
            Self::DracutPlain => "dracut-plain",
        }
    }
}

/// What the system has when it makes its initramfs, besides certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Host {
    /// Nothing.
    Plain,
    /// A policy that wants a signed root file system.
    WithPolicy,
    /// A link to a policy that is not there.
    WithoutItsPolicy,
}

impl Host {
    /// How many there are.
    pub(crate) const COUNT: usize = 3;
}

/// The kernel of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kernel {
    /// As it is.
    Debian,
    /// With a certificate of [`signatures`] in place of a built-in one.
    Trusting,
}

/// Something that is put into an initramfs after it was made.
#[derive(Debug)]
pub(crate) enum Addition {
    /// A file, its path first.
    File(&'static str, &'static str),
    /// One that can be run.
    Program(&'static str, &'static str),
    /// A symbolic link, and what it leads to.
    Link(&'static str, &'static str),
}

/// A kernel and an initramfs for it.
#[derive(Debug)]
pub(crate) struct Built {
    /// The kernel's image.
    kernel: PathBuf,
    /// The initramfs.
    initramfs: PathBuf,
}

impl Built {
    /// The image of a kernel like this.
    pub(crate) fn kernel(&self, kind: Kernel, folder: &Path) -> Result<PathBuf> {
        if kind == Kernel::Debian {
            return Ok(self.kernel.clone());
        }
        let kernel = folder.join("kernel");
        builtin::replace_certificate(&self.kernel, &signatures::folder()?.join("certificate"), &kernel)?;
        Ok(kernel)
    }

    /// An initramfs with additions: a second archive after the first one, whose files replace those in it.
    pub(crate) fn with(&self, additions: &[Addition], folder: &Path) -> Result<PathBuf> {
        if additions.is_empty() {
            return Ok(self.initramfs.clone());
        }
        let (archive, initramfs) = (folder.join("additions"), folder.join("initramfs"));
        let mut second = Initramfs::create(&archive)?;
        for addition in additions {
            match addition {
                Addition::File(path, text) => second.put(path, text.as_bytes(), false)?,
                Addition::Program(path, text) => second.put(path, text.as_bytes(), true)?,
                Addition::Link(path, target) => second.link(path, target)?,
            }
        }
        second.finish()?;
        let mut bytes = fs::read(&self.initramfs)?;
        // Where the kernel expects an archive.
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend(fs::read(archive)?);
        fs::write(&initramfs, bytes)?;
        Ok(initramfs)
    }
}

/// Makes the initramfs in the folder.
pub(crate) fn build(framework: Framework, host: Host, folder: &Path) -> Result<Built> {
    process::require(&["unshare", "chroot", "cp", "tar", "mount"])?;
    let kernel = kernels::kernel(kernels::by_name(KERNEL)?, false)?;
    let name = format!("{}-{host:?}", framework.name());
    let tree = folder.join(format!("{name}-tree"));
    // Hard links to the cached tree: the initramfs tools never write into an existing file.
    process::output(process::command("cp")?.arg("-al").arg(debian()?).arg(&tree))?;
    install(&tree)?;
    configure(&tree, &kernel, framework)?;
    trust(&tree, host)?;
    let release = kernel.release.as_str();
    let made = tree.join("initramfs");
    let mut command = process::command("unshare")?;
    command.args(["--mount", "--propagation", "unchanged"]);
    if !nix::unistd::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command.arg("sh").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("boot/build.sh"));
    command.arg(&tree).arg(kernel.folder.join("lib/modules"));
    if matches!(framework, Framework::InitramfsTools | Framework::Klibc) {
        command.args(["mkinitramfs", "-o", "/initramfs", release]);
    } else {
        command.args([
            "dracut",
            "--force",
            "--no-hostonly",
            "--no-hostonly-cmdline",
            "--no-compress",
            "--kver",
            release,
        ]);
        // Unrelated modules only make the machine slower.
        let mut omit =
            "crypt kernel-modules kernel-modules-extra lunmask nvdimm qemu resume terminfo virtiofs".to_owned();
        if framework == Framework::DracutPlain {
            omit += " systemd systemd-initrd dracut-systemd";
        } else if tree.join("usr/lib/systemd/system-generators/systemd-veritysetup-generator").exists() {
            // It would open the same device.
            command.args(["--add", "systemd-veritysetup"]);
        }
        command.arg("--omit").arg(omit).arg("--add-drivers").arg(DRIVERS.join(" "));
        command.arg("/initramfs");
    }
    let said = process::output(&mut command).with_context(|| format!("{} makes no initramfs", framework.name()))?;
    let initramfs = folder.join(format!("{name}.img"));
    fs::rename(&made, &initramfs).with_context(|| format!("{} made no initramfs: {said}", framework.name()))?;
    fs::remove_dir_all(&tree)?;
    Ok(Built { kernel: kernel.folder.join("vmlinuz"), initramfs })
}

/// Debian's tree, from the cache.
fn debian() -> Result<PathBuf> {
    let suite = env::var("BOOT_SUITE").ok().filter(|suite| !suite.is_empty()).unwrap_or_else(|| SUITE.to_owned());
    debian::tree("boot", &suite, Architecture::Amd64, PACKAGES)
}

/// Puts our files into the tree with `make install`.
fn install(tree: &Path) -> Result<()> {
    let mut make = process::command("make")?;
    make.current_dir(workspace()).env_remove("MAKEFLAGS").env_remove("MAKEOVERRIDES");
    make.args(["install", "CARGO=false"]);
    make.arg(format!("DESTDIR={}", tree.display())).arg(format!("STATIC={}", static_binary()?.display()));
    process::output(&mut make).map(drop)
}

/// The setup that the packages' own scripts, or an installer, would have made.
fn configure(tree: &Path, kernel: &Installed, framework: Framework) -> Result<()> {
    put(&tree.join("etc/passwd"), b"root:x:0:0:root:/root:/bin/sh\n", 0o644)?;
    put(&tree.join("etc/group"), b"root:x:0:\ntty:x:5:\ndisk:x:6:\nkmem:x:15:\n", 0o644)?;
    // A compression that the kernel can unpack.
    let config = b"CONFIG_BLK_DEV_INITRD=y\nCONFIG_RD_GZIP=y\nCONFIG_RD_ZSTD=y\n";
    put(&tree.join(format!("boot/config-{}", kernel.release)), config, 0o644)?;
    let busybox = if framework == Framework::Klibc { "n" } else { "y" };
    let settings = format!("MODULES=list\nBUSYBOX={busybox}\nCOMPRESS=zstd\nRUNSIZE=10%\n");
    put(&tree.join("etc/initramfs-tools/initramfs.conf"), settings.as_bytes(), 0o644)?;
    put(&tree.join("etc/initramfs-tools/modules"), format!("{}\n", DRIVERS.join("\n")).as_bytes(), 0o644)
}

/// Sets up whom the system trusts, and what it wants. The name of the stranger's certificate is hidden, and the owner's
/// file is a link.
fn trust(tree: &Path, host: Host) -> Result<()> {
    let certificate = |identity: &Identity| fs::read(identity.certificate());
    put(&tree.join("usr/share/owner.pem"), &certificate(&OWNER)?, 0o644)?;
    put(&tree.join("usr/lib/verity.d/stranger.crt"), &certificate(&STRANGER)?, 0o644)?;
    fs::create_dir_all(tree.join("etc/verity.d"))?;
    symlink("/usr/share/owner.pem", tree.join("etc/verity.d/owner.crt"))?;
    symlink("/dev/null", tree.join("etc/verity.d/stranger.crt"))?;
    match host {
        Host::Plain => Ok(()),
        Host::WithPolicy => put(&tree.join("etc/dmverity/policy"), b"# Only ours.\nroot=signed\n", 0o644),
        Host::WithoutItsPolicy => {
            fs::create_dir_all(tree.join("etc/dmverity"))?;
            Ok(symlink("/no/where", tree.join("etc/dmverity/policy"))?)
        }
    }
}

/// Replaces the file instead of writing into it: it may be a hard link to the cached tree.
fn put(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    let parent = path.parent().context("a file lies in a folder")?;
    fs::create_dir_all(parent)?;
    if path.exists() {
        fs::remove_file(path)?;
    }
    fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    Ok(())
}
