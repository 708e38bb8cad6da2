//! GF(256): bytes that are added by exclusive or and multiplied as polynomials over GF(2) modulo x^8+x^4+x^3+x^2+1. All
//! but zero are powers of [`alpha`]`(1)`, which is 2.

/// The modulus, with its highest term.
const POLYNOMIAL: u16 = 0x11D;

/// How many powers there are: all elements but zero.
pub(crate) const ORDER: usize = 255;

/// Powers, twice in a row so that sums of two logarithms need no division; and logarithms, of which zero has none.
static TABLES: ([u8; 2 * ORDER], [u8; 256]) = {
    let (mut powers, mut logarithms) = ([0; 2 * ORDER], [0; 256]);
    let (mut element, mut power) = (1_u16, 0);
    while power < ORDER {
        powers[power] = element.to_le_bytes()[0];
        powers[power + ORDER] = powers[power];
        logarithms[element as usize] = power.to_le_bytes()[0];
        element <<= 1;
        if element > 0xFF {
            element ^= POLYNOMIAL;
        }
        power += 1;
    }
    (powers, logarithms)
};

/// The power of the primitive element 2.
pub(crate) fn alpha(power: usize) -> u8 {
    TABLES.0[power % ORDER]
}

/// The product.
pub(crate) fn multiply(a: u8, b: u8) -> u8 {
    if a == 0 || b == 0 {
        return 0;
    }
    TABLES.0[usize::from(TABLES.1[usize::from(a)]) + usize::from(TABLES.1[usize::from(b)])]
}

/// Twice each of eight bytes.
#[inline]
pub(crate) fn double(bytes: u64) -> u64 {
    let overflowing = bytes & 0x8080_8080_8080_8080;
    let reduced_by = (overflowing >> 7) * u64::from(POLYNOMIAL.to_le_bytes()[0]);
    (bytes ^ overflowing) << 1 ^ reduced_by
}

/// The inverse of `a`, which is not zero.
pub(crate) fn invert(a: u8) -> u8 {
    debug_assert!(a != 0, "zero has no inverse");
    TABLES.0[ORDER - usize::from(TABLES.1[usize::from(a)])]
}

/// The value of a polynomial at `x`; the lowest coefficient comes first.
pub(crate) fn evaluate(polynomial: &[u8], x: u8) -> u8 {
    polynomial.iter().rev().fold(0, |value, &coefficient| multiply(value, x) ^ coefficient)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Multiplication as it is defined.
    fn by_definition(a: u8, b: u8) -> u8 {
        let mut product = 0_u16;
        for bit in 0..8 {
            if b >> bit & 1 == 1 {
                product ^= u16::from(a) << bit;
            }
        }
        for bit in (8..16).rev() {
            if product >> bit & 1 == 1 {
                product ^= POLYNOMIAL << (bit - 8);
            }
        }
        u8::try_from(product).unwrap()
    }

    #[test]
    fn products_powers_and_inverses_are_those_of_the_field() {
        for a in 0..=255 {
            for b in 0..=255 {
                assert_eq!(multiply(a, b), by_definition(a, b), "{a} * {b}");
            }
            let others = u64::MAX << 8;
            assert_eq!(double(others | u64::from(a)).to_le_bytes()[0], by_definition(a, 2), "{a}");
            assert_eq!(double(u64::from(a) << 56 | others >> 8).to_le_bytes()[7], by_definition(a, 2), "{a}");
            assert!(a == 0 || multiply(a, invert(a)) == 1, "{a}");
        }
        assert_eq!((alpha(0), alpha(1), alpha(8), alpha(255)), (1, 2, 0x1D, 1));
        // x^2 + 3 at 2
        assert_eq!(evaluate(&[3, 0, 1], 2), 4 ^ 3);
    }
}
