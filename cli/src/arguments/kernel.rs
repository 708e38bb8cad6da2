//! The options about what the kernel does.

use std::path::PathBuf;

use dmverity::table::{OnCorruption, OnError, TableOptions};

use super::words::Words;

/// What the kernel is asked to do.
pub(crate) struct KernelOptions {
    pub(crate) table: TableOptions,
    /// That one of the options overrides another.
    pub(crate) overridden: Option<String>,
    /// The file with the signature of the root hash.
    pub(crate) signature: Option<PathBuf>,
}

impl KernelOptions {
    pub(super) fn of(words: &Words) -> Self {
        let flag = |option| words.flag(option);
        // As with the reference tool: of two that are given together, the one that protects more is used.
        let on_corruption = [
            ("restart-on-corruption", OnCorruption::Restart),
            ("panic-on-corruption", OnCorruption::Panic),
            ("ignore-corruption", OnCorruption::Ignore),
        ]
        .into_iter()
        .find_map(|(option, value)| flag(option).then_some(value));
        let is_overridden = flag("ignore-corruption") && on_corruption != Some(OnCorruption::Ignore);
        let on_error = match on_corruption.filter(|_| flag("error-as-corruption")) {
            Some(OnCorruption::Restart) => Some(OnError::Restart),
            Some(OnCorruption::Panic) => Some(OnError::Panic),
            Some(OnCorruption::Ignore) | None => None,
        };
        let table = TableOptions {
            on_corruption,
            on_error,
            ignore_zero_blocks: flag("ignore-zero-blocks"),
            check_at_most_once: flag("check-at-most-once"),
            try_verify_in_tasklet: flag("use-tasklets"),
            ..TableOptions::default()
        };
        Self {
            table,
            overridden: is_overridden.then(|| "--panic-on-corruption overrides --ignore-corruption.".to_owned()),
            signature: words.path_option("root-hash-signature"),
        }
    }
}
