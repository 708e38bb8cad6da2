//! Images whose hash tree or root hash are in the files next to them: systemd's sidecars, containerd's layers.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use dmverity_tests::schema;
use dmverity_tests::vectors::painted;

use crate::sandbox::{Outcome, Sandbox};

const BYTES: usize = 300 * 4096;

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("app.raw", &painted(BYTES));
    sandbox.write("layer.erofs", &painted(BYTES - 1000));
    sandbox
}

fn ok(sandbox: &Sandbox, arguments: &[&str]) -> Outcome {
    let outcome = sandbox.run(arguments);
    assert_eq!(outcome.code, Some(0), "{arguments:?}: {outcome:?}");
    outcome
}

/// The first line of standard error of a command that has to fail with this code.
#[track_caller]
fn refused(sandbox: &Sandbox, arguments: &[&str], code: i32) -> String {
    let outcome = sandbox.run(arguments);
    assert_eq!(outcome.code, Some(code), "{arguments:?}: {outcome:?}");
    let json = sandbox.run(&[arguments, &["--json"]].concat());
    assert_eq!(json.code, Some(code));
    schema::check(&json.stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}"));
    outcome.stderr
}

#[test]
fn sidecars_have_systemds_names_and_are_found_again() {
    for (image, base, usr) in [("app.raw", "app", false), ("app", "app", true)] {
        let sandbox = sandbox();
        sandbox.write("app", &painted(BYTES));
        let hash_file = if usr { "usrhash" } else { "roothash" };
        let options: &[&str] = if usr { &["--usr"] } else { &[] };
        let made = ok(&sandbox, &[&["format", "--sidecars", image, "--salt-seed=x"], options].concat());
        let root_hash = made.field("Root hash").to_owned();
        // Without a newline: systemd takes the first line, other tools all of it.
        assert_eq!(sandbox.read(&format!("{base}.{hash_file}")), root_hash.as_bytes());
        // The same tree as in a file of its own.
        ok(&sandbox, &["format", image, "h", "--salt-seed=x"]);
        assert_eq!(sandbox.read(&format!("{base}.verity")), sandbox.read("h"));
        ok(&sandbox, &["verify", image, &format!("{base}.verity"), &root_hash]);

        let found = ok(&sandbox, &["verify", image]);
        let from = format!("{base}.{hash_file}");
        assert_eq!(found.stderr, format!("WARNING: nothing proves the root hash, which comes from {from}.\n"));
        // With a trusted one nothing is wanting.
        let option = format!("--root-hash={root_hash}");
        assert_eq!(ok(&sandbox, &["verify", image, &option]).stderr, "");
        assert_eq!(ok(&sandbox, &["verify", image, &format!("--root-hash-file={from}")]).stderr, "");
        let table = ok(&sandbox, &["table", image, "--ipe"]).stdout;
        assert!(table.contains(&root_hash), "{table}");
        let refusal = refused(&sandbox, &["open", image, "name"], 2);
        assert!(refusal.starts_with("The image is not opened: nothing proves the root hash"), "{refusal}");
        assert!(refusal.contains(&format!("hint: if you know that it is right, name it: {option}\n")), "{refusal}");

        sandbox.flip(image, 5000);
        let found = refused(&sandbox, &["verify", image], 2);
        assert!(found.contains("Verification failed at position 4096"), "{found}");
        sandbox.flip(image, 5000);
        sandbox.write(&from, root_hash.replace(|_| true, "0").as_bytes());
        refused(&sandbox, &["verify", image], 2);
        sandbox.write(&from, b"zz");
        assert!(refused(&sandbox, &["verify", image], 1).starts_with("Invalid root hash in "));
        fs::remove_file(sandbox.path(&from)).unwrap();
        assert!(refused(&sandbox, &["verify", image], 1).starts_with("Command requires <root_hash>"));
        ok(&sandbox, &["verify", image, &option]);
    }
}

