//! Every stored input, among them all that ever were findings.

use std::panic::catch_unwind;
use std::path::Path;

use dmverity_fuzz::TARGETS;

#[test]
fn no_stored_input_is_a_finding() {
    let mut findings = Vec::new();
    for target in TARGETS {
        for (path, bytes) in target.corpus() {
            assert!(bytes.len() <= target.max_len, "{} is too long", path.display());
            println!("{}", path.display());
            if catch_unwind(|| (target.run)(&bytes)).is_err() {
                findings.push(path);
            }
        }
    }
    assert!(findings.is_empty(), "{findings:#?}");
}

/// cargo-fuzz knows the programs, the corpus the folders, and the list the functions.
#[test]
fn each_target_has_a_program_and_a_corpus() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = |folder: &Path| {
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .expect("it is there")
            .map(|entry| entry.expect("readable").path().file_stem().expect("a name").to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    };
    let mut targets: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    targets.sort_unstable();
    assert_eq!(names(&folder.join("fuzz_targets")), targets);
    assert_eq!(names(&folder.join("corpus")), targets);
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).expect("it is there");
    for target in targets {
        let entry =
            format!("name = \"{target}\"\npath = \"fuzz_targets/{target}.rs\"\nrequired-features = [\"libfuzzer\"]");
        assert!(manifest.contains(&entry), "{target}");
    }
}
