//! Clients that have written down all they will say: what the server answers, byte for byte.

mod reads;

use std::cell::Cell;
use std::io::{self, Cursor, ErrorKind, Read, Write};
use std::ops::Range;

use super::*;
use crate::error::Area;
use crate::io::ReadAt;
use crate::reader::Corruption;

/// A stream from a client whose words are known, and to one that keeps what it is told.
struct Client {
    says: Cursor<Vec<u8>>,
    hears: Vec<u8>,
    /// How many bytes are taken at once.
    takes: usize,
}

impl Read for &mut Client {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.takes.min(buffer.len());
        self.says.read(&mut buffer[..len])
    }
}

impl Write for &mut Client {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = self.takes.min(bytes.len());
        self.hears.extend(&bytes[..len]);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A disk of bytes 0, 1, 2... with a bad byte, or with a hole.
#[derive(Clone, Default)]
struct Disk {
    size: u64,
    bad: Option<u64>,
    hole: Range<u64>,
}

impl ReadAt for Disk {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let range = offset..offset + buffer.len() as u64;
        assert!(range.end <= self.size, "nothing is read beyond the end");
        if let Some(bad) = self.bad.filter(|bad| range.contains(bad)) {
            return Err(error_of(bad));
        }
        buffer.iter_mut().zip(offset..).for_each(|(byte, position)| *byte = at(position));
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.size)
    }

    fn data_at(&self, offset: u64) -> io::Result<Option<Range<u64>>> {
        if self.hole.contains(&offset) {
            return Ok((self.hole.end < self.size).then_some(self.hole.end..u64::MAX));
        }
        Ok(Some(offset..if offset < self.hole.start { self.hole.start } else { u64::MAX }))
    }
}

/// What a verifying reader says of the block of ten bytes with a bad one: nothing if that is the first byte of all.
fn error_of(bad: u64) -> io::Error {
    if bad == 0 {
        return ErrorKind::InvalidData.into();
    }
    let block = bad / 10;
    let data = block * 10..block * 10 + 10;
    let corruption = Corruption { area: Area::Data, block, position: data.start, data, recovered: false };
    io::Error::new(ErrorKind::InvalidData, corruption)
}

#[allow(clippy::cast_possible_truncation)] // A pattern.
fn at(position: u64) -> u8 {
    (position % 251) as u8
}

fn bytes(range: Range<u64>) -> Vec<u8> {
    range.map(at).collect()
}

/// Serves a client, and returns how that ended, and what the client was told.
fn serve(disk: &Disk, says: &[&[u8]]) -> (Result<(), Error>, Vec<u8>) {
    let mut answers = Vec::new();
    for takes in [usize::MAX, 7, 1] {
        let mut client = Client { says: Cursor::new(says.concat()), hears: Vec::new(), takes };
        let result = Server::new(disk).unwrap().serve(&mut client);
        answers.push((result, client.hears));
    }
    assert!(answers.iter().all(|(_, hears)| *hears == answers[0].1), "the answer depends on the pieces");
    answers.swap_remove(0)
}

fn len<T>(list: &[T]) -> [u8; 4] {
    u32::try_from(list.len()).expect("it is short").to_be_bytes()
}

fn option(number: u32, data: &[u8]) -> Vec<u8> {
    [b"IHAVEOPT", &number.to_be_bytes()[..], &len(data), data].concat()
}

fn answer(number: u32, kind: u32, data: &[u8]) -> Vec<u8> {
    [&0x0003_e889_0455_65a9_u64.to_be_bytes()[..], &number.to_be_bytes(), &kind.to_be_bytes(), &len(data), data]
        .concat()
}

fn request(flags: u16, command: u16, offset: u64, length: u32) -> Vec<u8> {
    let mut bytes = 0x2560_9513_u32.to_be_bytes().to_vec();
    bytes.extend([flags.to_be_bytes(), command.to_be_bytes()].as_flattened());
    bytes.extend(COOKIE);
    bytes.extend(offset.to_be_bytes());
    bytes.extend(length.to_be_bytes());
    bytes
}

