//! Debian's programs for guests of another architecture than the host's, with the libraries they load.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::architecture::Architecture;
use super::hosttools::{self, Copies, TOOLS};
use super::{debian, process};

/// The suite that the programs come from; the reference is the one that this suite has.
const SUITE: &str = "bookworm";

/// The tree of their packages, from the cache.
pub fn tree(architecture: Architecture) -> Result<PathBuf> {
    let packages: BTreeSet<&str> = TOOLS.iter().map(|tool| tool.package).collect();
    let packages: Vec<&str> = packages.into_iter().collect();
    debian::tree("guest", SUITE, architecture, &packages)
}

/// The programs of [`TOOLS`], from Debian's packages.
pub fn tools(architecture: Architecture) -> Result<Copies> {
    let tree = tree(architecture)?;
    let usr = tree.join("usr");
    let libraries = [usr.join("lib").join(architecture.triplet()), usr.join("lib")];
    let mut copies = Copies::new();
    for tool in TOOLS {
        let found = ["sbin", "bin"].map(|folder| usr.join(folder).join(tool.program));
        let found = found.into_iter().find(|path| path.is_file());
        let found = found.with_context(|| format!("Debian's package {} holds no {}", tool.package, tool.program))?;
        add_libraries(&found, &libraries, &tree, &mut copies)?;
        copies.insert(tool.guest.to_owned(), found);
    }
    hosttools::add_legacy_hashes(&mut copies);
    Ok(copies)
}

/// Adds what the program or library loads, each at its place in the tree.
fn add_libraries(file: &Path, folders: &[PathBuf], tree: &Path, copies: &mut Copies) -> Result<()> {
    let listing = process::output(process::command("readelf")?.args(["--wide", "--dynamic", "--segments"]).arg(file))?;
    for name in needed(&listing) {
        // The program that loads the others is named by its path.
        let places = match name.strip_prefix('/') {
            Some(path) => vec![tree.join(path)],
            None => folders.iter().map(|folder| folder.join(name)).collect(),
        };
        let found = places.into_iter().find(|path| path.is_file());
        let found = found.with_context(|| format!("{} needs {name}, which is in no package", file.display()))?;
        let guest = format!("/{}", found.strip_prefix(tree)?.display());
        if copies.insert(guest, found.clone()).is_none() {
            add_libraries(&found, folders, tree, copies)?;
        }
    }
    Ok(())
}

/// The libraries in readelf's output, and the interpreter.
fn needed(listing: &str) -> impl Iterator<Item = &str> {
    listing.lines().filter_map(|line| {
        let (_, name) = line.split_once("(NEEDED)").or_else(|| line.split_once("[Requesting program interpreter"))?;
        let (_, name) = name.split_once(['[', ':'])?;
        // `Shared library: [NAME]`, or the rest of `[Requesting program interpreter: PATH]`.
        Some(name.rsplit('[').next()?.trim_matches([' ', ']']))
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn libraries_are_read_from_readelf() {
        let text = "  INTERP         0x000238 0x1b 0x1b R   0x1\n\
                    \x20     [Requesting program interpreter: /lib/ld-linux-aarch64.so.1]\n\
                    \x20 0x0000000000000001 (NEEDED)             Shared library: [liba.so.1]\n\
                    \x20 0x000000000000000e (SONAME)             Library soname: [libb.so.2]\n";
        assert_eq!(super::needed(text).collect::<Vec<_>>(), ["/lib/ld-linux-aarch64.so.1", "liba.so.1"]);
    }
}
