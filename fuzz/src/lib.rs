//! Fuzz targets. A target is a function that takes any bytes and panics if a property does not hold. libFuzzer drives
//! it (`make fuzz`); in `make test`, and without a nightly compiler, the plain mutations of [`run`] do. Each target
//! documents its input format; input that is too short is read as if zeros followed.

mod append_find_plan;
mod command_line;
mod fec_repair;
mod file;
mod gpt_ddi;
mod http_headers;
mod image_verify;
mod input;
mod json;
mod kernel_cmdline;
mod model;
mod mutate;
mod nbd_protocol;
pub mod run;
mod signature_parse;
mod superblock_params;
mod table_lines;

use std::path::{Path, PathBuf};

pub use append_find_plan::append_find_plan;
pub use command_line::command_line;
pub use fec_repair::fec_repair;
pub use gpt_ddi::gpt_ddi;
pub use http_headers::http_headers;
pub use image_verify::image_verify;
pub use json::json;
pub use kernel_cmdline::kernel_cmdline;
pub use nbd_protocol::nbd_protocol;
pub use signature_parse::signature_parse;
pub use superblock_params::superblock_params;
pub use table_lines::table_lines;

/// A function that is called with hostile bytes.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and that of its folder in `fuzz/corpus`.
    pub name: &'static str,
    /// Panics where a property does not hold.
    pub run: fn(&[u8]),
    /// Meaningful bytes that mutations insert.
    pub dictionary: &'static [&'static str],
    /// The longest input that is tried, in bytes.
    pub max_len: usize,
    /// How often `make test` calls it.
    pub executions: u64,
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target {
        name: "superblock_params",
        run: superblock_params,
        dictionary: superblock_params::DICTIONARY,
        max_len: 600,
        executions: 400_000,
    },
    Target {
        name: "table_lines",
        run: table_lines,
        dictionary: table_lines::DICTIONARY,
        max_len: 1024,
        executions: 500_000,
    },
    Target {
        name: "command_line",
        run: command_line,
        dictionary: command_line::DICTIONARY,
        max_len: 1024,
        executions: 100_000,
    },
    Target {
        name: "kernel_cmdline",
        run: kernel_cmdline,
        dictionary: kernel_cmdline::DICTIONARY,
        max_len: 1024,
        executions: 200_000,
    },
    Target { name: "json", run: json, dictionary: json::DICTIONARY, max_len: 1024, executions: 200_000 },
    Target {
        name: "image_verify",
        run: image_verify,
        dictionary: superblock_params::DICTIONARY,
        max_len: 1024,
        executions: 25_000,
    },
    Target {
        name: "append_find_plan",
        run: append_find_plan,
        dictionary: &["unfinished dm-verity\0\0\0\0", "verity\0\0\x01\0\0\0\x01\0\0\0"],
        max_len: 256,
        executions: 2_500,
    },
    Target { name: "gpt_ddi", run: gpt_ddi, dictionary: gpt_ddi::DICTIONARY, max_len: 2048, executions: 100_000 },
    Target {
        name: "signature_parse",
        run: signature_parse,
        dictionary: signature_parse::DICTIONARY,
        max_len: 4096,
        executions: 200_000,
    },
    Target {
        name: "nbd_protocol",
        run: nbd_protocol,
        dictionary: nbd_protocol::DICTIONARY,
        max_len: 1024,
        executions: 200_000,
    },
    Target {
        name: "http_headers",
        run: http_headers,
        dictionary: http_headers::DICTIONARY,
        max_len: 256,
        executions: 300_000,
    },
    Target { name: "fec_repair", run: fec_repair, dictionary: &[], max_len: 128, executions: 5_000 },
];

impl Target {
    /// The target with this name.
    pub fn by_name(name: &str) -> Option<&'static Self> {
        TARGETS.iter().find(|target| target.name == name)
    }

    /// The stored inputs and their files, sorted by name.
    ///
    /// # Panics
    /// If they cannot be read, or there are none.
    pub fn corpus(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(self.name);
        let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("the corpus can be read").path()).collect();
        files.sort();
        assert!(!files.is_empty(), "{} has no stored input", self.name);
        files.into_iter().map(|path| (path.clone(), std::fs::read(path).expect("it can be read"))).collect()
    }
}