fn simple(error: u32, data: &[u8]) -> Vec<u8> {
    [&0x6744_6698_u32.to_be_bytes()[..], &error.to_be_bytes(), COOKIE, data].concat()
}

fn chunk(flags: u16, kind: u16, content: &[u8]) -> Vec<u8> {
    let greeting = [flags.to_be_bytes(), kind.to_be_bytes()];
    [&0x668e_33ef_u32.to_be_bytes()[..], greeting.as_flattened(), COOKIE, &len(content), content].concat()
}

fn data_chunk(flags: u16, offset: u64, data: &[u8]) -> Vec<u8> {
    chunk(flags, 1, &[&offset.to_be_bytes()[..], data].concat())
}

const COOKIE: &[u8] = b"a cookie";
const HELLO: &[u8] = &[0, 0, 0, 3];
const GREETING: &[u8] = b"NBDMAGICIHAVEOPT\0\x03";
/// `GO` for the export without name, with no questions.
const GO_DATA: &[u8] = &[0; 6];
/// `HAS_FLAGS`, `READ_ONLY`, `SEND_FLUSH`, `CAN_MULTI_CONN`.
const FLAGS: [u8; 2] = [1, 7];
const DISC: u16 = 2;
const EINVAL: u32 = 22;

fn disk(size: u64) -> Disk {
    Disk { size, ..Disk::default() }
}

fn export(size: u64) -> Vec<u8> {
    [&[0, 0][..], &size.to_be_bytes(), &FLAGS].concat()
}

/// A query of metadata contexts for the export without name.
fn queries(queries: &[&[u8]]) -> Vec<u8> {
    let mut data = [0_u32.to_be_bytes(), len(queries)].concat();
    for query in queries {
        data.extend(len(query));
        data.extend(*query);
    }
    data
}

/// What a client of simple replies is answered to requests.
fn answers(disk: &Disk, says: &[Vec<u8>]) -> (Result<(), Error>, Vec<u8>) {
    let handshake = [HELLO, &option(1, &[])].concat();
    let (result, heard) = serve(disk, &[&handshake, &says.concat()]);
    let greeting = [GREETING, &disk.size.to_be_bytes(), &FLAGS].concat();
    (result, heard.strip_prefix(&greeting[..]).expect("a handshake").to_vec())
}

/// The same with structured replies and `base:allocation`.
fn structured(disk: &Disk, says: &[Vec<u8>]) -> (Result<(), Error>, Vec<u8>) {
    let context = [&1_u32.to_be_bytes()[..], b"base:allocation"].concat();
    let handshake =
        [HELLO, &option(8, &[]), &option(10, &queries(&[b"x:y", b"base:allocation"])), &option(7, GO_DATA)].concat();
    let greeting = [
        GREETING,
        &answer(8, 1, &[]),
        &answer(10, 4, &context),
        &answer(10, 1, &[]),
        &answer(7, 3, &export(disk.size)),
        &answer(7, 1, &[]),
    ];
    let (result, heard) = serve(disk, &[&handshake, &says.concat()]);
    (result, heard.strip_prefix(&greeting.concat()[..]).expect("a handshake").to_vec())
}

#[test]
fn the_oldest_handshake_ends_in_zeros_unless_both_sides_can_do_without() {
    let read = request(0, 0, 1, 3);
    let reply = simple(0, &[1, 2, 3]);
    let greeting = [GREETING, &10_u64.to_be_bytes(), &FLAGS].concat();
    for (flags, zeroes) in [(0, 124), (1, 124), (2, 0), (3, 0)] {
        let (result, heard) = serve(&disk(10), &[&[0, 0, 0, flags], &option(1, &[]), &read]);
        result.unwrap();
        assert_eq!(heard, [&greeting[..], &vec![0; zeroes], &reply].concat());
    }
}

