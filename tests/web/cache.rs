//! `--http-cache`: what was proven is fetched once, and nothing that is in the file is trusted.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::command::{BLOCK, Ended, Image};
use crate::server::Server;

const BLOCKS: usize = 2000;

/// An image on a server, and a cache in the image's directory.
struct Case {
    image: Image,
    server: Server,
    data: String,
    hash: String,
}

impl Case {
    fn new() -> Self {
        let image = Image::new(BLOCKS, &[]);
        let server = Server::right();
        let [data, hash] = ["data.img", "hash.img"].map(|name| server.put(&image.path(name)));
        Self { image, server, data, hash }
    }

    /// Copies the image through `serve`.
    fn copy(&self, options: &[&str]) -> Command {
        let serve = ["serve", &*self.data, &*self.hash, &*self.image.root_hash, "--http-cache=cache"];
        let script = "rm -f copy.img; nbdcopy \"$uri\" copy.img";
        self.image.command(&[&serve, options, &["--exec", "sh", "-c", script]].concat())
    }

    #[track_caller]
    fn is_right(&self, mut command: Command) -> Ended {
        let ended = Ended::of(&command.output().expect("it runs"));
        ended.expect(0, "");
        assert!(fs::read(self.image.path("copy.img")).expect("a copy") == self.image.data);
        ended
    }
}

#[test]
fn what_was_proven_is_not_fetched_again() {
    let case = Case::new();
    let first = case.is_right(case.copy(&[]));
    assert!(first.counter("http_bytes_fetched") >= (BLOCKS * BLOCK) as u64);
    let mode = fs::metadata(case.image.path("cache")).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = case.is_right(case.copy(&[]));
    // Each file is opened, which fetches its first bytes.
    assert!(again.counter("http_bytes_fetched") <= 2 * 131_072 + 4096, "{again:?}");
    assert!(again.counter("http_bytes_from_cache") > (BLOCKS * BLOCK) as u64 * 9 / 10, "{again:?}");
}

#[test]
fn nothing_in_it_is_trusted() {
    let case = Case::new();
    case.is_right(case.copy(&[]));
    let path = case.image.path("cache");
    let mut bytes = fs::read(&path).expect("a cache");
    // Everything after the header and the table.
    let table = bytes.len() / (65_536 + 32) * 32 + 8192;
    bytes[table..].iter_mut().step_by(4096).for_each(|byte| *byte ^= 1);
    fs::write(&path, &bytes).expect("writable");
    let healed = case.is_right(case.copy(&[]));
    assert_eq!(healed.counter("corrupted"), 0);
    assert!(healed.counter("http_bytes_fetched") >= (BLOCKS * BLOCK) as u64 / 2, "{healed:?}");
    let again = case.is_right(case.copy(&[]));
    assert!(again.counter("http_bytes_from_cache") > (BLOCKS * BLOCK) as u64 * 9 / 10, "{again:?}");
}

#[test]
fn a_process_that_is_killed_leaves_a_cache_that_works() {
    let case = Case::new();
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..12 {
        let mut command = case.copy(&[]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
        sleep(Duration::from_millis(random.u64(..150)));
        let _ = child.kill();
        let _ = child.wait();
    }
    case.is_right(case.copy(&[]));
}

#[test]
fn one_process_uses_it_at_a_time() {
    let case = Case::new();
    let lock = fs::File::create(case.image.path("cache")).expect("writable");
    lock.lock().expect("no other thread has it");
    let without = case.is_right(case.copy(&[]));
    without.expect(0, "WARNING: another process uses it: reading goes on without the cache cache.");
    assert_eq!(fs::metadata(case.image.path("cache")).expect("it is there").len(), 0);
    assert_eq!(without.counter("http_bytes_from_cache"), 0);
}

#[test]
fn a_file_that_is_not_a_cache_is_refused_and_left_alone() {
    let case = Case::new();
    fs::write(case.image.path("cache"), "precious").expect("writable");
    let before = case.server.requests();
    let ended = Ended::of(&case.copy(&[]).output().expect("it runs"));
    ended.expect(4, "Cannot use cache as a cache.").expect(4, "hint: it is something else, and was left as it is");
    assert_eq!(fs::read(case.image.path("cache")).expect("readable"), b"precious");
    assert_eq!(case.server.requests(), before);
    fs::remove_file(case.image.path("cache")).expect("writable");
    let ended = Ended::of(&case.copy(&["--http-cache-size=1000"]).output().expect("it runs"));
    ended.expect(1, "Invalid value of option --http-cache-size.");
}

#[test]
fn it_is_no_larger_than_it_may_be_and_several_images_share_it() {
    let case = Case::new();
    for _ in 0..2 {
        case.is_right(case.copy(&["--http-cache-size=2000000"]));
        assert!(fs::metadata(case.image.path("cache")).expect("it is there").len() <= 2_000_000);
    }
    // Other bytes under the same name, with another root hash.
    let other = Image::new(BLOCKS - 1, &[]);
    case.server.put(&other.path("data.img"));
    case.server.put(&other.path("hash.img"));
    fs::copy(case.image.path("cache"), other.path("cache")).expect("writable");
    let other = Case { image: other, ..case };
    other.is_right(other.copy(&["--http-cache-size=2000000"]));
}

#[test]
fn without_room_reading_goes_on() {
    let case = Case::new();
    case.is_right(case.copy(&["--http-cache-size=4000000"]));
    // A file may have no more than so many blocks of 512 bytes.
    let limited = |blocks: u32, options: &[&str]| {
        let plain = case.copy(options);
        let mut command = Command::new("sh");
        // nbdcopy writes elsewhere.
        command.args(["-c", &format!("ulimit -f {blocks}; exec \"$@\""), "sh"]).arg(plain.get_program());
        let arguments = plain.get_args().map(std::ffi::OsStr::to_owned);
        let mut words: Vec<_> = arguments.collect();
        *words.last_mut().expect("a script") = "nbdcopy \"$uri\" - | cat > /dev/null".into();
        command.args(words).current_dir(case.image.directory());
        Ended::of(&command.output().expect("it runs"))
    };
    let ended = limited(100, &["--http-cache-size=8000000"]);
    ended.expect(0, "WARNING: there is no room: reading goes on without the cache cache.");
    case.is_right(case.copy(&["--http-cache-size=4000000"]));
    fs::remove_file(case.image.path("cache")).expect("writable");
    case.is_right(case.copy(&["--http-cache-size=16000000"]));
}
