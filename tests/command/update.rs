//! `update`: the bytes of a fresh format, whatever has changed and whenever it is killed; and what it refuses.

use dmverity_tests::vectors::painted;

use crate::interrupted::killed_at_each_call;
use crate::sandbox::Sandbox;

const SALT: &str = "--salt=aabb";
const UUID: &str = "--uuid=2f9ee5d5-1c3a-4f0e-9c60-9b5a6cf8a111";

/// An image of which some bytes have changed, and what it has to become.
struct Images {
    sandbox: Sandbox,
    old_root_hash: String,
    root_hash: String,
    options: Vec<&'static str>,
    is_one: bool,
}

const RANGE: &str = "--range=409500:9000";

impl Images {
    fn new(is_one: bool, options: &[&'static str]) -> Self {
        let sandbox = Sandbox::new();
        let mut data = painted(1 << 20);
        let format = |name: &str| {
            let hash = format!("{name}.h");
            let fec = format!("--fec-device={name}.f");
            let append = ["format", "--append", name, SALT, UUID];
            let apart = ["format", name, &hash, SALT, UUID];
            let mut words: Vec<&str> = if is_one { append.to_vec() } else { apart.to_vec() };
            words.extend(options);
            if !is_one && !options.is_empty() {
                words.push(&fec);
            }
            sandbox.run(&words).field("Root hash").to_owned()
        };
        sandbox.write("old", &data);
        let old_root_hash = format("old");
        data[409_500..418_500].fill(3);
        sandbox.write("new", &data);
        let root_hash = format("new");
        Self { sandbox, old_root_hash, root_hash, options: options.to_vec(), is_one }
    }

    /// The old image with the new data.
    fn prepare(&self) {
        let mut image = self.sandbox.read("old");
        let new = self.sandbox.read("new");
        image[..1 << 20].copy_from_slice(&new[..1 << 20]);
        self.sandbox.write("d", &image);
        if !self.is_one {
            self.sandbox.write("d.h", &self.sandbox.read("old.h"));
        }
        if !self.is_one && !self.options.is_empty() {
            self.sandbox.write("d.f", &self.sandbox.read("old.f"));
        }
    }

    /// The words of a command about the image.
    fn words<'a>(&'a self, action: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        let place = if self.is_one { ["d", "d", "--hash-offset=auto"] } else { ["d", "d.h", "--hash-offset=0"] };
        let fec = if self.is_one { "--fec-device=d" } else { "--fec-device=d.f" };
        let fec = Some(fec).filter(|_| !self.options.is_empty());
        let options = self.options.iter().copied().chain(fec);
        [action].into_iter().chain(place).chain(options).chain(more.iter().copied()).collect()
    }

    fn assert_new(&self, context: &str) {
        let same = |one: &str, other: &str| {
            assert!(self.sandbox.read(one) == self.sandbox.read(other), "{context}: {one} is not {other}");
        };
        same("d", "new");
        if !self.is_one {
            same("d.h", "new.h");
        }
        if !self.is_one && !self.options.is_empty() {
            same("d.f", "new.f");
        }
    }
}

/// Apart and in one file, with and without parity.
fn all() -> [Images; 4] {
    let fec = &["--fec-roots=3"];
    [Images::new(false, &[]), Images::new(false, fec), Images::new(true, &[]), Images::new(true, fec)]
}

#[test]
fn an_update_is_a_fresh_format() {
    for images in all() {
        for more in [&[RANGE][..], &[RANGE, "--old-data=old"], &["--range=0:1", "--dirty=ranges"]] {
            images.prepare();
            images.sandbox.write("ranges", b"# what has changed\n409500 8000\n417500 1000\n");
            let words = images.words("update", &[more, &["--root-hash-file=r", "--new-root-hash-file=r"]].concat());
            images.sandbox.write("r", images.old_root_hash.as_bytes());
            let outcome = images.sandbox.run(&words);
            assert_eq!((outcome.code, &*outcome.stderr), (Some(0), ""), "{words:?}");
            assert_eq!(outcome.stdout, format!("Root hash:      \t{}\n", images.root_hash));
            assert_eq!(images.sandbox.read("r"), images.root_hash.as_bytes());
            images.assert_new(&format!("{words:?}"));
            let verify = images.words("verify", &["--root-hash-file=r"]);
            assert_eq!(images.sandbox.run(&verify).code, Some(0));
        }
    }
}

#[test]
fn killed_at_every_call_that_writes_it_can_be_done_again() {
    for images in all() {
        let root_hash_file = "--root-hash-file=r";
        images.sandbox.write("r", images.old_root_hash.as_bytes());
        images.sandbox.write("r.new", images.root_hash.as_bytes());
        let update = images.words("update", &[RANGE, root_hash_file]);
        killed_at_each_call(
            &images.sandbox,
            &update,
            || images.prepare(),
            |call| {
                // Parity alone would bring the old data back.
                let old = images.sandbox.run(&images.words("verify", &[root_hash_file, "--strict"]));
                assert_ne!(old.code, Some(0), "call {call}: the old root hash");
                let again = images.sandbox.run(&update);
                // After the last write only the new root hash was left to be printed.
                let is_done = again.stderr.contains("the tree is the new one already");
                assert!(again.code == Some(0) || is_done, "call {call}: {again:?}");
                images.assert_new(&format!("call {call}"));
            },
        );
    }
}