#[test]
fn options_are_answered() {
    let list = answer(3, 2, &[0; 4]);
    let context = [&[0; 4][..], b"base:allocation"].concat();
    let (result, heard) = serve(
        &disk(10),
        &[
            HELLO,
            &option(5, b""),
            &option(3, &[]),
            &option(3, b"x"),
            // Before structured replies there are no contexts.
            &option(9, &queries(&[])),
            &option(8, b"x"),
            &option(8, &[]),
            &option(9, &queries(&[])),
            &option(9, &queries(&[b"base:"])),
            &option(9, &queries(&[b"qemu:"])),
            // A namespace selects nothing.
            &option(10, &queries(&[b"base:"])),
            &option(10, b"\0\0\0\x01x\0\0\0\0"),
            // More queries are named than there are.
            &option(10, b"\0\0\0\0\xff\xff\xff\xff"),
            &option(10, b"\xff\xff\xff\xff\0\0\0\0"),
            &option(10, &[&queries(&[b"base:allocation"])[..], b"x"].concat()),
            &option(u32::MAX, &[0; 1000]),
            &option(2, &[]),
            b"what comes after that is not read",
        ],
    );
    result.unwrap();
    let invalid = 0x8000_0003;
    let expected = [
        GREETING,
        &answer(5, 0x8000_0001, &[]),
        &list,
        &answer(3, 1, &[]),
        &answer(3, invalid, &[]),
        &answer(9, invalid, &[]),
        &answer(8, invalid, &[]),
        &answer(8, 1, &[]),
        &answer(9, 4, &context),
        &answer(9, 1, &[]),
        &answer(9, 4, &context),
        &answer(9, 1, &[]),
        &answer(9, 1, &[]),
        &answer(10, 1, &[]),
        &answer(10, 0x8000_0006, &[]),
        &answer(10, invalid, &[]),
        &answer(10, invalid, &[]),
        &answer(10, invalid, &[]),
        &answer(u32::MAX, 0x8000_0001, &[]),
        &answer(2, 1, &[]),
    ];
    assert_eq!(heard, expected.concat());
}

#[test]
fn the_export_has_no_name_and_says_its_block_sizes_if_asked() {
    let size = 3 << 40;
    let sizes = [&[0, 3][..], &[0, 0, 0, 1], &[0, 0, 0x10, 0], &[2, 0, 0, 0]].concat();
    let (result, heard) = serve(
        &disk(size),
        &[
            HELLO,
            &option(6, b"\0\0\0\x01x\0\0"),
            &option(6, b"\0\0\0\0\0\x03\0\x03\0\x01\0\x02"),
            // Not as many questions as were promised, and a name that is longer than the option.
            &option(7, b"\0\0\0\0\0\x02\0\x03"),
            &option(7, b"\0\0\0\x09\0\0"),
            &option(7, b""),
            &option(7, b"\0\0\0\0\0\x01\0\x03"),
        ],
    );
    result.unwrap();
    let expected = [
        GREETING,
        &answer(6, 0x8000_0006, &[]),
        &answer(6, 3, &export(size)),
        &answer(6, 3, &[0, 1]),
        &answer(6, 3, &sizes),
        &answer(6, 1, &[]),
        &answer(7, 0x8000_0003, &[]),
        &answer(7, 0x8000_0003, &[]),
        &answer(7, 0x8000_0003, &[]),
        &answer(7, 3, &export(size)),
        &answer(7, 3, &sizes),
        &answer(7, 1, &[]),
    ];
    assert_eq!(heard, expected.concat());
}

#[test]
fn what_no_client_may_do_in_a_handshake_ends_it() {
    let too_long = [&option(3, &[])[..12], &65_537_u32.to_be_bytes()].concat();
    let many: Vec<u8> = (0..=MAX_OPTIONS).flat_map(|_| option(3, b"x")).collect();
    for (says, words) in [
        (&[0, 0, 0, 4][..], "the client set flags that were not offered"),
        (&[HELLO, &option(1, b"name")].concat(), "the client asked for an export that does not exist"),
        (&[HELLO, b"IHAVEOPX\0\0\0\x02\0\0\0\0"].concat(), "the client sent something else than an option"),
        (&[HELLO, &too_long].concat(), "the client sent an option that is too long"),
        (&[HELLO, &many].concat(), "the client sent too many options"),
    ] {
        let (result, _) = serve(&disk(10), &[says, &[0; 64]]);
        assert_eq!(result.unwrap_err().to_string(), words);
    }
}

