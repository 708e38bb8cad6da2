//! Files beside an image that have what is known about it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::Error;
use super::kind::Designator;
use crate::value::RootHash;

/// Where systemd looks for the hash tree, the root hash and the signature of an image that is a single file system:
/// paths only, whether these files exist or not. An image with a GPT must not have them.
///
/// ```
/// use std::path::Path;
///
/// use dmverity::ddi::Sidecars;
///
/// let sidecars = Sidecars::of("/images/app.raw");
/// assert_eq!(sidecars.verity, Path::new("/images/app.verity"));
/// assert_eq!(sidecars.root.root_hash, Path::new("/images/app.roothash"));
/// assert_eq!(sidecars.usr.signature, Path::new("/images/app.usrhash.p7s"));
/// // Only `.raw` is taken away.
/// assert_eq!(Sidecars::of("app.img").verity, Path::new("app.img.verity"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sidecars {
    /// Superblock and hash tree: `NAME.verity`.
    pub verity: PathBuf,
    /// If it is a root file system: `NAME.roothash` and `NAME.roothash.p7s`. This one is looked for first.
    pub root: HashFiles,
    /// If it is for `/usr`: `NAME.usrhash` and `NAME.usrhash.p7s`.
    pub usr: HashFiles,
}

/// The files about a root hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashFiles {
    /// The root hash: hexadecimal digits in the first line.
    pub root_hash: PathBuf,
    /// Its signature: CMS in DER.
    pub signature: PathBuf,
}

impl Sidecars {
    /// The files of this image.
    pub fn of(image: impl AsRef<Path>) -> Self {
        let image = image.as_ref();
        let base = match image.extension() {
            Some(extension) if extension == "raw" => image.with_extension(""),
            _ => image.to_owned(),
        };
        let with = |suffix: &str| {
            let mut path = OsString::from(&base);
            path.push(suffix);
            PathBuf::from(path)
        };
        let files = |name: &str| HashFiles { root_hash: with(name), signature: with(&format!("{name}.p7s")) };
        Self { verity: with(".verity"), root: files(".roothash"), usr: files(".usrhash") }
    }

    /// Those for this kind of file system.
    pub fn hash_files(&self, designator: Designator) -> &HashFiles {
        match designator {
            Designator::Root => &self.root,
            Designator::Usr => &self.usr,
        }
    }

    /// All of them.
    pub fn paths(&self) -> [&Path; 5] {
        let Self { verity, root, usr } = self;
        [verity, &root.root_hash, &root.signature, &usr.root_hash, &usr.signature]
    }
}

/// What containerd writes beside an EROFS layer that has a hash tree after its data: `LAYER.erofs.dmverity`.
///
/// ```
/// use dmverity::ddi::LayerSidecar;
///
/// let sidecar = LayerSidecar { root_hash: vec![0xAB; 32].into(), hash_offset: 303104 };
/// let text = sidecar.to_string();
/// assert!(text.ends_with(",\n  \"hashoffset\": 303104\n}"));
/// assert_eq!(LayerSidecar::parse(text.as_bytes())?, sidecar);
/// # Ok::<(), dmverity::ddi::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerSidecar {
    /// The root hash.
    pub root_hash: RootHash,
    /// Where the superblock is, in bytes.
    pub hash_offset: u64,
}

/// Its only fields.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct LayerFields {
    roothash: String,
    hashoffset: u64,
}

impl LayerSidecar {
    /// The most bytes of the file that are read.
    pub const MAX_BYTES: usize = 4096;

    /// The file of this layer.
    pub fn path_of(layer: impl AsRef<Path>) -> PathBuf {
        let mut path = OsString::from(layer.as_ref());
        path.push(".dmverity");
        path.into()
    }

    /// Reads the file. Fields that are doubled, missing or unknown are refused.
    ///
    /// # Errors
    /// [`Error::LayerSidecar`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let refused = |why: String| Error::LayerSidecar { why };
        if bytes.len() > Self::MAX_BYTES {
            return Err(refused(format!("it has more than {} bytes", Self::MAX_BYTES)));
        }
        let fields: LayerFields = serde_json::from_slice(bytes).map_err(|error| refused(error.to_string()))?;
        let root_hash = fields.roothash.parse().map_err(|_| refused("roothash is not hexadecimal".to_owned()))?;
        Ok(Self { root_hash, hash_offset: fields.hashoffset })
    }
}

/// The text as containerd writes it, without a newline at the end.
impl std::fmt::Display for LayerSidecar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let fields = LayerFields { roothash: self.root_hash.to_string(), hashoffset: self.hash_offset };
        f.write_str(&serde_json::to_string_pretty(&fields).expect("a text and a number"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_from_the_path_alone() {
        for (image, verity) in [
            ("a.raw", "a.verity"),
            ("a", "a.verity"),
            ("a.raw.raw", "a.raw.verity"),
            ("a.RAW", "a.RAW.verity"),
            ("d.raw/a.b", "d.raw/a.b.verity"),
            // A name that is nothing but the suffix is a whole name.
            (".raw", ".raw.verity"),
        ] {
            assert_eq!(Sidecars::of(image).verity, Path::new(verity), "{image}");
        }
        let sidecars = Sidecars::of("x.raw");
        let names = ["x.verity", "x.roothash", "x.roothash.p7s", "x.usrhash", "x.usrhash.p7s"];
        assert_eq!(sidecars.paths(), names.map(Path::new));
        assert_eq!(sidecars.hash_files(Designator::Usr).root_hash, Path::new("x.usrhash"));
        assert_eq!(LayerSidecar::path_of("l.erofs"), Path::new("l.erofs.dmverity"));
    }

    #[test]
    fn layer_files_have_two_fields() {
        let good = "{\n  \"roothash\": \"abcd\",\n  \"hashoffset\": 4096\n}";
        let read = LayerSidecar::parse(good.as_bytes()).unwrap();
        assert_eq!((read.to_string().as_str(), read.hash_offset), (good, 4096));
        for (from, to, expected) in [
            ("abcd", "xy", "roothash is not hexadecimal"),
            ("4096", "-1", "invalid value"),
            ("4096", "4096.0", "invalid type"),
            ("4096", "18446744073709551616", "invalid type"),
            ("\n}", ",\"hashoffset\":1}", "duplicate field `hashoffset`"),
            ("\n}", ",\"salt\":1}", "unknown field `salt`"),
            (",\n  \"hashoffset\": 4096", "", "missing field `hashoffset`"),
            ("\n}", "\n}\0", "trailing characters"),
        ] {
            match LayerSidecar::parse(good.replacen(from, to, 1).as_bytes()) {
                Err(Error::LayerSidecar { why }) => assert!(why.contains(expected), "{to}: {why}"),
                other => panic!("{to}: {other:?}"),
            }
        }
        assert!(LayerSidecar::parse(&[b' '; 4097]).is_err());
    }
}
