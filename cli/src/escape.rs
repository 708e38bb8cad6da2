//! Values from outside as they stand in text: what could move the cursor, end a line or turn the order of letters is
//! written as octal numbers, as in `/proc/mounts`, so that no file name or superblock can forge what this command says.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;

/// A line, or a value in one, as it is printed. Clean text is left as it is.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unprintable) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::new();
    for each in text.chars() {
        if is_unprintable(each) {
            push_octal(&mut clean, each.encode_utf8(&mut [0; 4]).as_bytes());
        } else {
            clean.push(each);
        }
    }
    Cow::Owned(clean)
}

/// Bytes as text: those that are not UTF-8 are octal numbers, so that two names never look the same for want of letters.
pub(crate) fn text_of(bytes: impl AsRef<OsStr>) -> String {
    let mut text = String::new();
    for chunk in bytes.as_ref().as_bytes().utf8_chunks() {
        text.push_str(chunk.valid());
        push_octal(&mut text, chunk.invalid());
    }
    text
}

fn push_octal(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        write!(text, "\\{byte:03o}").expect("a String takes everything");
    }
}

/// Control characters, line and paragraph separators, and those that change the direction of writing.
fn is_unprintable(each: char) -> bool {
    each.is_control() || matches!(each, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clean_text_is_left_alone() {
        for text in ["", "/tmp/a b\\c", "äöü", "日本語", "\\012"] {
            assert!(matches!(escaped(text), Cow::Borrowed(same) if same == text));
            assert_eq!(text_of(text), text);
        }
    }

    #[test]
    fn what_moves_the_cursor_is_octal() {
        assert_eq!(escaped("a\x1b[2J\n\t\x7f"), "a\\033[2J\\012\\011\\177");
        assert_eq!(escaped("\u{9b}1m"), "\\302\\2331m");
        assert_eq!(escaped("x\u{202e}gpj\u{2028}\u{2066}"), "x\\342\\200\\256gpj\\342\\200\\250\\342\\201\\246");
    }

    #[test]
    fn bytes_that_are_no_text_stay_apart() {
        assert_eq!(text_of(OsStr::from_bytes(b"n\xff")), "n\\377");
        assert_eq!(text_of(OsStr::from_bytes(b"n\xfe\xc3\xa4\xe2\x82")), "n\\376ä\\342\\202");
        assert_eq!(escaped(&text_of(OsStr::from_bytes(b"\x1b\xff"))), "\\033\\377");
    }
}
