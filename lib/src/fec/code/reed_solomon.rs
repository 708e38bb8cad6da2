//! The Reed-Solomon code RS(255, 255 - roots) of dm-verity: field polynomial 0x11d, the roots of the generator
//! polynomial are the powers 0, 1, .. `roots` - 1 of 2. The first symbol of a codeword is its highest coefficient; the
//! parity comes last. Source: the kernel's `dm-verity-fec.c` describes the code by these numbers for
//! `lib/reed_solomon`.

use super::field::{ORDER, alpha, evaluate, invert, multiply};
use super::matrix::Matrix;

/// The symbols of a codeword.
pub(crate) const SYMBOLS: usize = ORDER;

/// The most parity symbols a codeword has here.
pub(crate) const MAX_ROOTS: usize = 24;

/// A code, by its number of parity symbols.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Code {
    roots: usize,
}

/// One symbol that is wrong, and what has to be added to it.
pub(crate) type Correction = (usize, u8);

impl Code {
    /// With 2 to 24 roots.
    pub(crate) fn new(roots: u32) -> Self {
        Self { roots: roots as usize }
    }

    /// Parity symbols of a codeword.
    pub(crate) fn roots(self) -> usize {
        self.roots
    }

    /// Data symbols of a codeword.
    pub(crate) fn data_symbols(self) -> usize {
        SYMBOLS - self.roots
    }

    /// The matrix that computes syndromes from the difference between a codeword's parity and the parity of its data.
    pub(crate) fn syndrome_matrix(self) -> Matrix {
        Matrix::new(self.roots, self.roots, |parity, root| weight(self.data_symbols() + parity, root))
    }

    /// The same for one codeword.
    pub(crate) fn syndromes_of_parity(self, difference: &[u8]) -> Vec<u8> {
        let syndrome = |root| {
            let terms = difference.iter().enumerate();
            terms.fold(0, |sum, (at, &value)| sum ^ multiply(value, weight(self.data_symbols() + at, root)))
        };
        (0..self.roots).map(syndrome).collect()
    }

    /// The matrix that computes the corrections of the symbols at `erasures` from the syndromes, if no other symbol is
    /// wrong. It uses one syndrome for each erasure, at most `roots`.
    pub(crate) fn erasure_matrix(erasures: &[usize]) -> Matrix {
        let count = erasures.len();
        let syndromes = Matrix::new(count, count, |erasure, root| weight(erasures[erasure], root));
        syndromes.inverse().expect("powers of different elements are independent")
    }

    /// The matrix that computes all syndromes from what is added to the symbols at `erasures`.
    pub(crate) fn effect_matrix(self, erasures: &[usize]) -> Matrix {
        Matrix::new(erasures.len(), self.roots, |erasure, root| weight(erasures[erasure], root))
    }

    /// Finds the errors in a codeword from its syndromes: in the symbols at `erasures`, and in as many others as the
    /// code can locate; `None` if there are more. With `e` erasures these are `(roots - e) / 2`.
    ///
    /// The decoder of Berlekamp and Massey, started with the erasures' locators, then Chien's search and Forney's
    /// formula (Blahut, Theory and Practice of Error Control Codes, chapter 9).
    pub(crate) fn decode(self, syndromes: &[u8], erasures: &[usize]) -> Option<Vec<Correction>> {
        let roots = self.roots;
        let count = erasures.len();
        if count > roots {
            return None;
        }
        let mut locator = [0; MAX_ROOTS + 1];
        locator[0] = 1;
        for &erasure in erasures {
            let position = alpha(SYMBOLS - 1 - erasure);
            for power in (1..=roots).rev() {
                locator[power] ^= multiply(locator[power - 1], position);
            }
        }
        let mut previous = locator;
        let mut degree = count;
        for step in count + 1..=roots {
            let discrepancy =
                (0..step).fold(0, |sum, power| sum ^ multiply(locator[power], syndromes[step - 1 - power]));
            // Times x.
            previous.copy_within(..roots, 1);
            previous[0] = 0;
            if discrepancy == 0 {
                continue;
            }
            let before = locator;
            for power in 0..=roots {
                locator[power] ^= multiply(discrepancy, previous[power]);
            }
            if 2 * degree < step + count {
                degree = step + count - degree;
                let inverse = invert(discrepancy);
                previous = before.map(|coefficient| multiply(coefficient, inverse));
            }
        }
        let highest = (0..=roots).rfind(|&power| locator[power] != 0)?;
        if highest != degree || 2 * degree > roots + count {
            return None;
        }
        let corrections = self.corrections(syndromes, &locator[..=degree])?;
        Self::explains(&corrections, syndromes).then_some(corrections)
    }

