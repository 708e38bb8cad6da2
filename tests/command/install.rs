//! `make install` and `make uninstall`: which files are where, with which mode, and that none is left. The tests set a
//! cargo that fails, because the user who installs is often not the one who built.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use dmverity_tests::{make, veritysetup, workspace};

/// An undefined variable is empty, so that the command with it does something else.
#[test]
fn the_makefile_defines_what_it_uses() {
    // Variables for the user.
    const FROM_OUTSIDE: [&str; 5] = ["CARGO_TARGET_DIR", "CARGO_HOME", "DESTDIR", "MAINTAINER", "PACKAGE_OPTIONS"];
    let targets = ["test", "test-quick", "demo", "static", "forced", "deb", "install"];
    let output = make().args(["--warn-undefined-variables", "--dry-run", "CARGO=true"]).args(targets).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let warnings = String::from_utf8(output.stderr).unwrap();
    let undefined = warnings.lines().filter(|line| line.contains("undefined variable"));
    let unknown = undefined.filter(|line| !FROM_OUTSIDE.iter().any(|name| line.ends_with(&format!("'{name}'"))));
    assert_eq!(unknown.collect::<Vec<_>>(), Vec::<&str>::new());
    assert!(!warnings.is_empty(), "make gave no warning at all");
}

/// Runs `make` for a folder, and fails unless it succeeds.
fn run_make(target: &str, root: &Path, prefix: &str) {
    let output = make()
        .args([target, "CARGO=false"])
        .arg(format!("DESTDIR={}", root.display()))
        .arg(format!("PREFIX={prefix}"))
        .arg(format!("STATIC={}", veritysetup().display()))
        .output()
        .expect("make is installed");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "make {target}: {text}");
}

/// Adds each file below a folder, with its mode, by its path below `root`; and each folder that is empty, with a slash.
fn collect(root: &Path, folder: &Path, found: &mut BTreeMap<String, u32>) {
    let entries: Vec<PathBuf> =
        fs::read_dir(folder).expect("readable").map(|entry| entry.expect("readable").path()).collect();
    let name = |path: &Path| format!("/{}", path.strip_prefix(root).expect("below the root").display());
    if entries.is_empty() {
        found.insert(format!("{}/", name(folder)), 0);
    }
    for path in entries {
        let metadata = fs::symlink_metadata(&path).expect("it was listed");
        if metadata.is_dir() {
            collect(root, &path, found);
        } else {
            assert!(metadata.is_file(), "{} is a file", path.display());
            found.insert(name(&path), metadata.permissions().mode() & 0o7777);
        }
    }
}

fn files(root: &Path) -> BTreeMap<String, u32> {
    let mut found = BTreeMap::new();
    collect(root, root, &mut found);
    found
}

/// The files to be installed, with their modes and the project's files that they are copied from.
fn expected(prefix: &str, zsh: &str) -> BTreeMap<String, (u32, PathBuf)> {
    let share = format!("{prefix}/share");
    let doc = format!("{share}/doc/dmverity-tools");
    let mut files: Vec<(String, u32, String)> = vec![
        (format!("{share}/man/man8/veritysetup.8"), 0o644, "man/veritysetup.8".into()),
        (format!("{share}/bash-completion/completions/veritysetup"), 0o644, "completions/veritysetup.bash".into()),
        (format!("{share}/zsh/{zsh}/_veritysetup"), 0o644, "completions/_veritysetup".into()),
        (format!("{share}/fish/vendor_completions.d/veritysetup.fish"), 0o644, "completions/veritysetup.fish".into()),
        (format!("{doc}/veritysetup.schema.json"), 0o644, "man/veritysetup.schema.json".into()),
        ("/usr/share/initramfs-tools/hooks/dmverity".into(), 0o755, "cli/boot/initramfs-tools/hook".into()),
    ];
    // One script in two places.
    for when in ["init-premount", "local-top"] {
        let path = format!("/usr/share/initramfs-tools/scripts/{when}/dmverity");
        files.push((path, 0o755, "cli/boot/initramfs-tools/local-top".into()));
    }
    for name in ["LICENSE-APACHE", "LICENSE-MIT"] {
        files.push((format!("{doc}/{name}"), 0o644, name.into()));
    }
    // The command's own README: its links work outside the repository.
    files.push((format!("{doc}/README.md"), 0o644, "cli/README.md".into()));
    for page in ["guide", "boot", "format", "install", "benchmarks"] {
        files.push((format!("{doc}/{page}.md"), 0o644, format!("man/{page}.md")));
    }
    let dracut = workspace().join("cli/boot/dracut");
    for entry in fs::read_dir(&dracut).unwrap_or_else(|error| panic!("{}: {error}", dracut.display())) {
        let name = entry.expect("readable").file_name().into_string().expect("UTF-8");
        files.push((format!("/usr/lib/dracut/modules.d/90dmverity/{name}"), 0o755, format!("cli/boot/dracut/{name}")));
    }
    assert!(files.iter().any(|(path, ..)| path.ends_with("/module-setup.sh")), "a dracut module has one");
    let mut expected: BTreeMap<_, _> =
        files.into_iter().map(|(path, mode, source)| (path, (mode, workspace().join(source)))).collect();
    expected.insert(format!("{prefix}/sbin/veritysetup"), (0o755, veritysetup()));
    expected
}

