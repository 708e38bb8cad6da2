//! The published crates: `cargo package` prints no warning, and each crate contains everything that it is built from.

use std::env;
use std::process::Command;

use dmverity_tests::workspace;

#[test]
fn both_crates_are_packed_without_warnings() {
    for (package, own) in [("dmverity", "examples/image_builder.rs"), ("veritysetup", "src/main.rs")] {
        let cargo = env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        let arguments = ["package", "--list", "--locked", "--offline", "--allow-dirty", "-p", package];
        let output = Command::new(cargo).args(arguments).current_dir(workspace()).output().expect("cargo is there");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        let (list, said) = (text(output.stdout), text(output.stderr));
        // Another cargo may be running.
        let said: Vec<&str> = said.lines().filter(|line| !line.trim_start().starts_with("Blocking")).collect();
        assert!(output.status.success() && said.is_empty(), "{package}: {said:?}");
        let files: Vec<&str> = list.lines().collect();
        for file in ["Cargo.toml", "Cargo.lock", "README.md", "LICENSE-APACHE", "LICENSE-MIT", "src/lib.rs", own] {
            assert!(files.contains(&file), "{package} lacks {file}: {list}");
        }
        // Needed by this repository only.
        assert!(!files.iter().any(|file| file.starts_with("deb/")), "{package}: {list}");
    }
}