    /// The symbols that a locator polynomial names, and the correction of each. `None` unless their number is the
    /// polynomial's degree.
    fn corrections(self, syndromes: &[u8], locator: &[u8]) -> Option<Vec<Correction>> {
        let degree = locator.len() - 1;
        let mut evaluator = [0; MAX_ROOTS];
        for (power, coefficient) in evaluator.iter_mut().enumerate().take(self.roots) {
            let terms = 0..=power.min(degree);
            *coefficient = terms.fold(0, |sum, term| sum ^ multiply(locator[term], syndromes[power - term]));
        }
        // In a field of characteristic 2 only odd powers have a derivative.
        let derivative: Vec<u8> =
            (0..degree).map(|power| if power % 2 == 0 { locator[power + 1] } else { 0 }).collect();
        let mut corrections = Vec::new();
        let mut found = 0;
        for symbol in 0..SYMBOLS {
            let power = SYMBOLS - 1 - symbol;
            let inverse = alpha(ORDER - power);
            if evaluate(locator, inverse) != 0 {
                continue;
            }
            found += 1;
            let below = evaluate(&derivative, inverse);
            if below == 0 {
                return None;
            }
            // The first root's power is 0, which leaves one factor of the position.
            let above = multiply(alpha(power), evaluate(&evaluator[..self.roots], inverse));
            let value = multiply(above, invert(below));
            if value != 0 {
                corrections.push((symbol, value));
            }
        }
        (found == degree).then_some(corrections)
    }

    /// Whether these corrections explain the syndromes.
    fn explains(corrections: &[Correction], syndromes: &[u8]) -> bool {
        syndromes.iter().enumerate().all(|(root, &syndrome)| {
            let sum = corrections.iter().fold(0, |sum, &(symbol, value)| sum ^ multiply(value, weight(symbol, root)));
            sum == syndrome
        })
    }
}

/// The weight of a symbol in a syndrome: a power of its locator.
pub(crate) fn weight(symbol: usize, root: usize) -> u8 {
    alpha((SYMBOLS - 1 - symbol) * root)
}

