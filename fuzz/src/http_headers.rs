//! What a web server says of a range.

/// Headers of an answer to a request for 4096 bytes, a value on each line: `Content-Range`, `Content-Length`, `ETag`
/// and `Retry-After`.
///
/// # Panics
/// If a range is accepted that is not the one that was asked for, or a pause that is too long.
pub fn http_headers(data: &[u8]) {
    dmverity::http::fuzz_headers(data);
}

pub(crate) const DICTIONARY: &[&str] = &[
    "bytes 4096-8191/8192",
    "bytes ",
    "4096",
    "8191",
    "8192",
    "/*",
    "18446744073709551615",
    "W/\"",
    "\"tag\"",
    "\n",
    "\r",
];
