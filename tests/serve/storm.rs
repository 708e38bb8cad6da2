//! Many reads by several clients while the files change at random: what is sent is what the root hash proves.

use std::env;
use std::fs;
use std::sync::atomic::Ordering;
use std::thread;

use crate::changing::{Pace, Reads, read_meanwhile};
use crate::client::{Client, Refused};
use crate::image::{BLOCK, Image};
use crate::server::Server;

const CLIENTS: u64 = 8;
const BLOCKS: usize = 2000;

/// As many as `make test` has time for; `SERVE_READS=1000000` is the long form.
const READS: u64 = 40_000;

/// Now and then a block or two are wrong.
const PACE: Pace = Pace { places: 1..=4, in_tree: 40, bytes: 1..=64 };

/// Memory that the server may take: the hash tree, a buffer as long as the image for each client, and for each that has
/// just left, and threads. A kilobyte that each read of the long form left behind would be as much.
const MOST_MEMORY_KIB: u64 = 256 << 10;

#[test]
fn no_byte_that_the_root_hash_does_not_prove_is_sent() {
    let image = Image::new(BLOCKS, &[]);
    // The whole tree fits, so hash blocks are read again now and then only if the cache is small.
    for options in [&["--cache-size=65536"][..], &["--verify=pool"], &["--verify=inline", "--ignore-zero-blocks"]] {
        storm(&image, options);
    }
}

#[test]
fn what_was_proven_once_is_served_with_parity_too() {
    let image = Image::new(500, &["--fec-device=fec.img", "--fec-roots=8"]);
    storm(&image, &["--fec-device=fec.img", "--fec-roots=8", "--cache-size=0"]);
}

/// Reads at random while bytes are changed and changed back at random.
fn storm(image: &Image, options: &[&str]) {
    let wanted = env::var("SERVE_READS").ok().and_then(|reads| reads.parse().ok()).unwrap_or(READS) / 4;
    let server = Server::start(image, &[options, &["--events-json=events"]].concat());
    let idle = descriptors(&server);
    let (good, bad) = read_meanwhile(image, &PACE, CLIENTS, |seed, reads| {
        read(image, &server, seed, wanted / CLIENTS, reads);
    });
    assert!(good > 0 && good + bad == wanted / CLIENTS * CLIENTS, "{good} {bad}");
    // All is well again.
    let mut client = Client::new(server.socket(), true);
    let whole = client.read(0, u32::try_from(image.data.len()).expect("short"));
    assert!(whole.is_ok_and(|whole| whole == image.data));
    drop(client);
    while descriptors(&server) > idle {
        thread::yield_now();
    }
    let memory = status(&server, "VmHWM:");
    assert!(memory < MOST_MEMORY_KIB, "{memory} KiB");
    let ended = server.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    // Those that nobody waited for are counted too.
    assert!(ended.counter("failed_requests") >= bad, "{}", ended.stderr);
    fs::remove_file(image.path("events")).expect("there were some");
    println!("{options:?}: {good} good, {bad} bad, {memory} KiB");
}

/// A client's reads, of which each gets what is right or fails.
fn read(image: &Image, server: &Server, seed: u64, count: u64, reads: &Reads) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut client = Client::new(server.socket(), seed.is_multiple_of(2));
    for _ in 0..count {
        let offset = random.usize(..image.data.len());
        let longest = if random.u8(..) < 8 { image.data.len() } else { 3 * BLOCK };
        let length = random.usize(1..=(image.data.len() - offset).min(longest));
        match client.read(offset as u64, u32::try_from(length).expect("short")) {
            Ok(data) => {
                assert!(data == image.data[offset..offset + length], "what is wrong was sent");
                reads.good.fetch_add(1, Ordering::Relaxed);
            }
            Err(Refused { errno, offset: at }) => {
                assert_eq!(errno, 5);
                assert!(at.is_none_or(|at| (offset..offset + length).contains(&usize::try_from(at).expect("short"))));
                reads.bad.fetch_add(1, Ordering::Relaxed);
            }
        }
        if random.u8(..) == 0 {
            // It leaves in the middle, and comes again.
            client.request(crate::client::READ, 0, 1 << 20);
            client = Client::new(server.socket(), random.bool());
        }
    }
}

/// How many descriptors the server has open.
pub(crate) fn descriptors(server: &Server) -> usize {
    fs::read_dir(format!("/proc/{}/fd", server.id())).expect("it runs").count()
}

/// A number that the system has of the server.
pub(crate) fn status(server: &Server, field: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{}/status", server.id())).expect("it runs");
    let line = text.lines().find_map(|line| line.strip_prefix(field)).expect("the field is there");
    line.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
}