#[test]
fn a_client_may_leave_between_two_messages_and_not_in_one() {
    let whole = [HELLO, &option(3, &[]), &option(1, &[]), &request(0, 0, 0, 4), &request(0, 1, 0, 3), b"abc"].concat();
    let ends = [0, 4, 20, 36, 64, 95];
    for len in 0..=whole.len() {
        let (result, _) = serve(&disk(10), &[&whole[..len]]);
        match result {
            Ok(()) => assert!(ends.contains(&len), "{len}"),
            Err(Error::Io { source }) => {
                assert!(!ends.contains(&len) && source.kind() == ErrorKind::UnexpectedEof, "{len}: {source}");
            }
            Err(error) => panic!("{len}: {error}"),
        }
    }
}

#[test]
fn requests_that_cannot_be_served_are_refused_and_the_next_one_is_served() {
    let size = 64 << 20;
    let refused = [
        (request(0, 0, size, 1), EINVAL),
        (request(0, 0, size - 1, 2), EINVAL),
        (request(0, 0, u64::MAX, u32::MAX), EINVAL),
        (request(0, 0, 0, 0), EINVAL),
        (request(0, 0, 0, MAX_REQUEST + 1), EINVAL),
        // A flag that was not offered: do not fragment.
        (request(4, 0, 0, 1), EINVAL),
        (request(1, 3, 0, 0), EINVAL),
        // Cache, and what there is not.
        (request(0, 5, 0, 1), EINVAL),
        (request(0, 77, 0, 1), EINVAL),
        ([request(0, 1, u64::MAX, 3), b"abc".to_vec()].concat(), 1),
        (request(0, 4, 0, 1), 1),
        (request(0, 6, 0, u32::MAX), 1),
        (request(0, 8, 0, 0), 1),
    ];
    let served = request(0, 0, 3, 2);
    for (refused, errno) in refused {
        let (result, heard) = answers(&disk(size), &[refused.clone(), served.clone()]);
        result.unwrap();
        assert_eq!(heard, [simple(errno, &[]), simple(0, &[3, 4])].concat());
        let (result, heard) = structured(&disk(size), &[refused, served.clone()]);
        result.unwrap();
        let error = chunk(1, 0x8001, &[&errno.to_be_bytes()[..], &[0, 0]].concat());
        assert_eq!(heard, [error, data_chunk(1, 3, &[3, 4])].concat());
    }
    let flush = request(0, 3, 0, 0);
    assert_eq!(answers(&disk(size), std::slice::from_ref(&flush)).1, simple(0, &[]));
    assert_eq!(structured(&disk(size), &[flush]).1, chunk(1, 0, &[]));
}

#[test]
fn what_is_no_request_ends_the_connection() {
    let (result, heard) = answers(&disk(10), &[vec![0; 28]]);
    assert_eq!(result.unwrap_err().to_string(), "the client sent no request");
    assert!(heard.is_empty());
    let (result, heard) = answers(&disk(10), &[request(0, 1, 0, MAX_REQUEST + 1), vec![0; 100]]);
    assert_eq!(result.unwrap_err().to_string(), "the client writes more than a request may have");
    assert!(heard.is_empty());
}

