//! How the kernel and systemd divide a command line into words.

/// Where words end.
pub(super) struct Rules {
    blanks: &'static [u8],
    /// What keeps blanks in a word, in pairs.
    quotes: &'static [u8],
    /// The word after which everything is for other programs.
    end: Option<&'static [u8]>,
}

/// The kernel's blanks are C's, and the no-break space of Latin-1.
pub(super) const KERNEL: Rules = Rules { blanks: b" \t\n\x0b\x0c\r\xa0", quotes: b"\"", end: Some(b"--") };

/// systemd reads on after `--`, and versions of it only the first line: here a line's end is a blank.
pub(super) const SYSTEMD: Rules = Rules { blanks: b" \t\n\r", quotes: b"\"'", end: None };

/// The words of a line, with their quotation marks.
pub(super) struct Words<'a> {
    pub(super) words: Vec<&'a [u8]>,
    /// The last word goes to the end of the line because a quotation mark is not closed.
    pub(super) is_quote_open: bool,
}

/// Divides a line. A blank between quotation marks is part of the word.
pub(super) fn divide<'a>(line: &'a [u8], rules: &Rules) -> Words<'a> {
    let mut quote = None;
    let mut words: Vec<&[u8]> = line
        .split(|&byte| {
            if quote.is_some() {
                quote = quote.filter(|&open| open != byte);
                return false;
            }
            quote = rules.quotes.contains(&byte).then_some(byte);
            rules.blanks.contains(&byte)
        })
        .filter(|word| !word.is_empty())
        .collect();
    if let Some(end) = words.iter().position(|word| rules.end.is_some_and(|end| unquoted(word) == end)) {
        words.truncate(end);
    }
    Words { words, is_quote_open: quote.is_some() }
}

/// A word without its quotation marks: one between two of the other kind stays. Backslashes stay, as systemd since 249
/// and the kernel have it.
pub(super) fn unquoted(word: &[u8]) -> Vec<u8> {
    let mut quote = None;
    let mut text = Vec::with_capacity(word.len());
    for &byte in word {
        match quote {
            Some(open) if byte == open => quote = None,
            None if matches!(byte, b'"' | b'\'') => quote = Some(byte),
            _ => text.push(byte),
        }
    }
    text
}

/// Whether a backslash precedes a character that it would escape in some versions of systemd.
pub(super) fn is_backslash_ambiguous(line: &[u8]) -> bool {
    let has_meaning = |byte: u8| KERNEL.blanks.contains(&byte) || matches!(byte, b'"' | b'\'');
    line.windows(2).any(|pair| pair[0] == b'\\' && has_meaning(pair[1]))
}
