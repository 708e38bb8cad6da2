//! With FEC, memory does not grow with the image either. A separate test program, because the measured figure is the
//! maximum over all its children, and without FEC many threads may need more.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use nix::sys::resource::{UsageWho, getrusage};

/// The limit, with any number of threads.
const LIMIT_KIB: i64 = 64 * 1024;

const MIB: u64 = 1 << 20;
const DATA_MIB: u64 = 256;

/// From few threads to many: the maximum so far counts.
#[test]
fn memory_with_fec_does_not_grow_with_the_image() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let mut data = File::options().read(true).write(true).create_new(true).open(directory.join("data")).unwrap();
    for number in 0..DATA_MIB {
        let pattern: Vec<u8> = (0..251).map(|byte: u8| byte.wrapping_mul(number.to_le_bytes()[0] | 1)).collect();
        data.write_all(&pattern.repeat(4200)[..1 << 20]).unwrap();
    }
    // Many short holes.
    let holes = File::create_new(directory.join("holes")).unwrap();
    holes.set_len(DATA_MIB * MIB).unwrap();
    for piece in 0..DATA_MIB / 2 {
        holes.write_all_at(&[1; 4096], piece * 2 * MIB).unwrap();
    }
    for threads in [1, 2, 8, 40] {
        for roots in [2, 24] {
            // Parity of one block in few rounds; of many blocks, with a tree of many levels; and the defaults.
            for block in [524_288, 512, 4096] {
                for file in ["data", "holes"] {
                    let image = if file == "data" { &data } else { &holes };
                    // Once with direct I/O, if the file system supports it, and once from the page cache.
                    if roots == 2 {
                        image.sync_all().unwrap();
                        posix_fadvise(image, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED).unwrap();
                    } else {
                        io::copy(&mut File::open(directory.join(file)).unwrap(), &mut io::sink()).unwrap();
                    }
                    Case { directory, file, threads, roots, block }.run(image).unwrap();
                }
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Case<'a> {
    directory: &'a Path,
    file: &'a str,
    threads: i64,
    roots: u8,
    block: u64,
}

impl Case<'_> {
    fn run(&self, image: &File) -> Result<()> {
        // Files of an earlier case may be larger, and FEC would cover more.
        for name in ["hash", "fec"] {
            File::create(self.directory.join(name))?;
        }
        let sizes = [format!("--data-block-size={}", self.block), format!("--hash-block-size={}", self.block)];
        let made = self.command(&["format", self.file, "hash", "--salt=-", &sizes[0], &sizes[1]])?;
        let made = String::from_utf8(made.stdout)?;
        let root_hash = made.lines().find_map(|line| line.strip_prefix("Root hash:")).context("no root hash")?.trim();
        self.command(&["verify", "--strict", self.file, "hash", root_hash])?;
        if self.file != "data" {
            return Ok(());
        }
        let blocks = DATA_MIB * MIB / self.block;
        let mut damages = vec![vec![0, 1, 2, blocks - 1]];
        if self.roots == 24 {
            // The longest run of blocks that can be repaired: as many in each round as there are roots.
            damages.push((0..blocks / 255 * 24).collect());
        }
        for bad in &damages {
            invert(image, bad, self.block)?;
            let repair = self.command(&["repair", "--dry-run", self.file, "hash", root_hash])?;
            let found = String::from_utf8(repair.stderr)?;
            ensure!(found == format!("Found {} repairable errors with FEC device.\n", bad.len()), "{self:?}: {found}");
            invert(image, bad, self.block)?;
        }
        Ok(())
    }

    fn command(&self, action: &[&str]) -> Result<Output> {
        let mut command = Command::new(dmverity_tests::veritysetup());
        command.args(action).arg("--fec-device=fec").arg(format!("--fec-roots={}", self.roots));
        command.arg(format!("--threads={}", self.threads)).current_dir(self.directory);
        let output = command.output()?;
        ensure!(output.status.success(), "{self:?}: {output:?}");
        let peak = getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss();
        println!("{} {self:?}: peak resident memory so far: {peak} KiB", action[0]);
        ensure!(peak <= LIMIT_KIB, "{self:?}: {peak} KiB");
        Ok(output)
    }
}

/// Flips one bit of the first byte of each of these blocks; a second call restores them.
fn invert(image: &File, blocks: &[u64], block: u64) -> Result<()> {
    for number in blocks {
        let mut byte = [0];
        image.read_exact_at(&mut byte, number * block)?;
        image.write_all_at(&[byte[0] ^ 1], number * block)?;
    }
    Ok(())
}
