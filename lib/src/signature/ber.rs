//! BER made into DER, to tell what readers that take BER make of it. Nothing is trusted that was read in this way.

use der::{Encode, Length};

/// How deep values may be inside each other.
const MOST_DEPTH: usize = 32;

/// A value of BER with definite lengths.
pub(super) struct Normal {
    pub(super) der: Vec<u8>,
    /// How many bytes of the input it was.
    pub(super) consumed: usize,
    pub(super) has_indefinite_lengths: bool,
    pub(super) has_long_lengths: bool,
}

/// Reads the first value of some bytes; `None` if they are no BER.
pub(super) fn normal(bytes: &[u8]) -> Option<Normal> {
    let mut found = Normal { der: Vec::new(), consumed: 0, has_indefinite_lengths: false, has_long_lengths: false };
    (found.der, found.consumed) = found.value(bytes, MOST_DEPTH)?;
    Some(found)
}

impl Normal {
    /// One value, and how many bytes of the input it was.
    fn value(&mut self, bytes: &[u8], depth: usize) -> Option<(Vec<u8>, usize)> {
        let depth = depth.checked_sub(1)?;
        let (&tag, rest) = bytes.split_first()?;
        // Tags of several bytes are in no signature.
        if tag & 0x1f == 0x1f {
            return None;
        }
        let is_constructed = tag & 0x20 != 0;
        let (length, header) = self.length(rest)?;
        let start = 1 + header;
        let (content, consumed) = match length {
            None if is_constructed => {
                self.has_indefinite_lengths = true;
                let (content, consumed) = self.values(bytes.get(start..)?, true, depth)?;
                // Two zeros end it.
                (content, start + consumed + 2)
            }
            None => return None,
            Some(length) => {
                let content = bytes.get(start..start.checked_add(length)?)?;
                let content = if is_constructed { self.values(content, false, depth)?.0 } else { content.to_vec() };
                (content, start + length)
            }
        };
        let mut der = vec![tag];
        der.extend(Length::try_from(content.len()).ok()?.to_der().ok()?);
        der.extend(content);
        Some((der, consumed))
    }

    /// Values until the end, or until two zeros.
    fn values(&mut self, bytes: &[u8], until_zeros: bool, depth: usize) -> Option<(Vec<u8>, usize)> {
        let (mut der, mut position) = (Vec::new(), 0);
        loop {
            let rest = bytes.get(position..)?;
            match until_zeros {
                true if rest.starts_with(&[0, 0]) => return Some((der, position)),
                false if rest.is_empty() => return Some((der, position)),
                _ => {}
            }
            let (value, consumed) = self.value(rest, depth)?;
            der.extend(value);
            position += consumed;
        }
    }

    /// A length, or `None` if it is indefinite, and how many bytes it takes.
    fn length(&mut self, bytes: &[u8]) -> Option<(Option<usize>, usize)> {
        let first = *bytes.first()?;
        if first < 0x80 {
            return Some((Some(usize::from(first)), 1));
        }
        let count = usize::from(first & 0x7f);
        if count == 0 {
            return Some((None, 1));
        }
        let digits = bytes.get(1..=count).filter(|digits| digits.len() <= 4)?;
        let length = digits.iter().fold(0usize, |length, digit| length << 8 | usize::from(*digit));
        self.has_long_lengths |= length < 0x80 || digits[0] == 0;
        Some((Some(length), 1 + count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indefinite_and_long_lengths_become_short() {
        let found = normal(&[0x30, 0x80, 0x04, 0x81, 0x01, 0x07, 0x31, 0x80, 0, 0, 0, 0, 9]).unwrap();
        assert_eq!(found.der, [0x30, 0x05, 0x04, 0x01, 0x07, 0x31, 0x00]);
        assert_eq!((found.consumed, found.has_indefinite_lengths, found.has_long_lengths), (12, true, true));
    }

    #[test]
    fn der_stays_as_it_is() {
        let mut der = vec![0x30, 0x82, 0x01, 0x04, 0x04, 0x82, 0x01, 0x00];
        der.resize(8 + 256, 7);
        let found = normal(&der).unwrap();
        assert_eq!(found.der, der);
        assert_eq!((found.consumed, found.has_indefinite_lengths, found.has_long_lengths), (264, false, false));
    }

    #[test]
    fn what_is_no_ber_is_refused() {
        for bytes in [&[][..], &[0x30], &[0x30, 1], &[0x30, 0x80], &[0x30, 0x80, 0], &[4, 0x80, 0, 0], &[0x1f, 1, 0]] {
            assert!(normal(bytes).is_none(), "{bytes:?}");
        }
        assert!(normal(&[0x30, 0x85, 0, 0, 0, 0, 0]).is_none(), "a length of five bytes");
        assert!(normal(&[0x30, 0x80].repeat(1 << 18)).is_none(), "values without end");
    }
}
