//! How people know the kernel's options: the option of `open` that asks for each, the Linux release that brought it,
//! and the build option it needs. Releases and build options are text for messages; the code decides nothing by them.

use dmverity::table::TableFlag::{
    CheckAtMostOnce, IgnoreCorruption, IgnoreZeroBlocks, PanicOnCorruption, PanicOnError, RestartOnCorruption,
    RestartOnError, TryVerifyInTasklet,
};
use dmverity::table::TableOption::{self, Fec, Flag, Signature};

/// How people know an option of the kernel's.
#[derive(Clone, Copy)]
pub(crate) struct KernelOption {
    /// The option in a table.
    pub(crate) table_option: TableOption,
    /// The option of `open` that asks for it.
    pub(crate) option: &'static str,
    /// The release of Linux that brought it.
    pub(crate) linux: &'static str,
    /// What the kernel has to be built with to have it.
    pub(crate) build_option: Option<&'static str>,
}

/// Every option of the library's, in its order.
pub(crate) static KERNEL_OPTIONS: [KernelOption; 10] = [
    known(Flag(IgnoreCorruption), "--ignore-corruption", "4.1"),
    known(Flag(RestartOnCorruption), "--restart-on-corruption", "4.1"),
    known(Flag(PanicOnCorruption), "--panic-on-corruption", "5.9"),
    known(Flag(RestartOnError), "--error-as-corruption", "6.12"),
    known(Flag(PanicOnError), "--error-as-corruption", "6.12"),
    known(Flag(IgnoreZeroBlocks), "--ignore-zero-blocks", "4.5"),
    known(Flag(CheckAtMostOnce), "--check-at-most-once", "4.17"),
    known(Flag(TryVerifyInTasklet), "--use-tasklets", "6.0"),
    built_with("CONFIG_DM_VERITY_FEC", known(Fec, "--fec-device", "4.5")),
    built_with("CONFIG_DM_VERITY_VERIFY_ROOTHASH_SIG", known(Signature, "--root-hash-signature", "5.4")),
];

const fn known(table_option: TableOption, option: &'static str, linux: &'static str) -> KernelOption {
    KernelOption { table_option, option, linux, build_option: None }
}

const fn built_with(build_option: &'static str, option: KernelOption) -> KernelOption {
    KernelOption { build_option: Some(build_option), ..option }
}

impl KernelOption {
    pub(crate) fn of(option: TableOption) -> &'static Self {
        KERNEL_OPTIONS.iter().find(|known| known.table_option == option).expect("every option is in the list")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::OPTIONS;

    #[test]
    fn every_option_of_the_library_is_known_and_can_be_asked_for() {
        assert!(TableOption::all().eq(KERNEL_OPTIONS.iter().map(|known| known.table_option)));
        for known in &KERNEL_OPTIONS {
            let name = known.option.trim_start_matches('-');
            assert!(OPTIONS.iter().any(|option| option.name == name), "{name}");
        }
    }
}