#[cfg(test)]
impl Code {
    /// The parity as it is defined: what remains of the data when they are divided by the generator polynomial.
    pub(crate) fn remainder(self, data: &[u8]) -> Vec<u8> {
        // The highest coefficient comes first, and is 1.
        let mut generator = vec![1];
        for root in 0..self.roots {
            generator.push(0);
            for power in (1..generator.len()).rev() {
                generator[power] ^= multiply(generator[power - 1], alpha(root));
            }
        }
        let mut rest = [data, &vec![0; self.roots]].concat();
        for symbol in 0..data.len() {
            let factor = rest[symbol];
            for (value, &coefficient) in rest[symbol..].iter_mut().zip(&generator) {
                *value ^= multiply(factor, coefficient);
            }
        }
        rest.split_off(data.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(code: Code, data: &[u8]) -> Vec<u8> {
        [data, &code.remainder(data)].concat()
    }

    fn syndromes(code: Code, word: &[u8]) -> Vec<u8> {
        let reversed: Vec<u8> = word.iter().rev().copied().collect();
        (0..code.roots()).map(|root| evaluate(&reversed, alpha(root))).collect()
    }

    /// All numbers of roots; only some under Miri.
    fn all_roots() -> Vec<u32> {
        if cfg!(miri) { vec![2, 3, 9] } else { (2..=24).collect() }
    }

    #[test]
    fn codewords_have_the_roots_of_the_generator() {
        let mut rng = fastrand::Rng::with_seed(2);
        for roots in all_roots() {
            let code = Code::new(roots);
            let data: Vec<u8> = (0..code.data_symbols()).map(|_| rng.u8(..)).collect();
            let mut word = encode(code, &data);
            assert!(syndromes(code, &word).iter().all(|&syndrome| syndrome == 0), "{roots}");
            // What differs in the parity gives the same syndromes.
            let mut difference = vec![0; code.roots()];
            for (parity, difference) in difference.iter_mut().enumerate() {
                *difference = rng.u8(..);
                word[code.data_symbols() + parity] ^= *difference;
            }
            let matrix = code.syndrome_matrix();
            let made: Vec<u8> = (0..code.roots())
                .map(|root| (0..code.roots()).fold(0, |sum, at| sum ^ multiply(difference[at], matrix.at(at, root))))
                .collect();
            assert_eq!(made, syndromes(code, &word));
            assert_eq!(made, code.syndromes_of_parity(&difference));
        }
    }

    #[test]
    fn every_mix_of_errors_and_erasures_within_the_limit_is_found() {
        let mut rng = fastrand::Rng::with_seed(3);
        for roots in all_roots() {
            let code = Code::new(roots);
            let data: Vec<u8> = (0..code.data_symbols()).map(|_| rng.u8(..)).collect();
            let good = encode(code, &data);
            for erasures in 0..=code.roots() {
                for errors in 0..=(code.roots() - erasures) / 2 {
                    let symbols = rng.choose_multiple(0..SYMBOLS, erasures + errors);
                    let mut word = good.clone();
                    let mut expected = Vec::new();
                    for (number, &symbol) in symbols.iter().enumerate() {
                        // An erasure may turn out to be right.
                        let value = if number < erasures { rng.u8(..) } else { rng.u8(1..) };
                        word[symbol] ^= value;
                        if value != 0 {
                            expected.push((symbol, value));
                        }
                    }
                    expected.sort_unstable();
                    let found = code.decode(&syndromes(code, &word), &symbols[..erasures]);
                    assert_eq!(found, Some(expected), "{roots} roots, {erasures} erasures, {errors} errors");
                }
            }
        }
    }

    #[test]
    fn what_is_found_beyond_the_limit_is_a_codeword_all_the_same() {
        let mut rng = fastrand::Rng::with_seed(4);
        let (mut refused, mut found) = (0, 0);
        for _ in 0..if cfg!(miri) { 20 } else { 2000 } {
            let code = Code::new(rng.u32(2..=8));
            let syndromes: Vec<u8> = (0..code.roots()).map(|_| rng.u8(..)).collect();
            let count = rng.usize(0..=code.roots());
            let erasures = rng.choose_multiple(0..SYMBOLS, count);
            match code.decode(&syndromes, &erasures) {
                None => refused += 1,
                Some(corrections) => {
                    found += 1;
                    assert!(Code::explains(&corrections, &syndromes));
                    assert!(corrections.len() <= erasures.len() + (code.roots() - erasures.len()) / 2);
                }
            }
        }
        assert!(refused > 100 && found > 100 || cfg!(miri), "{refused} {found}");
    }

    #[test]
    fn erasures_alone_are_a_multiplication() {
        let mut rng = fastrand::Rng::with_seed(5);
        for roots in all_roots() {
            let code = Code::new(roots);
            for count in 1..=code.roots() {
                let erasures = rng.choose_multiple(0..SYMBOLS, count);
                let values: Vec<u8> = (0..count).map(|_| rng.u8(..)).collect();
                let effect = code.effect_matrix(&erasures);
                let syndromes: Vec<u8> = (0..code.roots())
                    .map(|root| (0..count).fold(0, |sum, at| sum ^ multiply(values[at], effect.at(at, root))))
                    .collect();
                let matrix = Code::erasure_matrix(&erasures);
                let found: Vec<u8> = (0..count)
                    .map(|at| (0..count).fold(0, |sum, root| sum ^ multiply(syndromes[root], matrix.at(root, at))))
                    .collect();
                assert_eq!(found, values, "{roots} {count}");
            }
        }
    }
}
