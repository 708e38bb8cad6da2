//! A remote file next to a server that answers what a test wants.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::*;
use crate::io::ReadAt as _;

/// Serves ranges of these bytes; a request is answered by `answer`, which gets its number and its range.
fn serve(answer: impl Fn(usize, Range<usize>) -> Vec<u8> + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/image", listener.local_addr().unwrap());
    let answer = Arc::new(answer);
    let count = Arc::new(AtomicUsize::new(0));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (answer, count) = (Arc::clone(&answer), Arc::clone(&count));
            thread::spawn(move || connection(&stream.unwrap(), &*answer, &count));
        }
    });
    url
}

fn connection(stream: &TcpStream, answer: &dyn Fn(usize, Range<usize>) -> Vec<u8>, count: &AtomicUsize) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut range = None;
        let mut line = String::new();
        while reader.read_line(&mut line).ok()? > 2 {
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("range: bytes=") {
                let (first, last) = value.trim().split_once('-').unwrap();
                range = Some(first.parse().unwrap()..last.parse::<usize>().unwrap() + 1);
            }
            line.clear();
        }
        let bytes = answer(count.fetch_add(1, Ordering::Relaxed), range?);
        (&mut &*stream).write_all(&bytes).ok()?;
    }
}

/// A right answer.
fn right(data: &[u8], range: Range<usize>) -> Vec<u8> {
    let range = range.start..range.end.min(data.len());
    let head = format!(
        "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {}-{}/{}\r\nContent-Length: {}\r\n\r\n",
        range.start,
        range.end - 1,
        data.len(),
        range.len()
    );
    [head.as_bytes(), &data[range]].concat()
}

fn data(len: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(len as u64);
    std::iter::repeat_with(|| random.u8(..)).take(len).collect()
}

fn open(url: &str) -> Result<Remote, Error> {
    Remote::builder(url)?.pause(Duration::ZERO).attempts(3).open()
}

#[test]
fn any_bytes_can_be_read_by_any_thread() {
    let data = Arc::new(data(3_000_001));
    let served = Arc::clone(&data);
    let remote = open(&serve(move |_, range| right(&served, range))).unwrap();
    assert_eq!(remote.size().unwrap(), data.len() as u64);
    thread::scope(|scope| {
        for seed in 0..4 {
            let (remote, data) = (&remote, &data);
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(seed);
                for _ in 0..200 {
                    let start = random.usize(..data.len());
                    let len = random.usize(..=(data.len() - start).min(300_000));
                    let mut bytes = vec![0; len];
                    remote.read_exact_at(&mut bytes, start as u64).unwrap();
                    assert!(bytes == data[start..start + len]);
                }
            });
            scope.spawn(move || {
                let mut bytes = vec![0; 5000];
                for start in (0..data.len() - 5000).step_by(5000) {
                    remote.read_exact_at(&mut bytes, start as u64).unwrap();
                    assert!(bytes == data[start..start + 5000]);
                }
            });
        }
    });
    for (offset, len) in [(data.len() as u64, 1), (u64::MAX, 1), (3_000_000, 2)] {
        let error = remote.read_exact_at(&mut vec![0; len], offset).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
    }
}

#[test]
fn what_passes_is_tried_again_and_no_more_than_often_enough() {
    let bytes = data(100_000);
    let url = serve(move |number, range| match number {
        0 => b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n".to_vec(),
        1 => b"HTTP/1.1 429 Slow\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n".to_vec(),
        _ => right(&bytes, range),
    });
    let remote = open(&url).unwrap();
    assert_eq!((remote.counters().requests, remote.counters().failed_requests), (3, 2));
    let counted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&counted);
    let url = serve(move |_, _| {
        count.fetch_add(1, Ordering::Relaxed);
        b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n".to_vec()
    });
    assert!(matches!(open(&url), Err(Error::Status { status: 500 })));
    assert_eq!(counted.load(Ordering::Relaxed), 3);
}

#[test]
fn what_does_not_pass_is_not_tried_again() {
    let once = |answer: &'static [u8]| {
        let url = serve(move |number, _| {
            assert_eq!(number, 0);
            answer.to_vec()
        });
        open(&url).unwrap_err()
    };
    assert!(matches!(once(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na"), Error::NoRanges));
    assert!(matches!(once(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"), Error::Status { status: 404 }));
    let short = b"HTTP/1.1 206 P\r\nContent-Range: bytes 0-9/10\r\nContent-Length: 11\r\n\r\n0123456789a";
    assert!(matches!(once(short), Error::Answer { .. }));
    let long =
        b"HTTP/1.1 206 P\r\nContent-Range: bytes 0-1/2\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n";
    assert!(matches!(once(long), Error::Answer { .. }));
}

#[test]
fn what_was_wrong_is_fetched_again() {
    let bytes = data(400_000);
    let url = serve(move |number, range| {
        let mut answer = right(&bytes, range);
        let last = answer.len() - 1;
        answer[last] ^= u8::from(number == 1);
        answer
    });
    let remote = open(&url).unwrap();
    let (mut first, mut second) = ([0], [0]);
    remote.read_exact_at(&mut first, 262_143).unwrap();
    assert!(remote.disproven(262_143..262_144));
    remote.read_exact_at(&mut second, 262_143).unwrap();
    assert_eq!(first[0] ^ second[0], 1);
}
