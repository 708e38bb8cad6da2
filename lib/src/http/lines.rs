//! Which blocks a cache file has, and where in it: the table at its front.
//!
//! The file begins with a header of [`HEADER`] bytes. An entry of [`ENTRY`] bytes for each line follows, and, from the
//! next multiple of [`HEADER`] on, the lines, each of [`LINE`] bytes. A line has room for [`BLOCKS`] blocks that are
//! next to each other in a file on a server; the URL and their offset there choose a set of [`WAYS`] lines, and they
//! are in one of these. Numbers are little-endian.

/// The size of a block, of a line, of an entry and of the header, in bytes.
pub(super) const BLOCK: u64 = 4096;
pub(super) const LINE: u64 = BLOCK * BLOCKS;
const ENTRY: usize = 32;
pub(super) const HEADER: usize = 4096;

/// How many blocks a line has.
pub(super) const BLOCKS: u64 = 16;

/// In how many places a line may be.
const WAYS: usize = 8;

/// What a cache file begins with.
const MAGIC: &[u8; 16] = b"dmverity\0cache\0\x01";

/// One line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    /// Of which file.
    pub(super) key: u64,
    /// Which line of it.
    pub(super) line: u64,
    /// A bit for each block that is there.
    pub(super) blocks: u32,
    /// When it was used last: larger is later.
    used: u32,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Lines {
    entries: Vec<Entry>,
    clock: u32,
}

impl Lines {
    /// How many lines a file of this many bytes has room for; none if it is too small.
    pub(super) fn fitting(bytes: u64) -> u64 {
        // The table is rounded up to a multiple of the header.
        bytes.saturating_sub(2 * HEADER as u64) / (LINE + ENTRY as u64) / WAYS as u64 * WAYS as u64
    }

    pub(super) fn header(lines: u64) -> [u8; HEADER] {
        let mut header = [0; HEADER];
        header[..16].copy_from_slice(MAGIC);
        header[16..24].copy_from_slice(&lines.to_le_bytes());
        header
    }

    /// The number of lines in a header, or `None` if it is not one.
    pub(super) fn of_header(header: &[u8]) -> Option<u64> {
        let rest = header.strip_prefix(MAGIC)?;
        Some(u64::from_le_bytes(*rest.first_chunk()?))
    }

    /// Reads a table. Nothing in it is trusted: at worst it finds blocks that are not those that it says.
    pub(super) fn of_table(table: &[u8]) -> Self {
        let entries: Vec<Entry> = table.chunks_exact(ENTRY).map(Entry::of).collect();
        let clock = entries.iter().map(|entry| entry.used).max().unwrap_or(0);
        let mut lines = Self { entries, clock };
        if clock > u32::MAX / 2 {
            lines.start_over();
        }
        lines
    }

    /// Forgets when each was used.
    fn start_over(&mut self) {
        self.entries.iter_mut().for_each(|entry| entry.used = 0);
        self.clock = 0;
    }

    /// The bytes of the table of so many lines.
    pub(super) fn table_bytes(lines: u64) -> u64 {
        lines * ENTRY as u64
    }

    /// Where the first line begins in a file with so many.
    fn first(lines: u64) -> u64 {
        HEADER as u64 + Self::table_bytes(lines).next_multiple_of(HEADER as u64)
    }

    /// The bytes of a file with so many lines.
    pub(super) fn file_bytes(lines: u64) -> u64 {
        Self::first(lines) + lines * LINE
    }

    /// Where an entry is in the file, and what is there.
    pub(super) fn stored(&self, index: usize) -> (u64, [u8; ENTRY]) {
        ((HEADER + index * ENTRY) as u64, self.entries[index].to_bytes())
    }

    /// Where a line is in the file.
    pub(super) fn position(&self, index: usize) -> u64 {
        Self::first(self.entries.len() as u64) + index as u64 * LINE
    }

    /// The line with these blocks, if it is there.
    pub(super) fn find(&self, key: u64, line: u64) -> Option<usize> {
        let has = |index: &usize| {
            let entry = &self.entries[*index];
            entry.blocks != 0 && (entry.key, entry.line) == (key, line)
        };
        self.ways(key, line).find(has)
    }

