//! The options about what the kernel does.

use dmverity::table::{TableFlag, TableFlags, TableOption};

use super::words::Words;
use crate::kernel_options::{KERNEL_OPTIONS, KernelOption};

/// What the kernel is asked to do.
pub(crate) struct KernelOptions {
    pub(crate) flags: TableFlags,
    /// A note that one of the options overrides another.
    pub(crate) overridden: Option<String>,
}

impl KernelOptions {
    pub(super) fn of(words: &Words) -> Self {
        let mut flags = TableFlags::default();
        for KernelOption { table_option, option, .. } in &KERNEL_OPTIONS {
            let TableOption::Flag(flag) = *table_option else { continue };
            // What is done about errors is what is done about corruption.
            let goes_with = match flag {
                TableFlag::RestartOnError => Some(TableFlag::RestartOnCorruption),
                TableFlag::PanicOnError => Some(TableFlag::PanicOnCorruption),
                _ => None,
            };
            if words.flag(option.trim_start_matches('-')) && goes_with.is_none_or(|other| flags.contains(other)) {
                // As with the reference tool: of two that are given together, the one that protects more is used.
                flags.insert(flag);
            }
        }
        let is_overridden = words.flag("ignore-corruption") && !flags.contains(TableFlag::IgnoreCorruption);
        Self {
            flags,
            overridden: is_overridden.then(|| "--panic-on-corruption overrides --ignore-corruption.".to_owned()),
        }
    }
}
