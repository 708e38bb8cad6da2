//! What the guide tells readers to do, done by a user who is not root.

use std::fs;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Output;

use dmverity_tests::{ordinary, veritysetup, workspace};

/// A directory of that user, with the command in it.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        let home = Self(tempfile::tempdir().expect("a temporary directory"));
        fs::copy(veritysetup(), home.path("veritysetup")).expect("writable");
        ordinary::give(home.0.path());
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let words = [&["setpriv", "--no-new-privs", program], arguments].concat();
        let mut command = ordinary::command(self.0.path(), &words);
        command.env_remove("XDG_RUNTIME_DIR");
        command.output().unwrap_or_else(|error| panic!("{program}: {error}"))
    }

    fn done(&self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let output = self.run(words[0], &words[1..]);
        assert!(output.status.success(), "{line}: {output:?}");
    }

    /// A signed disk image of a file system with one program, and the signer's certificate.
    fn make_image(&self) {
        self.done("mkdir -p tree/usr/bin");
        self.done("cp veritysetup tree/usr/bin/service");
        self.done("mksquashfs tree root.squashfs -no-progress -quiet -noD");
        self.done("openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=test -keyout key.pem -out certificate.pem");
        self.done(
            "veritysetup build --output=image.raw --root=root.squashfs --key=key.pem --certificate=certificate.pem",
        );
        self.done("rm -r tree root.squashfs key.pem");
    }
}

/// The script in a section of the guide.
fn script(heading: &str) -> String {
    let guide = fs::read_to_string(workspace().join("man/guide.md")).expect("readable");
    let section = guide.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no {heading}")).1;
    let script = section.split_once("\n```sh\n").and_then(|(_, rest)| rest.split_once("```\n"));
    script.expect("a script").0.to_owned()
}

fn flip(image: &Path, offset: u64) {
    let file = fs::File::options().read(true).write(true).open(image).expect("a file");
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).expect("it is there");
    file.write_all_at(&[!byte[0]], offset).expect("writable");
}

#[test]
fn a_ci_job_checks_an_image_and_looks_into_it() {
    let home = Home::new();
    home.make_image();
    let script = script("### In a CI job");
    let output = home.run("sh", &["-c", &script]);
    assert!(output.status.success(), "{output:?}");
    let service = fs::read(home.path("root/usr/bin/service")).expect("unpacked");
    assert!(service == fs::read(home.path("veritysetup")).expect("readable"));
    let mode = fs::metadata(home.path("root/usr/bin/service")).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o111, 0o111);

    // A megabyte is the partition's alignment; the file system's data follow.
    flip(&home.path("image.raw"), (1 << 20) + 300_000);
    home.done("rm -r root root.squashfs");
    let output = home.run("sh", &["-c", &script]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(!home.path("root.squashfs").exists());

    // Reading it ends with an error without a check before.
    let without_check = script.replace("veritysetup verify ", ": ");
    let output = home.run("sh", &["-c", &without_check]);
    assert!(!output.status.success() && !home.path("root").exists(), "{output:?}");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(words.contains("Input/output error") && words.contains("corrupted=1"), "{words}");
}
