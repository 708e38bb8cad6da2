//! Values from outside as they appear in text: characters that could move the cursor, end a line or change the
//! direction of writing are written as octal numbers, as in `/proc/mounts`, so that no file name or superblock can
//! forge what this command says.
//!
//! Bytes that are not UTF-8 are printed as they are, so that a name in a message is the file's. Until then each of them
//! is a character from the end of Unicode's last private area; that character itself counts as bytes that are not
//! UTF-8. JSON cannot hold them: there they are octal numbers too.

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
            push_octal(&mut clean, &printed(each.encode_utf8(&mut [0; 4])));
        } else {
            clean.push(each);
        }
    }
    Cow::Owned(clean)
}

/// The first of the characters that represent bytes that are not UTF-8: the one for byte 0x80 is the first that is
/// needed.
const RAW: u32 = 0x0010_FF00;

/// Bytes as text, from which [`printed`] makes the same bytes.
pub(crate) fn text_of(bytes: impl AsRef<OsStr>) -> String {
    let mut text = String::new();
    let stand_in = |byte: u8| char::from_u32(RAW + u32::from(byte)).expect("in the private area");
    for chunk in bytes.as_ref().as_bytes().utf8_chunks() {
        for each in chunk.valid().chars() {
            if raw_byte(each).is_some() {
                text.extend(each.encode_utf8(&mut [0; 4]).bytes().map(stand_in));
            } else {
                text.push(each);
            }
        }
        text.extend(chunk.invalid().iter().copied().map(stand_in));
    }
    text
}

/// The byte that a character represents.
fn raw_byte(each: char) -> Option<u8> {
    u8::try_from(u32::from(each).checked_sub(RAW)?).ok().filter(|&byte| byte >= 0x80)
}

/// A text as it is printed.
pub(crate) fn printed(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for each in text.chars() {
        match raw_byte(each) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(each.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

/// The same as a text, with octal numbers for bytes that are not UTF-8; `backslash` is what begins one.
pub(crate) fn without_raw(text: &str, backslash: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for each in text.chars() {
        match raw_byte(each) {
            Some(byte) => write!(clean, "{backslash}{byte:03o}").expect("a String takes everything"),
            None => clean.push(each),
        }
    }
    clean
}

fn push_octal(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        write!(text, "\\{byte:03o}").expect("a String takes everything");
    }
}

/// Control characters, line and paragraph separators, and those that change the direction of writing. A terminal that
/// does not use UTF-8 interprets the bytes from 0x80 to 0x9f as control characters too.
fn is_unprintable(each: char) -> bool {
    each.is_control()
        || matches!(each, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        || raw_byte(each).is_some_and(|byte| byte < 0xA0)
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
    fn bytes_that_are_no_text_are_printed_as_they_are() {
        for bytes in [&b"n\xff"[..], b"n\xfe\xc3\xa4\xe2\xa2", "\u{10ff00}\u{10ffa1}\u{10ffff}".as_bytes()] {
            let text = text_of(OsStr::from_bytes(bytes));
            assert_eq!(printed(&text), bytes);
            assert_eq!(printed(&escaped(&text)) == bytes, !bytes.contains(&0x8F));
        }
        // Except for those that a terminal may obey.
        assert_eq!(printed(&escaped(&text_of(OsStr::from_bytes(b"\x1b\xff\x9b")))), b"\\033\xff\\233");
        let everything: Vec<u8> = (0..=255).chain("ä\u{10ffff}\u{10ff7f}".bytes()).collect();
        assert_eq!(printed(&text_of(OsStr::from_bytes(&everything))), everything);
    }

    #[test]
    fn json_has_octal_numbers_for_them() {
        assert_eq!(without_raw(&text_of(OsStr::from_bytes(b"n\xff\xc3\xa4")), "\\"), "n\\377ä");
        let json = serde_json::to_string(&text_of(OsStr::from_bytes(b"\"\x9b\\"))).unwrap();
        let read: String = serde_json::from_str(&without_raw(&json, "\\\\")).unwrap();
        assert_eq!(read, "\"\\233\\");
    }
}
