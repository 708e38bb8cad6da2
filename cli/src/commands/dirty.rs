//! The file of `--dirty`: which bytes of the data have changed. It is JSON, or a line for each range.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;

use serde_json::Value;

use super::invalid;
use crate::escape::text_of;
use crate::failure::{Exit, Failure, Result};
use crate::passing::STDIN;

/// A longer file is one of something else: this has room for millions of ranges.
const MOST: u64 = 256 << 20;

/// Why a file has no ranges: in which line, and what is wrong with it.
type Wrong = (usize, String);

pub(super) fn read(path: &Path) -> Result<Vec<Range<u64>>> {
    let mut bytes = Vec::new();
    let read = if path == Path::new(STDIN) {
        io::stdin().lock().take(MOST + 1).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(MOST + 1).read_to_end(&mut bytes))
    };
    read.map_err(|error| {
        Failure::new(Exit::Device, format!("Cannot read list of changes {}.", text_of(path))).because(&error)
    })?;
    let wrong = |hint: String| invalid("list of changes", path).hint(hint);
    if bytes.len() as u64 > MOST {
        return Err(wrong(format!("it has more than {MOST} bytes.")));
    }
    parse(&bytes).map_err(|(line, what)| wrong(format!("line {line}: {what}.")))
}

fn parse(bytes: &[u8]) -> std::result::Result<Vec<Range<u64>>, Wrong> {
    match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'[') => of_json(bytes),
        _ => of_lines(bytes),
    }
}

/// `OFFSET LENGTH` in each line; `#` begins a comment.
fn of_lines(bytes: &[u8]) -> std::result::Result<Vec<Range<u64>>, Wrong> {
    let mut ranges = Vec::new();
    for (number, line) in (1..).zip(bytes.split(|&byte| byte == b'\n')) {
        let Ok(text) = std::str::from_utf8(line) else { return Err((number, "it is not UTF-8".to_owned())) };
        let text = text.split('#').next().unwrap_or_default();
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let range = match words[..] {
            [] => continue,
            [offset, length] => {
                offset.parse().ok().zip(length.parse().ok()).and_then(|(offset, length)| to(offset, length))
            }
            _ => None,
        };
        ranges
            .push(range.ok_or_else(|| (number, format!("it is not OFFSET LENGTH, in bytes, but {:?}", text.trim())))?);
    }
    Ok(ranges)
}

/// An array of objects with a length and an offset, which `qemu-img map` calls the start: its offset is another one.
/// What `nbdinfo --map` calls clean has not changed.
fn of_json(bytes: &[u8]) -> std::result::Result<Vec<Range<u64>>, Wrong> {
    let values: Value =
        serde_json::from_slice(bytes).map_err(|error| (error.line(), format!("it is not a JSON array: {error}")))?;
    let is_clean = |value: &Value| value.get("description").is_some_and(|description| description == "clean");
    let mut ranges = Vec::new();
    for (index, value) in values.as_array().into_iter().flatten().enumerate().filter(|(_, value)| !is_clean(value)) {
        let number = |name| value.get(name).and_then(Value::as_u64);
        let start = if value.get("start").is_some() { number("start") } else { number("offset") };
        let range = start.zip(number("length")).and_then(|(start, length)| to(start, length));
        ranges.push(range.ok_or_else(|| (line_of(bytes, index), format!("{value} has no offset and length")))?);
    }
    Ok(ranges)
}

/// The line in which value `index` of an array of plain objects begins, which the parser does not keep.
fn line_of(bytes: &[u8], index: usize) -> usize {
    let objects = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'{');
    let start = objects.map(|(start, _)| start).nth(index).unwrap_or(bytes.len());
    bytes[..start].split(|byte| *byte == b'\n').count()
}

fn to(offset: u64, length: u64) -> Option<Range<u64>> {
    Some(offset..offset.checked_add(length)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_arrays_are_read() {
        let all = [0..512, 4096..12_288];
        for text in [
            "0 512\n4096 8192\n",
            "# offset length\n\n  0\t512 # the first\r\n4096 8192",
            r#" [{"offset": 0, "length": 512}, {"offset": 4096, "length": 8192}]"#,
            // qemu-img map: the offset is in the file that it looks at.
            r#"[{"start": 0, "length": 512, "data": true, "offset": 327680}, {"start": 4096, "length": 8192}]"#,
            // nbdinfo --map=qemu:dirty-bitmap:name --json
            r#"[{"offset": 0, "length": 512, "type": 1, "description": "dirty"},
                {"offset": 512, "length": 3584, "type": 0, "description": "clean"},
                {"offset": 4096, "length": 8192, "type": 1, "description": "dirty"}]"#,
        ] {
            assert_eq!(parse(text.as_bytes()), Ok(all.to_vec()), "{text}");
        }
        assert_eq!(parse(b""), Ok(Vec::new()));
        assert_eq!(parse(b"[]"), Ok(Vec::new()));
    }

    #[test]
    fn anything_else_is_refused_with_its_line() {
        for (text, line) in [
            ("0 512\n12\n", 2),
            ("0 512 3", 1),
            ("\n\n-1 5", 3),
            ("0x10 5", 1),
            ("18446744073709551615 2", 1),
            ("[\n{\"offset\": 1,\n\"length\": 2},\n{\"offset\": 5}]", 4),
            ("[{\"offset\": -1, \"length\": 5}]", 1),
            ("[{\"start\": \"1\", \"offset\": 1, \"length\": 5}]", 1),
            ("[1]", 1),
            ("[{\"offset\": 1, \"length\": 1}\n", 2),
            ("{\"offset\": 1, \"length\": 1}", 1),
        ] {
            assert_eq!(parse(text.as_bytes()).map_err(|(line, _)| line), Err(line), "{text}");
        }
        assert_eq!(parse(b"\xff\xff 1").map_err(|(line, _)| line), Err(1));
    }
}
