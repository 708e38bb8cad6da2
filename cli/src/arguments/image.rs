//! The options about an image: its parameters, and what an existing image has to be.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use dmverity::ddi::{Architecture, Policy};
use dmverity::{BlockSize, Devices, HashAlgorithm, HashType, Hashing, Params, ParamsBuilder, Salt};

use super::contradictions;
use super::disk_image::policy;
use super::fec::FecOptions;
use super::signature_option::SignatureOption;
use super::trust::TrustOptions;
use super::web::WebOptions;
use super::words::Words;
use crate::escape::text_of;
use crate::failure::{Exit, Failure, Result};
use crate::options::Action;
use crate::passing::STDIN;

/// The parameters of an image as given.
pub(crate) struct ImageOptions {
    pub(crate) format: Option<u64>,
    pub(crate) data_block_size: Option<u64>,
    pub(crate) hash_block_size: Option<u64>,
    /// Zero has always meant the whole device.
    pub(crate) data_blocks_given: Option<u64>,
    pub(crate) salt: Option<String>,
    pub(crate) hash: Option<String>,
    pub(crate) uuid: Option<String>,
    pub(crate) no_superblock: bool,
    pub(crate) hash_offset: HashOffset,
    pub(crate) fec: FecOptions,
}

/// Where the hash area starts.
#[derive(Clone, Copy)]
pub(crate) enum HashOffset {
    /// At this byte; by default at the first one.
    At(u64),
    /// Where it is found.
    Auto,
}

impl HashOffset {
    /// As far as the options say.
    pub(crate) fn given(self) -> u64 {
        match self {
            Self::At(offset) => offset,
            Self::Auto => 0,
        }
    }

    pub(crate) fn is_auto(self) -> bool {
        matches!(self, Self::Auto)
    }
}

impl ImageOptions {
    pub(super) fn of(words: &Words) -> Result<Self> {
        let hash_offset = if words.is_auto("hash-offset") {
            HashOffset::Auto
        } else {
            HashOffset::At(words.number("hash-offset")?.unwrap_or(0))
        };
        Ok(Self {
            format: words.number("format")?,
            data_block_size: words.number("data-block-size")?,
            hash_block_size: words.number("hash-block-size")?,
            data_blocks_given: words.number("data-blocks")?,
            salt: words.text_option("salt"),
            hash: words.text_option("hash"),
            uuid: words.text_option("uuid"),
            no_superblock: words.flag("no-superblock"),
            hash_offset,
            fec: FecOptions::of(words)?,
        })
    }

    /// The parameters that the options give.
    pub(crate) fn params(&self) -> Result<ParamsBuilder> {
        self.placed(self.hashing()?)
    }

    /// How the options have blocks hashed.
    pub(crate) fn hashing(&self) -> Result<Hashing> {
        self.with_algorithm(self.plain_hashing(Hashing::default())?)
    }

    /// How blocks are hashed, except the algorithm; `hashing` has what the options do not say.
    pub(crate) fn plain_hashing(&self, mut hashing: Hashing) -> Result<Hashing> {
        if let Some(number) = self.format {
            hashing.hash_type = HashType::new(number)?;
        }
        if let Some(bytes) = self.data_block_size {
            hashing.data_block_size = BlockSize::new(bytes)?;
        }
        if let Some(bytes) = self.hash_block_size {
            hashing.hash_block_size = BlockSize::new(bytes)?;
        }
        if let Some(text) = &self.salt {
            hashing.salt = Salt::from_hex(text)?;
        }
        if self.no_superblock {
            hashing.uuid = None;
        }
        Ok(hashing)
    }

    /// The same with the algorithm, which callers expect to be looked at after the devices.
    pub(crate) fn with_algorithm(&self, mut hashing: Hashing) -> Result<Hashing> {
        if let Some(name) = &self.hash {
            hashing.algorithm = HashAlgorithm::from_name(name)?;
        }
        Ok(hashing)
    }

    /// An image that is hashed like this, with the sizes, offsets and FEC that the options give.
    pub(crate) fn placed(&self, hashing: Hashing) -> Result<ParamsBuilder> {
        let mut builder = Params::builder().hashing(hashing).hash_offset(self.hash_offset.given());
        if let Some(blocks) = self.data_blocks() {
            builder = builder.data_blocks(blocks);
        }
        if let Some(fec) = self.fec.fec()? {
            builder = builder.fec(fec);
        }
        Ok(builder)
    }

    /// The number of data blocks, if it was given.
    pub(crate) fn data_blocks(&self) -> Option<u64> {
        self.data_blocks_given.filter(|&blocks| blocks > 0)
    }