    /// The line that these blocks are to be in: one that is empty, or the one that was not used for the longest time.
    pub(super) fn place(&self, key: u64, line: u64) -> Option<usize> {
        self.ways(key, line).min_by_key(|&index| {
            let entry = &self.entries[index];
            if entry.blocks == 0 { (0, 0) } else { (1, entry.used) }
        })
    }

    fn ways(&self, key: u64, line: u64) -> std::ops::Range<usize> {
        let sets = (self.entries.len() / WAYS) as u64;
        if sets == 0 {
            return 0..0;
        }
        let set = usize::try_from(key.wrapping_add(line) % sets).expect("the table fits memory");
        let first = set * WAYS;
        first..first + WAYS
    }

    pub(super) fn entry(&self, index: usize) -> Entry {
        self.entries[index]
    }

    /// Says what is in a line now.
    pub(super) fn set(&mut self, index: usize, key: u64, line: u64, blocks: u32) {
        let used = self.entries[index].used;
        self.entries[index] = Entry { key, line, blocks, used };
        self.was_used(index);
    }

    pub(super) fn was_used(&mut self, index: usize) {
        if self.clock == u32::MAX {
            self.start_over();
        }
        self.clock += 1;
        self.entries[index].used = self.clock;
    }
}

impl Entry {
    fn of(bytes: &[u8]) -> Self {
        let word = |at: usize| bytes[at..at + 4].iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte));
        let number = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
        Self { key: number(0), line: number(8), blocks: word(16) & ((1 << BLOCKS) - 1), used: word(20) }
    }

    fn to_bytes(self) -> [u8; ENTRY] {
        let mut bytes = [0; ENTRY];
        bytes[..8].copy_from_slice(&self.key.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.line.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.blocks.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.used.to_le_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_no_larger_than_it_may_be() {
        for bytes in [0, 4096, 1 << 19, (1 << 20) + 1, 1 << 30, u64::MAX / 2] {
            let lines = Lines::fitting(bytes);
            assert!(lines.is_multiple_of(WAYS as u64) && (lines == 0 || Lines::file_bytes(lines) <= bytes), "{bytes}");
        }
        assert_eq!(Lines::fitting(HEADER as u64), 0);
        assert_eq!(Lines::of_header(&Lines::header(77)), Some(77));
        assert_eq!(Lines::of_header(b"dmverity\0cache\0\x02........"), None);
        assert_eq!(Lines::of_header(&MAGIC[..]), None);
    }

    #[test]
    fn an_entry_survives_the_file() {
        let mut lines = Lines::of_table(&[0; 32 * 16]);
        let index = lines.place(7, 12).unwrap();
        lines.set(index, 7, 12, 0x8001);
        let (at, bytes) = lines.stored(index);
        assert_eq!(at, (HEADER + 32 * index) as u64);
        assert_eq!(Entry::of(&bytes), lines.entry(index));
        let again = Lines::of_table(&lines.entries.iter().flat_map(|entry| entry.to_bytes()).collect::<Vec<_>>());
        assert_eq!((again.find(7, 12), again.find(7, 13)), (Some(index), None));
    }

    #[test]
    fn what_was_not_used_for_the_longest_time_makes_room() {
        let mut lines = Lines::of_table(&[0; 32 * 8]);
        for line in 0..8 {
            let index = lines.place(1, line).unwrap();
            lines.set(index, 1, line, 1);
        }
        let first = lines.find(1, 0).unwrap();
        lines.was_used(first);
        let replaced = lines.place(2, 0).unwrap();
        assert_eq!(lines.entry(replaced).line, 1);
        assert!(Lines::of_table(&[]).place(1, 1).is_none());
    }

    #[test]
    fn any_bytes_are_a_table() {
        let mut lines = Lines::of_table(&[0xff; 32 * 8]);
        assert_eq!(lines.entry(0).blocks, 0xffff);
        lines.was_used(0);
        assert_eq!(lines.clock, 1);
    }
}