#[test]
fn extents_say_what_is_zeros() {
    let disk = Disk { size: 1000, hole: 100..300, ..Disk::default() };
    let says = [
        request(0, 7, 0, 1000),
        request(0, 7, 50, 60),
        request(8, 7, 0, 1000),
        request(0, 7, 150, 10),
        request(0, 7, 999, 1),
    ];
    let (result, heard) = structured(&disk, &says);
    result.unwrap();
    let extents = |extents: &[(u32, u32)]| {
        let content = extents.iter().flat_map(|(len, flags)| [len.to_be_bytes(), flags.to_be_bytes()].concat());
        chunk(1, 5, &[0, 0, 0, 1].into_iter().chain(content).collect::<Vec<u8>>())
    };
    let expected = [
        extents(&[(100, 0), (200, 3), (700, 0)]),
        extents(&[(50, 0), (10, 3)]),
        extents(&[(100, 0)]),
        extents(&[(10, 3)]),
        extents(&[(1, 0)]),
    ];
    assert_eq!(heard, expected.concat());
    let all_zeros = Disk { hole: 0..1000, ..disk.clone() };
    assert_eq!(structured(&all_zeros, &says[..1]).1, extents(&[(1000, 3)]));
    // Beyond the end, and without having agreed on the context.
    let refused = [&EINVAL.to_be_bytes()[..], &[0, 0]].concat();
    assert_eq!(structured(&disk, &[request(0, 7, 1000, 1)]).1, chunk(1, 0x8001, &refused));
    assert_eq!(answers(&disk, &says[..1]).1, simple(EINVAL, &[]));
}

#[test]
fn a_reply_has_a_bounded_number_of_extents() {
    /// Every other byte is a hole.
    struct Sieve;
    impl ReadAt for Sieve {
        fn read_exact_at(&self, _: &mut [u8], _: u64) -> io::Result<()> {
            Err(ErrorKind::Unsupported.into())
        }

        fn size(&self) -> io::Result<u64> {
            Ok(1 << 32)
        }

        fn data_at(&self, offset: u64) -> io::Result<Option<Range<u64>>> {
            Ok(Some(offset | 1..(offset | 1) + 1))
        }
    }
    let extents = status::extents(&Sieve, 0, u32::MAX, status::MOST);
    assert_eq!(extents.len(), 4 + 8 * status::MOST);
    assert_eq!(extents[..20], [0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 0]);
}

#[test]
fn a_client_that_waits_is_waited_for() {
    /// Times out before each read, once that is switched on.
    struct Slow<'a> {
        client: &'a mut Client,
        is_on: &'a Cell<bool>,
        is_due: bool,
    }
    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.is_due = self.is_on.get() && !self.is_due;
            if self.is_due { Err(ErrorKind::WouldBlock.into()) } else { (&mut *self.client).read(buffer) }
        }
    }
    impl Write for Slow<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            (&mut *self.client).write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let run = |says: Vec<u8>, takes| {
        // So that requests begin at multiples of their length.
        let says = [HELLO, &option(99, &[0; 20]), &option(1, &[]), &says].concat();
        let mut client = Client { says: Cursor::new(says), hears: Vec::new(), takes };
        let is_on = Cell::new(false);
        let server = Server::new(disk(10)).unwrap();
        let slow = Slow { client: &mut client, is_on: &is_on, is_due: false };
        let session = server.handshake(slow).unwrap().expect("it chose the export");
        is_on.set(true);
        session.run()
    };
    // Between two requests it is; in the middle of one it has stalled.
    run([request(0, 0, 0, 1), request(0, 0, 1, 1)].concat(), 28).unwrap();
    let stalled = run(request(0, 0, 0, 1), 20).unwrap_err();
    assert!(matches!(stalled, Error::Io { source } if source.kind() == ErrorKind::WouldBlock));
}

#[test]
fn what_was_done_is_counted() {
    let says = [HELLO, &option(1, &[]), &request(0, 0, 0, 7), &request(0, 0, 8, 7), &request(0, 3, 0, 0)].concat();
    let mut client = Client { says: Cursor::new(says), hears: Vec::new(), takes: usize::MAX };
    let server = Server::new(disk(10)).unwrap();
    server.serve(&mut client).unwrap();
    assert_eq!(server.traffic(), Traffic { requests: 3, bytes: 7, errors: 1 });
    assert_eq!(server.size(), 10);
}
