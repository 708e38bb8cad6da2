//! Parity of data in memory.

use super::code::Code;
use super::encode::interleave;
use super::lanes::{Backend, Rows};
use super::syndromes::{BATCH, Syndromes};
use crate::error::Result;
use crate::format::Fec;
use crate::memory;

/// A way to make parity that this processor can run. The parity is the same with each.
#[derive(Clone, Copy, Debug)]
pub struct ParityBackend(Backend);

impl ParityBackend {
    /// The backends that this processor can run, the fastest first. The last one is `portable`, which is always
    /// available.
    ///
    /// A build with `--cfg dmverity_backend="NAME"` knows only the one of that name, `ssse3` for `sha_ni`, and
    /// `portable`. So does, in a build with debug assertions, a process with `DMVERITY_BACKEND=NAME` in its
    /// environment.
    pub fn available() -> Vec<Self> {
        Backend::available().into_iter().map(Self).collect()
    }

    /// `avx512`, `avx2`, `ssse3`, `neon` or `portable`.
    pub fn name(self) -> &'static str {
        self.0.name()
    }
}

/// Makes parity of data in memory, without a device.
///
/// ```
/// use dmverity::{Fec, Parity, ParityBackend};
///
/// # fn main() -> dmverity::Result<()> {
/// let fastest = ParityBackend::available()[0];
/// let mut parity = Parity::new(&Fec::new(2, 0)?, 4096, fastest)?;
/// // The data of 4096 codewords.
/// let data = vec![7; 253 * 4096];
/// assert_eq!(parity.encode(&data).len(), 2 * 4096);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Parity {
    code: Code,
    columns: usize,
    syndromes: Syndromes,
    batch: Rows,
    rows: Rows,
    tile: Rows,
    bytes: Vec<u8>,
}

impl Parity {
    /// For this many codewords at a time, a multiple of 128.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    ///
    /// # Panics
    /// If it is another number.
    pub fn new(fec: &Fec, codewords: usize, backend: ParityBackend) -> Result<Self> {
        assert!(codewords.is_multiple_of(128), "vectors of codewords are encoded at a time");
        let code = Code::new(fec.roots);
        let syndromes = Syndromes::with_backend(code, backend.0);
        Ok(Self {
            code,
            columns: codewords,
            tile: syndromes.tile()?,
            syndromes,
            batch: Rows::new(BATCH, codewords)?,
            rows: Rows::new(code.roots(), codewords)?,
            bytes: memory::zeroed(code.roots() * codewords + 8)?,
        })
    }

    /// The parity of the first codeword, then that of the next. `data` are the first symbols of all codewords, then the
    /// second ones, up to symbol 255 - roots.
    ///
    /// # Panics
    /// If there are more or fewer data.
    pub fn encode(&mut self, data: &[u8]) -> &[u8] {
        let width = self.columns;
        assert_eq!(data.len(), self.code.data_symbols() * width, "a row for each symbol");
        self.rows.clear();
        let (part, at_a_time) = (self.syndromes.part(), self.syndromes.at_a_time());
        for first in (0..part).step_by(at_a_time) {
            for index in 0..BATCH {
                let symbol = index / at_a_time * part + first + index % at_a_time;
                let row = self.batch.row_mut(index, width);
                match data.chunks_exact(width).nth(symbol) {
                    Some(symbols) => row.copy_from_slice(symbols),
                    None => row.fill(0),
                }
            }
            let count = at_a_time.min(part - first);
            self.syndromes.add((first, count), &mut self.batch, width, &mut self.rows);
        }
        self.syndromes.finish(width, &mut self.rows, &mut self.tile);
        interleave(&self.rows, self.code.roots(), width, &mut self.bytes);
        &self.bytes[..width * self.code.roots()]
    }
}
