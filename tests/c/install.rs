//! `make install-lib` and `make uninstall-lib`, and a program that is built with what is installed.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use dmverity_tests::workspace;

use crate::{library, run, text};

const PREFIX: &str = "/opt/dm";

/// Runs `make` with a cargo that fails: the user who installs is often not the one who built.
fn make(target: &str, root: &Path) {
    let library = library();
    let mut make = dmverity_tests::make();
    make.args([target, "CARGO=false"]);
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

    // Nothing but the flags leads to the header and to the library, neither here nor when the program runs.
    let mut config = Command::new("pkg-config");
    config.env("PKG_CONFIG_LIBDIR", root.join("opt/dm/lib/pkgconfig"));
    config.arg(format!("--define-variable=prefix={}{PREFIX}", root.display()));
    let flags = text(&run(config.args(["--cflags", "--libs", "dmverity-cryptsetup"])).stdout);
    // Without it the linker finds libcryptsetup-dev's link, where that is installed.
    let folder_of_link = format!("-L{}{PREFIX}/lib/dmverity", root.display());
    assert!(flags.split_whitespace().any(|flag| flag == folder_of_link), "{flags}");
    let code =
        "#include <stdio.h>\n#include <dmverity/cryptsetup-verity.h>\nint main(void) { puts(crypt_get_dir()); }\n";
    fs::write(folder.path().join("program.c"), code).unwrap();
    let mut compiler = Command::new("cc");
    compiler.current_dir(folder.path()).args(["-Wall", "-Wextra", "-Werror", "program.c", "-o", "program"]);
    run(compiler.args(flags.split_whitespace()));
    let program = folder.path().join("program");
    assert_eq!(text(&run(Command::new(&program).env_remove("LD_LIBRARY_PATH")).stdout), "/dev/mapper\n");
    let loaded = text(&run(Command::new("ldd").arg(&program).env_remove("LD_LIBRARY_PATH")).stdout);
    let ours = format!("libcryptsetup.so.12 => {}{PREFIX}/lib/dmverity/libcryptsetup.so.12 ", root.display());
    assert!(loaded.contains(&ours), "{loaded}");

    // Other packages' files stay, and so do folders that are not ours alone.
    fs::write(root.join("opt/dm/lib/pkgconfig/other.pc"), "").unwrap();
    make("uninstall-lib", &root);
    assert_eq!(files(&root).into_keys().collect::<Vec<_>>(), ["/lib/pkgconfig/other.pc"]);
    for own in ["opt/dm/lib/dmverity", "opt/dm/include/dmverity"] {
        assert!(!root.join(own).exists(), "{own} is left");
    }
    make("uninstall-lib", &root);
}

#[test]
fn a_missing_library_is_built_first_and_that_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let mut make = dmverity_tests::make();
    make.args(["install-lib", "--dry-run"]).arg(format!("CLIB={}", folder.path().join("missing").display()));
    let said = text(&run(&mut make).stdout);
    assert!(said.contains("is not there, so it is built first"), "{said}");
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

/// The packages have what `make install-lib` installs, and both are of this version.
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
    let depends = concat!("depends = \"libcryptsetup12-dmverity (= ", env!("CARGO_PKG_VERSION"), "-1)\"");
    assert!(manifest.contains(depends), "{depends} is not what the package for building says");
}
