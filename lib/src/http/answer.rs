//! What the headers of an answer say. All of it is the word of a server that may be hostile.

use std::ops::Range;
use std::time::Duration;

use ureq::http::{HeaderMap, HeaderName, header};

use super::error::Error;
use crate::value::MAX_DEVICE_BYTES;

/// The longest pause that a server can ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The longest entity tag or time that is kept, in bytes.
const MOST: usize = 1024;

/// Which file a server has: all answers have to agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    /// In bytes.
    pub(super) size: u64,
    /// A strong entity tag.
    pub(super) tag: Option<String>,
    /// When it was modified, in the server's words.
    pub(super) modified: Option<String>,
}

impl Origin {
    /// Fails if an answer is about another file, or about a later version of it.
    pub(super) fn check(&self, found: &Self) -> Result<(), Error> {
        if self.size != found.size {
            return Err(Error::Changed { what: "size" });
        }
        if self.tag.is_some() {
            return if self.tag == found.tag { Ok(()) } else { Err(Error::Changed { what: "entity tag" }) };
        }
        if self.modified.is_some() && self.modified != found.modified {
            return Err(Error::Changed { what: "time of modification" });
        }
        Ok(())
    }
}

/// Reads the headers of a 206 to a request for these bytes; the file may end earlier. Returns which file it is, and the
/// bytes that follow.
pub(super) fn read(headers: &HeaderMap, asked: &Range<u64>) -> Result<(Origin, Range<u64>), Error> {
    if text(headers, &header::CONTENT_ENCODING).is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity"))
        || (headers.contains_key(header::CONTENT_ENCODING) && text(headers, &header::CONTENT_ENCODING).is_none())
    {
        return Err(Error::answer("it is encoded, though no encoding was requested"));
    }
    let content_range = text(headers, &header::CONTENT_RANGE).ok_or(Error::answer("it does not name one range"))?;
    let (bytes, size) = content_range_of(content_range).ok_or(Error::answer("its range makes no sense"))?;
    if bytes.start != asked.start || bytes.end != asked.end.min(size) {
        return Err(Error::answer("it is another range than the one that was asked for"));
    }
    let length = headers.get(header::CONTENT_LENGTH).map(|_| {
        let length = text(headers, &header::CONTENT_LENGTH).and_then(number);
        (length == Some(bytes.end - bytes.start)).then_some(())
    });
    if length == Some(None) {
        return Err(Error::answer("its length is not that of the range"));
    }
    let kept = |name| text(headers, name).filter(|text| text.len() <= MOST).map(str::to_owned);
    let tag = kept(&header::ETAG).filter(|tag| tag.starts_with('"'));
    Ok((Origin { size, tag, modified: kept(&header::LAST_MODIFIED) }, bytes))
}

/// How long the server wants to be left alone, as far as that is taken.
pub(super) fn pause(headers: &HeaderMap) -> Option<Duration> {
    let seconds = number(text(headers, &header::RETRY_AFTER)?)?;
    Some(Duration::from_secs(seconds).min(LONGEST_PAUSE))
}

/// A header that is there once, and is text.
fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() { None } else { Some(value.to_str().ok()?.trim()) }
}

/// The bytes and the size in `bytes FIRST-LAST/SIZE`.
fn content_range_of(text: &str) -> Option<(Range<u64>, u64)> {
    let (unit, rest) = text.split_once(' ')?;
    let (range, size) = rest.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last, size) = (number(first)?, number(last)?, number(size)?);
    let is_right = unit.eq_ignore_ascii_case("bytes") && first <= last && last < size && size <= MAX_DEVICE_BYTES;
    is_right.then(|| (first..last + 1, size))
}

/// Digits and nothing else.
fn number(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) { None } else { text.parse().ok() }
}

