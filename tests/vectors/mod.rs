//! The golden vectors: images described by a byte pattern and a command, with everything the reference tool printed and
//! wrote for them. `make vectors` makes the file again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The file as a whole.
#[derive(Debug, Deserialize, Serialize)]
pub struct Vectors {
    /// What `--version` of the tool that made them says.
    pub reference: String,
    /// What the patterns mean, for readers.
    pub patterns: serde_json::Map<String, serde_json::Value>,
    /// The images.
    pub vectors: Vec<Vector>,
}

/// One image.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Vector {
    /// Its name.
    pub name: String,
    /// What the file `data` holds before the command is run.
    pub data: Data,
    /// The command; its files are `data`, `hash` and `fec`.
    pub args: Vec<String>,
    /// Exit code.
    pub exit: i32,
    /// Root hash in hexadecimal digits.
    pub root_hash: String,
    /// Standard output.
    pub stdout: String,
    /// The hash device afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash_image: Option<Image>,
    /// The FEC device afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fec_image: Option<Image>,
}

/// A data area described by a pattern.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Data {
    /// `zero` or `mod251`.
    pub pattern: String,
    /// Its length.
    pub bytes: usize,
}

/// A file's length and digest.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Image {
    /// Its length.
    pub bytes: usize,
    /// Its SHA-256 in hexadecimal digits.
    pub sha256: String,
}

/// Where the vectors are.
pub fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/vectors.json")
}

/// Reads the vectors.
///
/// # Panics
/// If the file is not as described here.
pub fn load() -> Vectors {
    let text = fs::read_to_string(path()).expect("the vectors are part of the source");
    serde_json::from_str(&text).expect("the vectors have the documented form")
}

impl Vector {
    /// Whether it has forward error correction.
    pub fn has_fec(&self) -> bool {
        self.args.iter().any(|argument| argument.starts_with("--fec-device"))
    }

    /// The name of the hash device: `hash`, or `data` where both are one.
    pub fn hash_device(&self) -> &str {
        &self.args[2]
    }

    /// Writes the file `data`.
    ///
    /// # Panics
    /// If the pattern is unknown or the file cannot be written.
    pub fn write_data(&self, directory: &Path) {
        let bytes: Vec<u8> = match self.data.pattern.as_str() {
            "zero" => vec![0; self.data.bytes],
            "mod251" => painted(self.data.bytes),
            other => panic!("unknown pattern {other}"),
        };
        fs::write(directory.join("data"), bytes).expect("writable");
    }

    /// Runs the vector's command with `program` in an empty directory and returns what came of it in the same form.
    ///
    /// # Panics
    /// If the program cannot be run, or prints no root hash.
    #[must_use]
    pub fn run(&self, mut program: Command, directory: &Path) -> Self {
        self.write_data(directory);
        let output = program.args(&self.args).current_dir(directory).output().expect("it can be run");
        let stdout = String::from_utf8(output.stdout).expect("UTF-8");
        let root_hash = stdout.lines().find_map(|line| line.strip_prefix("Root hash:"));
        let root_hash = root_hash.unwrap_or_else(|| {
            panic!("{}: no root hash: {stdout}{}", self.name, String::from_utf8_lossy(&output.stderr))
        });
        Self {
            name: self.name.clone(),
            data: self.data.clone(),
            args: self.args.clone(),
            exit: output.status.code().expect("it was not killed"),
            root_hash: root_hash.trim().to_owned(),
            hash_image: Image::of(&directory.join(self.hash_device())),
            fec_image: Image::of(&directory.join("fec")),
            stdout,
        }
    }
}

/// The pattern `mod251`: bytes 0, 1, ... 250, 0, ..., so that neighbouring blocks differ.
pub fn painted(len: usize) -> Vec<u8> {
    (0..=250).cycle().take(len).collect()
}

impl Image {
    /// A file's image, if there is such a file.
    fn of(path: &Path) -> Option<Self> {
        let bytes = fs::read(path).ok()?;
        Some(Self { bytes: bytes.len(), sha256: hex::encode(Sha256::digest(&bytes)) })
    }
}
