//! The command, and images for it.

use std::ops::Deref;
use std::process::{Command, Output};

pub(crate) use crate::image::BLOCK;
use crate::{image, program};

/// An image in whose directory commands are run that know no proxy.
pub(crate) struct Image(image::Image);

impl Deref for Image {
    type Target = image::Image;

    fn deref(&self) -> &image::Image {
        &self.0
    }
}

impl Image {
    /// An image of this many random blocks; the options are those of `format`.
    pub(crate) fn new(blocks: usize, options: &[&str]) -> Self {
        Self(image::Image::new(blocks, options))
    }

    /// The same in one file.
    pub(crate) fn appended(blocks: usize) -> Self {
        Self(image::Image::formatted(image::random(blocks), &["--append", "data.img"]))
    }

    /// The command with these arguments.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.0.command(program(), arguments);
        for variable in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
            command.env_remove(variable);
        }
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        Ended::of(&self.command(arguments).output().expect("it runs"))
    }
}

/// How a command has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
        Self { code: output.status.code().unwrap_or(-1), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// One of the counters in the last line of `serve` or `mount-file`.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        dmverity_tests::counter(&self.stderr, name)
    }

    /// Fails unless it has ended like this.
    #[track_caller]
    pub(crate) fn expect(&self, code: i32, text: &str) -> &Self {
        assert!(self.code == code && self.stderr.contains(text), "{code} and {text}: {self:?}");
        self
    }
}