/// What a fuzz target calls: header values of an answer, one a line, to a request for some bytes.
#[doc(hidden)]
pub fn fuzz_headers(input: &[u8]) {
    let names = [header::CONTENT_RANGE, header::CONTENT_LENGTH, header::ETAG, header::RETRY_AFTER];
    let mut headers = HeaderMap::new();
    for (name, value) in names.into_iter().zip(input.split(|&byte| byte == b'\n')) {
        if let Ok(value) = ureq::http::HeaderValue::from_bytes(value) {
            headers.append(name, value);
        }
    }
    if let Ok((origin, bytes)) = read(&headers, &(4096..8192)) {
        assert!(bytes.start == 4096 && bytes.end <= 8192 && bytes.end <= origin.size, "{bytes:?} {origin:?}");
    }
    assert!(pause(&headers).is_none_or(|pause| pause <= LONGEST_PAUSE));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static [u8])]) -> HeaderMap {
        let value = |value: &[u8]| ureq::http::HeaderValue::from_bytes(value).unwrap();
        let mut headers = HeaderMap::new();
        for (name, each) in lines {
            headers.append(*name, value(each));
        }
        headers
    }

    #[test]
    fn an_answer_is_exactly_the_range() {
        let right = |range: &'static [u8]| read(&headers(&[("content-range", range)]), &(10..20)).is_ok();
        assert!(right(b"bytes 10-19/100") && right(b"Bytes 10-19/20") && right(b"bytes 10-14/15"));
        let wrong: [&[u8]; 12] = [
            b"bytes 10-18/100",
            b"bytes 10-20/100",
            b"bytes 9-19/100",
            b"bytes 10-19/*",
            b"bytes */100",
            b"bytes 10-19/19",
            b"bytes 10--19/100",
            b"bytes +10-19/100",
            b"bytes 10-18446744073709551615/18446744073709551616",
            b"bytes 10-19/18446744073709551615",
            b"items 10-19/100",
            b"bytes 10-19/100\xff",
        ];
        for each in wrong {
            assert!(!right(each), "{}", each.escape_ascii());
        }
        assert!(read(&headers(&[]), &(10..20)).is_err());
        let twice = headers(&[("content-range", b"bytes 10-19/100"), ("content-range", b"bytes 10-19/100")]);
        assert!(read(&twice, &(10..20)).is_err());
    }

    #[test]
    fn lengths_and_encodings_are_checked() {
        let with = |name, value| read(&headers(&[("content-range", b"bytes 10-19/100"), (name, value)]), &(10..20));
        assert!(with("content-length", b"10").is_ok() && with("content-encoding", b"Identity").is_ok());
        for (name, value) in [
            ("content-length", b"9".as_slice()),
            ("content-length", b"-10"),
            ("content-length", b"\xff"),
            ("content-encoding", b"gzip"),
            ("content-encoding", b"\xff"),
        ] {
            assert!(with(name, value).is_err(), "{name}");
        }
    }

    #[test]
    fn a_changed_file_is_noticed() {
        let of = |tag, modified| {
            let lines = [("content-range", b"bytes 10-19/100".as_slice()), ("etag", tag), ("last-modified", modified)];
            read(&headers(&lines), &(10..20)).unwrap().0
        };
        let first = of(b"\"a\"", b"Monday");
        assert!(first.check(&of(b"\"a\"", b"Tuesday")).is_ok() && first.check(&of(b"\"b\"", b"Monday")).is_err());
        // A weak tag says nothing about bytes.
        let weak = of(b"W/\"a\"", b"Monday");
        assert!(weak.check(&of(b"W/\"b\"", b"Monday")).is_ok() && weak.check(&of(b"W/\"a\"", b"Tuesday")).is_err());
        assert!(weak.check(&Origin { size: 99, ..weak.clone() }).is_err());
    }

    #[test]
    fn pauses_are_bounded() {
        let of = |value| pause(&headers(&[("retry-after", value)]));
        assert_eq!(of(b"2"), Some(Duration::from_secs(2)));
        assert_eq!(of(b"99999999"), Some(LONGEST_PAUSE));
        assert_eq!(of(b"99999999999999999999999"), None);
        assert_eq!(of(b"Fri, 31 Dec 1999 23:59:59 GMT"), None);
    }
}
