//! A program that uses the library: it makes an image in memory, verifies one in a file, and opens one.

use std::error::Error;
use std::fs::File;
use std::path::Path;

use dmverity::{Hashing, Image, Memory, RootHash, Storage, Work};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Puts a hash tree after some data, all in memory; returns the image and its root hash.
fn build(data: Vec<u8>) -> Result<(Vec<u8>, RootHash)> {
    let storage = Memory::from(data);
    let hashing = Hashing { salt: "00112233".parse()?, ..Hashing::default() };
    let made = Image::in_one(Storage::Write(&storage))?.append(hashing, None, &Work::default())?;
    Ok((storage.into(), made.formatted.root_hash))
}

/// Verifies an image in a file against the root hash.
fn verify(file: &File, root_hash: &RootHash) -> Result<bool> {
    let image = Image::in_one(Storage::Read(file))?;
    let params = image.load(image.locate()?, None)?;
    Ok(image.verify(&params, root_hash, &Work::default())?.is_good())
}

/// Makes the image available as a block device; returns the device's path.
#[cfg(feature = "dm")]
fn open(path: &Path, root_hash: &RootHash) -> Result<std::path::PathBuf> {
    use dmverity::dm::{ActivateOptions, MappingName};
    let image = Image::one_file(path)?;
    let params = image.load(image.locate()?, None)?;
    let mapping = image.activate(&MappingName::new("external")?, &params, root_hash, &ActivateOptions::default())?;
    Ok(mapping.name.node())
}

fn main() -> Result<()> {
    let path = std::env::args_os().nth(1).ok_or("say where the image goes")?;
    let path = Path::new(&path);
    let (image, root_hash) = build((0..=250).cycle().take(1_000_000).collect())?;
    std::fs::write(path, &image)?;
    println!("{root_hash} {}", verify(&File::open(path)?, &root_hash)?);
    #[cfg(feature = "dm")]
    if std::env::args_os().nth(2).is_some() {
        println!("{}", open(path, &root_hash)?.display());
    }
    Ok(())
}
