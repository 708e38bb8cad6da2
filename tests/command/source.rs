//! Rules for the source itself, and for the files that tests compare with.

use std::fs;
use std::path::{Path, PathBuf};

use dmverity_tests::vm::kernels::KERNELS;
use dmverity_tests::workspace;
use serde_json::Value;

/// Every Rust file of the library and the command.
fn sources() -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("the source is there") {
            let path = entry.expect("the source can be read").path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    for package in ["lib", "cli"] {
        walk(&workspace().join(package), &mut found);
    }
    assert!(found.len() > 40, "the source was not found: {found:?}");
    found
}

/// No decision depends on a version of a kernel or target: none is read, so none can be compared.
#[test]
fn no_version_of_a_kernel_or_target_is_read() {
    // The ways to learn one: uname, files that hold it, the replies of device-mapper.
    let ways =
        ["uname", "utsname", "osrelease", "/proc/version", ".version()", "semver", "target_version", "LooseVersion"];
    for path in sources() {
        let text = fs::read_to_string(&path).unwrap();
        for way in ways {
            assert!(!text.contains(way), "{} has {way}", path.display());
        }
        // The kernel lists target names with their versions, which are skipped.
        let listings = text.matches("list_versions()").count();
        assert_eq!(listings, text.matches("|(target, ..)|").count(), "{}", path.display());
    }
}

/// Invalid UTF-8 becomes text in one place only, where different bytes stay different.
#[test]
fn paths_become_text_in_one_place() {
    let is_command = |path: &&PathBuf| path.starts_with(workspace().join("cli/src")) && !path.ends_with("tests.rs");
    for path in sources().iter().filter(is_command) {
        let text = fs::read_to_string(path).unwrap();
        for way in [".display()", "to_string_lossy", "from_utf8_lossy"] {
            assert!(!text.contains(way), "{} has {way}", path.display());
        }
    }
}

/// Only `dm/` talks to device-mapper.
#[test]
fn device_mapper_is_named_in_one_folder() {
    for path in sources().iter().filter(|path| !path.starts_with(workspace().join("lib/src/dm"))) {
        let text = fs::read_to_string(path).unwrap();
        assert!(!text.contains("devicemapper::") && !text.contains("devicemapper_sys"), "{}", path.display());
    }
}

/// The expected output of `features` has the same content as text and as JSON.
#[test]
fn expected_features_are_the_same_in_both_forms() {
    for kernel in KERNELS.iter().map(|kernel| kernel.name) {
        let expected = |form: &str| {
            fs::read_to_string(workspace().join(format!("tests/vm/expected/features-{kernel}.{form}"))).unwrap()
        };
        let json: Value = serde_json::from_str(&expected("json")).unwrap();
        let text = expected("txt");
        let line = |key: &str| {
            let line = text.lines().find_map(|line| line.trim_start().strip_prefix(key)).unwrap_or_default();
            line.trim().to_owned()
        };
        for (key, field) in [
            ("page size:", "page_size"),
            ("largest data block:", "data_block_size_max"),
            ("largest hash block:", "hash_block_size_max"),
        ] {
            assert_eq!(line(key), format!("{} [bytes]", json[field]), "{kernel}: {key}");
        }
        for (key, field) in
            [("signature required:", "signature_required"), ("kernel log readable:", "kernel_log_readable")]
        {
            assert_eq!(line(key), if json[field] == true { "yes" } else { "no" }, "{kernel}: {key}");
        }
        let options = json["options"].as_object().unwrap();
        assert_eq!(options.len(), 10);
        for (option, accepted) in options {
            let shown = line(&format!("{option} "));
            assert_eq!(shown.starts_with("yes  --"), *accepted == true, "{kernel}: {option}");
            assert_eq!(shown.starts_with("no   --"), *accepted == false, "{kernel}: {option}");
        }
        let algorithms = json["hash_algorithms"].as_object().unwrap();
        assert_eq!(algorithms.len(), 25);
        for (algorithm, name) in algorithms {
            let shown = match name.as_str() {
                None => "no".to_owned(),
                Some(name) if name == algorithm => "yes".to_owned(),
                Some(name) => format!("yes  as {name}"),
            };
            assert_eq!(line(&format!("{algorithm} ")), shown, "{kernel}: {algorithm}");
        }
    }
}
