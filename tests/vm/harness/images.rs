//! File system images made on the host for cases that mount one: small, and always with the same files.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result, bail};

use super::{paths, process};

/// The kinds of image a case can ask for with `# images:`; it finds them as `/images/KIND.img`.
pub const KINDS: &[&str] = &["ext4", "squashfs", "extension"];

/// One at a time, because they share a working folder.
static MAKING: Mutex<()> = Mutex::new(());

/// What the time stamps in the images say.
const EPOCH: &str = "1000000000";

/// The image of that kind, made anew every time: that is quick, and an old one might differ from what this file
/// describes.
pub fn image(kind: &str) -> Result<PathBuf> {
    let folder = paths::cache().join("images");
    let image = folder.join(format!("{kind}.img"));
    // Two boots may want it at the same time.
    let _one = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    paths::sweep(&folder)?;
    let work = folder.join(paths::temporary(kind));
    let (tree, made) = (work.join("tree"), work.join("image"));
    if kind == "extension" {
        plant_extension(&tree)?;
    } else {
        plant(&tree)?;
    }
    match kind {
        "ext4" => process::output(
            process::command("mke2fs")?
                .env("E2FSPROGS_FAKE_TIME", EPOCH)
                .args(["-q", "-t", "ext4", "-b", "4096", "-O", "^has_journal"])
                .args(["-U", "00000000-0000-0000-0000-000000000001"])
                .args(["-E", "hash_seed=00000000-0000-0000-0000-000000000002,root_owner=0:0"])
                .arg("-d")
                .arg(&tree)
                .arg(&made)
                .arg("8M"),
        ),
        "squashfs" | "extension" => process::output(process::command("mksquashfs")?.arg(&tree).arg(&made).args([
            "-quiet",
            "-no-progress",
            "-all-root",
            "-comp",
            "gzip",
            "-mkfs-time",
            EPOCH,
            "-all-time",
            EPOCH,
        ])),
        other => bail!("there is no image of kind {other:?}, only {}", KINDS.join(", ")),
    }
    .with_context(|| format!("cannot make the {kind} image"))?;
    fs::rename(&made, &image)?;
    fs::remove_dir_all(&work)?;
    Ok(image)
}

/// The files of a system extension for every system: a greeting below `/usr`.
fn plant_extension(tree: &Path) -> Result<()> {
    let release = tree.join("usr/lib/extension-release.d");
    fs::create_dir_all(&release)?;
    fs::write(release.join("extension-release.extension"), "ID=_any\n")?;
    fs::create_dir_all(tree.join("usr/share"))?;
    fs::write(tree.join("usr/share/greeting"), "hello\n")?;
    Ok(())
}

/// The files in the images: a greeting, and one of 1 MiB that does not compress to nothing.
fn plant(tree: &Path) -> Result<()> {
    fs::create_dir_all(tree.join("folder"))?;
    fs::write(tree.join("hello"), "hello\n")?;
    let mut state = 1_u32;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    });
    fs::write(tree.join("folder/noise"), noise.take(1 << 20).collect::<Vec<u8>>())?;
    Ok(())
}