#[track_caller]
fn installs(prefix: &str, zsh: &str) {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let root = folder.path();
    let expected = expected(prefix, zsh);
    run_make("install", root, prefix);

    let modes: BTreeMap<String, u32> = expected.iter().map(|(path, (mode, _))| (path.clone(), *mode)).collect();
    assert_eq!(files(root), modes);
    let command = format!("{prefix}/sbin/veritysetup");
    let mut with_command = 0;
    for (path, (_, source)) in &expected {
        let installed = fs::read(root.join(&path[1..])).expect("readable");
        let source = fs::read(source).unwrap_or_else(|error| panic!("{}: {error}", source.display()));
        if path.starts_with("/usr/share/initramfs-tools/") || path.starts_with("/usr/lib/dracut/") {
            let source = String::from_utf8(source).expect("UTF-8");
            let installed = String::from_utf8(installed).expect("UTF-8");
            assert_eq!(installed, source.replace("@veritysetup@", &command), "{path}");
            assert!(!installed.contains(&*root.to_string_lossy()), "{path} names the folder it was installed into");
            with_command += usize::from(installed.contains(&command));
        } else {
            assert!(installed == source, "{path} is not what it was made from");
        }
    }
    assert!(with_command >= 2, "both ways to make an initramfs have to find the command");
    run_make("install", root, prefix);
    assert_eq!(files(root), modes, "installed twice");

    // Other packages' files stay, and so do folders that are not ours alone.
    let other = root.join(&prefix[1..]).join("share/man/man8/other.8");
    fs::write(&other, "").expect("writable");
    run_make("uninstall", root, prefix);
    let left: Vec<String> = files(root).into_keys().filter(|path| !path.ends_with('/')).collect();
    assert_eq!(left, [format!("{prefix}/share/man/man8/other.8")]);
    for own in [format!("{prefix}/share/doc/dmverity-tools"), "/usr/lib/dracut/modules.d/90dmverity".to_owned()] {
        assert!(!root.join(&own[1..]).exists(), "{own} is left");
    }
    run_make("uninstall", root, prefix);
}

#[test]
fn below_usr_local() {
    installs("/usr/local", "site-functions");
}

#[test]
fn below_usr() {
    installs("/usr", "vendor-completions");
}

#[test]
fn a_missing_command_is_built_first_and_that_is_said() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let missing = folder.path().join("missing");
    let output = make()
        .args(["install", "--dry-run"])
        .arg(format!("STATIC={}", missing.display()))
        .output()
        .expect("make is installed");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("is not there, so it is built first"), "{text}");
}

/// Built files are taken from cargo's target folder, and nothing is left in the project's own folder.
#[test]
fn another_folder_to_build_in_is_used() {
    for folder in ["/elsewhere", "below/this"] {
        let mut make = make();
        make.args(["static", "forced", "--dry-run"]).env("CARGO_TARGET_DIR", folder);
        let output = make.output().expect("make is installed");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{output:?}");
        assert!(text.contains(&format!("/release/veritysetup {folder}/static/veritysetup\n")), "{text}");
        assert!(text.contains(&format!("/release/veritysetup {folder}/forced/veritysetup-$backend;")), "{text}");
        assert!(!text.contains("target/"), "{text}");
    }
}

/// The newest entry of the package's changelog names the packaged version: `make deb` does not check that.
#[test]
fn the_packages_changelog_is_of_this_version() {
    let changelog = fs::read_to_string(workspace().join("cli/deb/changelog")).expect("readable");
    let first = changelog.lines().next().unwrap_or_default();
    assert!(first.starts_with(concat!("dmverity-tools (", env!("CARGO_PKG_VERSION"), "-1) ")), "{first}");
}

/// The package contains what `make install` installs, except the licences, which are in its copyright file.
#[test]
fn the_package_has_what_is_installed() {
    let manifest = fs::read_to_string(workspace().join("cli/Cargo.toml")).expect("readable");
    for path in expected("/usr", "vendor-completions").into_keys() {
        let path = match path.as_str() {
            "/usr/sbin/veritysetup" => "/usr/lib/dmverity-tools/veritysetup",
            "/usr/share/man/man8/veritysetup.8" => "/usr/share/man/man8/veritysetup.dmverity.8",
            path if path.contains("/LICENSE-") => continue,
            path if path.starts_with("/usr/lib/dracut/") => "/usr/lib/dracut/modules.d/90dmverity/*.sh",
            path if Path::new(path).extension() == Some("md".as_ref()) => "/usr/share/doc/dmverity-tools/*.md",
            path => path,
        };
        assert!(manifest.contains(&format!("[\"../target/deb/root{path}\", ")), "{path} is not in the package");
    }
}