    /// The size of this many data blocks in bytes; more than a device can hold if there are too many.
    pub(crate) fn bytes_of(&self, blocks: u64) -> Result<u64> {
        let size = self.data_block_size.map_or(Ok(BlockSize::default()), BlockSize::new)?;
        Ok(size.bytes().saturating_mul(blocks))
    }

    /// The devices of an image.
    pub(crate) fn devices(&self, data: &Path, hash: &Path) -> Devices {
        Devices { data: data.to_owned(), hash: hash.to_owned(), fec: self.fec.device.clone() }
    }
}

/// Where the root hash comes from.
pub(crate) struct RootHashOptions {
    pub(crate) argument: Option<String>,
    /// It takes precedence if both are given.
    pub(crate) file: Option<PathBuf>,
}

impl RootHashOptions {
    pub(crate) fn is_given(&self) -> bool {
        self.argument.is_some() || self.file.is_some()
    }
}

/// What `--expect` and `--expect-data-blocks` say.
pub(crate) struct Expect {
    pub(crate) file: Option<PathBuf>,
    pub(crate) data_blocks: Option<u64>,
}

/// Where an existing image is.
pub(crate) enum Place {
    /// On these devices.
    Devices { data: PathBuf, hash: PathBuf },
    /// In this file or block device, whose partitions or neighbours say where.
    One(PathBuf),
}

/// An existing image, and what it has to be.
pub(crate) struct ImageToCheck {
    /// The action, for the message that it needs more arguments.
    pub(crate) action: Action,
    pub(crate) place: Place,
    pub(crate) root_hash: RootHashOptions,
    pub(crate) options: ImageOptions,
    pub(crate) expect: Expect,
    /// The signature of the root hash.
    pub(crate) signature: Option<SignatureOption>,
    /// Who has to have signed the root hash, or the manifest.
    pub(crate) trust: TrustOptions,
    /// What says which root hash and parameters the image has.
    pub(crate) manifest: Option<ManifestOptions>,
    /// What systemd would demand of a disk image.
    pub(crate) policy: Option<Policy>,
    pub(crate) choice: Choice,
    pub(crate) web: WebOptions,
}

/// A signed manifest.
pub(crate) struct ManifestOptions {
    pub(crate) file: PathBuf,
    /// Next to it unless it is given.
    pub(crate) signature: Option<PathBuf>,
}

impl ManifestOptions {
    fn of(words: &Words) -> Option<Self> {
        Some(Self { file: words.path_option("manifest")?, signature: words.path_option("manifest-signature") })
    }
}

/// Which of the images in a disk is meant.
pub(crate) struct Choice {
    /// The one for /usr.
    pub(crate) usr: bool,
    /// The one for these processors.
    pub(crate) architecture: Option<Architecture>,
}

impl Choice {
    pub(super) fn of(words: &Words) -> Result<Self> {
        Ok(Self {
            usr: words.given("usr"),
            architecture: words.value("arch").map(|name| architecture(&name)).transpose()?,
        })
    }
}

impl ImageToCheck {
    /// Whether its data are those on standard input.
    pub(crate) fn is_stream(&self) -> bool {
        self.action == Action::Verify && matches!(&self.place, Place::Devices { data, .. } if data == Path::new(STDIN))
    }

    /// The root hash may follow the hash device; without a hash device, the first argument is all of the image.
    pub(super) fn of(words: &Words) -> Result<Self> {
        let from_hash = |index| words.hash_argument().and_then(|hash| words.rest.get(hash + index));
        let place = match from_hash(0) {
            Some(hash) => Place::Devices { data: words.path(0), hash: hash.into() },
            None => Place::One(words.path(0)),
        };
        let choice = Choice::of(words)?;
        let argument = match (from_hash(1), words.value("root-hash")) {
            (Some(_), Some(_)) => return Err(contradictions::together("--root-hash", "<root_hash>")),
            (None, Some(option)) if option.is_empty() => return Err(Failure::usage("--root-hash: missing argument")),
            (argument, option) => argument.map(text_of).or(option.map(text_of)),
        };
        contradictions::check_trust(words)?;
        Ok(Self {
            action: words.action,
            place,
            root_hash: RootHashOptions { argument, file: words.path_option("root-hash-file") },
            options: ImageOptions::of(words)?,
            expect: Expect { file: words.path_option("expect"), data_blocks: words.number("expect-data-blocks")? },
            signature: SignatureOption::of(words)?,
            trust: TrustOptions::of(words)?,
            manifest: ManifestOptions::of(words),
            policy: words.value("policy").map(|text| policy(&text)).transpose()?,
            choice,
            web: WebOptions::of(words)?,
        })
    }
}

pub(super) fn architecture(name: &OsStr) -> Result<Architecture> {
    text_of(name)
        .parse()
        .map_err(|error| Failure::new(Exit::Parameters, "Invalid value of option --arch.").hint(format!("{error}.")))
}
