//! Shared by the tests of the built command: the paths of the programs, the golden vectors, and the harness that boots
//! real kernels.

pub mod backends;
#[path = "vectors/chain/mod.rs"]
pub mod chain;
pub mod machine;
pub mod ordinary;
pub mod schema;
#[path = "vectors/mod.rs"]
pub mod vectors;
#[path = "vm/harness/mod.rs"]
pub mod vm;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;
use std::{env, fs};

use anyhow::{Context as _, Error, Result, anyhow, bail};

/// The workspace's root.
///
/// # Panics
/// Never: this package is in it.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the workspace")
}

/// `make` for the workspace, independent of a `make` that these tests run below.
pub fn make() -> Command {
    let mut make = Command::new("make");
    make.current_dir(workspace()).env_remove("MAKEFLAGS").env_remove("MAKEOVERRIDES");
    make
}

/// The folder that cargo builds in: `CARGO_TARGET_DIR`, or `target`. `make` puts its copies there.
pub fn built() -> PathBuf {
    let folder = env::var_os("CARGO_TARGET_DIR").filter(|folder| !folder.is_empty());
    // A relative path is relative to the workspace, where `make` and cargo run; tests run in their package.
    workspace().join(folder.unwrap_or_else(|| "target".into()))
}

/// The shipped, statically linked `veritysetup`: the one that `make static` built, or `DMVERITY_STATIC_BIN`. One that
/// is older than its source is refused.
///
/// Looked for once: editing the source while the tests run does not make the later ones fail.
pub fn static_binary() -> Result<PathBuf> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    FOUND.get_or_init(|| find_static_binary().map_err(|error| format!("{error:#}"))).clone().map_err(Error::msg)
}

/// The same for 64-bit Arm: the one that `tests/arches.sh aarch64` built, or `DMVERITY_ARM64_BIN`.
pub fn arm64_binary() -> Result<PathBuf> {
    named_by("DMVERITY_ARM64_BIN").unwrap_or_else(|| {
        up_to_date(built().join("arches/aarch64/binary"), &["lib", "cli"], "tests/arches.sh aarch64")
    })
}

/// The same as [`static_binary`], for tests that cannot go on without it.
///
/// # Panics
/// If it has not been built, or is older than its source.
pub fn veritysetup() -> PathBuf {
    static_binary().unwrap_or_else(|error| panic!("{error:#}"))
}

/// The tool we agree with: `REFERENCE`, or Debian's own.
pub fn find_reference() -> Result<PathBuf> {
    let path = env::var_os("REFERENCE").map_or_else(|| PathBuf::from("/usr/sbin/veritysetup"), PathBuf::from);
    if !path.exists() {
        bail!("{} is missing: install Debian's package cryptsetup-bin", path.display());
    }
    Ok(path)
}

/// The same, for tests that cannot go on without it.
///
/// # Panics
/// If it is not installed.
pub fn reference() -> PathBuf {
    find_reference().unwrap_or_else(|error| panic!("{error:#}"))
}

fn find_static_binary() -> Result<PathBuf> {
    named_by("DMVERITY_STATIC_BIN")
        .unwrap_or_else(|| up_to_date(built().join("static/veritysetup"), &["lib", "cli"], "make static"))
}

/// The program that an environment variable names, if it is set.
fn named_by(variable: &str) -> Option<Result<PathBuf>> {
    let path = PathBuf::from(env::var_os(variable)?);
    Some(if path.is_file() {
        Ok(path)
    } else {
        Err(anyhow!("{variable} names {}, which is not a file", path.display()))
    })
}

/// The C library that `make lib` built. One that is older than its source is refused.
pub fn c_library() -> Result<PathBuf> {
    up_to_date(built().join("lib/libcryptsetup.so.12"), &["lib", "lib/c"], "make lib")
}

/// The file made from these packages; if it is missing or older than its source, an error with the command that builds
/// it.
fn up_to_date(path: PathBuf, packages: &[&str], made_by: &str) -> Result<PathBuf> {
    if !path.is_file() {
        bail!("{} is missing: run `{made_by}` first", path.display());
    }
    let built = fs::metadata(&path)?.modified()?;
    for package in packages {
        let package = workspace().join(package);
        // Examples and tests are no part of it.
        if let Some(newer) =
            newer_than(&package.join("Cargo.toml"), built)?.or(newer_than(&package.join("src"), built)?)
        {
            bail!("{} is newer than {}: run `{made_by}` first", newer.display(), path.display());
        }
    }
    Ok(path)
}

/// The file, or a file below the folder, that is newer.
fn newer_than(path: &Path, than: SystemTime) -> Result<Option<PathBuf>> {
    let metadata = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    if !metadata.is_dir() {
        return Ok((metadata.modified()? > than).then(|| path.to_owned()));
    }
    for entry in fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))? {
        if let Some(newer) = newer_than(&entry?.path(), than)? {
            return Ok(Some(newer));
        }
    }
    Ok(None)
}

/// A counter in the last line with counters that `serve` or `mount-file` has printed.
///
/// # Panics
/// If there is none of this name.
pub fn counter(stderr: &str, name: &str) -> u64 {
    let line = stderr.lines().rfind(|line| line.contains(" requests=")).expect("counters");
    let value = line.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in {line}"))
}