#[test]
fn a_root_hash_in_an_attribute_goes_before_that_in_a_file() {
    let sandbox = sandbox();
    let made = ok(&sandbox, &["format", "--sidecars", "app.raw"]);
    let attribute = "user.verity.roothash";
    let set = |value: &str| xattr::set(sandbox.path("app.raw"), attribute, value.as_bytes()).unwrap();
    set(made.field("Root hash"));
    sandbox.write("app.roothash", &[b'0'; 64]);
    let found = ok(&sandbox, &["verify", "app.raw"]);
    assert!(found.stderr.ends_with("comes from attribute user.verity.roothash of app.raw.\n"), "{found:?}");
    set(&"0".repeat(64));
    refused(&sandbox, &["verify", "app.raw"], 2);
}

#[test]
fn sidecars_are_written_whole_and_nothing_else_is() {
    let sandbox = sandbox();
    for (arguments, line) in [
        (&["--append"][..], "veritysetup: Option --append and --sidecars cannot be used together."),
        (&["--containerd"], "veritysetup: Option --containerd and --sidecars cannot be used together."),
        (&["--hash-offset=4096"], "veritysetup: Option --sidecars and --hash-offset cannot be used together."),
        (&["--no-superblock"], "veritysetup: Option --sidecars and --no-superblock cannot be used together."),
    ] {
        let before = sandbox.snapshot();
        let outcome = sandbox.run(&[&["format", "app.raw", "--sidecars"], arguments].concat());
        assert_eq!((outcome.code, outcome.stderr.lines().last()), (Some(1), Some(line)));
        assert!(sandbox.snapshot() == before);
    }
    let before = sandbox.snapshot();
    ok(&sandbox, &["format", "--sidecars", "app.raw", "--dry-run"]);
    assert!(sandbox.snapshot() == before);
    let usr = sandbox.run(&["format", "app.raw", "h", "--usr"]);
    assert!(usr.stderr.ends_with("Option --usr must be used with --sidecars in format action.\n"), "{usr:?}");
}

#[test]
fn a_layer_is_as_containerd_makes_and_reads_it() {
    let sandbox = sandbox();
    let made = ok(&sandbox, &["format", "--containerd", "layer.erofs"]);
    // Its own constants: SHA-256, blocks of 4096 bytes, 32 zero bytes of salt, the tree at the next whole block.
    for (key, value) in [
        ("Hash algorithm", "sha256"),
        ("Data blocks", "300"),
        ("Data block size", "4096 [bytes]"),
        ("Hash block size", "4096 [bytes]"),
        ("Salt", &"0".repeat(64)),
        ("Hash offset", "1228800 [bytes]"),
    ] {
        assert_eq!(made.field(key), value);
    }
    let text = format!("{{\n  \"roothash\": \"{}\",\n  \"hashoffset\": 1228800\n}}", made.field("Root hash"));
    assert_eq!(sandbox.read("layer.erofs.dmverity"), text.as_bytes());
    let permissions = fs::metadata(sandbox.path("layer.erofs.dmverity")).unwrap().permissions();
    assert_eq!(permissions.mode() & 0o7777, 0o644);
    // The reference verifies it with what the file says.
    let arguments = ["verify", "layer.erofs", "layer.erofs", made.field("Root hash"), "--hash-offset=1228800"];
    assert_eq!(sandbox.reference(&arguments).code, Some(0));
    let found = ok(&sandbox, &["verify", "layer.erofs"]);
    assert!(found.stderr.ends_with("comes from layer.erofs.dmverity.\n"), "{found:?}");
    let kata = ok(&sandbox, &["table", "layer.erofs", "--kata"]).stdout;
    assert!(kata.contains("\nX-kata.dmverity.hashoffset=1228800\n"), "{kata}");
    // Done again it is the same but for the UUID.
    let again = ok(&sandbox, &["format", "--containerd", "layer.erofs"]);
    assert_eq!(again.field("Root hash"), made.field("Root hash"));
    sandbox.flip("layer.erofs", 5000);
    refused(&sandbox, &["verify", "layer.erofs"], 2);
}

