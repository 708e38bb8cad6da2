//! Processor architectures, by the names that partition types have for them.

use std::env::consts::ARCH;

/// A processor architecture that has partition types of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Architecture {
    /// `alpha`
    Alpha,
    /// `arc`
    Arc,
    /// `arm`
    Arm,
    /// `arm64`
    Arm64,
    /// `ia64`
    Ia64,
    /// `loongarch64`
    LoongArch64,
    /// `mips`
    Mips,
    /// `mips64`
    Mips64,
    /// `mips-le`
    MipsLe,
    /// `mips64-le`
    Mips64Le,
    /// `parisc`
    PaRisc,
    /// `ppc`
    Ppc,
    /// `ppc64`
    Ppc64,
    /// `ppc64-le`
    Ppc64Le,
    /// `riscv32`
    RiscV32,
    /// `riscv64`
    RiscV64,
    /// `s390`
    S390,
    /// `s390x`
    S390x,
    /// `tilegx`
    TileGx,
    /// `x86`
    X86,
    /// `x86-64`
    X86_64,
}

impl Architecture {
    /// The architecture that this library was compiled for, if it has partition types.
    ///
    /// ```
    /// # #[cfg(target_arch = "x86_64")]
    /// assert_eq!(dmverity::ddi::Architecture::local(), Some(dmverity::ddi::Architecture::X86_64));
    /// ```
    pub fn local() -> Option<Self> {
        Self::of_rust(ARCH, cfg!(target_endian = "little"))
    }

    /// By the compiler's name for it, which does not always tell the byte order.
    fn of_rust(name: &str, is_little_endian: bool) -> Option<Self> {
        Some(match (name, is_little_endian) {
            ("x86_64", _) => Self::X86_64,
            ("x86", _) => Self::X86,
            ("aarch64", _) => Self::Arm64,
            ("arm", _) => Self::Arm,
            ("riscv64", _) => Self::RiscV64,
            ("riscv32", _) => Self::RiscV32,
            ("loongarch64", _) => Self::LoongArch64,
            ("powerpc64", true) => Self::Ppc64Le,
            ("powerpc64", false) => Self::Ppc64,
            ("powerpc", _) => Self::Ppc,
            ("s390x", _) => Self::S390x,
            ("mips", true) => Self::MipsLe,
            ("mips", false) => Self::Mips,
            ("mips64", true) => Self::Mips64Le,
            ("mips64", false) => Self::Mips64,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_byte_order_decides_where_the_name_does_not() {
        let of = |name, little| Architecture::of_rust(name, little);
        assert_eq!(
            (of("powerpc64", true), of("powerpc64", false)),
            (Some(Architecture::Ppc64Le), Some(Architecture::Ppc64))
        );
        assert_eq!((of("mips", true), of("mips", false)), (Some(Architecture::MipsLe), Some(Architecture::Mips)));
        assert_eq!(
            (of("mips64", true), of("mips64", false)),
            (Some(Architecture::Mips64Le), Some(Architecture::Mips64))
        );
        assert_eq!(of("aarch64", true), Some(Architecture::Arm64));
        assert_eq!(of("wasm32", true), None);
    }
}
