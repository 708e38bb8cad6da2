//! Everything we print and write for the golden vectors is what the reference tool printed and wrote.

use std::process::Command;

use dmverity_tests::{vectors, veritysetup};

use crate::sandbox::Sandbox;
use crate::ways::{ways, with_threads};

/// How many vectors there are; a file that lost some would prove less, and no test would notice.
const ALL: usize = 90;

#[test]
fn format_prints_and_writes_what_the_reference_does() {
    let vectors = vectors::load().vectors;
    assert_eq!(vectors.len(), ALL);
    for (way, threads) in with_threads(&ways()) {
        for vector in &vectors {
            let sandbox = Sandbox::new();
            let mut asked = vector.clone();
            asked.args.push(format!("--threads={threads}"));
            let mut made = asked.run(way.command(&sandbox, &[]), &sandbox.path(""));
            made.args.pop();
            assert_eq!(&made, vector, "{way} with {threads} threads");
        }
    }
}

#[test]
fn verify_accepts_each_image_and_no_other_root_hash() {
    for vector in &vectors::load().vectors {
        let sandbox = Sandbox::new();
        let _ = vector.run(Command::new(veritysetup()), &sandbox.path(""));
        // With a superblock its offset must be enough; without one, all options must be repeated.
        let no_superblock = vector.args.iter().any(|argument| argument == "--no-superblock");
        let options = vector.args[3..].iter().map(String::as_str);
        let options = options.filter(|option| no_superblock || option.starts_with("--hash-offset"));
        let options = options.filter(|option| !option.starts_with("--fec-"));
        let mut arguments = vec!["verify", "data", vector.hash_device(), &vector.root_hash];
        arguments.extend(options);
        let good = sandbox.run(&arguments).without_uncovered();
        assert_eq!((good.code, good.stdout.as_str(), good.stderr.as_str()), (Some(0), "", ""), "{}", vector.name);

        let other = if vector.root_hash.starts_with('0') { "1" } else { "0" };
        let wrong = format!("{other}{}", &vector.root_hash[1..]);
        arguments[3] = &wrong;
        let bad = sandbox.run(&arguments).without_uncovered();
        assert_eq!(bad.code, Some(1), "{}", vector.name);
        assert_eq!(bad.stderr, "Verification of root hash failed.\n", "{}", vector.name);
    }
}
