//! Reads: what is answered, and what is read meanwhile.

use std::sync::{Condvar, Mutex};
use std::time::Duration;

use super::*;

/// What one chunk of a reply has at most.
const PART: u64 = 512 << 10;

#[test]
fn reads_are_answered_simply() {
    let size = 100_000;
    let says = [request(0, 0, 0, 5), request(0, 0, size - 70_000, 70_000), request(0, DISC, 0, 0), vec![0; 100]];
    let (result, heard) = answers(&disk(size), &says);
    result.unwrap();
    assert_eq!(heard, [simple(0, &bytes(0..5)), simple(0, &bytes(size - 70_000..size))].concat());
}

#[test]
fn reads_are_answered_in_chunks() {
    let size = 3 * PART;
    let says = [request(0, 0, 5, 10), request(0, 0, 1, 2 * 512 * 1024 + 1)];
    let (result, heard) = structured(&disk(size), &says);
    result.unwrap();
    let expected = [
        data_chunk(1, 5, &bytes(5..15)),
        data_chunk(0, 1, &bytes(1..PART + 1)),
        data_chunk(0, PART + 1, &bytes(PART + 1..2 * PART + 1)),
        data_chunk(1, 2 * PART + 1, &bytes(2 * PART + 1..2 * PART + 2)),
    ];
    assert!(heard == expected.concat());
}

#[test]
fn a_read_that_fails_has_no_data_and_the_next_one_is_served() {
    let disk = Disk { size: 3 * PART, bad: Some(PART + 7), ..Disk::default() };
    let says = [request(0, 0, PART, 100), request(0, 0, 0, 1 << 20), request(0, 0, 4, 1)];
    let (result, heard) = answers(&disk, &says);
    result.unwrap();
    assert_eq!(heard, [simple(5, &[]), simple(5, &[]), simple(0, &[4])].concat());
    let (result, heard) = structured(&disk, &says);
    result.unwrap();
    // The block begins at 524290; what was asked for, in the second read its second part, at 524288.
    let error = |offset: u64| chunk(1, 0x8002, &[&[0, 0, 0, 5, 0, 0][..], &offset.to_be_bytes()].concat());
    let expected =
        [error(PART + 2), data_chunk(0, 0, &bytes(0..PART)), error(PART + 2), data_chunk(1, 4, &[4])].concat();
    assert!(heard == expected);
    // Of a block that begins before the read, the first byte that was asked for.
    assert_eq!(structured(&disk, &[request(0, 0, PART + 7, 1)]).1, error(PART + 7));
    let unknown = Disk { bad: Some(0), ..disk };
    assert_eq!(structured(&unknown, &[request(0, 0, 0, 1)]).1, chunk(1, 0x8001, &[0, 0, 0, 5, 0, 0]));
}

/// Of reads that come together some are short, some long, and some fail: each has its own answer.
#[test]
fn reads_that_come_together_are_answered_in_their_order() {
    let bad = 5 * PART + 3;
    let disk = Disk { size: 9 * PART, bad: Some(bad), ..Disk::default() };
    let error = |offset: u64| chunk(1, 0x8002, &[&[0, 0, 0, 5, 0, 0][..], &offset.to_be_bytes()].concat());
    let (mut says, mut expected) = (Vec::new(), Vec::new());
    for number in 0..40_u64 {
        let offset = number * 104_729 % (6 * PART);
        let length = [4096, 100_000, 65_536, PART, 3 * PART - 1, 1][usize::try_from(number % 6).unwrap()];
        says.push(request(0, 0, offset, u32::try_from(length).unwrap()));
        for start in (offset..offset + length).step_by(512 << 10) {
            let end = (start + PART).min(offset + length);
            if (start..end).contains(&bad) {
                expected.extend(error(start.max(bad / 10 * 10)));
                break;
            }
            expected.extend(data_chunk((end == offset + length).into(), start, &bytes(start..end)));
        }
        if number % 7 == 0 {
            says.push(request(0, 3, 0, 0));
            expected.extend(chunk(1, 0, &[]));
        }
    }
    let (result, heard) = structured(&disk, &says);
    result.unwrap();
    assert!(heard == expected);
}

/// A disk, and a client of it that takes nothing in its session before the disk is read at a certain place.
struct Watched<'w> {
    disk: Disk,
    begun: &'w Begun,
}

#[derive(Default)]
struct Begun {
    furthest: Mutex<u64>,
    changed: Condvar,
}

impl ReadAt for Watched<'_> {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut furthest = self.begun.furthest.lock().unwrap();
        *furthest = (*furthest).max(offset);
        drop(furthest);
        self.begun.changed.notify_all();
        self.disk.read_exact_at(buffer, offset)
    }

    fn size(&self) -> io::Result<u64> {
        self.disk.size()
    }
}

struct WaitingClient<'w> {
    client: &'w mut Client,
    begun: &'w Begun,
    waits_for: &'w Cell<u64>,
}

impl Read for WaitingClient<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&mut *self.client).read(buffer)
    }
}

impl Write for WaitingClient<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let furthest = self.begun.furthest.lock().unwrap();
        let is_early = |furthest: &mut u64| *furthest < self.waits_for.get();
        let waited = self.begun.changed.wait_timeout_while(furthest, Duration::from_secs(60), is_early);
        assert!(!waited.unwrap().1.timed_out(), "nothing is read while a part is sent");
        (&mut *self.client).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn parts_are_read_while_others_are_sent() {
    let part = 512 << 10;
    let one = vec![request(0, 0, 0, 3 * part)];
    let three = (0..3).map(|number| request(0, 0, number * PART, part)).collect();
    for says in [one, three] {
        let says = [HELLO, &option(8, &[]), &option(1, &[]), &says.concat()].concat();
        let mut client = Client { says: Cursor::new(says), hears: Vec::new(), takes: usize::MAX };
        let (begun, waits_for) = (Begun::default(), Cell::new(0));
        let mut server = Server::new(Watched { disk: disk(3 * PART), begun: &begun }).unwrap();
        server.set_processors(2);
        let waiting = WaitingClient { client: &mut client, begun: &begun, waits_for: &waits_for };
        let session = server.handshake(waiting).unwrap().expect("it chose the export");
        waits_for.set(2 * PART);
        session.run().unwrap();
        assert!(client.hears.ends_with(&bytes(2 * PART..3 * PART)));
    }
}