#[test]
fn a_layers_file_that_says_something_else_is_refused() {
    let sandbox = sandbox();
    let made = ok(&sandbox, &["format", "--containerd", "layer.erofs"]);
    let good = String::from_utf8(sandbox.read("layer.erofs.dmverity")).unwrap();
    for (from, to, why) in [
        ("}", ",\n  \"hashoffset\": 0\n}", "duplicate field `hashoffset`"),
        ("}", ",\"salt\":\"\"}", "unknown field `salt`"),
        ("{", "[", "expected"),
        (made.field("Root hash"), "xx", "roothash is not hexadecimal"),
    ] {
        sandbox.write("layer.erofs.dmverity", good.replacen(from, to, 1).as_bytes());
        let refusal = refused(&sandbox, &["verify", "layer.erofs"], 2);
        assert!(refusal.starts_with("Invalid file layer.erofs.dmverity.\n") && refusal.contains(why), "{refusal}");
    }
    sandbox.write("layer.erofs.dmverity", good.replace("1228800", "4096").as_bytes());
    refused(&sandbox, &["verify", "layer.erofs"], 1);
    sandbox.write("layer.erofs.dmverity", good.as_bytes());
    refused(&sandbox, &["verify", "layer.erofs", "--hash-offset=4096"], 2);
    // Two trees for one image.
    ok(&sandbox, &["format", "layer.erofs", "layer.erofs.verity", "--data-blocks=10"]);
    let refusal = refused(&sandbox, &["verify", "layer.erofs"], 1);
    assert!(refusal.starts_with("layer.erofs has two hash trees.\n"), "{refusal}");
}

#[test]
fn a_guest_of_kata_has_its_parameters_in_a_line() {
    let sandbox = sandbox();
    let made = ok(&sandbox, &["format", "app.raw", "h", "--no-superblock", "--salt=aabb"]);
    let root_hash = made.field("Root hash");
    let line = ok(&sandbox, &["table", "app.raw", "h", root_hash, "--no-superblock", "--salt=aabb", "--kata"]);
    let expected = "salt=aabb,data_blocks=300,data_block_size=4096,hash_block_size=4096";
    assert_eq!(line.stdout, format!("root_hash={root_hash},{expected}\n"));
    ok(&sandbox, &["format", "app.raw", "h"]);
    let root_hash = ok(&sandbox, &["format", "app.raw", "h"]).field("Root hash").to_owned();
    refused(&sandbox, &["table", "app.raw", "h", &root_hash, "--kata"], 1);
}

#[test]
fn a_signature_can_be_in_the_line_itself() {
    let sandbox = sandbox();
    let made = ok(&sandbox, &["format", "app.raw", "h"]);
    let root_hash = made.field("Root hash");
    sandbox.write("sig", &[0xfb; 4]);
    let line = |options: &[&str]| {
        let line = ok(&sandbox, &[&["table", "app.raw", "h", root_hash, "--cmdline"], options].concat()).stdout;
        line.split("root-hash-signature=").nth(1).expect("a signature").trim_end().to_owned()
    };
    let embedded = ["--root-hash-signature=sig", "--embed-signature"];
    assert_eq!(line(&[&embedded[..], &DEVICES].concat()), "base64:+/v7+w==");
    assert_eq!(line(&[&["--root-hash-signature=base64:+/v7+w=="][..], &DEVICES].concat()), "base64:+/v7+w==");
    assert_eq!(line(&[&["--root-hash-signature=/etc/sig"][..], &DEVICES].concat()), "/etc/sig");
    for (value, line) in [
        ("base64:", "Invalid value of option --root-hash-signature."),
        ("base64:AQI", "Invalid value of option --root-hash-signature."),
        ("auto", "The image has no signature."),
    ] {
        let option = format!("--root-hash-signature={value}");
        let arguments = [&["table", "app.raw", "h", root_hash, "--cmdline", &option][..], &DEVICES].concat();
        assert_eq!(sandbox.run(&arguments).first_error(), line);
    }
}

const DEVICES: [&str; 2] = ["--boot-data-device=/dev/vda", "--boot-hash-device=/dev/vdb"];
