//! Hostile bytes as numbers and texts.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

/// Bytes that are consumed from the front, followed by endless zeros.
#[derive(Debug)]
pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The remaining bytes.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// `len` bytes, or as many as are left.
    pub(crate) fn take(&mut self, len: usize) -> &'a [u8] {
        let (front, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        front
    }

    fn array<const LEN: usize>(&mut self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        let found = self.take(LEN);
        bytes[..found.len()].copy_from_slice(found);
        bytes
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    pub(crate) fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }

    pub(crate) fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }

    /// One of `values`, by a byte.
    pub(crate) fn one_of<T: Copy>(&mut self, values: &[T]) -> T {
        values[usize::from(self.byte()) % values.len()]
    }

    /// The text up to the next NUL. Invalid UTF-8 is replaced.
    pub(crate) fn text(&mut self) -> String {
        let bytes = self.0.split(|&byte| byte == 0).next().unwrap_or_default();
        self.take(bytes.len() + 1);
        String::from_utf8_lossy(bytes).into_owned()
    }

    /// Words with NULs between them, as `/proc/self/cmdline` has them.
    pub(crate) fn words(&mut self) -> Vec<OsString> {
        let rest = self.rest();
        let rest = rest.strip_suffix(&[0]).unwrap_or(rest);
        rest.split(|&byte| byte == 0).map(|word| OsString::from_vec(word.to_vec())).collect()
    }
}
