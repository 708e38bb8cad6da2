//! Clients that stall, lie and leave: each loses its own connection at most, and others are served as before.

use std::io::{Read as _, Write as _};
use std::thread;

use crate::client::{Client, READ};
use crate::image::{BLOCK, Image};
use crate::server::Server;
use crate::storm::{descriptors, status};

const BLOCKS: usize = 5000;

/// The most clients at a time, as the manual says.
const MOST: usize = 64;

fn check(image: &Image, server: &Server) {
    for is_structured in [false, true] {
        let mut client = Client::new(server.socket(), is_structured);
        assert_eq!(client.read(5000, 100).as_deref(), Ok(&image.data[5000..5100]));
    }
}

#[test]
fn what_is_no_message_ends_the_connection_alone() {
    let image = Image::new(BLOCKS, &[]);
    let server = Server::start(&image, &[]);
    let mut bystander = Client::new(server.socket(), true);
    let mut random = fastrand::Rng::with_seed(7);
    let option = |len: u32| [b"IHAVEOPT", &3_u32.to_be_bytes()[..], &len.to_be_bytes()].concat();
    for garbage in [
        vec![0; 16],
        std::iter::repeat_with(|| random.u8(..)).take(100).collect(),
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        // An export that does not exist.
        b"IHAVEOPT\0\0\0\x01\0\0\0\x01x".to_vec(),
    ] {
        let mut client = Client::greeted(server.socket()).expect("a server");
        client.send(&garbage);
        assert!(client.is_ended(), "{garbage:?}");
    }
    for len in [65537, u32::MAX] {
        let mut client = Client::greeted(server.socket()).expect("a server");
        client.send(&option(len));
        assert_eq!(client.answer(), (0x8000_0009, Vec::new()));
        assert!(client.is_ended());
    }
    for is_structured in [false, true] {
        let mut client = Client::new(server.socket(), is_structured);
        client.send(&[0; 28]);
        assert!(client.is_ended());
        // It writes more than it may.
        let mut client = Client::new(server.socket(), is_structured);
        client.request(1, 0, u32::MAX);
        assert!(client.is_ended());
    }
    assert_eq!(bystander.read(0, 10).as_deref(), Ok(&image.data[..10]));
    check(&image, &server);
}

#[test]
fn requests_that_lie_about_lengths_are_refused() {
    let image = Image::new(BLOCKS, &[]);
    let server = Server::start(&image, &[]);
    let size = image.data.len() as u64;
    for is_structured in [false, true] {
        let mut client = Client::new(server.socket(), is_structured);
        for (offset, length) in [
            (size, 1),
            (size - 1, 2),
            (u64::MAX, 1),
            (u64::MAX - 5, u32::MAX),
            (0, 0),
            (0, (32 << 20) + 1),
            (0, u32::MAX),
        ] {
            let refused = client.read(offset, length).expect_err("there are none");
            assert_eq!((refused.errno, refused.offset), (22, None), "{offset} {length}");
        }
        let whole = client.read(0, u32::try_from(size).expect("short"));
        assert!(whole.is_ok_and(|data| data == image.data));
    }
    // What it took is one request for each of them.
    assert!(status(&server, "VmHWM:") < 100 << 10);
}

#[test]
fn clients_that_leave_leave_nothing_behind() {
    let image = Image::new(BLOCKS, &[]);
    let server = Server::start(&image, &[]);
    check(&image, &server);
    while status(&server, "Threads:") > idle_threads() {
        thread::yield_now();
    }
    let before = descriptors(&server);
    for round in 0..200 {
        let mut client = Client::new(server.socket(), round % 2 == 0);
        match round % 4 {
            // In the middle of a request.
            0 => client.send(&[0x25, 0x60, 0x95]),
            // Of a reply, which is longer than the socket holds.
            1 => _ = client.request(READ, 0, 16 << 20),
            // The same, of which it has taken some.
            2 => {
                client.request(READ, 0, 16 << 20);
                client.stream.read_exact(&mut [0; 1000]).expect("a reply");
            }
            // Of what it writes.
            _ => {
                client.request(1, 0, 1000);
                client.send(&[0; 500]);
            }
        }
    }
    while descriptors(&server) > before || status(&server, "Threads:") > idle_threads() {
        thread::yield_now();
    }
    check(&image, &server);
    let ended = server.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

/// The threads of a server without clients: the main one, and the pool.
fn idle_threads() -> u64 {
    1 + thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64
}

#[test]
fn one_client_too_many_is_sent_away_and_the_others_are_served() {
    let image = Image::new(BLOCKS, &[]);
    let server = Server::start(&image, &[]);
    // The first connection, which found out that the server runs, may not have ended yet.
    let mut clients: Vec<Client> = Vec::new();
    while clients.len() < MOST {
        let client = Client::greeted(server.socket());
        clients.extend(client);
    }
    let mut more = std::os::unix::net::UnixStream::connect(server.socket()).expect("it listens");
    assert_eq!(more.read(&mut [0; 18]).expect("it ends"), 0);
    let mut last = clients.pop().expect("there are many");
    last.option(7, &[0; 6]);
    assert_eq!((last.answer().0, last.answer().0), (3, 1));
    assert_eq!(last.read(0, 10).as_deref(), Ok(&image.data[..10]));
    clients.pop();
    while Client::greeted(server.socket()).is_err() {}
    let ended = server.stop();
    assert!(ended.counter("refused_connections") > 0);
}

#[test]
fn stalled_clients_are_sent_away_and_idle_ones_are_not() {
    let image = Image::new(BLOCKS, &[]);
    let server = Server::start(&image, &[]);
    let mut idle = Client::new(server.socket(), true);
    // One says nothing, one stops in an option, and one goes on, but slowly.
    let mut silent = std::os::unix::net::UnixStream::connect(server.socket()).expect("it listens");
    let mut stopped = Client::greeted(server.socket()).expect("a server");
    stopped.send(b"IHAVE");
    let mut slow = Client::greeted(server.socket()).expect("a server");
    while slow.stream.write_all(b"IHAVEOPT\0\0\0\x03\0\0\0\0").is_ok() {
        thread::sleep(std::time::Duration::from_millis(200));
    }
    assert_eq!(silent.read(&mut [0; 18]).expect("a greeting"), 18);
    assert!(matches!(silent.read(&mut [0]), Ok(0)));
    assert!(stopped.is_ended());
    assert_eq!(idle.read(0, 10).as_deref(), Ok(&image.data[..10]));
    assert_eq!(server.stop().code, Some(0));
}

#[test]
fn the_end_does_not_wait_for_clients_that_do_not_read() {
    let image = Image::new(BLOCKS, &[]);
    let server = Server::start(&image, &[]);
    let mut stalled: Vec<Client> = (0..4).map(|_| Client::new(server.socket(), true)).collect();
    for client in &mut stalled {
        client.request(READ, 0, 16 << 20);
        client.stream.read_exact(&mut [0; BLOCK]).expect("it is served");
    }
    let ended = server.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!image.path("nbd").exists());
}
