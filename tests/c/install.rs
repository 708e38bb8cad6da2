//! `make install-lib` and `make uninstall-lib`, and a program that is built with what is installed.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use dmverity_tests::workspace;

use crate::{compiler, library, run, text};

const PREFIX: &str = "/opt/dm";

/// Runs `make` with a cargo that fails: the user who installs is often not the one who built.
fn make(target: &str, root: &Path) {
    let library = library();
    let mut make = Command::new("make");
    make.current_dir(workspace()).env_remove("MAKEFLAGS").env_remove("MAKEOVERRIDES").args([target, "CARGO=false"]);
    make.arg(format!("DESTDIR={}", root.display())).arg(format!("PREFIX={PREFIX}"));
    run(make.arg(format!("CLIB={}", library.display())));
}

/// Each file below a folder with its mode, by its path below the prefix; a link has none.
fn files(root: &Path) -> BTreeMap<String, u32> {
    let mut found = BTreeMap::new();
    let mut folders: Vec<PathBuf> = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("it can be read") {
            let path = entry.expect("it can be read").path();
            let metadata = fs::symlink_metadata(&path).expect("it was listed");
            if metadata.is_dir() {
                folders.push(path);
                continue;
            }
            let mode = if metadata.is_symlink() { 0 } else { metadata.permissions().mode() & 0o7777 };
            let name = path.strip_prefix(root).expect("below the root").display().to_string();
            found.insert(name.trim_start_matches(&PREFIX[1..]).to_owned(), mode);
        }
    }
    found
}

#[test]
fn what_is_installed_builds_and_runs_a_program() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    make("install-lib", &root);
    let expected = [
        ("/include/dmverity/cryptsetup-verity.h", 0o644),
        ("/lib/dmverity/libcryptsetup.so", 0),
        ("/lib/dmverity/libcryptsetup.so.12", 0o644),
        ("/lib/pkgconfig/dmverity-cryptsetup.pc", 0o644),
        ("/share/man/man7/libcryptsetup-verity.7", 0o644),
    ];
    assert_eq!(files(&root), expected.map(|(name, mode)| (name.to_owned(), mode)).into());

    let mut config = Command::new("pkg-config");
    config.env("PKG_CONFIG_SYSROOT_DIR", &root).env("PKG_CONFIG_LIBDIR", root.join("opt/dm/lib/pkgconfig"));
    let flags = text(&run(config.args(["--cflags", "--libs", "dmverity-cryptsetup"])).stdout);
    let flags: Vec<&str> = flags.split_whitespace().collect();
    let is_runpath = |flag: &&str| flag.starts_with("-Wl,-rpath,") && flag.ends_with("/opt/dm/lib/dmverity");
    assert!(flags.iter().any(is_runpath), "{flags:?}");
    let code =
        "#include <stdio.h>\n#include <dmverity/cryptsetup-verity.h>\nint main(void) { puts(crypt_get_dir()); }\n";
    fs::write(folder.path().join("program.c"), code).unwrap();
    run(compiler("cc", folder.path()).arg("program.c").args(flags).args(["-o", "program"]));
    let mut program = Command::new(folder.path().join("program"));
    // pkg-config may leave the folder of this test out of the runpath.
    let output = run(program.env("LD_LIBRARY_PATH", root.join("opt/dm/lib/dmverity")));
    assert_eq!(text(&output.stdout), "/dev/mapper\n");

    make("uninstall-lib", &root);
    assert_eq!(files(&root), BTreeMap::new());
    assert!(!root.join("opt/dm/lib/dmverity").exists());
}

/// The package says which C library it needs.
#[test]
fn the_library_needs_no_later_c_library_than_its_package() {
    let manifest = fs::read_to_string(workspace().join("lib/c/Cargo.toml")).unwrap();
    let minor = |text: &str| text.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok());
    let packaged: u32 = minor(manifest.split_once("libc6 (>= 2.").unwrap().1).unwrap();
    let listed = text(&run(Command::new("readelf").args(["-V", "-W"]).arg(library())).stdout);
    let needed: Vec<u32> = listed.split("GLIBC_2.").skip(1).filter_map(minor).collect();
    assert!(!needed.is_empty() && needed.iter().all(|&minor| minor <= packaged), "{needed:?}");
}

/// The packages have what `make install-lib` installs, and their changelog names this version.
#[test]
fn the_packages_have_what_is_installed() {
    let package = workspace().join("lib/c");
    let manifest = fs::read_to_string(package.join("Cargo.toml")).unwrap();
    for path in [
        "/usr/include/dmverity/cryptsetup-verity.h",
        "/usr/lib/dmverity/libcryptsetup.so",
        "/usr/lib/dmverity/libcryptsetup.so.12",
        "/usr/lib/pkgconfig/dmverity-cryptsetup.pc",
        "/usr/share/man/man7/libcryptsetup-verity.7",
    ] {
        assert!(manifest.contains(&format!("[\"../../target/deb/root{path}\", ")), "{path} is in no package");
    }
    let changelog = fs::read_to_string(package.join("deb/changelog")).unwrap();
    let first = concat!("libcryptsetup12-dmverity (", env!("CARGO_PKG_VERSION"), "-1) ");
    assert!(changelog.starts_with(first), "{changelog}");
}