#[test]
fn what_is_refused_leaves_the_image_alone() {
    let images = Images::new(false, &[]);
    images.prepare();
    let before = images.sandbox.read("d.h");
    images.sandbox.write("garbage", b"0 4096\n4096\n");
    let wrong = "00".repeat(32);
    let (old, device) = (images.old_root_hash.as_str(), "d.h");
    for (words, code, line) in [
        (&["update", "d", device, old][..], 1, "update: requires --range or --dirty"),
        (&["update", "d", RANGE], 1, "Cannot update d, which is one argument."),
        (&["update", "d", device, old, "--range=1048570:7"], 1, "Changes are not within the data."),
        (&["update", "d", device, old, "--range=12"], 1, "Invalid value of option --range."),
        (&["update", "d", device, old, "--dirty=garbage"], 1, "hint: line 2:"),
        (&["update", "d", device, old, "--dirty=missing"], 4, "Cannot read list of changes missing."),
        (&["update", "d", device, &wrong, RANGE], 1, "Device d.h has a hash tree with another root hash."),
        (&["update", "d", device, RANGE], 1, "Command requires <root_hash> or --root-hash-file option as argument."),
        (&["update", "d", device, old, RANGE, "--new-root-hash-file=d.h"], 1, "hint: it is the hash device."),
        (
            &["update", "d", device, old, RANGE, "--json", "--new-root-hash-file=-"],
            1,
            "Option --json and --new-root-hash-file=- cannot be used together.",
        ),
    ] {
        let outcome = images.sandbox.run(words);
        assert_eq!(outcome.code, Some(code), "{words:?}: {outcome:?}");
        let said = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(said.contains(line), "{words:?}: {said}");
        assert!(images.sandbox.read("d.h") == before, "{words:?}");
    }
    // A hash block that the old root hash does not prove.
    let mut damaged = before;
    damaged[8192 + 5] ^= 1;
    images.sandbox.write("d.h", &damaged);
    let outcome = images.sandbox.run(&["update", "d", device, old, "--range=0:1"]);
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    assert!(outcome.stderr.contains("Device d.h has a block that is not what the root hash proves."), "{outcome:?}");
    assert!(outcome.stderr.contains("the hash block at byte 8192 of d.h"), "{outcome:?}");
    assert!(images.sandbox.read("d.h") == damaged);
}

#[test]
fn the_object_has_what_was_done() {
    let images = Images::new(false, &["--fec-roots=2"]);
    images.prepare();
    let words = images.words("update", &[RANGE, "--json", "--dry-run", &images.old_root_hash]);
    // The root hash comes after the devices.
    let words: Vec<&str> = words.iter().copied().filter(|word| *word != images.old_root_hash).collect();
    images.sandbox.write("r", images.old_root_hash.as_bytes());
    let before = images.sandbox.read("d.h");
    let outcome = images.sandbox.run(&[&words[..], &["--root-hash-file=r"]].concat());
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let object: serde_json::Value = serde_json::from_str(&outcome.stdout).expect("an object");
    assert_eq!(object["root_hash"], images.root_hash);
    assert_eq!(object["old_root_hash"], images.old_root_hash);
    assert_eq!((&object["hashed_blocks"], &object["data_blocks"]), (&4.into(), &4.into()));
    assert_eq!((&object["dry_run"], &object["undone"]), (&true.into(), &false.into()));
    assert!(images.sandbox.read("d.h") == before);
}

#[test]
fn old_data_that_are_other_data_are_refused() {
    let images = Images::new(false, &["--fec-roots=2"]);
    images.prepare();
    images.sandbox.write("r", images.old_root_hash.as_bytes());
    let words = images.words("update", &[RANGE, "--root-hash-file=r", "--old-data=new"]);
    let outcome = images.sandbox.run(&words);
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    assert_eq!(
        outcome.stderr,
        "new does not have the old data.\nhint: nothing was updated: the data block at byte 409600 there is not what \
         the old root hash proves.\n"
    );
}

#[test]
fn what_an_interrupted_update_leaves_is_known_to_the_other_actions() {
    for is_one in [false, true] {
        let images = Images::new(is_one, &[]);
        images.sandbox.write("r", images.old_root_hash.as_bytes());
        let update = images.words("update", &[RANGE, "--root-hash-file=r"]);
        let (mut loads, mut hints, mut appended) = (0, 0, 0);
        killed_at_each_call(
            &images.sandbox,
            &update,
            || images.prepare(),
            |_| {
                let (hash, at) = if is_one { ("d", "--hash-offset=1048576") } else { ("d.h", "--hash-offset=0") };
                let dump = images.sandbox.run(&["dump", hash, at]);
                loads += u32::from(dump.code == Some(0));
                hints += u32::from(dump.stderr.contains("hint: an update of its hash tree was interrupted there"));
                if is_one {
                    // It is replaced, or refused if something is after it: it never becomes a part of the data.
                    let append = images.sandbox.run(&["format", "--append", "d", SALT, UUID]);
                    let is_refused = append.code == Some(1) && append.stderr.contains("truncate --size=1048576");
                    let is_behind = append.stderr.contains("has data after its hash area");
                    assert!(append.code == Some(0) || is_refused || is_behind, "{append:?}");
                    if append.code == Some(0) {
                        images.assert_new("appended again");
                        appended += 1;
                    }
                }
            },
        );
        assert!(loads > 0 && hints > 4, "{loads} {hints}");
        assert_eq!(appended > 0, is_one);
    }
}
